//! The script all hooks call, run with a nanova that does what it is told.

#[path = "common/hooks.rs"]
mod hooks;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes an executable script.
fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs early-network with this kernel command line and this program in nanova's place: what it printed to stderr, and
/// what nanova was called with.
fn early_network(home: &Path, cmdline: &str, nanova: &str, timeout: &str) -> (String, String) {
    let installed = hooks::install(home);
    let hook = installed.iter().find(|path| path.ends_with("early-network")).unwrap();
    let text = fs::read_to_string(hook).unwrap();
    assert!(text.contains("</proc/cmdline"));
    let (line, calls) = (home.join("cmdline"), home.join("calls"));
    fs::write(&line, format!("{cmdline}\n")).unwrap();
    fs::write(&calls, "").unwrap();
    script(hook, &text.replace("</proc/cmdline", &format!("<{}", line.display())));
    let bin = home.join("bin");
    fs::create_dir_all(&bin).unwrap();
    script(&bin.join("modprobe"), "#!/bin/sh\nexit 1\n");
    script(&bin.join("timeout"), timeout);
    if !nanova.is_empty() {
        script(&bin.join("nanova"), &format!("#!/bin/sh\necho \"$@\" >>{}\n{nanova}\n", calls.display()));
    }
    let run = format!("PATH={} {} --handover klibc", bin.display(), hook.display());
    let output = hooks::run("sh", &["-c", &run]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    (String::from_utf8(output.stderr).unwrap(), fs::read_to_string(calls).unwrap())
}

const TIMEOUT: &str = "#!/bin/sh\nshift\nexec \"$@\"\n";
const CALL: &str = "network --handover klibc --wait 10 -q -l warn\n";

#[test]
fn it_is_silent_when_all_is_well_and_outside_xen() {
    for nanova in ["exit 0", "exit 77"] {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(early_network(home.path(), "quiet", nanova, TIMEOUT), (String::new(), CALL.into()));
    }
}

#[test]
fn a_failure_is_one_line() {
    for (nanova, says) in [
        ("echo nanova: no vif >&2; exit 1", "nanova: no vif\n"),
        (
            "exit 126",
            "nanova: the network is not set up (nanova network ended with status 126); the boot goes on without\n",
        ),
    ] {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(early_network(home.path(), "quiet", nanova, TIMEOUT), (says.into(), CALL.into()));
    }
}

#[test]
fn a_nanova_that_hangs_is_ended() {
    let home = tempfile::tempdir().unwrap();
    // What the real timeout does when its 20 seconds are over.
    let (says, _) = early_network(home.path(), "quiet", "exit 0", "#!/bin/sh\n[ \"$1\" = 20 ] && exit 124\n");
    assert!(says.contains("status 124") && says.lines().count() == 1, "{says}");
}

#[test]
fn nothing_happens_when_it_is_off_or_not_there() {
    for (cmdline, nanova) in
        [("ro nanova.network=off quiet", "exit 0"), ("nanova.network=off", "exit 0"), ("quiet", "")]
    {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(early_network(home.path(), cmdline, nanova, TIMEOUT), (String::new(), String::new()));
    }
}
