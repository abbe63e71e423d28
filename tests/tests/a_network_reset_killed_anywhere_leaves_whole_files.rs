//! `nanova network` is killed at every system call that changes a file, one after the other: each file is then the old
//! one or the new one, whole; the next agent removes what was left, and the next run does the rest.

mod vm_data;

use anyhow::Result;
use vm_data::{Guest, LINKS, succeeded};

/// More calls of a kind than a run makes.
const CALLS_MAX: usize = 200;

/// The guest before: old files where new ones will be.
fn guest() -> Result<Guest> {
    let guest = Guest::new()?;
    let scripts = guest.root.join("etc/sysconfig/network-scripts");
    std::fs::create_dir_all(&scripts)?;
    for file in ["etc/hostname", "etc/hosts", "etc/resolv.conf"] {
        std::fs::write(guest.root.join(file), "# old\n")?;
    }
    for file in ["ifcfg-eth0", "ifcfg-eth1", "route-eth1", "ifcfg-eth7"] {
        std::fs::write(scripts.join(file), "# old\n")?;
    }
    Ok(guest)
}

/// What is in the files that readers read.
fn contents(guest: &Guest) -> Vec<(String, String)> {
    let files = guest.root.files().into_iter();
    let read =
        files.filter(|file| file.starts_with("etc/") && !file.ends_with(".bak~") && !file.contains(".nanova.new"));
    read.map(|file| (file.clone(), guest.root.text(&format!("/{file}")))).collect()
}

#[test]
#[ignore = "needs iproute2, root and strace"]
fn every_file_is_whole_after_a_kill_at_any_call() -> Result<()> {
    let (before, done) = (guest()?, guest()?);
    succeeded(&done.shell(&format!("{LINKS}$NANOVA --style ifcfg"))?);
    let (old, new) = (contents(&before), contents(&done));
    assert!(old.len() > 7 && !new.iter().any(|(file, _)| file.ends_with("ifcfg-eth7")), "{new:?}");
    let mut kills = 0;
    for call in
        ["openat", "write", "fsync", "renameat", "renameat2", "linkat", "unlinkat", "mkdirat", "fchmod", "fchown"]
    {
        for number in 1..=CALLS_MAX {
            let guest = guest()?;
            let killed = format!("strace -o /dev/null -e trace={call} -e inject={call}:signal=KILL:when={number}");
            let output = guest.shell(&format!("{LINKS}{killed} $NANOVA --style ifcfg || echo killed"))?;
            if !succeeded(&output).contains("killed") {
                break;
            }
            assert!(number < CALLS_MAX, "{call} goes on for ever");
            kills += 1;
            for (file, text) in contents(&guest) {
                let known = [&old, &new].iter().any(|all| all.contains(&(file.clone(), text.clone())));
                assert!(known, "{call} {number}: {file} is neither old nor new: {text}");
            }
            for (file, _) in old.iter().filter(|(file, _)| !file.ends_with("ifcfg-eth7")) {
                assert!(guest.root.join(file).exists(), "{call} {number}: {file} is gone");
            }
            succeeded(&guest.shell("$AGENT")?);
            let left: Vec<_> = guest.root.files().into_iter().filter(|file| file.contains(".nanova.new")).collect();
            assert_eq!(left, Vec::<String>::new(), "{call} {number}");
            succeeded(&guest.shell(&format!("{LINKS}$NANOVA --style ifcfg"))?);
            assert_eq!(contents(&guest), new, "{call} {number}");
        }
    }
    println!("killed {kills} times");
    assert!(kills > 50, "{kills}");
    Ok(())
}
