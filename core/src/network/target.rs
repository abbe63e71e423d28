//! What of the network is changed: kernel, files, both; and when DHCP is asked for what nobody says.

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
    /// The names of all, for a person.
    pub const CHOICES: &'static str = "files, kernel, both, off";

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

/// When an interface asks DHCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DhcpMode {
    /// If the toolstack leaves it to the guest, or says nothing of it and it is down and has no address: nobody else
    /// has begun.
    Auto,
    /// If the toolstack says nothing of it.
    Always,
    /// Never.
    #[default]
    Off,
}

impl DhcpMode {
    /// The names of all, for a person.
    pub const CHOICES: &'static str = "auto, always, off";

    /// The choice with this name.
    pub fn named(name: &str) -> Option<DhcpMode> {
        Some(match name {
            "auto" => DhcpMode::Auto,
            "always" => DhcpMode::Always,
            "off" => DhcpMode::Off,
            _ => return None,
        })
    }
}
