//! nanova.service in a Debian with systemd, on a real kernel: when it is started, what the agent can do in its sandbox,
//! what a script cannot, and what happens when it is killed, hangs, updates itself to something that ends at once, or
//! is no Xen guest's; and how the service files of its predecessors start it.
//!
//! The machine says of itself that it is Xen's, as far as systemd asks: by its firmware's name. A stand-in for
//! xenstored is there before the agent.

#[allow(dead_code, reason = "the real agent is in these images")]
#[path = "common/image.rs"]
mod image;
#[path = "common/services.rs"]
#[allow(dead_code, reason = "not every file has a use for all of it")]
mod services;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use nanova_tests::agent;
use nanova_tests::machine::{Boot, Console, debian, kernel, write_script};
use nanova_tests::xen::{images, lab, tools};

const MAC: &str = "00:16:3e:4e:61:6e";
const VM_DATA: &str = r#"hostname web01.example.org
networking/00163E4E616E {"label": "public", "mac": "00:16:3E:4E:61:6E", "broadcast": "166.78.10.255", "dns": ["72.3.128.241"], "gateway": "166.78.10.1", "ips": [{"ip": "166.78.10.124", "netmask": "255.255.255.0", "enabled": "1", "gateway": "166.78.10.1"}]}
"#;

/// What a script of root's may and may not do in the agent's sandbox: a word for each that it can.
const SCRIPT: &str = "#!/bin/bash
exec 2>/dev/null
can() { what=$1; shift; \"$@\" && echo -n \"$what \"; }
touch() { : >\"$1\"; }
can write-anywhere touch /usr/lib/modules/x
can set-user-id install -m 4755 /bin/true /usr/local/bin/mine
can other-users setpriv --reuid=1 --regid=1 --clear-groups /bin/true
can chroot chroot / /bin/true
can make-a-device mknod /tmp/vda b 254 0
can read-a-disk head -c 1 /tmp/vda
can mount mount -t tmpfs x /mnt
can namespaces unshare --mount /bin/true
can sysctl touch /proc/sys/kernel/printk
can set-online touch /sys/devices/system/cpu/cpu0/uevent
can kernel-log head -c 1 /dev/kmsg
can clock date -s @0 >/dev/null
can personality setarch i386 /bin/true
can around systemd-run --quiet --wait --pipe mount -t tmpfs x /mnt
echo
";

/// An agent that passes the test of itself, and ends.
const BROKEN: &str =
    "#include <string.h>\nint main(int c, char **v) { return c > 1 && !strcmp(v[1], \"--self-test\") ? 0 : 3; }";

/// What a network manager and cloud-init would find.
const EARLY: &str = "[Unit]
DefaultDependencies=no
After=systemd-remount-fs.service
Before=network-pre.target sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo cloud-init-local finds the agent $$(systemctl is-active nanova.service) >>/run/order'
[Install]
WantedBy=multi-user.target
";
const NETWORKING: &str = "[Service]
ExecStartPre=/bin/sh -c 'echo networking finds the agent $$(systemctl is-active nanova.service) >>/run/order'
";
const XENSTORED: &str = "[Unit]
DefaultDependencies=no
After=systemd-remount-fs.service
Before=nanova.service
ConditionPathExists=!/no-xenstored
[Service]
Environment=TMPDIR=/run
ExecStartPre=/bin/mkdir -p /run/xenstored
ExecStart=/usr/sbin/stand-in /run/xenstored/socket /etc/stand-in
ExecStartPost=/bin/sh -c 'until [ -S /run/xenstored/socket ]; do sleep 0.1; done'
[Install]
WantedBy=nanova.service
";
const TASK: &str = "[Unit]
After=nanova.service networking.service cloud-init-local.service
[Service]
Type=oneshot
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
ExecStart=/bin/bash /task
ExecStopPost=/bin/systemctl poweroff -ff
[Install]
WantedBy=multi-user.target
";

const GUEST: &str = r#"
show() { systemctl show --property=$1 --value nanova.service; }
wait_for() { for try in {1..200}; do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; echo "in vain: $*"; }
ask() {
    nanova xenstore write data/host/$1 "$2"
    wait_for nanova xenstore exists data/guest/$1
    nanova xenstore read data/guest/$1
}
inject() { ask $1 "{\"name\":\"file_inject\",\"value\":{\"b64_path\":\"$(echo -n $2 | base64 -w0)\",\"b64_file\":\"$(echo $1 | base64 -w0)\"}}"; }
echo; echo == order; cat /run/order
echo == state; systemctl is-active nanova; show Type; show NRestarts; show StatusText
echo == requests
install -m 4750 -o daemon -g shadow /dev/null /usr/local/bin/theirs
inject keys /root/.ssh/authorized_keys; inject tool /usr/local/bin/theirs; inject temporary /tmp/injected
ask reset '{"name":"resetnetwork","value":""}'
echo == files; stat -c '%a %U:%G %n' /root/.ssh/authorized_keys /usr/local/bin/theirs /tmp/injected
echo == network; ip -4 address; ip route; cat /proc/sys/kernel/hostname; cat /etc/network/interfaces
echo == sandbox
sed -e '/^ExecStart/d; /^Type=/d; /^NotifyAccess=/d; /^WatchdogSec=/d; /^Restart/d; /^SuccessExit/d' \
    -e 's,^\[Service\],&\nType=oneshot\nStandardOutput=file:/run/can\nExecStart=/script,' \
    /usr/lib/systemd/system/nanova.service >/run/systemd/system/sandbox.service
systemctl daemon-reload; systemctl start sandbox.service; cat /run/can
echo == killed; old=$(show MainPID); kill -9 $old; wait_for eval '[ "$(show NRestarts)" = 1 ]'
wait_for systemctl is-active nanova; show ActiveState; [ "$(show MainPID)" != $old ] && echo another process
echo == taken back; cp /usr/sbin/nanova /srv/nanova; nanova() { /srv/nanova "$@"; }; busybox httpd -p 127.0.0.1:80 -h /srv
ask update "{\"name\":\"agentupdate\",\"value\":\"http://127.0.0.1/broken,$(sha256sum /srv/broken | cut -d ' ' -f 1)\"}"
ask version '{"name":"version","value":""}' | cut -d , -f 1; busybox cmp /srv/nanova /usr/sbin/nanova && echo the old agent
echo == hanging; mkdir -p /run/systemd/system/nanova.service.d
printf '[Service]\nWatchdogSec=3\nWatchdogSignal=KILL\n' >/run/systemd/system/nanova.service.d/soon.conf
systemctl daemon-reload; systemctl restart nanova; before=$(show NRestarts)
sleep 6; [ "$(show NRestarts)" = "$before" ] && echo not hanging
kill -STOP $(show MainPID); wait_for eval '[ "$(show NRestarts)" -gt "$before" ]'
wait_for systemctl is-active nanova; show ActiveState
echo == stopped; time -p systemctl stop nanova; show ActiveState; show Result; cat /proc/[0-9]*/comm | grep -c '^nanova$'
echo == failed; systemctl --failed --no-legend --plain
echo == log; journalctl -b -o cat -u nanova; journalctl -b -o cat | grep -i 'ordering cycle'
echo == end
"#;

const NO_GUEST: &str = "
echo; echo == order; cat /run/order
echo == state; systemctl show -p ActiveState -p ConditionResult -p NRestarts nanova
echo == failed; systemctl --failed --no-legend --plain
echo == end
";

/// The service files of nova-agent's predecessors: their types and command lines are theirs. What upstart executed is
/// a unit that forks here; what the script of System V does is a unit that systemd makes of it.
const OLD_FILES: &str = r#"
ln -s nanova /usr/sbin/nova-agent; ln -s ../sbin/nanova /usr/bin/nova-agent
wait_for() { for try in {1..200}; do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; echo "in vain: $*"; }
try() {
    systemctl daemon-reload; systemctl start $1 && systemctl is-active $1
    nanova xenstore write data/host/$2 '{"name":"version","value":""}'; wait_for nanova xenstore exists data/guest/$2
    nanova xenstore read data/guest/$2 | cut -d , -f 1
    sleep 1; systemctl is-active $1; systemctl stop $1; systemctl is-active $1
    grep -sx -e nanova -e nova-agent /proc/[0-9]*/comm
}
unit() {
    printf '[Service]\nType=%s\nExecStart=%s\n' $2 "${*:3}" >/run/systemd/system/old.service
    echo "== $1"; try old.service $1
}
systemctl stop nanova; echo
unit notify notify /usr/bin/nova-agent --no-fork True -o /var/log/nova-agent.log -l info
unit forking forking /usr/bin/nova-agent -o /var/log/nova-agent.log -l info
unit upstart forking /usr/bin/nova-agent -o /var/log/nova-agent.log
unit older simple /usr/sbin/nova-agent -n -l info /usr/share/nova-agent/nova-agent.py
unit quiet forking /usr/bin/nova-agent -q -o /var/log/nova-agent.log -l info /usr/share/nova-agent/nova-agent.py
mkdir -p /etc/init.d; cat >/etc/init.d/nova-agent <<'END'
#!/bin/sh
### BEGIN INIT INFO
# Provides: nova-agent
# Required-Start: $remote_fs
# Required-Stop: $remote_fs
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
pid=/var/run/nova-agent.pid
case $1 in
start) /usr/sbin/nova-agent -q -p $pid -o /var/log/nova-agent.log -l info /usr/share/nova-agent/nova-agent.py ;;
stop) kill $(cat $pid); while [ -e $pid ]; do sleep 0.1; done ;;
esac
END
chmod 755 /etc/init.d/nova-agent
echo == script; try nova-agent.service script; cat /var/run/nova-agent.pid 2>&1 | grep -c 'No such file'
echo == end
"#;

