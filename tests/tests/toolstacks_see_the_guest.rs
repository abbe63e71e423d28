//! What XAPI, xen-orchestra and squeezed read of a guest, published by the real agent; the rules by which XAPI reads
//! are stated here once more, and the addresses are those of a real kernel in a network namespace.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nanova_tests::agent::{Agent, binary};
use nanova_tests::scene::wait_until;
use nanova_tests::strace;
use nanova_tests::toolstack::{Guest, LINKS, MEMINFO, inside};
use nanova_tests::xenstored::{Kernel, Layout};
use tempfile::NamedTempFile;

/// Most nodes that all of this may take.
const NODES_MAX: usize = 120;
/// Most system calls of `nanova report --once`.
const CALLS_MAX: usize = 400;

/// XAPI's `networks`: an index that is no integer drops the whole VIF; for the lowest one of IPv4 there is `<n>/ip`,
/// too.
fn xapi_networks(tree: &[String]) -> Vec<String> {
    let mut networks = Vec::new();
    for entry in tree {
        let Some((path, ip)) = entry.split_once('=') else { continue };
        let [_, _, vif, family, index] = path.split('/').collect::<Vec<_>>()[..] else { continue };
        assert!(vif.parse::<u32>().is_ok() && index.parse::<u32>().is_ok(), "{entry}");
        assert!(matches!(family, "ipv4" | "ipv6") && ip.parse::<std::net::IpAddr>().is_ok(), "{entry}");
        networks.push(format!("{vif}/{family}/{index}={ip}"));
    }
    networks.sort();
    networks
}

/// The guest's main address as xen-orchestra finds it: the first IPv4 in the order of strings, else the first IPv6.
fn main_address(networks: &[String]) -> Option<&str> {
    let first = |family: &str| networks.iter().find(|one| one.contains(family)).and_then(|one| one.split_once('='));
    first("/ipv4/").or_else(|| first("/ipv6/")).map(|(_, ip)| ip)
}

