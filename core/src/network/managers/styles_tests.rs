//! What the files of every network manager say of an interface that has more than one of everything, of one that has
//! nothing, and of one whose gateway is near: written out, as each manager's own documentation has it.

use crate::network::managers::registry::{MANAGERS, detect, named};
use crate::network::managers::{Manager, PersistentConfig};
use crate::network::model::{Interface, Network, Placed};
use crate::network::problems::{FilesOutcome, Problems};
use crate::network::source::parse::tests::{RICH, parsed};
use crate::platform::Identity;
use crate::test_platform::{FakePlatform, Node};
use crate::wire::errno::Errno;
use crate::wire::netlink::Link;

/// All is written, and nothing undoes it.
const WELL: FilesOutcome = FilesOutcome { written: true, undisturbed: true };
const NAME: &str = "020000000001";
/// Nothing but a size of packets.
const BARE: &str = r#"{"mtu":1400}"#;
/// Gateways in the interface's own networks.
const NEAR: &str = r#"{"ips":[{"ip":"10.0.0.5","netmask":24}],"ip6s":[{"ip":"2001:db8::5","netmask":64}],
    "gateway":"10.0.0.1","gateway_v6":"2001:db8::1"}"#;

/// Writes the files of a manager over those that are there.
fn write(platform: &mut FakePlatform, manager: &'static Manager, document: &str, device: &str) {
    let interface = parsed(NAME, document.as_bytes()).unwrap();
    let placed = [Placed { interface: &interface, device: Some(device) }];
    let interfaces = &[interface.clone()][..];
    let config = PersistentConfig {
        manager,
        hostname: None,
        former_name: "",
        placed: &placed,
        interfaces,
        sound: true,
        tidy: true,
    };
    let mut problems = Problems::new();
    assert_eq!(config.write(platform, &mut problems, None), WELL);
}

/// What a file says that was not there.
fn written(style: &str, document: &str, path: &str) -> String {
    let mut platform = FakePlatform::with(&[]);
    write(&mut platform, named(style).unwrap(), document, "eth0");
    platform.text(path).to_owned()
}

