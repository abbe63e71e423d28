//! nova's conversation with a guest through dom0's xenstore tools: data/host/<id> there, data/guest/<id> back.
//!
//! Guarantees: an answer belongs to the request's own key, and the request was gone from xenstore when the answer was
//! there. Refuses nothing that a guest may answer; whether an answer is right is for the cases to say.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::dom0::{Dom0, quoted};
use super::guest::Guest;
use crate::nova::{Answer, Digest, Exchange, encrypt, uuid};

/// How long nova waits for an ordinary answer.
pub const PATIENCE: Duration = Duration::from_secs(30);

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

/// Waits for the answer to a request.
pub fn receive(dom0: &mut Dom0, guest: &Guest, id: &str, patience: Duration) -> Result<Answer> {
    let (request, answer) = (guest.path(&format!("data/host/{id}")), guest.path(&format!("data/guest/{id}")));
    let home = guest.path("name");
    let script = format!(
        "await {answer} {home} || exit
         xenstore-exists {request} && exit 3
         xenstore-read -R {answer}"
    );
    let reply = dom0.try_sh(&script, patience)?;
    match reply.status {
        0 => Answer::parse(String::from_utf8_lossy(&reply.stdout).trim_end()),
        3 => bail!("the answer is there, but the request was not removed with it"),
        4 => bail!("the guest is gone: its kernel or its first process ended"),
        137 => bail!("no answer within {} s", patience.as_secs()),
        status => bail!("xenstore-read ended with {status}: {}", String::from_utf8_lossy(&reply.stderr)),
    }
}

/// Sends a request's raw text and waits for the answer.
pub fn ask_raw(dom0: &mut Dom0, guest: &Guest, body: &str) -> Result<Answer> {
    let id = send(dom0, guest, body)?;
    receive(dom0, guest, &id, PATIENCE)
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

/// The script line that writes the same request under many ids at one stroke: xenstore-write does all its keys in one
/// transaction.
pub fn write_all(guest: &Guest, ids: &[String], body: &str) -> String {
    let words = ids.iter().map(|id| format!(" {} {}", guest.path(&format!("data/host/{id}")), quoted(body)));
    format!("xenstore-write{}", words.collect::<String>())
}
