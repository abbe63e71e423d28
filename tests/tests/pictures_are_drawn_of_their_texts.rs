//! The pages' pictures are drawn of texts beside them: `PICTURES=write cargo test -p nanova-tests --test
//! pictures_are_drawn_of_their_texts` draws them anew.

use std::fs;

use anyhow::Result;
use nanova_tests::pages::{self, workspace};
use nanova_tests::picture;

/// The texts.
const TEXTS: [&str; 2] = ["agent/where.txt", "core/parts.txt"];

#[test]
fn each_picture_is_that_of_its_text() -> Result<()> {
    for text in TEXTS {
        let text = workspace().join(text);
        let (drawn, kept) = (picture::draw(&fs::read_to_string(&text)?), text.with_extension("svg"));
        if std::env::var_os("PICTURES").is_some() {
            fs::write(&kept, &drawn)?;
        }
        let is_kept = fs::read_to_string(&kept).is_ok_and(|picture| picture == drawn);
        assert!(is_kept, "{} is not of {}", kept.display(), text.display());
    }
    Ok(())
}

#[test]
fn a_page_shows_each_and_the_picture_of_the_parts_has_every_room_of_core() -> Result<()> {
    let shown: String = pages::all().iter().flat_map(pages::Page::links).map(|(_, link)| link + "\n").collect();
    for text in TEXTS {
        let name = text.replace(".txt", ".svg");
        assert!(shown.lines().any(|link| name.ends_with(link) || link.ends_with(&name)), "no page shows {name}");
    }
    let picture = fs::read_to_string(workspace().join("core/parts.txt"))?;
    let page = fs::read_to_string(workspace().join("core/README.md"))?;
    let root = fs::read_to_string(workspace().join("core/src/lib.rs"))?;
    for room in root.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
        if !room.starts_with("test_") {
            assert!(picture.contains(room), "core/parts.txt lacks {room}");
            assert!(page.contains(&format!("`{room}`")), "core/README.md lacks {room}");
        }
    }
    Ok(())
}
