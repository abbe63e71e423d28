//! The test bench.
pub mod xen;
