//! What a build of nanova consists of, and what it may do.
//!
//! | module | is |
//! |---|---|
//! | [`options`] | the command line |
//! | [`build`] | cargo builds the twin of a release binary, and tells of what |
//! | [`sources`], [`crates`] | what the compiler has read: of ours, of others |
//! | `machine` | what an instruction does, on x86_64 and aarch64 |
//! | `program` | a linked program, taken apart |
//! | `values` | what can be in a register |
//! | `places` | the source of an address |
//! | [`binary`] | system calls, panics and memory of the linked program |
//! | [`report`], [`page`], [`sbom`] | all that, to read, to keep and to exchange |
//! | [`locate`] | from a reported address to a line |

pub mod binary;
pub mod build;
pub mod crates;
pub mod locate;
mod machine;
pub mod options;
pub mod page;
mod places;
mod program;
pub mod report;
pub mod sbom;
pub mod sources;
mod values;
