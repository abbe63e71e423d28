//! The packages of other distributions by their own tools, in this machine's system without systemd running: systemctl
//! says what would be started at boot. For apk there is no tool in Debian: what is in it is compared with what its
//! format wants, and its scripts run.

mod common;

use common::{dist, in_a_system, succeed};
use std::fs;
use std::process::Command;

/// An rpm database of its own, and `make NAME UNIT`: a package that does what the predecessors' spec files say.
const RPM: &str = r#"
rpm --dbpath /run/rpm --initdb
rpm_() { rpm --dbpath /run/rpm --nodeps --force-debian "$@" 2>&1; }
has() { rpm --dbpath /run/rpm -q $1; }
make() {
    unit=$2; mkdir -p $home/rpm; cd $home/rpm
    printf '[Service]\nExecStart=/bin/sleep 1d\n[Install]\nWantedBy=multi-user.target\n' >$unit.service
    cat >post <<END
systemctl enable /usr/lib/systemd/system/$unit.service >/dev/null 2>&1
systemctl start $unit.service >/dev/null 2>&1
true
END
    cat >preun <<END
if [ \$1 -eq 0 ]; then
    systemctl stop $unit.service >/dev/null 2>&1
    systemctl disable $unit.service >/dev/null 2>&1
fi
END
    cat >old.yaml <<END
{name: $1, arch: all, version: 7.30.0, release: 1, maintainer: x, description: old, license: BSD,
 scripts: {postinstall: post, preremove: preun}, contents: [{src: $unit.service, dst: /usr/lib/systemd/system/$unit.service}]}
END
    $NFPM package --packager rpm --config old.yaml --target $home/old/$1.rpm >/dev/null
}
about() { systemctl is-enabled $1.service 2>&1 | head -n 1; }
nanova=$DIST/nanova-1.0.0-1.x86_64.rpm
"#;

const OLD_ONES: [(&str, &str); 4] = [
    ("xe-guest-utilities", "xe-linux-distribution"),
    ("xe-guest-utilities-latest", "xe-linux-distribution"),
    ("nova-agent", "nova-agent"),
    ("xen-guest-agent", "xen-guest-agent"),
];

#[test]
#[ignore = "needs nfpm, user namespaces, rpm and systemctl"]
fn rpm_installs_upgrades_and_removes_it() {
    let done = in_a_system(&format!(
        "{RPM}
        rpm_ -i $nanova; about nanova; rpm_ -V nanova; has nanova; nanova --version
        systemctl disable nanova 2>/dev/null; rpm_ -U --replacepkgs $nanova; about nanova
        echo '# mine' >>/etc/sysconfig/nanova; rpm_ -e nanova; has nanova; about nanova; ls /usr/sbin/nanova /etc/sysconfig/nanova*
        rpm_ -i $DIST/nanova-1.0.0-1.x86_64.rpm $DIST/nanova-xenstore-1.0.0-1.noarch.rpm $DIST/nanova-initramfs-1.0.0-1.x86_64.rpm $DIST/nanova-host-1.0.0-1.x86_64.rpm
        nanova-host --version
        readlink -f /usr/bin/xenstore-list; test -x /usr/lib/dracut/modules.d/50nanova/module-setup.sh && echo hook"
    ));
    let expected = [
        "enabled",
        "nanova-1.0.0-1.x86_64",
        "nanova 1.0.0",
        "disabled",
        "warning: /etc/sysconfig/nanova saved as /etc/sysconfig/nanova.rpmsave",
        "package nanova is not installed",
        "Failed to get unit file state for nanova.service: No such file or directory",
        "/etc/sysconfig/nanova.rpmsave",
        "nanova-host 1.0.0",
        "/usr/sbin/nanova",
        "hook",
        "ls: cannot access '/usr/sbin/nanova': No such file or directory",
    ];
    assert_eq!(done, expected);
}

#[test]
#[ignore = "needs nfpm, user namespaces, rpm and systemctl"]
fn rpm_has_it_take_over_whenever_the_old_one_is_removed() {
    for (name, unit) in OLD_ONES {
        let before = format!("{RPM}\nmake {name} {unit}; rpm_ -i $home/old/{name}.rpm; about {unit}");
        let done = in_a_system(&format!("{before}; rpm_ -e {name}; rpm_ -U $nanova; about nanova"));
        assert_eq!(done, ["enabled", "enabled"], "{name} before");
        // rpm runs the new one's script before the old one's.
        let done = in_a_system(&format!("{before}; rpm_ -U $nanova; about nanova; has {name}"));
        let (said, gone) = (
            format!("nanova: the service {unit} is stopped and turned off; nanova does its task now"),
            format!("package {name} is not installed"),
        );
        assert_eq!(done, ["enabled", &said, "enabled", &gone], "{name} together");
        let done = in_a_system(&format!(
            "{before}; rpm_ -i $nanova; about nanova; about {unit}; rpm_ -e {name}; about nanova"
        ));
        assert_eq!(done, ["enabled", &said, "enabled", "disabled", "enabled"], "{name} after");
    }
}

