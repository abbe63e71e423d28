//! `agentupdate`: fetches a new agent, checks it and tries it; when it serves it takes the place of the old one.
//!
//! | file | is |
//! |---|---|
//! | here | the steps, and what each says when it fails |
//! | `fetch` | the download, which an errand does |
//! | `request` | the command's value: where it is, and the sum it must have |
//! | `url` | the part of RFC 3986 that is needed |
//! | `dns` | the addresses of a name |
//! | `http` | a response of HTTP/1.1, piece by piece |
//! | `archive` | the file in it, if that is a tar archive |
//!
//! Every failure leaves the running agent's file as it was. What servers answer is read by an errand alone; what it
//! brings is looked into when it has the sum that was told. What is not a static program of this machine is refused,
//! and so is one that does not pass its own `--self-test`. The new agent is run from a file of its own
//! ([`UPDATE_NAME`]) and takes the old one's place when it serves ([`take_place`]): whatever becomes of it before, the
//! next start is the old one's. That stays as `<name>.prev`.
//!
//! It is the sum that protects: it comes over xenstore, which only dom0 writes. The transport need not be trusted, and
//! https, with the certificates it would take, is refused. (MD5 finds damage, and only that: see SECURITY.md.)
//!
//! The order to call: [`Update::begin`], then [`Update::go_on`] whenever its errand has ended, until that is done or
//! has failed.

#![expect(clippy::result_large_err, reason = "there is no heap to box a failure in, and one is rare")]

pub mod archive;
pub mod dns;
mod fetch;
pub mod http;
pub mod request;
pub mod url;

use core::fmt;

use crate::files::at;
use crate::files::replace::{unsynced, warn_of};
use crate::platform::{
    Clock, Download, Ended, Errand, Errands, FileError, Files, GuestPath, Level, Log, UPDATE_NAME, UPDATE_NUMBER,
};
use crate::wire::errno::Errno;
use crate::wire::json::Value;
use crate::wire::text::{Bounded, Printable, number, text_at_start};

use archive::Unpacked;
use request::{Hasher, Order, Sum};
use url::URL_MAX;

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

/// An update that is under way.
pub struct Update {
    /// The file that is to be replaced.
    own: Bounded<256>,
    step: Step,
}

/// What it waits for.
enum Step {
    /// The errand fetches what has this sum.
    Fetching(Sum),
    /// The new agent tests itself.
    Testing,
}

/// What became of a step.
pub enum Stepped {
    /// The next one is under way.
    Begun(Update),
    /// The new agent is to be executed; what is to be said about it.
    Ready(Bounded<128>),
}

impl Update {
    /// Begins the download that the command's value asks for.
    #[inline(never)]
    pub fn begin<P: Errands + Download + Clock>(value: Value<'_>, platform: &mut P) -> Result<Update, UpdateFailure> {
        let order = Order::parse(value).map_err(|wrong| failure(format_args!("{wrong}")))?;
        let own = own_path(platform)?;
        GuestPath::new(own.as_str()).map_err(|wrong| failure(format_args!("this agent's file: {wrong}")))?;
        // On the stack: the errand has nothing of the agent's but that.
        let mut url = heapless::String::<URL_MAX>::new();
        url.push_str(order.url).map_err(|_| failure(format_args!("the URL is longer than {URL_MAX} bytes")))?;
        let begun = platform.begin(Errand::Download, fetch::ERRAND_SECONDS, &mut |platform, found| {
            fetch::fetch(url.clone(), platform, found)
        });
        begun.map_err(|errno| failure(format_args!("the download cannot be begun: {errno}")))?;
        Ok(Update { own, step: Step::Fetching(order.sum) })
    }

    /// Which errand is under way for it.
    pub fn errand(&self) -> Errand {
        match self.step {
            Step::Fetching(_) => Errand::Download,
            Step::Testing => Errand::Program,
        }
    }

