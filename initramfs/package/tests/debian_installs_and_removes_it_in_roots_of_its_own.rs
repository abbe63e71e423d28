//! Debian 12 and 13 themselves, in roots made by debootstrap from this machine's own mirror: the packages come and go,
//! and leave what they should. The roots lie below `roots` in the build folder, and are never changed.

#[allow(dead_code, reason = "not every file has a use for all of it")]
mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{dist, succeed};
use nanova_tests::agent;

/// What is there beside the smallest Debian.
const WITH: &str = "--include=systemd,init-system-helpers,initramfs-tools";

/// The mirror of this machine's apt; not that of security updates alone.
fn mirror() -> String {
    let listed =
        succeed(Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]));
    let main = listed.lines().find(|uri| uri.trim_end_matches('/').ends_with("debian"));
    main.unwrap_or_else(|| panic!("apt knows no mirror of Debian's: {listed}")).to_owned()
}

/// A release's root; made when it is asked for first.
fn root(release: &str) -> PathBuf {
    let folder = std::path::absolute(agent::target_dir().join("roots")).unwrap();
    let (root, partial) = (folder.join(release), folder.join(format!("{release}.partial")));
    if !root.exists() {
        fs::create_dir_all(&folder).unwrap();
        let _ = fs::remove_dir_all(&partial);
        eprintln!("note: fetching Debian's {release} (once)");
        let mut debootstrap = Command::new("debootstrap");
        succeed(debootstrap.args(["--variant=minbase", WITH, release]).arg(&partial).arg(mirror()));
        fs::rename(&partial, &root).unwrap();
    }
    root
}

/// Runs a script in such a root, without a network; nothing of what it does stays. $DIST is /mnt.
fn within(root: &Path, script: &str) -> Vec<String> {
    let prelude = "set -eu; home=$(mktemp -d); mount -t tmpfs home $home; cd $home; mkdir upper work all
        mount -t overlay overlay -o lowerdir=$ROOT,upperdir=upper,workdir=work all
        mount --bind $DIST all/mnt; mount -t proc proc all/proc; mount -t tmpfs run all/run
        exec chroot all sh -uc \"$SCRIPT\"";
    let script = format!(
        "unset CARGO CARGO_MANIFEST_DIR; export LC_ALL=C DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
        dpkg_() {{ dpkg \"$@\" >/run/dpkg 2>&1 || cat /run/dpkg; }}\n{script}\nexit 0"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--net", "--uts", "--kill-child", "sh", "-c", prelude]);
    let said = succeed(command.env("ROOT", root).env("DIST", dist()).env("SCRIPT", script));
    said.lines().map(str::to_owned).collect()
}

fn installed_and_removed(release: &str) {
    let done = within(
        &root(release),
        "dpkg_ -i /mnt/nanova_1.0.0-1_amd64.deb; systemctl is-enabled nanova; nanova --version
        systemctl disable nanova 2>/dev/null; dpkg_ -i /mnt/nanova_1.0.0-1_amd64.deb; systemctl is-enabled nanova
        dpkg_ -i /mnt/nanova-host_1.0.0-1_amd64.deb /mnt/nanova-xenstore_1.0.0-1_all.deb; nanova-host --version
        dpkg_ -i /mnt/nanova-initramfs_1.0.0-1_amd64.deb; cd /run; nanova-initramfs --output /run/i.cpio | grep -c init
        dpkg --audit; dpkg --verify nanova nanova-host nanova-initramfs nanova-xenstore
        echo '# mine' >>/etc/default/nanova; dpkg_ -r nanova-xenstore nanova-host nanova-initramfs nanova
        ls /usr/sbin/nanova* /usr/bin/nanova* /usr/bin/xenstore* 2>/dev/null; ls /etc/default/nanova; dpkg_ -P nanova
        find / -xdev -name '*nanova*' -not -path '/mnt/*' -not -path '/proc/*' -not -path '/run/*' 2>/dev/null",
    );
    let expected = ["enabled", "nanova 1.0.0", "disabled", "nanova-host 1.0.0", "1", "/etc/default/nanova"];
    assert_eq!(done, expected, "{release}");
}

#[test]
#[ignore = "needs nfpm, root, debootstrap and a mirror of Debian's"]
fn debian_12() {
    installed_and_removed("bookworm");
}

#[test]
#[ignore = "needs nfpm, root, debootstrap and a mirror of Debian's"]
fn debian_13() {
    installed_and_removed("trixie");
}
