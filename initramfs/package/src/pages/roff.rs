//! What man(1) reads: man(7)'s macros, as groff and mandoc know them both.
//!
//! Guarantees: no text becomes a request, whatever it begins with; what is to be typed can be copied (a `-` is the one
//! of the keyboard, and so are quotes); there is nothing but ASCII in it.

use std::fmt::Write;

use super::markdown::Block;

/// A line is filled up to this column.
const WIDTH: usize = 78;

/// A letter of what is to be typed.
fn typed(letter: char, into: &mut String) {
    match letter {
        '-' => into.push_str("\\-"),
        '\'' => into.push_str("\\(aq"),
        '`' => into.push_str("\\(ga"),
        '^' => into.push_str("\\(ha"),
        '~' => into.push_str("\\(ti"),
        '"' => into.push_str("\\(dq"),
        other => plain(other, into),
    }
}

/// A letter of a sentence.
fn plain(letter: char, into: &mut String) {
    // Writing to a text does not fail.
    let _ = match letter {
        '\\' => write!(into, "\\e"),
        '~' => write!(into, "\\(ti"),
        '^' => write!(into, "\\(ha"),
        '`' => write!(into, "\\(ga"),
        letter if letter.is_ascii() => write!(into, "{letter}"),
        letter => write!(into, "\\[u{:04X}]", u32::from(letter)),
    };
}

/// What is to be typed.
pub(super) fn code(text: &str) -> String {
    let mut out = String::new();
    text.chars().for_each(|letter| typed(letter, &mut out));
    out
}

/// A sentence with its marks: `code`, **strong**, *said otherwise*, [a link](to something).
pub(super) fn inline(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(letter) = rest.chars().next() {
        if let Some((code, behind)) = between(rest, "`") {
            out.push_str("\\fB");
            code.chars().for_each(|letter| typed(letter, &mut out));
            out.push_str("\\fR");
            rest = behind;
        } else if let Some((strong, behind)) = between(rest, "**") {
            let _ = write!(out, "\\fB{}\\fR", inline(strong));
            rest = behind;
        } else if let Some((said, behind)) = between(rest, "*").filter(|(said, _)| !said.starts_with(' ')) {
            let _ = write!(out, "\\fI{}\\fR", inline(said));
            rest = behind;
        } else if let Some((shown, target, behind)) = link(rest) {
            out.push_str(&inline(shown));
            if target.starts_with("https://") {
                let _ = write!(out, " ({})", code(target));
            }
            rest = behind;
        } else if let Some(escaped) = rest.strip_prefix('\\').and_then(|rest| rest.chars().next()) {
            plain(escaped, &mut out);
            rest = &rest[1 + escaped.len_utf8()..];
        } else {
            plain(letter, &mut out);
            rest = &rest[letter.len_utf8()..];
        }
    }
    out
}

/// What stands between two marks at the beginning, and what is behind them.
fn between<'t>(text: &'t str, mark: &str) -> Option<(&'t str, &'t str)> {
    text.strip_prefix(mark)?.split_once(mark).filter(|(inside, _)| !inside.is_empty())
}

fn link(text: &str) -> Option<(&str, &str, &str)> {
    let (shown, rest) = text.strip_prefix('[')?.split_once("](")?;
    let (target, behind) = rest.split_once(')')?;
    (!shown.contains('[')).then_some((shown, target, behind))
}

/// Text on lines of its own, none of which is a request.
pub(super) fn fill(text: &str) -> String {
    let (mut out, mut line) = (String::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            end_line(&mut out, &mut line);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    end_line(&mut out, &mut line);
    out
}

fn end_line(out: &mut String, line: &mut String) {
    if line.starts_with(['.', '\'']) {
        out.push_str("\\&");
    }
    out.push_str(line);
    if !line.is_empty() {
        out.push('\n');
    }
    line.clear();
}

/// A tag, and what it is: an option, a key.
pub(super) fn tagged(tag: &str, text: &str) -> String {
    let text = if text.is_empty() { "\\&\n".to_owned() } else { fill(text) };
    // On one line, whatever its length.
    let mut line = tag.trim().to_owned();
    let mut out = ".TP\n".to_owned();
    end_line(&mut out, &mut line);
    out + &text
}

/// A heading.
pub(super) fn heading(is_first: bool, title: &str) -> String {
    let title = if is_first { title.to_uppercase() } else { title.to_owned() };
    let macro_name = if is_first { "SH" } else { "SS" };
    format!(".{macro_name} \"{}\"\n", inline(&title).replace('"', "\\(dq"))
}

/// All of a page's body but its title.
pub(super) fn body(blocks: &[Block]) -> String {
    let mut out = String::new();
    // The first paragraph behind a heading needs no distance.
    let mut is_first = true;
    for block in blocks {
        match block {
            Block::Heading(level, title) => out.push_str(&heading(*level <= 2, title)),
            Block::Paragraph(text) => {
                if !is_first {
                    out.push_str(".PP\n");
                }
                out.push_str(&fill(&inline(text)));
            }
            Block::Item(mark, text) => {
                let mark = if mark.ends_with('.') { mark.as_str() } else { "\\(bu" };
                let _ = writeln!(out, ".IP {mark} 4");
                out.push_str(&fill(&inline(text)));
            }
            Block::Code(lines) => {
                if !is_first {
                    out.push_str(".PP\n");
                }
                out.push_str(&example(lines));
            }
            Block::Table(head, rows) => {
                for row in rows {
                    out.push_str(&row_of(head, row));
                }
            }
        }
        is_first = matches!(block, Block::Heading(..));
    }
    out
}

fn example(lines: &[String]) -> String {
    let mut out = ".RS 4\n.EX\n".to_owned();
    for line in lines {
        end_line(&mut out, &mut code(line));
        if line.is_empty() {
            out.push_str("\\&\n");
        }
    }
    out + ".EE\n.RE\n"
}

/// The first cell is the tag, the second is what it is; what the others are their heads say.
fn row_of(head: &[String], row: &[String]) -> String {
    let mut text = String::new();
    for (place, cell) in row.iter().enumerate().skip(1).filter(|(_, cell)| !cell.is_empty()) {
        if place > 1 && !text.is_empty() {
            let _ = write!(text, " ({}: {})", head.get(place).map_or("", String::as_str), cell);
        } else {
            text.push_str(cell);
        }
    }
    tagged(&inline(row.first().map_or("", String::as_str)), &inline(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_a_request_and_what_is_typed_can_be_copied() {
        assert_eq!(fill(".so x"), "\\&.so x\n");
        assert_eq!(fill("'br"), "\\&'br\n");
        assert_eq!(code("a-b '\\`~^\""), "a\\-b \\(aq\\e\\(ga\\(ti\\(ha\\(dq");
        assert_eq!(
            inline("so-so `--x` **b** *c* [d](e.md) …"),
            "so-so \\fB\\-\\-x\\fR \\fBb\\fR \\fIc\\fR d \\[u2026]"
        );
        assert_eq!(inline("\\<MAC> 2 * 3"), "<MAC> 2 * 3");
        assert_eq!(example(&[".x".to_owned(), String::new()]), ".RS 4\n.EX\n\\&.x\n\\&\n.EE\n.RE\n");
    }

    #[test]
    fn a_rows_further_cells_say_what_they_are() {
        let own = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let row = row_of(&own(&["key", "is", "also"]), &own(&["`a`", "b", "c"]));
        assert_eq!(row, ".TP\n\\fBa\\fR\nb (also: c)\n");
        assert_eq!(row_of(&own(&["key", "is", "also"]), &own(&["a", "", ""])), ".TP\na\n\\&\n");
    }
}
