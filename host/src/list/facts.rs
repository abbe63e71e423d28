//! What xenstore says of a guest. Sources of the keys: what nanova and xe-daemon write, and XAPI reads
//! (`ocaml/xapi/xapi_guest_agent.ml`); `memory/target` is xl's and squeezed's.
//!
//! Everything in here that a guest can write is an allegation, and shown without control characters.

use crate::connection::{Connection, texts};
use crate::fault::Fault;
use crate::guests::Guest;
use crate::op::{Op, Reply, printable};

/// The nodes whose values are read.
const VALUES: [&str; 9] = [
    "data/nanova/version",
    "data/nanova/state",
    "attr/PVAddons/MajorVersion",
    "attr/PVAddons/MinorVersion",
    "attr/PVAddons/MicroVersion",
    "data/os_name",
    "data/meminfo_free",
    "data/meminfo_total",
    "memory/target",
];
/// The nodes whose children are listed.
const LISTS: [&str; 2] = ["control", "attr/vif"];
const EACH: usize = VALUES.len() + LISTS.len();

/// What is known of a guest; empty or none where nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Its domain id.
    pub(crate) id: u32,
    /// Its uuid.
    pub(crate) uuid: String,
    /// Its name.
    pub(crate) name: String,
    /// `nanova`, or `other` where something else reports.
    pub(crate) agent: String,
    /// The agent's version.
    pub(crate) version: String,
    /// Whether it serves: `starting`, `ready`, `failed: …`; nanova alone says so.
    pub(crate) state: String,
    /// What its kernel and agent offer to toolstacks (`control/feature-*`).
    pub(crate) features: Vec<String>,
    /// Its addresses, in the order of the interfaces.
    pub(crate) addresses: Vec<String>,
    /// Its operating system.
    pub(crate) os: String,
    /// KiB of memory that are free in it.
    pub(crate) free: Option<u64>,
    /// KiB of memory that it sees.
    pub(crate) total: Option<u64>,
    /// KiB of memory that the toolstack gives it.
    pub(crate) target: Option<u64>,
}

/// Reads what there is of each.
pub(crate) fn read(connection: &mut Connection, guests: &[Guest]) -> Result<Vec<Facts>, Fault> {
    let nodes = guests.iter().flat_map(|guest| {
        let values = VALUES.iter().map(|node| Op::read(guest.path(node)));
        values.chain(LISTS.iter().map(|node| Op::list(guest.path(node))))
    });
    let replies = connection.ask_all(nodes)?;
    let mut facts: Vec<Facts> =
        guests.iter().zip(replies.chunks(EACH)).map(|(guest, replies)| of(guest, replies)).collect();
    addresses(connection, guests, &replies, &mut facts)?;
    Ok(facts)
}

fn of(guest: &Guest, replies: &[Reply]) -> Facts {
    let text =
        |place: usize| replies.get(place).and_then(|reply| reply.as_deref().ok()).map(printable).unwrap_or_default();
    let number = |place: usize| text(place).parse().ok();
    let tools: Vec<String> = (2..5).map(text).filter(|part| !part.is_empty()).collect();
    let (nanova, tools) = (text(0), tools.join("."));
    let agent = match (nanova.is_empty(), tools.is_empty()) {
        (false, _) => "nanova",
        (true, false) => "other",
        (true, true) => "",
    };
    let control = replies.get(VALUES.len()).and_then(|reply| reply.as_deref().ok()).unwrap_or_default();
    let features = texts(control).into_iter().filter_map(|name| name.strip_prefix("feature-").map(str::to_owned));
    Facts {
        id: guest.domid,
        uuid: guest.uuid.clone(),
        name: guest.name.clone(),
        agent: agent.into(),
        version: if nanova.is_empty() { tools } else { nanova },
        state: text(1),
        features: features.collect(),
        addresses: Vec::new(),
        os: text(5),
        free: number(6),
        total: number(7),
        target: number(8),
    }
}

