//! `agentupdate`: fetches a new agent, checks it and tries it; when it serves it takes the place of the old one.
//!
//! | file | is |
//! |---|---|
//! | here | the steps, and what each says when it fails |
//! | `request` | the command's value: where it is, and the sum it must have |
//! | `url` | the part of RFC 3986 that is needed |
//! | `dns` | the address of a name |
//! | `http` | a response of HTTP/1.1, piece by piece |
//! | `archive` | the file in it, if that is a tar archive |
//!
//! Every failure leaves the running agent's file as it was. What is not a static program of this machine is refused,
//! and so is one that does not pass its own `--self-test`. The new agent is run from a file of its own
//! ([`UPDATE_NAME`]) and takes the old one's place when it serves ([`take_place`]): whatever becomes of it before, the
//! next start is the old one's. That stays as `<name>.prev`.
//!
//! It is the sum that protects: it comes over xenstore, which only dom0 writes. The transport need not be trusted, and
//! https, with the certificates it would take, is refused. (MD5 finds damage, and only that: see SECURITY.md.)

#![expect(clippy::result_large_err, reason = "there is no heap to box a failure in, and one is rare")]

pub mod archive;
pub mod dns;
pub mod http;
pub mod request;
pub mod url;

use core::fmt;

use crate::files::at;
use crate::files::replace::{unsynced, warn_of};
use crate::platform::{
    Clock, Download, Ended, FileError, Files, GuestPath, Level, Log, Programs, UPDATE_NAME, UPDATE_NUMBER,
};
use crate::wire::errno::Errno;
use crate::wire::json::Value;
use crate::wire::text::Bounded;

use archive::Unpacked;
use http::{BodyProgress, Received};
use request::{Hasher, Order};
use url::{Host, URL_MAX, Url};

/// How often a server may say that it is elsewhere.
const REDIRECTS_MAX: u32 = 5;
/// How long nothing may come.
const SILENCE_SECONDS: u32 = 20;
/// How long all may take, but for the last wait ([`SILENCE_SECONDS`] at most): nova waits 30 seconds for most commands,
/// its operators longer for this one.
const TOTAL_SECONDS: u64 = 90;
/// How long the new agent's own test may take.
const TEST_SECONDS: u32 = 5;
/// As much of the file as tells what it is.
const START_MAX: usize = 1024;

/// Whether this build computes what it should on this machine: an agent that is to take another one's place says so
/// first.
pub fn self_test() -> bool {
    let right = "a949ff0b01996022369c47ce52d34deb";
    let Ok(order) = Order::parts("http://localhost/", right) else { return false };
    let mut hasher = Hasher::new(&order.sum);
    hasher.update(b"nanova");
    hasher.compare(&order.sum).0
}

/// Which step failed, and why: a sentence for the host.
pub struct UpdateFailure(pub Bounded<256>);

#[inline(never)]
fn failure(text: fmt::Arguments<'_>) -> UpdateFailure {
    UpdateFailure(Bounded::of(text))
}

/// Runs the command. Whether it is done tells the response's code: then the new agent is to be executed.
#[inline(never)]
pub fn update<P: Files + Download + Programs + Clock + Log>(
    value: Value<'_>,
    platform: &mut P,
) -> Result<(), UpdateFailure> {
    let order = Order::parse(value).map_err(|wrong| failure(format_args!("{wrong}")))?;
    let found = platform.own_path();
    let own = found.map_err(|errno| {
        failure(format_args!("this agent cannot be replaced: {errno}; is it the first process, or run with --root?"))
    })?;
    let path = GuestPath::new(own.as_str()).map_err(|wrong| failure(format_args!("this agent's file: {wrong}")))?;
    let staged = platform.stage(path, UPDATE_NUMBER);
    let mut staged = staged.map_err(|errno| failure(format_args!("cannot write beside {path}: {errno}")))?;
    let fetched = fetch(&order, platform, &mut staged);
    let result = fetched.and_then(|()| try_out(platform, &mut staged, path));
    if result.is_err() {
        platform.discard(&mut staged);
    }
    result
}

/// What is known of the file while it comes.
struct Incoming {
    hasher: Hasher,
    unpacked: Unpacked,
    /// What is wrong with the archive. It matters only if the sum is right.
    damage: Option<&'static str>,
    start: heapless::Vec<u8, START_MAX>,
    failed: Option<Errno>,
}

