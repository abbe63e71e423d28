//! The boot options: what of the kernel's command line is meant for the first process.
//!
//! Syntax as in Linux's `lib/cmdline.c`, `next_arg`: words are separated by white space, double quotes keep white space
//! in a word and may stand around it or around its value; there are no escapes. The same options can be in the image
//! (`/etc/nanova/cmdline`); the kernel's win.

use crate::network::{DhcpMode, Target};
use crate::platform::Level;

/// What happens when the program of `nanova.exec` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OnExit {
    /// The power goes off.
    PowerOff,
    /// The system starts again.
    Reboot,
    /// The program starts again.
    Restart,
    /// Nothing: nanova goes on serving.
    Stay,
}

/// The options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Boot<'a> {
    /// `nanova.exec=`: a program and its arguments, separated by blanks.
    pub exec: Option<&'a str>,
    /// `nanova.onexit=poweroff|reboot|restart|stay`: what to do when it ends.
    pub on_exit: OnExit,
    /// `nanova.root=`: the device of the real root.
    pub root: Option<&'a str>,
    /// `nanova.rootfstype=`: its file system; every one that the kernel knows is tried otherwise.
    pub root_type: Option<&'a str>,
    /// `nanova.rootflags=`: its mount options.
    pub root_flags: &'a str,
    /// `rw`, `ro`: whether the root is mounted for writing; it is not unless `rw` is given, so that it can be checked.
    pub writable: bool,
    /// `init=`: the program that the real root goes on with.
    pub init: Option<&'a str>,
    /// `nanova.loglevel=`.
    pub level: Option<Level>,
    /// `nanova.network=files|kernel|both|off`.
    pub network: Target,
    /// `nanova.dhcp=auto|always|off`; not given: auto, unless there is a real root, whose business it is then.
    pub dhcp: Option<DhcpMode>,
}

impl Default for Boot<'_> {
    fn default() -> Self {
        Boot {
            exec: None,
            on_exit: OnExit::PowerOff,
            root: None,
            root_type: None,
            root_flags: "",
            writable: false,
            init: None,
            level: Some(Level::Info),
            network: Target::Both,
            dhcp: None,
        }
    }
}

impl<'a> Boot<'a> {
    /// Takes the options of a command line over those that are there. Returns the first of nanova's own that makes no
    /// sense; the others are taken all the same.
    pub fn read(&mut self, command_line: &'a str) -> Option<&'a str> {
        let mut wrong = None;
        for word in BootWords(command_line) {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            // The value may have quotes of its own.
            let value = value.strip_prefix('"').map_or(value, |value| value.strip_suffix('"').unwrap_or(value));
            if self.take(name, value).is_none() {
                wrong = wrong.or(Some(word));
            }
        }
        wrong
    }

    fn take(&mut self, name: &str, value: &'a str) -> Option<()> {
        let given = |value: &'a str| (!value.is_empty()).then_some(value);
        match name {
            "nanova.exec" => self.exec = given(value),
            "nanova.root" => self.root = given(value),
            "nanova.rootfstype" => self.root_type = given(value),
            "nanova.rootflags" => self.root_flags = value,
            "nanova.onexit" => {
                self.on_exit = match value {
                    "poweroff" => OnExit::PowerOff,
                    "reboot" => OnExit::Reboot,
                    "restart" => OnExit::Restart,
                    "stay" => OnExit::Stay,
                    _ => return None,
                };
            }
            "nanova.loglevel" => self.level = Some(Level::named(value)?),
            "nanova.dhcp" if cfg!(feature = "dhcp") => self.dhcp = Some(DhcpMode::named(value)?),
            "nanova.network" => self.network = Target::named(value)?,
            "init" => self.init = given(value),
            "rw" => self.writable = true,
            "ro" => self.writable = false,
            // Only its own names are nanova's business.
            name => return (!name.starts_with("nanova.")).then_some(()),
        }
        Some(())
    }
}

/// The words of a command line, without the quotes around a whole word.
struct BootWords<'a>(&'a str);