/// The addresses below `attr/vif/N/{ipv4,ipv6}/M`: two rounds for all guests together.
fn addresses(
    connection: &mut Connection,
    guests: &[Guest],
    replies: &[Reply],
    facts: &mut [Facts],
) -> Result<(), Fault> {
    let mut places = Vec::new();
    for (place, (guest, replies)) in guests.iter().zip(replies.chunks(EACH)).enumerate() {
        let vifs = replies.last().and_then(|reply| reply.as_deref().ok()).map(texts).unwrap_or_default();
        for vif in in_order(vifs) {
            places.extend(["ipv4", "ipv6"].map(|family| (place, guest.path(&format!("attr/vif/{vif}/{family}")))));
        }
    }
    let lists = connection.ask_all(places.iter().map(|(_, node)| Op::list(node)))?;
    let nodes: Vec<(usize, String)> = places
        .iter()
        .zip(lists)
        .flat_map(|((place, node), list)| {
            let names = in_order(list.as_deref().map(texts).unwrap_or_default());
            names.into_iter().map(move |name| (*place, format!("{node}/{name}")))
        })
        .collect();
    let values = connection.ask_all(nodes.iter().map(|(_, node)| Op::read(node)))?;
    for ((place, _), value) in nodes.iter().zip(values) {
        if let (Some(facts), Ok(value)) = (facts.get_mut(*place), value)
            && !value.is_empty()
        {
            facts.addresses.push(printable(&value));
        }
    }
    Ok(())
}

/// Numbers by their size.
fn in_order(mut names: Vec<String>) -> Vec<String> {
    names.retain(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    names.sort_by_key(|name| (name.len(), name.clone()));
    names
}

impl Facts {
    /// All of it, a line each.
    pub(crate) fn page(&self) -> String {
        let kib = |kib: Option<u64>| kib.map(|kib| format!("{} MiB", kib / 1024)).unwrap_or_default();
        let lines = [
            ("id", self.id.to_string()),
            ("uuid", self.uuid.clone()),
            ("name", self.name.clone()),
            ("agent", format!("{} {}", self.agent, self.version).trim().to_owned()),
            ("state", self.state.clone()),
            ("features", self.features.join(" ")),
            ("addresses", self.addresses.join(" ")),
            ("system", self.os.clone()),
            ("memory free", kib(self.free)),
            ("memory", kib(self.total.or(self.target))),
        ];
        let line =
            |(name, value): &(&str, String)| format!("{name:<12} {}\n", if value.is_empty() { "-" } else { value });
        lines.iter().map(line).collect()
    }
}

#[cfg(test)]
pub(super) fn sample() -> Facts {
    Facts {
        id: 7,
        uuid: "7b3fd1ce-0f6b-4b0c-9d3c-2d4fb5ed8d2a".into(),
        name: "web".into(),
        agent: "nanova".into(),
        version: "1.0.0".into(),
        state: "ready".into(),
        features: vec!["suspend".into()],
        addresses: vec!["10.0.0.5".into(), "fd00::5".into()],
        os: "Debian \"12\"".into(),
        free: Some(1000),
        total: Some(2000),
        target: Some(262_144),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_writes_cannot_reach_the_terminal() {
        let guest = Guest { domid: 7, uuid: "u".into(), name: "web".into() };
        let mut replies: Vec<Reply> = vec![Ok(b"1\x1b[2J".to_vec()); VALUES.len()];
        replies.push(Ok(b"shutdown\0feature-suspend\0".to_vec()));
        let facts = of(&guest, &replies);
        assert_eq!((facts.version.as_str(), facts.free, facts.features), ("1\\u{1b}[2J", None, vec!["suspend".into()]));
    }

    #[test]
    fn an_agent_that_is_not_nanova_has_the_version_that_it_reports() {
        let guest = Guest { domid: 7, uuid: "u".into(), name: "web".into() };
        let none = Err(nanova_core::wire::xenstore::Refusal::NOENT);
        let mut replies: Vec<Reply> = vec![none; VALUES.len()];
        assert_eq!((of(&guest, &replies).agent, of(&guest, &[]).version), (String::new(), String::new()));
        for (place, part) in [(2, "7"), (3, "20"), (4, "0")] {
            replies[place] = Ok(part.into());
        }
        let facts = of(&guest, &replies);
        assert_eq!((facts.agent.as_str(), facts.version.as_str()), ("other", "7.20.0"));
    }

    #[test]
    fn numbers_are_in_order() {
        let names = ["10", "2", "x", "0"].map(String::from).to_vec();
        assert_eq!(in_order(names), ["0", "2", "10"]);
    }
}
