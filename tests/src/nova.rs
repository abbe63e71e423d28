//! What nova's host does, wherever it runs: read an answer, exchange keys, encrypt a password.
//!
//! Guarantees: encryption is the openssl program's, called as nova calls it; the arithmetic is written here, apart from
//! nanova's. Refuses an answer whose fields are not two strings: nova compares strings.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// 2^107 - 1, the prime of the key exchange; its generator is 5.
pub const PRIME: u128 = (1 << 107) - 1;

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

/// The digest that the host's OpenSSL derives keys with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// OpenSSL before 1.1.0.
    Md5,
    /// OpenSSL since.
    Sha256,
}

impl Digest {
    fn name(self) -> &'static str {
        match self {
            Digest::Md5 => "md5",
            Digest::Sha256 => "sha256",
        }
    }
}

/// The host's half of a key exchange.
#[derive(Debug)]
pub struct Exchange {
    private: u128,
}

impl Exchange {
    /// A private key of ten random bytes, like nova's.
    pub fn new() -> Result<Exchange> {
        let mut bytes = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut bytes[6..])?;
        Ok(Exchange { private: u128::from_be_bytes(bytes) })
    }

    /// What `keyinit` is sent.
    pub fn public(&self) -> String {
        power(5, self.private).to_string()
    }

    /// The pass phrase shared with the owner of that public key.
    pub fn secret(&self, theirs: &str) -> Result<String> {
        let theirs: u128 = theirs.parse().context("the agent's public key is no decimal number")?;
        ensure!((2..PRIME - 1).contains(&theirs), "the agent's public key {theirs} is out of range");
        Ok(power(theirs, self.private).to_string())
    }
}

/// `openssl aes-128-cbc` as nova calls it: base64 on one line.
pub fn encrypt(plain: &[u8], secret: &str, digest: Digest) -> Result<String> {
    let mut child = Command::new("openssl")
        .args(["aes-128-cbc", "-A", "-a", "-nosalt", "-md", digest.name(), "-pass", &format!("pass:{secret}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start openssl; install it")?;
    child.stdin.take().context("openssl has no input")?.write_all(plain)?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "openssl failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// What the C library's crypt(3) makes of a password with the method and salt of `field`; by perl, which calls it.
pub fn crypt(password: &str, field: &str) -> Result<String> {
    let output = Command::new("perl").args(["-e", "print crypt($ARGV[0], $ARGV[1])", password, field]).output();
    Ok(String::from_utf8(output.context("cannot start perl")?.stdout)?)
}

/// A fresh request id.
pub fn uuid() -> Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned())
}

/// base^exponent modulo the prime, by doubling and adding: no product leaves a u128.
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
