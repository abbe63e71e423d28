//! Network managers' files in memory, and what every edit of them has to keep to.

use std::fmt::Arguments;
use std::sync::LazyLock;

use nanova_core::files::lines::{Edit, Old, Sink};
use nanova_core::network::managers::manager::{ConfigFiles, Maker};
use nanova_core::network::managers::{PersistentConfig, names, registry};
use nanova_core::network::model::{Interface, Placed};
use nanova_core::platform::GuestPath;

use crate::model::interface;

/// Longest line that an edit sees as one.
const LINE_MAX: usize = 1024;

/// Interfaces of every kind, in every combination.
static INTERFACES: LazyLock<Vec<Vec<Interface>>> = LazyLock::new(|| {
    let rich = r#"{"ips":[{"ip":"10.0.0.5","netmask":24},{"ip":"10.0.1.5","netmask":24}],"broadcast":"10.0.0.9",
        "ip6s":[{"ip":"2001:db8::5","netmask":64},{"ip":"2001:db8::7","netmask":128}],
        "gateway":"172.16.0.1","gateway_v6":"2001:db9::1","mtu":1400,"dns":["9.9.9.9","2620:fe::fe"],
        "routes":[{"route":"10.208.0.0","netmask":12,"gateway":"10.0.1.1"},{"route":"192.0.2.0","netmask":24}]}"#;
    let near = r#"{"ips":[{"ip":"10.9.0.5","netmask":24}],"ip6s":[{"ip":"2001:db8:9::5","netmask":64}],
        "gateway":"10.9.0.1","gateway_v6":"fe80::1","dns":["10.9.0.1"]}"#;
    let mut left = interface("020000000003", r#"{"dns":["10.9.0.2"]}"#);
    left.left_alone = [true; 2];
    let all = [interface("020000000000", rich), interface("020000000001", near), interface("020000000002", "{}"), left];
    let chosen = |which: usize| (0..4).filter(move |number| which >> number & 1 != 0);
    (0..16).map(|which| chosen(which).map(|number| all[number].clone()).collect()).collect()
});

/// A line of an old file, or a piece of one, and what an edit wrote upon it.
pub struct Fed<'f> {
    /// The line, or piece, without its newline.
    pub old: &'f [u8],
    /// Whether that is a whole line.
    pub is_line: bool,
    /// What was written.
    pub new: &'f [u8],
}

impl Fed<'_> {
    /// Whether the old one is still there.
    pub fn is_kept(&self) -> bool {
        let new = if self.is_line { self.new.strip_suffix(b"\n") } else { Some(self.new) };
        new.is_some_and(|new| new.strip_suffix(b"\n").unwrap_or(new).ends_with(self.old))
    }
}

/// The files of a guest.
#[derive(Default)]
pub struct Files<'j> {
    /// Path and contents.
    pub files: Vec<(String, Vec<u8>)>,
    /// Which signs are there: one bit each, over and over.
    pub signs: u8,
    /// Judges each edit of a file: the path, and what became of its lines.
    judge: Option<Judge<'j>>,
}

