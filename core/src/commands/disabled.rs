//! Commands that a site takes away: `/etc/nanova/disable` names them, one a line, built in or not. They are answered as
//! those that there are not. Behind a `#` there may be a note; a line that is no text, or a list that is no file, is
//! one that cannot be read, and takes all of them away.
//!
//! `record` tells what the guest does, so it is taken away unless `/etc/nanova/enable`, the same kind of list, names
//! it.

use crate::files::read::for_each_line_or_gap;
use crate::platform::{FileKind, Files, GuestPath, Level, Log};
use crate::wire::errno::Errno;

/// A site's own directory.
const SITE: GuestPath<'static> = GuestPath::literal("/etc/nanova");
/// Names of commands that are not served.
const DISABLED: GuestPath<'static> = GuestPath::literal("/etc/nanova/disable");
/// What some editors begin a file with.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Commands that are served where a site says so, of those that it could do without.
#[cfg(feature = "recorder")]
const ENABLED: GuestPath<'static> = GuestPath::literal("/etc/nanova/enable");

/// Whether a command is taken away. A list that cannot be read takes all of them away.
pub fn is_disabled<P: Files + Log>(platform: &mut P, name: &str) -> bool {
    #[cfg(feature = "recorder")]
    if name == crate::commands::record::RECORD {
        match is_listed(platform, ENABLED, name) {
            Ok(true) => {}
            Ok(false) => return true,
            Err(errno) => {
                platform.log(Level::Error, format_args!("'{name}' is not served: cannot read {ENABLED}: {errno}"));
                return true;
            }
        }
    }
    is_listed(platform, DISABLED, name).unwrap_or_else(|errno| {
        platform.log(Level::Error, format_args!("no command is served: cannot read {DISABLED}: {errno}"));
        true
    })
}

/// Whether a list names a command.
#[inline(never)]
fn is_listed<P: Files>(platform: &mut P, list: GuestPath<'_>, name: &str) -> Result<bool, Errno> {
    let (mut found, mut gaps) = (false, false);
    let read = is_there(platform, list).and_then(|is_there| match is_there {
        true => for_each_line_or_gap(platform, list, &mut |line| match line {
            Some(line) => {
                let listed = line.trim_start_matches(BYTE_ORDER_MARK).split('#').next().unwrap_or_default();
                found |= listed.trim_ascii() == name;
            }
            None => gaps = true,
        }),
        false => Ok(()),
    });
    read?;
    if gaps { Err(Errno::ILSEQ) } else { Ok(found) }
}

/// Whether there is a list. A link that leads nowhere, to the list or to its directory, is one that cannot be read: it
/// may lie on a file system that is yet to be mounted.
fn is_there<P: Files>(platform: &mut P, list: GuestPath<'_>) -> Result<bool, Errno> {
    match platform.kind(SITE)? {
        None => return Ok(false),
        Some(FileKind::Symlink) if !platform.exists(SITE)? => return Err(Errno::NOENT),
        Some(_) => {}
    }
    match platform.kind(list)? {
        None => Ok(false),
        Some(FileKind::Regular | FileKind::Symlink) => Ok(true),
        Some(FileKind::Directory | FileKind::Other) => Err(Errno::ISDIR),
    }
}
