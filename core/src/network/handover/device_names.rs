//! The names that network interfaces will have in the real root.
//!
//! udev gives an interface its name when it comes; before Linux 6.2 it cannot if the interface is up. A first process
//! that is no udev therefore asks the real root's, and renames before it hands over: what is written for the interface
//! then, now and by a later `resetnetwork`, is right at the next boot, too, whoever sets up the network then.
//!
//! What udev says is taken for a name only if the kernel would take it and a file can be called so. A link that was
//! down stays down, and is udev's to name.

use heapless::Vec;

use crate::network::model::{INTERFACES_MAX, Interface, is_plain};
use crate::platform::KernelNet;
use crate::wire::errno::Errno;
use crate::wire::net::Device;
use crate::wire::netlink::{Message, Reply};

/// Links that are up: the number and the name of each.
pub type LinksUp = Vec<(u32, Device), INTERFACES_MAX>;

/// The links that are up and carry one of these interfaces. Of more than there is room for the rest keep their names.
pub fn links_up<N: KernelNet>(netlink: &mut N, interfaces: &[Interface]) -> Result<LinksUp, Errno> {
    let mut links = LinksUp::new();
    netlink.ask(&Message::dump_links(1), &mut |reply| {
        if let Reply::Link(link) = reply
            && link.up
            && interfaces.iter().any(|interface| link.mac == Some(interface.mac))
        {
            let _ = links.push((link.index, link.name.clone()));
        }
    })?;
    Ok(links)
}

/// The name in what `udevadm test` prints: the property `ID_NET_NAME`, which udev's own rule for names takes
/// (systemd, `rules.d/80-net-setup-link.rules`).
pub fn name_in(printed: &[u8]) -> Option<Device> {
    let mut lines = printed.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let name = core::str::from_utf8(lines.find_map(|line| line.strip_prefix(b"ID_NET_NAME="))?).ok()?;
    is_plain(name).then(|| Device::try_from(name).ok())?
}

/// Renames a link. One that cannot be renamed while it is up is taken down, and left so: who calls this brings up what
/// is to be up, with all that it lost.
pub fn rename<N: KernelNet>(netlink: &mut N, index: u32, name: &Device) -> Result<(), Errno> {
    let mut ask = |message: &Message| netlink.ask(message, &mut |_| {});
    match ask(&Message::rename(2, index, name)) {
        Err(Errno::BUSY) => {
            ask(&Message::link_down(3, index))?;
            ask(&Message::rename(4, index, name))
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::source::parse::tests::{private, public};
    use crate::wire::net::Mac;
    use crate::wire::netlink::Link;

    #[test]
    fn the_name_is_found_wherever_it_stands() {
        let printed = b"DEVPATH=/devices/vif-0/net/eth0\nID_NET_NAME_SLOT=enX9\n  ID_NET_NAME=enX0\nACTION=add\n";
        assert_eq!(name_in(printed).as_deref(), Some("enX0"));
        assert_eq!(name_in(b"ID_NET_NAME=lan").as_deref(), Some("lan"));
        for none in [
            "",
            "ID_NET_NAME_SLOT=enX0\n",
            "ID_NET_NAME=\n",
            "ID_NET_NAME=../x\n",
            "ID_NET_NAME=a b\n",
            "ID_NET_NAME=sixteenletters16\n",
            "X=ID_NET_NAME=enX0\n",
        ] {
            assert_eq!(name_in(none.as_bytes()), None, "{none}");
        }
        assert_eq!(name_in(b"ID_NET_NAME=\xff\n"), None);
    }

    /// A kernel with four links.
    struct Links;

    impl KernelNet for Links {
        fn ask(&mut self, _: &Message, each: &mut dyn FnMut(&Reply)) -> Result<(), Errno> {
            let (ours, other) = (private().mac, Mac([2; 6]));
            for (index, name, mac, up) in
                [(1, "lo", None, true), (2, "eth0", Some(ours), true), (3, "eth1", Some(other), true)]
            {
                let name = Device::try_from(name).unwrap();
                each(&Reply::Link(Link { index, name, mac, up, ..Link::default() }));
            }
            each(&Reply::Link(Link { index: 4, mac: Some(public().mac), ..Link::default() }));
            Ok(())
        }
    }

    #[test]
    fn only_what_is_up_and_ours_is_renamed() {
        let links = links_up(&mut Links, &[public(), private()]).unwrap();
        assert_eq!(links, [(2, Device::try_from("eth0").unwrap())]);
    }

    /// A kernel that renames nothing that is up, and what it was asked.
    struct OldKernel {
        asked: std::vec::Vec<Message>,
        is_up: bool,
        refuses: Option<Errno>,
    }

    impl KernelNet for OldKernel {
        fn ask(&mut self, message: &Message, _: &mut dyn FnMut(&Reply)) -> Result<(), Errno> {
            self.asked.push(message.clone());
            if *message == Message::link_down(message.sequence(), 7) {
                self.is_up = false;
                return self.refuses.map_or(Ok(()), Err);
            }
            if self.is_up { Err(Errno::BUSY) } else { Ok(()) }
        }
    }

    #[test]
    fn a_link_is_taken_down_only_where_the_kernel_wants_it() {
        let name = Device::try_from("enX0").unwrap();
        let mut kernel = OldKernel { asked: vec![], is_up: true, refuses: None };
        assert_eq!(rename(&mut kernel, 7, &name), Ok(()));
        let (down, again) = (Message::link_down(3, 7), Message::rename(4, 7, &name));
        assert_eq!(kernel.asked, [Message::rename(2, 7, &name), down, again]);
        kernel.asked.clear();
        assert_eq!(rename(&mut kernel, 7, &name), Ok(()));
        assert_eq!(kernel.asked, [Message::rename(2, 7, &name)]);
        let mut kernel = OldKernel { asked: vec![], is_up: true, refuses: Some(Errno::PERM) };
        assert_eq!(rename(&mut kernel, 7, &name), Err(Errno::PERM));
        assert_eq!(kernel.asked.len(), 2);
    }
}