/// The same without the line that it begins with.
fn body(style: &str, document: &str, path: &str) -> String {
    let text = written(style, document, path);
    let rest = text.strip_prefix("# Written by nanova from vm-data in xenstore.\n");
    rest.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn ifcfg() {
    let kept = "# Written by nanova from vm-data in xenstore; keys that it does not know are kept.\n";
    let head = |text: &str| {
        format!("{kept}DEVICE=eth0\nHWADDR=02:00:00:00:00:01\nTYPE=Ethernet\nBOOTPROTO=none\nONBOOT=yes\n{text}")
    };
    let path = "/etc/sysconfig/network-scripts/ifcfg-eth0";
    let rich = head(
        "IPADDR=10.0.0.5\nNETMASK=255.255.255.0\nBROADCAST=10.0.0.255\n\
         IPADDR1=10.0.1.5\nNETMASK1=255.255.255.0\nBROADCAST1=10.0.1.255\n\
         DNS1=9.9.9.9\nDNS2=2620:fe::fe\nMTU=1400\n\
         IPV6INIT=yes\nIPV6_AUTOCONF=no\nIPV6ADDR=2001:db8::5/64\n\
         IPV6ADDR_SECONDARIES=\"2001:db8::6/64 2001:db8::7/128\"\n",
    );
    assert_eq!(written("ifcfg", RICH, path), rich);
    assert_eq!(
        body("ifcfg", RICH, "/etc/sysconfig/network-scripts/route-eth0"),
        "10.208.0.0/12 via 10.0.1.1 dev eth0\n192.0.2.0/24 via 172.16.0.1 dev eth0 onlink\n\
         0.0.0.0/0 via 172.16.0.1 dev eth0 onlink\n"
    );
    assert_eq!(
        body("ifcfg", RICH, "/etc/sysconfig/network-scripts/route6-eth0"),
        "2001:db8:1::/48 via 2001:db8::1 dev eth0\n::/0 via 2001:db9::1 dev eth0 onlink\n"
    );
    assert_eq!(written("ifcfg", BARE, path), head("MTU=1400\n"));
    let near = head(
        "IPADDR=10.0.0.5\nNETMASK=255.255.255.0\nBROADCAST=10.0.0.255\nGATEWAY=10.0.0.1\n\
         IPV6INIT=yes\nIPV6_AUTOCONF=no\nIPV6ADDR=2001:db8::5/64\nIPV6_DEFAULTGW=2001:db8::1\n",
    );
    assert_eq!(written("ifcfg", NEAR, path), near);
    // An assignment of ours goes with whatever it goes on in, be that too long to be looked at.
    let long = "y".repeat(3000);
    let mut platform = FakePlatform::with(&[(path, &format!("IPADDR=1\\\n{long}\nA=1\nUUID=1\n"))]);
    write(&mut platform, named("ifcfg").unwrap(), BARE, "eth0");
    assert!(!platform.text(path).contains("yyyy"));
    assert!(platform.text(path).contains("UUID=1\n"));
    // What was there before goes, whichever key it has; a file of routes that are gone has none.
    let mut platform =
        FakePlatform::with(&[(path, "MTU=9000\nZONE=x\nGATEWAYDEV=eth1\nIPADDR7=1.2.3.4\nDHCPV6C=yes\n")]);
    platform.put("/etc/sysconfig/network-scripts/route-eth0", "192.0.2.0/24 via 10.0.0.9\n");
    write(&mut platform, named("ifcfg").unwrap(), BARE, "eth0");
    assert_eq!(platform.text(path), format!("ZONE=x\n{}", head("MTU=1400\n")));
    let empty = "# Written by nanova from vm-data in xenstore.\n";
    assert_eq!(platform.text("/etc/sysconfig/network-scripts/route-eth0"), empty);
    assert!(!platform.nodes.contains_key("/etc/sysconfig/network-scripts/route6-eth0"));
}

#[test]
fn suse() {
    let kept = "# Written by nanova from vm-data in xenstore; keys that it does not know are kept.\n";
    let path = "/etc/sysconfig/network/ifcfg-eth0";
    let rich = format!(
        "{kept}BOOTPROTO='static'\nSTARTMODE='auto'\nIPADDR='10.0.0.5/24'\nBROADCAST='10.0.0.255'\n\
         IPADDR_1='10.0.1.5/24'\nBROADCAST_1='10.0.1.255'\nIPADDR_2='2001:db8::5/64'\nIPADDR_3='2001:db8::6/64'\n\
         IPADDR_4='2001:db8::7/128'\nMTU='1400'\n"
    );
    let mut platform = FakePlatform::with(&[
        (path, "MTU=9000\nZONE=x\nIPADDRESS=1\nLABEL_1=x\n"),
        ("/etc/sysconfig/network/config", "A=1\nNETCONFIG_DNS_STATIC_SERVERS=\"1.1.1.1\"\n"),
    ]);
    write(&mut platform, named("suse").unwrap(), RICH, "eth0");
    assert_eq!(platform.text(path), format!("ZONE=x\nIPADDRESS=1\n{rich}"));
    let servers = "A=1\nNETCONFIG_DNS_STATIC_SERVERS=\"9.9.9.9 2620:fe::fe\"\n";
    assert_eq!(platform.text("/etc/sysconfig/network/config"), servers);
    assert_eq!(
        body("suse", RICH, "/etc/sysconfig/network/ifroute-eth0"),
        "172.16.0.1/32 - - eth0\n172.16.0.1/32 - - eth0\n2001:db9::1/128 - - eth0\n10.208.0.0/12 10.0.1.1 - eth0\n\
         192.0.2.0/24 172.16.0.1 - eth0\n2001:db8:1::/48 2001:db8::1 - eth0\n0.0.0.0/0 172.16.0.1 - eth0\n\
         ::/0 2001:db9::1 - eth0\n"
    );
    assert_eq!(written("suse", BARE, path), format!("{kept}BOOTPROTO='static'\nSTARTMODE='auto'\nMTU='1400'\n"));
    // Without any of ours the name servers stay, and the size of packets.
    platform.put("/etc/sysconfig/network/config", "NETCONFIG_DNS_STATIC_SERVERS=\"1.1.1.1\"\n");
    platform.put(path, "MTU=9000\n");
    write(&mut platform, named("suse").unwrap(), NEAR, "eth0");
    assert_eq!(platform.text("/etc/sysconfig/network/config"), "NETCONFIG_DNS_STATIC_SERVERS=\"1.1.1.1\"\n");
    assert!(platform.text(path).starts_with("MTU=9000\n"));
}

#[test]
fn ifupdown() {
    let path = "/etc/network/interfaces";
    let part = |text: &str| {
        format!(
            "# nanova: begin, written from vm-data in xenstore\nauto lo\niface lo inet loopback\n\nauto eth0\n{text}\
             # nanova: end\n"
        )
    };
    assert_eq!(
        written("ifupdown", RICH, path),
        part(
            "iface eth0 inet static\n    address 10.0.0.5\n    netmask 255.255.255.0\n    broadcast 10.0.0.255\n    \
             mtu 1400\n    dns-nameservers 9.9.9.9 2620:fe::fe\n\
             iface eth0 inet static\n    address 10.0.1.5\n    netmask 255.255.255.0\n    broadcast 10.0.1.255\n    \
             up ip route add 10.208.0.0/12 via 10.0.1.1 dev eth0\n    \
             up ip route add 192.0.2.0/24 via 172.16.0.1 dev eth0 onlink\n    \
             up ip route add 0.0.0.0/0 via 172.16.0.1 dev eth0 onlink\n\
             iface eth0 inet6 static\n    address 2001:db8::5\n    netmask 64\n\
             iface eth0 inet6 static\n    address 2001:db8::6\n    netmask 64\n\
             iface eth0 inet6 static\n    address 2001:db8::7\n    netmask 128\n    accept_ra 0\n    \
             up ip -6 route add 2001:db8:1::/48 via 2001:db8::1 dev eth0\n    \
             up ip -6 route add ::/0 via 2001:db9::1 dev eth0 onlink\n"
        )
    );
    assert_eq!(
        written("ifupdown", BARE, path),
        part(
            "iface eth0 inet manual\n    mtu 1400\n    up ip link set dev eth0 up\n    down ip link set dev eth0 down\n"
        )
    );
    // What stands between stanzas stays; so do all kinds of them that are not ours.
    let before = "auto eth0 eth1 eth0:1\nallow-hotplug eth0\nno-auto-down eth0\niface eth0:1 inet static\n\
                  \taddress 1.2.3.4\n\n\
                  mapping eth0\n\tscript x\niface eth0 inet dhcp\nsource-directory x\niface eth0 inet dhcp\n\tmtu 1\n\
                  template t\n\tmtu 2\niface eth0 inet dhcp\nrename a=b\niface eth01 inet dhcp\n";
    let after = "auto eth1\nno-auto-down eth0\n\nmapping eth0\n\tscript x\nsource-directory x\ntemplate t\n\tmtu 2\n\
                 rename a=b\niface eth01 inet dhcp\n";
    let mut platform = FakePlatform::with(&[(path, before)]);
    write(&mut platform, named("ifupdown").unwrap(), NEAR, "eth0");
    assert!(platform.text(path).starts_with(&format!("{after}# nanova: begin")), "{}", platform.text(path));
    // A line too long to be looked at is what it stands in.
    let long = "#".repeat(3000);
    let before = format!("iface tun0 inet manual\n{long}\niface eth0 inet dhcp\n{long}\niface tun1 inet manual\n");
    platform.put(path, &before);
    write(&mut platform, named("ifupdown").unwrap(), NEAR, "eth0");
    let after = format!("iface tun0 inet manual\n{long}\niface tun1 inet manual\n# nanova: begin");
    assert!(platform.text(path).starts_with(&after));
}

#[test]
fn netplan() {
    let path = "/etc/netplan/90-nanova.yaml";
    let part = |text: &str| {
        format!(
            "network:\n  version: 2\n  ethernets:\n    \"eth0\":\n      match:\n        \
             macaddress: \"02:00:00:00:00:01\"\n      dhcp4: false\n      dhcp6: false\n      accept-ra: false\n{text}"
        )
    };
    assert_eq!(
        body("netplan", RICH, path),
        part(
            r#"      mtu: 1400
      addresses:
        - "10.0.0.5/24"
        - "10.0.1.5/24"
        - "2001:db8::5/64"
        - "2001:db8::6/64"
        - "2001:db8::7/128"
      routes:
        - to: "10.208.0.0/12"
          via: "10.0.1.1"
        - to: "192.0.2.0/24"
          via: "172.16.0.1"
          on-link: true
        - to: "2001:db8:1::/48"
          via: "2001:db8::1"
        - to: "0.0.0.0/0"
          via: "172.16.0.1"
          on-link: true
        - to: "::/0"
          via: "2001:db9::1"
          on-link: true
      nameservers:
        addresses:
          - "9.9.9.9"
          - "2620:fe::fe"
"#
        )
    );
    assert_eq!(body("netplan", BARE, path), part("      mtu: 1400\n"));
    for (has_systemd, told) in [
        (true, "/usr/bin/systemd-run --collect --quiet --no-block /usr/sbin/netplan apply"),
        (false, "/usr/sbin/netplan apply"),
    ] {
        let mut platform = FakePlatform::with(&[]);
        if has_systemd {
            platform.nodes.insert("/run/systemd/system".to_owned(), Node::Directory);
        }
        write(&mut platform, named("netplan").unwrap(), BARE, "eth0");
        assert_eq!(platform.started, [told]);
    }
}

#[test]
fn networkd() {
    let path = "/etc/systemd/network/00-nanova-020000000001.network";
    let part = |text: &str| {
        format!(
            "[Match]\nMACAddress=02:00:00:00:00:01\nType=ether\n\n[Link]\nMTUBytes=1400\n\n[Network]\nDHCP=no\n\
             IPv6AcceptRA=no\n{text}"
        )
    };
    let address = |ip: &str, broadcast: &str| match broadcast {
        "" => format!("\n[Address]\nAddress={ip}\n"),
        broadcast => format!("\n[Address]\nAddress={ip}\nBroadcast={broadcast}\n"),
    };
    let route = |to: &str, via: &str, mark: &str| format!("\n[Route]\nDestination={to}\nGateway={via}\n{mark}");
    let far = "GatewayOnLink=yes\n";
    let all = [
        "DNS=9.9.9.9\nDNS=2620:fe::fe\n".to_owned(),
        address("10.0.0.5/24", "10.0.0.255"),
        address("10.0.1.5/24", "10.0.1.255"),
        address("2001:db8::5/64", ""),
        address("2001:db8::6/64", ""),
        address("2001:db8::7/128", ""),
        route("10.208.0.0/12", "10.0.1.1", ""),
        route("192.0.2.0/24", "172.16.0.1", far),
        route("2001:db8:1::/48", "2001:db8::1", ""),
        route("0.0.0.0/0", "172.16.0.1", far),
        route("::/0", "2001:db9::1", far),
    ];
    assert_eq!(body("networkd", RICH, path), part(&all.concat()));
    assert_eq!(body("networkd", BARE, path), part(""));
}

#[test]
fn keyfile() {
    let path = "/etc/NetworkManager/system-connections/nanova-020000000001.nmconnection";
    let part = |text: &str| {
        format!(
            "[connection]\nid=nanova-020000000001\nuuid=6e616e6f-7661-8000-8000-020000000001\ntype=ethernet\n\
             autoconnect-priority=999\n\n[ethernet]\nmac-address=02:00:00:00:00:01\nmtu=1400\n\n{text}"
        )
    };
    assert_eq!(
        body("keyfile", RICH, path),
        part(
            "[ipv4]\nmethod=manual\naddress1=10.0.0.5/24\naddress2=10.0.1.5/24\ngateway=172.16.0.1\n\
             route1=10.208.0.0/12,10.0.1.1\nroute2=192.0.2.0/24,172.16.0.1\ndns=9.9.9.9;\n\n\
             [ipv6]\nmethod=manual\naddress1=2001:db8::5/64\naddress2=2001:db8::6/64\naddress3=2001:db8::7/128\n\
             gateway=2001:db9::1\nroute1=2001:db8:1::/48,2001:db8::1\ndns=2620:fe::fe;\n"
        )
    );
    assert_eq!(body("keyfile", BARE, path), part("[ipv4]\nmethod=disabled\n\n[ipv6]\nmethod=ignore\n"));
}

#[test]
fn netctl() {
    let path = "/etc/netctl/nanova-eth0";
    let head = "Description='nanova'\nInterface=eth0\nConnection=ethernet\n";
    assert_eq!(
        body("netctl", RICH, path),
        format!(
            "{head}IP=static\nAddress=('10.0.0.5/24' '10.0.1.5/24' )\n\
             Routes=('10.208.0.0/12 via 10.0.1.1' '192.0.2.0/24 via 172.16.0.1 onlink' \
             '0.0.0.0/0 via 172.16.0.1 onlink' )\n\
             IP6=static\nAddress6=('2001:db8::5/64' '2001:db8::6/64' '2001:db8::7/128' )\n\
             Routes6=('2001:db8:1::/48 via 2001:db8::1' '::/0 via 2001:db9::1 onlink' )\n\
             DNS=('9.9.9.9' '2620:fe::fe' )\nExecUpPost='ip link set dev eth0 mtu 1400'\n"
        )
    );
    let bare = format!("{head}IP=no\nIP6=no\nDNS=()\nExecUpPost='ip link set dev eth0 mtu 1400'\n");
    assert_eq!(body("netctl", BARE, path), bare);
}

#[test]
fn netifrc() {
    let mut platform = FakePlatform::with(&[("/etc/conf.d/net", "a=1\n")]);
    write(&mut platform, named("netifrc").unwrap(), RICH, "eth0.5");
    assert_eq!(
        platform.text("/etc/conf.d/net"),
        "a=1\n# nanova: begin, written from vm-data in xenstore\n\
         config_eth0_5=\"10.0.0.5/24 brd 10.0.0.255\n10.0.1.5/24 brd 10.0.1.255\n2001:db8::5/64\n2001:db8::6/64\n\
         2001:db8::7/128\n\"\nroutes_eth0_5=\"10.208.0.0/12 via 10.0.1.1\n192.0.2.0/24 via 172.16.0.1 onlink\n\
         2001:db8:1::/48 via 2001:db8::1\n0.0.0.0/0 via 172.16.0.1 onlink\n::/0 via 2001:db9::1 onlink\n\"\n\
         dns_servers_eth0_5=\"9.9.9.9 2620:fe::fe\"\nmtu_eth0_5=\"1400\"\n# nanova: end\n"
    );
    let bare = "# nanova: begin, written from vm-data in xenstore\nconfig_eth0=\"null\"\nroutes_eth0=\"\"\n\
                dns_servers_eth0=\"\"\nmtu_eth0=\"1400\"\n# nanova: end\n";
    assert_eq!(written("netifrc", BARE, "/etc/conf.d/net"), bare);
}

#[test]
fn klibc() {
    use crate::network::handover::{HandOver, Handover, hand_over};
    let mut platform = FakePlatform::with(&[("/sys/class/net/eth0/ifindex", "7\n")]);
    let interface = parsed(NAME, RICH.as_bytes()).unwrap();
    let placed = [Placed { interface: &interface, device: Some("eth0") }];
    let mut problems = Problems::new();
    let mut network = Network::new();
    network.hostname = Some("web01".try_into().unwrap());
    for style in ["klibc", "keyfile", "networkd", "netplan", "ifupdown"].map(|style| Handover::named(style).unwrap()) {
        assert!(hand_over(
            &mut platform,
            &HandOver { style, network: &network, interfaces: &placed, leases: None },
            &mut problems
        ));
    }
    assert_eq!((Handover::named("dhcp"), problems.message(&mut platform).as_str()), (None, ""));
    assert_eq!(
        platform.text("/run/net-eth0.conf"),
        "DEVICE='eth0'\nPROTO='none'\nIPV4ADDR='10.0.0.5'\nIPV4BROADCAST='10.0.0.255'\nIPV4NETMASK='255.255.255.0'\n\
         IPV4GATEWAY='172.16.0.1'\nIPV4DNS0='9.9.9.9'\nHOSTNAME='web01'\nDNSDOMAIN=''\n"
    );
    assert_eq!(
        platform.text("/run/net6-eth0.conf"),
        "DEVICE6='eth0'\nIPV6PROTO='none'\nIPV6ADDR='2001:db8::5'\nIPV6NETMASK='64'\nIPV6GATEWAY='2001:db9::1'\n\
         IPV6DNS0='2620:fe::fe'\nHOSTNAME='web01'\nDNSDOMAIN=''\n"
    );
    let note = "[device]\nmanaged=1\nconnection-uuid=6e616e6f-7661-8000-8000-020000000001\n";
    assert_eq!(platform.text("/run/NetworkManager/devices/7"), note);
    // What is written below /run is what is written below /etc.
    for (style, here, there) in [
        ("keyfile", "NetworkManager/system-connections/nanova-020000000001.nmconnection", "NetworkManager"),
        ("networkd", "systemd/network/00-nanova-020000000001.network", "systemd"),
        ("netplan", "netplan/90-nanova.yaml", "netplan"),
    ] {
        assert!(here.starts_with(there));
        assert_eq!(platform.text(&format!("/run/{here}")), written(style, RICH, &format!("/etc/{here}")), "{style}");
    }
    // A number that cannot be read is told, as is whatever else fails.
    let mut told = Vec::new();
    for operation in 0..20 {
        let mut platform = FakePlatform::with(&[("/sys/class/net/eth0/ifindex", "7\n")]);
        platform.fail = Some((operation, Errno::IO));
        let mut problems = Problems::new();
        let well = hand_over(
            &mut platform,
            &HandOver { style: Handover::Keyfile, network: &Network::new(), interfaces: &placed, leases: None },
            &mut problems,
        );
        let problems = problems.message(&mut platform).as_str().to_owned();
        assert_eq!(well, problems.is_empty(), "{operation}: {problems}");
        told.push(problems);
    }
    for words in ["cannot open /sys/class/net/eth0/ifindex: ", "cannot read /sys/class/net/eth0/ifindex: "] {
        assert!(told.iter().any(|problems| problems.starts_with(words)), "{told:?}");
    }
}

/// Files that are in a manager's directory and speak of interfaces that are gone.
#[test]
fn what_was_ours_of_an_interface_that_is_gone_is_moved_aside_and_nothing_else_is() {
    let cases: [(&str, &str, &[&str], &[&str]); 3] = [
        (
            "networkd",
            "/etc/systemd/network",
            &["00-nanova-020000000009.network"],
            &[
                "10-x.network",
                "00-nanova-x.network",
                "00-nanova-020000000009.network~",
                "99-nanova-020000000009.network",
            ],
        ),
        (
            "keyfile",
            "/etc/NetworkManager/system-connections",
            &["nanova-020000000009.nmconnection"],
            &["x.nmconnection", "nanova-020000000009", "nanova-.nmconnection"],
        ),
        ("netctl", "/etc/netctl", &["nanova-eth1"], &["eth1", "nanova-eth1~", "x-nanova-eth1"]),
    ];
    for (style, directory, goes, stays) in cases {
        let mut platform = FakePlatform::with(&[]);
        for name in goes.iter().chain(stays) {
            platform.put(&format!("{directory}/{name}"), "x\n");
        }
        write(&mut platform, named(style).unwrap(), BARE, "eth0");
        for name in goes {
            assert!(!platform.nodes.contains_key(&format!("{directory}/{name}")), "{name}");
            assert!(platform.nodes.contains_key(&format!("{directory}/.{name}.1700000000.bak~")), "{name}");
        }
        for name in stays {
            assert!(platform.nodes.contains_key(&format!("{directory}/{name}")), "{name}");
        }
    }
}

#[test]
fn files_of_initscripts_go_if_they_are_ours_or_of_no_device_that_there_is() {
    let directory = "/etc/sysconfig/network-scripts";
    let mut platform = FakePlatform::with(&[]);
    for (index, name) in [(2, "eth0"), (3, "eth5"), (4, "eth6")] {
        platform.kernel.links.push(Link { index, name: name.try_into().unwrap(), ..Link::default() });
    }
    let goes = ["ifcfg-eth1", "route-enX7", "route6-eth1", "ifcfg-eth0:1", "ifcfg-eth6"];
    let stays = ["ifcfg-eth5", "ifcfg-eth", "ifcfg-ethx", "ifcfg-lo", "ifcfg-eth1.bak", "x-eth1", "eth1", "ifcfg-enX"];
    for name in goes.iter().chain(&stays) {
        platform.put(&format!("{directory}/{name}"), "# somebody's\nDEVICE=x\n");
    }
    platform.put(&format!("{directory}/ifcfg-eth6"), "A=1\n# Written by nanova, long ago\n");
    write(&mut platform, named("ifcfg").unwrap(), NEAR, "eth0");
    let is_there = |name: &&&str| platform.nodes.contains_key(&format!("{directory}/{name}"));
    assert_eq!(goes.iter().filter(is_there).count(), 0);
    assert_eq!(stays.iter().filter(is_there).count(), stays.len());
}

/// Tries to write the files of ifupdown where one of its conflicting files cannot be judged; what was wrong.
fn conflicts(change: fn(&mut FakePlatform), operation: Option<(usize, Errno)>) -> (FilesOutcome, String) {
    let mut platform = FakePlatform::with(&[]);
    change(&mut platform);
    platform.fail = operation;
    let interface = parsed(NAME, BARE.as_bytes()).unwrap();
    let placed = [Placed { interface: &interface, device: Some("eth0") }];
    let (manager, interfaces) = (named("ifupdown").unwrap(), &[interface.clone()][..]);
    let config = PersistentConfig {
        manager,
        hostname: None,
        former_name: "",
        placed: &placed,
        interfaces,
        sound: true,
        tidy: true,
    };
    let mut problems = Problems::new();
    let outcome = config.write(&mut platform, &mut problems, None);
    (outcome, problems.message(&mut platform).as_str().to_owned())
}

#[test]
fn what_cannot_be_judged_is_told_and_stays() {
    let directory = "/etc/network/interfaces.d";
    let (done, problems) = conflicts(|_| {}, None);
    assert_eq!((done, problems.as_str()), (FilesOutcome { written: true, undisturbed: true }, ""));
    let many = |platform: &mut FakePlatform| {
        (0..33).for_each(|n| platform.put(&format!("/etc/network/interfaces.d/f{n}"), "iface x inet manual\n"));
    };
    let (done, problems) = conflicts(many, None);
    assert_eq!(
        (done, problems),
        (
            FilesOutcome { written: true, undisturbed: false },
            format!("too many files in {directory}: not all were looked at")
        )
    );
    let some = |platform: &mut FakePlatform| {
        (0..32).for_each(|n| platform.put(&format!("/etc/network/interfaces.d/f{n}"), "iface x inet manual\n"));
    };
    assert_eq!(conflicts(some, None), (FilesOutcome { written: true, undisturbed: true }, String::new()));
    let silent = |platform: &mut FakePlatform| {
        platform.put("/etc/network/interfaces.d/x", "iface eth0 inet dhcp\n");
        platform.kernel.silent = Some(Errno::IO);
    };
    let (done, problems) = conflicts(silent, None);
    assert!(
        done.written
            && !done.undisturbed
            && problems.starts_with(&format!("cannot tell whose files in {directory} are"))
    );
    // Every operation in turn: what fails in the midst of it is told, whatever it is.
    let one = |platform: &mut FakePlatform| platform.put("/etc/network/interfaces.d/x", "iface eth0 inet dhcp\n");
    let told: Vec<String> = (0..40)
        .map(|operation| conflicts(one, Some((operation, Errno::IO))))
        .take_while(|(done, _)| *done != WELL)
        .map(|(_, problems)| problems)
        .collect();
    for words in [
        "cannot list /etc/network/interfaces.d: ",
        "cannot tell whose /etc/network/interfaces.d/x is: ",
        "cannot move aside /etc/network/interfaces.d/x: ",
    ] {
        assert!(told.iter().any(|problem| problem.starts_with(words)), "{words}: {told:?}");
    }
}

#[test]
fn a_guests_own_name_stands_in_hosts_and_everywhere_else_where_it_is_kept() {
    let interface = parsed(NAME, NEAR.as_bytes()).unwrap();
    let placed = [Placed { interface: &interface, device: Some("eth0") }];
    let (manager, ours) = (named("none").unwrap(), core::slice::from_ref(&interface));
    let write = |platform: &mut FakePlatform, hostname: Option<&str>, interfaces: &[Interface]| {
        let own_name = platform.host_name();
        let former_name = own_name.as_str();
        let config =
            PersistentConfig { manager, hostname, former_name, placed: &placed, interfaces, sound: true, tidy: true };
        assert_eq!(config.write(platform, &mut Problems::new(), None), WELL);
    };
    let files = [
        ("/etc/HOSTNAME", "old\n"),
        ("/etc/sysconfig/network", "A=1\nHOSTNAME=old\n"),
        ("/etc/conf.d/hostname", "hostname='old\n older'\n"),
        ("/etc/rc.conf", "#HOSTNAME=old\nHOSTNAME=old\nHOSTNAME_X=1\n"),
        ("/etc/hosts", "127.0.0.1 localhost\n10.0.0.9 web01\n10.0.0.8 web01 db\n::1 web01\nx web01\n10.0.0.7\n"),
        ("/etc/resolv.conf", "nameserver 1.1.1.1\n"),
    ];
    let mut platform = FakePlatform::with(&files);
    write(&mut platform, Some("web01"), ours);
    assert_eq!((platform.text("/etc/hostname"), platform.text("/etc/HOSTNAME")), ("web01\n", "web01\n"));
    assert_eq!(platform.text("/etc/sysconfig/network"), "A=1\nHOSTNAME=\"web01\"\n");
    assert_eq!(platform.text("/etc/conf.d/hostname"), "hostname=\"web01\"\n");
    assert_eq!(platform.text("/etc/rc.conf"), "#HOSTNAME=old\nHOSTNAME=\"web01\"\nHOSTNAME_X=1\n");
    assert_eq!(
        platform.text("/etc/hosts"),
        "127.0.0.1 localhost\n10.0.0.5\tweb01 # nanova\n2001:db8::5\tweb01 # nanova\n10.0.0.8 web01 db\n\
         ::1 web01\nx web01\n\
         10.0.0.7\n"
    );
    assert_eq!(platform.text("/etc/resolv.conf"), "nameserver 1.1.1.1\n", "there is none of ours");
    // Where the host gives no name, the guest's own one stands in our lines, and in none that were not there.
    let mut platform = FakePlatform::with(&[("/etc/hosts", "10.0.0.9 mine\n10.0.0.8 old # nanova\n")]);
    platform.host_name = "mine.example.org".to_owned();
    write(&mut platform, None, ours);
    let lines = "10.0.0.5\tmine.example.org mine # nanova\n2001:db8::5\tmine.example.org mine # nanova\n";
    assert_eq!(platform.text("/etc/hosts"), format!("10.0.0.9 mine\n{lines}"));
    let mut platform = FakePlatform::with(&[("/etc/hosts", "10.0.0.9 mine\n")]);
    write(&mut platform, None, ours);
    assert_eq!(platform.text("/etc/hosts"), "10.0.0.9 mine\n");
    let mut platform = FakePlatform::with(&[]);
    write(&mut platform, None, ours);
    assert!(!platform.nodes.contains_key("/etc/hosts") && !platform.nodes.contains_key("/etc/hostname"));
    // A name without a network.
    let mut platform = FakePlatform::with(&[("/etc/hosts", "10.0.0.9 web01\n")]);
    write(&mut platform, Some("web01"), &[]);
    assert_eq!((platform.text("/etc/hosts"), platform.text("/etc/hostname")), ("10.0.0.9 web01\n", "web01\n"));
}

#[test]
fn name_servers_of_all_interfaces_are_listed_once() {
    let [mut one, mut two] = [RICH, NEAR].map(|document| parsed(NAME, document.as_bytes()).unwrap());
    one.dns.push("9.9.9.9".parse().unwrap()).unwrap();
    two.dns.extend(["1.1.1.1", "2620:fe::fe", "1.1.1.1"].map(|server| server.parse().unwrap()));
    let placed = [Placed { interface: &one, device: Some("eth0") }];
    let interfaces = &[one.clone(), two][..];
    let manager = named("none").unwrap();
    let config = PersistentConfig {
        manager,
        hostname: None,
        former_name: "",
        placed: &placed,
        interfaces,
        sound: true,
        tidy: true,
    };
    let mut platform =
        FakePlatform::with(&[("/etc/resolv.conf", "\tnameserver 8.8.8.8\nsearch x\nnameserver 8.8.4.4")]);
    assert_eq!(config.write(&mut platform, &mut Problems::new(), None), WELL);
    let servers = "nameserver 9.9.9.9\nnameserver 2620:fe::fe\nnameserver 1.1.1.1\nsearch x";
    assert_eq!(platform.text("/etc/resolv.conf").trim_end(), servers);
}

#[test]
fn os_release_is_read_where_it_is_and_what_cannot_be_looked_for_is_an_error() {
    let with = |path: &str, text: &[u8]| {
        let mut platform =
            FakePlatform::with(&[("/etc/sysconfig/network-scripts/x", ""), ("/usr/bin/NetworkManager", "")]);
        platform.nodes.insert(path.to_owned(), Node::File { contents: text.to_vec(), mode: 0o644 });
        platform
    };
    let rocky = b"ID='rocky'\nID_LIKE='rhel centos fedora'\nVERSION_ID='9.3'\n";
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        assert_eq!(detect(&mut with(path, rocky)).unwrap().name, "keyfile", "{path}");
        let older = String::from_utf8(rocky.to_vec()).unwrap().replace("9.3", "8");
        assert_eq!(detect(&mut with(path, older.as_bytes())).unwrap().name, "ifcfg", "{path}");
    }
    // The first one counts, and of what is no text what comes before it.
    let mut both = with("/etc/os-release", b"ID=debian\n\xff\nID=rocky\nID_LIKE=fedora\n");
    both.put("/usr/lib/os-release", "ID=fedora\n");
    assert_eq!(detect(&mut both).unwrap().name, "keyfile");
    let mut failures = 0;
    for operation in 0..40 {
        let mut platform = with("/etc/os-release", rocky);
        platform.fail = Some((operation, Errno::IO));
        match detect(&mut platform) {
            Err(error) => {
                assert_eq!(error.errno, Errno::IO);
                failures += 1;
            }
            Ok(manager) => {
                assert_eq!((manager.name, failures > 5), ("keyfile", true), "{operation}");
                break;
            }
        }
    }
}

