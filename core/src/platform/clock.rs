//! Time, as it is where something is dated and not waited for: who waits gets the time as an argument.

/// The clocks.
pub trait Clock {
    /// Seconds since 1970 in UTC, for file names and the shadow file's day.
    fn unix_time(&mut self) -> u64;
    /// Seconds since some fixed moment; never goes back.
    fn uptime(&mut self) -> u64;
}
