//! `nanova init` on a real kernel in a plain machine: the hand-over to a real root, and a program of its own.

#[allow(dead_code, reason = "the real agent is in these images")]
#[path = "common/image.rs"]
mod image;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use nanova_tests::machine::{Boot, Console, kernel, root_disk};
use nanova_tests::{agent, xen::lab};

/// In the image only to be seen: as long as it is there, so much memory is taken.
const BALLAST_KIB: usize = 32 * 1024;

/// What the real root goes on with.
const INIT: &str = "#!/bin/busybox sh
export PATH=/bin
exec >/dev/console 2>&1
echo; echo == pid; echo $$
echo == mounts; cat /proc/mounts
echo == root; ls /
echo == moved; ls -1d /dev/vda /proc/1 /sys/block/vda
echo == memory; cat /proc/meminfo
echo == environment; echo $TEST_WORD
echo == end
poweroff -f
";

/// An image with the real binary, what it needs for a virtio disk, busybox, the ballast, and a script: /task.
fn image(home: &Path, task: &str) -> Result<PathBuf> {
    fs::write(home.join("task"), task)?;
    fs::write(home.join("ballast"), vec![b'x'; BALLAST_KIB * 1024])?;
    let busybox = format!("{}:/bin/busybox", lab::busybox()?.display());
    let (agent, modules) = (agent::binary().display().to_string(), kernel().display().to_string());
    let mut arguments = vec!["--agent", &agent, "--output", "image.cpio", "--kernel-modules", &modules];
    for module in ["virtio_pci", "virtio_blk", "ext4"] {
        arguments.extend(["--module", module]);
    }
    for add in [&busybox, "task:/task", "ballast:/ballast"] {
        arguments.extend(["--add", add]);
    }
    let output = image::initramfs(home, &arguments);
    assert!(output.status.success(), "{output:?}");
    Ok(home.join("image.cpio"))
}

/// Boots such an image, with a root disk whose init this is.
fn boot(task: &str, init: Option<&str>, options: &str) -> Result<Console> {
    let home = tempfile::tempdir()?;
    let initrd = image(home.path(), task)?;
    let disk = root_disk(home.path(), init)?;
    Boot { initrd: &initrd, options, disk: Some(&disk), mac: None }.run()
}

/// A number of /proc/meminfo, in KiB.
fn memory(console: &Console, name: &str) -> usize {
    let line = console.section("memory").lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
#[ignore = "needs qemu-system-x86, e2fsprogs, busybox-static and apt-get"]
fn the_real_root_takes_over_as_the_first_process() -> Result<()> {
    let console = boot("", Some(INIT), "quiet nanova.root=/dev/vda TEST_WORD=passed-on")?;
    console.assert_says(&["handing over to /sbin/init on /dev/vda", "== end"]);
    assert_eq!(console.section("pid"), "1\n");
    let mounts = console.section("mounts");
    for mount in
        ["/dev/vda / ext4 ro", " /dev devtmpfs rw,nosuid", " /proc proc rw,nosuid", " /sys sysfs ", " /run tmpfs "]
    {
        assert!(mounts.lines().any(|line| line.contains(mount)), "{mount} in {mounts}");
    }
    assert_eq!(console.section("moved"), "/dev/vda\n/proc/1\n/sys/block/vda\n");
    assert!(!console.section("root").contains("ballast") && console.section("root").contains("lost+found"));
    assert_eq!(console.section("environment"), "passed-on\n");
    // The initramfs is a tmpfs, whose files count as shared memory, or a ramfs, whose files cannot be evicted.
    let held = memory(&console, "Shmem:") + memory(&console, "Unevictable:");
    assert!(held < BALLAST_KIB / 4, "the initramfs is not freed: {held} KiB");
    Ok(())
}

#[test]
#[ignore = "needs qemu-system-x86, e2fsprogs, busybox-static and apt-get"]
fn a_program_runs_its_status_is_logged_and_the_power_goes_off() -> Result<()> {
    // The orphan outlives the shell that started it, and ends while the task is looking.
    let task = "/bin/busybox --install -s /bin; export PATH=/bin
        echo; echo == parent; echo $PPID
        echo == memory; cat /proc/meminfo
        sh -c 'sleep 1 & echo $! >/orphan'
        read -r orphan </orphan; sleep 0.3
        echo == orphan; sed -n 's/^PPid:[^0-9]*//p' /proc/$orphan/status
        sleep 2
        echo == left; [ -e /proc/$orphan ] && echo present
        sed -n 's/^State:.*zombie/&/p' /proc/[0-9]*/status
        echo == argument; echo $1; exit 7\n";
    let console = boot(task, None, r#"quiet nanova.exec="/bin/busybox sh /task one""#)?;
    console.assert_says(&[
        "runs /bin/busybox sh /task one",
        "/bin/busybox sh /task one ended with status 7",
        "power off",
    ]);
    assert_eq!((console.section("parent"), console.section("orphan"), console.section("left")), ("1\n", "1\n", ""));
    assert!(console.section("argument").starts_with("one\n"));
    // That the other test would see an initramfs that is not freed.
    assert!(memory(&console, "Shmem:") + memory(&console, "Unevictable:") > BALLAST_KIB);
    Ok(())
}

#[test]
#[ignore = "needs qemu-system-x86, e2fsprogs, busybox-static and apt-get"]
fn a_program_is_restarted_until_somebody_says_poweroff() -> Result<()> {
    let task = "/bin/busybox [ -e /second ] && exec /sbin/poweroff
        /bin/busybox [ -e /first ] && /bin/busybox touch /second && exit 4
        /bin/busybox touch /first; kill -9 $$\n";
    let console = boot(task, None, r#"quiet nanova.exec="/bin/busybox sh /task" nanova.onexit=restart"#)?;
    console.assert_says(&["sh /task was ended by signal 9", "sh /task ended with status 4", "power off"]);
    assert_eq!(console.count(" runs /bin/busybox sh /task"), 3, "{}", console.text());
    Ok(())
}

#[test]
#[ignore = "needs qemu-system-x86, e2fsprogs, busybox-static and apt-get"]
fn a_root_that_is_not_there_or_has_no_init_is_reported_and_the_program_runs() -> Result<()> {
    let task = "echo; echo == root; /bin/busybox ls /; echo == end\n";
    for (device, says) in [
        ("/dev/vda", "the root /dev/vda has no init program; staying here"),
        // Waits for 30 seconds.
        ("/dev/vdz", "cannot mount the root /dev/vdz: no such file or directory (ENOENT); staying here"),
    ] {
        let options = format!(r#"quiet nanova.root={device} nanova.exec="/bin/busybox sh /task""#);
        let console = boot(task, None, &options)?;
        console.assert_says(&[says, "== end", "ended with status 0", "power off"]);
        assert!(console.section("root").contains("ballast"), "{}", console.text());
    }
    Ok(())
}
