//! What the flight recorder is told.
//!
//! All records are made here, one for each boundary that the agent has to others, so that this page says what can be in
//! the ring: names of xenstore's nodes and of files, numbers, and the lines of the log that are warnings. Never a
//! value. A name is recorded once a block, and by its number then.

use core::fmt;

#[cfg(feature = "init")]
use base64ct::{Base64, Encoding};
use nanova_core::engine::Action;
use nanova_core::platform::Level;
#[cfg(feature = "errands")]
use nanova_core::platform::{Ended, Errand};
use nanova_core::record::TEXT_MAX;
#[cfg(feature = "init")]
use nanova_core::record::{BLOCK_LEN, HEADER_LEN, WORD_LEN, block, header, newest};
use nanova_core::wire::errno::Errno;
use nanova_core::wire::text::{Bounded, text_at_start};
use nanova_core::wire::xenstore::MessageType;
use nanova_core::wire::xenstore::NO_ANSWER;
use nanova_core::xenstore::{Error, Event};
#[cfg(feature = "init")]
use rustix::fs::OFlags;

#[cfg(feature = "init")]
use crate::output::complain;
#[cfg(feature = "init")]
use crate::paths::open;
use crate::pid::pid_number;
use crate::rt::clock::since_boot;
use crate::rt::recorder;

/// What was done with a file or another thing that has a name.
#[derive(Clone, Copy, defmt::Format)]
pub(crate) enum Done {
    /// A file beside this one is made, to be put in its place.
    Staged,
    /// It is there.
    Published,
    /// A file system is mounted here.
    Mounted,
    /// A kernel module is loaded.
    Loaded,
    /// There is a connection to the xenstored here.
    Connected,
}

/// Records in memory, until there is a place for the file.
#[cfg(feature = "init")]
pub(crate) fn begin() {
    since_boot();
    // Nothing is recorded where there is no memory.
    let _ = recorder::begin();
}

/// An agent begins.
pub(crate) fn begins() {
    since_boot();
    let process = pid_number(rustix::process::getpid());
    defmt::info!("nanova {=str} begins, process {=u32}", env!("CARGO_PKG_VERSION"), process as u32);
}

/// Whether something with a text can be recorded: the names in that, and what means them by their numbers, in one
/// block.
#[inline(never)]
fn has_room(text: &[u8]) -> bool {
    recorder::has_room(2 * recorder::SPARE + text.len().min(2 * TEXT_MAX))
}

/// The numbers of a path's directory, which is empty if there is none or it is the root, and of the rest of it: a
/// request's name is in two directories.
#[inline(never)]
fn numbers_of(path: &[u8]) -> (u8, u8) {
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let name = if end == 0 { path } else { path.get(end + 1..).unwrap_or_default() };
    let directory = number_of(path.get(..end).unwrap_or_default(), u8::MAX);
    (directory, number_of(name, directory))
}

/// The number of a name, which is recorded here if it is new, and which is not to be this one.
#[inline(never)]
fn number_of(name: &[u8], taken: u8) -> u8 {
    let (number, is_new) = recorder::number_of(name, taken);
    if is_new {
        defmt::debug!("#{=u8} is {=str}", number, text_at_start(name.get(..TEXT_MAX).unwrap_or(name)));
    }
    number
}

/// Microseconds since the system began.
#[inline(never)]
fn now() -> u64 {
    recorder::now().unwrap_or_else(|| {
        since_boot();
        recorder::last()
    })
}

/// When something begins that is timed: [`exchanged`] is told.
pub(crate) fn started() -> u64 {
    if recorder::is_on() { now() } else { 0 }
}

/// A request to xenstored was made at this moment, and is over.
#[inline(never)]
pub(crate) fn exchanged(kind: MessageType, transaction: u32, path: &[u8], error: Option<Error>, began: u64) {
    if !has_room(path) {
        return;
    }
    let us = now().wrapping_sub(began) as u32;
    let (kind, (at, name)) = (Kind::of(kind), numbers_of(path));
    let refusal = match error {
        None => 0,
        Some(Error::Refused(refusal)) => refusal.number(),
        Some(_) => NO_ANSWER,
    };
    let transaction = transaction as u16;
    defmt::debug!("{} #{=u8}#{=u8} in {=u16}: {=u32} us, refusal {=u8}", kind, at, name, transaction, us, refusal);
}

/// A kind of request to xenstored.
#[derive(Clone, Copy, defmt::Format)]
enum Kind {
    Other,
    Directory,
    Read,
    GetPerms,
    Watch,
    Unwatch,
    TransactionStart,
    TransactionEnd,
    GetDomainPath,
    Write,
    Mkdir,
    Rm,
    SetPerms,
    DirectoryPart,
}

impl Kind {
    fn of(kind: MessageType) -> Kind {
        match kind {
            MessageType::DIRECTORY => Kind::Directory,
            MessageType::READ => Kind::Read,
            MessageType::GET_PERMS => Kind::GetPerms,
            MessageType::WATCH => Kind::Watch,
            MessageType::UNWATCH => Kind::Unwatch,
            MessageType::TRANSACTION_START => Kind::TransactionStart,
            MessageType::TRANSACTION_END => Kind::TransactionEnd,
            MessageType::GET_DOMAIN_PATH => Kind::GetDomainPath,
            MessageType::WRITE => Kind::Write,
            MessageType::MKDIR => Kind::Mkdir,
            MessageType::RM => Kind::Rm,
            MessageType::SET_PERMS => Kind::SetPerms,
            MessageType::DIRECTORY_PART => Kind::DirectoryPart,
            _ => Kind::Other,
        }
    }
}