#[test]
fn managers_are_the_same_if_they_have_one_name() {
    for (place, manager) in MANAGERS.iter().enumerate() {
        for (other, same) in MANAGERS.iter().enumerate() {
            assert_eq!(manager == same, place == other);
        }
    }
}

#[test]
fn name_servers_of_a_family_without_addresses_are_not_lost() {
    let documents = [
        r#"{"ips":["10.0.0.5/24"],"dns":["2620:fe::fe","9.9.9.9","1.1.1.1"]}"#,
        r#"{"ip6s":["2001:db8::5/64"],"dns":["2620:fe::fe","9.9.9.9","1.1.1.1"]}"#,
    ];
    for (document, family) in documents.into_iter().zip(["v4", "v6"]) {
        for (style, path) in [
            ("ifupdown", "/etc/network/interfaces"),
            ("netplan", "/etc/netplan/90-nanova.yaml"),
            ("networkd", "/etc/systemd/network/00-nanova-020000000001.network"),
            ("keyfile", "/etc/NetworkManager/conf.d/90-nanova-dns.conf"),
            ("ifcfg", "/etc/sysconfig/network-scripts/ifcfg-eth0"),
            ("netifrc", "/etc/conf.d/net"),
            ("netctl", "/etc/netctl/nanova-eth0"),
        ] {
            let text = written(style, document, path);
            for server in ["2620:fe::fe", "9.9.9.9", "1.1.1.1"] {
                assert!(text.contains(server), "{family} {style}: {text}");
            }
        }
    }
    let path = "/etc/NetworkManager/conf.d/90-nanova-dns.conf";
    let mut platform = FakePlatform::with(&[]);
    let manager = named("keyfile").unwrap();
    write(&mut platform, manager, documents[0], "eth0");
    let head = "# Written by nanova from vm-data in xenstore.\n";
    let servers = format!("{head}[global-dns-domain-*]\nservers=2620:fe::fe,9.9.9.9,1.1.1.1\n");
    assert_eq!(platform.text(path), servers);
    // Where it is not needed there is none, and one that is there says nothing.
    write(&mut platform, manager, NEAR, "eth0");
    assert_eq!(platform.text(path), head);
    write(&mut platform, manager, r#"{"ips":["10.0.0.5/24"],"dns":["9.9.9.9"]}"#, "eth0");
    assert_eq!(platform.text(path), head);
    let mut platform = FakePlatform::with(&[]);
    write(&mut platform, manager, RICH, "eth0");
    assert!(!platform.nodes.contains_key(path));
    // klibc has room for two.
    use crate::network::handover::{HandOver, Handover, hand_over};
    let interface = parsed(NAME, documents[0].as_bytes()).unwrap();
    let placed = [Placed { interface: &interface, device: Some("eth0") }];
    let six = parsed(NAME, br#"{"ips":["10.0.0.5/24"],"dns":["2620:fe::fe","9.9.9.9"]}"#).unwrap();
    hand_over(
        &mut platform,
        &HandOver { style: Handover::Klibc, network: &Network::new(), interfaces: &placed, leases: None },
        &mut Problems::new(),
    );
    assert!(platform.text("/run/net-eth0.conf").ends_with("IPV4DNS0='9.9.9.9'\nIPV4DNS1='1.1.1.1'\n"));
    let placed = [Placed { interface: &six, device: Some("eth0") }];
    hand_over(
        &mut platform,
        &HandOver { style: Handover::Klibc, network: &Network::new(), interfaces: &placed, leases: None },
        &mut Problems::new(),
    );
    assert!(platform.text("/run/net-eth0.conf").ends_with("IPV4DNS0='9.9.9.9'\nIPV4DNS1='2620:fe::fe'\n"));
}

#[test]
fn netplan_gets_no_address_whose_network_is_everything() {
    let document = r#"{"ips":["10.0.0.5/0"],"gateway":"10.0.0.1","ip6s":["2001:db8::5/0"],"gateway_v6":"2001:db8::1"}"#;
    let text = written("netplan", document, "/etc/netplan/90-nanova.yaml");
    assert!(text.contains("- \"10.0.0.5/32\"\n        - \"2001:db8::5/128\"\n"), "{text}");
    assert_eq!(text.matches("on-link: true\n").count(), 2, "{text}");
}
