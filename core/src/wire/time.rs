//! A moment as people write it.

use core::fmt;

/// Seconds and milliseconds since 1970, shown as date and time in UTC: `2013-05-26 08:06:29,855`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Moment {
    /// Whole seconds.
    pub seconds: u64,
    /// What comes on top, below 1000.
    pub millis: u16,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.seconds / 86400);
        let (hour, minute, second) = (self.seconds / 3600 % 24, self.seconds / 60 % 60, self.seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02},{:03}", u64::from(self.millis))
    }
}

/// The Gregorian date of a day since 1970. Years are counted from March, so that the leap day comes last and the months
/// before it follow a pattern of 153 days in five.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970_FROM_MARCH_0: u64 = 719_468;
    const FOUR_CENTURIES: u64 = 146_097;
    let days = days + DAYS_TO_1970_FROM_MARCH_0;
    let (era, day) = (days / FOUR_CENTURIES, days % FOUR_CENTURIES);
    let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + later, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_date_command_agrees() {
        // Days around the ends of months, leap years and centuries, and a coarse walk over 400 years.
        let interesting = [0, 58, 59, 60, 364, 365, 788, 789, 11015, 11016, 11017, 19782, 47540, 47541];
        for day in interesting.into_iter().chain((0..146_097).step_by(9973)) {
            let seconds = day * 86400 + 29189;
            let out = Command::new("date").args(["-u", "-d", &format!("@{seconds}"), "+%F %T,007"]).output().unwrap();
            assert_eq!(Moment { seconds, millis: 7 }.to_string(), String::from_utf8_lossy(&out.stdout).trim());
        }
    }
}
