//! What the pages say root types in a guest is typed, as it stands there, in this machine's own system below a mount
//! name space: nothing on it changes. The folder has the sources, and what `cargo package-nanova` makes; xenstore is
//! there.

#[allow(dead_code, reason = "not every file has a use for all of it")]
mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use common::{dist, in_a_system, succeed};
use nanova_tests::agent;
use nanova_tests::pages::{self, Line, Place, workspace};

/// What a guest has beforehand: the agent, unless a page installs a package, a root of another system, and an apt that
/// need not become another user.
const BEFORE: &str = r#"
mount -t tmpfs srv /srv
mkdir -p /srv/guest/etc
echo 'APT::Sandbox::User "root";' >/etc/apt/apt.conf.d/99nanova
"#;

/// A folder as somebody has it who has the sources, and has made packages and signed their sums.
fn folder(home: &Path) {
    for entry in fs::read_dir(workspace()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name != "target" && name != "dist" {
            symlink(&path, home.join(name)).unwrap();
        }
    }
    fs::create_dir_all(home.join("target/release")).unwrap();
    fs::copy(agent::binary(), home.join("target/release/nanova")).unwrap();
    for entry in fs::read_dir(dist()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, home.join(path.file_name().unwrap())).unwrap();
    }
    let sign = "minisign -G -W -p nanova.pub -s nanova.key && minisign -S -s nanova.key -m SHA256SUMS";
    succeed(Command::new("sh").args(["-ec", sign]).current_dir(home));
    // Who builds on one machine and types in a guest has built before.
    let initramfs = agent::executable(agent::cargo().args(["build", "--quiet", "-p", "nanova-initramfs", agent::TELL]));
    let script =
        format!("#!/bin/sh\n[ \"$1\" = initramfs ] && shift && exec {} \"$@\"\n", initramfs.unwrap().display());
    fs::create_dir(home.join("programs")).unwrap();
    fs::write(home.join("programs/cargo"), script).unwrap();
    fs::set_permissions(home.join("programs/cargo"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
#[ignore = "needs nfpm, user namespaces, minisign, dpkg and apt-get"]
fn every_command_line_for_a_guest_does_what_it_is_for() {
    let home = tempfile::tempdir().unwrap();
    folder(home.path());
    let mut typed = 0;
    for page in pages::all() {
        let lines: Vec<Line> = page.command_lines().into_iter().filter(|line| line.place == Place::Guest).collect();
        if lines.is_empty() {
            continue;
        }
        typed += lines.len();
        let has = |word: &str| lines.iter().any(|line| line.text.contains(word));
        let mut before = BEFORE.to_owned();
        if !has("apt install") {
            before.push_str("install -m 755 target/release/nanova /usr/sbin/nanova\n");
        }
        // Whether all is well is said of a guest with an agent.
        if has("nanova status") && !has("apt install") {
            before.push_str("nanova agent 2>/run/log & \nuntil_ok sh -c '[ \"$(nanova xenstore read data/nanova/state)\" = ready ]'\n");
        }
        let script = home.path().join("script");
        let text: String =
            lines.iter().map(|line| format!("echo '>> line {}'\n{}\n", line.number, line.text)).collect();
        fs::write(&script, text).unwrap();
        let run = format!(
            "cd {}; PATH=$PWD/programs:$PATH\n{before}sh -eu {} 2>&1 </dev/null && echo all of it works",
            home.path().display(),
            script.display()
        );
        let said = in_a_system(&run);
        let works = said.iter().any(|line| line == "all of it works");
        assert!(works, "{}:\n{}", page.name, said.join("\n"));
        println!("{}: {} lines", page.name, lines.len());
    }
    assert!(typed > 20, "{typed}");
}
