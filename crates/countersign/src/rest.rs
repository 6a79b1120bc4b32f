//! How far this machine's clock may be from the log's last stamp when it begins to write.
//!
//! Stamps never go back. A clock that is fast for one command sets the log's time ahead for good: whatever ends in that
//! time has ended. What this does not see: a clock that is fast by less than a long rest, and a clock that goes wrong
//! while one process writes.

use crate::failure::{Done, Failure};
use crate::text::date;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// The longest rest of a log that needs no word.
const REST_MS: u64 = 31 * DAY_MS;
/// How far a log may be ahead of a clock without a word: clocks differ.
const AHEAD_MS: u64 = HOUR_MS;

/// Whether a log may have had no leaf for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nobody said so: then it is the clock that is wrong.
    Unusual,
    /// The caller said so.
    Confirmed,
}

impl Rest {
    /// Refuses to write with a clock that is far after the log's last stamp. Both in milliseconds since 1970; a log
    /// without a stamp has zero.
    pub(crate) fn check(self, now_ms: u64, stamp_ms: u64) -> Done {
        if stamp_ms.saturating_sub(now_ms) > AHEAD_MS {
            let ahead = span(stamp_ms.saturating_sub(now_ms));
            tracing::warn!(%ahead, "the log's last stamp is ahead of this machine's clock; what is made now has the stamp's time");
        }
        let since_ms = now_ms.saturating_sub(stamp_ms);
        if self == Self::Unusual && stamp_ms > 0 && since_ms > REST_MS {
            let message = format!(
                "this machine's clock is {} after the log's last stamp, {}",
                span(since_ms),
                date(stamp_ms),
            );
            let hint = "set the clock: the log's time never goes back; where the log really was at rest, say --rested";
            return Err(Failure::new("CS-CLI-074", message, hint));
        }
        Ok(())
    }
}

/// A span in whole days, or hours where it is shorter.
fn span(ms: u64) -> String {
    if ms >= 2 * DAY_MS { format!("{} days", ms / DAY_MS) } else { format!("{} hours", ms / HOUR_MS) }
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, Rest};

    const STAMP_MS: u64 = 1_790_000_000_000;

    #[test]
    fn a_long_rest_must_be_confirmed() {
        assert!(Rest::Unusual.check(STAMP_MS + 31 * DAY_MS, STAMP_MS).is_ok());
        let refused = Rest::Unusual.check(STAMP_MS + 400 * DAY_MS, STAMP_MS).unwrap_err();
        assert_eq!(refused.code, "CS-CLI-074");
        assert!(refused.message.contains("400 days"), "{}", refused.message);
        assert!(Rest::Confirmed.check(STAMP_MS + 400 * DAY_MS, STAMP_MS).is_ok());
    }

    #[test]
    fn an_empty_log_and_a_log_ahead_are_written() {
        assert!(Rest::Unusual.check(STAMP_MS, 0).is_ok());
        assert!(Rest::Unusual.check(STAMP_MS, STAMP_MS + 400 * DAY_MS).is_ok());
    }
}
