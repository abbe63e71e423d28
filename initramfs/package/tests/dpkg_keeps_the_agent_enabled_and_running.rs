//! The Debian packages under the real dpkg, in this machine's own Debian without systemd running: the agent is started
//! by the script of System V, and systemctl and update-rc.d say what would be started at boot. The packages of its
//! predecessors are made here, and do in their scripts what theirs do.

mod common;

use common::{dist, in_a_system, succeed};
use std::process::Command;

/// Makes $home/old/NAME.deb: `make NAME UNIT`, by debhelper's ways with a unit and a script of System V.
const OLD: &str = r#"
make() {
    name=$1 unit=$2 tree=$home/tree.$1
    mkdir -p "$tree/DEBIAN" "$tree/usr/lib/systemd/system" "$tree/etc/init.d" "$tree/usr/bin"
    printf 'Package: %s\nVersion: 7.30-1\nArchitecture: all\nMaintainer: x <x@x.org>\nDescription: old\n' $name >"$tree/DEBIAN/control"
    printf '[Service]\nExecStart=/bin/sleep 1d\n[Install]\nWantedBy=multi-user.target\n' >"$tree/usr/lib/systemd/system/$unit.service"
    printf '#!/bin/sh\n### BEGIN INIT INFO\n# Provides: %s\n# Required-Start: $remote_fs\n# Required-Stop: $remote_fs\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n### END INIT INFO\necho "%s $1" >>/run/old\n' $unit $unit >"$tree/etc/init.d/$unit"
    chmod 755 "$tree/etc/init.d/$unit"
    echo "/etc/init.d/$unit" >"$tree/DEBIAN/conffiles"
    cat >"$tree/DEBIAN/postinst" <<END
#!/bin/sh
set -e
deb-systemd-helper unmask $unit.service >/dev/null || true
deb-systemd-helper enable $unit.service >/dev/null || true
update-rc.d $unit defaults >/dev/null
invoke-rc.d $unit start || exit \$?
END
    cat >"$tree/DEBIAN/prerm" <<END
#!/bin/sh
set -e
if [ "\$1" = remove ]; then
    systemctl stop $unit.service >/dev/null 2>&1 || true
    systemctl disable $unit.service >/dev/null 2>&1 || true
fi
invoke-rc.d $unit stop || exit \$?
END
    cat >"$tree/DEBIAN/postrm" <<END
#!/bin/sh
set -e
if [ "\$1" = purge ]; then update-rc.d $unit remove >/dev/null; deb-systemd-helper purge $unit.service >/dev/null || true; fi
END
    chmod 755 "$tree"/DEBIAN/p*
    dpkg-deb --root-owner-group -b "$tree" "$home/old/$name.deb" >/dev/null
}
# What a person wants to know about a service: whether it will be started, by either init, and is running.
about() {
    echo "$1: $(systemctl is-enabled $1.service 2>/dev/null || true) $(ls /etc/rc[2S].d/S*$1 2>/dev/null | wc -l)"
}
state() { until_ok serves_now; about nanova; echo "$(agents) running: $(serves)"; }
serves_now() { [ "$(serves)" = ready ]; }
install() { dpkg -i "$@" >/run/dpkg 2>&1 || { cat /run/dpkg; echo "dpkg: $?"; }; }
remove() { dpkg "$@" >/run/dpkg 2>&1 || { cat /run/dpkg; echo "dpkg: $?"; }; }
nanova="$DIST/nanova_1.0.0-1_amd64.deb"
"#;

const RUNNING: [&str; 2] = ["nanova: enabled 2", "1 running: ready"];
const OLD_ONES: [(&str, &str); 4] = [
    ("xe-guest-utilities", "xe-linux-distribution"),
    ("xe-guest-utilities-latest", "xe-linux-distribution"),
    ("nova-agent", "nova-agent"),
    ("xen-guest-agent", "xen-guest-agent"),
];

fn with_old_ones(script: &str) -> Vec<String> {
    in_a_system(&format!("{OLD}\n{script}"))
}

