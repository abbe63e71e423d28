//! The download of an update, as an errand does it: names, connections and HTTP, all of which strangers answer.
//!
//! What it finds is the body of the response, and when something goes wrong, behind a zero byte, a sentence.

use crate::platform::{Clock, Download, Found};
use crate::update::UpdateFailure;
use crate::update::failure;
use crate::update::http::{BodyProgress, Received, request};
use crate::update::url::{Host, URL_MAX, Url};
use crate::wire::net::Ip;

/// How often a server may say that it is elsewhere.
const REDIRECTS_MAX: u32 = 5;
/// How long nothing may come.
const SILENCE_SECONDS: u32 = 20;
/// How long all may take, but for the last wait ([`SILENCE_SECONDS`] at most): nova waits 30 seconds for most commands,
/// its operators longer for this one.
pub(super) const TOTAL_SECONDS: u32 = 90;
/// When the errand is ended that keeps to neither.
pub(super) const ERRAND_SECONDS: u32 = TOTAL_SECONDS + SILENCE_SECONDS;
/// Longest sentence.
const WHY_MAX: usize = 256;

/// Downloads what is at this URL. Returns whether that was all of it; if not, the last thing found says why.
pub(super) fn fetch<P: Download + Clock>(
    mut url: heapless::String<URL_MAX>,
    platform: &mut P,
    found: Found<'_>,
) -> bool {
    let deadline = platform.running_ms() + u64::from(TOTAL_SECONDS) * 1000;
    let mut redirects = 0;
    let why = loop {
        match get(&url, platform, found, deadline) {
            Ok(None) => return true,
            Ok(Some(_)) if redirects == REDIRECTS_MAX => {
                break failure(format_args!("the server redirects more than {} times", u64::from(REDIRECTS_MAX)));
            }
            Ok(Some(location)) => (url, redirects) = (location, redirects + 1),
            Err(why) => break why,
        }
    };
    // If that cannot be written either, nothing is said.
    let _ = found(b"\0").and_then(|()| found(why.0.as_str().as_bytes()));
    false
}

/// Makes one request; where the file is if it is not there.
#[inline(never)]
fn get<P: Download + Clock>(
    url: &str,
    platform: &mut P,
    found: Found<'_>,
    deadline: u64,
) -> Result<Option<heapless::String<URL_MAX>>, UpdateFailure> {
    let url = Url::parse(url).map_err(|wrong| failure(format_args!("{wrong}")))?;
    let (mut connection, ip) = connect(&url, platform, deadline)?;
    let request = request(&url);
    let sent = platform.send(&mut connection, request.as_str().as_bytes());
    sent.map_err(|errno| failure(format_args!("cannot send to {ip}: {errno}")))?;
    let mut received = Received::default();
    loop {
        let mut room = [0; 4096];
        let len = platform.receive(&mut connection, &mut room);
        let len = len.map_err(|errno| failure(format_args!("nothing more comes from {ip}: {errno}")))?;
        let mut written = Ok(());
        let progress = if len == 0 {
            received.finish()
        } else {
            received.take(room.get(..len).unwrap_or_default(), &mut |body| written = written.and_then(|()| found(body)))
        };
        written.map_err(|errno| failure(format_args!("cannot keep what comes from {ip}: {errno}")))?;
        match progress.map_err(|wrong| failure(format_args!("{}: {wrong}", url.authority)))? {
            BodyProgress::Done => return Ok(None),
            _ if platform.running_ms() >= deadline => {
                return Err(failure(format_args!("the download takes more than {} seconds", u64::from(TOTAL_SECONDS))));
            }
            BodyProgress::More => {}
            BodyProgress::Elsewhere => {
                let next = url.redirected(received.location());
                return next.map(Some).map_err(|wrong| failure(format_args!("redirected: {wrong}")));
            }
        }
    }
}

/// Connects to the first of the server's addresses that can be connected to.
#[inline(never)]
fn connect<P: Download + Clock>(
    url: &Url<'_>,
    platform: &mut P,
    deadline: u64,
) -> Result<(P::Connection, Ip), UpdateFailure> {
    let mut addresses = heapless::Vec::new();
    match url.host {
        Host::Ip(ip) => drop(addresses.push(ip)),
        Host::Name(name) => {
            let known = platform.resolve(name, deadline);
            addresses = known.map_err(|error| failure(format_args!("cannot resolve {name}: {error}")))?;
        }
    }
    let (mut last, mut untried) = (None, addresses.len() as u64);
    for ip in &addresses {
        // One that does not answer leaves time for the others.
        let left = deadline.saturating_sub(platform.running_ms()).div_ceil(1000) / untried.max(1);
        let left = u32::try_from(left).unwrap_or(u32::MAX).clamp(1, SILENCE_SECONDS);
        match platform.connect(*ip, url.port, left) {
            Ok(connection) => return Ok((connection, *ip)),
            Err(errno) => (last, untried) = (Some((*ip, errno)), untried - 1),
        }
    }
    Err(match last {
        Some((ip, errno)) => failure(format_args!("cannot connect to {ip} port {}: {errno}", u64::from(url.port))),
        None => failure(format_args!("cannot resolve {}: name an address, or see /etc/resolv.conf", url.authority)),
    })
}

/// The end of what an errand found that has failed.
#[derive(Default)]
pub(super) struct Last(heapless::Vec<u8, WHY_MAX>);

impl Last {
    /// Takes a piece.
    pub(super) fn take(&mut self, piece: &[u8]) {
        for byte in piece {
            if *byte == 0 {
                self.0.clear();
            } else {
                // What is too long is no sentence of ours.
                let _ = self.0.push(*byte);
            }
        }
    }

    /// What stands behind the last zero byte.
    pub(super) fn why(&self) -> &[u8] {
        &self.0
    }
}