impl Incoming {
    fn new(order: &Order<'_>) -> Incoming {
        Incoming {
            hasher: Hasher::new(&order.sum),
            unpacked: Unpacked::new(),
            damage: None,
            start: heapless::Vec::new(),
            failed: None,
        }
    }

    /// Takes a piece of what is downloaded; the agent in it goes to its file.
    fn take<P: Files>(&mut self, body: &[u8], platform: &mut P, staged: &mut P::Staged) {
        self.hasher.update(body);
        let (start, failed) = (&mut self.start, &mut self.failed);
        let unpacked = self.unpacked.take(body, &mut |agent| {
            let _ = start.extend_from_slice(agent.get(..START_MAX - start.len()).unwrap_or(agent));
            if failed.is_none() {
                *failed = platform.append(staged, agent).err();
            }
        });
        self.damage = self.damage.or(unpacked.err());
    }
}

/// Downloads into the staged file, and checks what came.
#[inline(never)]
fn fetch<P: Files + Download + Clock + Log>(
    order: &Order<'_>,
    platform: &mut P,
    staged: &mut P::Staged,
) -> Result<(), UpdateFailure> {
    let mut at = heapless::String::<URL_MAX>::new();
    at.push_str(order.url).map_err(|_| failure(format_args!("the URL is longer than {URL_MAX} bytes")))?;
    let mut incoming = Incoming::new(order);
    let deadline = platform.uptime_ms() + TOTAL_SECONDS * 1000;
    for _ in 0..=REDIRECTS_MAX {
        let url = Url::parse(&at).map_err(|wrong| failure(format_args!("{wrong}")))?;
        match get(&url, platform, staged, &mut incoming, deadline)? {
            None => return check(&order.sum, incoming),
            Some(location) => {
                let next = url.redirected(&location).map_err(|wrong| failure(format_args!("redirected: {wrong}")))?;
                platform.log(Level::Debug, format_args!("agentupdate: redirected to {next}"));
                at = next;
            }
        }
    }
    Err(failure(format_args!("the server redirects more than {} times", u64::from(REDIRECTS_MAX))))
}

/// Makes one request; where the file is if it is not there.
#[inline(never)]
fn get<P: Files + Download + Clock>(
    url: &Url<'_>,
    platform: &mut P,
    staged: &mut P::Staged,
    incoming: &mut Incoming,
    deadline: u64,
) -> Result<Option<heapless::String<URL_MAX>>, UpdateFailure> {
    let ip = match url.host {
        Host::Ip(ip) => ip,
        Host::Name(name) => match platform.resolve(name, deadline) {
            Some(ip) => ip,
            None => {
                return Err(failure(format_args!("cannot resolve {name}: name an address, or see /etc/resolv.conf")));
            }
        },
    };
    let left = u32::try_from(deadline.saturating_sub(platform.uptime_ms()).div_ceil(1000)).unwrap_or(0);
    let connected = platform.connect(ip, url.port, left.clamp(1, SILENCE_SECONDS));
    let mut connection = connected
        .map_err(|errno| failure(format_args!("cannot connect to {ip} port {}: {errno}", u64::from(url.port))))?;
    let request = http::request(url);
    let sent = platform.send(&mut connection, request.as_str().as_bytes());
    sent.map_err(|errno| failure(format_args!("cannot send to {ip}: {errno}")))?;
    let mut received = Received::new();
    loop {
        let mut room = [0; 4096];
        let len = platform.receive(&mut connection, &mut room);
        let len = len.map_err(|errno| failure(format_args!("nothing more comes from {ip}: {errno}")))?;
        let progress = if len == 0 {
            received.finish()
        } else {
            let body = room.get(..len).unwrap_or_default();
            received.take(body, &mut |body| incoming.take(body, platform, staged))
        };
        if let Some(errno) = incoming.failed {
            return Err(failure(format_args!("cannot write the new agent: {errno}")));
        }
        match progress.map_err(|wrong| failure(format_args!("{}: {wrong}", url.authority)))? {
            BodyProgress::Done => return Ok(None),
            _ if platform.uptime_ms() >= deadline => {
                return Err(failure(format_args!("the download takes more than {TOTAL_SECONDS} seconds")));
            }
            BodyProgress::More => {}
            BodyProgress::Elsewhere => return Ok(Some(received.location().clone())),
        }
    }
}

