//! A picture of a text: lines and boxes that are drawn with letters (`─│┌┐└┘├┤┬┴┼►◄▲▼`) become lines and boxes, all
//! else stays text.
//!
//! Guarantees: the same text gives the same bytes; where no font is as wide as another, words stay in their places.

use std::fmt::Write;

/// A letter's place.
const WIDTH: usize = 8;
const HEIGHT: usize = 17;
/// Around all.
const MARGIN: usize = 10;

/// The directions in which a letter's lines go from its middle: left, right, up, down.
fn arms(letter: char) -> Option<[bool; 4]> {
    const ARMS: &[(char, &str)] = &[
        ('─', "lr"),
        ('│', "ud"),
        ('┌', "rd"),
        ('┐', "ld"),
        ('└', "ru"),
        ('┘', "lu"),
        ('├', "rud"),
        ('┤', "lud"),
        ('┬', "lrd"),
        ('┴', "lru"),
        ('┼', "lrud"),
        ('►', "l"),
        ('◄', "r"),
        ('▲', "d"),
        ('▼', "u"),
    ];
    let (_, arms) = ARMS.iter().find(|(known, _)| *known == letter)?;
    Some(['l', 'r', 'u', 'd'].map(|arm| arms.contains(arm)))
}

/// The middle of a letter's place.
fn middle(column: usize, row: usize) -> (usize, usize) {
    (MARGIN + column * WIDTH + WIDTH / 2, MARGIN + row * HEIGHT + HEIGHT / 2)
}

/// Draws it, as SVG.
pub fn draw(text: &str) -> String {
    let rows: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let (width, height) = (columns * WIDTH + 2 * MARGIN, rows.len() * HEIGHT + 2 * MARGIN);
    let (mut lines, mut heads, mut words) = (String::new(), String::new(), String::new());
    for (row, letters) in rows.iter().enumerate() {
        let mut word = (0, String::new());
        for (column, letter) in letters.iter().enumerate() {
            match arms(*letter) {
                Some(arms) => {
                    end_word(&mut words, &mut word, row);
                    draw_arms(&mut lines, arms, middle(column, row));
                    draw_head(&mut heads, *letter, middle(column, row));
                }
                None => {
                    if word.1.is_empty() {
                        word.0 = column;
                    }
                    word.1.push(*letter);
                    // Two blanks part words that have nothing to do with each other.
                    if word.1.ends_with("  ") {
                        end_word(&mut words, &mut word, row);
                    }
                }
            }
        }
        end_word(&mut words, &mut word, row);
        lines.push('\n');
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <path d=\"{lines}\" fill=\"none\" stroke=\"#59636e\" stroke-width=\"1.2\"/>\n\
         <path d=\"{heads}\" fill=\"#59636e\"/>\n\
         <g font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"13\" fill=\"#1f2328\">\n{words}</g>\n\
         </svg>\n"
    )
}

fn draw_arms(lines: &mut String, [left, right, up, down]: [bool; 4], (x, y): (usize, usize)) {
    let (half, above) = (WIDTH / 2, HEIGHT / 2);
    // Writing to a text does not fail.
    if left || right {
        let (from, to) = (if left { x - half } else { x }, if right { x + half } else { x });
        // A line that goes on is one.
        match lines.strip_suffix(&format!("H{from}")) {
            Some(_) => lines.truncate(lines.len() - format!("H{from}").len()),
            None => drop(write!(lines, "M{from} {y}")),
        }
        let _ = write!(lines, "H{to}");
    }
    if up || down {
        let (from, to) = (if up { y - above } else { y }, if down { y + HEIGHT - above } else { y });
        let _ = write!(lines, "M{x} {from}V{to}");
    }
}

fn draw_head(heads: &mut String, letter: char, (x, y): (usize, usize)) {
    let _ = match letter {
        '►' => write!(heads, "M{} {}l8 4l-8 4z", x - 4, y - 4),
        '◄' => write!(heads, "M{} {}l-8 4l8 4z", x + 4, y - 4),
        '▼' => write!(heads, "M{} {}l4 8l4 -8z", x - 4, y - 4),
        '▲' => write!(heads, "M{} {}l4 -8l4 8z", x - 4, y + 4),
        _ => Ok(()),
    };
}

fn end_word(words: &mut String, (column, word): &mut (usize, String), row: usize) {
    let text = std::mem::take(word);
    let before = text.len() - text.trim_start().len();
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    let (x, y) = (MARGIN + (*column + before) * WIDTH, MARGIN + row * HEIGHT + 13);
    let length = text.chars().count() * WIDTH;
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(words, "<text x=\"{x}\" y=\"{y}\" textLength=\"{length}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_drawn_and_words_stay_in_their_places() {
        let svg = draw("┌─► a <b  c\n");
        assert!(svg.contains("d=\"M14 18H18M14 18V27M18 18H30\n\""), "{svg}");
        assert!(svg.contains("M26 14l8 4l-8 4z"), "{svg}");
        assert!(svg.contains("<text x=\"42\" y=\"23\" textLength=\"32\">a &lt;b</text>"), "{svg}");
        assert!(svg.contains("<text x=\"90\" y=\"23\" textLength=\"8\">c</text>"), "{svg}");
    }
}