#[test]
#[ignore = "needs nfpm, user namespaces, dpkg and systemctl"]
fn it_is_installed_upgraded_removed_and_purged() {
    let done = with_old_ones(
        "install $nanova; state
        # Another version, by the same scripts.
        mkdir $home/next; dpkg-deb -R $nanova $home/next; sed -i 's/^Version: .*/Version: 1.1.0-1/' $home/next/DEBIAN/control
        dpkg-deb --root-owner-group -b $home/next $home/next.deb >/dev/null
        before=$(cat /run/nanova.pid); echo '# mine' >>/etc/default/nanova
        install $home/next.deb; state; tail -n 1 /etc/default/nanova; [ $before != $(cat /run/nanova.pid) ] && echo another process
        # Turned off by an administrator it stays off at the next.
        systemctl disable nanova >/dev/null 2>&1; install $home/next.deb; systemctl is-enabled nanova
        remove -r nanova; echo removed; agents; ls /usr/sbin/nanova /etc/default/nanova 2>&1; systemctl is-enabled nanova 2>&1 | head -n 1
        install $home/next.deb; about nanova; agents
        touch /var/log/nanova.log.1.gz; mkdir -p /etc/nanova; touch /etc/nanova/disable
        remove -P nanova; echo purged; agents; ls -d /etc/nanova/* /etc/*/nanova /etc/rc*/*nanova /etc/systemd/system/*/nanova* \
            /var/log/nanova* /var/lib/systemd/deb-systemd-helper-enabled/*/nanova* 2>/dev/null
        dpkg --audit; dpkg-query -W nanova 2>&1",
    );
    let expected = [
        &RUNNING[..],
        &RUNNING,
        &["# mine", "another process", "disabled", "removed", "0"],
        &["ls: cannot access '/usr/sbin/nanova': No such file or directory", "/etc/default/nanova", "masked"],
        &["nanova: disabled 0", "0", "purged", "0", "/etc/nanova/disable"],
        &["dpkg-query: no packages found matching nanova"],
    ];
    assert_eq!(done, expected.concat());
}

#[test]
#[ignore = "needs nfpm, user namespaces, dpkg and systemctl"]
fn it_takes_over_whenever_the_old_one_is_removed() {
    for (name, unit) in OLD_ONES {
        let before = format!("make {name} {unit}; install $home/old/{name}.deb; about {unit}");
        let is_gone =
            format!("dpkg-query -W -f '${{Status}}\\n' {name}; systemctl is-enabled {unit}.service 2>/dev/null");
        let old = format!("{unit}: enabled 1");
        // Before: as somebody would who read no page.
        let done = with_old_ones(&format!("{before}; remove -r {name}; install $nanova; state"));
        assert_eq!(done, [&old, RUNNING[0], RUNNING[1]], "{name} before");
        // Together: dpkg removes what the new one replaces, its scripts in between.
        let done = with_old_ones(&format!("{before}; install $nanova; state; {is_gone}"));
        assert_eq!(done[..3], [&old, RUNNING[0], RUNNING[1]], "{name} together: {done:?}");
        assert_eq!(done[3..], ["install ok config-files", "disabled"], "{name} together");
        // After: a site's own package with the same service, which ours has to turn off, as two agents would serve;
        // that it is removed then takes nothing of ours away.
        let done = with_old_ones(&format!(
            "make site-{name} {unit}; install $home/old/site-{name}.deb; about {unit}
            install $nanova; grep '^nanova:' /run/dpkg; tail -n 1 /run/old; about {unit}; state; remove -P site-{name}; state"
        ));
        let said = format!("nanova: the service {unit} is stopped and turned off; nanova does its task now");
        let (stopped, off) = (format!("{unit} stop"), format!("{unit}: disabled 0"));
        let expected = [&old, &said, &stopped, &off, RUNNING[0], RUNNING[1], RUNNING[0], RUNNING[1]];
        assert_eq!(done, expected, "{name} after");
    }
}

#[test]
#[ignore = "needs nfpm, user namespaces and dpkg"]
fn the_other_packages_come_and_go_with_it() {
    let done = in_a_system(
        "export PATH=$PATH; dpkg -i $DIST/nanova_1.0.0-1_amd64.deb $DIST/nanova-xenstore_1.0.0-1_all.deb >/run/dpkg 2>&1 || cat /run/dpkg
        dpkg-query -W -f '${Status}\\n' nanova-xenstore; dpkg -S /usr/bin/xenstore-ls
        xenstore-write data/mine 7; xenstore-read data/mine; readlink -f /usr/bin/xenstore-list
        # mandb becomes another user, and here is root alone.
        dpkg -r nanova-xenstore >/dev/null 2>&1; ls /usr/bin/xenstore-ls 2>&1
        dpkg -i $DIST/nanova-host_1.0.0-1_amd64.deb >/run/dpkg 2>&1 || cat /run/dpkg; nanova-host --version
        dpkg -i $DIST/nanova-initramfs_1.0.0-1_amd64.deb >/run/dpkg 2>&1; grep -o 'initramfs-tools is not\\|depends on .*' /run/dpkg
        sh -n /usr/share/initramfs-tools/hooks/nanova && test -x /usr/share/initramfs-tools/hooks/nanova && echo hook
        # Without cargo and without the sources: of the installed agent.
        cd /run; unset CARGO CARGO_MANIFEST_DIR; nanova-initramfs --output image.cpio >/run/made; grep -o '/init .*/nanova' /run/made
        cpio --quiet -t <image.cpio | grep -x init; nanova-initramfs --install-hooks /run/hooks | grep -c nanova",
    );
    assert_eq!(done[..4], ["install ok installed", "nanova-xenstore: /usr/bin/xenstore-ls", "7", "/usr/sbin/nanova"]);
    assert_eq!(done[4], "ls: cannot access '/usr/bin/xenstore-ls': No such file or directory");
    assert_eq!(done[5], "nanova-host 1.0.0");
    let last = done.iter().position(|line| line == "hook").map(|place| &done[place..]);
    assert_eq!(last, Some(&["hook", "/init    /usr/sbin/nanova", "init", "11"].map(str::to_owned)[..]), "{done:?}");
}

#[test]
#[ignore = "needs nfpm and lintian"]
fn lintian_has_nothing_to_say_but_what_has_a_reason() {
    for name in [
        "nanova_1.0.0-1_amd64",
        "nanova_1.0.0-1_arm64",
        "nanova-xenstore_1.0.0-1_all",
        "nanova-initramfs_1.0.0-1_amd64",
        "nanova-initramfs_1.0.0-1_arm64",
        "nanova-host_1.0.0-1_amd64",
        "nanova-host_1.0.0-1_arm64",
    ] {
        let mut lintian = Command::new("lintian");
        lintian.args(["--allow-root", "--pedantic", "--fail-on", "error,warning,pedantic,info"]);
        assert_eq!(succeed(lintian.arg(dist().join(format!("{name}.deb")))), "");
    }
}
