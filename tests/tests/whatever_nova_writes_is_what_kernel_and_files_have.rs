//! Each model of what nova can write about an interface (`models`), in the kernel as nanova sets it and as every
//! style's reader makes it of nanova's files, compared with the model by meaning.
//!
//! `NANOVA_MODELS=N` takes about so many of them, or all; `NANOVA_SEED=N` others. The whole table:
//! `NANOVA_MODELS=all cargo test -p nanova-tests --test whatever_nova_writes_is_what_kernel_and_files_have --
//! --ignored`

mod managers;
mod models;
mod vm_data;

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use managers::reader;
use models::{COUNT, Model, State};
use serde_json::Value;
use vm_data::{Guest, LINKS, PRIVATE, succeeded};

/// Shell: what the kernel has.
const STATE: &str = "ip -j address show dev eth0; ip -j -4 route show dev eth0; ip -j -6 route show dev eth0";

/// What the kernel has of eth0, without what it makes by itself.
fn state(shown: &str) -> Result<State> {
    let lines = shown.lines().filter(|line| line.starts_with('[')).map(serde_json::from_str::<Value>);
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    let [addresses, four, six] = &lines[..] else { anyhow::bail!("{shown}") };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut state = State::default();
    for address in addresses[0]["addr_info"].as_array().context("no addresses")? {
        let ip = text(&address["local"]).context("no address")?;
        if address["scope"] == "global" {
            // To an address without a broadcast address ifup adds itself as one, or all bits: that says nothing.
            let has_none = address["prefixlen"].as_u64().is_some_and(|prefix| prefix > 30);
            let broadcast = text(&address["broadcast"]).filter(|_| !has_none);
            state.addresses.insert(format!("{ip}/{} {}", address["prefixlen"], broadcast.as_deref().unwrap_or("-")));
        }
    }
    let mut neighbours = BTreeSet::new();
    for (family, bits, routes) in [(4, 32, four), (6, 128, six)] {
        for route in routes.as_array().into_iter().flatten() {
            let to = text(&route["dst"]).context("no destination")?;
            let is_own = route["protocol"] == "kernel" || to.starts_with("fe80:") || to.starts_with("ff00:");
            if is_own {
                continue;
            }
            let to = if to == "default" || to.contains('/') { to } else { format!("{to}/{bits}") };
            let via = text(&route["gateway"]);
            neighbours.extend(via.as_ref().map(|via| format!("{family} {via}/{bits}")));
            let via = via.map_or(String::new(), |via| format!(" via {via}"));
            state.routes.insert(format!("{family} {to}{via}"));
        }
    }
    // What some managers need to send to a neighbour that is in none of the networks.
    state.routes.retain(|route| !neighbours.contains(route));
    Ok(state)
}

