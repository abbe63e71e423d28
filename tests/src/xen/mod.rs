//! The test on real Xen.
pub mod archive;
pub mod channel;
pub mod dom0;
pub mod kernel;
pub mod lab;
pub mod machine;
pub mod modules;
pub mod packages;
pub mod tools;
