//! The running guests: what xenstore says of them, in three forms.

mod facts;
mod json;
mod openmetrics;
mod table;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use crate::args::Form;
use crate::connection::{Connection, Happening};
use crate::fault::Fault;
use crate::guests::{Guest, running};
use crate::op::Op;
use crate::told::print;
use facts::{Facts, read};

/// How long changes are collected before they are shown: a guest that starts makes hundreds.
const SETTLING: Duration = Duration::from_millis(500);
/// Columns where nobody says how many there are.
const WIDTH: usize = 80;

/// Shows them, and then again whenever something changes, until somebody wants an end.
pub(crate) fn run(connection: &mut Connection, form: Form, watch: bool) -> Result<(), Fault> {
    match watch {
        false => show(connection, form),
        // Whatever it is about then.
        true => follow(connection, form).or_else(|fault| if fault == Fault::Interrupted { Ok(()) } else { Err(fault) }),
    }
}

fn follow(connection: &mut Connection, form: Form) -> Result<(), Fault> {
    connection.ask(Op::watch("/local/domain", "list"))?.map_err(|why| Fault::here(format!("cannot watch: {why}")))?;
    loop {
        show(connection, form)?;
        match connection.next(None)? {
            Happening::Interrupted => return Ok(()),
            _ => settle(connection)?,
        }
    }
}

/// Takes the events that come in a row.
fn settle(connection: &mut Connection) -> Result<(), Fault> {
    let until = Instant::now() + SETTLING;
    loop {
        match connection.next(Some(until))? {
            Happening::Late => return Ok(()),
            Happening::Interrupted => return Err(Fault::Interrupted),
            _ => {}
        }
    }
}

fn show(connection: &mut Connection, form: Form) -> Result<(), Fault> {
    let guests = running(connection)?;
    let facts = read(connection, &guests)?;
    let text = match form {
        Form::Table => table::render(&facts, width()),
        Form::Json => json::render(&facts),
        Form::OpenMetrics => openmetrics::render(&facts),
    };
    print(&text)
}

/// Shows all that is known of some of them, a page each.
pub(crate) fn status(connection: &mut Connection, guests: &[Guest]) -> Result<(), Fault> {
    let facts = read(connection, guests)?;
    print(&facts.iter().map(Facts::page).collect::<Vec<_>>().join("\n"))
}

/// The list for programs.
pub(crate) fn json(connection: &mut Connection) -> Result<String, Fault> {
    let guests = running(connection)?;
    Ok(json::render(&read(connection, &guests)?))
}

/// Shows the addresses that guests report.
pub(crate) fn addresses(connection: &mut Connection, guests: &[Guest]) -> Result<(), Fault> {
    let facts = read(connection, guests)?;
    let line = |guest: &Facts| match guest.addresses[..] {
        [] => format!("{} reports no address yet\n", guest.name),
        ref addresses => format!("{} reports {}\n", guest.name, addresses.join(" ")),
    };
    print(&facts.iter().map(line).collect::<String>())
}

/// The terminal's columns; more than anybody has where it is no terminal, as a program cuts nothing.
fn width() -> usize {
    let out = io::stdout();
    if !out.is_terminal() {
        return usize::MAX;
    }
    rustix::termios::tcgetwinsize(out)
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|width| *width > 0)
        .unwrap_or(WIDTH)
}
