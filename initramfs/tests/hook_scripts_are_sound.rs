//! Every hook script parses with the shells that will read it, and shellcheck has nothing to say.

#[path = "common/hooks.rs"]
mod hooks;

use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The shell named in a script's first line, `None` for mkinitfs's lists.
fn shell(text: &str) -> Option<&str> {
    text.lines().next()?.strip_prefix("#!/")?.rsplit(['/', ' ']).next()
}

fn check(also: fn(&str, &str)) {
    let home = tempfile::tempdir().unwrap();
    let mut scripts = 0;
    for path in hooks::install(home.path()) {
        let (text, path) = (fs::read_to_string(&path).unwrap(), path.to_str().unwrap().to_owned());
        if let Some(shell) = shell(&text) {
            scripts += 1;
            also(shell, &path);
        }
    }
    assert_eq!(scripts, 9);
}

fn accepts(program: &str, arguments: &[&str]) {
    let output = hooks::run(program, arguments);
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

#[test]
fn sh_parses_them() {
    check(|shell, path| match shell {
        "sh" | "ash" => accepts("sh", &["-n", path]),
        other => assert_eq!(other, "bash", "{path}"),
    });
}

#[test]
#[ignore = "needs dash, bash and busybox"]
fn the_shells_they_meet_parse_them() {
    check(|shell, path| match shell {
        "bash" => accepts("bash", &["-n", path]),
        _ => ["dash", "bash"].iter().for_each(|shell| accepts(shell, &["-n", path])),
    });
    check(|shell, path| {
        if shell != "bash" {
            accepts("busybox", &["sh", "-n", path]);
        }
    });
}

#[test]
#[ignore = "needs shellcheck"]
fn shellcheck_has_nothing_to_say() {
    check(|_, path| accepts("shellcheck", &[path]));
}

#[test]
fn they_have_the_modes_their_readers_want() {
    let home = tempfile::tempdir().unwrap();
    for path in hooks::install(home.path()) {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let sourced = ["initcpio", "mkinitfs/"].iter().any(|part| path.to_str().unwrap().contains(part));
        assert_eq!(mode, if sourced { 0o644 } else { 0o755 }, "{}", path.display());
    }
}

#[test]
fn all_is_installed_though_nobody_reads_what() {
    let root = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_nanova-initramfs"));
    let output = program.arg("--install-hooks").arg(root.path()).stdout(writer).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let again = hooks::install(root.path());
    assert!(again.len() > 10 && again.iter().all(|path| path.is_file()), "{again:?}");
}

#[test]
fn a_place_that_cannot_be_written_leaves_none_of_them() {
    let root = tempfile::tempdir().unwrap();
    // The last of them has no place.
    std::fs::create_dir_all(root.path().join("etc")).unwrap();
    std::fs::write(root.path().join("etc/mkinitfs"), "a file").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_nanova-initramfs"))
        .arg("--install-hooks")
        .arg(root.path())
        .env_remove("CARGO_MANIFEST_DIR")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.starts_with("nanova-initramfs: cannot install "), "{said}");
    let files = walkdir::WalkDir::new(root.path()).into_iter().filter(|entry| entry.as_ref().unwrap().path().is_file());
    assert_eq!(files.count(), 1);
}
