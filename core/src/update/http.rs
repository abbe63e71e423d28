//! HTTP/1.1 (RFC 9110, RFC 9112) as much of it as fetching one file takes: one GET, and its response piece by piece.
//!
//! However a response is cut into pieces, the outcome is the same. Nothing is kept of it but a line of its head.

use heapless::String;

use crate::update::url::{URL_MAX, Url};
use crate::wire::text::{Bounded, digits, number};

/// Largest file.
pub const BODY_MAX: u64 = 4 << 20;
/// Longest head, and longest trailer, together with the lines between chunks.
const HEAD_MAX: usize = 64 * 1024;
/// Longest line that is looked at.
const LINE_MAX: usize = URL_MAX + 64;

/// Why a response is of no use.
pub type BadResponse = &'static str;

const TOO_LARGE: BadResponse = "the server announces more than 4 MiB: that is no agent";
const NOT_HTTP: BadResponse = "the server does not speak HTTP/1.1";
const CUT: BadResponse = "the server ended the connection before the file was complete";

/// The request for a URL. `Connection: close`, as there is one.
pub fn request(url: &Url<'_>) -> Bounded<{ 2 * URL_MAX + 256 }> {
    let slash = if url.target.is_empty() { "/" } else { "" };
    Bounded::of(format_args!(
        "GET {slash}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: nanova/{}\r\nAccept-Encoding: identity\r\n\
         Connection: close\r\n\r\n",
        url.target,
        url.authority,
        env!("CARGO_PKG_VERSION")
    ))
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyProgress {
    /// There is more to come.
    More,
    /// That was all.
    Done,
    /// The file is at [`Received::location`].
    Elsewhere,
}

/// What comes next.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Expected {
    #[default]
    Status,
    Header,
    /// So many bytes of the file.
    Body(u64),
    /// All until the connection ends.
    Rest,
    ChunkSize,
    /// So many bytes of a chunk.
    Chunk(u64),
    ChunkEnd,
    Trailer,
    Nothing,
}

/// A response, of which nothing has come yet.
#[derive(Default)]
pub struct Received {
    expected: Expected,
    line: String<LINE_MAX>,
    head: usize,
    status: u16,
    length: Option<u64>,
    chunked: bool,
    location: String<URL_MAX>,
    body: u64,
}

impl Received {
    /// Where the file is instead.
    pub fn location(&self) -> &String<URL_MAX> {
        &self.location
    }

    /// Takes what has come; the file's own bytes go to `body`.
    pub fn take(&mut self, mut bytes: &[u8], body: &mut dyn FnMut(&[u8])) -> Result<BodyProgress, BadResponse> {
        while !bytes.is_empty() && self.expected != Expected::Nothing {
            let left = match self.expected {
                Expected::Body(left) | Expected::Chunk(left) => left,
                Expected::Rest => u64::MAX,
                _ => {
                    let (byte, rest) = bytes.split_first().ok_or(NOT_HTTP)?;
                    bytes = rest;
                    self.add(*byte)?;
                    continue;
                }
            };
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let (ours, rest) = bytes.split_at(len);
            bytes = rest;
            self.body += len as u64;
            if self.body > BODY_MAX {
                return Err(TOO_LARGE);
            }
            body(ours);
            self.expected = match self.expected {
                Expected::Body(left) if left > len as u64 => Expected::Body(left - len as u64),
                Expected::Body(_) => Expected::Nothing,
                Expected::Chunk(left) if left > len as u64 => Expected::Chunk(left - len as u64),
                Expected::Chunk(_) => Expected::ChunkEnd,
                other => other,
            };
        }
        Ok(match self.expected {
            Expected::Nothing if !self.location.is_empty() => BodyProgress::Elsewhere,
            Expected::Nothing => BodyProgress::Done,
            _ => BodyProgress::More,
        })
    }

    /// The connection has ended.
    pub fn finish(&mut self) -> Result<BodyProgress, BadResponse> {
        match self.expected {
            Expected::Rest => Ok(BodyProgress::Done),
            _ => Err(CUT),
        }
    }

