//! What nanova's tests stand on: an embedded xenstored, and a guest in virtual time on it.
//!
//! A crate of its own, so that it can be compiled to be fast while the tests are compiled fast: some of them run it
//! some hundred thousand times.

pub mod virtual_guest;
pub mod xenstored;
