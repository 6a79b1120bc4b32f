use proptest::prelude::*;

use super::*;

fn plan() -> Plan {
    Plan::standard().unwrap()
}

fn all_reports(plan: &Plan) -> BTreeSet<Name> {
    plan.stages.iter().flat_map(|stage| stage.reports.iter().cloned()).collect()
}

fn promote(stage: usize, plan: &Plan) -> Event {
    Event::Judged { stage, decision: GateDecision::Promote, reports: all_reports(plan) }
}

#[test]
fn a_good_change_goes_through_every_stage_and_its_hold_points() {
    let plan = plan();
    let start = Event::Start { reports: all_reports(&plan) };
    let (mut state, _) = step(&plan, &State::Waiting, &start, 5).unwrap();
    let (mut shares, mut asked) = (Vec::new(), 0);
    while state != State::Done {
        let event = match &state {
            State::Running { stage, .. } => promote(*stage, &plan),
            State::Held { stage, .. } => {
                asked += 1;
                let holder = plan.stages[*stage].hold_point.clone().unwrap();
                Event::SignedOff { holder, reports: all_reports(&plan) }
            }
            other => panic!("{other:?}"),
        };
        let (next, actions) = step(&plan, &state, &event, 5).unwrap();
        for action in actions {
            if let Action::Enter { share, .. } = action {
                shares.push(share.ppm() / 10_000);
            }
        }
        state = next;
    }
    assert_eq!(shares, [0, 1, 5, 25, 50, 75, 100]);
    assert_eq!(asked, 2);
}

#[test]
fn a_stage_does_not_begin_without_its_reports() {
    let error = step(&plan(), &State::Waiting, &Event::Start { reports: BTreeSet::new() }, 5).unwrap_err();
    assert_eq!(error.code(), "CS-RLO-009");
    let event = Event::Judged { stage: 0, decision: GateDecision::Promote, reports: BTreeSet::new() };
    let state = State::Running { stage: 0, from_ms: 0 };
    assert_eq!(step(&plan(), &state, &event, 5).unwrap_err().code(), "CS-RLO-009");
}

#[test]
fn a_hold_point_is_its_holders() {
    let plan = plan();
    let state = State::Held { stage: 2, from_ms: 0 };
    let wrong = Event::SignedOff { holder: "proposer".parse().unwrap(), reports: all_reports(&plan) };
    assert_eq!(step(&plan, &state, &wrong, 5).unwrap_err().code(), "CS-RLO-010");
    let right = Event::SignedOff { holder: "operator".parse().unwrap(), reports: all_reports(&plan) };
    assert_eq!(step(&plan, &state, &right, 5).unwrap().0, State::Running { stage: 3, from_ms: 5 });
}

#[test]
fn a_decision_is_for_the_stage_it_names() {
    let plan = plan();
    let state = State::Running { stage: 3, from_ms: 0 };
    assert_eq!(step(&plan, &state, &promote(2, &plan), 5).unwrap_err().code(), "CS-RLO-011");
}

#[test]
fn a_pause_keeps_from_going_on_and_not_from_going_back() {
    let plan = plan();
    let paused = State::Paused { stage: 3, from_ms: 0 };
    assert_eq!(step(&plan, &paused, &promote(3, &plan), 5).unwrap(), (paused.clone(), Vec::new()));
    let worse = Event::Judged { stage: 3, decision: GateDecision::RollBack, reports: BTreeSet::new() };
    let (state, actions) = step(&plan, &paused, &worse, 5).unwrap();
    assert_eq!((state, actions), (State::RolledBack { stage: Some(3) }, vec![Action::RollBack]));
    let running = step(&plan, &paused, &Event::Resume, 5).unwrap().0;
    assert_eq!(running, State::Running { stage: 3, from_ms: 0 });
}

fn event() -> impl Strategy<Value = Event> {
    let reports = all_reports(&plan());
    let decision =
        prop_oneof![Just(GateDecision::Promote), Just(GateDecision::Hold), Just(GateDecision::RollBack)];
    let (start, judged, signed) = (reports.clone(), reports.clone(), reports);
    prop_oneof![
        Just(Event::Start { reports: start }),
        (0_usize..9, decision).prop_map(move |(stage, decision)| Event::Judged {
            stage,
            decision,
            reports: judged.clone()
        }),
        prop_oneof![Just("operator"), Just("proposer")].prop_map(move |holder| Event::SignedOff {
            holder: holder.parse().unwrap(),
            reports: signed.clone()
        }),
        Just(Event::Pause),
        Just(Event::Resume),
        Just(Event::Abort),
    ]
}

proptest! {
    #[test]
    fn the_share_rises_one_stage_at_a_time_and_the_end_is_the_end(events in prop::collection::vec(event(), 0..200)) {
        let plan = plan();
        let (mut state, mut last) = (State::Waiting, None);
        for event in &events {
            let Ok((next, actions)) = step(&plan, &state, event, 5) else { continue };
            prop_assert!(!matches!(state, State::Done | State::RolledBack { .. }), "{state:?} is left");
            for action in &actions {
                match action {
                    Action::Enter { stage, share, .. } => {
                        prop_assert_eq!(*stage, last.map_or(0, |last: usize| last + 1));
                        prop_assert_eq!(share.ppm(), plan.stages[*stage].share_ppm);
                        let judged = matches!(event, Event::Judged { decision: GateDecision::Promote, .. });
                        let may = matches!(event, Event::Start { .. } | Event::SignedOff { .. }) || judged;
                        prop_assert!(may, "{event:?} entered a stage");
                        if let Some(hold) = last.and_then(|last| plan.stages[last].hold_point.as_ref()) {
                            let signed = matches!(event, Event::SignedOff { holder, .. } if holder == hold);
                            prop_assert!(signed, "a hold point was passed by {event:?}");
                        }
                        last = Some(*stage);
                    }
                    Action::RollBack => prop_assert!(matches!(next, State::RolledBack { .. }), "{next:?}"),
                    Action::Finish => prop_assert_eq!(last, Some(plan.stages.len() - 1)),
                    Action::AskSignOff { .. } => prop_assert!(matches!(next, State::Held { .. }), "{next:?}"),
                }
            }
            state = next;
        }
    }
}