impl<'a> Iterator for BootWords<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.0 = self.0.trim_ascii_start();
        if self.0.is_empty() {
            return None;
        }
        let mut quoted = false;
        let end = self.0.find(|c: char| {
            quoted ^= c == '"';
            c.is_ascii_whitespace() && !quoted
        });
        let (word, rest) = self.0.split_at_checked(end.unwrap_or(self.0.len()))?;
        self.0 = rest;
        Some(word.strip_prefix('"').map_or(word, |word| word.strip_suffix('"').unwrap_or(word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    fn boot(lines: &[&'static str]) -> Boot<'static> {
        let mut boot = Boot::default();
        for line in lines {
            assert_eq!(boot.read(line), None, "{line}");
        }
        boot
    }

    #[test]
    fn the_kernels_line_wins_over_the_images() {
        let boot =
            boot(&["nanova.exec=\"/bin/app a b\"\n", "console=hvc0 nanova.exec=/bin/sh quiet nanova.loglevel=debug\n"]);
        assert_eq!((boot.exec, boot.level), (Some("/bin/sh"), Some(Level::Debug)));
    }

    #[test]
    fn quotes_keep_blanks_around_a_word_or_its_value() {
        for line in ["nanova.exec=\"/bin/app a b\" x", "\"nanova.exec=/bin/app a b\" x", "x nanova.exec=\"/bin/app a b"]
        {
            assert_eq!(boot(&[line]).exec, Some("/bin/app a b"), "{line}");
        }
    }

    #[test]
    fn a_root_and_how_it_is_mounted() {
        let boot = boot(&[
            "nanova.root=/dev/xvda1 nanova.rootfstype=ext4 nanova.rootflags=noatime,data=ordered rw init=/sbin/init",
        ]);
        assert_eq!(
            (boot.root, boot.root_type, boot.root_flags),
            (Some("/dev/xvda1"), Some("ext4"), "noatime,data=ordered")
        );
        assert_eq!((boot.writable, boot.init), (true, Some("/sbin/init")));
    }

    #[test]
    fn every_choice_has_its_name() {
        for (word, on_exit) in [
            ("poweroff", OnExit::PowerOff),
            ("reboot", OnExit::Reboot),
            ("restart", OnExit::Restart),
            ("stay", OnExit::Stay),
        ] {
            let mut boot = Boot { on_exit: OnExit::Stay, ..Boot::default() };
            if word == "stay" {
                boot.on_exit = OnExit::Reboot;
            }
            let line = format!("nanova.onexit={word}");
            assert_eq!((boot.read(&line), boot.on_exit), (None, on_exit));
        }
        for (word, network) in
            [("files", Target::Files), ("kernel", Target::Kernel), ("both", Target::Both), ("off", Target::Off)]
        {
            let mut boot = Boot { network: Target::Off, ..Boot::default() };
            if word == "off" {
                boot.network = Target::Both;
            }
            let line = format!("nanova.network={word}");
            assert_eq!((boot.read(&line), boot.network), (None, network));
        }
        for (word, level) in [
            ("error", Level::Error),
            ("warn", Level::Warn),
            ("warning", Level::Warn),
            ("info", Level::Info),
            ("debug", Level::Debug),
            ("trace", Level::Trace),
        ] {
            let mut boot = Boot { level: None, ..Boot::default() };
            let line = format!("nanova.loglevel={word}");
            assert_eq!((boot.read(&line), boot.level), (None, Some(level)));
        }
        for (word, mode) in [("auto", DhcpMode::Auto), ("always", DhcpMode::Always), ("off", DhcpMode::Off)] {
            let line = format!("nanova.dhcp={word}");
            let mut boot = Boot::default();
            assert_eq!((boot.dhcp, boot.read(&line), boot.dhcp), (None, None, Some(mode)));
        }
        assert_eq!(Boot::default().read("nanova.dhcp=on"), Some("nanova.dhcp=on"));
        let mut boot = Boot::default();
        assert_eq!(boot.read("nanova.loglevel=loud nanova.network=x"), Some("nanova.loglevel=loud"));
        assert_eq!(boot.read("nanova.network=x"), Some("nanova.network=x"));
        assert_eq!(boot, Boot::default());
    }

    #[test]
    fn what_is_empty_is_not_given_and_the_last_word_counts() {
        let images = "nanova.exec=/x nanova.root=/y nanova.rootfstype=z nanova.rootflags=f init=/i rw";
        let kernels = "nanova.exec= nanova.root nanova.rootfstype=\"\" nanova.rootflags= init= ro";
        assert_eq!(boot(&[images, kernels]), Boot::default());
        assert!(boot(&["ro rw"]).writable && !boot(&["rw ro"]).writable && !Boot::default().writable);
    }

    #[test]
    fn words_are_divided_as_linux_divides_them() {
        let words = |line| BootWords(line).collect::<Vec<_>>();
        assert_eq!(words(" a\tb=\"c d\"e  \"f g\"\nh=\"i"), ["a", "b=\"c d\"e", "f g", "h=\"i"]);
        assert_eq!(words("\"a b\" c"), ["a b", "c"]);
        assert_eq!(words(" \n"), [""; 0]);
        assert_eq!(words("\""), [""]);
    }

    #[test]
    fn what_makes_no_sense_is_named_and_the_rest_is_taken() {
        let mut boot = Boot::default();
        assert_eq!(boot.read("nanova.fly=1 nanova.onexit=stay"), Some("nanova.fly=1"));
        assert_eq!(boot.on_exit, OnExit::Stay);
        assert_eq!(boot.read("nanova.onexit=never"), Some("nanova.onexit=never"));
        assert_eq!(boot.read("root=/dev/sda nofly=1 nanova"), None);
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in any::<String>()) {
            Boot::default().read(&line);
        }
    }
}
