//! The guest's tree as a toolstack makes it.
//!
//! Guarantees: who owns what is as measured with xl 4.17 ([`Layout::Xl`]), or as xenopsd makes it on XenServer and
//! XCP-ng ([`Layout::Xapi`]), which adds to it. Below `/local/domain/<domid>`:
//!
//! | owner | nodes |
//! |---|---|
//! | the guest | data attr drivers feature error, control/shutdown, control/sysrq, control/feature-*,
//! device/suspend/event-channel |
//! | dom0, readable | the domain itself, name domid vm cpu memory console store device control control/platform-* |
//! | the guest, with Xapi | also control device vm-data messages hvmloader rrd xenserver/attr |

use super::Options;
use super::path;
use super::perms::Perms;
use super::quota::Quotas;
use super::store::Store;
use super::tree::View;

/// Which toolstack made the domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// xl: vm-data cannot be made by the guest, control is read-only.
    #[default]
    Xl,
    /// xenopsd, of XenServer and XCP-ng.
    Xapi,
}

/// Makes the tree of dom0 and of the guest.
pub(super) fn build(store: &mut Store, options: &Options) {
    let quotas = Quotas::default();
    let mut maker = Maker {
        view: View { store, transaction: None, domid: 0, quotas: &quotas, changes: Vec::new() },
        domid: options.domid,
    };
    for node in ["/tool/xenstored", "/local/domain/0/domid", "/local/domain/0/name", "/vm"] {
        maker.view.mkdir(node).expect("dom0 may make everything");
    }
    maker.view.write("/local/domain/0/domid", b"0").expect("dom0 may write everything");
    maker.view.write("/local/domain/0/name", b"Domain-0").expect("dom0 may write everything");
    maker.xl(options);
    if options.layout == Layout::Xapi {
        maker.xapi();
    }
}

struct Maker<'a> {
    view: View<'a>,
    domid: u32,
}

impl Maker<'_> {
    fn xl(&mut self, options: &Options) {
        let (domid, name, vm) = (self.domid.to_string(), options.name.as_str(), format!("/vm/{}", options.uuid));
        self.put(&vm, "", "n0");
        self.put(&format!("{vm}/uuid"), &options.uuid, "n0");
        self.put(&format!("{vm}/name"), name, "n0");
        self.read_only("", "");
        for (node, value) in [
            ("name", name),
            ("domid", &domid),
            ("vm", &vm),
            ("cpu", ""),
            ("cpu/0", ""),
            ("cpu/0/availability", "online"),
            ("memory", ""),
            ("memory/static-max", "262144"),
            ("memory/target", "262144"),
            ("device", ""),
            ("device/suspend", ""),
            ("device/vif", ""),
            ("control", ""),
            ("control/platform-feature-multiprocessor-suspend", "1"),
            ("control/platform-feature-xs_reset_watches", "1"),
            ("console", ""),
            ("store", ""),
        ] {
            self.read_only(node, value);
        }
        for node in [
            "device/suspend/event-channel",
            "control/shutdown",
            "control/sysrq",
            "control/feature-poweroff",
            "control/feature-reboot",
            "control/feature-suspend",
            "data",
            "drivers",
            "feature",
            "attr",
            "error",
        ] {
            self.guests(node);
        }
    }

    fn xapi(&mut self) {
        for node in [
            "device",
            "device/vbd",
            "device/9pfs",
            "device/vif",
            "feature",
            "error",
            "drivers",
            "control",
            "attr",
            "xenserver/attr",
            "data",
            "messages",
            "vm-data",
            "hvmloader",
            "rrd",
        ] {
            self.guests(node);
        }
        // A domain id is new after every migration, and so is this.
        let unique = format!("00000000-0000-4000-8000-{:012x}", self.domid);
        for (node, value) in [
            ("action-request", "poweroff"),
            ("control/has-vendor-device", "0"),
            ("unique-domain-id", unique.as_str()),
            ("platform/acpi", "1"),
            ("platform/viridian", "false"),
            ("bios-strings/bios-vendor", "Xen"),
        ] {
            self.read_only(node, value);
        }
    }

    fn read_only(&mut self, node: &str, value: &str) {
        let (node, perms) = (self.node(node), format!("r{}", self.domid));
        self.put(&node, value, &format!("n0\0{perms}"));
    }

    fn guests(&mut self, node: &str) {
        let (node, perms) = (self.node(node), format!("n{}", self.domid));
        self.put(&node, "", &perms);
    }

    fn node(&self, node: &str) -> String {
        let home = path::home(self.domid);
        if node.is_empty() { home } else { path::join(&home, node) }
    }

    fn put(&mut self, node: &str, value: &str, perms: &str) {
        let perms: Vec<&[u8]> = perms.split('\0').map(str::as_bytes).collect();
        let perms = Perms::parse(&perms).expect("written here");
        self.view.write(node, value.as_bytes()).expect("dom0 may write everything");
        self.view.set_perms(node, perms).expect("dom0 may change everything");
    }
}
