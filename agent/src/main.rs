//! nanova: the guest agent of Xen virtual machines in one small static binary.
//!
//! No libc, no heap, no thread. This crate makes system calls and waits for events; what to do is decided in
//! `nanova-core`.

#![no_std]
#![no_main]

mod background;
mod datagrams;
mod download;
mod errno;
mod files;
mod help;
mod init;
mod locate;
mod log;
mod netlink;
mod network;
mod notify;
mod output;
mod paths;
mod program;
mod rt;
mod serve;
mod sole;
mod supervise;
mod system;
mod takeover;
mod wait;
mod xenbus;
mod xenstore;

use nanova_core::cli::{self, Invocation, Options, exit};
use nanova_core::update;

/// Runs the program; returns its exit code.
fn main(environment: rt::Environment) -> i32 {
    let mut options = Options::default();
    match cli::parse(environment.arguments(), &mut options) {
        Ok(Invocation::Agent) => serve::run(&environment, &options.common, &options.agent),
        Ok(Invocation::Xenstore) => xenstore::run(&environment, &options.common, &options.call),
        Ok(Invocation::Network) => network::run(&environment, &options.common, &options.network),
        Ok(Invocation::Init) => init::run(&environment),
        Ok(Invocation::End) => init::end(options.end),
        Ok(Invocation::Help(topic)) => output::print(help::text(topic)),
        Ok(Invocation::SelfTest) => {
            if update::self_test() {
                exit::DONE
            } else {
                exit::FAILED
            }
        }
        Ok(Invocation::Version) => output::print(concat!("nanova ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(error) => {
            output::complain(format_args!("{error}; see nanova --help"));
            exit::USAGE
        }
    }
}
