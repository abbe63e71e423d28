//! The runtime that a libc would be: entry, memory functions, signals, a child process.
//!
//! # Safety
//! This folder is the only one in the project with `unsafe` in it. Each block says why it is sound; each file
//! guarantees its callers a safe interface.

#[cfg(any(feature = "errands", feature = "dhcp", feature = "lockdown"))]
mod bpf;
pub(crate) mod clock;
#[cfg(feature = "errands")]
pub(crate) mod confine;
#[cfg(feature = "recorder")]
mod counter;
#[cfg(feature = "lockdown")]
pub(crate) mod landlock;
mod mem;
#[cfg(feature = "dhcp")]
pub(crate) mod packet;
#[cfg(feature = "notes")]
pub(crate) mod page;
pub(crate) mod place;
pub(crate) mod process;
#[cfg(feature = "recorder")]
pub(crate) mod recorder;
#[cfg(any(feature = "errands", feature = "lockdown"))]
pub(crate) mod seccomp;
pub(crate) mod signals;
mod start;
pub(crate) mod stdio;
mod syscall;
#[cfg(not(debug_assertions))]
mod trace;

pub(crate) use start::Environment;
pub(crate) use syscall::exit;
