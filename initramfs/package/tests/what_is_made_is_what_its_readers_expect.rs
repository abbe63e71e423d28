//! Everything beside packages, by the programs that read it; and that the same input gives the same bytes.

#[allow(dead_code, reason = "not every file has a use for all of it")]
mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{dist, package, succeed};

fn sh(folder: &Path, script: &str) -> String {
    succeed(Command::new("sh").args(["-euc", script]).current_dir(folder).env("LC_ALL", "C"))
}

#[test]
#[ignore = "needs nfpm and squashfs-tools"]
fn the_same_input_gives_the_same_bytes_at_another_time_in_another_place() {
    let home = tempfile::tempdir().unwrap();
    let dist_there = home.path().join("a longer name/dist");
    let made = package(home.path(), &dist_there);
    let mut again = Command::new("sh");
    again.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(made.get_program()).args(made.get_args());
    again.envs(made.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TZ", "Pacific/Kiritimati");
    again.env("LC_ALL", "tr_TR.UTF-8").env("HOSTNAME", "elsewhere");
    succeed(&mut again);
    let sums = |dist: &Path| fs::read_to_string(dist.join("SHA256SUMS")).unwrap();
    assert_eq!(sums(dist()), sums(&dist_there));
    assert_eq!(sums(dist()).lines().count(), 39);
    sh(&dist_there, "sha256sum --check --strict --quiet SHA256SUMS");
}

#[test]
#[ignore = "needs nfpm and minisign"]
fn the_sums_are_signed_with_a_given_key() {
    let home = tempfile::tempdir().unwrap();
    sh(home.path(), "minisign -G -W -p key.pub -s key.sec >/dev/null");
    let dist = home.path().join("dist");
    succeed(package(home.path(), &dist).args(["--only", "tarball", "--sign"]).arg(home.path().join("key.sec")));
    let verify = "minisign -V -q -p key.pub -m dist/SHA256SUMS";
    sh(home.path(), verify);
    sh(home.path(), &format!("echo >>dist/SHA256SUMS; ! {verify} 2>/dev/null"));
}

#[test]
#[ignore = "needs nfpm, skopeo and umoci"]
fn the_image_is_for_the_processor_that_asks() {
    let home = tempfile::tempdir().unwrap();
    let image = dist().join("nanova-1.0.0-oci.tar");
    for processor in ["amd64", "arm64"] {
        let asked =
            format!("skopeo --override-arch {processor} inspect --config oci-archive:{}:1.0.0", image.display());
        let config = sh(home.path(), &asked);
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["architecture"], processor);
        assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/usr/sbin/nanova"]));
        assert_eq!(config["config"]["Labels"]["org.opencontainers.image.version"], "1.0.0");
    }
    let unpack =
        format!("mkdir oci; tar -xf {} -C oci; umoci unpack --rootless --image oci:1.0.0-amd64 all", image.display());
    sh(home.path(), &format!("{unpack} >/dev/null 2>&1; umoci stat --image oci:1.0.0-arm64 >/dev/null"));
    let files = sh(home.path(), "cd all/rootfs; find . -type f | sort; ./usr/sbin/nanova --version");
    assert_eq!(files, "./usr/sbin/nanova\n./usr/share/doc/nanova/copyright\nnanova 1.0.0\n");
}

