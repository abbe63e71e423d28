//! `ls`: a tree, indented or with whole paths, in the columns of xenstore-ls.

use core::fmt::{self, Write};

use crate::cli::XenstoreCall;
use crate::xenstore::{Client, Error, Transaction, Transport};

use crate::tools::value::Escaped;
use crate::tools::{Names, Terminal, ToolFailure, TreePosition, walk};

/// Columns that a value takes besides its characters when it is cut: ` = "\..."`.
const FRAME_LEN: usize = 8;
/// Columns of a line that no terminal shows.
const WIDTH: usize = 80;
/// The column that is filled up to before permissions, so that they stand below each other.
const PERMISSIONS_COLUMN: usize = 60;

pub(super) fn run<'a, T: Transport, U: Terminal>(
    call: &XenstoreCall<'a>,
    client: &mut Client<T>,
    terminal: &mut U,
    names: &mut Names,
) -> Result<(), ToolFailure<'a>> {
    let root = ["/"];
    let paths = if call.operands.is_empty() { &root[..] } else { &call.operands[..] };
    for path in paths {
        let walked = TreePosition::new(path).and_then(|mut place| {
            walk(client, Transaction::NONE, &mut place, names, &mut |client, place, name| {
                line(call, client, terminal, place, name)
            })
        });
        walked.map_err(ToolFailure::at("could not list", path))?;
    }
    Ok(())
}

/// One node: its name, its value cut to the terminal's width, its permissions.
fn line<T: Transport, U: Terminal>(
    call: &XenstoreCall<'_>,
    client: &mut Client<T>,
    terminal: &mut U,
    place: &TreePosition,
    name_len: usize,
) -> Result<(), Error> {
    let (width, fill) = if call.full { (usize::MAX / 2, 0) } else { (WIDTH, PERMISSIONS_COLUMN) };
    // A whole path counts for nothing: so it is with xenstore-ls.
    let width = terminal.width().unwrap_or(width);
    let mut used = 0;
    if call.full {
        terminal.put(place.path.as_bytes());
    } else {
        let indent = place.depth - 1;
        let name = place.path.get(place.path.len() - name_len..).unwrap_or_default();
        let room = width.saturating_sub(FRAME_LEN + indent).min(name.len());
        let _ = write!(terminal, "{:indent$}{}", "", name.get(..room).unwrap_or(name));
        used = indent + room;
    }
    match client.read(Transaction::NONE, place.path()?) {
        Err(Error::Lost(lost)) => return Err(Error::Lost(lost)),
        Err(_) => terminal.put(b":\n"),
        Ok(value) if width < used + value.len() + FRAME_LEN => {
            let _ = write!(terminal, " = \"");
            let mut head = Head { out: terminal, left: width.saturating_sub(FRAME_LEN + used) };
            let _ = write!(head, "{}", Escaped(value));
            terminal.put(b"\\...\"");
        }
        Ok(value) => {
            let mut counted = Counted { out: terminal, count: used };
            let _ = write!(counted, " = \"{}\"", Escaped(value));
            used = counted.count;
            if call.permissions {
                // Dots lead the eye from a short value to its permissions.
                terminal.put(b" ");
                for column in used + 1..fill.min(width) {
                    terminal.put(if column % 2 == 1 { b"." } else { b" " });
                }
            }
        }
    }
    if call.permissions {
        permissions(client, terminal, place)?;
    }
    terminal.put(b"\n");
    Ok(())
}

fn permissions<T: Transport, U: Terminal>(
    client: &mut Client<T>,
    terminal: &mut U,
    place: &TreePosition,
) -> Result<(), Error> {
    match client.permissions(Transaction::NONE, place.path()?) {
        Err(Error::Lost(lost)) => return Err(Error::Lost(lost)),
        Err(error) => terminal.complain(format_args!("could not read the permissions of {}: {error}", place.path)),
        Ok(permissions) => {
            let mut before = "  (";
            for permission in permissions {
                let _ = write!(terminal, "{before}{permission}");
                before = ",";
            }
            terminal.put(b")");
        }
    }
    Ok(())
}

/// Passes on the first characters.
struct Head<'a, U> {
    out: &'a mut U,
    left: usize,
}

impl<U: Terminal> Write for Head<'_, U> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let head = text.as_bytes().get(..self.left).unwrap_or(text.as_bytes());
        self.left -= head.len();
        self.out.put(head);
        Ok(())
    }
}

/// Counts what it passes on.
struct Counted<'a, U> {
    out: &'a mut U,
    count: usize,
}

impl<U: Terminal> Write for Counted<'_, U> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.count += text.len();
        self.out.write_str(text)
    }
}
