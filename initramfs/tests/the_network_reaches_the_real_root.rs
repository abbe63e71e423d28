//! Images of the real initramfs-tools and dracut with nanova's hooks and the real binary, booted in a plain machine:
//! what the real root finds of the network.
//!
//! There is no Xen in a plain machine. A stand-in for xenstored is in the images, and started before anything of
//! nanova's.

#[path = "common/hooks.rs"]
mod hooks;
#[path = "common/system.rs"]
mod system;

use std::fs;
use std::path::Path;

use anyhow::Result;
use nanova_tests::agent;
use nanova_tests::machine::{Boot, Console, root_disk, write_script};
use nanova_tests::xen::images;
use system::in_a_system_with_nanova;

const MAC: &str = "00:16:3e:4e:61:6e";

const IPV6: &str = "inet6 2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64 scope global";
const NETWORKD: &str = "/run/systemd/network/00-nanova-00163e4e616e.network";
const KEYFILE: &str = "/run/NetworkManager/system-connections/nanova-00163e4e616e.nmconnection";
const NETPLAN: &str = "/run/netplan/90-nanova.yaml";

/// What the toolstack wants.
const VM_DATA: &str = r#"hostname web01.example.org
networking/00163E4E616E {"label": "public", "mac": "00:16:3E:4E:61:6E", "broadcast": "166.78.10.255", "dns": ["72.3.128.241"], "gateway": "166.78.10.1", "gateway_v6": "fe80::def", "ips": [{"ip": "166.78.10.124", "netmask": "255.255.255.0", "enabled": "1", "gateway": "166.78.10.1"}], "ip6s": [{"ip": "2001:4800:7810:0512:e38a:a8b5:ff04:cfe5", "netmask": 64, "enabled": "1", "gateway": "fe80::def"}]}
"#;

