//! nanova's test bench.
//!
//! | module | is |
//! |---|---|
//! | [`xenstored`] | an embedded xenstored: two sockets, and Linux's device, strictly |
//! | [`nova`] | what nova's host does: answers, key exchange, openssl |
//! | [`dom0`] | the real `nanova-host`, and guests for it |
//! | [`host`] | such a host on the embedded xenstored |
//! | [`agent`] | the real binary as a process |
//! | [`guest_root`] | a guest's root directory to throw away |
//! | [`scene`] | all of these together |
//! | [`pages`], [`picture`] | the project's pages, and what in them is to be typed; their pictures |
//! | [`code`], [`imports`] | what is code in a Rust file, and which file imports which |
//! | [`strace`] | the real binary's system calls |
//! | [`toolstack`] | a guest whose interfaces are VIFs, as a toolstack sees it |
//! | [`machine`] | a plain machine in QEMU: Debian's kernel, any initramfs, any root |
//! | [`xen`] | a real Xen in QEMU |

pub mod agent;
pub mod code;
pub mod dom0;
pub mod guest_root;
pub mod host;
pub mod imports;
pub mod machine;
pub mod nova;
pub mod pages;
pub mod picture;
pub mod scene;
pub mod strace;
pub mod toolstack;
#[cfg(target_arch = "x86_64")]
pub mod tracee;
pub mod xen;

pub use nanova_bench::{virtual_guest, xenstored};
