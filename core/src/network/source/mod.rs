//! Where the network comes from: what the host says in vm-data, and over that what XAPI has set.

use core::fmt::Write;

use heapless::Vec;

use super::model::{INTERFACES_MAX, Network};
use super::problems::note;
use crate::wire::net::Mac;
use crate::xenstore::{Client, Error, Transport};

pub mod parse;
pub mod vm_data;
#[cfg(feature = "xapi")]
pub mod xapi;

impl Network {
    /// Reads it, in place: it is large. What is wrong with parts of it goes to `problems`. Without `vm-data/networking`
    /// and settings of XAPI's there is no interface.
    pub fn read<T: Transport>(&mut self, client: &mut Client<T>, problems: &mut dyn Write) -> Result<(), Error> {
        vm_data::read(self, client, problems)?;
        #[cfg(feature = "xapi")]
        xapi::overlay(self, client, problems)?;
        self.without_twins(problems);
        Ok(())
    }

    /// Leaves out an interface with the MAC address of one that comes before it.
    fn without_twins(&mut self, problems: &mut dyn Write) {
        let mut known = Vec::<Mac, INTERFACES_MAX>::new();
        let sound = &mut self.sound;
        self.interfaces.retain(|interface| {
            let new = !known.contains(&interface.mac);
            if new {
                let _ = known.push(interface.mac);
            } else {
                *sound = false;
                note(problems, format_args!("{} is there twice; the first one counts", interface.mac));
            }
            new
        });
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
