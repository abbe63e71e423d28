//! The xenstore tools: read, write, ls, list, exists, rm, mkdir, chmod, watch.
//!
//! Output and exit codes are those of Debian's xenstore-utils, so that scripts need not know the difference. What
//! changes several nodes runs in one transaction: all or nothing.

mod ls;
mod status;
pub mod value;

use core::fmt;

use crate::cli::{Tool, XenstoreCall, exit};
use crate::wire::xenstore::PAYLOAD_MAX;
use crate::xenstore::path::{ABSOLUTE_MAX, BadPath};
use crate::xenstore::{Client, Error, Event, Path, Permission, Refusal, Transaction, Transport};
use value::{Escaped, unescape};

/// Where a tool's words go.
pub trait Terminal: fmt::Write {
    /// Prints bytes as they are.
    fn put(&mut self, bytes: &[u8]);
    /// Has what was printed appear now. False when it cannot: whoever read it is gone.
    fn flush(&mut self) -> bool;
    /// One line on standard error.
    fn complain(&mut self, what: fmt::Arguments<'_>);
    /// Columns that a line may take, if it is one that people read.
    fn width(&mut self) -> Option<usize>;
}

/// Room for the names of all directories between the root of a tree and where a walk is.
pub const NAMES_MAX: usize = 64 * 1024;
/// That room: large, so whoever calls says where it is.
pub type Names = [u8; NAMES_MAX];
/// Most permissions of a node that can be given.
const PERMISSIONS_MAX: usize = 16;

/// Which nodes are a guest's own: what XAPI (xenopsd, xc/domain.ml) and libxl (libxl_create.c) make so.
const MAY_WRITE: &str = ": a guest may write below data, attr and error; XAPI's below control and vm-data, too";

/// Why a tool stops.
pub(crate) enum ToolFailure<'a> {
    /// It has been said already, or needs no words.
    Silent,
    /// Something about a path.
    Path(&'static str, &'a str, Error),
    /// A directory whose list is longer than there is room for.
    Room(&'a str),
    /// A mode that is none.
    Mode(&'a str),
}

impl<'a> ToolFailure<'a> {
    fn at(what: &'static str, path: &'a str) -> impl Fn(Error) -> ToolFailure<'a> {
        move |error| match error {
            Error::TooLong => ToolFailure::Room(path),
            error => ToolFailure::Path(what, path, error),
        }
    }
}

/// A path that is none is what xenstored would call invalid.
fn checked<'a>(path: &'a str) -> Result<Path<'a>, Error> {
    Path::new(path).map_err(|BadPath| Error::Refused(Refusal::INVAL))
}

/// Runs a tool; returns the exit code.
pub fn run<T: Transport, U: Terminal>(
    call: &XenstoreCall<'_>,
    client: &mut Client<T>,
    terminal: &mut U,
    names: &mut Names,
) -> i32 {
    let result = match call.tool {
        Tool::Status => return status::status(client, terminal, names, call.json),
        Tool::Read => read(call, client, terminal),
        Tool::Write => write(call, client),
        Tool::Ls => ls::run(call, client, terminal, names),
        Tool::List => list(call, client, terminal, names),
        Tool::Exists => exists(call, client),
        Tool::Rm => rm(call, client),
        Tool::Mkdir => mkdir(call, client),
        Tool::Chmod => chmod(call, client, names),
        Tool::Watch => watch(call, client, terminal),
    };
    let written = terminal.flush();
    match result {
        Ok(()) if written => exit::DONE,
        Ok(()) | Err(ToolFailure::Silent) => exit::FAILED,
        Err(ToolFailure::Room(path)) => {
            terminal.complain(format_args!(
                "{path}: too long; a path and its value take {PAYLOAD_MAX} bytes, 16 less by a device; lists \
                 {NAMES_MAX}"
            ));
            exit::FAILED
        }
        Err(ToolFailure::Mode(mode)) => {
            terminal.complain(format_args!(
                "'{mode}' is no permission, or one too many; at most {PERMISSIONS_MAX} such as n0 or r7 are taken"
            ));
            exit::FAILED
        }
        Err(ToolFailure::Path(what, path, error)) => {
            let changes = matches!(call.tool, Tool::Write | Tool::Rm | Tool::Mkdir | Tool::Chmod);
            let may = if changes && error.is(Refusal::ACCES) { MAY_WRITE } else { "" };
            terminal.complain(format_args!("{what} {path}: {error}{may}"));
            exit::FAILED
        }
    }
}

