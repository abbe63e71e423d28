//! Making the network last: a guest's name and name servers, its manager's files, and what becomes of files that say
//! otherwise.
//!
//! /etc/hostname, /etc/hosts and /etc/resolv.conf are ours whoever manages the network (`names`). All files are staged
//! before the first is replaced; files that would undo them are moved aside (`conflicts`); then the manager is told.

use core::fmt::{self, Write};
use core::ops::ControlFlow;

use crate::files::lines::Edit;
use crate::files::transaction::{Backup, FileTransaction, Trouble, editable};
use crate::network::managers::conflicts::move_conflicts_aside;
use crate::network::managers::manager::{ConfigFiles, NamesBy, PersistentConfig, Scope, Tell, plain_device};
use crate::network::managers::{names, none};
use crate::network::problems::{FilesOutcome, note};
use crate::platform::{Argv, Clock, Files, GuestPath, Identity, KernelNet, Level, LinkTarget, Log, Programs};
use crate::wire::errno::Errno;
use crate::wire::text::Bounded;

/// The work on the files.
struct Work<'w, P: Files + Log> {
    platform: &'w mut P,
    transaction: FileTransaction<P::Staged>,
    problems: &'w mut dyn Write,
    /// Where the files are shown instead of being written.
    show: Option<&'w mut dyn Write>,
    /// An image that is made anew at every boot may be read-only.
    nothing_lasts: bool,
    well: bool,
}

impl PersistentConfig<'_> {
    /// Writes everything, or shows it. What fails goes to `problems`.
    #[inline(never)]
    pub fn write<'w, P: Files + Clock + Log + Identity + Programs + KernelNet>(
        &self,
        platform: &'w mut P,
        problems: &'w mut dyn Write,
        show: Option<&'w mut dyn Write>,
    ) -> FilesOutcome {
        let nothing_lasts = *self.manager == none::MANAGER;
        let own_name = platform.host_name();
        let mut work =
            Work { platform, transaction: FileTransaction::default(), problems, show, nothing_lasts, well: true };
        names::write(self, own_name.as_str(), &mut work);
        self.write_managers(&mut work);
        if !work.well {
            work.transaction.give_up(work.platform);
            return FilesOutcome { written: false, undisturbed: true };
        }
        let mut changes = !work.transaction.is_empty();
        let Work { platform, mut transaction, problems, show, mut well, .. } = work;
        transaction.commit(platform, &mut |trouble| {
            note(problems, format_args!("{trouble}"));
            well &= !matches!(trouble, Trouble::Failed(_));
            ControlFlow::Continue(())
        });
        let (doing, mut tidied) = (show.is_none(), true);
        if self.tidy && !self.placed.is_empty() {
            let moved = move_conflicts_aside(self, platform, problems, show);
            changes |= moved.any;
            tidied = moved.all;
        }
        if doing && changes && !self.placed.is_empty() {
            (self.manager.tell)(self, &mut Telling(platform));
        }
        FilesOutcome { written: well, undisturbed: tidied }
    }

    /// Writes the manager's files.
    fn write_managers<P: Files + Log>(&self, work: &mut Work<'_, P>) {
        if self.placed.is_empty() {
            return;
        }
        if self.manager.scope == Scope::AllInterfaces && !self.sound {
            let text = format_args!("the network's file is left as it is, as not all of vm-data makes sense");
            return work.platform.log(Level::Warn, text);
        }
        (self.manager.write)(self, work);
        if self.manager.names_by == NamesBy::Mac {
            return;
        }
        for placed in self.placed.iter().filter(|placed| plain_device(placed).is_none()) {
            let (mac, name) = (placed.interface.mac, self.manager.name);
            let text = format_args!("{mac} has no device that the files of {name} could name; left out");
            work.platform.log(Level::Warn, text);
        }
    }
}

