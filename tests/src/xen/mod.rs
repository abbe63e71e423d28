//! The test on real Xen: a hypervisor, a dom0 and guests in QEMU, with nova played from dom0. `cargo xen-test` runs it.
//!
//! The build machine holds all the logic. It fetches Debian's Xens ([`packages`], by [`apt`]) and makes a bootable dom0
//! of it ([`lab`]), starts QEMU ([`machine`]), and has dom0 run one small script after the other over a [`channel`]
//! ([`dom0`]). Guests ([`guest`]) boot what `cargo initramfs` made ([`images`]), some with a Debian or OpenRC on a disk
//! behind it ([`debian`], [`openrc`]); what happens inside them is read from their [`console`], where an observer
//! answers that does not depend on the agent. [`cases`] run on a [`bench`], chosen and grouped by [`suite`], and come
//! to one [`report`].
//!
//! Guarantees: nothing is installed, no privilege is needed beyond what apt wants, everything lies below `xen-lab` in
//! the build folder, but the packages of the Debian, which other tests share, below `machine`. Refuses: machines
//! without a Debian mirror, by name of what is missing.

pub mod apt;
pub mod archive;
pub mod bench;
pub mod cases;
pub mod channel;
pub mod console;
pub mod debian;
mod disk;
pub mod dom0;
pub mod guest;
pub mod images;
pub mod kernel;
pub mod lab;
pub mod machine;
pub mod mailbox;
pub mod modules;
pub mod openrc;
pub mod options;
pub mod packages;
pub mod report;
pub mod suite;
pub mod tools;