    /// Goes on when the errand has ended.
    #[inline(never)]
    pub fn go_on<P: Errands>(self, platform: &mut P, ended: Ended) -> Result<Stepped, UpdateFailure> {
        let own = self.own;
        let path = GuestPath::new(own.as_str()).map_err(|wrong| failure(format_args!("this agent's file: {wrong}")))?;
        match self.step {
            Step::Fetching(sum) => {
                fetched(platform, ended)?;
                check(platform, &sum)?;
                unpack(platform, path)?;
                or_remove(begin_test(platform, path), platform, path)?;
                Ok(Stepped::Begun(Update { own, step: Step::Testing }))
            }
            Step::Testing => {
                or_remove(tested(ended), platform, path)?;
                Ok(Stepped::Ready(about_its_age(text_at_start(platform.printed()))))
            }
        }
    }

    /// Gives up what is under way.
    pub fn give_up<P: Errands>(self, platform: &mut P) {
        platform.give_up(self.errand());
        if let (Step::Testing, Ok(path)) = (self.step, GuestPath::new(self.own.as_str())) {
            platform.tidy(path, UPDATE_NUMBER);
        }
    }
}

fn own_path<P: Download>(platform: &mut P) -> Result<Bounded<256>, UpdateFailure> {
    platform.own_path().map_err(|errno| {
        failure(format_args!("this agent cannot be replaced: {errno}; is it the first process, or run with --root?"))
    })
}

/// Removes the file of a new agent that was killed before it served; not the one that runs.
pub fn tidy<P: Files + Download>(platform: &mut P) {
    if let Ok(own) = platform.own_path()
        && let Ok(path) = GuestPath::new(own.as_str())
        && path.split().1 != UPDATE_NAME
    {
        platform.tidy(path, UPDATE_NUMBER);
    }
}

/// Removes the new agent's file if that has failed.
fn or_remove<P: Files>(
    result: Result<(), UpdateFailure>,
    platform: &mut P,
    path: GuestPath<'_>,
) -> Result<(), UpdateFailure> {
    if result.is_err() {
        platform.tidy(path, UPDATE_NUMBER);
    }
    result
}

/// Whether the errand has brought all of it.
fn fetched<P: Errands>(platform: &mut P, ended: Ended) -> Result<(), UpdateFailure> {
    match ended {
        Ended::Exit(0) => Ok(()),
        Ended::Exit(_) => {
            let mut last = fetch::Last::default();
            for_each_piece(platform, &mut |piece| last.take(piece))?;
            Err(failure(format_args!("{}", Printable(text_at_start(last.why())))))
        }
        Ended::Signal(signal) => {
            Err(failure(format_args!("the download ended by signal {}; see the kernel's log", u64::from(signal))))
        }
        Ended::Late => {
            Err(failure(format_args!("the download takes more than {} seconds", u64::from(fetch::TOTAL_SECONDS))))
        }
    }
}

/// Reads what was fetched.
fn for_each_piece<P: Errands>(platform: &mut P, each: &mut dyn FnMut(&[u8])) -> Result<(), UpdateFailure> {
    let wrong = |errno: Errno| failure(format_args!("cannot read what was downloaded: {errno}"));
    let mut file = platform.found(Errand::Download).map_err(wrong)?;
    let mut room = [0; 4096];
    loop {
        match platform.read(&mut file, &mut room).map_err(wrong)? {
            0 => return Ok(()),
            len => each(room.get(..len).unwrap_or_default()),
        }
    }
}

#[inline(never)]
fn check<P: Errands>(platform: &mut P, sum: &Sum) -> Result<(), UpdateFailure> {
    let mut hasher = Hasher::new(sum);
    for_each_piece(platform, &mut |piece| hasher.update(piece))?;
    let (matches, got) = hasher.compare(sum);
    if matches { Ok(()) } else { Err(failure(format_args!("{} sums do not match ({sum} != {got})", sum.name()))) }
}