/// Looks at an edit of one file.
type JudgeOne<'j> = &'j dyn Fn(&[Fed<'_>]);

/// Looks at an edit.
pub type Judge<'j> = &'j dyn Fn(&str, &[Fed<'_>]);

struct Text(Vec<u8>);

impl Sink for Text {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// An edit, run as core does: lines, pieces of long lines, the end. A last line without a newline gets one only if
/// something comes behind it.
fn run(old: &[u8], edit: Edit<'_>, judge: Option<JudgeOne<'_>>) -> Vec<u8> {
    let (mut out, mut fed) = (Text(Vec::with_capacity(old.len() + 512)), Vec::new());
    let (mut rest, mut is_unterminated) = (old, false);
    while !rest.is_empty() {
        let newline = rest.iter().take(LINE_MAX).position(|byte| *byte == b'\n');
        let at = out.0.len();
        // Behind a piece of a long line comes the rest of it.
        let goes_on =
            fed.last().is_some_and(|(_, is_whole, _)| !is_whole) && !old[..old.len() - rest.len()].ends_with(b"\n");
        let (now, later) = match newline {
            Some(end) => rest.split_at(end + 1),
            None => rest.split_at(rest.len().min(LINE_MAX)),
        };
        let is_line = !goes_on && now.len() < LINE_MAX + usize::from(newline.is_some());
        let line = now.strip_suffix(b"\n").unwrap_or(now);
        edit(if is_line { Old::Line(line) } else { Old::Piece(now) }, &mut out);
        rest = later;
        is_unterminated = rest.is_empty() && newline.is_none();
        fed.push((line, is_line, at..out.0.len()));
    }
    let before_end = out.0.len();
    edit(Old::End, &mut out);
    if let Some(judge) = judge {
        let fed = fed.iter().map(|(old, is_line, new)| Fed { old, is_line: *is_line, new: &out.0[new.clone()] });
        judge(&fed.collect::<Vec<_>>());
    }
    if is_unterminated && out.0.len() == before_end {
        if out.0.ends_with(b"\n") {
            out.0.pop();
        }
    } else if is_unterminated && before_end > 0 && out.0[before_end - 1] != b'\n' {
        out.0.insert(before_end, b'\n');
    }
    out.0
}

impl ConfigFiles for Files<'_> {
    fn is_file(&mut self, path: &str) -> bool {
        self.files.iter().any(|(known, _)| known == path)
    }

    fn exists(&mut self, paths: &[GuestPath<'static>]) -> bool {
        paths.iter().any(|path| self.signs >> (path.as_str().len() % 8) & 1 != 0)
    }

    fn make_way(&mut self, _path: GuestPath<'static>, _makers: &[Maker]) {}

    fn warn(&mut self, text: Arguments<'_>) {
        assert!(!text.to_string().is_empty());
    }

    fn edit(&mut self, path: Arguments<'_>, _mode: u32, edit: Edit<'_>) {
        let path = path.to_string();
        assert!(GuestPath::new(&path).is_ok(), "{path} is a path");
        let place = self.files.iter().position(|(known, _)| *known == path).unwrap_or_else(|| {
            self.files.push((path.clone(), Vec::new()));
            self.files.len() - 1
        });
        let old = &self.files[place].1;
        let new = match self.judge {
            // It is run twice, to compare and to write.
            Some(judge) => {
                let once = run(old, edit, None);
                let new = run(old, edit, Some(&|fed| judge(&path, fed)));
                assert!(new == once, "an edit starts anew");
                new
            }
            None => run(old, edit, None),
        };
        self.files[place].1 = new;
    }
}

/// Has a manager write over these files, and has the edits judged. Writing a second time changes nothing. Returns the
/// files.
///
/// `choice` says which interfaces there are, whether those are all, and what the guest and its devices are called.
pub fn write(style: &str, choice: [u8; 2], files: &[(&str, &[u8])], judge: Judge<'_>) -> Vec<(String, Vec<u8>)> {
    let [which, how] = choice;
    let interfaces = &INTERFACES[usize::from(which % 16)];
    let devices = if which & 16 == 0 { ["eth0", "eth1", "enX2", "eth0.5"] } else { ["enp0s1", "eth9", "a$(b)", "é"] };
    let placed = interfaces.iter().zip(devices).map(|(interface, device)| {
        let device = Some(device).filter(|_| which & 32 == 0);
        Placed { interface, device }
    });
    let placed = placed.collect::<Vec<_>>();
    let manager = registry::named(style).expect("there is such a manager");
    let config = PersistentConfig {
        manager,
        hostname: [None, Some("web01"), Some("web01.example.org"), Some("localhost")][usize::from(how & 3)],
        former_name: ["", "old"][usize::from(how >> 2 & 1)],
        placed: &placed,
        interfaces,
        sound: how & 8 == 0,
        tidy: true,
    };
    let files = files.iter().map(|(path, contents)| ((*path).to_owned(), contents.to_vec())).collect();
    let mut guest = Files { files, signs: which ^ how, judge: Some(judge) };
    let all = |guest: &mut Files<'_>| {
        if style == "none" {
            names::write(&config, guest);
        } else {
            (manager.write)(&config, guest);
        }
    };
    all(&mut guest);
    let mut again = Files { files: guest.files.clone(), judge: None, ..guest };
    all(&mut again);
    for ((path, once), (_, twice)) in guest.files.iter().zip(&again.files) {
        assert!(
            once == twice,
            "{path} is written twice: {:?} {:?}",
            String::from_utf8_lossy(once),
            String::from_utf8_lossy(twice)
        );
    }
    guest.files
}

/// Nothing goes but what these say: a line that is ours, and what goes with the line before it.
pub fn only_these_go(fed: &[Fed<'_>], is_ours: &dyn Fn(&str) -> bool) {
    let mut before_went = false;
    for line in fed {
        let goes = !line.is_kept();
        let text = String::from_utf8_lossy(line.old);
        assert!(
            !goes || before_went || line.is_line && is_ours(&text),
            "{text:?} is gone: {:?}",
            String::from_utf8_lossy(line.new)
        );
        before_went = goes;
    }
}

/// The key of an assignment of a shell.
pub fn key(line: &str) -> &str {
    line.split_once('=').map_or("", |(key, _)| key.trim())
}
