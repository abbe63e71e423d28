//! What of a Rust file is code: the one rule by which lines are counted, of ours and of others.
//!
//! Guarantees: items under `#[cfg(test)]` are left out, comments and blank lines, too. Refuses to understand block
//! comments and `//` in texts: those are counted as they stand.

/// The same text with tests blanked out; every line keeps its number.
pub fn without_tests(text: &str) -> String {
    let (mut kept, mut item) = (String::with_capacity(text.len()), Item::Kept);
    for line in text.lines() {
        if is_for_tests(line) {
            item = Item::Begins;
        }
        if item == Item::Kept {
            kept.push_str(line);
        }
        kept.push('\n');
        item = item.behind(line);
    }
    kept
}

/// Where in an item at the left border a line is.
#[derive(PartialEq)]
enum Item {
    Kept,
    Begins,
    GoesOn,
}

impl Item {
    fn behind(self, line: &str) -> Item {
        let line = line.split(" //").next().unwrap_or_default().trim_end();
        match self {
            Item::Kept => Item::Kept,
            Item::Begins if line.starts_with('#') => Item::Begins,
            Item::Begins if line.ends_with([';', '}']) => Item::Kept,
            // A text may have any lines but this.
            Item::Begins | Item::GoesOn => {
                if matches!(line, "}" | "};" | ");") {
                    Item::Kept
                } else {
                    Item::GoesOn
                }
            }
        }
    }
}

/// The lines of code, without the comments behind them.
pub fn code(text: &str) -> String {
    let text = without_tests(text);
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.filter(|line| !line.trim().is_empty()).flat_map(|line| [line, "\n"]).collect()
}

/// An attribute of an item that stands by itself, not of one within another.
fn is_for_tests(line: &str) -> bool {
    line.starts_with("#[cfg(test") || line.starts_with("#[cfg(all(test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_comments_and_blanks_are_no_code() {
        let text = "//! What.\n\nuse a::B; // why\n#[cfg(test)]\nuse c::D;\n#[cfg(test)]\n#[path = \"x.rs\"]\nmod tests {\n    \
                    fn f() {\n\"a\na;\";    }\n}\nfn g() {}\n";
        assert_eq!(code(text), "use a::B; \nfn g() {}\n");
        assert_eq!(without_tests(text).lines().count(), text.lines().count());
    }
}
