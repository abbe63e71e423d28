//! The running guests, and which of them a person means.

use std::fmt;

use crate::connection::Connection;
use crate::fault::Fault;
use crate::op::{Op, Reply, printable};

/// Where the guests are.
const DOMAINS: &str = "/local/domain";

/// A guest that runs. Its domain id is another one after a reboot or a migration; the uuid stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    /// The number that xenstore has it under.
    pub(crate) domid: u32,
    /// What toolstacks know it by; empty if none says so.
    pub(crate) uuid: String,
    /// What people call it.
    pub(crate) name: String,
}

impl Guest {
    /// Its part of xenstore.
    pub(crate) fn home(&self) -> String {
        home(self.domid)
    }

    /// A node there.
    pub(crate) fn path(&self, relative: &str) -> String {
        format!("{}/{relative}", self.home())
    }
}

impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (domain {})", if self.name.is_empty() { "?" } else { &self.name }, self.domid)
    }
}

fn home(domid: u32) -> String {
    format!("{DOMAINS}/{domid}")
}

/// All of them but dom0, by their ids.
pub(crate) fn running(connection: &mut Connection) -> Result<Vec<Guest>, Fault> {
    let mut ids: Vec<u32> = connection.list(DOMAINS)?.iter().filter_map(|name| name.parse().ok()).collect();
    ids.retain(|id| *id != 0);
    ids.sort_unstable();
    with_these_ids(connection, &ids)
}

/// Those of them that these words mean; domain ids alone are looked up without the others.
pub(crate) fn meant_by(connection: &mut Connection, words: &[String]) -> Result<Vec<Guest>, Fault> {
    let ids: Option<Vec<u32>> = words.iter().map(|word| word.parse().ok()).collect();
    if let Some(ids) = ids {
        let found = with_these_ids(connection, &ids)?;
        if found.len() == ids.len() {
            return choose(&found, words);
        }
    }
    choose(&running(connection)?, words)
}

fn with_these_ids(connection: &mut Connection, ids: &[u32]) -> Result<Vec<Guest>, Fault> {
    let nodes = ids.iter().flat_map(|id| ["vm", "name"].map(|node| Op::read(format!("{}/{node}", home(*id)))));
    let replies = connection.ask_all(nodes)?;
    let guests = ids.iter().zip(replies.chunks(2)).filter_map(|(id, replies)| match replies {
        // A domain that is just made or gone.
        [Err(_), Err(_)] => None,
        [vm, name] => {
            let vm = text(vm);
            let uuid = vm.strip_prefix("/vm/").unwrap_or_default().to_owned();
            Some(Guest { domid: *id, uuid, name: text(name) })
        }
        _ => None,
    });
    Ok(guests.collect())
}

fn text(reply: &Reply) -> String {
    reply.as_deref().map(printable).unwrap_or_default()
}

/// Those of the guests that the words mean, each once, in the words' order. A word is `all`, a uuid, a domain id or a
/// name, in this order; a name that several guests have means none of them.
pub(crate) fn choose(guests: &[Guest], words: &[String]) -> Result<Vec<Guest>, Fault> {
    let mut chosen: Vec<Guest> = Vec::new();
    for word in words {
        let found = if word == "all" { guests.to_vec() } else { vec![one(guests, word)?.clone()] };
        for guest in found {
            if !chosen.contains(&guest) {
                chosen.push(guest);
            }
        }
    }
    Ok(chosen)
}

fn one<'g>(guests: &'g [Guest], word: &str) -> Result<&'g Guest, Fault> {
    // A guest whose toolstack gives it no uuid, or no name, has an empty one.
    if word.is_empty() {
        return Err(Fault::here("an empty word means no guest; is a variable of a script empty?"));
    }
    let by_uuid = guests.iter().find(|guest| guest.uuid.eq_ignore_ascii_case(word));
    let by_id = || word.parse().ok().and_then(|id: u32| guests.iter().find(|guest| guest.domid == id));
    if let Some(guest) = by_uuid.or_else(by_id) {
        return Ok(guest);
    }
    match guests.iter().filter(|guest| guest.name == word).collect::<Vec<_>>()[..] {
        [guest] => Ok(guest),
        [] if word == "0" => Err(Fault::here("domain 0 is this one; it has no agent")),
        [] => Err(Fault::here(format!(
            "no running guest has the id, uuid or name '{word}'; `nanova-host list` shows them"
        ))),
        ref several => {
            let ids: Vec<String> = several.iter().map(|guest| guest.domid.to_string()).collect();
            Err(Fault::here(format!("'{word}' is the name of domains {}; give an id or a uuid", ids.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guests() -> Vec<Guest> {
        let guest = |domid, uuid: &str, name: &str| Guest { domid, uuid: uuid.into(), name: name.into() };
        vec![guest(3, "aaaa-1", "web"), guest(7, "aaaa-2", "db"), guest(9, "aaaa-3", "db"), guest(11, "aaaa-4", "7")]
    }

    fn chosen(words: &[&str]) -> Result<Vec<u32>, Fault> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        choose(&guests(), &words).map(|guests| guests.iter().map(|guest| guest.domid).collect())
    }

    #[test]
    fn a_guest_is_meant_by_its_uuid_its_id_or_its_name() {
        assert_eq!(chosen(&["web"]), Ok(vec![3]));
        assert_eq!(chosen(&["AAAA-2"]), Ok(vec![7]));
        assert_eq!(chosen(&["7"]), Ok(vec![7]), "an id goes before a name");
        assert_eq!(chosen(&["9", "web", "all"]), Ok(vec![9, 3, 7, 11]));
    }

    #[test]
    fn what_means_no_guest_or_several_is_said() {
        assert!(chosen(&["db"]).unwrap_err().to_string().contains("domains 7, 9"));
        assert!(chosen(&["nobody"]).unwrap_err().to_string().contains("'nobody'"));
        assert!(chosen(&["0"]).unwrap_err().to_string().contains("domain 0"));
        // Whose toolstack says neither uuid nor name is meant by its id alone.
        let nameless = [Guest { domid: 5, uuid: String::new(), name: String::new() }];
        assert!(choose(&nameless, &[String::new()]).is_err() && choose(&nameless, &["5".into()]).is_ok());
    }
}
