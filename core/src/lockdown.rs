//! `--lockdown`: what an agent keeps that gives up all it does not need.
//!
//! Here is decided what that is, by what the agent is there for; the agent's binary takes the rest away from itself
//! with seccomp(2), landlock(7) and capset(2). What nobody needs who runs no program, loads no module and mounts
//! nothing is not a question of these duties: `agent/syscalls/locked.txt` says it when the binary is built.

#[cfg(feature = "commands")]
use crate::account;
use crate::platform::Files;

/// What becomes of a system call that the filter does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// It fails with EPERM, and the kernel's audit has a line of it.
    Fails,
    /// It ends the agent.
    Kills,
}

/// What an agent is there for, as far as it makes a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duties {
    /// It sets root's password.
    pub passwords: bool,
    /// It writes the host's files, wherever the host says.
    pub injection: bool,
    /// It sets addresses, routes and names, in the kernel or in files.
    pub network: bool,
    /// It asks DHCP.
    pub dhcp: bool,
    /// It looks at volumes.
    pub volumes: bool,
    /// It sets processors and memory online.
    pub hotplug: bool,
}

const ROOT: &str = "/";
/// Of all accounts and of all network managers.
const SETTINGS: &str = "/etc";
/// Leases are noted here, for the agent to come, and handed over to others.
#[cfg(feature = "dhcp")]
const LEASES: &str = "/run";
/// Processors and memory are set online here; and how long a suspended guest waits for its programs.
const ONLINE: [&str; 2] = ["/sys/devices/system", "/sys/power"];

/// Capabilities by their numbers (Linux, `include/uapi/linux/capability.h`).
mod capability {
    pub(super) const CHOWN: u64 = 1 << 0;
    pub(super) const DAC_OVERRIDE: u64 = 1 << 1;
    pub(super) const DAC_READ_SEARCH: u64 = 1 << 2;
    pub(super) const FOWNER: u64 = 1 << 3;
    pub(super) const FSETID: u64 = 1 << 4;
    pub(super) const NET_BIND_SERVICE: u64 = 1 << 10;
    pub(super) const NET_ADMIN: u64 = 1 << 12;
    pub(super) const NET_RAW: u64 = 1 << 13;
    pub(super) const SYS_ADMIN: u64 = 1 << 21;
    pub(super) const SETFCAP: u64 = 1 << 31;
}

impl Duties {
    /// The capabilities that these duties take, as capset(2) has them.
    pub fn capabilities(&self) -> u64 {
        let mut kept = 0;
        if self.passwords || self.injection || self.network || self.dhcp {
            // A file that takes another one's place has its owner, mode and attributes, in whoever's directory it is.
            kept |= capability::CHOWN | capability::DAC_OVERRIDE | capability::FOWNER | capability::FSETID;
            kept |= capability::SETFCAP;
        }
        if self.network || self.dhcp {
            // The host name is the second one's.
            kept |= capability::NET_ADMIN | capability::SYS_ADMIN;
        }
        if self.dhcp {
            // A server is asked, and answers, from and to port 68 (RFC 2131, 4.1).
            kept |= capability::NET_RAW | capability::NET_BIND_SERVICE;
        }
        if self.volumes {
            kept |= capability::DAC_READ_SEARCH;
        }
        kept
    }

    /// Calls `each` with every directory below which these duties have written: files come, go and change there. A link
    /// of an account's file is followed as it is now: whoever leads it elsewhere later starts the agent again.
    pub fn writes<P: Files>(&self, platform: &mut P, each: &mut dyn FnMut(&mut P, &str)) {
        if self.injection {
            return each(platform, ROOT);
        }
        if self.passwords || self.network || self.dhcp {
            each(platform, SETTINGS);
        }
        #[cfg(feature = "commands")]
        if self.passwords {
            account::shadow::for_each_place(platform, &mut |platform, place| each(platform, place.split().0));
        }
        #[cfg(feature = "dhcp")]
        if self.dhcp {
            each(platform, LEASES);
        }
        if self.hotplug {
            ONLINE.into_iter().for_each(|directory| each(platform, directory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_platform::{FakePlatform, Node};

    fn writes(duties: Duties, platform: &mut FakePlatform) -> Vec<String> {
        let mut all = Vec::new();
        duties.writes(platform, &mut |_, directory| all.push(directory.to_owned()));
        all
    }

    #[test]
    fn an_agent_that_only_reports_writes_nowhere_and_keeps_what_reads_volumes() {
        let duties = Duties { volumes: true, ..Duties::default() };
        assert_eq!(writes(duties, &mut FakePlatform::with(&[])), [""; 0]);
        assert_eq!(duties.capabilities(), 1 << 2);
        assert_eq!(Duties::default().capabilities(), 0);
    }

    #[test]
    fn a_password_is_written_below_etc_and_where_its_files_lie() {
        let duties = Duties { passwords: true, ..Duties::default() };
        let mut platform = FakePlatform::with(&[("/data/accounts/shadow", "root:*:1:\n"), ("/etc/passwd", "")]);
        platform.nodes.insert("/etc/shadow".into(), Node::Symlink("/data/accounts/shadow"));
        assert_eq!(writes(duties, &mut platform), ["/etc", "/data/accounts", "/etc"]);
        // No network, no other's memory, no device: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETFCAP.
        assert_eq!(duties.capabilities(), 0x8000_001b);
    }

    #[test]
    fn injection_writes_anywhere_and_a_network_below_etc() {
        let mut platform = FakePlatform::with(&[]);
        let injection = Duties { injection: true, passwords: true, network: true, hotplug: true, ..Duties::default() };
        assert_eq!(writes(injection, &mut platform), ["/"]);
        let network = Duties { network: true, ..Duties::default() };
        assert_eq!(writes(network, &mut platform), ["/etc"]);
        assert_eq!(network.capabilities(), 0x8000_001b | 1 << 12 | 1 << 21);
        assert_eq!(Duties { injection: true, ..Duties::default() }.capabilities(), 0x8000_001b);
        let dhcp = Duties { dhcp: true, ..Duties::default() };
        assert_eq!(dhcp.capabilities(), network.capabilities() | 1 << 13 | 1 << 10);
        assert_eq!(writes(dhcp, &mut platform), ["/etc", "/run"]);
        let hotplug = Duties { hotplug: true, ..Duties::default() };
        assert_eq!(writes(hotplug, &mut platform), ["/sys/devices/system", "/sys/power"]);
    }
}
