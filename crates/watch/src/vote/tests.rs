use proptest::prelude::*;

use super::*;

fn name(at: usize) -> Name {
    format!("monitor-{at}").parse().unwrap()
}

fn panel() -> Panel {
    Panel::new((0..5).map(name), 2, 3_000).unwrap()
}

fn level() -> impl Strategy<Value = Level> {
    prop_oneof![Just(Level::Quiet), Just(Level::Notable), Just(Level::Serious), Just(Level::Critical)]
}

#[test]
fn three_that_speak_carry_it_and_two_do_not() {
    let mut panel = panel();
    for at in 0..2 {
        panel.cast(&name(at), Vote { level: Level::Critical, at_ms: 1_000 }).unwrap();
    }
    assert_eq!(panel.outcome(1_000), Outcome::Blind { speaking: 2 });
    panel.cast(&name(2), Vote { level: Level::Quiet, at_ms: 1_000 }).unwrap();
    assert_eq!(panel.outcome(1_000), Outcome::Agreed(Level::Quiet));
    panel.cast(&name(2), Vote { level: Level::Serious, at_ms: 1_001 }).unwrap();
    assert_eq!(panel.outcome(1_001), Outcome::Agreed(Level::Serious));
    // An old vote does not take a newer one back, and votes go stale.
    panel.cast(&name(2), Vote { level: Level::Quiet, at_ms: 5 }).unwrap();
    assert_eq!(panel.outcome(1_001), Outcome::Agreed(Level::Serious));
    assert_eq!(panel.outcome(4_001), Outcome::Blind { speaking: 1 });
    assert_eq!(panel.outcome(0), Outcome::Blind { speaking: 0 });
}

#[test]
fn strangers_and_small_panels_are_refused() {
    let stranger = panel().cast(&name(9), Vote { level: Level::Critical, at_ms: 1 }).unwrap_err();
    assert_eq!(stranger.code(), "CS-WCH-004");
    assert_eq!(Panel::new((0..4).map(name), 2, 1).unwrap_err().code(), "CS-WCH-005");
    assert_eq!(Panel::new((0..5).map(|_| name(1)), 1, 1).unwrap_err().code(), "CS-WCH-005");
}

proptest! {
    #[test]
    fn two_that_lie_or_are_dead_move_it_no_further_than_the_honest(
        honest in prop::array::uniform3(level()),
        faulty in prop::array::uniform2(prop::option::of(level())),
        order in Just([0_usize, 1, 2, 3, 4]).prop_shuffle(),
    ) {
        let mut panel = panel();
        let votes = honest.iter().copied().map(Some).chain(faulty);
        for (vote, at) in votes.zip(order) {
            if let Some(level) = vote {
                panel.cast(&name(at), Vote { level, at_ms: 10 }).unwrap();
            }
        }
        let Outcome::Agreed(agreed) = panel.outcome(10) else { panic!("three speak") };
        prop_assert!(agreed >= *honest.iter().min().unwrap() && agreed <= *honest.iter().max().unwrap());
    }
}
