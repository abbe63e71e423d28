//! nova's conversation with a guest through dom0's xenstore tools: data/host/<id> there, data/guest/<id> back.
//!
//! Guarantees: an answer belongs to the request's own key, and the request was gone from xenstore when the answer was
//! there. Refuses nothing that a guest may answer; whether an answer is right is for the cases to say.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::dom0::{Dom0, quoted};
use super::guest::{Guest, SLOW};
use crate::nova::{Answer, Digest, Exchange, encrypt, uuid};

/// dom0's part in a burst.
const ANSWERS: &str = include_str!("dom0/answers.sh");

/// The request most cases send.
pub fn version_request() -> String {
    json!({ "name": "version", "value": "agent" }).to_string()
}

/// Puts a request into the guest's mailbox and returns its id.
pub fn send(dom0: &mut Dom0, guest: &Guest, body: &str) -> Result<String> {
    let id = uuid()?;
    dom0.xenstore_write(&guest.path(&format!("data/host/{id}")), body)?;
    Ok(id)
}

/// Waits for the answer to a request, as long as the guest exists.
pub fn receive(dom0: &mut Dom0, guest: &Guest, id: &str) -> Result<Answer> {
    converse(dom0, guest, id, "")
}

/// Sends a request's raw text and waits for the answer.
pub fn ask_raw(dom0: &mut Dom0, guest: &Guest, body: &str) -> Result<Answer> {
    let id = uuid()?;
    let write = format!("xenstore-write {} {} || exit", guest.path(&format!("data/host/{id}")), quoted(body));
    converse(dom0, guest, &id, &write)
}

/// Runs `first` and waits for an answer: a watch tells when it is there.
fn converse(dom0: &mut Dom0, guest: &Guest, id: &str, first: &str) -> Result<Answer> {
    let (request, answer) = (guest.path(&format!("data/host/{id}")), guest.path(&format!("data/guest/{id}")));
    let home = guest.path("name");
    let script = format!(
        "{first}
         await {answer} {home} || exit
         xenstore-exists {request} && exit 3
         xenstore-read -R {answer}"
    );
    let reply = dom0.try_sh(&script, SLOW)?;
    match reply.status {
        0 => Answer::parse(String::from_utf8_lossy(&reply.stdout).trim_end()),
        3 => bail!("the answer is there, but the request was not removed with it"),
        4 => bail!("the guest is gone: its kernel or its first process ended"),
        137 => bail!("no answer within {} s", SLOW.as_secs()),
        status => bail!("dom0's tools ended with {status}: {}", String::from_utf8_lossy(&reply.stderr)),
    }
}

/// Sends a command and waits for the answer.
pub fn ask(dom0: &mut Dom0, guest: &Guest, name: &str, value: Value) -> Result<Answer> {
    ask_raw(dom0, guest, &json!({ "name": name, "value": value }).to_string())
}

/// The agent still answers.
pub fn alive(dom0: &mut Dom0, guest: &Guest) -> Result<()> {
    ask_raw(dom0, guest, &version_request())?.ok().map(drop)
}

/// Sets root's password as nova does: exchanges keys, encrypts with openssl and this digest, sends.
pub fn set_password(dom0: &mut Dom0, guest: &Guest, password: &str, digest: Digest) -> Result<Answer> {
    let exchange = Exchange::new()?;
    let theirs = ask(dom0, guest, "keyinit", json!(exchange.public()))?;
    ensure!(theirs.code == "D0", "keyinit was answered with {}: {}", theirs.code, theirs.message);
    let secret = exchange.secret(&theirs.message)?;
    let encrypted = encrypt(format!("{password}\n").as_bytes(), &secret, digest)?;
    ask(dom0, guest, "password", json!(encrypted))
}

/// What became of requests that were written at one stroke.
#[derive(Clone, Debug)]
pub struct Burst {
    /// The answers that were read.
    pub answers: Vec<Answer>,
    /// The time from the requests to the last answer, by dom0's clock.
    pub took: Duration,
    /// An answer was there for so long before it was read, at the most: nova takes half a second, and something for
    /// reading.
    pub slowest: Duration,
}

/// Writes the same request so many times in one transaction, and reads the answers twice a second, as nova does. None
/// of the requests waits at the end.
pub fn burst(dom0: &mut Dom0, guest: &Guest, body: &str, count: usize) -> Result<Burst> {
    let ids = (0..count).map(|_| uuid()).collect::<Result<Vec<_>>>()?;
    let (requests, folder, home) = (guest.path("data/host"), guest.path("data/guest"), guest.path("name"));
    // xenstore-write does all its keys in one transaction.
    let words: String = ids.iter().map(|id| format!(" {requests}/{id} {}", quoted(body))).collect();
    let script = format!(
        "folder={folder} requests={requests} home={home} ids='{}'
         write_requests() {{ xenstore-write{words}; }}\n{ANSWERS}",
        ids.join(" ")
    );
    let said = dom0.sh_within(&script, SLOW).context("dom0 cannot read the answers")?;
    let (rest, times) = said.trim_end().rsplit_once('\n').context("dom0 read nothing")?;
    ensure!(!rest.lines().any(|line| line == "waiting"), "requests wait that nobody answers");
    let mut answers = Vec::new();
    for id in &ids {
        let name = format!("{folder}/{id}: ");
        answers.extend(rest.lines().find_map(|line| line.strip_prefix(&name)).map(Answer::parse).transpose()?);
    }
    let times: Vec<_> = times.split(' ').filter_map(|word| word.parse().ok().map(Duration::from_millis)).collect();
    let &[took, slowest] = times.as_slice() else { bail!("instead of times dom0 printed {said:?}") };
    Ok(Burst { answers, took: took * 10, slowest: slowest * 10 })
}
