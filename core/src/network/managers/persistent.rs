//! Making the network last: a guest's name and name servers, its manager's files, and what becomes of files that say
//! otherwise.
//!
//! /etc/hostname, /etc/hosts and /etc/resolv.conf are ours whoever manages the network (`names`). All files are staged
//! before the first is replaced; files that would undo them are moved aside (`conflicts`); then the manager is told.

use core::fmt::{self, Write};
use core::ops::ControlFlow;

use crate::files::lines::Edit;
use crate::files::replace::{move_aside, warn_of};
use crate::files::transaction::{Backup, FileTransaction, Trouble, editable};
use crate::network::managers::conflicts::move_conflicts_aside;
use crate::network::managers::manager::{ConfigFiles, Maker, NamesBy, PersistentConfig, Tell, plain_device};
use crate::network::managers::{names, none};
use crate::network::problems::{FilesOutcome, Findings, Problems};
use crate::platform::{
    Argv, Clock, FileError, FileKind, Files, GuestPath, Identity, KernelNet, Level, LinkTarget, Log, Programs,
};
use crate::wire::errno::Errno;
use crate::wire::text::{Bounded, text_at_start};

/// The work on the files.
struct Work<'w, P: Files + Log> {
    platform: &'w mut P,
    transaction: FileTransaction<P::Staged>,
    problems: &'w mut Problems,
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
        problems: &'w mut Problems,
        show: Option<&'w mut dyn Write>,
    ) -> FilesOutcome {
        let nothing_lasts = *self.manager == none::MANAGER;
        let mut work =
            Work { platform, transaction: FileTransaction::default(), problems, show, nothing_lasts, well: true };
        names::write(self, &mut work);
        self.write_managers(&mut work);
        if !work.well {
            work.transaction.give_up(work.platform);
            return FilesOutcome { written: false, undisturbed: true };
        }
        let mut changes = !work.transaction.is_empty();
        let Work { platform, mut transaction, problems, show, mut well, .. } = work;
        transaction.commit(platform, &mut |platform, trouble| {
            Findings { log: platform, problems }.fail(format_args!("{trouble}"));
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
            (self.manager.tell)(self, &mut Telling { platform, problems });
        }
        FilesOutcome { written: well, undisturbed: tidied }
    }

    /// Writes the manager's files.
    fn write_managers<P: Files + Clock + Log>(&self, work: &mut Work<'_, P>) {
        if self.placed.is_empty() {
            return;
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

impl<P: Files + Log> Work<'_, P> {
    /// Something has failed.
    fn fail(&mut self, error: &FileError<'_>) {
        Findings { log: self.platform, problems: self.problems }.fail(format_args!("{error}"));
        self.well = false;
    }
}

impl<P: Files + Clock + Log> ConfigFiles for Work<'_, P> {
    fn is_file(&mut self, path: &str) -> bool {
        let Ok(path) = GuestPath::new(path) else { return false };
        match editable(self.platform, path, &mut LinkTarget::new()) {
            Ok(place) => place.is_some_and(|(_, is_there)| is_there),
            Err(error) => {
                self.fail(&error);
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
            self.fail(&error);
        }
    }

    fn warn(&mut self, text: fmt::Arguments<'_>) {
        self.platform.log(Level::Warn, text);
    }

    fn exists(&mut self, paths: &[GuestPath<'static>]) -> bool {
        // Where that cannot be told it is not.
        paths.iter().any(|path| self.platform.exists(*path).unwrap_or(false))
    }

    #[inline(never)]
    fn make_way(&mut self, path: GuestPath<'static>, makers: &[Maker]) {
        let is_dangling =
            self.platform.kind(path) == Ok(Some(FileKind::Symlink)) && self.platform.exists(path) == Ok(false);
        let mut room = [0; LINK_MAX];
        let Some(len) = self.platform.read_link(path, &mut room).ok().filter(|_| is_dangling) else { return };
        let target = text_at_start(room.get(..len).unwrap_or_default());
        let maker = makers.iter().find(|(directory, _)| target.split('/').any(|name| name == *directory));
        let mut findings = Findings { log: self.platform, problems: self.problems };
        let Some((_, signs)) = maker else {
            return findings
                .leave_out(format_args!("{path} leads to {target}, which is not there, and stays as it is"));
        };
        if self.exists(signs) {
            return;
        }
        if let Some(out) = &mut self.show {
            let _ = writeln!(out, "move aside {path}");
            return;
        }
        match move_aside(self.platform, path) {
            Ok(unsynced) => warn_of(self.platform, &unsynced),
            Err(error) if self.nothing_lasts => self.platform.log(Level::Warn, format_args!("{error}")),
            Err(error) => Findings { log: self.platform, problems: self.problems }.fail(format_args!("{error}")),
        }
    }
}

/// As much as is looked at of where a link leads.
const LINK_MAX: usize = 128;

/// systemd's own sign that it runs the system (sd_booted(3)).
const SYSTEMD: GuestPath<'static> = GuestPath::literal("/run/systemd/system");

/// A platform whose programs are told.
struct Telling<'p, P> {
    platform: &'p mut P,
    problems: &'p mut Problems,
}

impl<P: Files + Programs + Log> Tell for Telling<'_, P> {
    fn start(&mut self, programs: &[Argv<'_>]) {
        if !self.platform.are_locked() {
            return self.platform.start(programs);
        }
        for program in programs {
            let path = program.first().and_then(|path| path.to_str().ok()).unwrap_or_default();
            if GuestPath::new(path).is_ok_and(|path| self.platform.exists(path).unwrap_or(false)) {
                Findings { log: self.platform, problems: self.problems }
                    .leave_out(format_args!("{path} is not told, as nanova runs with --lockdown"));
            }
        }
    }

    fn has_systemd(&mut self) -> bool {
        // Where that cannot be told it is not asked for.
        self.platform.exists(SYSTEMD).unwrap_or(false)
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
        let config = PersistentConfig {
            manager,
            hostname: Some("web01"),
            former_name: "",
            placed,
            interfaces,
            sound: true,
            tidy: true,
        };
        let mut problems = Problems::new();
        let done = FilesOutcome { written: true, undisturbed: true };
        assert_eq!(config.write(&mut platform, &mut problems, None), done);
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

    /// What becomes of these when a guest is called web01, with a name server.
    fn named(platform: &mut FakePlatform, manager: &str, hostname: &str) -> (FilesOutcome, String) {
        let manager = crate::network::managers::registry::named(manager).unwrap();
        let interfaces = [public()];
        let placed = [Placed { interface: &interfaces[0], device: Some("eth0") }];
        let config = PersistentConfig {
            manager,
            hostname: Some(hostname),
            former_name: "",
            placed: &placed,
            interfaces: &interfaces,
            sound: true,
            tidy: true,
        };
        let mut problems = Problems::new();
        let outcome = config.write(platform, &mut problems, None);
        (outcome, problems.message(platform).as_str().to_owned())
    }

    const WELL: FilesOutcome = FilesOutcome { written: true, undisturbed: true };

    #[test]
    fn a_link_that_nobody_will_make_lead_anywhere_makes_way_for_resolv_conf() {
        let resolved = "/etc/systemd/system/multi-user.target.wants/systemd-resolved.service";
        let stub = "/run/systemd/resolve/stub-resolv.conf";
        for (target, sign, leads) in [
            (stub, "", true),
            (stub, resolved, false),
            ("/run/NetworkManager/resolv.conf", "", true),
            ("/run/NetworkManager/resolv.conf", "/usr/sbin/NetworkManager", false),
            ("/run/resolvconf/resolv.conf", "", true),
            ("/run/resolvconf/resolv.conf", "/sbin/resolvconf", false),
        ] {
            let mut platform = FakePlatform::with(&[]);
            platform.nodes.insert("/etc/resolv.conf".to_owned(), Node::Symlink(target));
            if !sign.is_empty() {
                platform.put(sign, "");
            }
            assert_eq!(named(&mut platform, "none", "web01"), (WELL, String::new()));
            let is_file = matches!(platform.nodes["/etc/resolv.conf"], Node::File { .. });
            assert_eq!(is_file, leads, "{target} {sign}");
            let aside = platform.nodes.get("/etc/.resolv.conf.1700000000.bak~");
            assert_eq!(aside == Some(&Node::Symlink(target)), leads);
        }
        // One that leads somewhere stays, whoever's it is; and one of nobody known that leads nowhere, which is told.
        let mut platform = FakePlatform::with(&[(stub, "")]);
        platform.nodes.insert("/etc/resolv.conf".to_owned(), Node::Symlink(stub));
        assert_eq!(named(&mut platform, "none", "web01"), (WELL, String::new()));
        platform.nodes.insert("/etc/resolv.conf".to_owned(), Node::Symlink("/run/resolv.conf"));
        let why = "left out: /etc/resolv.conf leads to /run/resolv.conf, which is not there, and stays as it is";
        assert_eq!(named(&mut platform, "none", "web01"), (WELL, why.to_owned()));
        assert_eq!(platform.nodes["/etc/resolv.conf"], Node::Symlink("/run/resolv.conf"));
    }

    #[test]
    fn old_systems_that_read_the_name_nowhere_else_get_it_where_they_do() {
        let name = |there: &[&str]| {
            let mut platform = FakePlatform::with(&[("/etc/sysconfig/network", "NETWORKING=yes\n")]);
            there.iter().for_each(|path| platform.put(path, ""));
            named(&mut platform, "none", "web01");
            let suse = platform.nodes.contains_key("/etc/HOSTNAME");
            (platform.text("/etc/sysconfig/network").contains("HOSTNAME=\"web01\"\n"), suse)
        };
        assert_eq!(name(&[]), (false, false));
        assert_eq!(name(&["/etc/redhat-release"]), (true, false), "RHEL 6");
        assert_eq!(name(&["/etc/redhat-release", "/etc/os-release"]), (false, false), "RHEL 7");
        assert_eq!(name(&["/etc/SuSE-release", "/etc/os-release"]), (false, true), "SLES 11");
        assert_eq!(name(&["/etc/SuSE-release", "/usr/lib/systemd/systemd"]), (false, false), "SLES 12");
    }

    #[test]
    fn a_name_longer_than_the_kernel_takes_is_whole_in_hosts_alone() {
        let long = format!("web01.{}.example.org", "a".repeat(63));
        let mut platform = FakePlatform::with(&[("/etc/rc.conf", "HOSTNAME=x\n")]);
        named(&mut platform, "none", &long);
        assert_eq!(platform.text("/etc/hostname"), "web01\n");
        assert_eq!(platform.text("/etc/rc.conf"), "HOSTNAME=\"web01\"\n");
        assert!(platform.text("/etc/hosts").starts_with(&format!("166.78.10.124\t{long} web01 # nanova\n")));
    }

    #[test]
    fn nm_controlled_goes_where_nobody_but_network_manager_brings_the_interface_up() {
        let path = "/etc/sysconfig/network-scripts/ifcfg-eth0";
        let has = |there: &[&str]| {
            let mut platform = FakePlatform::with(&[(path, "NM_CONTROLLED=no\nZONE=x\n")]);
            there.iter().for_each(|path| platform.put(path, ""));
            named(&mut platform, "ifcfg", "web01");
            platform.text(path).contains("NM_CONTROLLED=no\n")
        };
        assert!(!has(&["/usr/sbin/NetworkManager"]));
        assert!(has(&["/usr/sbin/NetworkManager", "/etc/rc.d/init.d/network"]));
        assert!(has(&[]));
    }
}
