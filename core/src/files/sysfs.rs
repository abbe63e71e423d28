//! What sysfs says of the guest's devices.

use crate::files::read::read_start_if_possible;
use crate::platform::{Files, GuestPath, Log};
use crate::wire::text::{Bounded, number};

/// The number of the VIF that a network device is, as its node in xenstore says; none if it is something else.
#[inline(never)]
pub(crate) fn vif_of<P: Files + Log>(platform: &mut P, device: &str) -> Option<u16> {
    let path = Bounded::<64>::of(format_args!("/sys/class/net/{device}/device/nodename"));
    let mut room = [0; 32];
    let len = read_start_if_possible(platform, GuestPath::new(path.as_str()).ok()?, &mut room)?;
    vif_of_node(room.get(..len)?)
}

/// The number of the VIF whose node is `device/vif/0`.
fn vif_of_node(node: &[u8]) -> Option<u16> {
    number(core::str::from_utf8(node).ok()?.strip_prefix("device/vif/")?.trim_ascii_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vif_is_told_by_its_node() {
        assert_eq!(vif_of_node(b"device/vif/3\n"), Some(3));
        for other in [&b"device/vbd/51712\n"[..], b"device/vif/", b"device/vif/x\n", b"device/vif/-1", b"\xff"] {
            assert_eq!(vif_of_node(other), None);
        }
    }
}