/// A watch has fired.
#[inline(never)]
pub(crate) fn heard(event: &Event<'_>) {
    if let Event::Fired { path, .. } = event
        && has_room(path.as_bytes())
    {
        let (at, name) = numbers_of(path.as_bytes());
        defmt::debug!("event #{=u8}#{=u8}", at, name);
    }
}

/// What the engine says is to be done.
#[inline(never)]
pub(crate) fn acts(action: &Action) {
    defmt::trace!("engine: {}", Acts::of(action));
}

/// What the engine says, without when it wants to be asked again.
#[derive(Clone, Copy, defmt::Format)]
enum Acts {
    Connect,
    Serve,
    SettleIn,
    ListenForLinks,
    TellReady,
    Beat,
    Wait,
    TakeOver,
    Done,
}

impl Acts {
    fn of(action: &Action) -> Acts {
        match action {
            Action::Connect => Acts::Connect,
            Action::Serve => Acts::Serve,
            Action::SettleIn => Acts::SettleIn,
            Action::ListenForLinks => Acts::ListenForLinks,
            Action::TellReady => Acts::TellReady,
            Action::Beat => Acts::Beat,
            Action::Wait { .. } => Acts::Wait,
            Action::TakeOver => Acts::TakeOver,
            Action::Done => Acts::Done,
        }
    }
}

/// A line of the log: those alone that are seldom.
#[inline(never)]
pub(crate) fn line(level: Level, text: fmt::Arguments<'_>) {
    if level > Level::Warn || !recorder::has_room(recorder::SPARE + TEXT_MAX) {
        return;
    }
    let text = Bounded::<TEXT_MAX>::of(text);
    if level == Level::Error { defmt::error!("{=str}", text.as_str()) } else { defmt::warn!("{=str}", text.as_str()) }
}

/// A request is run.
#[inline(never)]
pub(crate) fn request(name: &str) {
    if has_room(name.as_bytes()) {
        defmt::info!("request #{=u8}", number_of(name.as_bytes(), u8::MAX));
    }
}

/// A command has completed with this code.
#[inline(never)]
pub(crate) fn completed(command: &str, code: &str) {
    if has_room(command.as_bytes()) {
        now();
        defmt::info!("command #{=u8} completed: {=str}", number_of(command.as_bytes(), u8::MAX), code);
    }
}

/// An errand was begun, and may take so many seconds.
#[cfg(feature = "errands")]
#[inline(never)]
pub(crate) fn errand_begun(errand: Errand, seconds: u32) {
    defmt::info!("errand {} begun, {=u32} s", errand, seconds);
}

/// An errand has ended.
#[cfg(feature = "errands")]
#[inline(never)]
pub(crate) fn errand_ended(errand: Errand, ended: Ended) {
    defmt::info!("errand {} ended: {}", errand, ended);
}

/// The kernel's side of the network was asked something of this kind (`RTM_…`).
#[inline(never)]
pub(crate) fn asked_kernel(kind: u16, result: Result<(), Errno>) {
    defmt::debug!("netlink {=u16}: errno {=u16}", kind, result.map_or_else(|Errno(number)| number, |()| 0));
}

/// Something was done with what has this name, or was not, for this reason.
#[inline(never)]
pub(crate) fn done(what: Done, name: &[u8], errno: u16) {
    if has_room(name) {
        let (at, name) = numbers_of(name);
        defmt::info!("{} #{=u8}#{=u8}: errno {=u16}", what, at, name, errno);
    }
}

/// A signal came.
pub(crate) fn signal(number: u32) {
    defmt::info!("signal {=u32}", number);
}

/// Leaves the newest records where they outlive the system: for the kernel after the next boot (pstore), and in base64
/// on the console.
#[cfg(feature = "init")]
// In a frame of its own: above that of the panic are the addresses that lead to it.
#[inline(never)]
pub(crate) fn leave_behind() {
    const LINE: usize = 48;
    let mut left = heapless::Vec::<u8, 2048>::new();
    // There is room for a header and two blocks.
    let _ = left.extend_from_slice(header(&mut [0; HEADER_LEN], &mut recorder::read_at).unwrap_or_default());
    let last = newest(&mut recorder::read_at);
    for number in [last.wrapping_sub(1), last] {
        let mut room = [0; BLOCK_LEN];
        let block = block(number, &mut room, &mut recorder::read_at).unwrap_or_default();
        let _ = left.extend_from_slice(block.get(WORD_LEN..).unwrap_or_default());
    }
    if let Ok(log) = open("/dev/pmsg0", OFlags::WRONLY, 0) {
        let _ = rustix::io::write(log, &left);
    }
    for line in left.chunks(LINE) {
        let mut room = [0; 2 * LINE];
        complain(format_args!("recorder {}", Base64::encode(line, &mut room).unwrap_or_default()));
    }
}
