//! A guest whose interfaces are VIFs, as a toolstack sees it: its files, its addresses in a network namespace, its
//! keys.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::agent::{Agent, binary};
use crate::guest_root::GuestRoot;
use crate::xenstored::{Client, Layout, Options, Xenstored};

/// 1 GB, most of it free.
pub const MEMINFO: &str = "MemTotal:        1014772 kB\nMemFree:          800000 kB\nMemAvailable:     900000 kB\n";
const MOUNTS: &str = "22 1 202:1 / / rw shared:1 - ext4 /dev/xvda1 rw\n23 22 0:21 / /proc rw - proc proc rw\n";

/// A guest: files such as a Debian has, and interfaces of VIFs 0 and 1 called eth0 and enX1.
pub struct Guest {
    /// Its host's xenstored.
    pub xenstored: Xenstored,
    /// Its root directory, with what the agent reads of /proc and /sys.
    pub root: GuestRoot,
}

impl Guest {
    /// Such a guest with the permissions of this toolstack; no agent runs in it yet.
    pub fn new(layout: Layout) -> Result<Guest> {
        let guest =
            Guest { xenstored: Xenstored::start(Options { layout, ..Options::default() })?, root: GuestRoot::new()? };
        guest.file("etc/debian_version", "12.5\n")?;
        guest.file("proc/meminfo", MEMINFO)?;
        guest.file("proc/self/mountinfo", MOUNTS)?;
        guest.file("sys/class/net/eth0/device/nodename", "device/vif/0\n")?;
        guest.file("sys/class/net/enX1/device/nodename", "device/vif/1\n")?;
        fs::create_dir_all(guest.root.join("sys/devices/system/xen_memory/xen_memory0"))?;
        Ok(guest)
    }

    /// Writes a file of the guest's.
    pub fn file(&self, path: &str, contents: &str) -> Result<()> {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().context("not the root")?)?;
        Ok(fs::write(path, contents)?)
    }

    /// The value of a key of the guest's.
    pub fn get(&self, key: &str) -> Option<String> {
        self.xenstored.host().get(&format!("{}/{key}", self.xenstored.home())).expect("the host may read all")
    }

    /// All keys and values below one of the guest's, sorted.
    pub fn tree(&self, below: &str) -> Vec<String> {
        let mut found = Vec::new();
        let home = self.xenstored.home();
        walk(&mut self.xenstored.host(), &format!("{home}/{below}"), home.len() + 1, &mut found);
        found.sort();
        found
    }

    /// A command of nanova's for this guest, in namespaces of its own in which these interfaces were made.
    pub fn command(&self, links: &str, call: &str) -> Command {
        let (xenbus, root) = (self.xenstored.guest_socket(), self.root.path());
        let nanova = format!("{} {call} --xenbus {} --root {}", binary().display(), xenbus.display(), root.display());
        let mut command = Command::new("unshare");
        command.args(["--net", "--uts", "sh", "-ec", &format!("hostname web01; {links}\nexec {nanova}")]);
        command
    }

    /// The agent in namespaces of its own, after a script that makes its interfaces.
    pub fn agent(&self, links: &str, options: &str) -> Agent {
        Agent::spawn(self.command(links, &format!("agent --network both {options}")))
    }
}

fn walk(host: &mut Client, path: &str, skip: usize, found: &mut Vec<String>) {
    let Ok(names) = host.list(path) else { return };
    for name in names {
        let path = format!("{path}/{name}");
        if let Ok(Some(value)) = host.get(&path)
            && !value.is_empty()
        {
            found.push(format!("{}={value}", &path[skip..]));
        }
        walk(host, &path, skip, found);
    }
}

/// Runs a script in the agent's network namespace.
pub fn inside(agent: &Agent, script: &str) -> Result<()> {
    let pid = agent.pid().to_string();
    let output = Command::new("nsenter").args(["--target", &pid, "--net", "sh", "-ec", script]).output()?;
    anyhow::ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Two interfaces with links, the first with an address.
pub const LINKS: &str = "ip link add eth0 type veth peer name far0; ip link set far0 up; ip link set eth0 up
    ip link add enX1 type veth peer name far1; ip link set far1 up; ip link set enX1 up
    ip address add 10.0.0.5/24 dev eth0";

/// Has XAPI set addresses of a VIF, as xenopsd writes them.
pub fn set_addresses(guest: &Guest, vif: u32, values: &[(&str, &str)]) -> Result<()> {
    let home = guest.xenstored.home();
    let directory = format!("{home}/xenserver/device/vif/{vif}/static-ip-setting");
    let mut host = guest.xenstored.host();
    host.transaction(|host| {
        for (key, value) in [("error-code", ""), ("error-msg", "")].iter().chain(values) {
            host.write(&format!("{directory}/{key}"), value)?;
            host.set_perms(&format!("{directory}/{key}"), "n7")?;
        }
        let mut node = directory.as_str();
        while node.len() > home.len() {
            host.set_perms(node, "n7")?;
            node = &node[..node.rfind('/').unwrap_or(0)];
        }
        Ok(())
    })?;
    Ok(())
}
