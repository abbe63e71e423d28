//! `nanova status`: one page for a person, or for a program. First it says whether all is well; then what the host
//! says, what is published, and why a key is missing.

use crate::cli::exit;
use crate::tools::value::{Escaped, InJson};
use crate::tools::{Names, Terminal, TreePosition, checked, walk};
use crate::xenstore::{Client, Error, Lost, Transaction, Transport, unless_refused};

/// What is shown: keys of the guest's, and why one may be missing. What ends in a slash is all below it.
const ROWS: [(&str, &str); 22] = [
    ("domid", "not a guest's xenstore"),
    ("name", "the toolstack gives none"),
    ("unique-domain-id", "not XAPI's guest"),
    ("vm-data/provider_data/provider", "the host is not OpenStack's"),
    ("vm-data/hostname", "the host gives no name"),
    ("vm-data/networking/", "the host leaves the network to the guest"),
    ("xenserver/device/vif/", "XAPI has set no address"),
    (STATE, "no agent serves the host's commands, or it may not write it"),
    ("data/nanova/version", "as above"),
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
/// Where what an agent publishes begins, and why all of that may be missing.
const PUBLISHED: usize = 9;
const NOT_PUBLISHED: &str = "no agent has published anything: is nanova agent running, without --no-metrics?";
/// What the agent says of itself, once it serves commands.
const STATE: &str = "data/nanova/state";
/// What is there once any agent has published something.
const INSTALLED: &str = "attr/PVAddons/Installed";

/// Prints the page; returns the exit code: [`exit::DONE`] if all is well.
pub(super) fn status<T: Transport, U: Terminal>(
    client: &mut Client<T>,
    terminal: &mut U,
    names: &mut Names,
    json: bool,
) -> i32 {
    let printed = Page { terminal, json, comma: "" }.print(client, names);
    match printed {
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

/// What is at a key; empty where there is nothing, or nothing that may be read.
fn value<'c, T: Transport>(client: &'c mut Client<T>, key: &str) -> Result<&'c [u8], Lost> {
    match checked(key).and_then(|path| unless_refused(client.read(Transaction::NONE, path))) {
        Err(Error::Lost(lost)) => Err(lost),
        Ok(Some(value)) => Ok(value),
        Ok(None) | Err(_) => Ok(b""),
    }
}

/// The page, as lines or as one object of JSON.
struct Page<'t, U> {
    terminal: &'t mut U,
    json: bool,
    /// What stands before the next member.
    comma: &'static str,
}

impl<U: Terminal> Page<'_, U> {
    /// Prints it. Returns whether all is well.
    fn print<T: Transport>(mut self, client: &mut Client<T>, names: &mut Names) -> Result<bool, Lost> {
        let published = !value(client, INSTALLED)?.is_empty();
        let well = self.headline(value(client, STATE)?, published);
        let why = |place: usize, why| if place >= PUBLISHED && !published { NOT_PUBLISHED } else { why };
        let mut missing = [false; ROWS.len()];
        for (place, ((key, reason), missing)) in ROWS.iter().zip(&mut missing).enumerate() {
            *missing = !self.show(client, names, key)?;
            if *missing && !self.json {
                let _ = writeln!(self.terminal, "{key} is missing: {}", why(place, reason));
            }
        }
        if self.json {
            let _ = self.terminal.write_str("},\"missing\":{");
            self.comma = "";
            for (place, ((key, reason), _)) in ROWS.iter().zip(missing).enumerate().filter(|(_, (_, missing))| *missing)
            {
                self.row(key, why(place, reason).as_bytes());
            }
            let _ = self.terminal.write_str("}}\n");
        }
        Ok(well)
    }

    /// What comes first. Returns whether that is good.
    fn headline(&mut self, state: &[u8], published: bool) -> bool {
        let (well, what, state) = match state {
            b"ready" => (true, "an agent serves the host's commands", b"".as_slice()),
            b"" if published => (true, "an agent publishes what the guest is, and serves no commands", state),
            b"" => (false, "there is no agent, or none that got to say anything", state),
            other => (false, "the agent is ", other),
        };
        let _ = if self.json {
            let state = InJson(state);
            write!(self.terminal, "{{\"well\":{well},\"summary\":\"{what}{state}\",\"keys\":{{")
        } else {
            writeln!(self.terminal, "{}well: {what}{}", if well { "" } else { "not " }, Escaped(state))
        };
        well
    }

    /// Shows a row, if any of it is there.
    fn show<T: Transport>(&mut self, client: &mut Client<T>, names: &mut Names, row: &str) -> Result<bool, Lost> {
        let Some(directory) = row.strip_suffix('/') else { return self.show_key(client, row) };
        let mut any = false;
        let walked = TreePosition::new(directory).and_then(|mut place| {
            walk(client, Transaction::NONE, &mut place, names, &mut |client, place, _| {
                any |= self.show_key(client, place.as_str()).map_err(Error::Lost)?;
                Ok(())
            })
        });
        match walked {
            Err(Error::Lost(lost)) => Err(lost),
            _ => Ok(any),
        }
    }

    /// Shows a key, if it is there and says something.
    fn show_key<T: Transport>(&mut self, client: &mut Client<T>, key: &str) -> Result<bool, Lost> {
        let value = value(client, key)?;
        if !value.is_empty() {
            self.row(key, value);
        }
        Ok(!value.is_empty())
    }

    /// A key and what is there.
    fn row(&mut self, key: &str, value: &[u8]) {
        let _ = if self.json {
            write!(self.terminal, "{}\"{key}\":\"{}\"", core::mem::replace(&mut self.comma, ","), InJson(value))
        } else {
            writeln!(self.terminal, "{key} = {}", Escaped(value))
        };
    }
}