#[test]
#[ignore = "needs nfpm, user namespaces, pacman and systemctl"]
fn pacman_installs_upgrades_and_removes_it() {
    let done = in_a_system(
        "printf '[options]\\nArchitecture = x86_64\\nSigLevel = Never\\n' >/run/pacman.conf; mkdir -p /run/db /run/cache; rm -f /usr/bin/xenstore* /usr/share/man/man1/xenstore*
        # There it is bash, and nfpm writes for it.
        ln -sf bash /usr/bin/sh
        pacman_() { pacman --noconfirm --config /run/pacman.conf --dbpath /run/db --cachedir /run/cache --logfile /run/log \"$@\" >/run/said 2>&1 || cat /run/said; }
        pacman_ -U $DIST/nanova-1.0.0-1-x86_64.pkg.tar.zst; systemctl is-enabled nanova; nanova --version
        grep ^ExecStart=/ /usr/lib/systemd/system/nanova.service; systemd-analyze verify --man=no /usr/lib/systemd/system/nanova.service
        systemctl disable nanova 2>/dev/null; pacman_ -U $DIST/nanova-1.0.0-1-x86_64.pkg.tar.zst; systemctl is-enabled nanova
        pacman_ -U --assume-installed dracut=1 $DIST/nanova-xenstore-1.0.0-1-any.pkg.tar.zst $DIST/nanova-initramfs-1.0.0-1-x86_64.pkg.tar.zst
        pacman_ -U $DIST/nanova-host-1.0.0-1-x86_64.pkg.tar.zst; nanova-host --version
        pacman --config /run/pacman.conf --dbpath /run/db -Qq; pacman_ -Rns nanova-host nanova-xenstore nanova-initramfs nanova; ls /usr/bin/nanova",
    );
    let expected = [
        "enabled",
        "nanova 1.0.0",
        "ExecStart=/usr/bin/nanova agent $NANOVA_OPTIONS",
        "disabled",
        "nanova-host 1.0.0",
        "nanova",
        "nanova-host",
        "nanova-initramfs",
        "nanova-xenstore",
        "ls: cannot access '/usr/bin/nanova': No such file or directory",
    ];
    assert_eq!(done, expected);
}

#[test]
#[ignore = "needs nfpm and bsdtar"]
fn an_apk_says_what_it_conflicts_with_and_its_scripts_are_sound() {
    for (name, processor) in [("nanova_1.0.0-r1_x86_64", "x86_64"), ("nanova_1.0.0-r1_aarch64", "aarch64")] {
        let home = tempfile::tempdir().unwrap();
        let file = dist().join(format!("{name}.apk"));
        succeed(Command::new("bsdtar").arg("-xf").arg(file).arg("-C").arg(home.path()));
        let about = fs::read_to_string(home.path().join(".PKGINFO")).unwrap();
        // apk takes a line for one `name = value`.
        assert!(about.lines().all(|line| line.starts_with('#') || line.contains(" = ")), "{about}");
        let arch = format!("arch = {processor}");
        for line in [
            &arch,
            "pkgver = 1.0.0-r1",
            "depend = !xe-guest-utilities",
            "depend = !nova-agent",
            "replaces = xen-guest-agent",
        ] {
            assert!(about.lines().any(|other| other == line), "no {line:?} in {about}");
        }
        for script in [".post-install", ".post-upgrade", ".pre-deinstall"] {
            let script = home.path().join(script);
            succeed(Command::new("sh").arg("-n").arg(&script));
            succeed(Command::new("busybox").args(["sh", "-n"]).arg(&script));
        }
        assert!(home.path().join("etc/init.d/nanova").is_file() && home.path().join("etc/conf.d/nanova").is_file());
    }
}

#[test]
#[ignore = "needs nfpm, user namespaces and bsdtar"]
fn an_apk_has_openrc_stop_the_old_one_and_start_ours() {
    // OpenRC's programs are not in Debian: what they are asked.
    let done = in_a_system(
        "mkdir $home/apk /run/openrc; touch /run/openrc/softlevel; bsdtar -xf $DIST/nanova_1.0.0-r1_x86_64.apk -C $home/apk
        mkdir $home/bin; for name in rc-service rc-update; do
            printf '#!/bin/sh\\necho \"%s $*\"\\n' $name | sed 's/echo/echo >>\\/run\\/asked/' >$home/bin/$name; chmod 755 $home/bin/$name
        done
        printf '#!/bin/sh\\necho >>/run/asked \"old $1\"\\n' >/etc/init.d/xe-guest-utilities; chmod 755 /etc/init.d/xe-guest-utilities
        for name in sh ls cat; do ln -s $(command -v $name) $home/bin/$name; done; PATH=$home/bin
        sh $home/apk/.post-install; sh $home/apk/.post-upgrade; sh $home/apk/.pre-deinstall; cat /run/asked",
    );
    let expected = [
        "nanova: the service xe-guest-utilities is stopped and turned off; nanova does its task now",
        "old stop",
        "rc-update --all del xe-guest-utilities",
        "rc-update add nanova boot",
        "rc-service nanova start",
        "rc-service --ifstarted nanova restart",
        "rc-service --ifstarted nanova stop",
        "rc-update --all del nanova",
    ];
    assert_eq!(done, expected);
}

#[test]
#[ignore = "needs nfpm and rpmlint"]
fn rpmlint_has_nothing_to_say_but_what_has_a_reason() {
    let mut rpmlint = Command::new("rpmlint");
    rpmlint.arg("-c").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/files/rpmlint.toml"));
    for name in [
        "nanova-1.0.0-1.x86_64",
        "nanova-1.0.0-1.aarch64",
        "nanova-xenstore-1.0.0-1.noarch",
        "nanova-initramfs-1.0.0-1.x86_64",
        "nanova-initramfs-1.0.0-1.aarch64",
        "nanova-host-1.0.0-1.x86_64",
        "nanova-host-1.0.0-1.aarch64",
    ] {
        rpmlint.arg(dist().join(format!("{name}.rpm")));
    }
    let said = succeed(&mut rpmlint);
    assert!(said.contains("7 packages and 0 specfiles checked; 0 errors, 0 warnings"), "{said}");
}
