//! The image as the kernel and `nanova init` find it, judged by the cpio library and by GNU cpio.

#[path = "common/image.rs"]
mod image;

use std::fs;
use std::path::Path;
use std::process::Command;

fn build(home: &Path, more: &[&str]) -> std::process::Output {
    image::agent(home);
    fs::create_dir_all(home.join("tree/sub")).unwrap();
    fs::write(home.join("tree/sub/file"), "content\n").unwrap();
    fs::write(home.join("app"), "#!/bin/sh\n").unwrap();
    Command::new("chmod").args(["0750", "app"]).current_dir(home).status().unwrap();
    let base = ["--agent", "agent", "--output", "i.cpio", "--add", "tree:/opt/x", "--add", "app:/bin/app"];
    image::initramfs(home, &[&base[..], more].concat())
}

#[test]
fn init_is_the_agent_and_its_other_names_point_to_it() {
    let home = tempfile::tempdir().unwrap();
    let output = build(home.path(), &["--exec", "/bin/app --flag x"]);
    assert!(output.status.success(), "{output:?}");
    let found = image::entries(&home.path().join("i.cpio"));
    assert_eq!(found["init"], (0o100755, fs::read(home.path().join("agent")).unwrap()));
    for name in ["poweroff", "reboot", "halt"] {
        assert_eq!(found[&format!("sbin/{name}")], (0o120777, b"/init".to_vec()));
    }
    assert_eq!(found["etc/nanova/cmdline"].1, b"nanova.exec=\"/bin/app --flag x\"\n");
    assert_eq!(found["opt/x/sub/file"].1, b"content\n");
    assert_eq!(found["bin/app"].0, 0o100750);
    assert!(!found.contains_key("etc/nanova/modules"));
    for directory in ["dev", "proc", "sys", "run", "etc", "sbin", "root", "tmp", "newroot"] {
        assert_eq!(found[directory].0 & 0o170000, 0o040000, "{directory}");
    }
    let warnings = String::from_utf8(output.stderr).unwrap();
    assert_eq!(warnings, "warning: /bin/app cannot start: it needs /bin/sh, which is not in the image\n");
    let summary = String::from_utf8(output.stdout).unwrap();
    assert!(summary.starts_with("i.cpio: ") && summary.contains("exec     /bin/app --flag x"), "{summary}");
}

#[test]
fn a_dynamic_program_is_warned_about_until_its_loader_is_there() {
    let home = tempfile::tempdir().unwrap();
    image::compile(home.path(), "int main(void) { return 0; }", &[], "dynamic");
    let add = ["--add", "dynamic:/bin/dynamic"];
    let warnings = String::from_utf8(build(home.path(), &add).stderr).unwrap();
    let line = warnings.lines().find(|line| line.contains("/bin/dynamic")).unwrap();
    let loader = line.split_once("it needs ").unwrap().1.split(',').next().unwrap();
    let more = ["--add", "dynamic:/bin/dynamic", "--add", &format!("{loader}:{loader}")];
    assert!(!String::from_utf8(build(home.path(), &more).stderr).unwrap().contains("/bin/dynamic"));
}

#[test]
fn what_is_wrong_is_said_and_leaves_no_output() {
    let home = tempfile::tempdir().unwrap();
    for (more, status, says) in [
        (&["--add", "app:/init"][..], 1, "/init is already in the image"),
        (&["--add", "missing:/x"], 1, "cannot add missing"),
        (&["--add", "/dev/null:/x"], 1, "only files, directories and links"),
        (&["--agent", "app"], 1, "is not an ELF program"),
        (&["--kernel-modules", "tree"], 1, "no kernel's modules are here"),
        (&["--module", "loop"], 2, "need --kernel-modules"),
    ] {
        let output = build(home.path(), more);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{more:?}: {errors}");
        assert!(errors.contains(says), "{more:?}: {errors}");
        assert!(!home.path().join("i.cpio").exists());
    }
}

#[test]
#[ignore = "needs cpio"]
fn gnu_cpio_lists_and_unpacks_it() {
    let home = tempfile::tempdir().unwrap();
    assert!(build(home.path(), &[]).status.success());
    let shell = |script: &str| {
        let output = Command::new("sh").args(["-ec", script]).current_dir(home.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let list = shell("TZ=UTC cpio -itvn <i.cpio 2>/dev/null");
    let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    for line in &lines {
        assert_eq!(line[2..4], ["0", "0"], "{line:?}");
        assert!(line.contains(&"1970"), "{line:?}");
    }
    for (node, kind, major, minor) in [
        ("dev/console", "crw-------", "5,", "1"),
        ("dev/null", "crw-rw-rw-", "1,", "3"),
        ("dev/kmsg", "crw-r--r--", "1,", "11"),
    ] {
        let line = lines.iter().find(|line| line.last() == Some(&node)).unwrap();
        assert_eq!([line[0], line[4], line[5]], [kind, major, minor]);
    }
    // Nodes need root to be made; the rest does not.
    let unpacked = shell(
        "mkdir u; cd u; cpio -id --quiet -f 'dev/*' <../i.cpio; cmp init ../agent; readlink sbin/reboot; find . | sort",
    );
    assert!(unpacked.starts_with("/init\n.\n./bin\n./bin/app\n"), "{unpacked}");
}
