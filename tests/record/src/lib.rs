//! What an agent's flight recorder has kept, as text.
//!
//! A record is numbers; what they mean is in the `nanova.elf` of the build that made it, which has its build id. One of
//! another build is refused: its texts would be wrong ones.

pub mod elf;
pub mod options;
pub mod records;
pub mod show;
