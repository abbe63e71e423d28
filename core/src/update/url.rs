//! As much of RFC 3986 as fetching a file over HTTP takes: `http://host[:port]/path?query`.

use core::fmt::Write;
use core::str::FromStr;

use crate::wire::net::{Family, Ip};
use crate::wire::text::number;

/// Longest URL.
pub const URL_MAX: usize = 1024;
/// Longest name of a host (RFC 1035).
const NAME_MAX: usize = 253;

/// Why a text is no such URL.
pub type BadUrl = &'static str;

const NOT_A_URL: BadUrl = "the URL is none: http://host[:port]/path is needed";

/// Whom to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// An address.
    Ip(Ip),
    /// A name.
    Name(&'a str),
}

/// A URL in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    /// Whom to ask.
    pub host: Host<'a>,
    /// Host and port as they were written.
    pub authority: &'a str,
    /// Which port.
    pub port: u16,
    /// Path and query; empty for `/`.
    pub target: &'a str,
}

impl<'a> Url<'a> {
    /// Takes a URL apart.
    pub fn parse(text: &'a str) -> Result<Url<'a>, BadUrl> {
        if text.starts_with("https:") {
            return Err("https is not taken: it is the sum, which came over xenstore, that protects; use http");
        }
        let rest = text.strip_prefix("http://").ok_or(NOT_A_URL)?;
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the URL has blanks or control characters in it");
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if target.starts_with('?') {
            return Err(NOT_A_URL);
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(inside) => {
                let (ip, port) = inside.split_once(']').ok_or(NOT_A_URL)?;
                let ip =
                    Ip::from_str(ip).ok().filter(|ip| ip.family() == Family::V6).ok_or("the URL's address is none")?;
                (Host::Ip(ip), port)
            }
            None => {
                let (name, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
                (Ip::from_str(name).map_or(Host::Name(name), Host::Ip), port)
            }
        };
        if let Host::Name(name) = host
            && (name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(is_name))
        {
            return Err("the URL's host is no name and no address");
        }
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => 80,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => number(digits).ok_or(NOT_A_URL)?,
            _ => return Err(NOT_A_URL),
        };
        Ok(Url { host, authority, port, target })
    }

    /// The URL that a server names instead of this one: a whole one, or a path on the same server.
    pub fn redirected(&self, location: &str) -> Result<heapless::String<URL_MAX>, BadUrl> {
        let mut url = heapless::String::new();
        let written = if location.starts_with("//") {
            write!(url, "http:{location}")
        } else if location.starts_with('/') {
            write!(url, "http://{}{location}", self.authority)
        } else {
            url.write_str(location)
        };
        written.map_err(|_| "the URL is too long")?;
        Url::parse(&url)?;
        Ok(url)
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}