/// The real root's init: shows what was handed over.
const INIT: &str = "#!/bin/busybox sh
export PATH=/bin
exec >/dev/console 2>&1
dmesg -n 1
echo; echo == pid; echo $$
echo == mounts; cat /proc/mounts
for file in /run/net-*.conf /run/net6-*.conf /run/systemd/network/* /run/NetworkManager/system-connections/* \\
    /run/netplan/* /run/network/*; do
    [ -f $file ] && echo \"== $file\" && cat $file
done
echo == addresses; ip address
echo == routes; ip route; ip -6 route
echo == name; hostname
echo == end
poweroff -f
";

/// Starts the stand-in, and waits until it is there: without its socket this is no Xen guest.
const START: &str = "mkdir -p /run/xenstored
TMPDIR=/run /usr/sbin/stand-in /run/xenstored/socket /etc/stand-in </dev/null >/dev/null 2>&1 &
for second in 1 2 3 4 5 6 7 8 9 10; do [ -S /run/xenstored/socket ] || sleep 1; done
";
/// dracut, that is: end if something is wrong.
const NO_SHELL: &str = "rd.shell=0 rd.emergency=poweroff systemd.show_status=true";
const PREREQ: &str = "#!/bin/sh\n[ \"$1\" = prereqs ] && exit 0\n";
const TOOLS_HOOK: &str = ". /usr/share/initramfs-tools/hook-functions
copy_exec /usr/sbin/stand-in /usr/sbin/stand-in
copy_file config /etc/stand-in
manual_add_modules virtio_pci virtio_blk virtio_net ext4
";
const DRACUT_MODULE: &str = "#!/bin/bash
check() { return 0; }
install() {
    inst_multiple /usr/sbin/stand-in /etc/stand-in
    inst_hook cmdline 01 \"$moddir/start.sh\"
}
";

/// Runs a script that leaves images in `home`, in a system that has the stand-in and the real nanova, too.
fn build(home: &Path, script: &str) -> Result<()> {
    let (tools, dracut) = ("usr/share/initramfs-tools", "usr/lib/dracut/modules.d/01stand-in");
    let tree = home.join("tree");
    for folder in ["usr/sbin", "etc", &format!("{tools}/hooks"), &format!("{tools}/scripts/init-top"), dracut] {
        fs::create_dir_all(tree.join(folder))?;
    }
    fs::copy(agent::binary(), tree.join("usr/sbin/nanova"))?;
    fs::copy(images::stand_in()?, tree.join("usr/sbin/stand-in"))?;
    fs::write(tree.join("etc/stand-in"), VM_DATA)?;
    write_script(&tree.join(tools).join("hooks/stand-in"), &format!("{PREREQ}{TOOLS_HOOK}"))?;
    write_script(&tree.join(tools).join("scripts/init-top/stand-in"), &format!("{PREREQ}{START}"))?;
    write_script(&tree.join(dracut).join("module-setup.sh"), DRACUT_MODULE)?;
    write_script(&tree.join(dracut).join("start.sh"), START)?;
    in_a_system_with_nanova(home, &format!("cp -r tree/* /\n{script}"));
    Ok(())
}

/// Boots one of them with the real root on a disk; checks what is the same for all.
fn boot(home: &Path, image: &str, options: &str) -> Result<Console> {
    let disk = root_disk(home, Some(INIT))?;
    let options = format!("root=/dev/vda rootfstype=ext4 {options}");
    let console = Boot { initrd: &home.join(image), options: &options, disk: Some(&disk), mac: Some(MAC) }.run()?;
    console.assert_says(&["== end"]);
    assert_eq!((console.section("pid"), console.section("name")), ("1\n", "web01.example.org\n"));
    assert!(console.section("mounts").contains("/dev/vda / ext4 ro"));
    contains(&console, "addresses", &[MAC, ",UP,", "inet 166.78.10.124/24 brd 166.78.10.255", IPV6]);
    contains(&console, "routes", &["default via 166.78.10.1 dev ", "default via fe80::def dev "]);
    contains_klibc(&console);
    Ok(console)
}

/// Panics unless a section has each of these.
fn contains(console: &Console, section: &str, parts: &[&str]) {
    let text = console.section(section);
    for part in parts {
        assert!(text.contains(part), "{part} in {section}:\n{text}");
    }
}

/// klibc's two files, under the name that the interface has in the real root.
fn contains_klibc(console: &Console) {
    let device = device(console);
    let expected =
        format!("DEVICE='{device}'\nPROTO='none'\nIPV4ADDR='166.78.10.124'\nIPV4BROADCAST='166.78.10.255'\n");
    assert!(console.section(&format!("/run/net-{device}.conf")).starts_with(&expected), "{}", console.text());
    let expected = format!("DEVICE6='{device}'\nIPV6PROTO='none'\nIPV6ADDR='2001:4800:7810:512:e38a:a8b5:ff04:cfe5'\n");
    assert!(console.section(&format!("/run/net6-{device}.conf")).starts_with(&expected), "{}", console.text());
}

/// The interface's name: the second one is not the loopback.
fn device(console: &Console) -> &str {
    let line = console.section("addresses").lines().find_map(|line| line.strip_prefix("2: "));
    line.and_then(|line| line.split_once(':')).expect("there is a second interface").0
}

/// The names of the files for network managers.
fn manager_files(console: &Console) -> Vec<&str> {
    ["/run/systemd/", "/run/NetworkManager/", "/run/netplan/"].iter().flat_map(|run| console.sections(run)).collect()
}

fn contains_networkd_and_keyfile(console: &Console) {
    assert_eq!(manager_files(console), [NETWORKD, KEYFILE]);
    contains(
        console,
        NETWORKD,
        &["MACAddress=00:16:3e:4e:61:6e\n", "Address=166.78.10.124/24\n", "DNS=72.3.128.241\n"],
    );
    contains(
        console,
        KEYFILE,
        &["mac-address=00:16:3e:4e:61:6e\n", "address1=166.78.10.124/24\n", "dns=72.3.128.241;\n"],
    );
}

fn contains_netplan(console: &Console) {
    assert_eq!(manager_files(console), [NETPLAN]);
    let lines = ["macaddress: \"00:16:3e:4e:61:6e\"\n", "- \"166.78.10.124/24\"\n", "via: \"166.78.10.1\"\n"];
    contains(console, NETPLAN, &lines);
}

#[test]
#[ignore = "needs initramfs-tools, user namespaces, apt-get, qemu-system-x86, e2fsprogs and busybox-static"]
fn from_initramfs_tools_with_network_manager_networkd_and_ifupdown() -> Result<()> {
    let home = tempfile::tempdir()?;
    build(
        home.path(),
        "wants=/etc/systemd/system/multi-user.target.wants; mkdir -p $wants
        rm -f $wants/systemd-networkd.service; touch $wants/systemd-networkd.service
        for program in NetworkManager ifup; do touch /usr/sbin/$program; chmod 755 /usr/sbin/$program; done
        mkinitramfs -o all $V 2>/dev/null",
    )?;
    let console = boot(home.path(), "all", "")?;
    contains_networkd_and_keyfile(&console);
    let device = device(&console);
    assert_eq!(console.section("/run/network/ifstate"), format!("{device}={device}\n"));
    assert_eq!(console.section(&format!("/run/network/ifstate.{device}")), format!("{device}\n"));
    Ok(())
}

#[test]
#[ignore = "needs initramfs-tools, user namespaces, apt-get, qemu-system-x86, e2fsprogs and busybox-static"]
fn from_initramfs_tools_with_netplan() -> Result<()> {
    let home = tempfile::tempdir()?;
    build(
        home.path(),
        "touch /usr/sbin/netplan; chmod 755 /usr/sbin/netplan
        mkinitramfs -o netplan $V 2>/dev/null",
    )?;
    let console = boot(home.path(), "netplan", "")?;
    contains_netplan(&console);
    assert!(console.sections("/run/network/").is_empty());
    Ok(())
}

#[test]
#[ignore = "needs dracut, user namespaces, apt-get, qemu-system-x86, e2fsprogs and busybox-static"]
fn from_dracut_without_a_network_manager_of_its_own() -> Result<()> {
    let home = tempfile::tempdir()?;
    build(
        home.path(),
        "dracut -q --no-compress --no-hostonly --kver $V --add-drivers 'virtio_pci virtio_blk virtio_net ext4' \\
            plain 2>/dev/null",
    )?;
    let console = boot(home.path(), "plain", NO_SHELL)?;
    contains_networkd_and_keyfile(&console);
    // Without the files that give it its final name it would have gone up as eth0.
    assert!(device(&console).starts_with("en"), "{}", console.text());
    Ok(())
}
