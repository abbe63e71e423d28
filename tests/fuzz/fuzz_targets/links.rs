//! Links of a guest's file system, of any shape: a walk ends after a bounded number of steps, follows no link of
//! another user's, and where it says that a file lies there is one without a link on the way.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use nanova_core::files::walk::{Opened, Steps, link_target, walk};
use nanova_core::platform::FileKind;
use nanova_core::wire::errno::Errno;

#[derive(Arbitrary, Debug)]
struct Node {
    /// In which of the directories before it, and under which of a few names.
    directory: u8,
    name: u8,
    kind: u8,
    owner: u8,
    /// Where a link leads: names, or text.
    to: Vec<u8>,
}

const NAMES: [&str; 6] = ["a", "b", "etc", "c", "..", "."];

struct Tree {
    nodes: Vec<(usize, &'static str, Opened, String)>,
    steps: usize,
    followed: Vec<u32>,
}

impl Tree {
    fn of(nodes: Vec<Node>) -> Tree {
        let root = Opened { kind: FileKind::Directory, id: (1, 0), owner: 0, others_write: false };
        let mut tree = Tree { nodes: vec![(0, "", root, String::new())], steps: 0, followed: Vec::new() };
        for node in nodes.into_iter().take(24) {
            let id = (1, tree.nodes.len() as u64);
            let directories =
                tree.nodes.iter().enumerate().filter(|(_, (.., opened, _))| opened.kind == FileKind::Directory);
            let directories = directories.map(|(place, _)| place).collect::<Vec<_>>();
            let kind = match node.kind % 8 {
                0..=2 => FileKind::Directory,
                3 => FileKind::Regular,
                4 => FileKind::Other,
                _ => FileKind::Symlink,
            };
            let to = node.to.iter().map(|byte| NAMES.get(usize::from(byte % 8)).copied().unwrap_or("/"));
            let to = to.take(40).collect::<Vec<_>>().join(if node.kind & 64 == 0 { "/" } else { "" });
            let (owner, others_write) = (u32::from(node.owner % 4 / 2) * 1000, node.owner % 5 == 0);
            let opened = Opened { kind, id, owner, others_write };
            let directory = directories[usize::from(node.directory) % directories.len()];
            tree.nodes.push((directory, NAMES[usize::from(node.name % 4)], opened, to));
        }
        tree
    }
}

impl Steps for Tree {
    type Handle = usize;

    fn root(&mut self) -> Result<(usize, Opened), Errno> {
        self.steps += 1;
        Ok((0, self.nodes[0].2))
    }

    fn open(&mut self, directory: &usize, name: &str) -> Result<(usize, Opened), Errno> {
        self.steps += 1;
        assert!(!name.is_empty() && name != "." && !name.contains('/'), "{name:?} is no name");
        let place = match name {
            ".." => Some(self.nodes[*directory].0),
            name => {
                self.nodes.iter().skip(1).position(|(of, known, ..)| of == directory && *known == name).map(|at| at + 1)
            }
        };
        let place = place.ok_or(Errno::NOENT)?;
        Ok((place, self.nodes[place].2))
    }

    fn read_link(&mut self, link: &usize, room: &mut [u8]) -> Result<usize, Errno> {
        self.steps += 1;
        let (.., opened, to) = &self.nodes[*link];
        assert_eq!(opened.kind, FileKind::Symlink);
        self.followed.push(opened.owner);
        let len = to.len().min(room.len());
        room[..len].copy_from_slice(&to.as_bytes()[..len]);
        Ok(len)
    }

    fn own_user(&mut self) -> u32 {
        0
    }
}

fuzz_target!(|input: (Vec<u8>, Vec<Node>)| {
    let (names, nodes) = input;
    let names = names.iter().take(20).map(|byte| NAMES[usize::from(byte % 6)]).collect::<Vec<_>>();
    let path = names.join("/");
    let mut tree = Tree::of(nodes);
    let _ = walk(&mut tree, &path);
    let target = link_target(&mut tree, &path);
    assert!(tree.steps < 20_000, "{} steps", tree.steps);
    assert!(tree.followed.iter().all(|owner| *owner == 0), "no link of another user's is followed");
    if let Ok(target) = target {
        let mut here = 0;
        for name in target.strip_prefix('/').expect("from the root on").split('/') {
            (here, _) = tree.open(&here, name).expect("it is there");
            assert_ne!(tree.nodes[here].2.kind, FileKind::Symlink, "no link is on the way");
        }
        assert_eq!(tree.nodes[here].2.kind, FileKind::Regular);
    }
});