impl<P: Files + Log> ConfigFiles for Work<'_, P> {
    fn is_file(&mut self, path: &str) -> bool {
        let Ok(path) = GuestPath::new(path) else { return false };
        match editable(self.platform, path, &mut LinkTarget::new()) {
            Ok(place) => place.is_some_and(|(_, is_there)| is_there),
            Err(error) => {
                note(self.problems, format_args!("{error}"));
                self.well = false;
                false
            }
        }
    }

    #[inline(never)]
    fn edit(&mut self, path: fmt::Arguments<'_>, mode: u32, edit: Edit<'_>) {
        let path = Bounded::<512>::of(path);
        let Ok(path) = GuestPath::new(path.as_str()) else { return };
        let result = match &mut self.show {
            Some(out) => FileTransaction::show(self.platform, path, edit, *out),
            // What has failed once is given up as a whole.
            None if !self.well => Ok(()),
            None => self.transaction.edit(self.platform, path, mode, Backup::Beside, edit),
        };
        if let Err(error) = result {
            if self.nothing_lasts && error.errno == Errno::ROFS {
                self.platform.log(Level::Warn, format_args!("{error}"));
                return;
            }
            note(self.problems, format_args!("{error}"));
            self.well = false;
        }
    }
}

/// systemd's own sign that it runs the system (sd_booted(3)).
const SYSTEMD: GuestPath<'static> = GuestPath::literal("/run/systemd/system");

/// A platform whose programs are told.
struct Telling<'p, P>(&'p mut P);

impl<P: Files + Programs> Tell for Telling<'_, P> {
    fn start(&mut self, programs: &[Argv<'_>]) {
        self.0.start(programs);
    }

    fn has_systemd(&mut self) -> bool {
        // Where that cannot be told it is not asked for.
        self.0.exists(SYSTEMD).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::managers::registry::{MANAGERS, places};
    use crate::network::model::Placed;
    use crate::network::source::parse::tests::{private, public};
    use crate::test_platform::{FakePlatform, Node};

    /// Files that are changed only where a distribution has them.
    const THERE: [&str; 6] = [
        "/etc/HOSTNAME",
        "/etc/conf.d/hostname",
        "/etc/rc.conf",
        "/etc/sysconfig/network",
        "/etc/sysconfig/network/config",
        "/etc/sysconfig/network/routes",
    ];

    fn written(manager: &'static crate::network::managers::Manager, device: &str, there: &[&str]) -> FakePlatform {
        let mut platform = FakePlatform::with(&[]);
        for path in there {
            platform.put(path, "HOSTNAME=x\nhostname=x\nNETCONFIG_DNS_STATIC_SERVERS=\"\"\ndefault 192.0.2.1\n");
        }
        let interfaces = [public(), private()];
        let placed = [
            Placed { interface: &interfaces[0], device: Some("eth0") },
            Placed { interface: &interfaces[1], device: Some(device) },
        ];
        let (placed, interfaces) = (&placed[..], &interfaces[..]);
        let config = PersistentConfig { manager, hostname: Some("web01"), placed, interfaces, sound: true, tidy: true };
        let mut problems = String::new();
        let done = FilesOutcome { written: true, undisturbed: true };
        assert_eq!(config.write(&mut platform, &mut problems, None), done, "{problems}");
        platform
    }

    #[test]
    fn whatever_directory_files_are_staged_in_is_tidied_after_a_kill() {
        // A file of this name and a directory of this name are not in one guest.
        for there in [&THERE[..4], &THERE[4..]] {
            for manager in MANAGERS.iter().filter(|manager| manager.name != "suse" || there.len() < 4) {
                for path in &written(manager, "eth1", there).staged_beside {
                    let directory = path.rsplit_once('/').unwrap().0;
                    let is_known = places().any(|place| place.split().0 == directory);
                    assert!(is_known, "{}: {path}", manager.name);
                }
            }
        }
    }

    #[test]
    fn a_device_that_a_shell_would_act_on_is_in_no_file() {
        for manager in MANAGERS {
            let platform = written(manager, "$(reboot)", &[]);
            for (path, node) in &platform.nodes {
                let Node::File { contents, .. } = node else { continue };
                let named = path.contains("reboot") || contents.windows(6).any(|window| window == b"reboot");
                // netplan quotes its strings, and no shell reads them.
                assert!(!named || manager.name == "netplan", "{}: {path}", manager.name);
            }
            let told = platform.logged().contains("has no device that the files of");
            assert_eq!(told, manager.names_by == NamesBy::Device, "{}", manager.name);
        }
    }
}
