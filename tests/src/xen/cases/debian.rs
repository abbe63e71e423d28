//! A Debian 12 or 13 with systemd on a disk, to which nanova as the first process hands over, booted twice.
//!
//! Guarantees: what is so inside is told by the observer, from the kernel, systemd and udev, not by the agent; all that
//! is wrong in both boots is told, not the first of it alone. Refuses a boot that systemd has not finished.

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::super::bench::{Bench, MAC};
use super::super::dom0::{self, Dom0};
use super::super::guest::{Guest, Spec};
use super::super::images::Images;
use super::super::mailbox::{self, alive};
use super::super::report::Outcome;
use super::network::{ADDRESS, ADDRESS6, give};
use super::update::SERVE;
use super::{DISKS, lifecycle, passed};
use crate::nova::Digest;

/// The first process mounts the disk; systemd says nothing on the console, which is the observer's.
const APPEND: &str = "nanova.root=/dev/xvda nanova.rootfstype=ext4 rw systemd.show_status=false";
/// For systemd and what it starts, in MB.
const MEMORY: u32 = 256;
/// What udev of Debian 12 calls the interface of the first VIF.
const NAME: &str = "enX0";
/// Prints one fact a line when the boot is finished; the last is when that was.
const FACTS: &str = r#"PATH=$PATH:/usr/sbin:/usr/bin
    echo "system $(systemctl is-system-running --wait)"
    read -r uptime rest </proc/uptime
    for unit in networking nanova; do echo "unit $unit $(systemctl is-active $unit.service)"; done
    systemctl --failed --plain --no-legend | sed 's/^\([^ ]*\).*/failed \1/'
    for link in $(ls /sys/class/net); do echo "link $link $(cat /sys/class/net/$link/address)"; done
    udevadm info --query property --path /sys/class/net/e* | sed -n 's/^ID_NET_NAME_SLOT=/udev /p'
    for family in 4 6; do
        ip -$family -o addr show scope global | sed 's/^[0-9]*: *\([^ ]*\) *inet6* \([^ ]*\).*/address \1 \2/'
        ip -$family route show default | sed 's/^default via \([^ ]*\) dev \([^ ]*\).*/route \2 \1/'
    done
    cat /etc/network/interfaces /etc/network/interfaces.d/* 2>/dev/null | sed -n 's/^ *iface/iface/p'
    echo $uptime"#;

/// With vm-data: the interface has udev's name and vm-data's addresses in both boots, and keeps them when ifupdown's
/// files have them, too, which `resetnetwork` writes in between.
pub(super) fn with_vm_data(bench: &mut Bench<'_>) -> Result<Outcome> {
    judged(bench, boots_with_vm_data)
}

fn boots_with_vm_data(bench: &mut Bench<'_>, wrong: &mut Vec<String>) -> Result<String> {
    let disk = DISKS[0];
    boot(bench, disk, true)?;
    let first = look(bench, "boot 1", &[connected(), vec!["iface lo inet loopback".into()]].concat(), wrong)?;
    let answer = bench.ask("resetnetwork", json!(""))?;
    note(answer.ok(), "resetnetwork", wrong);
    let files = [connected(), ifaces()].concat();
    look(bench, "after resetnetwork", &files, wrong)?;
    lifecycle::shut_down(bench)?;
    boot(bench, disk, true)?;
    let second = look(bench, "boot 2", &files, wrong)?;
    Ok(format!("{NAME} {ADDRESS}, {ADDRESS6} in both boots, which took {first} s and {second} s"))
}

/// Without vm-data: the interface has udev's name in both boots, and nothing fails.
pub(super) fn without_vm_data(bench: &mut Bench<'_>) -> Result<Outcome> {
    judged(bench, boots_without_vm_data)
}

fn boots_without_vm_data(bench: &mut Bench<'_>, wrong: &mut Vec<String>) -> Result<String> {
    let disk = DISKS[1];
    let right = [healthy(), vec!["iface lo inet loopback".into()]].concat();
    boot(bench, disk, false)?;
    let first = look(bench, "boot 1", &right, wrong)?;
    lifecycle::shut_down(bench)?;
    boot(bench, disk, false)?;
    let second = look(bench, "boot 2", &right, wrong)?;
    Ok(format!("{NAME} in both boots, which took {first} s and {second} s"))
}

/// Root's password as the host sets it.
const PASSWORD: &str = "Xen 'n' Debian: 42";

/// Prints what the service's process is, and whether systemd takes it for ready, when the boot is finished.
const RUNS: &str = "PATH=$PATH:/usr/sbin:/usr/bin; systemctl is-system-running --wait >/dev/null
    pid=$(pidof nanova) && sha256sum /proc/$pid/exe && systemctl is-active nanova";

/// Attaches another disk and mounts it: dom0 sees it among the volumes, until it is gone.
fn attach(dom0: &mut Dom0, guest: &mut Guest) -> Result<()> {
    let (domid, volumes) = (guest.domid(), guest.path("data/volumes"));
    dom0.sh(&format!("xl block-attach {domid} phy:{},xvdb,w", DISKS[0]))?;
    let wait = "for i in $(seq 60); do [ ! -b /dev/xvdb ] || break; sleep 1; done";
    // It looks for volumes when it starts, and then every ten minutes.
    guest.sh(dom0, &format!("{wait}; mkdir -p /mnt && mount /dev/xvdb /mnt && /usr/bin/systemctl restart nanova"))?;
    let shows = format!("xenstore-ls -f {volumes} | grep -q '/name = \"/dev/xvdb'");
    dom0.sh(&format!("for i in $(seq 120); do {shows} && exit; sleep 1; done; exit 1")).context("no such volume")?;
    guest.sh(dom0, "umount /mnt && /usr/bin/systemctl restart nanova")?;
    dom0.sh(&format!("for i in $(seq 120); do {shows} || exit 0; sleep 1; done; exit 1")).context("it stays")?;
    dom0.sh(&format!("xl block-detach {domid} xvdb")).map(drop)
}

/// A password that the host sets is what the console takes, and nothing else is, also after the agent has been replaced
/// and the guest was booted again, with the new agent as its service; and a disk that comes and goes is a volume.
pub(super) fn with_login(bench: &mut Bench<'_>) -> Result<Outcome> {
    let disk = DISKS[2];
    boot(bench, disk, true)?;
    let (dom0, guest) = bench.guest()?;
    mailbox::set_password(dom0, guest, PASSWORD, Digest::Sha256)?.ok()?;
    attach(dom0, guest).context("a disk is attached")?;
    let sums = dom0.sh(SERVE)?;
    let new = sums.lines().nth(1).context("dom0 serves no agent")?;
    mailbox::ask(dom0, guest, "agentupdate", json!(format!("http://{}/agent,{new}", dom0::ADDRESS)))?.ok()?;
    alive(dom0, guest).context("a request after the update")?;
    lifecycle::shut_down(bench)?;
    boot(bench, disk, true)?;
    let (dom0, guest) = bench.guest()?;
    let sum = guest.sh(dom0, RUNS)?;
    ensure!(sum.starts_with(new) && sum.ends_with("\nactive\n"), "after a boot the agent is {sum:?}, not {new}");
    alive(dom0, guest)?;
    log_in(dom0, guest)?;
    bench.discard_guest()?;
    passed("logged in on the console; the agent that was fetched is the service after a boot; a disk came and went")
}

/// Asks for a login in the observer's place, and gives a wrong password, then the right one.
fn log_in(dom0: &mut Dom0, guest: &mut Guest) -> Result<()> {
    // The observer ends by that: it answers first.
    guest.sh(dom0, "(sleep 5; /usr/bin/systemctl --no-block start console-login.service) >/dev/null 2>&1 &")?;
    let answers = [("nothing like it", "Login incorrect"), (PASSWORD, "# ")];
    for (count, (password, reply)) in (1..).zip(answers) {
        expect(dom0, guest, " login: ", count)?;
        guest.type_line(dom0, "root")?;
        expect(dom0, guest, "Password: ", count)?;
        guest.type_line(dom0, password)?;
        expect(dom0, guest, reply, 1)?;
    }
    guest.type_line(dom0, "echo I am $(id -un), $((40 + 2))")?;
    expect(dom0, guest, "I am root, 42", 1)
}

/// Waits until the console has shown this so often.
fn expect(dom0: &mut Dom0, guest: &Guest, text: &str, count: usize) -> Result<()> {
    guest.wait_console(dom0, text, |said| (said.matches(text).count() >= count).then_some(()))
}

/// Facts of a guest in which nothing failed.
fn healthy() -> Vec<String> {
    let facts = ["system running", "unit networking active", "unit nanova active", "link lo 00:00:00:00:00:00"];
    let named = [format!("link {NAME} {MAC}"), format!("udev {NAME}")];
    facts.map(str::to_owned).into_iter().chain(named).collect()
}

/// Facts of one that also has what vm-data says.
fn connected() -> Vec<String> {
    let mut facts = healthy();
    facts.extend([format!("address {NAME} {ADDRESS}/24"), format!("address {NAME} {ADDRESS6}/64")]);
    facts.extend([format!("route {NAME} {}", dom0::ADDRESS), format!("route {NAME} fd99::1")]);
    facts
}

/// What ifupdown is told of by `resetnetwork`.
fn ifaces() -> Vec<String> {
    ["lo inet loopback", &format!("{NAME} inet static"), &format!("{NAME} inet6 static")]
        .map(|iface| format!("iface {iface}"))
        .into()
}

/// Starts a guest on a disk.
fn boot(bench: &mut Bench<'_>, disk: &'static str, vm_data: bool) -> Result<()> {
    let spec = Spec { image: Images::ROOT.into(), memory: MEMORY, disk: Some(disk), ..bench.spec("debian", APPEND) };
    let (dom0, guest) = bench.place(spec)?;
    if vm_data {
        give(dom0, guest)?;
    }
    guest.unpause(dom0)?;
    guest.wait_console(dom0, "observer in the Debian", |text| text.contains("\n@ready").then_some(()))
}

/// Adds to what is wrong: facts that are not what they should be, no ping where there is an address, no answer. Returns
/// the time that the boot took.
fn look(bench: &mut Bench<'_>, when: &str, right: &[String], wrong: &mut Vec<String>) -> Result<String> {
    let said = bench.in_guest(FACTS)?;
    let mut facts: Vec<_> = said.lines().collect();
    let Some(uptime) = facts.pop() else { bail!("{when}: the guest told no facts") };
    let lacks: Vec<_> = right.iter().map(String::as_str).filter(|fact| !facts.contains(fact)).collect();
    let has: Vec<_> = facts.into_iter().filter(|fact| !right.iter().any(|wanted| wanted == fact)).collect();
    for (verb, facts) in [("lacks", lacks), ("has", has)].iter().filter(|(_, facts)| !facts.is_empty()) {
        wrong.push(format!("{when} {verb}: {}", facts.join(", ")));
    }
    let (dom0, guest) = bench.guest()?;
    if right.iter().any(|fact| fact.starts_with("address")) {
        let ping = dom0.sh(&format!("ping -c 1 -W 60 {ADDRESS} && ping6 -c 1 -W 60 {ADDRESS6}"));
        note(ping, &format!("{when}: ping from dom0"), wrong);
    }
    note(alive(dom0, guest), &format!("{when}: a request"), wrong);
    Ok(uptime.to_owned())
}

fn note<T>(result: Result<T>, what: &str, wrong: &mut Vec<String>) {
    wrong.extend(result.err().map(|error| format!("{what}: {error:#}")));
}

/// Runs both boots: passes if they came to their end and nothing was wrong; the guest is of no more use.
fn judged(bench: &mut Bench<'_>, boots: fn(&mut Bench<'_>, &mut Vec<String>) -> Result<String>) -> Result<Outcome> {
    let mut wrong = Vec::new();
    match boots(bench, &mut wrong) {
        Err(error) if wrong.is_empty() => Err(error),
        Err(error) => Err(error.context(wrong.join("\n"))),
        Ok(_) if !wrong.is_empty() => bail!("{}", wrong.join("\n")),
        Ok(remark) => {
            bench.discard_guest()?;
            passed(remark)
        }
    }
}
