//! netctl's `/etc/netctl/nanova-<device>`: Arch Linux of old. Which profiles are enabled is the administrator's to say
//! (`netctl enable`). Rules: netctl.profile(5).

use crate::files::lines::Sink;
use crate::network::managers::manager::{Claim, ConflictingFiles, Manager, NamesBy, PUBLIC, always_goes, tell_nobody};
use crate::network::managers::shared::WRITTEN;
use crate::network::model::Interface;
use crate::platform::GuestPath;
use crate::wire::net::Family;

const DIRECTORY: GuestPath<'static> = GuestPath::literal("/etc/netctl");
const SIGNS: [GuestPath<'static>; 1] = [GuestPath::literal("/usr/bin/netctl")];

/// What nanova knows of it.
pub(super) static MANAGER: Manager = Manager {
    name: "netctl",
    claims: |guest| guest.claim_by(&SIGNS, Claim::IfNobodyElse),
    places: &[GuestPath::literal("/etc/netctl/x")],
    names_by: NamesBy::Device,
    write: |config, files| {
        for (interface, device) in config.devices() {
            let path = format_args!("{DIRECTORY}/nanova-{device}");
            files.write(path, PUBLIC, &mut |out| render(out, interface, device));
        }
    },
    // Ours of interfaces that are gone.
    conflicts: Some(ConflictingFiles {
        directory: DIRECTORY,
        may_be: |config, name| {
            let device = name.strip_prefix("nanova-");
            device.is_some_and(|device| !device.ends_with('~') && config.is_gone(device))
        },
        judge: always_goes,
    }),
    tell: tell_nobody,
};

/// Writes the profile of an interface.
#[inline(never)]
fn render(out: &mut dyn Sink, interface: &Interface, device: &str) {
    write!(out, "{WRITTEN}\nDescription='nanova'\nInterface={device}\nConnection=ethernet\n");
    for (family, six, automatic) in [(Family::V4, "", "dhcp"), (Family::V6, "6", "stateless")] {
        if interface.addresses_of(family).next().is_none() {
            writeln!(out, "IP{six}={}", if interface.speaks_of(family) { "no" } else { automatic });
            continue;
        }
        write!(out, "IP{six}=static\nAddress{six}=(");
        interface.addresses_of(family).for_each(|address| write!(out, "'{address}' "));
        write!(out, ")\nRoutes{six}=(");
        for route in interface.routes.iter().filter(|route| route.via.family() == family) {
            if !interface.is_plain_gateway(route) {
                write!(out, "'{route}{}' ", if interface.is_far(route.via) { " onlink" } else { "" });
            }
        }
        out.put(")\n");
        if let Some(via) = interface.gateway(family).filter(|via| !interface.is_far(*via)) {
            writeln!(out, "Gateway{six}='{via}'");
        }
    }
    out.put("DNS=(");
    interface.dns.iter().for_each(|server| write!(out, "'{server}' "));
    out.put(")\n");
    if let Some(mtu) = interface.mtu.map(u64::from) {
        // netctl has no key for it.
        writeln!(out, "ExecUpPost='ip link set dev {device} mtu {mtu}'");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::source::parse::tests::public;

    #[test]
    fn the_profile_of_a_real_guest() {
        let mut text = String::new();
        render(&mut text, &public(), "eth0");
        assert_eq!(
            text,
            "# Written by nanova from vm-data in xenstore.\nDescription='nanova'\nInterface=eth0\nConnection=ethernet\n\
             IP=static\nAddress=('166.78.10.124/24' )\nRoutes=()\nGateway='166.78.10.1'\n\
             IP6=static\nAddress6=('2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64' )\nRoutes6=()\nGateway6='fe80::def'\n\
             DNS=('72.3.128.241' '72.3.128.240' )\n"
        );
    }
}
