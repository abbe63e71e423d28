//! No network manager: an image that runs nanova at every boot has no files for interfaces.

use crate::network::managers::manager::{Claim, Manager, NamesBy, tell_nobody};

/// What nanova knows of it: the registry's last word.
pub static MANAGER: Manager = Manager {
    name: "none",
    claims: |_| Claim::No,
    places: &[],
    names_by: NamesBy::Mac,
    write: |_, _| {},
    conflicts: None,
    tell: tell_nobody,
};