#[test]
#[ignore = "needs nfpm, umoci and python3-yaml"]
fn the_extension_of_talos_has_a_manifest_and_a_service_in_a_container() {
    let home = tempfile::tempdir().unwrap();
    let image = dist().join("nanova-1.0.0-talos.tar");
    let unpack =
        format!("mkdir oci; tar -xf {} -C oci; umoci unpack --rootless --image oci:1.0.0-amd64 all", image.display());
    sh(home.path(), &format!("{unpack} >/dev/null 2>&1"));
    let root = home.path().join("all/rootfs");
    let files = sh(&root, "find . -type f | sort; rootfs/usr/local/lib/containers/nanova/nanova --version");
    let expected = "./manifest.yaml
./rootfs/usr/local/etc/containers/nanova.yaml
./rootfs/usr/local/lib/containers/nanova/copyright
./rootfs/usr/local/lib/containers/nanova/etc/os-release
./rootfs/usr/local/lib/containers/nanova/nanova
nanova 1.0.0
";
    assert_eq!(files, expected);
    let manifest = sh(&root, "cat manifest.yaml");
    assert!(
        manifest.contains("\n  name: nanova\n  version: \"1.0.0\"\n  author: \"The nanova maintainers\"\n"),
        "{manifest}"
    );
    // By somebody else's reader.
    let yaml = "/usr/bin/python3 -c 'import sys, yaml; m, s = [yaml.safe_load(open(f)) for f in sys.argv[1:]]
print(m[\"metadata\"][\"compatibility\"][\"talos\"][\"version\"], s[\"container\"][\"args\"], s[\"container\"][\"mounts\"][1][\"options\"])'";
    let read = sh(&root, &format!("{yaml} manifest.yaml rootfs/usr/local/etc/containers/nanova.yaml"));
    assert_eq!(read, ">= v1.5.0 ['report'] ['bind', 'ro']\n");
}

#[test]
#[ignore = "needs nfpm, squashfs-tools and systemd-analyze"]
fn the_extension_is_one_for_any_distribution() {
    let home = tempfile::tempdir().unwrap();
    let file = dist().join("nanova-1.0.0-aarch64.sysext.raw");
    sh(home.path(), &format!("unsquashfs -q -n -d root {} >/dev/null", file.display()));
    let root = home.path().join("root");
    let about = fs::read_to_string(root.join("usr/lib/extension-release.d/extension-release.nanova")).unwrap();
    assert_eq!(about, "ID=_any\nARCHITECTURE=arm64\nEXTENSION_RELOAD_MANAGER=1\n");
    assert_eq!(sh(&root, "ls"), "usr\n");
    // Started by what it brings, without anything below /etc.
    let needs = sh(&root, "cat usr/lib/systemd/system/multi-user.target.d/*.conf");
    assert_eq!(needs, "[Unit]\nUpholds=nanova.service\n");
}

#[test]
#[ignore = "needs nfpm, user namespaces and systemd-sysext"]
fn the_extension_is_merged_into_usr() {
    let done = common::in_a_system(
        // systemd-sysext mounts in a name space of its own, and the mount has to come back.
        "mount --make-rshared /; mkdir -p /run/extensions/nanova; unsquashfs -q -n -f -d /run/extensions/nanova $DIST/nanova-1.0.0-x86_64.sysext.raw >/dev/null
        systemd-sysext merge >/run/said 2>&1 || cat /run/said; nanova --version;
        systemd-analyze verify --man=no /usr/lib/systemd/system/nanova.service 2>&1; systemd-sysext unmerge >/dev/null 2>&1; ls /usr/sbin/nanova 2>&1",
    );
    // Nothing from systemd-analyze.
    assert_eq!(done, ["nanova 1.0.0", "ls: cannot access '/usr/sbin/nanova': No such file or directory"]);
}

#[test]
#[ignore = "needs nfpm, cpio and zstd"]
fn images_have_the_agent_as_first_process_and_the_tarball_all_that_a_person_needs() {
    let home = tempfile::tempdir().unwrap();
    let names = |script: &str| sh(home.path(), &format!("DIST={}; {script}", dist().display()));
    for unpack in ["gzip -dc $DIST/nanova-1.0.0-x86_64.cpio.gz", "zstd -qdc $DIST/nanova-1.0.0-aarch64.cpio.zst"] {
        let names = names(&format!("{unpack} | cpio --quiet -t"));
        assert!(
            names.lines().any(|name| name == "init") && names.lines().any(|name| name == "sbin/poweroff"),
            "{names}"
        );
    }
    let listed = names("tar -tzvf $DIST/nanova-1.0.0-x86_64.tar.gz");
    for file in [
        "nanova",
        "nanova-host",
        "nanova-initramfs",
        "programs-copyright",
        "copyright",
        "LICENSE-MIT",
        "services/nanova.service",
        "services/runit/run",
        "Containerfile",
    ] {
        assert!(listed.lines().any(|line| line.ends_with(&format!("nanova-1.0.0-x86_64/{file}"))), "{file}: {listed}");
    }
    assert!(listed.lines().all(|line| line.contains("root/root") && line.contains("2026-11-2")), "{listed}");
    let said = names("tar -xzf $DIST/nanova-1.0.0-x86_64.tar.gz; nanova-1.0.0-x86_64/nanova --version");
    assert_eq!(said, "nanova 1.0.0\n");
}

#[test]
#[ignore = "needs logrotate"]
fn logrotate_takes_the_file_for_it() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("nanova");
    fs::write(&file, include_str!("../files/nanova.logrotate")).unwrap();
    let said = sh(home.path(), "chmod 644 nanova; logrotate --debug --state state nanova 2>&1");
    assert!(said.contains("rotating pattern: /var/log/nanova.log") && !said.contains("error:"), "{said}");
}
