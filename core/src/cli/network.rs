//! `nanova network`.

use crate::cli::common::Common;
use crate::cli::help::page;
use crate::cli::usage::UsageError;
use crate::cli::words::{Word, Words};
#[cfg(feature = "handover")]
use crate::network::Handover;
#[cfg(feature = "managers")]
use crate::network::managers::{Manager, registry};
use crate::network::reset::{Permanence, Wanted};
use crate::network::{DhcpMode, Target};

pub(super) const HELP: &str = page!(
    "\
nanova network [options]

  --network files|kernel|both
",
    "managers": "  --style STYLE           default: what the guest has; or\n                         ",
    "style-ifupdown": " ifupdown",
    "style-netplan": " netplan",
    "style-networkd": " networkd",
    "style-keyfile": " keyfile",
    "style-ifcfg": " ifcfg",
    "style-suse": " suse",
    "style-netifrc": " netifrc",
    "style-netctl": " netctl",
    "managers": " none\n",
    "handover": "  --handover STYLE[,…]    files in /run for the real root:\n",
    "handover": "                          klibc, networkd, keyfile, netplan, ifupdown\n",
    "dhcp": "  --dhcp auto|always|off  VIFs that xenstore says nothing of ask DHCP; default: off\n",
    "  --wait SECONDS          for xenstore and the interfaces; default: for ever, and those there now
  --dry-run               print the plan and the files
",
);

/// The styles for a person, whatever this build has of them.
#[cfg(feature = "managers")]
const NAMES: &str = "ifupdown, netplan, networkd, keyfile, ifcfg, suse, netifrc, netctl, none";
/// The styles that a build can have, each with its part.
#[cfg(feature = "managers")]
const STYLES: [(&str, &str); 8] = [
    ("ifcfg", "style-ifcfg"),
    ("ifupdown", "style-ifupdown"),
    ("keyfile", "style-keyfile"),
    ("netctl", "style-netctl"),
    ("netifrc", "style-netifrc"),
    ("netplan", "style-netplan"),
    ("networkd", "style-networkd"),
    ("suse", "style-suse"),
];

/// Options of `nanova network`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkOptions {
    /// Whether files are written, the kernel is configured, or both.
    pub network: Target,
    /// The forms in which the network is handed over; at most one of each.
    #[cfg(feature = "handover")]
    pub handover: heapless::Vec<Handover, { crate::network::handover::STYLES_MAX }>,
    /// When interfaces ask DHCP.
    pub dhcp: DhcpMode,
    /// Seconds that the whole may take; for ever if there is no number.
    pub wait: Option<u32>,
    /// The manager whose files are written, instead of detection.
    #[cfg(feature = "managers")]
    pub style: Option<&'static Manager>,
    /// Print what would be done.
    pub dry_run: bool,
}

impl NetworkOptions {
    /// What is to be done.
    pub fn wanted(&self) -> Wanted<'_> {
        #[cfg_attr(
            not(feature = "managers"),
            expect(unused_mut, reason = "only a manager's files, or a hand-over, are other wishes")
        )]
        let mut wanted = Wanted::of(self.network, Permanence::Detected);
        #[cfg(feature = "handover")]
        {
            wanted.handover = &self.handover;
            // An initramfs hands over; what it has below /etc is its own.
            if !self.handover.is_empty() {
                wanted.permanence = Permanence::Nothing;
            }
        }
        #[cfg(feature = "managers")]
        if let Some(style) = self.style {
            wanted.permanence = Permanence::As(style);
        }
        wanted
    }

    #[cfg(feature = "managers")]
    fn take_style<'a, I: Iterator<Item = &'a [u8]>>(&mut self, words: &mut Words<'a, I>) {
        let name = words.value();
        self.style = registry::named(name);
        match STYLES.iter().find(|(style, _)| *style == name) {
            _ if self.style.is_some() => {}
            Some((_, part)) => words.fail(UsageError::NotBuilt(part)),
            None => words.refuse_value(name, NAMES),
        }
    }

    #[cfg(not(feature = "managers"))]
    fn take_style<'a, I: Iterator<Item = &'a [u8]>>(&mut self, words: &mut Words<'a, I>) {
        words.fail(UsageError::NotBuilt("managers"));
    }

    #[cfg(feature = "handover")]
    fn take_handover<'a, I: Iterator<Item = &'a [u8]>>(&mut self, words: &mut Words<'a, I>) {
        for name in words.value().split(',') {
            match Handover::named(name) {
                // There is room for one of each.
                Some(style) if !self.handover.contains(&style) => self.handover.push(style).unwrap_or_default(),
                Some(_) => {}
                None => words.refuse_value(name, "klibc, networkd, keyfile, netplan, ifupdown"),
            }
        }
    }

    #[cfg(not(feature = "handover"))]
    fn take_handover<'a, I: Iterator<Item = &'a [u8]>>(&mut self, words: &mut Words<'a, I>) {
        words.fail(UsageError::NotBuilt("handover"));
    }
}

/// Reads the rest of its words.
pub(super) fn parse<'a, I: Iterator<Item = &'a [u8]>>(
    common: &mut Common<'a>,
    words: &mut Words<'a, I>,
) -> NetworkOptions {
    let mut options = NetworkOptions::default();
    let mut network = None;
    while let Some(word) = words.next() {
        match word {
            _ if common.takes(word, words) => {}
            Word::Option("--network") => {
                let named = |name: &str| Target::named(name).filter(|target| *target != Target::Off);
                network = words.choice("files, kernel, both", named);
            }
            Word::Option("--dhcp") if cfg!(feature = "dhcp") => {
                options.dhcp = words.choice(DhcpMode::CHOICES, DhcpMode::named).unwrap_or_default();
            }
            Word::Option("--dhcp") => words.fail(UsageError::NotBuilt("dhcp")),
            Word::Option("--wait") => options.wait = Some(words.number()),
            Word::Option("--style") => options.take_style(words),
            Word::Option("--handover") => options.take_handover(words),
            Word::Option("--dry-run") => options.dry_run = true,
            _ => words.refuse(),
        }
    }
    options.network = common.target(network, options.dhcp, words);
    options
}
