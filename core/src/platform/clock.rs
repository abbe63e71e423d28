//! Time, as it is where something is dated and not waited for: who waits gets the time as an argument.

/// The clocks.
pub trait Clock {
    /// Seconds since 1970 in UTC, for file names and the shadow file's day.
    fn unix_time(&mut self) -> u64;
    /// Milliseconds since some fixed moment; never goes back, and goes on while the guest is suspended.
    fn uptime_ms(&mut self) -> u64;
    /// The same, but that it stands still while the guest is suspended: for what is given so much time to be done in.
    fn running_ms(&mut self) -> u64;
}
