//! The host's command `resetnetwork` on a real kernel, in a network namespace of its own; iproute2 judges, and strace
//! that a second time nothing is written.

mod vm_data;

use anyhow::{Context, Result};
use serde_json::Value;
use vm_data::{Guest, LINKS, succeeded};

/// Has the agent answer one `resetnetwork` in a namespace with these preparations; returns code, message, and the state
/// (addresses and routes of eth0 and eth1, one a line).
fn reset(guest: &Guest, before: &str) -> Result<(String, String, String)> {
    let home = guest.xenstored.home();
    let mut host = guest.xenstored.host();
    host.write(&format!("{home}/data/host/1"), r#"{"name":"resetnetwork","value":""}"#)?;
    let shown = succeeded(&guest.shell(&format!("{LINKS}{before}\n$AGENT\n{STATE}"))?);
    let answer: Value = serde_json::from_slice(&host.read(&format!("{home}/data/guest/1"))?)?;
    let text = |name: &str| answer[name].as_str().context("no text").map(str::to_owned);
    Ok((text("returncode")?, text("message")?, shown))
}

/// Shell: global addresses and routes, without what the kernel makes by itself.
const STATE: &str = r#"ip -o address show scope global | awk '{print $2, $4, ($5=="brd" ? $6 : "-")}'
    ip route show proto static | sed 's/ proto static//; s/ *$//'
    ip -6 route show proto static | sed 's/ proto static//; s/ metric.*//'
    ip -o link show | sed -n 's/^[0-9]*: \(eth[01]\)[@:].* \(mtu [0-9]*\) .*/\1 \2/p' | sed '/mtu 1500$/d'
"#;

const BOTH: &str = "\
eth0 166.78.10.124/24 166.78.10.255
eth0 166.78.11.7/32 -
eth0 2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64 -
eth1 10.181.30.181/17 10.181.127.255
default via 166.78.10.1 dev eth0
10.208.0.0/12 via 10.181.0.1 dev eth1
default via fe80::def dev eth0
";

#[test]
#[ignore = "needs iproute2 and root"]
fn from_nothing_and_from_what_others_left() -> Result<()> {
    let befores = [
        "",
        // A tunnel crashed an earlier agent.
        "ip tuntap add mode tun tun0; ip address add 192.0.2.1/24 dev tun0; ip link set tun0 up",
        // Addresses and routes of before: the first address of a network takes the second with it when it goes.
        "ip link set eth0 up; ip address add 166.78.10.5/24 dev eth0; ip address add 166.78.10.124/24 dev eth0
         ip route add default via 166.78.10.9; ip route add 198.51.100.0/24 via 166.78.10.8
         ip address add 2001:db8::5/64 dev eth0 nodad; ip route add 2001:db8:1::/48 via 2001:db8::1 dev eth0",
        // A DHCP client's.
        "ip link set eth1 up; ip address add 10.181.30.9/17 dev eth1 valid_lft 1000 preferred_lft 1000
         ip route add default via 10.181.0.1 proto dhcp metric 100",
    ];
    for before in befores {
        let guest = Guest::new()?;
        let (code, message, state) = reset(&guest, before)?;
        assert_eq!((code.as_str(), message.as_str()), ("0", ""), "{before}");
        let state: String =
            state.lines().filter(|line| !line.starts_with("tun0")).map(|line| format!("{line}\n")).collect();
        assert_eq!(state, BOTH, "{before}");
    }
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn what_belongs_to_others_stays() -> Result<()> {
    let guest = Guest::new()?;
    let others = "ip link add other type veth peer name far; ip link set other up; ip link set far up; ip address add 192.0.2.7/24 dev other
        ip route add 203.0.113.0/24 via 192.0.2.1; ip link set eth0 up
        ip address add 169.254.7.7/16 dev eth0; ip address add fe80::77/64 dev eth0 nodad
        ip route add 198.51.100.0/24 dev eth0 table 77; ip route add 224.0.0.0/4 dev eth0";
    let (code, message, _) = reset(&guest, others)?;
    assert_eq!((code.as_str(), message.as_str()), ("0", ""));
    let home = guest.xenstored.home().to_owned();
    guest.xenstored.host().write(&format!("{home}/data/host/2"), r#"{"name":"resetnetwork"}"#)?;
    let shown = succeeded(
        &guest
            .shell(&format!("{LINKS}{others}\n$AGENT 2>/dev/null; ip -o address; ip route; ip route show table 77"))?,
    );
    for kept in [
        "192.0.2.7/24",
        "169.254.7.7/16",
        "fe80::77/64",
        "203.0.113.0/24 via 192.0.2.1",
        "198.51.100.0/24",
        "224.0.0.0/4",
    ] {
        assert!(shown.contains(kept), "{kept} in {shown}");
    }
    Ok(())
}

#[test]
#[ignore = "needs iproute2, root and strace"]
fn a_second_time_writes_nothing_to_the_kernel_and_no_file() -> Result<()> {
    let guest = Guest::new()?;
    let script = format!(
        "{LINKS}$NANOVA --style ifupdown
        ip monitor all >$ROOT/changes & monitor=$!; sleep 0.3
        strace -f -o $ROOT/trace $NANOVA --style ifupdown 2>$ROOT/log; sleep 0.2; kill $monitor
        if grep -E 'sendto.*RTM_(NEW|DEL|SET)|rename|unlink|O_CREAT' $ROOT/trace; then exit 1; fi
        grep -c 'no changes' $ROOT/log; wc -l <$ROOT/trace"
    );
    let shown = succeeded(&guest.shell(&script)?);
    assert!(shown.starts_with("4\n"), "{shown}");
    let changes = guest.root.text("/changes");
    assert!(!changes.contains("166.78.10") && !changes.contains("10.181."), "{changes}");
    Ok(())
}

/// What is odd, and what comes of it: the code, a part of the message, what eth0 then has.
const ODD: [(&str, &str, &str, &str); 26] = [
    ("{}", "0", "", ""),
    (r#"{"ips":[],"ip6s":null}"#, "0", "", ""),
    ("", "500", "not a JSON object", ""),
    ("[1,2", "500", "not a JSON object", ""),
    (r#"{"ips":[{"ip":"10.0.0.256","netmask":"255.0.0.0"}]}"#, "500", "'ip' makes no sense", ""),
    (r#"{"ips":[{"ip":"10.0.0.5","netmask":"255.0.255.0"}]}"#, "500", "'netmask' makes no sense", ""),
    (r#"{"ips":[{"ip":"10.0.0.5","netmask":33}]}"#, "500", "'netmask' makes no sense", ""),
    (r#"{"ip6s":[{"ip":"2001:db8::5","netmask":129}]}"#, "500", "'netmask' makes no sense", ""),
    (
        r#"{"ips":[{"ip":"10.0.0.5","netmask":24}],"gateway":"192.0.2.1"}"#,
        "0",
        "",
        "eth0 10.0.0.5/24 10.0.0.255; default via 192.0.2.1 dev eth0 onlink",
    ),
    (
        r#"{"ips":[{"ip":"10.0.0.5","netmask":24,"gateway":"10.0.0.2"}],"gateway":"10.0.0.1"}"#,
        "0",
        "left out: vm-data/networking/BC764E04CFE5: the route to 0.0.0.0/0 via 10.0.0.2: another one leads there",
        "eth0 10.0.0.5/24 10.0.0.255; default via 10.0.0.1 dev eth0",
    ),
    (
        r#"{"ips":[{"ip":"10.0.0.5","netmask":24},{"ip":"10.0.0.5","netmask":24}]}"#,
        "0",
        "",
        "eth0 10.0.0.5/24 10.0.0.255",
    ),
    (r#"{"ips":[{"ip":"10.0.0.5","netmask":24,"enabled":"0"}]}"#, "0", "", ""),
    (
        r#"{"ips":[{"ip":"10.0.0.5","netmask":24,"enabled":0},{"ip":"10.0.0.6","netmask":24,"enabled":1}]}"#,
        "0",
        "",
        "eth0 10.0.0.6/24 10.0.0.255",
    ),
    (
        r#"{"label":"a \"label\"\nwith; $(reboot)","ips":[{"ip":"10.0.0.5","netmask":"24"}]}"#,
        "0",
        "",
        "eth0 10.0.0.5/24 10.0.0.255",
    ),
    (r#"{"ip6s":[{"ip":"::ffff:10.0.0.5","netmask":128}]}"#, "0", "", "eth0 ::ffff:10.0.0.5/128 -"),
    (
        r#"{"ip6s":[{"address":"2001:db8::5","netmask":"64"}],"gateway6":"fe80::1"}"#,
        "0",
        "",
        "eth0 2001:db8::5/64 -; default via fe80::1 dev eth0",
    ),
    (
        r#"{"ips":[{"ip":"10.0.0.5","netmask":24}],"ips":[{"ip":"10.0.0.6","netmask":24}]}"#,
        "0",
        "",
        "eth0 10.0.0.6/24 10.0.0.255",
    ),
    (
        r#"{"ips":[{"ip":"10.0.0.5","netmask":24}],"routes":[{"route":"10.9.0.1","netmask":"255.255.255.255","gateway":"10.0.0.2"},{"route":"10.9.0.0","netmask":"255.255.0.0","gateway":"10.0.0.3"}]}"#,
        "0",
        "",
        "eth0 10.0.0.5/24 10.0.0.255; 10.9.0.0/16 via 10.0.0.3 dev eth0; 10.9.0.1 via 10.0.0.2 dev eth0",
    ),
    (
        r#"{"ips":[{"ip":"10.0.0.5","netmask":24}],"gateway":"10.0.0.1","routes":[{"route":"0.0.0.0","netmask":"0.0.0.0","gateway":"10.0.0.1"}]}"#,
        "0",
        "",
        "eth0 10.0.0.5/24 10.0.0.255; default via 10.0.0.1 dev eth0",
    ),
    (r#"{"ips":[{"ip":"224.0.0.5","netmask":24}]}"#, "500", "'ip' makes no sense", ""),
    (r#"{"mtu":1400,"ips":[{"ip":"10.0.0.5","netmask":24}]}"#, "0", "", "eth0 10.0.0.5/24 10.0.0.255; eth0 mtu 1400"),
    (
        r#"{"gateway":"x y","ips":[{"ip":"10.0.0.5","netmask":24}]}"#,
        "500",
        "'gateway' makes no sense: x y",
        "eth0 10.0.0.5/24 10.0.0.255",
    ),
    (
        r#"{"ips":[{"ip":"10.0.0.5","netmask":24},{"ip":"10.0.0.6","netmask":"x"}],"mtu":"1"}"#,
        "500",
        "'mtu' makes no sense: 1; vm-data/networking/BC764E04CFE5: 'netmask' makes no sense: x",
        "eth0 10.0.0.5/24 10.0.0.255",
    ),
    (
        r#"{"ips":["10.0.0.5/24"],"gateway":"10.0.0.1","routes":[{"route":"0.0.0.0/0","gateway":"10.0.0.9"}]}"#,
        "0",
        "the route to 0.0.0.0/0 via 10.0.0.1: another one leads there",
        "eth0 10.0.0.5/24 10.0.0.255; default via 10.0.0.9 dev eth0",
    ),
    (
        r#"{"ips":["10.0.0.5/0"],"gateway":"10.0.0.1","ip6s":["2001:db8::5/0"],"gateway_v6":"2001:db9::1"}"#,
        "0",
        "",
        "eth0 10.0.0.5/0 255.255.255.255; eth0 2001:db8::5/0 -; default via 10.0.0.1 dev eth0 onlink; \
         default via 2001:db9::1 dev eth0",
    ),
    (
        r#"{"ips":["10.0.0.5/24"],"routes":[{"route":"10.9.0.0/16","gateway":null},{"route":"0.0.0.0/0"}],
            "ip6s":["2001:db8::5/64"],"gateway_v6":"fe80::1%eth7","dns":["ns.example.org"]}"#,
        "0",
        "left out: vm-data/networking/BC764E04CFE5: 'dns' makes no sense: ns.example.org",
        "eth0 10.0.0.5/24 10.0.0.255; eth0 2001:db8::5/64 -; default dev eth0 scope link; \
         10.9.0.0/16 dev eth0 scope link; default via fe80::1 dev eth0",
    ),
];

#[test]
#[ignore = "needs iproute2 and root"]
fn odd_values_are_answered_and_what_makes_sense_is_done() -> Result<()> {
    for (value, code, message, state) in ODD {
        let guest = Guest::bare()?;
        guest.write("networking/BC764E04CFE5", value)?;
        let before = "ip link set eth0 up";
        let (answered, said, shown) = reset(&guest, before)?;
        assert_eq!(answered, code, "{value}: {said}");
        assert!(said.contains(message) && said.is_empty() == message.is_empty(), "{value}: {said}");
        assert_eq!(shown.trim_end().replace('\n', "; "), state, "{value}");
    }
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn forty_addresses_are_forty_addresses_and_one_that_is_gone_goes() -> Result<()> {
    let guest = Guest::bare()?;
    let list = |count: usize| {
        let ips = (1..=count).map(|n| format!(r#"{{"ip":"10.0.0.{n}","netmask":"255.255.255.0","enabled":"1"}}"#));
        format!(r#"{{"ips":[{}]}}"#, ips.collect::<Vec<_>>().join(","))
    };
    guest.write("networking/BC764E04CFE5", &list(40))?;
    let (code, _, shown) = reset(&guest, "")?;
    assert_eq!((code.as_str(), shown.lines().count()), ("0", 40), "{shown}");
    // As much as a value in xenstore holds.
    let full = list(60).replacen('{', r#"{"label":"LABEL","#, 1);
    let full = full.replace("LABEL", &"x".repeat(3900 + "LABEL".len() - full.len()));
    guest.write("networking/BC764E04CFE5", &full)?;
    let (code, message, shown) = reset(&guest, "")?;
    assert_eq!((full.len(), code.as_str(), shown.lines().count()), (3900, "0", 60), "{message} {shown}");
    // One that the kernel has as the first of its network goes, and takes the others with it for a moment.
    guest.write("networking/BC764E04CFE5", &list(39).replace("10.0.0.1\"", "10.0.0.200\""))?;
    let all = (1..=40).map(|n| format!("ip address add 10.0.0.{n}/24 dev eth0;")).collect::<String>();
    let (code, _, shown) = reset(&guest, &all)?;
    assert_eq!((code.as_str(), shown.lines().count()), ("0", 39), "{shown}");
    assert!(shown.contains("10.0.0.200/24") && !shown.contains("10.0.0.1/24") && !shown.contains("10.0.0.40/24"));
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn two_default_routes_and_a_mac_twice_and_one_that_is_nowhere() -> Result<()> {
    let guest = Guest::new()?;
    let other = r#"{"ips":[{"ip":"10.181.30.181","netmask":"255.255.128.0"}],"gateway":"10.181.0.1"}"#;
    guest.write("networking/BC764E04D936", other)?;
    let (code, message, shown) = reset(&guest, "")?;
    let lost = "left out: the route to 0.0.0.0/0 via 10.181.0.1 of bc:76:4e:04:d9:36: bc:76:4e:04:cf:e5 has one that \
                comes first";
    assert_eq!((code.as_str(), message.as_str()), ("0", lost));
    assert_eq!(shown.matches("default via ").count(), 2, "one a family: {shown}");
    assert!(shown.contains("default via 166.78.10.1 dev eth0"), "{shown}");

    // The lowest VIF has it, not the one that xenstore lists first.
    let home = guest.xenstored.home().to_owned();
    for (vif, mac) in [(1, "bc:76:4e:04:cf:e5"), (0, "BC:76:4E:04:D9:36")] {
        guest.xenstored.host().write(&format!("{home}/device/vif/{vif}/mac"), mac)?;
    }
    let (code, message, shown) = reset(&guest, "")?;
    assert_eq!(code, "0");
    assert!(message.starts_with("left out: the route to 0.0.0.0/0 via 166.78.10.1 of bc:76:4e:04:cf:e5"), "{message}");
    assert!(shown.contains("default via 10.181.0.1 dev eth1") && shown.contains("default via fe80::def"), "{shown}");

    guest.write("networking/020000000099", other)?;
    let (code, message, _) = reset(&guest, "")?;
    assert_eq!(code, "0", "an interface that is not there is told");
    assert!(message.contains("no interface has the MAC address 02:00:00:00:00:99"), "{message}");

    guest.write("networking/bc764e04cfe5", other)?;
    let (code, message, shown) = reset(&guest, "")?;
    assert_eq!(code, "500");
    assert!(message.contains("bc:76:4e:04:cf:e5 is there twice"), "{message}");
    assert!(shown.contains("eth1 10.181.30.181/17"), "{shown}");
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn a_step_that_fails_is_named_with_its_errno_and_the_rest_is_done() -> Result<()> {
    let guest = Guest::new()?;
    let elsewhere = "ip link add v0 type veth peer v1; ip link set v0 up; ip route add 10.208.0.0/12 dev v0";
    let (code, message, shown) = reset(&guest, elsewhere)?;
    assert_eq!(code, "0", "it is no default route");
    let wanted = "left out: cannot add route to 10.208.0.0/12 via 10.181.0.1 to eth1: exists already (EEXIST)";
    assert_eq!(message, wanted);
    assert!(shown.contains("166.78.10.124/24") && shown.contains("default via fe80::def"), "{shown}");
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn ipv6_that_the_guest_has_turned_off_is_no_failure() -> Result<()> {
    let guest = Guest::new()?;
    let (code, message, shown) = reset(&guest, "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")?;
    assert_eq!(code, "0");
    let why = "left out: cannot add address 2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64 to eth0: ";
    assert!(message.starts_with(why) && message.ends_with("; is IPv6 turned off here?"), "{message}");
    assert!(shown.contains("166.78.10.124/24") && !shown.contains("2001:4800"), "{shown}");
    // A gateway that is not link-local cannot be reached without an address, says the kernel.
    guest.write("networking/BC764E04CFE5", &vm_data::PUBLIC.replace("fe80::def", "2001:4800:7810:512::1"))?;
    let (code, message, _) = reset(&guest, "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")?;
    assert_eq!((code.as_str(), message.matches("; is IPv6 turned off here?").count()), ("0", 2), "{message}");
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn what_would_expire_or_be_in_the_way_does_not() -> Result<()> {
    let left_over = "ip link set eth0 up
        ip address add 166.78.10.124/24 brd + dev eth0 valid_lft 60 preferred_lft 60
        ip address add 10.7.0.5 peer 10.7.0.9 dev eth0
        ip route add default dev eth0";
    let guest = Guest::new()?;
    let (code, message, shown) = reset(&guest, left_over)?;
    assert_eq!((code.as_str(), message.as_str(), shown.as_str()), ("0", "", BOTH));
    let lifetimes =
        succeeded(&guest.shell(&format!("{LINKS}{left_over}\n$NANOVA\nip -o -4 address show dev eth0 dynamic"))?);
    assert_eq!(lifetimes, "");
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn a_vif_in_a_bridge_leaves_its_addresses_to_the_bridge() -> Result<()> {
    let guest = Guest::new()?;
    let bridge = "ip link add br0 type bridge; ip link set br0 address bc:76:4e:04:cf:e5; ip link set eth0 master br0";
    let (code, message, shown) = reset(&guest, bridge)?;
    assert_eq!((code.as_str(), message.as_str()), ("0", ""));
    assert!(!shown.contains("eth0") && shown.contains("br0 166.78.10.124/24"), "{shown}");
    assert!(shown.contains("default via 166.78.10.1 dev br0"), "{shown}");
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn an_interface_that_udev_renamed_is_found_by_its_mac() -> Result<()> {
    let guest = Guest::new()?;
    let (code, _, shown) = reset(&guest, "ip link set eth0 name enX0")?;
    assert_eq!(code, "0");
    assert!(shown.contains("enX0 166.78.10.124/24") && shown.contains("default via 166.78.10.1 dev enX0"), "{shown}");
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn the_name_goes_to_the_kernel_and_to_its_files() -> Result<()> {
    let guest = Guest::new()?;
    std::fs::write(guest.root.join("etc/hosts"), "127.0.0.1 localhost\n# by hand\n10.1.1.1 db\n")?;
    std::fs::write(guest.root.join("etc/resolv.conf"), "search example.org\nnameserver 10.0.0.1\n")?;
    let (code, _, _) = reset(&guest, "")?;
    assert_eq!(code, "0");
    assert_eq!(guest.root.text("/etc/hostname"), "web01.example.org\n");
    let hosts = guest.root.text("/etc/hosts");
    assert!(
        hosts.starts_with("127.0.0.1 localhost\n# by hand\n10.1.1.1 db\n166.78.10.124\tweb01.example.org web01"),
        "{hosts}"
    );
    assert_eq!(
        guest.root.text("/etc/resolv.conf"),
        "search example.org\nnameserver 72.3.128.241\nnameserver 72.3.128.240\n"
    );
    // One that another program manages is left alone.
    std::fs::remove_file(guest.root.join("etc/resolv.conf"))?;
    std::os::unix::fs::symlink("../run/resolv.conf", guest.root.join("etc/resolv.conf"))?;
    assert_eq!(reset(&guest, "")?.0, "0");
    assert!(guest.root.join("etc/resolv.conf").is_symlink());
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn files_that_lie_elsewhere_or_are_mounted_as_containers_have_them_are_written() -> Result<()> {
    let guest = Guest::new()?;
    std::fs::create_dir(guest.root.join("persist"))?;
    std::fs::rename(guest.root.join("etc/hostname"), guest.root.join("persist/hostname"))?;
    std::os::unix::fs::symlink("../persist/hostname", guest.root.join("etc/hostname"))?;
    let hosts = "127.0.0.1 localhost\n10.1.1.1 db\n";
    std::fs::write(guest.root.join("etc/hosts"), "what an image has, longer than what is mounted there: 127.0.0.1\n")?;
    std::fs::write(guest.root.join("persist/hosts"), hosts)?;
    let (code, message, _) = reset(&guest, "mount --bind $ROOT/persist/hosts $ROOT/etc/hosts")?;
    assert_eq!((code.as_str(), message.as_str()), ("0", ""));
    assert!(guest.root.join("etc/hostname").is_symlink());
    assert_eq!(guest.root.text("/persist/hostname"), "web01.example.org\n");
    let written = guest.root.text("/persist/hosts");
    assert!(written.starts_with(&format!("{hosts}166.78.10.124\tweb01.example.org web01")), "{written}");
    let files = guest.root.files();
    assert!(files.iter().all(|file| !file.contains(".nanova.new")), "{files:?}");
    // The old ones stay beside the paths where they were edited.
    let kept = |start: &str| files.iter().find(|file| file.starts_with(start) && file.ends_with(".bak~")).cloned();
    let [name, mounted] = ["persist/hostname.", "etc/hosts."].map(kept);
    assert!(name.is_some());
    assert_eq!(guest.root.text(&mounted.context("a copy")?), hosts);
    Ok(())
}

/// One that is in force, and so many faults that no answer names them all.
#[test]
#[ignore = "needs iproute2 and root"]
fn of_many_faults_the_answer_names_some_and_the_log_all() -> Result<()> {
    let guest = Guest::bare()?;
    let servers = (0..60).map(|number| format!(r#""ns{number}.example.org""#)).collect::<Vec<_>>().join(",");
    guest.write("networking/BC764E04CFE5", &format!(r#"{{"ips":["10.0.0.5/24"],"dns":[{servers}]}}"#))?;
    let (code, message, shown) = reset(&guest, "exec 2>$ROOT/log")?;
    assert_eq!((code.as_str(), shown.trim_end()), ("0", "eth0 10.0.0.5/24 10.0.0.255"));
    assert!(
        message.len() <= 512 && message.starts_with("left out: vm-data/networking/BC764E04CFE5: 'dns'"),
        "{message}"
    );
    let log = guest.root.text("/log");
    let named = (0..60).filter(|number| message.contains(&format!("ns{number}.example.org"))).count();
    assert!(message.ends_with(&format!("; … and {} more, see the log", 60 - named)), "{message}");
    for number in 0..60 {
        assert!(log.contains(&format!("makes no sense: ns{number}.example.org")), "{number}: {log}");
    }
    Ok(())
}

/// What a host's names for the guest come to: the answer, and the files of names.
#[test]
#[ignore = "needs iproute2 and root"]
fn a_name_that_is_none_is_told_and_one_that_is_too_long_for_the_kernel_is_shortened_for_it() -> Result<()> {
    let guest = Guest::bare()?;
    guest.write("hostname", "x..y")?;
    let (code, message, _) = reset(&guest, "")?;
    assert_eq!((code.as_str(), message.as_str()), ("500", "left out: vm-data/hostname is no host name: x..y"));
    guest.write("networking/BC764E04CFE5", r#"{"ips":["10.0.0.5/24"]}"#)?;
    let (code, message, _) = reset(&guest, "")?;
    assert_eq!((code.as_str(), message.as_str()), ("0", "left out: vm-data/hostname is no host name: x..y"));
    let long = format!("web01.{}.example.org", "a".repeat(63));
    guest.write("hostname", &long)?;
    let (code, message, _) = reset(&guest, "")?;
    assert_eq!((code.as_str(), message.as_str()), ("0", ""));
    assert_eq!(guest.root.text("/etc/hostname"), "web01\n");
    assert!(guest.root.text("/etc/hosts").contains(&format!("10.0.0.5\t{long} web01 # nanova\n")));
    Ok(())
}

/// Two interfaces with three addresses each, four routes in all.
fn of_the_budget(guest: &Guest) -> Result<()> {
    for (mac, net) in [("BC764E04CFE5", 1), ("BC764E04D936", 2)] {
        let gateway = if net == 1 { r#""gateway":"10.1.0.1","gateway_v6":"fe80::1","# } else { "" };
        let routes = r#""routes":[{"route":"10.90.0.0","netmask":"255.255.0.0","gateway":"10.2.0.1"},
            {"route":"10.91.0.0","netmask":"255.255.0.0","gateway":"10.2.0.1"}],"#;
        let value = format!(
            r#"{{{gateway}{}"ips":[{{"ip":"10.{net}.0.5","netmask":24}},{{"ip":"10.{net}.0.6","netmask":24}}],
                "ip6s":[{{"ip":"2001:db8:{net}::5","netmask":64}}]}}"#,
            if net == 2 { routes } else { "" }
        );
        guest.write(&format!("networking/{mac}"), &value)?;
    }
    Ok(())
}

#[test]
#[ignore = "needs iproute2, root and strace"]
fn it_takes_few_system_calls() -> Result<()> {
    let guest = Guest::bare()?;
    of_the_budget(&guest)?;
    let script =
        format!("{LINKS}strace -o $ROOT/trace $NANOVA --network kernel 2>/dev/null; wc -l <$ROOT/trace\n{STATE}");
    let shown = succeeded(&guest.shell(&script)?);
    let (calls, state) = shown.split_once('\n').context("nothing")?;
    assert_eq!(state.lines().count(), 6 + 4, "{state}");
    println!(
        "system calls of nanova network, two interfaces, three addresses each, four routes: {calls} (limit 60 + 40 to start and read vm-data)"
    );
    let trace = guest.root.text("/trace");
    let own = trace.lines().skip_while(|line| !line.starts_with("socket(AF_NETLINK")).count();
    println!("of them from the first look at the kernel on: {own} (limit 60)");
    assert!(own <= 60, "{trace}");
    Ok(())
}

/// Shell: microseconds of twenty runs from nothing, and of `ip -batch` doing the same once it is known what to do.
const RACE: &str = r#"
    undo() { for dev in eth0 eth1; do ip address flush dev $dev; ip link set $dev down; done; }
    now() { echo $(($(date +%s%N) / 1000)); }
    ours=0; theirs=0
    for round in $(seq 20); do
        undo; from=$(now); $NANOVA --network kernel 2>/dev/null; ours=$((ours + $(now) - from))
        undo; from=$(now); ip -batch $ROOT/batch; theirs=$((theirs + $(now) - from))
    done
    echo $((ours / 20)) $((theirs / 20))
"#;

#[test]
#[ignore = "needs iproute2 and root"]
fn it_is_as_fast_as_iproute2_that_is_told_what_to_do() -> Result<()> {
    let guest = Guest::bare()?;
    of_the_budget(&guest)?;
    let batch = succeeded(&guest.shell(&format!("{LINKS}$NANOVA --dry-run --network kernel"))?)
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["bring", device, "up"] => Some(format!("link set {device} up\n")),
                ["add", "address", address, "to", device] => Some(format!("address add {address} dev {device}\n")),
                ["add", "route", "to", to, "via", via, "to", device] => {
                    let six = if via.contains(':') { "-6 " } else { "" };
                    Some(format!("{six}route add {to} via {via} dev {device}\n"))
                }
                _ => None,
            }
        })
        .filter(|line| !line.starts_with("-6"))
        .collect::<String>();
    std::fs::write(guest.root.join("batch"), batch)?;
    let shown = succeeded(&guest.shell(&format!("{LINKS}{RACE}"))?);
    let (ours, theirs) =
        shown.trim().rsplit('\n').next().and_then(|line| line.split_once(' ')).context("no figures")?;
    println!("from exec to exit, us, mean of 20: nanova network {ours} (plans, reads vm-data), ip -batch {theirs}");
    assert!(ours.parse::<u64>()? > 0 && theirs.parse::<u64>()? > 0);
    Ok(())
}