fn read<'a, T: Transport, U: Terminal>(
    call: &XenstoreCall<'a>,
    client: &mut Client<T>,
    terminal: &mut U,
) -> Result<(), ToolFailure<'a>> {
    for path in &call.operands {
        let value = checked(path).and_then(|path| client.read(Transaction::NONE, path));
        let value = value.map_err(ToolFailure::at("couldn't read path", path))?;
        if call.prefix {
            let _ = write!(terminal, "{path}: ");
        }
        if call.raw {
            terminal.put(value);
        } else {
            let _ = writeln!(terminal, "{}", Escaped(value));
        }
    }
    Ok(())
}

fn write<'a, T: Transport>(call: &XenstoreCall<'a>, client: &mut Client<T>) -> Result<(), ToolFailure<'a>> {
    let pair = |client: &mut Client<T>, transaction, path: &str, value: &str| {
        let path = checked(path)?;
        if call.raw {
            return client.write(transaction, path, value.as_bytes());
        }
        let mut room = [0; PAYLOAD_MAX];
        client.write(transaction, path, unescape(value, &mut room).ok_or(Error::TooLong)?)
    };
    if let [path, value] = *call.operands {
        return pair(client, Transaction::NONE, path, value).map_err(ToolFailure::at("could not write path", path));
    }
    let mut last = "";
    let all = client.transaction(|client, transaction| {
        for operands in call.operands.chunks_exact(2) {
            last = operands[0];
            pair(client, transaction, operands[0], operands[1])?;
        }
        Ok(())
    });
    all.map_err(ToolFailure::at("could not write path", last))
}

fn list<'a, T: Transport, U: Terminal>(
    call: &XenstoreCall<'a>,
    client: &mut Client<T>,
    terminal: &mut U,
    names: &mut Names,
) -> Result<(), ToolFailure<'a>> {
    for path in &call.operands {
        let names = checked(path).and_then(|path| whole_list(client, Transaction::NONE, path, names));
        for name in names.map_err(ToolFailure::at("could not list path", path))? {
            let (directory, slash) = if call.prefix { (*path, "/") } else { ("", "") };
            let _ = writeln!(terminal, "{directory}{slash}{name}");
        }
    }
    Ok(())
}

/// The names of all children; an error if there is no room for them.
fn whole_list<'n, T: Transport>(
    client: &mut Client<T>,
    transaction: Transaction,
    path: Path<'_>,
    names: &'n mut [u8],
) -> Result<impl Iterator<Item = &'n str> + use<'n, T>, Error> {
    let listing = client.list(transaction, path, 0, names)?;
    if !listing.complete {
        return Err(Error::TooLong);
    }
    Ok(split_names(&names[..listing.len]))
}

fn split_names(names: &[u8]) -> impl Iterator<Item = &str> {
    names.split(|byte| *byte == 0).filter_map(|name| core::str::from_utf8(name).ok()).filter(|name| !name.is_empty())
}

fn exists<'a, T: Transport>(call: &XenstoreCall<'a>, client: &mut Client<T>) -> Result<(), ToolFailure<'a>> {
    for path in &call.operands {
        match checked(path).and_then(|path| client.read(Transaction::NONE, path).map(drop)) {
            Ok(()) => {}
            Err(Error::Refused(_)) => return Err(ToolFailure::Silent),
            Err(error) => return Err(ToolFailure::Path("could not look for", path, error)),
        }
    }
    Ok(())
}

fn rm<'a, T: Transport>(call: &XenstoreCall<'a>, client: &mut Client<T>) -> Result<(), ToolFailure<'a>> {
    let mut last = "";
    let all = client.transaction(|client, transaction| {
        for path in &call.operands {
            last = path;
            client.rm(transaction, checked(path)?)?;
            if call.tidy {
                tidy(client, transaction, path)?;
            }
        }
        Ok(())
    });
    all.map_err(ToolFailure::at("could not remove path", last))
}

/// Removes the parents of a removed node that are left without value and children.
fn tidy<T: Transport>(client: &mut Client<T>, transaction: Transaction, path: &str) -> Result<(), Error> {
    let mut path = path;
    while let Some((parent, _)) = path.rsplit_once('/') {
        let Ok(checked) = checked(parent) else { return Ok(()) };
        let bare =
            client.read(transaction, checked)?.is_empty() && client.list(transaction, checked, 0, &mut [])?.complete;
        if !bare {
            return Ok(());
        }
        client.rm(transaction, checked)?;
        path = parent;
    }
    Ok(())
}

