//! A file that the host sends in parts, as it is longer than a request.
//!
//! The parts come one behind the other. They are written to a file that has no name (open(2), `O_TMPFILE`), in the
//! directory of the one that is to be replaced: whatever ends the agent, nothing is left of it. When the last one is
//! there, and SHA-256 is what the host said, the file takes the place of the old one as an injected one does, whole.
//! What is not gone on with for [`SILENCE_MS`] is given up.
//!
//! One file is under way at a time: the first part of another one, or of the same, ends it.

use core::fmt;

use super::in_place::publish;
use super::inject::{InjectError, look, prepare, read_all, settle};
use super::replace::{unsynced, warn_of};
use crate::files::at;
use crate::platform::{Clock, FileError, FileKind, Files, GuestPath, Level, Log, Unsynced};
use crate::wire::errno::Errno;
use crate::wire::fingerprint::fingerprint;
use crate::wire::sha256::{Sha256, Sum};

/// The longest file.
pub const SIZE_MAX: u64 = 16 << 20;
/// How long the next part is waited for, in milliseconds.
pub const SILENCE_MS: u64 = 60_000;

/// What all parts of a file say of it.
#[derive(Clone, Copy)]
pub struct Whole<'a> {
    /// Where it is to be.
    pub path: GuestPath<'a>,
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256 sum.
    pub sum: Sum,
}

impl Whole<'_> {
    /// What tells it from another one. (Two paths that have one fingerprint cost who sends both files one of them.)
    fn id(&self) -> (u64, u64, Sum) {
        (fingerprint(self.path.as_str().as_bytes()), self.size, self.sum)
    }
}

/// Why a part was not taken. Of all but the last two nothing is left of the file.
#[derive(Debug, PartialEq, Eq)]
pub enum PartError<'a> {
    /// The file cannot be written.
    Inject(InjectError<'a>),
    /// The file system has no files without a name.
    NoUnnamed(GuestPath<'a>),
    /// More bytes than a file may have, or than this one is to have.
    TooLong,
    /// All are there, and their sum is another one.
    WrongSum,
    /// There is no such file under way.
    NotUnderWay,
    /// The next part is another one.
    NotNext(u64),
}

impl fmt::Display for PartError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartError::Inject(error) => error.fmt(f),
            PartError::NoUnnamed(path) => {
                write!(f, "the file system of {path} knows no files without a name (O_TMPFILE), which parts need")
            }
            PartError::TooLong => write!(f, "more bytes than the size says, or than {SIZE_MAX}"),
            PartError::WrongSum => f.write_str("the parts have another SHA-256 than was said; send them again"),
            PartError::NotUnderWay => f.write_str("no such file is under way; send its first part again"),
            PartError::NotNext(next) => write!(f, "the next part begins at {next}"),
        }
    }
}

impl<'a> From<FileError<'a>> for PartError<'a> {
    fn from(error: FileError<'a>) -> Self {
        PartError::Inject(InjectError::File(error))
    }
}

/// What has become of a part.
#[derive(Debug, PartialEq, Eq)]
pub enum Added<'a> {
    /// So many bytes are there; others are yet to come.
    Part(u64),
    /// It was the last one, and the file is in its place; this may undo it.
    Last(Option<Unsynced<'a>>),
}

/// The file that is under way, if one is. Its bytes are with the platform ([`Files::append_kept`]).
pub struct Parts {
    /// What it is, and what has come of it, if it is under way.
    under_way: Option<((u64, u64, Sum), Sha256)>,
    have: u64,
    give_up_at: u64,
}

impl Default for Parts {
    fn default() -> Self {
        Self::new()
    }
}

impl Parts {
    /// None.
    pub const fn new() -> Parts {
        Parts { under_way: None, have: 0, give_up_at: 0 }
    }

    /// When the file that is under way is to be given up.
    pub fn give_up_at(&self) -> Option<u64> {
        self.under_way.as_ref().map(|_| self.give_up_at)
    }

