//! A table that fits the terminal.

use super::facts::Facts;

const HEADS: [&str; 8] = ["ID", "NAME", "AGENT", "STATE", "SYSTEM", "MEMORY", "ADDRESSES", "UUID"];
/// Narrower than this no column becomes.
const NARROW: usize = 8;
/// The columns that become narrower, if need be; ids and uuids are typed again.
const SHRINKING: [usize; 4] = [6, 4, 3, 1];

/// The table; what does not fit is cut, and shows it.
pub(crate) fn render(guests: &[Facts], width: usize) -> String {
    let mut rows = vec![HEADS.map(str::to_owned)];
    rows.extend(guests.iter().map(row));
    let widths = widths(&rows, width);
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn row(guest: &Facts) -> [String; 8] {
    let memory = match (guest.free, guest.total, guest.target) {
        (Some(free), Some(total), _) => format!("{}/{} MiB", total.saturating_sub(free) / 1024, total / 1024),
        (_, total, target) => total.or(target).map_or_else(String::new, |kib| format!("{} MiB", kib / 1024)),
    };
    [
        guest.id.to_string(),
        guest.name.clone(),
        format!("{} {}", guest.agent, guest.version),
        guest.state.clone(),
        guest.os.clone(),
        memory,
        guest.addresses.join(" "),
        guest.uuid.clone(),
    ]
}

fn widths(rows: &[[String; 8]], width: usize) -> [usize; 8] {
    let mut widths: [usize; 8] = std::array::from_fn(|column| {
        rows.iter().map(|row| row.get(column).map_or(0, |cell| cell.chars().count())).max().unwrap_or(0)
    });
    let all = |widths: &[usize; 8]| widths.iter().sum::<usize>() + 2 * (HEADS.len() - 1);
    for column in SHRINKING {
        let too_much = all(&widths).saturating_sub(width);
        if let Some(this) = widths.get_mut(column) {
            *this = this.saturating_sub(too_much).max(NARROW.min(*this));
        }
    }
    widths
}

fn line(row: &[String; 8], widths: &[usize; 8]) -> String {
    let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| cut(cell, *width)).collect();
    format!("{}\n", cells.join("  ").trim_end())
}

fn cut(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return format!("{cell:<width$}");
    }
    let shown: String = cell.chars().take(width.saturating_sub(1)).collect();
    format!("{shown}…")
}

#[cfg(test)]
mod tests {
    use super::super::facts::sample;
    use super::*;

    #[test]
    fn a_table_has_what_there_is() {
        let table = render(&[sample(), Facts { id: 12, name: "db".into(), ..Facts::default() }], usize::MAX);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("ID  NAME  AGENT"));
        assert!(
            lines[1].contains("nanova 1.0.0") && lines[1].contains("0/1 MiB") && lines[1].contains("10.0.0.5 fd00::5")
        );
        assert_eq!(lines[2], "12  db");
    }

    #[test]
    fn it_is_no_wider_than_the_terminal_and_shows_what_is_cut() {
        let long = Facts { name: "n".repeat(90), os: "o".repeat(90), ..sample() };
        let table = render(&[long], 120);
        assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
        assert!(table.contains('…') && table.contains("7b3fd1ce-0f6b-4b0c-9d3c-2d4fb5ed8d2a"));
    }
}
