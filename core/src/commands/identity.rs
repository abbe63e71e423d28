//! `version` and `features`: who answers, and what it can be asked.

use crate::commands::disabled::is_disabled;
#[cfg(all(feature = "inject", feature = "sealed"))]
use crate::commands::parts::PARTS;
use crate::commands::response::{Code, MESSAGE_MAX, Response};
use crate::platform::{Files, Log, SitePrograms};
use crate::wire::text::Bounded;

/// The version of this build: digits and dots, which nova compares with distutils' LooseVersion.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `version`. The argument ("agent", "xentools", "updater") never made a difference and makes none here.
pub fn version() -> Response {
    Response::new(Code::Done, format_args!("{VERSION}"))
}

#[cfg(all(feature = "inject", feature = "sealed"))]
const FILE_INJECT: &str = "file_inject";

/// `features`: these names of commands, separated by commas, as nova looks for them. A site's own commands are among
/// them, disabled ones are not.
pub fn features<P: Files + SitePrograms + Log>(
    platform: &mut P,
    names: impl Iterator<Item = &'static str> + Clone,
) -> Response {
    use core::fmt::Write;
    let mut message = Bounded::new();
    let mut add = |name: &str| {
        let comma = if message.as_str().is_empty() { "" } else { "," };
        // What there is no room for is served all the same.
        if comma.len() + name.len() <= MESSAGE_MAX - message.as_str().len() {
            let _ = write!(message, "{comma}{name}");
        }
    };
    for name in names.clone() {
        if !is_disabled(platform, name) {
            add(name);
            // What it can do beside what it did for nova.
            #[cfg(all(feature = "inject", feature = "sealed"))]
            if name == FILE_INJECT && !is_disabled(platform, PARTS) {
                add(PARTS);
            }
        }
    }
    #[cfg(feature = "drop-in")]
    {
        let mut others = Bounded::<MESSAGE_MAX>::new();
        crate::commands::drop_in::for_each(platform, &mut |name| {
            let _ = write!(others, "{name},");
        });
        // Of a name that was cut nothing is listed.
        let others = others.as_str().rsplit_once(',').map_or("", |(others, _)| others);
        for name in others.split_terminator(',') {
            if !names.clone().any(|built_in| built_in == name) && !is_disabled(platform, name) {
                add(name);
            }
        }
    }
    Response { code: Code::Done, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_platform::FakePlatform;

    const NAMES: [&str; 8] =
        ["version", "features", "keyinit", "password", "resetnetwork", "injectfile", "file_inject", "agentupdate"];

    #[test]
    fn the_version_is_digits_and_dots() {
        assert!(VERSION.split('.').all(|number| number.parse::<u32>().is_ok()));
        assert!(!VERSION.starts_with('0'), "Xen Orchestra hides a version whose major number is 0");
        assert_eq!(version().message.as_str(), VERSION);
    }

    #[test]
    fn what_features_has_no_room_for_is_left_out_as_a_whole() {
        let mut platform = FakePlatform::with(&[]);
        (10..40).for_each(|n| platform.program(&format!("/etc/nanova/commands.d/site_command_number_{n}")));
        let message = features(&mut platform, NAMES.into_iter()).message;
        assert!(message.as_str().ends_with("site_command_number_26"), "{}", message.as_str());
    }

    #[test]
    fn a_name_that_just_fits_is_listed_and_one_that_is_longer_by_a_letter_is_not() {
        // Seven names of 63 letters and their commas take 447 bytes of 512.
        let names: Vec<&'static str> = (0..7).map(|n| &*n.to_string().repeat(63).leak()).collect();
        for (len, listed) in [(64, 8), (65, 7)] {
            let names = names.iter().copied().chain([&*"x".repeat(len).leak()]);
            let message = features(&mut FakePlatform::with(&[]), names).message;
            assert_eq!(message.as_str().split(',').count(), listed);
            assert!(!message.as_str().ends_with("..."));
        }
    }

    #[test]
    fn features_lists_what_nova_looks_for() {
        assert_eq!(
            features(&mut FakePlatform::with(&[]), NAMES.into_iter()).message.as_str(),
            "version,features,keyinit,password,resetnetwork,injectfile,file_inject,file_inject_parts,agentupdate"
        );
    }
}
