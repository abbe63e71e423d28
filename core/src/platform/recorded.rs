//! What the flight recorder has.

/// The ring.
pub trait Recorded {
    /// Copies so many bytes of it, from this place on; returns whether there are so many.
    fn copy_recorded(&mut self, at: usize, room: &mut [u8]) -> bool;
}
