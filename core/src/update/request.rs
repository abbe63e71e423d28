//! The value of `agentupdate`: `URL,SUM`, or an object with `url` and `md5sum`.
//!
//! A sum of 32 hexadecimal digits is MD5, one of 64 SHA-256. Words of errors: those of the earlier agents.

use core::fmt;

use md5::{Digest, Md5};

use crate::wire::json::Value;
use crate::wire::json::walk::member;
use crate::wire::sha256::Sha256;

/// What to fetch.
pub struct Order<'a> {
    /// From where; not checked.
    pub url: &'a str,
    /// What its sum must be.
    pub sum: Sum,
}

impl<'a> Order<'a> {
    /// Reads the command's value.
    pub fn parse(value: Value<'a>) -> Result<Order<'a>, &'static str> {
        let plain = |name| match value {
            Value::Object(object) => match Value::of(member(object, &[name])?) {
                Value::Text(text) => text.plain(),
                _ => None,
            },
            _ => None,
        };
        let (url, sum) = match value {
            Value::Text(text) => text.plain().and_then(|text| text.rsplit_once(',')).ok_or("Invalid arguments")?,
            Value::Object(_) => {
                plain("url").zip(plain("md5sum")).ok_or("Missing URL or MD5 sum in dictionary arguments")?
            }
            _ => return Err("Invalid arguments"),
        };
        Order::parts(url, sum)
    }

    /// Puts one together.
    pub(super) fn parts(url: &'a str, sum: &str) -> Result<Order<'a>, &'static str> {
        let sum = Sum::parse(sum.trim_ascii()).ok_or("Invalid arguments: the sum is neither MD5 nor SHA-256 in hex")?;
        Ok(Order { url: url.trim_ascii(), sum })
    }
}

/// A sum: of MD5 if it has 16 bytes, of SHA-256 if it has 32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum(heapless::Vec<u8, 32>);

impl Sum {
    fn parse(text: &str) -> Option<Sum> {
        let mut bytes = heapless::Vec::new();
        for pair in text.as_bytes().chunks(2) {
            let digit = |place: usize| char::from(*pair.get(place)?).to_digit(16);
            bytes.push((digit(0)? << 4 | digit(1)?) as u8).ok()?;
        }
        matches!(bytes.len(), 16 | 32).then_some(Sum(bytes))
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        if self.0.len() == 16 { "MD5" } else { "SHA-256" }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{:02x}", u32::from(*byte)))
    }
}

/// Computes a sum of the same kind as another one.
pub enum Hasher {
    /// MD5.
    Md5(Md5),
    /// SHA-256.
    Sha256(Sha256),
}

impl Hasher {
    /// For a sum of this kind.
    pub fn new(like: &Sum) -> Hasher {
        if like.0.len() == 16 { Hasher::Md5(Md5::new()) } else { Hasher::Sha256(Sha256::new()) }
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Md5(md5) => md5.update(bytes),
            Hasher::Sha256(sha256) => sha256.update(bytes),
        }
    }

    /// Whether that was all of what `sum` is of, and what its sum is.
    pub fn compare(self, sum: &Sum) -> (bool, Sum) {
        let mut got = heapless::Vec::new();
        let _ = match self {
            Hasher::Md5(md5) => got.extend_from_slice(&md5.finalize()),
            Hasher::Sha256(mut sha256) => got.extend_from_slice(&sha256.finish()),
        };
        let got = Sum(got);
        (got == *sum, got)
    }
}