/// What the scripts of a package do while systemd runs, with a predecessor that is enabled and running; its own removal
/// comes before, or after.
const TAKING_OVER: &str = r#"
show() { systemctl show --property=$1 --value nanova.service; }
about() { echo "$1: $(systemctl is-enabled $1 2>/dev/null) $(systemctl is-active $1)"; }
old() {
    printf '[Service]\nExecStart=/bin/sleep 1d\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/$1.service
    systemctl daemon-reload; systemctl enable -q --now $1
}
remove_old() { systemctl stop $1; systemctl disable -q $1; rm /etc/systemd/system/$1.service; }
post() { bash /run/post $1; }
preun() { bash /run/preun $1; }
systemctl disable -q --now nanova; rm -f /etc/systemd/system/*/nanova.service; echo
echo == before; old nova-agent; about nova-agent; remove_old nova-agent; post 1; about nanova; preun 0; about nanova
echo == after; old nova-agent; post 1; about nova-agent; about nanova; remove_old nova-agent; about nanova; preun 0
echo == upgraded; post 1; old=$(show MainPID); post 2; preun 1; about nanova; [ $old != $(show MainPID) ] && echo another process
systemctl disable -q --now nanova; post 2; about nanova
echo == end
"#;

/// A script of the package for rpm, as a file that a task writes.
fn script_of_a_package(name: &str) -> String {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("package/scripts");
    let text = |name: &str| fs::read_to_string(scripts.join(name)).unwrap();
    let whole = text(&format!("rpm.{name}")).replace("@TAKE_OVER@", &text("take-over.sh"));
    format!("cat >/run/{name} <<'SCRIPT'\n{whole}\nSCRIPT\n")
}

/// A file system with the real agent as a service, and this task.
fn disk(home: &Path, task: &str) -> Result<std::path::PathBuf> {
    let (root, disk) = (home.join("root"), home.join("root.ext4"));
    tools::run(tools::command("cp").args(["-a", "--no-preserve=ownership"]).arg(debian()).arg(&root))?;
    fs::copy(images::stand_in()?, root.join("usr/sbin/stand-in"))?;
    fs::copy(agent::binary(), root.join("usr/sbin/nanova"))?;

    // What the packages' own scripts would have done.
    for name in ["passwd", "group"] {
        let master = root.join(format!("usr/share/base-passwd/{name}.master"));
        fs::copy(master, root.join("etc").join(name))?;
    }
    fs::write(root.join("etc/machine-id"), "0123456789abcdef0123456789abcdef\n")?;
    fs::write(root.join("etc/network/interfaces"), "auto lo\niface lo inet loopback\n")?;
    fs::write(root.join("etc/stand-in"), VM_DATA)?;
    fs::write(root.join("task"), task)?;
    for folder in ["usr/local/bin", "mnt", "srv"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::copy(lab::busybox()?, root.join("usr/local/bin/busybox"))?;
    fs::copy(image::compile(home, BROKEN, &["-static", "-s"], "broken"), root.join("srv/broken"))?;
    write_script(&root.join("script"), SCRIPT)?;
    let units = root.join("usr/lib/systemd/system");
    fs::copy(services::folder().join("nanova.service"), units.join("nanova.service"))?;
    for (name, text) in [("cloud-init-local", EARLY), ("stand-in", XENSTORED), ("task", TASK)] {
        fs::write(units.join(format!("{name}.service")), text)?;
    }
    fs::create_dir_all(units.join("networking.service.d"))?;
    fs::write(units.join("networking.service.d/order.conf"), NETWORKING)?;
    // systemctl would ask update-rc.d about them, too.
    fs::remove_dir_all(root.join("etc/init.d"))?;
    let mut enable = Command::new("systemctl");
    enable.arg("--root").arg(&root).args(["enable", "nanova", "cloud-init-local", "stand-in", "task", "networking"]);
    tools::run(&mut enable)?;
    // Nobody logs in.
    for name in ["getty.target", "serial-getty@ttyS0.service", "systemd-networkd-wait-online.service"] {
        symlink("/dev/null", root.join("etc/systemd/system").join(name))?;
    }
    tools::run(tools::command("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&root).arg(&disk).arg("400M"))?;
    Ok(disk)
}

fn boot(task: &str, options: &[&str]) -> Result<Console> {
    let home = tempfile::tempdir()?;
    let disk = disk(home.path(), task)?;
    let (agent, modules) = (agent::binary().display().to_string(), kernel().display().to_string());
    let mut arguments = vec!["--agent", &agent, "--output", "image.cpio", "--kernel-modules", &modules];
    for module in ["virtio_pci", "virtio_blk", "virtio_net", "ext4"] {
        arguments.extend(["--module", module]);
    }
    let output = image::initramfs(home.path(), &arguments);
    assert!(output.status.success(), "{output:?}");
    let initrd = home.path().join("image.cpio");
    let kernel = "quiet rw nanova.root=/dev/vda nanova.network=off systemd.show_status=no";
    let console = Boot { initrd: &initrd, options: kernel, disk: Some(&disk), mac: Some(MAC) }.run_with(options)?;
    console.assert_says(&["== end"]);
    Ok(console)
}

#[test]
#[ignore = "needs systemd, qemu-system-x86, e2fsprogs, busybox, cc, a static libc and apt-get"]
fn in_a_guest_it_serves_before_the_network_and_is_kept_alive() -> Result<()> {
    let console = boot(GUEST, &["-smbios", "type=1,manufacturer=Xen,product=HVM domU"])?;
    assert_eq!(
        console.section("order"),
        "cloud-init-local finds the agent active\nnetworking finds the agent active\n"
    );
    assert_eq!(console.section("state"), "active\nnotify\n0\nready\n");
    assert_eq!(console.section("requests"), "{\"returncode\":\"0\",\"message\":\"\"}\n".repeat(4));
    // Another user's set-user-ID program stays one, and the /tmp is everybody's.
    let files = "600 root:root /root/.ssh/authorized_keys\n4750 daemon:shadow /usr/local/bin/theirs\n\
        600 root:root /tmp/injected\n";
    assert_eq!(console.section("files"), files);
    let network = console.section("network");
    for words in
        ["inet 166.78.10.124/24", "default via 166.78.10.1", "\nweb01.example.org\n", "    gateway 166.78.10.1\n"]
    {
        assert!(network.contains(words), "no {words:?} in {network}");
    }
    // `around`: whoever may talk to systemd as root is not held by a sandbox; README.md says so.
    assert_eq!(console.section("sandbox"), "set-user-id other-users chroot set-online around \n");
    assert_eq!(console.section("killed"), "active\nanother process\n");
    let answers = "{\"returncode\":\"0\",\"message\":\"\"}\n{\"returncode\":\"0\"\n";
    assert_eq!(console.section("taken back"), format!("{answers}the old agent\n"));
    assert_eq!(console.section("hanging"), "not hanging\nactive\n");
    let stopped = console.section("stopped");
    assert!(stopped.starts_with("real 0.") && stopped.ends_with("\ninactive\nsuccess\n0\n"), "{stopped}");
    assert_eq!(console.section("failed"), "");
    let log = console.section("log");
    for words in ["serving data/host over", "'resetnetwork' completed with code '0'", "Watchdog timeout (limit 3s)"] {
        assert!(log.contains(words), "no {words:?} in {log}");
    }
    assert!(!log.contains("ordering cycle"), "{log}");
    Ok(())
}

#[test]
#[ignore = "needs systemd, qemu-system-x86, e2fsprogs, busybox, cc, a static libc and apt-get"]
fn elsewhere_it_is_not_started_and_nothing_failed() -> Result<()> {
    let console = boot(NO_GUEST, &[])?;
    let order = "cloud-init-local finds the agent inactive\nnetworking finds the agent inactive\n";
    assert_eq!(console.section("order"), order);
    let mut state: Vec<_> = console.section("state").lines().collect();
    state.sort_unstable();
    assert_eq!(state, ["ActiveState=inactive", "ConditionResult=no", "NRestarts=0"]);
    assert_eq!(console.section("failed"), "");
    Ok(())
}

#[test]
#[ignore = "needs systemd, qemu-system-x86, e2fsprogs, busybox, cc, a static libc and apt-get"]
fn the_service_files_of_its_predecessors_start_it() -> Result<()> {
    let console = boot(OLD_FILES, &["-smbios", "type=1,manufacturer=Xen,product=HVM domU"])?;
    let well = "active\n{\"returncode\":\"0\"\nactive\ninactive\n";
    for unit in ["notify", "forking", "upstart", "older", "quiet"] {
        assert_eq!(console.section(unit), well, "{unit}");
    }
    assert_eq!(console.section("script"), format!("{well}1\n"));
    Ok(())
}

#[test]
#[ignore = "needs systemd, qemu-system-x86, e2fsprogs, busybox, cc, a static libc and apt-get"]
fn a_package_leaves_it_enabled_and_running_whenever_the_old_one_is_removed() -> Result<()> {
    let task = script_of_a_package("post") + &script_of_a_package("preun") + TAKING_OVER;
    let console = boot(&task, &["-smbios", "type=1,manufacturer=Xen,product=HVM domU"])?;
    let before = "nova-agent: enabled active\nnanova: enabled active\nnanova: disabled inactive\n";
    assert_eq!(console.section("before"), before);
    let after = "nanova: the service nova-agent is stopped and turned off; nanova does its task now\n\
        nova-agent: disabled inactive\nnanova: enabled active\nnanova: enabled active\n";
    assert_eq!(console.section("after"), after);
    let upgraded = "nanova: enabled active\nanother process\nnanova: disabled inactive\n";
    assert_eq!(console.section("upgraded"), upgraded);
    Ok(())
}
