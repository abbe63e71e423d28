//! The host's half of the conversation, as nova's dom0 plugin leads it: requests, answers, key exchange, passwords.
//!
//! Guarantees: an answer belongs to the request's own key, and the request was gone from xenstore when the answer was
//! there. Encryption is done by the openssl program, the way nova calls it. Refuses nothing that a guest may answer;
//! whether an answer is right is for the cases to say.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::dom0::{Dom0, quoted};
use super::guest::Guest;
use super::tools;

/// How long nova waits for an ordinary answer.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// 2^107 - 1, the prime of the key exchange; its generator is 5.
const PRIME: u128 = (1 << 107) - 1;

/// What the guest answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// "0" is success, but for keyinit, where it is "D0".
    pub code: String,
    /// The result, or what went wrong.
    pub message: String,
}

impl Answer {
    /// Reads an answer's JSON.
    pub fn parse(text: &str) -> Result<Answer> {
        let value: Value = serde_json::from_str(text).with_context(|| format!("the answer is not JSON: {text:?}"))?;
        let field = |name: &str| match value.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => bail!("the answer has no string {name:?}: {text}"),
        };
        Ok(Answer { code: field("returncode")?, message: field("message")? })
    }

    /// The message of a success.
    pub fn ok(self) -> Result<String> {
        ensure!(self.code == "0", "the agent answered {}: {}", self.code, self.message);
        Ok(self.message)
    }
}

/// A fresh request id.
pub fn uuid() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned())
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
    let script = format!(
        "until xenstore-exists {answer}; do sleep 0.03; done; xenstore-exists {request} && exit 3; xenstore-read -R {answer}"
    );
    let reply = dom0.try_sh(&script, patience)?;
    match reply.status {
        0 => Answer::parse(String::from_utf8_lossy(&reply.stdout).trim_end()),
        3 => bail!("the answer is there, but the request was not removed with it"),
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

/// Sets root's password: exchanges keys, encrypts with openssl and this digest, sends.
pub fn set_password(dom0: &mut Dom0, guest: &Guest, password: &str, digest: &str) -> Result<Answer> {
    let private = private_key()?;
    let public = power(5, private);
    let theirs = ask(dom0, guest, "keyinit", json!(public.to_string()))?;
    ensure!(theirs.code == "D0", "keyinit was answered with {}: {}", theirs.code, theirs.message);
    let theirs: u128 = theirs.message.parse().context("the agent's public key is no decimal number")?;
    ensure!((2..PRIME - 1).contains(&theirs), "the agent's public key {theirs} is out of range");
    let encrypted = encrypt(&format!("{password}\n"), &power(theirs, private).to_string(), digest)?;
    ask(dom0, guest, "password", json!(encrypted))
}

/// The crypt(3) hash of a password under the method and salt of `like`, by openssl.
pub fn shadow_hash(password: &str, like: &str) -> Result<String> {
    let fields: Vec<_> = like.split('$').collect();
    let &["", method @ ("1" | "5" | "6"), salt, _] = fields.as_slice() else {
        bail!("{like:?} is not an MD5, SHA-256 or SHA-512 crypt hash");
    };
    let mut command = tools::command("openssl");
    command.args(["passwd", &format!("-{method}"), "-salt", salt, password]);
    Ok(String::from_utf8(tools::run(&mut command)?)?.trim().to_owned())
}

/// `openssl aes-128-cbc` as nova calls it, base64 on one line.
fn encrypt(text: &str, secret: &str, digest: &str) -> Result<String> {
    let mut command = tools::command("openssl");
    command.args(["aes-128-cbc", "-A", "-a", "-nosalt", "-md", digest, "-pass", &format!("pass:{secret}")]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start openssl")?;
    child.stdin.take().context("openssl has no input")?.write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "openssl failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Ten random bytes, like nova's.
fn private_key() -> Result<u128> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes[6..])?;
    Ok(u128::from_be_bytes(bytes))
}

/// base^exponent modulo the prime.
fn power(base: u128, exponent: u128) -> u128 {
    let by_bits = |from: u128, to: u128, unit: u128, add: &dyn Fn(u128, u128) -> u128| {
        let bits = (0..u128::BITS - to.leading_zeros()).rev();
        bits.fold(unit, |sum, bit| {
            let doubled = add(sum, sum);
            if to >> bit & 1 == 1 { add(doubled, from) } else { doubled }
        })
    };
    let multiply = |left, right| by_bits(left, right, 0, &|a, b| (a + b) % PRIME);
    by_bits(base, exponent, 1, &multiply)
}

/// The script line that writes several requests at one stroke: xenstore-write does many keys in one transaction.
pub fn write_all(guest: &Guest, ids: &[String], body: &str) -> String {
    let words = ids.iter().map(|id| format!(" {} {}", guest.path(&format!("data/host/{id}")), quoted(body)));
    format!("xenstore-write{}", words.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_modular() {
        assert_eq!(power(5, 0), 1);
        assert_eq!(power(5, 3), 125);
        assert_eq!(power(PRIME - 1, 2), 1);
        let (ours, theirs) = (0x1234_5678_9abc_def0_1234, 0xfeed_beef_cafe_0000_1111);
        assert_eq!(power(power(5, ours), theirs), power(power(5, theirs), ours));
        assert_eq!(power(5, PRIME - 1), 1, "Fermat");
    }

    #[test]
    fn answers_have_two_strings() {
        let answer = Answer::parse(r#"{"returncode": "0", "message": "1.2"}"#).unwrap();
        assert_eq!(answer.ok().unwrap(), "1.2");
        assert!(Answer::parse(r#"{"returncode": 0, "message": "1.2"}"#).is_err());
        assert!(Answer::parse("").is_err());
    }
}
