//! The lifecycle against a table of every state and event, and against a model over sequences.

use proptest::prelude::*;
use statement::Digest;

use super::*;

fn statement(byte: u8) -> StatementId {
    StatementId::from_digest(Digest::of(&[byte]))
}

fn served(byte: u8) -> StateId {
    StateId::from_digest(Digest::of(&[byte, byte]))
}

fn order() -> StatementId {
    statement(1)
}

/// One state of each name; of those with content, one of each kind of content.
fn states() -> Vec<State> {
    let examined = |outcome| State::Examined { verdict: statement(9), outcome };
    vec![
        State::Proposed,
        examined(Outcome::Pass),
        examined(Outcome::Fail),
        examined(Outcome::Inconclusive),
        State::Ordered { order: order(), stage: None },
        State::Ordered { order: order(), stage: Some(Stage::Canary) },
        State::Serving { order: order() },
        State::Succeeded { order: order(), reached: Reached::Stage(Some(Stage::Canary)) },
        State::Succeeded { order: order(), reached: Reached::All },
        State::RolledBack { order: order() },
        State::Rejected,
        State::Retired { order: order() },
    ]
}

fn events() -> Vec<Event> {
    let mut events = vec![
        Event::Rebased,
        Event::Found,
        Event::Decided { verdict: statement(2), outcome: Outcome::Pass },
        Event::Decided { verdict: statement(3), outcome: Outcome::Fail },
        Event::Approved,
        Event::Rejected,
        Event::Ordered { order: order(), from: served(1), to: served(2) },
        Event::RolledBack { to: served(1) },
        Event::Replaced,
        Event::Reinstated,
        Event::Retired { to: served(3) },
    ];
    for stage in [Stage::Synthetic, Stage::Shadow, Stage::Canary, Stage::Ramp, Stage::Full] {
        for decision in [GateDecision::Promote, GateDecision::Hold, GateDecision::RollBack] {
            events.push(Event::Staged { stage, decision });
        }
    }
    events
}

/// What should follow, said once more in another way: by what a state allows rather than by transitions.
fn expected(state: State, event: Event) -> Option<(State, Vec<Effect>)> {
    let open = matches!(state, State::Proposed | State::Examined { .. });
    let live = match state {
        State::Ordered { order, .. } | State::Serving { order } => Some(order),
        _ => None,
    };
    let rolling = matches!(state, State::Ordered { .. });
    match event {
        Event::Rebased | Event::Found => open.then(|| (State::Proposed, vec![])),
        Event::Decided { verdict, outcome } => open.then(|| (State::Examined { verdict, outcome }, vec![])),
        Event::Rejected => open.then(|| (State::Rejected, vec![])),
        Event::Approved => (open && state != State::Proposed).then(|| (state, vec![])),
        Event::Ordered { order, to, .. } => (open && state != State::Proposed)
            .then(|| (State::Ordered { order, stage: None }, vec![Effect::MoveSlot { to }])),
        Event::Staged { stage: Stage::Full, decision: GateDecision::Promote } => {
            live.filter(|_| rolling).map(|order| (State::Serving { order }, vec![Effect::CountSuccess]))
        }
        Event::Staged { stage, .. } => {
            live.filter(|_| rolling).map(|order| (State::Ordered { order, stage: Some(stage) }, vec![]))
        }
        Event::RolledBack { to } => live
            .map(|order| (State::RolledBack { order }, vec![Effect::MoveSlot { to }, Effect::CountFailure])),
        Event::Retired { to } => live.map(|order| (State::Retired { order }, vec![Effect::MoveSlot { to }])),
        Event::Replaced => live.map(|order| {
            let reached = match state {
                State::Ordered { stage, .. } => Reached::Stage(stage),
                _ => Reached::All,
            };
            (State::Succeeded { order, reached }, vec![])
        }),
        Event::Reinstated => match state {
            State::Succeeded { order, reached: Reached::All } => Some((State::Serving { order }, vec![])),
            State::Succeeded { order, reached: Reached::Stage(stage) } => {
                Some((State::Ordered { order, stage }, vec![]))
            }
            _ => None,
        },
    }
}

#[test]
fn every_state_and_event() {
    let mut allowed = 0;
    for state in states() {
        for event in events() {
            match (step(state, &event), expected(state, event)) {
                (Ok(next), Some(wanted)) => {
                    assert_eq!(next, wanted, "{state:?} {event:?}");
                    allowed += 1;
                }
                (Err(refusal), None) => {
                    let reasons: Vec<_> = refusal.reasons().collect();
                    assert_eq!(reasons.len(), 1);
                    assert_eq!(reasons[0].code.as_str(), "CS-FLD-026");
                    assert_eq!(reasons[0].about, state.name());
                }
                (next, wanted) => panic!("{state:?} {event:?}: {next:?}, not {wanted:?}"),
            }
        }
    }
    // Proposed 5, examined 7 each, ordered 18 each, serving 3, what gave way may come back, and nothing of what has ended.
    assert_eq!(allowed, 5 + 3 * 7 + 2 * 18 + 3 + 2);
}

#[test]
fn every_state_has_a_name_of_its_own() {
    let mut names: Vec<&str> = states().iter().map(State::name).collect();
    names.dedup();
    assert_eq!(names.len(), 10);
}

proptest! {
    /// Whatever happens to a change: it enters its slot by one order, is out of it as often as it comes back or once more,
    /// and is counted as a
    /// success at most once, as a failure only if it was taken back.
    #[test]
    fn a_change_enters_and_leaves_its_slot_once(
        happenings in prop::collection::vec(prop::sample::select(events()), 0..64)
    ) {
        let mut state = State::Proposed;
        let (mut entered, mut left, mut successes, mut failures) = (0, 0, 0, 0);
        for event in happenings {
            let Ok((next, effects)) = step(state, &event) else {
                prop_assert_eq!(expected(state, event), None);
                continue;
            };
            prop_assert_eq!(expected(state, event), Some((next, effects.clone())));
            for effect in effects {
                match effect {
                    Effect::MoveSlot { .. } if matches!(event, Event::Ordered { .. }) => entered += 1,
                    Effect::MoveSlot { .. } => left += 1,
                    Effect::CountSuccess => successes += 1,
                    Effect::CountFailure => failures += 1,
                }
            }
            left += u32::from(event == Event::Replaced);
            left -= u32::from(event == Event::Reinstated);
            state = next;
            prop_assert!(left <= entered && entered <= 1 && left <= 1 && successes <= entered);
            prop_assert_eq!(failures, u32::from(matches!(state, State::RolledBack { .. })));
            let in_slot = matches!(state, State::Ordered { .. } | State::Serving { .. });
            prop_assert_eq!(in_slot, entered > left);
        }
    }
}