    /// Gives up a file that was not gone on with.
    #[inline(never)]
    pub fn give_up_silent<P: Files + Log>(&mut self, platform: &mut P, now: u64) {
        if self.give_up_at().is_some_and(|at| now >= at) {
            platform.log(Level::Warn, format_args!("a file in parts is given up: no part of it came for a minute"));
            self.give_up(platform);
        }
    }

    #[inline(never)]
    fn give_up<P: Files>(&mut self, platform: &mut P) {
        self.under_way = None;
        drop(platform.kept());
    }

    /// Adds a part, which begins at `offset`.
    pub fn add<'a, P: Files + Clock + Log>(
        &mut self,
        platform: &mut P,
        whole: &Whole<'a>,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Added<'a>, PartError<'a>> {
        let now = platform.uptime_ms();
        self.give_up_silent(platform, now);
        if offset == 0 {
            self.give_up(platform);
            begin(platform, whole)?;
            (self.under_way, self.have) = (Some((whole.id(), Sha256::new())), 0);
        }
        let sum = match &mut self.under_way {
            Some((id, sum)) if *id == whole.id() => sum,
            _ => return Err(PartError::NotUnderWay),
        };
        if offset != self.have {
            return Err(PartError::NotNext(self.have));
        }
        self.have += bytes.len() as u64;
        sum.update(bytes);
        let added = if self.have > whole.size {
            Err(PartError::TooLong)
        } else {
            at("write beside", whole.path, platform.append_kept(bytes)).map_err(PartError::from)
        };
        if added.is_ok() && self.have < whole.size {
            self.give_up_at = now.saturating_add(SILENCE_MS);
            return Ok(Added::Part(self.have));
        }
        let is_whole = sum.finish() == whole.sum;
        self.under_way = None;
        let staged = platform.kept();
        added?;
        match staged {
            Some(staged) if is_whole => finish(platform, whole, staged),
            _ => Err(PartError::WrongSum),
        }
    }
}

/// Makes the file that parts are written to.
#[inline(never)]
fn begin<'a, P: Files + Log>(platform: &mut P, whole: &Whole<'a>) -> Result<(), PartError<'a>> {
    let path = whole.path;
    if whole.size > SIZE_MAX {
        return Err(PartError::TooLong);
    }
    let kind = look(platform, path).map_err(PartError::Inject)?;
    prepare(platform, path, kind)?;
    platform.log(Level::Info, format_args!("staging {path} ({} bytes, in parts)", whole.size));
    match platform.stage_unnamed(path) {
        // What older kernels say, and file systems that do not know it.
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => Err(PartError::NoUnnamed(path)),
        staged => Ok(at("make a file beside", path, staged)?),
    }
}

/// Puts the whole file in its place.
#[inline(never)]
fn finish<'a, P: Files + Clock + Log>(
    platform: &mut P,
    whole: &Whole<'a>,
    mut staged: P::Staged,
) -> Result<Added<'a>, PartError<'a>> {
    let path = whole.path;
    // It may have come, gone or changed since the first part.
    let kind = look(platform, path).map_err(PartError::Inject)?;
    if kind == Some(FileKind::Regular) && at("read", path, has_sum(platform, path, &whole.sum))? {
        platform.log(Level::Info, format_args!("skipping {path} (no changes)"));
        return Ok(Added::Last(None));
    }
    let old = prepare(platform, path, kind)?;
    let settled = settle(platform, path, &mut staged, kind, &old);
    let published = settled.and_then(|()| at("replace", path, publish(platform, &mut staged, path)));
    if published.is_err() {
        platform.discard(&mut staged);
    }
    let unsynced = unsynced(path, published?);
    warn_of(platform, &unsynced);
    Ok(Added::Last(unsynced))
}

#[inline(never)]
fn has_sum<P: Files>(platform: &mut P, path: GuestPath<'_>, sum: &Sum) -> Result<bool, Errno> {
    let mut there = Sha256::new();
    read_all(platform, path, &mut |bytes| {
        there.update(bytes);
        true
    })?;
    Ok(there.finish() == *sum)
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
