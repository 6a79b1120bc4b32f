use statement::kind::{EvidenceKind, FreezeTarget, Outcome, Tier};

use super::{date, word};

#[track_caller]
fn check(ms: u64, expected: &str) {
    assert_eq!(date(ms), expected);
}

#[test]
fn dates_follow_the_calendar() {
    check(0, "1970-01-01 00:00:00 UTC");
    check(951_782_399_999, "2000-02-28 23:59:59 UTC");
    check(951_782_400_000, "2000-02-29 00:00:00 UTC");
    check(951_868_800_000, "2000-03-01 00:00:00 UTC");
    check(1_234_567_890_123, "2009-02-13 23:31:30 UTC");
    check(4_107_542_400_000, "2100-03-01 00:00:00 UTC");
    check(4_107_542_399_000, "2100-02-28 23:59:59 UTC");
    check(253_402_300_799_000, "9999-12-31 23:59:59 UTC");
    // The largest number there is must not stop the program.
    date(u64::MAX);
}

#[test]
fn words_are_those_of_statements() {
    assert_eq!(word(&EvidenceKind::FormalVerification), "formal-verification");
    assert_eq!(word(&Tier::Medium), "medium");
    assert_eq!(word(&Outcome::Inconclusive), "inconclusive");
    assert_eq!(word(&FreezeTarget::Realm), "realm");
    assert_eq!(word(&FreezeTarget::Slot("support".parse().unwrap())), "slot support");
}
