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
    let tally = Arc::new(Tally::new(&plan(), Comparing::Arms, 10));
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
    let (plan, tally) = (plan(), Arc::new(Tally::new(&plan(), Comparing::Arms, 10)));
    let stage = plan.stages.iter().position(|stage| stage.share_ppm == 10_000).unwrap();
    let mut gate = rollout::gate::Gate::new(&plan, stage, 0).unwrap();
    drop(tally.claim(1, Side::Control));
    gate.push(&tally.take(1000)).unwrap();
}

#[test]
fn units_are_bounded() {
    let tally = Arc::new(Tally::new(&plan(), Comparing::Arms, 2));
    assert!(tally.claim(1, Side::Control).is_some());
    assert!(tally.claim(2, Side::Control).is_some());
    assert!(tally.claim(3, Side::Control).is_none());
}

const SAYS: &str = r#"{"choices":[{"message":{"content":"attic"},"finish_reason":"stop"}]}"#;
const RUNS_ON: &str = r#"{"choices":[{"message":{"content":"attic attic"},"finish_reason":"length"}]}"#;

#[test]
fn of_pairs_the_difference_counts_and_a_half_that_nobody_waited_for_does_not() {
    let tally = Arc::new(Tally::new(&plan(), Comparing::Pairs, 10));
    let answered = |unit, candidate: &str, control: &str, all: bool| {
        let [mut new, mut old] = tally.claim_pair(unit).unwrap();
        new.feed(candidate.as_bytes());
        new.complete();
        old.feed(control.as_bytes());
        if all {
            old.complete();
        }
    };
    answered(1, SAYS, SAYS, true);
    answered(2, RUNS_ON, SAYS, true);
    answered(3, SAYS, RUNS_ON, true);
    answered(4, RUNS_ON, SAYS, false);
    assert!(tally.claim_pair(4).is_none());
    let [mut new, mut old] = tally.claim_pair(5).unwrap();
    new.fail();
    old.feed(SAYS.as_bytes());
    old.complete();
    drop((new, old));
    let row = tally.take(1);
    assert_eq!(row.assigned, None);
    let pairs = |better, equal, worse| Cell::Pairs { better, equal, worse };
    // Errors: the last. Ends of answers: one each way, and what failed has none, which is the worst.
    assert_eq!(row.cells, [pairs(0, 3, 1), pairs(1, 1, 2)]);
    assert_eq!(tally.alike(), [1, 3]);
    let stage = plan().stages.iter().position(|stage| stage.comparing() == Comparing::Pairs).unwrap();
    rollout::gate::Gate::new(&plan(), stage, 0).unwrap().push(&row).unwrap();
}

#[test]
fn a_refusal_is_the_client_s_mistake_in_an_arm_and_a_difference_in_a_pair() {
    const REFUSES: &str = r#"{"error":{"message":"no"}}"#;
    let arms = Arc::new(Tally::new(&plan(), Comparing::Arms, 10));
    let mut sample = arms.claim(1, Side::Candidate).unwrap();
    sample.refuse();
    sample.feed(REFUSES.as_bytes());
    drop(sample);
    let Cell::Arms { candidate, .. } = &arms.take(1).cells[0] else { panic!("arms") };
    assert_eq!(*candidate, [1, 0]);

    let pairs = Arc::new(Tally::new(&plan(), Comparing::Pairs, 10));
    for (unit, both) in [(1, false), (2, true)] {
        let [mut new, mut old] = pairs.claim_pair(unit).unwrap();
        new.refuse();
        new.complete();
        if both {
            old.refuse();
        }
        old.complete();
    }
    assert_eq!(pairs.take(1).cells[0], Cell::Pairs { better: 0, equal: 1, worse: 1 });
}

#[test]
fn a_closed_tally_takes_nobody_and_knows_who_has_not_settled() {
    let tally = Arc::new(Tally::new(&plan(), Comparing::Pairs, 10));
    let [new, old] = tally.claim_pair(1).unwrap();
    assert!(!tally.close());
    assert!(tally.claim_pair(2).is_none());
    drop(new);
    assert!(!tally.close());
    drop(old);
    assert!(tally.close());
    tally.open();
    assert!(tally.claim_pair(2).is_some());
}
