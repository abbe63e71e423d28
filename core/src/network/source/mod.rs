//! Where the network comes from: what the host says in vm-data, and over that what XAPI has set.

use heapless::Vec;

use super::model::{INTERFACES_MAX, Network};
use super::problems::{Findings, Problems};
use crate::platform::Log;
use crate::wire::net::Mac;
use crate::xenstore::{Client, Error, Path, Transport};

mod networks;
pub mod parse;
pub mod vm_data;
#[cfg(feature = "xapi")]
pub mod xapi;

/// The VIFs.
const DEVICES: Path<'static> = Path::literal("device/vif");

impl Network {
    /// Reads it, in place: it is large. What is wrong with parts of it goes to `problems`, and to the log where there
    /// is more of it than they have room for. Without `vm-data/networking`, `vm-data/networks` and settings of XAPI's
    /// there is no interface.
    pub fn read<T: Transport>(
        &mut self,
        client: &mut Client<T>,
        log: &mut dyn Log,
        problems: &mut Problems,
    ) -> Result<(), Error> {
        let findings = &mut Findings { log, problems };
        vm_data::read(self, client, findings)?;
        #[cfg(feature = "xapi")]
        xapi::overlay(self, client, findings)?;
        self.without_twins(findings);
        if !self.sound {
            findings.matters();
        }
        if self.interfaces.len() > 1 { self.number_vifs(client) } else { Ok(()) }
    }

    /// Leaves out an interface with the MAC address of one that comes before it.
    fn without_twins(&mut self, findings: &mut Findings<'_>) {
        let mut known = Vec::<Mac, INTERFACES_MAX>::new();
        let sound = &mut self.sound;
        self.interfaces.retain(|interface| {
            let new = !known.contains(&interface.mac);
            if new {
                let _ = known.push(interface.mac);
            } else {
                *sound = false;
                findings.leave_out(format_args!("{} is there twice; the first one counts", interface.mac));
            }
            new
        });
    }

    /// Which VIF is whose, as the host says.
    fn number_vifs<T: Transport>(&mut self, client: &mut Client<T>) -> Result<(), Error> {
        for vif in client.numbers(DEVICES)?.known {
            let mac = mac_of_vif(client, vif)?;
            if let Some(interface) = self.interfaces.iter_mut().find(|interface| Some(interface.mac) == mac) {
                interface.vif = Some(vif);
            }
        }
        Ok(())
    }
}

/// The MAC address that the host gives a VIF.
fn mac_of_vif<T: Transport>(client: &mut Client<T>, vif: u16) -> Result<Option<Mac>, Error> {
    Ok(client.text(format_args!("{DEVICES}/{}/mac", u64::from(vif)))?.and_then(Mac::parse))
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
