//! What the core needs done: small traits that the agent binary implements, and tests imitate.
//!
//! The core decides *what* and in *which order*; an implementation makes one system call or a few for each method and
//! decides nothing. A function asks for the traits that it needs and no more: what it may do is in its signature.

pub mod clock;
#[cfg(feature = "update")]
pub mod download;
pub mod entropy;
pub mod errands;
pub mod files;
pub mod identity;
#[cfg(any(feature = "network", feature = "report"))]
pub mod kernel_net;
pub mod log;
#[cfg(feature = "notes")]
pub mod notes;
pub mod path;
pub mod programs;
#[cfg(feature = "recorder")]
pub mod recorded;
#[cfg(feature = "hotplug")]
pub mod sysfs;

pub use clock::Clock;
#[cfg(feature = "update")]
pub use download::{Addresses, Download};
pub use entropy::Entropy;
pub use errands::{Errand, ErrandNews, Errands, Found};
pub use files::{
    BACKUP_NUMBER, COPY_NUMBER, Durability, Files, LINK_TARGET_MAX, LinkTarget, STAGED_MAX, STAGED_NAME, UPDATE_NAME,
    UPDATE_NUMBER,
};
pub use identity::Identity;
#[cfg(any(feature = "network", feature = "report"))]
pub use kernel_net::KernelNet;
pub use log::{Level, Log};
#[cfg(feature = "notes")]
pub use notes::{NOTE_WORDS, Notes};
pub use path::{Distrust, FileError, FileKind, GUEST_PATH_MAX, GuestPath, LinkNotFollowed, PathError, Unsynced};
pub use programs::{Argv, Ended, Programs};
#[cfg(feature = "recorder")]
pub use recorded::Recorded;
#[cfg(feature = "hotplug")]
pub use sysfs::Sysfs;

/// Declares a trait that asks for another one if a build has a part that needs it, and for nothing otherwise.
macro_rules! if_built {
    ($(#[$doc:meta])* $name:ident: $asked:ident if $($condition:tt)*) => {
        $(#[$doc])*
        #[cfg($($condition)*)]
        pub trait $name: $asked {}
        #[cfg($($condition)*)]
        impl<P: $asked> $name for P {}
        $(#[$doc])*
        #[cfg(not($($condition)*))]
        pub trait $name {}
        #[cfg(not($($condition)*))]
        impl<P> $name for P {}
    };
}

if_built!(
    /// [`KernelNet`], where the network is set or reported.
    NetIfBuilt: KernelNet if any(feature = "network", feature = "report")
);
if_built!(
    /// [`Programs`], where any are run or told.
    ProgramsIfBuilt: Programs if feature = "errands"
);
if_built!(
    /// [`Errands`], where any part needs them.
    ErrandsIfBuilt: Errands if feature = "errands"
);
if_built!(
    /// [`Notes`], where commands are served.
    NotesIfBuilt: Notes if feature = "commands"
);
if_built!(
    /// [`Programs`], where a site's own commands are served.
    SitePrograms: Programs if feature = "drop-in"
);
if_built!(
    /// [`Download`], where the agent is updated.
    DownloadIfBuilt: Download if feature = "update"
);

if_built!(
    /// [`Recorded`], where there is a flight recorder.
    RecordedIfBuilt: Recorded if feature = "recorder"
);

/// All of it: what the engine passes on, part by part. Below the engine no function asks for this.
pub trait Platform:
    Files
    + Clock
    + Entropy
    + Log
    + Identity
    + NetIfBuilt
    + ProgramsIfBuilt
    + ErrandsIfBuilt
    + NotesIfBuilt
    + SitePrograms
    + DownloadIfBuilt
    + RecordedIfBuilt
{
}

impl<P> Platform for P where
    P: Files
        + Clock
        + Entropy
        + Log
        + Identity
        + NetIfBuilt
        + ProgramsIfBuilt
        + ErrandsIfBuilt
        + NotesIfBuilt
        + SitePrograms
        + DownloadIfBuilt
        + RecordedIfBuilt
{
}