#[inline(never)]
fn check(sum: &request::Sum, incoming: Incoming) -> Result<(), UpdateFailure> {
    let wrong = incoming.damage.or(incoming.unpacked.lack()).or_else(|| not_for_here(&incoming.start));
    let (matches, got) = incoming.hasher.compare(sum);
    if !matches {
        return Err(failure(format_args!("{} sums do not match ({sum} != {got})", sum.name())));
    }
    match wrong {
        None => Ok(()),
        Some(wrong) => {
            Err(failure(format_args!("the sum is right, but what it is of is no agent for this machine: {wrong}")))
        }
    }
}

/// Tries the new agent.
#[inline(never)]
fn try_out<P: Files + Programs>(
    platform: &mut P,
    staged: &mut P::Staged,
    path: GuestPath<'_>,
) -> Result<(), UpdateFailure> {
    let (directory, _) = path.split();
    let new = Bounded::<300>::of(format_args!("{}/{UPDATE_NAME}", directory.trim_end_matches('/')));
    let sealed = platform.set_mode(staged, 0o755).and_then(|()| platform.seal(staged));
    sealed.map_err(|errno| failure(format_args!("cannot finish the new agent's file: {errno}")))?;
    let new = GuestPath::new(new.as_str()).map_err(|wrong| failure(format_args!("{wrong}")))?;
    match platform.run(new, Some(c"--self-test"), &[], &mut [0; 256], TEST_SECONDS) {
        Ok((Ended::Exit(0), _)) => Ok(()),
        Ok((Ended::Exit(status), _)) => {
            Err(failure(format_args!("the new agent's self-test ended with {}", u64::from(status))))
        }
        Ok((Ended::Signal(signal), _)) => {
            Err(failure(format_args!("the new agent's self-test ended by signal {}", u64::from(signal))))
        }
        Ok((Ended::Late, _)) => {
            Err(failure(format_args!("the new agent's self-test took more than {} seconds", u64::from(TEST_SECONDS))))
        }
        Err(errno) => Err(failure(format_args!("the new agent cannot be run: {errno}"))),
    }
}

/// Puts the new agent, which serves, in the place of the old one at `path`.
pub fn take_place<'a, P: Files + Log>(platform: &mut P, path: GuestPath<'a>) -> Result<(), FileError<'a>> {
    let previous = Bounded::<256>::of(format_args!("{}.prev", path.split().1));
    at("keep", path, platform.replace_link(path, previous.as_str()))?;
    let durability = at("replace", path, platform.replace_with(path, UPDATE_NAME))?;
    platform.log(Level::Info, format_args!("updating {path}; the old one is {}", previous.as_str()));
    warn_of(platform, &unsynced(path, durability));
    Ok(())
}

/// `EM_X86_64`, `EM_AARCH64`
const MACHINE: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };

/// Why a file that begins so is no static program of this machine; the headers are those of elf(5).
fn not_for_here(start: &[u8]) -> Option<&'static str> {
    let number = |at: usize| start.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes));
    if !start.starts_with(b"\x7fELF\x02\x01\x01") {
        return Some("it is no ELF file of 64 bits; no installer is taken, and no compressed archive");
    }
    if number(18) != Some(MACHINE) || !matches!(number(16), Some(2 | 3)) {
        return Some("it is for another machine, or no program");
    }
    // e_phoff as far as it matters, e_phentsize, e_phnum; p_type 1 is PT_LOAD, 3 PT_INTERP.
    let (Some(offset), Some(size @ 56..), Some(count)) = (number(32), number(54), number(56)) else {
        return Some("its program headers are nowhere");
    };
    let mut loads = false;
    for place in 0..usize::from(count) {
        match number(usize::from(offset) + place * usize::from(size)) {
            Some(1) => loads = true,
            Some(3) => return Some("it needs an interpreter: only static programs are taken"),
            Some(_) => {}
            None => return Some("its program headers are too far behind its beginning"),
        }
    }
    if loads { None } else { Some("there is nothing in it to run") }
}

#[cfg(test)]
#[path = "update_tests.rs"]
pub(crate) mod tests;