fn mkdir<'a, T: Transport>(call: &XenstoreCall<'a>, client: &mut Client<T>) -> Result<(), ToolFailure<'a>> {
    let mut last = "";
    let all = client.transaction(|client, transaction| {
        for path in &call.operands {
            last = path;
            client.mkdir(transaction, checked(path)?)?;
        }
        Ok(())
    });
    all.map_err(ToolFailure::at("could not make path", last))
}

fn chmod<'a, T: Transport>(
    call: &XenstoreCall<'a>,
    client: &mut Client<T>,
    names: &mut Names,
) -> Result<(), ToolFailure<'a>> {
    let Some((path, modes)) = call.operands.split_first() else { return Err(ToolFailure::Silent) };
    let mut permissions = heapless::Vec::<Permission, PERMISSIONS_MAX>::new();
    for mode in modes {
        let permission = Permission::parse(mode).ok_or(ToolFailure::Mode(mode))?;
        permissions.push(permission).map_err(|_| ToolFailure::Mode(mode))?;
    }
    let all = client.transaction(|client, transaction| {
        client.set_permissions(transaction, checked(path)?, &permissions)?;
        let mut above = *path;
        while let (true, Some((parent, _))) = (call.upwards, above.rsplit_once('/')) {
            let Ok(checked) = checked(parent) else { break };
            client.set_permissions(transaction, checked, &permissions)?;
            above = parent;
        }
        if call.recursive {
            let mut place = TreePosition::new(path)?;
            walk(client, transaction, &mut place, names, &mut |client, place, _| {
                client.set_permissions(transaction, place.path()?, &permissions)
            })?;
        }
        Ok(())
    });
    all.map_err(ToolFailure::at("could not set permissions of", path))
}

fn watch<'a, T: Transport, U: Terminal>(
    call: &XenstoreCall<'a>,
    client: &mut Client<T>,
    terminal: &mut U,
) -> Result<(), ToolFailure<'a>> {
    for path in &call.operands {
        let watched = checked(path).and_then(|path| client.watch(path, "nanova"));
        watched.map_err(ToolFailure::at("could not watch", path))?;
    }
    let lost = ToolFailure::at("watching", call.operands.first().copied().unwrap_or_default());
    let mut left = call.events;
    while left != Some(0) {
        match client.next_event().map_err(&lost)? {
            Some(Event::Fired { path, .. }) => {
                let _ = writeln!(terminal, "{path}");
                left = left.map(|left| left - 1);
            }
            Some(Event::Overflow) => terminal.complain(format_args!("too many events at once; some are not shown")),
            None if !terminal.flush() => return Err(ToolFailure::Silent),
            None => client.receive_events().map_err(&lost)?,
        }
    }
    Ok(())
}

/// Where a walk through a tree is.
pub(crate) struct TreePosition {
    path: heapless::String<ABSOLUTE_MAX>,
    depth: usize,
}

impl TreePosition {
    fn new(path: &str) -> Result<TreePosition, Error> {
        checked(path)?;
        let mut place = TreePosition { path: heapless::String::new(), depth: 0 };
        place.path.push_str(path).map_err(|_| Error::TooLong)?;
        Ok(place)
    }

    fn as_str(&self) -> &str {
        &self.path
    }

    fn path(&self) -> Result<Path<'_>, Error> {
        checked(&self.path)
    }
}

/// What a walk does at a node: it gets the place and the length of its last name.
pub(crate) type Visit<'v, T> = &'v mut dyn FnMut(&mut Client<T>, &TreePosition, usize) -> Result<(), Error>;

/// Visits everything below a place, parents first. What disappears meanwhile is passed over.
pub(crate) fn walk<T: Transport>(
    client: &mut Client<T>,
    transaction: Transaction,
    place: &mut TreePosition,
    names: &mut [u8],
    visit: Visit<'_, T>,
) -> Result<(), Error> {
    let listing = match client.list(transaction, place.path()?, 0, names) {
        Err(error) if place.depth > 0 && error.is(Refusal::NOENT) => return Ok(()),
        listing => listing?,
    };
    if !listing.complete {
        return Err(Error::TooLong);
    }
    let (here, below) = names.split_at_mut(listing.len);
    let before = place.path.len();
    place.depth += 1;
    for name in split_names(here) {
        let slash = if place.path.ends_with('/') { "" } else { "/" };
        place.path.push_str(slash).and_then(|()| place.path.push_str(name)).map_err(|_| Error::TooLong)?;
        visit(client, place, name.len())?;
        walk(client, transaction, place, below, visit)?;
        place.path.truncate(before);
    }
    place.depth -= 1;
    Ok(())
}

#[cfg(test)]
mod tests;
