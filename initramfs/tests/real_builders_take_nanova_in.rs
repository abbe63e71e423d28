//! Debian's own tools with the hooks installed where a package puts them: mkinitramfs and dracut build images, ifup
//! meets what the boot script leaves.
//!
//! All of it happens in a mount namespace of its own, where /usr and /etc are overlays: the machine stays as it is.

#[allow(dead_code, reason = "the kernel comes with the system")]
#[path = "common/debian.rs"]
mod debian;
#[path = "common/hooks.rs"]
mod hooks;
#[path = "common/system.rs"]
mod system;

use system::in_a_system_with_nanova;

fn assert_lists(list: &str, files: &[&str]) {
    for file in files {
        assert!(list.lines().any(|line| line.ends_with(file)), "no {file} in:\n{list}");
    }
}

const EVERYWHERE: [&str; 4] =
    ["usr/sbin/nanova", "usr/lib/nanova/early-network", "etc/nanova/handover", "kernel/drivers/net/xen-netfront.ko"];

#[test]
#[ignore = "needs initramfs-tools, user namespaces and apt-get"]
fn mkinitramfs_builds_an_image_that_runs_it_before_the_root_is_mounted() {
    let home = tempfile::tempdir().unwrap();
    let list = in_a_system_with_nanova(
        home.path(),
        "touch /usr/sbin/NetworkManager; chmod 755 /usr/sbin/NetworkManager
        mkinitramfs -o $S/i $V 2>/dev/null; lsinitramfs $S/i; unmkinitramfs $S/i $S/x
        cat $S/x/etc/nanova/handover $S/x/scripts/init-premount/ORDER
        rm /usr/sbin/nanova; mkinitramfs -o $S/i $V 2>/dev/null
        lsinitramfs $S/i | sed -n 's,usr/sbin/nanova,PRESENT,p'",
    );
    assert_lists(&list, &EVERYWHERE);
    assert_lists(&list, &["scripts/init-premount/nanova", "klibc,keyfile", "/scripts/init-premount/nanova \"$@\""]);
    assert!(!list.contains("PRESENT"), "nanova is in an image although it is not installed");
}

#[test]
#[ignore = "needs dracut, user namespaces and apt-get"]
fn dracut_builds_images_that_hand_over_to_whichever_network_manager_is_inside() {
    let home = tempfile::tempdir().unwrap();
    debian::unpack(home.path(), "dracut-network");
    let list = in_a_system_with_nanova(
        home.path(),
        "cp -rn usr/lib/dracut /usr/lib
        show() { lsinitrd $S/$1 | sed -n 's/.* //;/nanova\\|xen-netfront/p'; lsinitrd -f etc/nanova/handover $S/$1; }
        dracut -q --no-compress --no-hostonly --kver $V $S/plain 2>/dev/null; show plain
        echo ---
        dracut -q --no-compress --no-hostonly --kver $V --add systemd-networkd $S/networkd 2>/dev/null; show networkd
        echo ---
        printf 'check() { return 255; }\n' >/usr/lib/dracut/modules.d/35network-manager/module-setup.sh
        dracut -q --no-compress --no-hostonly --kver $V --add network-manager $S/nm 2>/dev/null; show nm
        echo ---
        dracut -q --no-compress --hostonly --kver $V $S/host 2>/dev/null; show host || true",
    );
    let [plain, networkd, manager, host] = list.split("---\n").collect::<Vec<_>>()[..] else { panic!("{list}") };
    assert_lists(plain, &EVERYWHERE);
    assert_lists(plain, &["hooks/pre-mount/50-nanova-network.sh", "networkd,keyfile,klibc"]);
    assert!(!plain.contains("nanova-files.sh"));
    assert_lists(
        networkd,
        &["hooks/cmdline/90-nanova-files.sh", "hooks/pre-mount/50-nanova-network.sh", "networkd,klibc"],
    );
    assert_lists(
        manager,
        &["hooks/pre-udev/50-nanova-files.sh", "hooks/pre-mount/50-nanova-network.sh", "keyfile,klibc"],
    );
    assert!(!host.contains("nanova"), "in an image for this machine alone, which is no Xen guest");
}
