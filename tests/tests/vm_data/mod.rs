//! A guest with vm-data, and `nanova network` in network and host name namespaces of its own.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::Result;
use nanova_tests::agent::binary;
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::xenstored::{Options, Xenstored};

/// The first real value that is known of such a guest.
#[allow(dead_code, reason = "not every test file has it")]
pub(crate) const PUBLIC: &str = r#"{"broadcast": "166.78.10.255", "dns": ["72.3.128.241", "72.3.128.240"],
    "gateway": "166.78.10.1", "gateway_v6": "fe80::def", "label": "public", "mac": "BC:76:4E:04:CF:E5",
    "ip6s": [{"enabled": "1", "gateway": "fe80::def", "ip": "2001:4800:7810:0512:e38a:a8b5:ff04:cfe5", "netmask": 64}],
    "ips": [{"enabled": "1", "gateway": "166.78.10.1", "ip": "166.78.10.124", "netmask": "255.255.255.0"},
            {"enabled": "1", "gateway": "166.78.10.1", "ip": "166.78.11.7", "netmask": "255.255.255.255"},
            {"enabled": "0", "gateway": "166.78.10.1", "ip": "166.78.12.7", "netmask": "255.255.255.0"}]}"#;
/// Its other interface.
pub(crate) const PRIVATE: &str = r#"{"label": "private", "broadcast": "10.181.127.255", "dns": [], "mac": "BC:76:4E:04:D9:36",
    "ips": [{"ip": "10.181.30.181", "netmask": "255.255.128.0", "enabled": "1", "gateway": null}], "gateway": null,
    "routes": [{"route": "10.208.0.0", "netmask": "255.240.0.0", "gateway": "10.181.0.1"}]}"#;

/// Shell: the two interfaces, as the kernel finds them.
#[allow(dead_code, reason = "not every test file makes them")]
pub(crate) const LINKS: &str = "ip link add eth0 address bc:76:4e:04:cf:e5 type veth peer name peer0
    ip link add eth1 address bc:76:4e:04:d9:36 type veth peer name peer1
    ip link set peer0 up; ip link set peer1 up; ip link set lo up\n";

/// The guest.
pub(crate) struct Guest {
    pub(crate) xenstored: Xenstored,
    pub(crate) root: GuestRoot,
}

impl Guest {
    /// With both interfaces and a name.
    #[allow(dead_code, reason = "not every test file has one")]
    pub(crate) fn new() -> Result<Guest> {
        let guest = Guest::bare()?;
        guest.write("hostname", "web01.example.org")?;
        guest.write("networking/BC764E04CFE5", PUBLIC)?;
        guest.write("networking/BC764E04D936", PRIVATE)?;
        Ok(guest)
    }

    /// Without vm-data.
    pub(crate) fn bare() -> Result<Guest> {
        Ok(Guest { xenstored: Xenstored::start(Options::default())?, root: GuestRoot::new()? })
    }

    /// The host writes below vm-data.
    pub(crate) fn write(&self, path: &str, value: &str) -> Result<()> {
        Ok(self.xenstored.host().write(&format!("{}/vm-data/{path}", self.xenstored.home()), value)?)
    }

    /// Runs `nanova network` with these options where there are no interfaces.
    #[allow(dead_code, reason = "not every test file does")]
    pub(crate) fn network(&self, options: &str) -> Result<Output> {
        self.shell(&format!("$NANOVA {options}"))
    }

    /// Runs a script in namespaces of its own; `$NANOVA` in it is `nanova network` on this guest, `$AGENT` a `nanova
    /// agent` that serves what waits, `$ROOT` the guest's root and `$RUN` its /run.
    pub(crate) fn shell(&self, script: &str) -> Result<Output> {
        let nanova = |command: &str| {
            let (xenbus, root) = (self.xenstored.guest_socket(), self.root.path());
            format!("{} {command} --xenbus {} --root {}", binary().display(), xenbus.display(), root.display())
        };
        let output = Command::new("unshare")
            .args(["--net", "--uts", "--mount", "sh", "-ec", script])
            .env("NANOVA", nanova("network --network both"))
            .env("AGENT", nanova("agent --once --network both"))
            .env("ROOT", self.root.path())
            .env("RUN", self.root.join("run"))
            .output()?;
        Ok(output)
    }

    /// What it was handed over.
    #[allow(dead_code, reason = "not every test file asks")]
    pub(crate) fn files(&self) -> Vec<String> {
        self.root.files().into_iter().filter(|file| file.starts_with("run/")).collect()
    }
}

/// Standard output; panics with all that was said if the script failed.
#[allow(dead_code, reason = "not every test file does")]
pub(crate) fn succeeded(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Whether a file is there, for readers of which there are two places.
#[allow(dead_code, reason = "not every test file asks")]
pub(crate) fn first_of<'a>(places: &[&'a str]) -> &'a str {
    places.iter().find(|place| Path::new(place).exists()).unwrap_or_else(|| panic!("none of {places:?} is there"))
}
