//! What of the network is changed: kernel, files, both.

/// What of the network nanova changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Target {
    /// Configuration files.
    Files,
    /// The kernel's addresses and routes.
    Kernel,
    /// Both.
    #[default]
    Both,
    /// Nothing.
    Off,
}

impl Target {
    /// The choice with this name.
    pub fn named(name: &str) -> Option<Target> {
        Some(match name {
            "files" => Target::Files,
            "kernel" => Target::Kernel,
            "both" => Target::Both,
            "off" => Target::Off,
            _ => return None,
        })
    }
}
