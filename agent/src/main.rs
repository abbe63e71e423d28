//! nanova: the guest agent of Xen virtual machines in one small static binary.
//!
//! No libc, no heap, no thread. This crate makes system calls and waits for events; what to do is decided in
//! `nanova-core`.

#![no_std]
#![no_main]
// Small things that several parts share are unused in a build with few of them; the linker drops them.
#![cfg_attr(
    not(all(
        feature = "xapi",
        feature = "handover",
        feature = "update",
        feature = "drop-in",
        feature = "init",
        feature = "status"
    )),
    allow(dead_code, unused_imports, unused_variables)
)]

mod background;
mod datagrams;
#[cfg(feature = "update")]
mod download;
mod errno;
mod files;
mod help;
#[cfg(feature = "init")]
mod init;
mod locate;
mod log;
#[cfg(any(feature = "network", feature = "report"))]
mod netlink;
#[cfg(feature = "network")]
mod network;
mod notify;
mod output;
mod paths;
#[cfg(any(feature = "network", feature = "update", feature = "drop-in"))]
mod program;
mod rt;
mod serve;
mod sole;
mod supervise;
mod system;
#[cfg(feature = "update")]
mod takeover;
mod wait;
mod xenbus;
#[cfg(feature = "tools")]
mod xenstore;

use nanova_core::cli::{self, Invocation, Options, exit};

/// Runs the program; returns its exit code.
fn main(environment: rt::Environment) -> i32 {
    let mut options = Options::default();
    match cli::parse(environment.arguments(), &mut options) {
        Ok(Invocation::Agent) => serve::run(&environment, &options.common, &options.agent),
        #[cfg(feature = "tools")]
        Ok(Invocation::Xenstore) => xenstore::run(&environment, &options.common, &options.call),
        #[cfg(feature = "network")]
        Ok(Invocation::Network) => network::run(&environment, &options.common, &options.network),
        #[cfg(feature = "init")]
        Ok(Invocation::Init) => init::run(&environment),
        #[cfg(feature = "init")]
        Ok(Invocation::End) => init::end(options.end),
        Ok(Invocation::Help(topic)) => output::print(help::text(topic)),
        Ok(Invocation::SelfTest) => {
            if self_test() {
                exit::DONE
            } else {
                exit::FAILED
            }
        }
        Ok(Invocation::Version) => output::print(concat!("nanova ", env!("CARGO_PKG_VERSION"), "\n")),
        // What this build has no part for was refused when the words were read.
        #[allow(unreachable_patterns, reason = "in a build with all parts there is nothing else")]
        Ok(_) => exit::USAGE,
        Err(error) => {
            output::complain(format_args!("{error}; see nanova --help"));
            exit::USAGE
        }
    }
}

/// Whether this build works on this machine.
#[cfg(feature = "update")]
fn self_test() -> bool {
    nanova_core::update::self_test()
}

/// One that is never an update has nothing to show but that it runs.
#[cfg(not(feature = "update"))]
fn self_test() -> bool {
    true
}
