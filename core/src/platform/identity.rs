//! What the running system says of itself.

use crate::wire::errno::Errno;
use crate::wire::text::Bounded;

/// Names of the system, as uname(2) has them.
pub trait Identity {
    /// The system's name.
    fn host_name(&mut self) -> Bounded<64>;
    /// Gives the system its name.
    fn set_host_name(&mut self, name: &str) -> Result<(), Errno>;
    /// The kernel's version.
    fn kernel_release(&mut self) -> Bounded<64>;
}
