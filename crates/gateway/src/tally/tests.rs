use super::*;

fn plan() -> Arc<Plan> {
    let mut plan = Plan::standard().unwrap();
    plan.metrics.truncate(2);
    for stage in &mut plan.stages {
        stage.margins_ppm.truncate(2);
    }
    Arc::new(plan)
}

#[test]
fn a_unit_is_judged_by_its_first_request_alone() {
    let tally = Arc::new(Tally::new(&plan(), 10));
    let mut first = tally.claim(7, Side::Candidate).unwrap();
    assert!(tally.claim(7, Side::Candidate).is_none());
    first.feed(br#"{"finish_reason":"length"}"#);
    drop(first);
    assert!(tally.claim(7, Side::Candidate).is_none());
    let mut other = tally.claim(8, Side::Control).unwrap();
    other.fail();
    drop(other);
    let row = tally.take(5);
    assert_eq!(row.assigned, Some([1, 1]));
    let arms = |candidate: &[u64], control: &[u64]| Cell::Arms {
        candidate: candidate.into(),
        control: control.into(),
    };
    assert_eq!(row.cells, [arms(&[1, 0], &[0, 1]), arms(&[0, 1, 0], &[0, 0, 1])]);
    let next = tally.take(6);
    assert_eq!((next.assigned, &next.cells[0]), (Some([0, 0]), &arms(&[0, 0], &[0, 0])));
}

#[test]
fn a_row_fits_its_gate() {
    let (plan, tally) = (plan(), Arc::new(Tally::new(&plan(), 10)));
    let stage = plan.stages.iter().position(|stage| stage.share_ppm == 10_000).unwrap();
    let mut gate = rollout::gate::Gate::new(&plan, stage, 0).unwrap();
    drop(tally.claim(1, Side::Control));
    gate.push(&tally.take(1000)).unwrap();
}

#[test]
fn units_are_bounded() {
    let tally = Arc::new(Tally::new(&plan(), 2));
    assert!(tally.claim(1, Side::Control).is_some());
    assert!(tally.claim(2, Side::Control).is_some());
    assert!(tally.claim(3, Side::Control).is_none());
}
