use proptest::prelude::*;

use super::*;

fn level() -> impl Strategy<Value = Level> {
    prop_oneof![Just(Level::Quiet), Just(Level::Notable), Just(Level::Serious), Just(Level::Critical)]
}

fn after(outcomes: &[(Outcome, u64)], now_ms: u64) -> Option<Response> {
    let mut course = Course::default();
    for (outcome, at_ms) in outcomes {
        course.see(*outcome, *at_ms);
    }
    Table::standard().unwrap().respond(&course, now_ms)
}

#[test]
fn responses_rise_with_level_and_time() {
    let agreed = Outcome::Agreed;
    assert_eq!(after(&[(agreed(Level::Quiet), 0)], 9_000_000), None);
    assert_eq!(after(&[(agreed(Level::Notable), 0)], 0), Some(Response::Watch));
    assert_eq!(after(&[(agreed(Level::Notable), 0)], 60_000), Some(Response::Freeze));
    assert_eq!(after(&[(agreed(Level::Serious), 0)], 0), Some(Response::Restrict));
    assert_eq!(after(&[(agreed(Level::Serious), 0)], 10_000), Some(Response::RollBack));
    assert_eq!(after(&[(agreed(Level::Critical), 0)], 0), Some(Response::Quarantine));
    assert_eq!(after(&[(agreed(Level::Critical), 0)], 30_000), Some(Response::Stop));
    assert_eq!(after(&[(agreed(Level::Critical), 0), (agreed(Level::Quiet), 1)], 30_000), None);
}

#[test]
fn not_knowing_freezes_and_forgets_nothing() {
    let blind = Outcome::Blind { speaking: 1 };
    assert_eq!(after(&[(blind, 0)], 0), Some(Response::Freeze));
    assert_eq!(after(&[(Outcome::Agreed(Level::Serious), 0), (blind, 1)], 10_000), Some(Response::RollBack));
}

#[test]
fn tables_that_leave_the_worst_unanswered_are_refused() {
    for bad in [&b""[..], b"{}", br#"{"blind":"freeze","rules":[],"version":1}"#] {
        assert_eq!(Table::parse(bad).unwrap_err().code(), "CS-WCH-006");
    }
    let mut table = Table::standard().unwrap();
    table.version = 2;
    let bytes = json::to_canonical(&table).unwrap();
    assert_eq!(Table::parse(&bytes).unwrap_err().code(), "CS-WCH-006");
}

proptest! {
    #[test]
    fn more_is_never_answered_with_less(first in level(), second in level(), early in 0_u64..100_000, late in 0_u64..100_000) {
        let (low, high) = (first.min(second), first.max(second));
        let (early, late) = (early.min(late), early.max(late));
        let respond = |level, now| after(&[(Outcome::Agreed(level), 0)], now);
        prop_assert!(respond(low, early) <= respond(high, early));
        prop_assert!(respond(low, early) <= respond(low, late));
    }
}
