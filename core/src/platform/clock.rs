//! Time, as it is where something is dated and not waited for: who waits gets the time as an argument.

/// The clocks.
pub trait Clock {
    /// Seconds since 1970 in UTC, for file names and the shadow file's day.
    fn unix_time(&mut self) -> u64;
    /// Milliseconds since some fixed moment; never goes back.
    fn uptime_ms(&mut self) -> u64;
}
