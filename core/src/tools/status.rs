//! `nanova status`: one page for a person, about what the host says, what is published, and why a key is missing.

use crate::cli::exit;
use crate::tools::value::Escaped;
use crate::tools::{Names, Terminal, TreePosition, checked, walk};
use crate::xenstore::{Client, Error, Transaction, Transport, unless_refused};

/// What is shown: keys of the guest's, and why one may be missing. What ends in a slash is all below it.
const ROWS: [(&str, &str); 22] = [
    ("domid", "not a guest's xenstore"),
    ("name", "the toolstack gives none"),
    ("unique-domain-id", "not XAPI's guest"),
    ("vm-data/provider_data/provider", "the host is not OpenStack's"),
    ("vm-data/hostname", "the host gives no name"),
    ("vm-data/networking/", "the host leaves the network to the guest"),
    ("xenserver/device/vif/", "XAPI has set no address"),
    ("data/nanova/state", "no agent serves the host's commands, or it may not write it"),
    ("data/nanova/version", "as above"),
    ("attr/PVAddons/Installed", "no agent has published anything: is nanova agent running, without --no-metrics?"),
    ("attr/PVAddons/MajorVersion", "as above"),
    ("data/os_name", "no release file below /etc that is known"),
    ("data/os_uname", "no agent has published anything"),
    ("data/host_name_dns", "no agent has published anything"),
    ("data/meminfo_total", "no /proc/meminfo"),
    ("data/meminfo_free", "no /proc/meminfo"),
    ("data/volumes/", "no block device is mounted, or /proc is not"),
    ("control/feature-balloon", "no balloon driver in sysfs, or xl's guest: xl lets no guest write it"),
    ("control/feature-static-ip-setting", "the agent runs with --network off, or xl's guest"),
    ("attr/vif/", "no VIF has an address"),
    ("xenserver/attr/net-sriov-vf/", "no virtual function has an address"),
    ("data/guest/", "no command was answered lately"),
];

/// Prints the page; returns the exit code.
pub(super) fn status<T: Transport, U: Terminal>(client: &mut Client<T>, terminal: &mut U, names: &mut Names) -> i32 {
    for (key, why) in ROWS {
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
            Err(Error::Lost(lost)) => {
                terminal.complain(format_args!("xenstore connection lost: {lost}"));
                return exit::FAILED;
            }
            Ok(false) | Err(_) => {
                let _ = writeln!(terminal, "{key} is missing: {why}");
            }
        }
    }
    if terminal.flush() { exit::DONE } else { exit::FAILED }
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
