//! What stands for [`crate::dhcp`] in a build without DHCP: nobody asks.

use nanova_core::network::DhcpMode;
#[cfg(feature = "network")]
use nanova_core::network::Network;
use nanova_core::xenstore::{Client, Error};
use rustix::fd::OwnedFd;

#[cfg(feature = "network")]
use crate::rt::place::Filled;
use crate::system::System;
use crate::xenbus::Xenbus;

/// There is none.
pub(crate) enum Dhcp {}

impl Dhcp {
    #[cfg(feature = "network")]
    pub(crate) fn begin(_: DhcpMode, _: Filled<'static, Network>, _: &mut System<'_>) -> Option<Dhcp> {
        None
    }

    pub(crate) fn read_and_begin(
        _: DhcpMode,
        _: &mut Client<Xenbus<'_>>,
        _: &mut System<'_>,
    ) -> Result<Option<Dhcp>, Error> {
        Ok(None)
    }

    pub(crate) fn ask_again(&mut self, _: &mut System<'_>) {}

    pub(crate) fn listens(&self) -> bool {
        false
    }

    pub(crate) fn lacks_an_address(&self) -> bool {
        false
    }

    pub(crate) fn go_on(&mut self, _: &mut System<'_>) {}

    pub(crate) fn descriptors(&self) -> [Option<&OwnedFd>; 2] {
        [None; 2]
    }

    pub(crate) fn wake_in_ms(&self, _: u64) -> Option<u64> {
        None
    }

    pub(crate) fn look_in_ms(&self, _: u64) -> Option<u64> {
        None
    }
}
