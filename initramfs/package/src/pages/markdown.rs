//! As much of Markdown as the pages use: headings, paragraphs, lists, tables, fences.

/// A part of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// How deep, and what it says.
    Heading(usize, String),
    /// On one line.
    Paragraph(String),
    /// One of a list: its mark, and what it says, on one line.
    Item(String, String),
    /// The lines of a fence.
    Code(Vec<String>),
    /// The cells of the head, and of each row.
    Table(Vec<String>, Vec<Vec<String>>),
}

/// Takes a page apart.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = text.lines().peekable();
    // Whether the next line of text goes on with the last block.
    let mut goes_on = false;
    while let Some(line) = lines.next() {
        let text = line.trim();
        if text.starts_with("```") {
            let fenced = lines.by_ref().take_while(|line| !line.trim().starts_with("```"));
            blocks.push(Block::Code(fenced.map(|line| line.strip_prefix("   ").unwrap_or(line).to_owned()).collect()));
            goes_on = false;
        } else if text.is_empty() {
            goes_on = false;
        } else if text.starts_with('#') {
            let title = text.trim_start_matches('#');
            blocks.push(Block::Heading(text.len() - title.len(), title.trim().to_owned()));
            goes_on = false;
        } else if text.starts_with('|') {
            let head = cells(text);
            let mut rows = Vec::new();
            while let Some(line) = lines.next_if(|line| line.trim().starts_with('|')) {
                rows.push(cells(line.trim()));
            }
            // The first row is the line below the head.
            blocks.push(Block::Table(head, rows.split_off(1)));
            goes_on = false;
        } else if let Some((mark, text)) = item(text) {
            blocks.push(Block::Item(mark.to_owned(), text.to_owned()));
            goes_on = true;
        } else {
            match blocks.last_mut() {
                Some(Block::Paragraph(last) | Block::Item(_, last)) if goes_on => {
                    last.push(' ');
                    last.push_str(text);
                }
                _ => blocks.push(Block::Paragraph(text.to_owned())),
            }
            goes_on = true;
        }
    }
    blocks
}

/// `* text`, `1. text`.
fn item(text: &str) -> Option<(&str, &str)> {
    let (mark, rest) = text.split_once(' ')?;
    let is_number = mark.strip_suffix('.').is_some_and(|number| number.parse::<u8>().is_ok());
    (is_number || mark == "*" || mark == "-").then_some((mark, rest))
}

fn cells(row: &str) -> Vec<String> {
    let row = row.trim_start_matches('|').trim_end_matches('|').replace("\\|", "\u{0}");
    row.split('|').map(|cell| cell.replace('\u{0}', "|").trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_apart() {
        let text = "# A\none\ntwo\n\n* x\n  y\n* z\n```sh guest\n  a\n```\n| h | i |\n|---|---|\n| b\\|c | |\nend\n";
        let own = str::to_owned;
        let expected = [
            Block::Heading(1, own("A")),
            Block::Paragraph(own("one two")),
            Block::Item(own("*"), own("x y")),
            Block::Item(own("*"), own("z")),
            Block::Code(vec![own("  a")]),
            Block::Table(vec![own("h"), own("i")], vec![vec![own("b|c"), own("")]]),
            Block::Paragraph(own("end")),
        ];
        assert_eq!(blocks(text), expected);
    }
}