    /// Takes a byte of a line.
    fn add(&mut self, byte: u8) -> Result<(), BadResponse> {
        self.head += 1;
        if self.head > HEAD_MAX {
            return Err("the server's header is too long");
        }
        if byte != b'\n' {
            // What is longer than any line that matters is not kept; other characters than ASCII matter in none.
            let _ = self.line.push(if byte.is_ascii() { char::from(byte) } else { '?' });
            return Ok(());
        }
        let line = core::mem::take(&mut self.line);
        let line = line.strip_suffix('\r').unwrap_or(&line);
        self.expected = match self.expected {
            Expected::Status => self.status(line)?,
            Expected::Header if line.is_empty() => self.head()?,
            Expected::Header => self.header(line)?,
            Expected::ChunkSize => chunk(line)?,
            Expected::ChunkEnd if line.is_empty() => Expected::ChunkSize,
            Expected::Trailer if !line.is_empty() => Expected::Trailer,
            Expected::Trailer => Expected::Nothing,
            _ => return Err(NOT_HTTP),
        };
        Ok(())
    }

    /// `HTTP/1.1 200 OK` (RFC 9112, 4)
    fn status(&mut self, line: &str) -> Result<Expected, BadResponse> {
        let (_, status) = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split_once(' ')).ok_or(NOT_HTTP)?;
        self.status = status.get(..3).and_then(number).ok_or(NOT_HTTP)?;
        Ok(Expected::Header)
    }

    fn header(&mut self, line: &str) -> Result<Expected, BadResponse> {
        let (name, value) = line.split_once(':').ok_or(NOT_HTTP)?;
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case("content-length") {
            let length = number(value).ok_or(NOT_HTTP)?;
            // Twice the same is allowed, twice something else is not (RFC 9112, 6.3).
            if self.length.replace(length).is_some_and(|before| before != length) {
                return Err("the server announces two lengths");
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err("the server encodes the file in a way that was not asked for");
            }
            self.chunked = true;
        } else if name.eq_ignore_ascii_case("content-encoding") && !value.eq_ignore_ascii_case("identity") {
            return Err("the server encodes the file in a way that was not asked for");
        } else if name.eq_ignore_ascii_case("location") {
            self.location = value.try_into().map_err(|_| "the server redirects to a URL that is too long")?;
        }
        Ok(Expected::Header)
    }

    /// What the head as a whole says of what follows (RFC 9112, 6.3).
    fn head(&mut self) -> Result<Expected, BadResponse> {
        match self.status {
            100..=199 => {
                *self = Received { head: self.head, ..Received::default() };
                return Ok(Expected::Status);
            }
            200 => self.location.clear(),
            301 | 302 | 303 | 307 | 308 if !self.location.is_empty() => return Ok(Expected::Nothing),
            404 => return Err("the server has no such file (404)"),
            401 | 403 => return Err("the server does not give the file to us (401 or 403)"),
            500..=599 => return Err("the server failed (5xx)"),
            _ => return Err("the server answers with a status that is not 200"),
        }
        match (self.chunked, self.length) {
            (true, Some(_)) => Err("the server announces a length and chunks: one of them is wrong"),
            (true, None) => Ok(Expected::ChunkSize),
            (false, Some(length)) if length > BODY_MAX => Err(TOO_LARGE),
            (false, Some(0)) => Ok(Expected::Nothing),
            (false, Some(length)) => Ok(Expected::Body(length)),
            (false, None) => Ok(Expected::Rest),
        }
    }
}

/// The line before a chunk (RFC 9112, 7.1).
fn chunk(line: &str) -> Result<Expected, BadResponse> {
    let size = line.split(';').next().unwrap_or_default().trim_ascii();
    match digits(size, 16) {
        Some(0) => Ok(Expected::Trailer),
        Some(size) if size <= BODY_MAX => Ok(Expected::Chunk(size)),
        Some(_) => Err(TOO_LARGE),
        None => Err(NOT_HTTP),
    }
}
