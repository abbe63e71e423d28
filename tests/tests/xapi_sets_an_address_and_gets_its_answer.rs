//! XAPI's `VIF.configure_ipv4` and `configure_ipv6`: the real agent sets the addresses, and xenopsd finds its answer.

use anyhow::Result;
use nanova_tests::scene::wait_until;
use nanova_tests::toolstack::{Guest, LINKS, inside, set_addresses};
use nanova_tests::xenstored::Layout;

#[test]
#[ignore = "needs iproute2 and root"]
fn it_is_set_and_answered_and_the_rest_is_left_alone() -> Result<()> {
    let guest = Guest::new(Layout::Xapi)?;
    let links =
        format!("{LINKS}; ip link set eth0 address 02:00:00:00:00:01; ip link set enX1 address 02:00:00:00:00:02");
    let agent = guest.agent(&links, "");
    agent.wait_for_log("published what the guest is");
    let answer = |vif: u32, key: &str| {
        guest.get(&format!("xenserver/device/vif/{vif}/static-ip-setting/{key}")).unwrap_or_default()
    };
    let good = [
        ("mac", "02:00:00:00:00:02"),
        ("enabled", "1"),
        ("address", "10.7.0.2/24"),
        ("gateway", "10.7.0.1"),
        ("enabled6", "1"),
        ("address6", "2001:db8::2/64"),
        ("gateway6", "fe80::1"),
    ];
    set_addresses(&guest, 1, &good)?;
    wait_until("there is an answer", || answer(1, "error-code") == "0");
    assert_eq!(answer(1, "error-msg"), "");
    wait_until("and the toolstack sees it", || guest.get("attr/vif/1/ipv4/0").as_deref() == Some("10.7.0.2"));
    inside(
        &agent,
        "ip -o address show dev enX1 | grep -q 10.7.0.2/24; ip -o address show dev enX1 | grep -q 2001:db8::2/64
         ip route | grep -q 'default via 10.7.0.1 dev enX1'; ip -6 route | grep -q 'default via fe80::1 dev enX1'
         ip -o address show dev eth0 | grep -q 10.0.0.5/24",
    )?;
    for (values, words) in [
        (&[("mac", "02:00:00:00:00:02"), ("enabled", "1"), ("address", "10.7.0.2")][..], "prefix length"),
        (&[("mac", "02:00:00:00:00:02"), ("enabled", "2"), ("enabled6", "0")], "DHCP"),
        (&[("mac", "nonsense"), ("enabled", "1"), ("address", "10.7.0.3/24")], "mac"),
    ] {
        set_addresses(&guest, 1, values)?;
        wait_until("there is an answer", || answer(1, "error-code") == "1");
        assert!(answer(1, "error-msg").contains(words), "{}", answer(1, "error-msg"));
        inside(&agent, "ip -o address show dev enX1 | grep -q 10.7.0.2/24")?;
    }
    // One for an interface that there is not.
    set_addresses(&guest, 0, &[("mac", "02:00:00:00:00:09"), ("enabled", "1"), ("address", "10.9.0.2/24")])?;
    set_addresses(&guest, 1, &[("enabled", "0"), ("enabled6", "0")])?;
    wait_until("there is an answer", || answer(0, "error-code") == "1");
    assert_eq!(answer(0, "error-msg"), "no interface has the MAC address 02:00:00:00:00:09");
    // What is not set is left alone, and not answered.
    set_addresses(&guest, 1, &[("enabled", "0"), ("enabled6", "0")])?;
    set_addresses(&guest, 0, &[("mac", "02:00:00:00:00:01"), ("enabled", "1"), ("address", "10.0.0.9/24")])?;
    wait_until("there is an answer", || answer(0, "error-code") == "0");
    assert_eq!(answer(1, "error-code"), "");
    // Nor is a family of which nothing is set, and files that would say something of it.
    inside(&agent, "ip address add 10.0.0.77/24 dev eth0; ip route add 198.51.100.0/24 via 10.0.0.1")?;
    guest.file("etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n")?;
    let only_ipv6 = [
        ("mac", "02:00:00:00:00:01"),
        ("enabled", "0"),
        ("enabled6", "1"),
        ("address6", "2001:db8::5/64"),
        ("gateway6", ""),
    ];
    set_addresses(&guest, 0, &only_ipv6)?;
    wait_until("there is an answer", || answer(0, "error-code") == "0");
    inside(
        &agent,
        "ip -o address show dev eth0 | grep -q 10.0.0.77/24; ip -o address show dev eth0 | grep -q 2001:db8::5/64
         ip route | grep -q '198.51.100.0/24 via 10.0.0.1'",
    )?;
    let interfaces = std::fs::read_to_string(guest.root.path().join("etc/network/interfaces"))?;
    assert!(interfaces.contains("iface eth0 inet dhcp"), "{interfaces}");
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn where_the_site_has_taken_resetnetwork_away_xapi_is_not_invited() -> Result<()> {
    let guest = Guest::new(Layout::Xapi)?;
    let feature = || guest.get("control/feature-static-ip-setting");
    let agent = guest.agent(LINKS, "");
    agent.wait_for_log("published what the guest is");
    assert_eq!(feature().as_deref(), Some("1"));
    drop(agent);
    guest.file("etc/nanova/disable", "resetnetwork\n")?;
    guest.agent(LINKS, "").wait_for_log("published what the guest is");
    assert_eq!(feature(), None);
    Ok(())
}
