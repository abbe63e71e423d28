//! `version` and `features`: who answers, and what it can be asked.

use super::COMMANDS;
use super::response::{Code, Response};
use crate::text::Bounded;

/// The version of this build: digits and dots, which nova compares with distutils' LooseVersion.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `version`. The argument ("agent", "xentools", "updater") never made a difference and makes none here.
pub fn version() -> Response {
    Response::new(Code::Done, format_args!("{VERSION}"))
}

/// `features`: the names of all commands, separated by commas, as nova looks for them.
pub fn features() -> Response {
    use core::fmt::Write;
    let mut response = Response { code: Code::Done, message: Bounded::new() };
    for (place, (name, _)) in COMMANDS.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(response.message, "{comma}{name}");
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_digits_and_dots() {
        assert!(VERSION.split('.').all(|number| number.parse::<u32>().is_ok()));
        assert!(!VERSION.starts_with('0'), "Xen Orchestra hides a version whose major number is 0");
        assert_eq!(version().message.as_str(), VERSION);
    }

    #[test]
    fn features_lists_what_nova_looks_for() {
        assert_eq!(
            features().message.as_str(),
            "version,features,keyinit,password,resetnetwork,injectfile,file_inject"
        );
    }
}
