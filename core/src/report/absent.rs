//! A build without the feature `report`: there is nothing to publish, ever.

use crate::xenstore::{Client, Error, Transport};

/// The token of a watch that is never set.
pub const LIFE_TOKEN: &str = "nanova-life";

/// Nothing.
pub struct Report;

impl Report {
    /// Nothing.
    pub const fn new(_interval: u32, _takes_addresses: bool) -> Report {
        Report
    }

    /// Does nothing.
    pub fn start<T: Transport>(&mut self, _client: &mut Client<T>) -> Result<(), Error> {
        Ok(())
    }

    /// No.
    pub fn takes_addresses(&self) -> bool {
        false
    }

    /// Does nothing.
    pub fn begin_anew(&mut self) {}

    /// Does nothing.
    pub fn link_changed(&mut self) {}

    /// No.
    pub fn is_pausing(&self, _now: u64) -> bool {
        false
    }

    /// No.
    pub fn knows_time(&self) -> bool {
        false
    }

    /// Never.
    pub fn due_in(&self, _now: u64) -> Option<u64> {
        None
    }

    /// Does nothing.
    pub fn run<T: Transport, P>(
        &mut self,
        _client: &mut Client<T>,
        _platform: &mut P,
        _may_set: fn(&mut P) -> bool,
        _now: u64,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// Does nothing.
    pub fn take_volumes<T: Transport, P>(&mut self, _client: &mut Client<T>, _platform: &mut P) -> Result<bool, Error> {
        Ok(false)
    }
}
