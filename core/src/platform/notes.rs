//! A page of words that outlives the agent: what it was about when it was killed.

/// Words on the page: 4096 bytes.
pub const NOTE_WORDS: usize = 512;

/// The page. Nothing is on it at the first start after the guest's.
pub trait Notes {
    /// The word at this place; 0 behind the last.
    fn word(&mut self, at: usize) -> u64;
    /// Changes a word. Whatever ends the agent, words were changed in the order of these calls.
    fn set_word(&mut self, at: usize, value: u64);
    /// Whether the page outlives the agent. Where there is no place for it, it does not.
    fn outlives(&self) -> bool;
}