/// Writes the agent that is in what was fetched to a file of its own.
#[inline(never)]
fn unpack<P: Errands>(platform: &mut P, path: GuestPath<'_>) -> Result<(), UpdateFailure> {
    let staged = platform.stage(path, UPDATE_NUMBER);
    let mut staged = staged.map_err(|errno| failure(format_args!("cannot write beside {path}: {errno}")))?;
    let result = unpack_into(platform, &mut staged);
    if result.is_err() {
        platform.discard(&mut staged);
    }
    result
}

fn unpack_into<P: Errands>(platform: &mut P, staged: &mut P::Staged) -> Result<(), UpdateFailure> {
    let wrong = |errno: Errno| failure(format_args!("cannot read what was downloaded: {errno}"));
    let (mut unpacked, mut start) = (Unpacked::default(), heapless::Vec::<u8, START_MAX>::new());
    let (mut damage, mut failed) = (None, None);
    let mut file = platform.found(Errand::Download).map_err(wrong)?;
    let mut room = [0; 4096];
    loop {
        let len = platform.read(&mut file, &mut room).map_err(wrong)?;
        if len == 0 {
            break;
        }
        let piece = room.get(..len).unwrap_or_default();
        let taken = unpacked.take(piece, &mut |agent| {
            let _ = start.extend_from_slice(agent.get(..START_MAX - start.len()).unwrap_or(agent));
            if failed.is_none() {
                failed = platform.append(staged, agent).err();
            }
        });
        damage = damage.or(taken.err());
    }
    if let Some(errno) = failed {
        return Err(failure(format_args!("cannot write the new agent: {errno}")));
    }
    if let Some(wrong) = damage.or(unpacked.lack()).or_else(|| not_for_here(&start)) {
        let text = format_args!("the sum is right, but what it is of is no agent for this machine: {wrong}");
        return Err(failure(text));
    }
    let sealed = platform.set_mode(staged, 0o755).and_then(|()| platform.seal(staged));
    sealed.map_err(|errno| failure(format_args!("cannot finish the new agent's file: {errno}")))
}

/// Has the new agent test itself.
#[inline(never)]
fn begin_test<P: Errands>(platform: &mut P, path: GuestPath<'_>) -> Result<(), UpdateFailure> {
    let (directory, _) = path.split();
    let new = Bounded::<300>::of(format_args!("{}/{UPDATE_NAME}", directory.trim_end_matches('/')));
    let new = GuestPath::new(new.as_str()).map_err(|wrong| failure(format_args!("{wrong}")))?;
    let begun = platform.begin_program(new, Some(c"--self-test"), &[], TEST_SECONDS);
    begun.map_err(|errno| failure(format_args!("the new agent cannot be run: {errno}")))
}

fn tested(ended: Ended) -> Result<(), UpdateFailure> {
    match ended {
        Ended::Exit(0) => Ok(()),
        Ended::Exit(status) => Err(failure(format_args!("the new agent's self-test ended with {}", u64::from(status)))),
        Ended::Signal(signal) => {
            Err(failure(format_args!("the new agent's self-test ended by signal {}", u64::from(signal))))
        }
        Ended::Late => {
            Err(failure(format_args!("the new agent's self-test took more than {} seconds", u64::from(TEST_SECONDS))))
        }
    }
}

/// What is to be said of a new agent whose test prints this: that it is older, if so. One that prints no version says
/// nothing of it.
fn about_its_age(printed: &str) -> Bounded<128> {
    const OURS: &str = env!("CARGO_PKG_VERSION");
    let version = printed.trim_ascii().strip_prefix("nanova ").unwrap_or_default();
    let older = version_numbers(version).zip(version_numbers(OURS)).is_some_and(|(new, ours)| new < ours);
    if older {
        Bounded::of(format_args!("done, but {version} is older than {OURS}, which it replaces"))
    } else {
        Bounded::new()
    }
}

/// The numbers of a version such as 1.2.3.
fn version_numbers(version: &str) -> Option<[u64; 3]> {
    let mut numbers = version.split('.').map(number);
    let version = [numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(version)
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
pub fn not_for_here(start: &[u8]) -> Option<&'static str> {
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
