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
        feature = "status",
        feature = "recorder"
    )),
    allow(dead_code, unused_imports, unused_variables)
)]

mod background;
#[cfg(feature = "errands")]
mod children;
mod datagrams;
#[cfg_attr(not(feature = "dhcp"), path = "no_dhcp.rs")]
mod dhcp;
#[cfg(feature = "update")]
mod download;
#[cfg(feature = "errands")]
mod errands;
mod errno;
mod files;
#[cfg(feature = "hotplug")]
mod hotplug;
#[cfg(feature = "init")]
mod init;
#[cfg(feature = "selinux")]
mod labels;
mod locate;
#[cfg(feature = "lockdown")]
mod lockdown;
mod log;
#[cfg(any(feature = "network", feature = "report"))]
mod netlink;
#[cfg(feature = "network")]
mod network;
#[cfg(feature = "notes")]
mod notes;
mod notify;
mod output;
mod paths;
mod pid;
#[cfg(feature = "recorder")]
mod print_record;
#[cfg(feature = "errands")]
mod program;
#[cfg_attr(not(feature = "recorder"), path = "no_record.rs")]
mod record;
#[cfg(feature = "recorder")]
mod record_file;
mod rt;
mod serve;
mod sole;
mod staged;
mod supervise;
mod system;
#[cfg(feature = "update")]
mod takeover;
#[cfg(feature = "errands")]
mod told;
#[cfg(feature = "selinux")]
mod unlabelled;
mod wait;
mod xenbus;
#[cfg(feature = "tools")]
mod xenstore;

use nanova_core::cli::{CommandLine, Program, UsageError, exit};
use rustix::process::DumpableBehavior;

/// What `--version` prints.
const VERSION: &str = concat!("nanova ", env!("CARGO_PKG_VERSION"), "\n");

/// Runs the program; returns its exit code.
fn main(environment: rt::Environment) -> i32 {
    leave_no_image();
    let mut line = CommandLine::new(environment.arguments());
    let code = run(&environment, &mut line).unwrap_or_else(|error| {
        output::complain(format_args!("{error}; see {} --help", line.page_name()));
        exit::USAGE
    });
    line.exit_code(code)
}

/// Has no core written of this process, and its memory read by nobody who may not trace all processes: passwords pass
/// through it. Not for anybody but root, who alone sets passwords: the kernel would give his own /proc/self to root.
fn leave_no_image() {
    if rustix::process::geteuid().is_root() {
        // Kernels know this since 2.3.20.
        let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Does what the command line asks for.
fn run<I: Iterator<Item = &'static [u8]>>(
    environment: &rt::Environment,
    line: &mut CommandLine<'static, I>,
) -> Result<i32, UsageError<'static>> {
    let (program, help) = line.program()?;
    let done = match program {
        program if help => Some(output::print(line.page(program))),
        Program::Agent(called) => line.agent(called)?.map(|options| serve::run(environment, &line.common, &options)),
        #[cfg(feature = "tools")]
        Program::Xenstore(tool) => line.xenstore(tool)?.map(|call| xenstore::run(environment, &line.common, &call)),
        #[cfg(feature = "network")]
        Program::Network => line.network()?.map(|options| network::run(environment, &line.common, &options)),
        #[cfg(feature = "recorder")]
        Program::Record => line.record()?.map(|options| print_record::run(&line.common, options)),
        #[cfg(feature = "init")]
        Program::Init => Some(init::run(environment)),
        #[cfg(feature = "init")]
        Program::End(how) => line.end(how)?.map(init::end),
        // Whoever is about to be replaced reads what by.
        Program::SelfTest => Some(if self_test() { output::print(VERSION) } else { exit::FAILED }),
        Program::Help => None,
    };
    Ok(done.unwrap_or_else(|| output::print(line.page(program))))
}

/// Whether this build works on this machine.
// Its hashes are no part of main's frame, which stays for good.
#[cfg(feature = "update")]
#[inline(never)]
fn self_test() -> bool {
    nanova_core::update::self_test()
}

/// One that is never an update has nothing to show but that it runs.
#[cfg(not(feature = "update"))]
fn self_test() -> bool {
    true
}
