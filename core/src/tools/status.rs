//! `nanova status`: one page for a person. Its first line says whether all is well; the others what the host says, what
//! is published, and why a key is missing.

use crate::cli::exit;
use crate::tools::value::Escaped;
use crate::tools::{Names, Terminal, TreePosition, checked, walk};
use crate::xenstore::{Client, Error, Lost, Transaction, Transport, unless_refused};

/// What is shown: keys of the guest's, and why one may be missing. What ends in a slash is all below it.
const ROWS: [(&str, &str); 9] = [
    ("domid", "not a guest's xenstore"),
    ("name", "the toolstack gives none"),
    ("unique-domain-id", "not XAPI's guest"),
    ("vm-data/provider_data/provider", "the host is not OpenStack's"),
    ("vm-data/hostname", "the host gives no name"),
    ("vm-data/networking/", "the host leaves the network to the guest"),
    ("xenserver/device/vif/", "XAPI has set no address"),
    (STATE, "no agent serves the host's commands, or it may not write it"),
    ("data/nanova/version", "as above"),
];
/// The same of what an agent publishes.
const PUBLISHED: [(&str, &str); 13] = [
    (INSTALLED, ""),
    ("attr/PVAddons/MajorVersion", "xenstore refuses it"),
    ("data/os_name", "no release file below /etc that is known"),
    ("data/os_uname", "xenstore refuses it"),
    ("data/host_name_dns", "the guest has no name"),
    ("data/meminfo_total", "no /proc/meminfo"),
    ("data/meminfo_free", "no /proc/meminfo"),
    ("data/volumes/", "no block device is mounted, or /proc is not"),
    ("control/feature-balloon", "no balloon driver in sysfs, or xl's guest: xl lets no guest write it"),
    ("control/feature-static-ip-setting", "the agent runs with --network off, or xl's guest"),
    ("attr/vif/", "no VIF has an address"),
    ("xenserver/attr/net-sriov-vf/", "no virtual function has an address"),
    ("data/guest/", "no command was answered lately"),
];
/// What the agent says of itself, once it serves commands.
const STATE: &str = "data/nanova/state";
/// What is there once any agent has published something.
const INSTALLED: &str = "attr/PVAddons/Installed";

/// Prints the page; returns the exit code: [`exit::DONE`] if all is well.
pub(super) fn status<T: Transport, U: Terminal>(client: &mut Client<T>, terminal: &mut U, names: &mut Names) -> i32 {
    match page(client, terminal, names) {
        Ok(well) => {
            if terminal.flush() && well {
                exit::DONE
            } else {
                exit::FAILED
            }
        }
        Err(lost) => {
            terminal.complain(format_args!("xenstore connection lost: {lost}"));
            exit::FAILED
        }
    }
}

/// The page. Returns whether all is well.
fn page<T: Transport, U: Terminal>(client: &mut Client<T>, terminal: &mut U, names: &mut Names) -> Result<bool, Lost> {
    let published = !value(client, INSTALLED)?.is_empty();
    let well = headline(client, terminal, published)?;
    show_all(client, terminal, names, &ROWS, None)?;
    show_all(
        client,
        terminal,
        names,
        &PUBLISHED,
        (!published).then_some("no agent has published anything: is nanova agent running, without --no-metrics?"),
    )?;
    Ok(well)
}

/// The first line. Returns what it says.
fn headline<T: Transport, U: Terminal>(
    client: &mut Client<T>,
    terminal: &mut U,
    published: bool,
) -> Result<bool, Lost> {
    let state = value(client, STATE)?;
    let _ = match state {
        b"ready" => writeln!(terminal, "well: an agent serves the host's commands"),
        b"" if published => writeln!(terminal, "well: an agent publishes what the guest is, and serves no commands"),
        b"" => writeln!(terminal, "not well: there is no agent, or none that got to say anything"),
        other => writeln!(terminal, "not well: the agent is {}", Escaped(other)),
    };
    Ok(state == b"ready" || state.is_empty() && published)
}

/// What is at a key; empty where there is nothing, or nothing that may be read.
fn value<'c, T: Transport>(client: &'c mut Client<T>, key: &str) -> Result<&'c [u8], Lost> {
    match checked(key).and_then(|path| unless_refused(client.read(Transaction::NONE, path))) {
        Err(Error::Lost(lost)) => Err(lost),
        Ok(Some(value)) => Ok(value),
        Ok(None) | Err(_) => Ok(b""),
    }
}

/// Shows these keys; where one is missing, this is the reason, if there is one for all.
fn show_all<T: Transport, U: Terminal>(
    client: &mut Client<T>,
    terminal: &mut U,
    names: &mut Names,
    rows: &[(&str, &str)],
    reason: Option<&str>,
) -> Result<(), Lost> {
    for (key, why) in rows {
        let shown = match key.strip_suffix('/') {
            None => show(client, terminal, key),
            Some(directory) => {
                let mut any = Ok(false);
                let walked = TreePosition::new(directory).and_then(|mut place| {
                    walk(client, Transaction::NONE, &mut place, names, &mut |client, place, _| {
                        any = Ok(show(client, terminal, place.as_str())? || any == Ok(true));
                        Ok(())
                    })
                });
                walked.and(any)
            }
        };
        match shown {
            Ok(true) => {}
            Err(Error::Lost(lost)) => return Err(lost),
            Ok(false) | Err(_) => {
                let _ = writeln!(terminal, "{key} is missing: {}", reason.unwrap_or(why));
            }
        }
    }
    Ok(())
}

/// Shows a key, if it is there and says something.
fn show<T: Transport, U: Terminal>(client: &mut Client<T>, terminal: &mut U, key: &str) -> Result<bool, Error> {
    match unless_refused(client.read(Transaction::NONE, checked(key)?))? {
        None | Some([]) => Ok(false),
        Some(value) => {
            let _ = writeln!(terminal, "{key} = {}", Escaped(value));
            Ok(true)
        }
    }
}
