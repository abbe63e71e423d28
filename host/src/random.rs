//! Random bytes of the kernel's.

use rustix::rand::{GetRandomFlags, getrandom};
use zeroize::Zeroizing;

use crate::fault::Fault;

/// So many of them.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Fault> {
    let mut bytes = Zeroizing::new([0; N]);
    match getrandom(&mut bytes[..], GetRandomFlags::empty()) {
        Ok(len) if len == N => Ok(bytes),
        _ => Err(Fault::here("the kernel gives no random bytes")),
    }
}