/// Some of the numbers of models, chosen by a seed; all of them if that is asked for.
fn numbers(usual: usize) -> Vec<usize> {
    let wanted = std::env::var("NANOVA_MODELS").unwrap_or_default();
    let count = if wanted == "all" { COUNT } else { wanted.parse().unwrap_or(usual) };
    let seed = std::env::var("NANOVA_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_126_u64);
    let mut left: Vec<usize> = (0..COUNT).collect();
    let mut random = seed;
    let mut chosen: Vec<usize> = (0..count.min(COUNT))
        .map(|_| {
            // Knuth's MMIX; its upper bits are good enough to choose by.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            left.swap_remove((random >> 33) as usize % left.len())
        })
        .collect();
    chosen.sort_unstable();
    chosen
}

/// A guest of which nova has written this.
fn guest(model: &Model) -> Result<Guest> {
    let guest = Guest::bare()?;
    guest.write("networking/BC764E04CFE5", &model.value())?;
    guest.write("networking/BC764E04D936", PRIVATE)?;
    Ok(guest)
}

/// netplan refuses an address whose network is everything: there it is one without a network.
fn as_netplan_takes_it(address: &str) -> String {
    match address.split_once("/0 ") {
        Some((ip, _)) => format!("{ip}/{} -", if ip.contains(':') { 128 } else { 32 }),
        None => address.to_owned(),
    }
}

/// The files that a style's manager reads, all in one.
fn files_of(guest: &Guest) -> String {
    let files = guest.root.files().into_iter().filter(|file| file.starts_with("etc/"));
    files.filter(|file| file != "etc/resolv.conf").map(|file| guest.root.text(&format!("/{file}"))).collect()
}

/// Compares, for some models, what a style's reader makes of the files with what they mean.
fn agrees(style: &str, usual: usize) -> Result<()> {
    let mut wrong = Vec::new();
    for number in numbers(usual) {
        let model = Model::of(number);
        let guest = guest(&model)?;
        if style == "suse" {
            let config = guest.root.join("etc/sysconfig/network/config");
            std::fs::create_dir_all(config.parent().context("no directory")?)?;
            std::fs::write(config, "NETCONFIG_DNS_STATIC_SERVERS=\"\"\n")?;
        }
        let ours = succeeded(&guest.shell(&format!("{LINKS}$NANOVA --style {style}\n{STATE}"))?);
        let output = guest.shell(&format!("{LINKS}{}\n{STATE}", reader(style)))?;
        let theirs = String::from_utf8_lossy(&output.stdout);
        let mut in_files = model.state();
        if style == "netplan" {
            in_files.addresses = in_files.addresses.iter().map(|address| as_netplan_takes_it(address)).collect();
        }
        for (whose, state, wanted) in [("kernel", state(&ours), model.state()), ("files", state(&theirs), in_files)] {
            match state {
                Ok(state) if state == wanted => {}
                state => wrong.push(format!(
                    "model {number}, {whose}: {}\nwanted {wanted:?}\nthere is {state:?}\n{}",
                    model.value(),
                    String::from_utf8_lossy(&output.stderr)
                )),
            }
        }
        let (files, resolv) = (files_of(&guest), guest.root.join("etc/resolv.conf"));
        let resolv = std::fs::read_to_string(resolv).unwrap_or_default();
        for server in model.servers() {
            if !files.contains(&server) || !resolv.contains(&format!("nameserver {server}\n")) {
                wrong.push(format!("model {number}: {server} is lost\n{files}\n{resolv}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{style}: {} wrong\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

#[test]
fn the_table_has_all_that_nova_can_write() {
    let models: Vec<(String, State)> = (0..COUNT).map(Model::of).map(|model| (model.value(), model.state())).collect();
    let different: BTreeSet<&str> = models.iter().map(|(value, _)| value.as_str()).collect();
    assert!(COUNT >= 300 && different.len() > 300, "{}", different.len());
    let has = |word: &str| models.iter().any(|(value, _)| value.contains(word));
    for word in ["\"broadcast\":\"None\"", "\"gateway\":null", "\"netmask\":\"ffff:ffff:ffff::\"", "\"netmask\":\"::\""]
    {
        assert!(has(word), "{word}");
    }
    let addresses: BTreeSet<&str> =
        models.iter().flat_map(|(_, state)| &state.addresses).filter_map(|address| address.split(' ').next()).collect();
    for (is_four, most) in [(true, 32), (false, 128)] {
        let prefixes: BTreeSet<u8> = addresses
            .iter()
            .filter(|address| address.contains('.') == is_four)
            .filter_map(|address| address.split_once('/')?.1.parse().ok())
            .collect();
        assert_eq!(prefixes.len(), most + 1, "{prefixes:?}");
    }
    assert!(models.iter().all(|(value, _)| value.len() < 3072), "more than a host can write");
}

#[test]
#[ignore = "needs iproute2 and root"]
fn in_the_kernel_and_in_the_answer() -> Result<()> {
    for number in numbers(40) {
        let model = Model::of(number);
        let guest = guest(&model)?;
        let home = guest.xenstored.home().to_owned();
        let mut host = guest.xenstored.host();
        host.write(&format!("{home}/data/host/1"), r#"{"name":"resetnetwork","value":""}"#)?;
        let shown = succeeded(&guest.shell(&format!("{LINKS}$AGENT\n{STATE}"))?);
        assert_eq!(state(&shown)?, model.state(), "model {number}: {}", model.value());
        let answer: Value = serde_json::from_slice(&host.read(&format!("{home}/data/guest/1"))?)?;
        assert_eq!(answer["returncode"], "0", "model {number}: {answer}");
        // Nothing is left out but gateways of which only one can be.
        let said = answer["message"].as_str().context("no text")?.trim_start_matches("left out: ").to_owned();
        for sentence in said.split("; ").filter(|sentence| !sentence.is_empty()) {
            let is_more = sentence.starts_with("… and ") && sentence.ends_with(" more, see the log");
            assert!(is_more || sentence.ends_with(": another one leads there"), "model {number}: {said}");
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs ifupdown, iproute2 and root"]
fn ifup_of_debian() -> Result<()> {
    agrees("ifupdown", 12)
}

#[test]
#[ignore = "needs systemd, dbus, iproute2 and root"]
fn networkd_itself() -> Result<()> {
    agrees("networkd", 6)
}

#[test]
#[ignore = "needs network-manager, dbus, iproute2 and root"]
fn network_manager_itself() -> Result<()> {
    agrees("keyfile", 8)
}

#[test]
#[ignore = "needs netplan.io, systemd, dbus, iproute2 and root"]
fn netplan_and_networkd() -> Result<()> {
    agrees("netplan", 6)
}

#[test]
#[ignore = "needs iproute2 and root"]
fn ifcfg_files_by_their_documentation() -> Result<()> {
    agrees("ifcfg", 20)
}

#[test]
#[ignore = "needs iproute2 and root"]
fn suses_files_by_their_documentation() -> Result<()> {
    agrees("suse", 20)
}

#[test]
#[ignore = "needs iproute2 and root"]
fn gentoos_file_by_its_documentation() -> Result<()> {
    agrees("netifrc", 20)
}

#[test]
#[ignore = "needs bash, iproute2 and root"]
fn netctls_profiles_by_their_documentation() -> Result<()> {
    agrees("netctl", 20)
}
