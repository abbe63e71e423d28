//! Packages of this workspace's agent, and this machine as a system of its own to install them in; nothing on it
//! changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use nanova_tests::agent;
use nanova_tests::xenstored::{Options, Xenstored};
use serde_json::json;
use tempfile::TempDir;

/// The time of all files.
pub(crate) const TIME: &str = "1795780800";

/// Below which nothing that is installed stays. There is a xenstore, and no network but the loopback.
const PRELUDE: &str = r#"
home=$(mktemp -d)
mount -t tmpfs home "$home"
# userxattr: package managers rename folders, and trusted attributes are not for a name space of users.
for top in usr etc var; do
    mkdir "$home/$top" "$home/$top.work"
    mount -t overlay overlay -o "userxattr,lowerdir=/$top,upperdir=$home/$top,workdir=$home/$top.work" "/$top"
done
mount -t tmpfs run /run
mkdir -p /run/xenstored "$home/old"
mount --bind "$XENSTORED" /run/xenstored
# What a test before may have installed by hand is not here.
rm -f /usr/sbin/nanova /usr/sbin/policy-rc.d
# No init says which it is.
export LC_ALL=C DEBIAN_FRONTEND=noninteractive RUNLEVEL=2
serves() { nanova xenstore read data/nanova/state 2>/dev/null || echo no state; }
# Tries a command for ten seconds.
until_ok() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { echo "in vain: $*"; return 1; }
        sleep 0.1
    done
}
agents() { grep -lsx nanova /proc/[0-9]*/comm | wc -l; }
"#;

/// The folder with all that is made, once in a test program. The one for aarch64 is x86_64's with the other number in
/// its head: whether it runs is another test's.
pub(crate) fn dist() -> &'static Path {
    static DIST: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, dist) = DIST.get_or_init(|| {
        let home = tempfile::tempdir().unwrap();
        let dist = home.path().join("dist");
        succeed(&mut package(home.path(), &dist));
        (home, dist)
    });
    dist
}

/// `cargo package-nanova` with what it would otherwise build, and a short bill of materials.
pub(crate) fn package(home: &Path, dist: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_package-nanova"));
    let bytes = fs::read(agent::binary()).unwrap();
    for (name, machine) in [("x86_64", 62), ("aarch64", 183)] {
        let file = home.join(name);
        let mut bytes = bytes.clone();
        bytes[18] = machine;
        fs::write(&file, bytes).unwrap();
        command.arg("--agent").arg(file);
        for (program, bytes) in programs() {
            let (folder, mut bytes) = (home.join(format!("programs-{name}")), bytes.clone());
            bytes[18] = machine;
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(program), bytes).unwrap();
            command.arg("--program").arg(folder.join(program));
        }
    }
    let bill = json!({"components": [{"name": "heapless", "version": version_of("heapless"), "scope": "required"}]});
    fs::write(home.join("bill.json"), bill.to_string()).unwrap();
    command.arg("--sbom").arg(home.join("bill.json")).arg("--output").arg(dist).env("SOURCE_DATE_EPOCH", TIME);
    command
}

/// What is beside the agent, of this machine.
fn programs() -> &'static [(&'static str, Vec<u8>)] {
    static PROGRAMS: OnceLock<Vec<(&str, Vec<u8>)>> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let build = |name| {
            let mut cargo = agent::cargo();
            cargo.args(["build", "--quiet", "--release", "--package", name, agent::TELL]);
            let built = agent::executable(cargo.arg("--target-dir").arg(agent::target_dir())).unwrap();
            (name, fs::read(built).unwrap())
        };
        ["nanova-host", "nanova-initramfs"].map(build).into()
    })
}

fn version_of(name: &str) -> String {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock")).unwrap();
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Runs it; what it printed. It has to succeed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output: Output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a script as the root of a system that is gone afterwards, with all its processes; $DIST has the packages. What
/// it printed, line by line.
pub(crate) fn in_a_system(script: &str) -> Vec<String> {
    let xenstored = Xenstored::start(Options::default()).unwrap();
    let sockets = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(xenstored.guest_socket(), sockets.path().join("socket")).unwrap();
    let own = ["--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--net", "--uts"];
    let script = format!("set -u\n{PRELUDE}\n{script}\nexit 0");
    let mut command = Command::new("unshare");
    command.args(own).args(["sh", "-c", &script]);
    let nfpm = std::path::absolute(agent::target_dir().join("supply/bin/nfpm")).unwrap();
    command.env("NFPM", if nfpm.is_file() { nfpm } else { "nfpm".into() });
    command.env("DIST", dist()).env("XENSTORED", sockets.path()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = [&output.stdout[..], &output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    // What a program complains of belongs to what is compared.
    String::from_utf8_lossy(&said).lines().map(str::to_owned).collect()
}