#[test]
#[ignore = "needs iproute2 and root"]
fn everything_that_xapi_reads_is_there_in_the_form_that_it_reads() -> Result<()> {
    let guest = Guest::new(Layout::Xapi)?;
    let before = guest.xenstored.stats().nodes;
    let agent = guest.agent(LINKS, "");
    agent.wait_for_log("published what the guest is");
    wait_until("the volume has answered", || guest.get("data/volumes/0/name").is_some());
    let integer = |key: &str| guest.get(key).and_then(|value| value.parse::<i64>().ok());
    assert!(integer("attr/PVAddons/MajorVersion").is_some_and(|major| major >= 1));
    for key in ["attr/PVAddons/MinorVersion", "attr/PVAddons/MicroVersion"] {
        assert!(integer(key).is_some(), "{key}");
    }
    let uname = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    for (key, value) in [
        ("data/os_name", "Debian 12.5"),
        ("data/os_distro", "debian"),
        ("data/os_majorver", "12"),
        ("data/os_minorver", "5"),
        ("data/os_uname", uname.trim()),
        ("data/host_name_dns", "web01"),
        ("data/meminfo_total", "1014772"),
        ("data/meminfo_free", "900000"),
        ("data/updated", "1"),
        ("data/volumes/0/name", "/dev/xvda1"),
        ("data/volumes/0/mount_points/0", "/"),
        ("data/volumes/0/filesystem", "ext4"),
        ("control/feature-balloon", "1"),
        ("control/feature-static-ip-setting", "1"),
        ("attr/PVAddons/Installed", "1"),
        ("attr/vif/0/ipv4/0", "10.0.0.5"),
    ] {
        assert_eq!(guest.get(key).as_deref(), Some(value), "{key}");
    }
    let (size, free) = (integer("data/volumes/0/size"), integer("data/volumes/0/free"));
    assert!(free.is_some_and(|free| free > 0) && size > free, "{size:?} {free:?}");
    // What the kernel says of itself is the kernel's to say.
    for kernels in ["control/feature-poweroff", "control/feature-reboot", "control/feature-suspend"] {
        assert_eq!(guest.get(kernels).filter(|value| !value.is_empty()), None, "{kernels}");
    }
    let networks = xapi_networks(&guest.tree("attr/vif"));
    assert_eq!(main_address(&networks), Some("10.0.0.5"), "{networks:?}");
    let nodes = guest.xenstored.stats().nodes - before;
    println!("{nodes} nodes");
    assert!(nodes < NODES_MAX, "{nodes}");
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn an_address_comes_and_goes_with_its_key_and_keeps_its_index() -> Result<()> {
    let guest = Guest::new(Layout::Xapi)?;
    let agent = guest.agent(LINKS, "");
    agent.wait_for_log("published what the guest is");
    let home = guest.xenstored.home();
    let mut host = guest.xenstored.host();
    let mut slowest = Duration::ZERO;
    for n in 1..=5 {
        let key = format!("{home}/attr/vif/1/ipv4/{}", n - 1);
        let begin = Instant::now();
        inside(&agent, &format!("ip address add 10.1.0.{n}/24 dev enX1"))?;
        wait_until("the address is there", || host.get(&key).is_ok_and(|ip| ip == Some(format!("10.1.0.{n}"))));
        slowest = slowest.max(begin.elapsed());
    }
    println!("from the start of ip(8) to the key: {slowest:?} at the most");
    inside(&agent, "ip address del 10.1.0.5/24 dev enX1; ip address del 10.1.0.2/24 dev enX1")?;
    wait_until("it is gone", || guest.get("attr/vif/1/ipv4/1").is_none());
    let ipv4 = |guest: &Guest| -> Vec<String> {
        xapi_networks(&guest.tree("attr/vif")).into_iter().filter(|one| one.contains("/ipv4/")).collect()
    };
    assert_eq!(ipv4(&guest), ["0/ipv4/0=10.0.0.5", "1/ipv4/0=10.1.0.1", "1/ipv4/2=10.1.0.3", "1/ipv4/3=10.1.0.4"]);
    // Nothing is left of a VIF without an address, not even a directory.
    inside(&agent, "ip address flush dev enX1; ip link set enX1 down")?;
    wait_until("the VIF is gone", || host.list(&format!("{home}/attr/vif")).is_ok_and(|vifs| vifs == ["0"]));
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn an_address_of_a_bridge_or_a_macvlan_is_the_vifs() -> Result<()> {
    let guest = Guest::new(Layout::Xapi)?;
    let agent = guest.agent(LINKS, "");
    agent.wait_for_log("published what the guest is");
    inside(
        &agent,
        "ip link add br0 type bridge; ip link set br0 up; ip link set eth0 master br0
         ip address del 10.0.0.5/24 dev eth0; ip address add 10.0.0.6/24 dev br0
         ip link add over1 link enX1 type macvlan; ip link set over1 up; ip address add 10.1.0.7/24 dev over1
         ip link add lone type veth peer name lone2; ip link set lone up; ip address add 192.0.2.1/24 dev lone",
    )?;
    let ipv4 = || -> Vec<String> {
        xapi_networks(&guest.tree("attr/vif")).into_iter().filter(|one| one.contains("/ipv4/")).collect()
    };
    wait_until("both are there", || {
        let now = ipv4();
        let ips: Vec<&str> = now.iter().filter_map(|one| one.split_once('=')).map(|(_, ip)| ip).collect();
        ips == ["10.0.0.6", "10.1.0.7"] && now[0].starts_with("0/") && now[1].starts_with("1/")
    });
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn a_storm_of_changes_ends_in_the_right_state_and_takes_no_memory() -> Result<()> {
    let guest = Guest::new(Layout::Xapi)?;
    let agent = guest.agent(LINKS, "");
    agent.wait_for_log("published what the guest is");
    let batch = NamedTempFile::new()?;
    let storm = |rounds: usize| -> Result<()> {
        let mut lines = String::new();
        for n in 0..rounds {
            let (a, b) = (n % 200, n % 7);
            lines += &format!("address add 10.9.{b}.{a}/32 dev enX1\naddress del 10.9.{b}.{a}/32 dev enX1\n");
        }
        fs::write(batch.path(), lines)?;
        inside(&agent, &format!("ip -batch {}", batch.path().display()))
    };
    storm(500)?;
    let before = agent.status_number("VmRSS");
    let begin = Instant::now();
    storm(50_000)?;
    let changes = 100_000.0 / begin.elapsed().as_secs_f64();
    inside(&agent, "ip address add 10.1.0.1/24 dev enX1")?;
    wait_until("the last one is there", || guest.get("attr/vif/1/ipv4/0").as_deref() == Some("10.1.0.1"));
    assert_eq!(guest.tree("attr/vif/1/ipv4"), ["attr/vif/1/ipv4/0=10.1.0.1"]);
    let after = agent.status_number("VmRSS");
    println!("100,000 changes, {changes:.0} a second: RSS {before} KiB before, {after} KiB after");
    assert_eq!(before, after);
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn more_addresses_than_there_is_room_for_are_cut_and_that_is_said() -> Result<()> {
    let guest = Guest::new(Layout::Xapi)?;
    let before = guest.xenstored.stats().nodes;
    let many: String = (1..60).map(|n| format!("ip address add 10.2.0.{n}/16 dev enX1\n")).collect();
    let agent = guest.agent(&format!("{LINKS}\n{many}"), "");
    agent.wait_for_log("published what the guest is");
    assert!(agent.log().contains("too many links or addresses"), "{}", agent.log());
    assert_eq!(guest.tree("attr/vif").len(), 24);
    assert!(guest.xenstored.stats().nodes - before < NODES_MAX);
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn each_vif_has_its_first_addresses_however_many_others_there_are() -> Result<()> {
    let guest = Guest::new(Layout::Xapi)?;
    guest.file("sys/class/net/enX2/device/nodename", "device/vif/2\n")?;
    let others: String = (0..150).map(|n| format!("ip link add other{n} type bridge\n")).collect();
    let many: String = (10..60).map(|n| format!("ip address add 10.0.0.{n}/16 dev eth0\n")).collect();
    let agent = guest.agent(
        &format!(
            "ip link add br0 type bridge\n{others}{LINKS}\n{many}
            ip link add enX2 type veth peer name far2; ip link set enX2 up; ip link set enX2 master br0
            ip address add 10.1.0.5/24 dev enX1; ip address add 10.2.0.5/24 dev br0
            ip address add 2001:db8::5/64 dev enX1 nodad"
        ),
        "",
    );
    agent.wait_for_log("published what the guest is");
    for (key, ip) in [
        ("attr/vif/0/ipv4/0", "10.0.0.5"),
        ("attr/vif/1/ipv4/0", "10.1.0.5"),
        ("attr/vif/1/ipv6/0", "2001:db8::5"),
        ("attr/vif/2/ipv4/0", "10.2.0.5"),
    ] {
        assert_eq!(guest.get(key).as_deref(), Some(ip), "{key}");
    }
    // One that comes when all room is taken has it from whoever has most.
    inside(&agent, "ip address add 2001:db8::6/64 dev eth0 nodad")?;
    wait_until("it is there", || guest.get("attr/vif/0/ipv6/0").as_deref() == Some("2001:db8::6"));
    assert_eq!(guest.tree("attr/vif").len(), 24);
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn after_a_migration_everything_is_there_again_and_nothing_of_before() -> Result<()> {
    let guest = Guest::new(Layout::Xapi)?;
    let device = guest.xenstored.guest_device(Kernel::default())?;
    let nanova = format!(
        "{} agent --xenbus {} --root {}",
        binary().display(),
        device.path().display(),
        guest.root.path().display()
    );
    let mut command = Command::new("unshare");
    command.args(["--net", "--uts", "sh", "-ec", &format!("{LINKS}\nexec {nanova}")]);
    let agent = Agent::spawn(command);
    agent.wait_for_log("published what the guest is");
    device.suspend();
    guest.xenstored.migrate(23);
    // What the toolstack took over from the other side.
    let home = guest.xenstored.home();
    let mut host = guest.xenstored.host();
    host.write(&format!("{home}/attr/vif/5/ipv4/0"), "203.0.113.9")?;
    host.write(&format!("{home}/data/volumes/7/name"), "/dev/gone")?;
    let _ = host.rm(&format!("{home}/attr/PVAddons"));
    let _ = host.rm(&format!("{home}/control/feature-balloon"));
    for node in ["attr", "attr/vif", "attr/vif/5", "attr/vif/5/ipv4", "attr/vif/5/ipv4/0", "data/volumes"] {
        host.set_perms(&format!("{home}/{node}"), "n23")?;
    }
    for node in ["data/volumes/7", "data/volumes/7/name"] {
        host.set_perms(&format!("{home}/{node}"), "n23")?;
    }
    device.resume();
    wait_until("it is published again", || {
        guest.get("attr/PVAddons/Installed").as_deref() == Some("1")
            && guest.get("control/feature-balloon").as_deref() == Some("1")
            // Volumes that answer late may have written the first one before.
            && guest.get("attr/vif/0/ipv4/0").as_deref() == Some("10.0.0.5")
    });
    assert_eq!(guest.get("attr/vif/5/ipv4/0"), None);
    // As soon as the volumes have answered.
    wait_until("no volume of before is left", || guest.get("data/volumes/7/name").is_none());
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn below_xl_a_refusal_is_said_once_and_the_old_form_is_there_for_old_readers() -> Result<()> {
    let guest = Guest::new(Layout::Xl)?;
    let agent = guest.agent(LINKS, "");
    agent.wait_for_log("published what the guest is");
    inside(&agent, "ip address add 10.0.0.6/24 dev eth0")?;
    wait_until("both are in one key", || guest.get("attr/eth0/ip").as_deref() == Some("10.0.0.5 10.0.0.6"));
    assert_eq!(agent.log().matches("EACCES").count(), 1, "{}", agent.log());
    assert_eq!(guest.get("control/feature-balloon"), None);
    assert_eq!(guest.get("attr/vif/0/ipv4/1").as_deref(), Some("10.0.0.6"));
    inside(&agent, "ip address flush dev eth0")?;
    wait_until("it is gone", || guest.get("attr/eth0/ip").is_none());
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn a_virtual_function_is_told_by_its_mac_address() -> Result<()> {
    let guest = Guest::new(Layout::Xapi)?;
    let home = guest.xenstored.home();
    let mac = format!("{home}/xenserver/device/net-sriov-vf/2/mac");
    guest.xenstored.host().write(&mac, "02:00:00:00:77:01")?;
    let mut node = mac.as_str();
    while node.len() > home.len() {
        guest.xenstored.host().set_perms(node, "n0 r7")?;
        node = node.rsplit_once('/').context("a path")?.0;
    }
    let links = format!(
        "{LINKS}; ip link add ens5 address 02:00:00:00:77:01 type veth peer name far5; ip link set ens5 up
        ip address add 10.5.0.1/24 dev ens5"
    );
    let agent = guest.agent(&links, "");
    agent.wait_for_log("published what the guest is");
    assert_eq!(guest.get("xenserver/attr/net-sriov-vf/2/ipv4/0").as_deref(), Some("10.5.0.1"));
    Ok(())
}

#[test]
#[ignore = "needs iproute2, root and strace"]
fn a_report_alone_takes_few_system_calls_and_little_time() -> Result<()> {
    let guest = Guest::new(Layout::Xapi)?;
    let run = |command: &mut Command| -> Result<Duration> {
        let begin = Instant::now();
        let output = command.output()?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(begin.elapsed())
    };
    run(&mut guest.command(LINKS, "report --once"))?;
    assert_eq!(guest.get("attr/vif/0/ipv4/0").as_deref(), Some("10.0.0.5"));
    assert_eq!(guest.get("control/feature-static-ip-setting"), None, "nobody would answer");
    let trace = NamedTempFile::new()?;
    let (xenbus, root) = (guest.xenstored.guest_socket(), guest.root.path());
    let script = format!(
        "{LINKS}\nexec strace -o {} {} report --once --xenbus {} --root {}",
        trace.path().display(),
        binary().display(),
        xenbus.display(),
        root.display()
    );
    run(Command::new("unshare").args(["--net", "sh", "-ec", &script]))?;
    let calls = strace::calls(trace.path()).len();
    println!("nanova report --once: {calls} system calls");
    assert!(calls <= CALLS_MAX, "{calls}");
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let nothing = run(Command::new(binary()).arg("--version"))?;
            let call = ["report", "--once", "--xenbus"];
            let report = run(Command::new(binary()).args(call).arg(&xenbus).arg("--root").arg(root))?;
            Ok(report.saturating_sub(nothing))
        })
        .collect::<Result<_>>()?;
    times.sort();
    println!("a report beyond nanova --version: {:?} (median of 9)", times[4]);
    Ok(())
}

#[test]
fn a_root_on_zfs_or_btrfs_has_its_size_whatever_else_is_mounted() -> Result<()> {
    let long = "/var/lib/docker/overlay2/l/ABCDEFGHIJKLMNOPQRSTUVWXYZ:".repeat(200);
    for (file_system, device) in [("zfs", "rpool/ROOT/debian"), ("btrfs", "/dev/xvda2")] {
        let guest = Guest::new(Layout::Xapi)?;
        let mounts = format!(
            "90 1 0:40 / /overlay rw - overlay overlay rw,lowerdir={long}
22 1 0:25 /{long} / rw,relatime - {file_system} {device} rw,{long}
23 22 0:26 / /home rw,relatime - {file_system} {device} rw,{long}\n"
        );
        guest.file("proc/self/mountinfo", &mounts)?;
        let mut command = Command::new(binary());
        command.args(["report", "--once", "--xenbus"]).arg(guest.xenstored.guest_socket());
        let output = command.arg("--root").arg(guest.root.path()).output()?;
        assert!(output.status.success(), "{output:?}");
        let get = |key: &str| guest.get(&format!("data/volumes/0/{key}")).unwrap_or_default();
        assert_eq!([get("name"), get("mount_points/0"), get("filesystem")], [device, "/", file_system]);
        assert!(get("size").parse::<u64>()? >= get("free").parse()? && get("free") != "0");
        assert_eq!(guest.get("data/volumes/1/name"), None, "it is one volume");
    }
    Ok(())
}

#[test]
fn memory_is_published_when_it_has_moved() -> Result<()> {
    let guest = Guest::new(Layout::Xapi)?;
    let (xenbus, root) = (guest.xenstored.guest_socket(), guest.root.path().to_owned());
    let agent = Agent::start([
        "--xenbus".as_ref(),
        xenbus.as_os_str(),
        "--root".as_ref(),
        root.as_os_str(),
        "--metrics-interval=1".as_ref(),
    ]);
    agent.wait_for_log("published what the guest is");
    guest.file("proc/meminfo", &MEMINFO.replace("900000", "890000"))?;
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(guest.get("data/meminfo_free").as_deref(), Some("900000"), "that is less than a 64th");
    guest.file("proc/meminfo", &MEMINFO.replace("900000", "500000"))?;
    wait_until("it has moved", || guest.get("data/meminfo_free").as_deref() == Some("500000"));
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn status_shows_what_is_published_and_why_a_key_is_missing() -> Result<()> {
    let guest = Guest::new(Layout::Xl)?;
    let status = |code| -> Result<String> {
        let output =
            Command::new(binary()).args(["status", "--xenbus"]).arg(guest.xenstored.guest_socket()).output()?;
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let before = status(1)?;
    assert!(before.starts_with("not well: there is no agent"), "{before}");
    assert!(before.contains("attr/PVAddons/Installed is missing: no agent"), "{before}");
    let agent = guest.agent(LINKS, "");
    agent.wait_for_log("published what the guest is");
    let page = status(0)?;
    assert!(page.starts_with("well: "), "{page}");
    for line in [
        "name = guest\n",
        "data/os_name = Debian 12.5\n",
        "attr/vif/0/ipv4/0 = 10.0.0.5\n",
        "vm-data/hostname is missing: the host gives no name\n",
        "control/feature-balloon is missing: no balloon driver in sysfs, or xl's guest",
    ] {
        assert!(page.contains(line), "{line:?} in {page}");
    }
    let usage = Command::new(binary()).args(["status", "too", "much"]).output()?;
    assert_eq!(usage.status.code(), Some(2));
    Ok(())
}

/// Ends a child however the test ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_answers_to_the_name_and_the_options_of_its_predecessor() -> Result<()> {
    let guest = Guest::new(Layout::Xapi)?;
    let directory = tempfile::tempdir()?;
    let daemon = directory.path().join("xe-daemon");
    std::os::unix::fs::symlink(binary(), &daemon)?;
    let pidfile = directory.path().join("pid");
    let mut command = Command::new(&daemon);
    command.arg("-p").arg(&pidfile).args(["-i", "60", "-B", "--root"]).arg(guest.root.path());
    command.arg("--xenbus").arg(guest.xenstored.guest_socket()).stderr(Stdio::null());
    let child = Ended(command.spawn()?);
    wait_until("it reports", || guest.get("attr/PVAddons/Installed").as_deref() == Some("1"));
    assert_eq!(fs::read_to_string(&pidfile)?.trim(), child.0.id().to_string());
    Ok(())
}
