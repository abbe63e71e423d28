//! Attributes of the kernel's devices, which are files that are there already.

use super::path::GuestPath;
use crate::wire::errno::Errno;

/// Attributes.
pub trait Sysfs {
    /// Writes a value to an attribute; nothing is made that is not there.
    fn set_attribute(&mut self, path: GuestPath<'_>, value: &str) -> Result<(), Errno>;
}
