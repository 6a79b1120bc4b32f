use statement::kind::Stage;

use super::*;

/// One metric, one second a row, a canary of a minute with a minute of extension at stage 1.
pub(crate) fn plan() -> Plan {
    let mut plan = Plan::standard().unwrap();
    plan.metrics.truncate(1);
    plan.stages
        .retain(|stage| matches!(stage.stage, Stage::Shadow | Stage::Full) || stage.share_ppm == 10_000);
    for stage in &mut plan.stages {
        stage.margins_ppm = vec![20_000];
        stage.reports.clear();
        if stage.stage != Stage::Full {
            (stage.duration_ms, stage.extension_ms, stage.units_min) = (60_000, 60_000, 1_000);
        }
    }
    plan.check().unwrap();
    plan
}

pub(crate) fn arms(at_s: u64, control: [u64; 2], candidate: [u64; 2]) -> Row {
    let sum = |arm: [u64; 2]| arm[0] + arm[1];
    Row {
        at_ms: at_s * 1_000,
        assigned: Some([sum(control), sum(candidate)]),
        cells: vec![Cell::Arms { candidate: candidate.to_vec(), control: control.to_vec() }],
    }
}

fn run(rows: impl Iterator<Item = Row>) -> Gate {
    let mut gate = Gate::new(&plan(), 1, 0).unwrap();
    for row in rows {
        gate.push(&row).unwrap();
    }
    gate
}

#[test]
fn what_is_shown_to_be_good_is_promoted_and_not_before_its_time() {
    let mut gate = run((1..=59).map(|at| arms(at, [398, 2], [398, 2])));
    assert_eq!(gate.judge(59_000).decision, GateDecision::Hold);
    assert_eq!(gate.judge(59_000).reason, Reason::TooEarly);
    gate.push(&arms(60, [398, 2], [398, 2])).unwrap();
    let judgement = gate.judge(60_000);
    assert_eq!((judgement.decision, &judgement.reason), (GateDecision::Promote, &Reason::AllShown));
    assert_eq!(judgement.results.len(), 3);
}

#[test]
fn what_is_worse_goes_back_at_once_and_stays_back() {
    let mut gate = run((1..=5).map(|at| arms(at, [398, 2], [300, 100])));
    let judgement = gate.judge(5_000);
    assert_eq!(judgement.decision, GateDecision::RollBack);
    assert_eq!(judgement.reason, Reason::Shown("errors:worse".parse().unwrap()));
    for at in 6..120 {
        gate.push(&arms(at, [300, 100], [400, 0])).unwrap();
    }
    assert_eq!(gate.judge(119_000).decision, GateDecision::RollBack);
}

#[test]
fn silence_is_held_and_then_goes_back() {
    let gate = run((1..=60).map(|at| arms(at, [3, 0], [3, 0])));
    let judgement = gate.judge(60_000);
    assert_eq!(judgement.decision, GateDecision::Hold);
    assert_eq!(judgement.reason, Reason::NotShown("errors:within".parse().unwrap()));
    let judgement = gate.judge(120_000);
    assert_eq!(judgement.decision, GateDecision::RollBack);
    assert_eq!(judgement.reason, Reason::Undecided("errors:within".parse().unwrap()));
}

#[test]
fn too_few_units_do_not_pass_however_good_they_look() {
    let mut plan = plan();
    plan.stages[1].units_min = 1_000_000;
    let mut gate = Gate::new(&plan, 1, 0).unwrap();
    gate.push(&arms(60, [99_500, 500], [99_500, 500])).unwrap();
    assert_eq!(gate.judge(60_000).reason, Reason::TooFew { units: 100_000 });
    assert_eq!(gate.judge(120_000).decision, GateDecision::RollBack);
}

#[test]
fn an_arm_that_loses_units_goes_back_even_if_the_rest_is_fine() {
    let gate = run((1..=30).map(|at| Row { assigned: Some([400, 300]), ..arms(at, [398, 2], [298, 2]) }));
    let judgement = gate.judge(30_000);
    assert_eq!(judgement.decision, GateDecision::RollBack);
    assert_eq!(judgement.reason, Reason::Shown("sample-ratio".parse().unwrap()));
}

#[test]
fn pairs_are_judged_by_those_that_differ() {
    let pairs = |at_s: u64, worse, better| Row {
        at_ms: at_s * 1_000,
        assigned: None,
        cells: vec![Cell::Pairs { better, equal: 400 - worse - better, worse }],
    };
    let gate = |worse, better| {
        let mut gate = Gate::new(&plan(), 0, 0).unwrap();
        for at in 1..=60 {
            gate.push(&pairs(at, worse, better)).unwrap();
        }
        gate.judge(60_000).decision
    };
    assert_eq!(gate(1, 1), GateDecision::Promote);
    assert_eq!(gate(20, 2), GateDecision::RollBack);
    assert_eq!(gate(2, 20), GateDecision::Promote);
}

#[test]
fn categories_are_judged_both_ways() {
    let mut plan = plan();
    plan.metrics = vec![Plan::standard().unwrap().metrics.swap_remove(1)];
    let row = |at_s: u64, candidate: [u64; 3]| Row {
        at_ms: at_s * 1_000,
        assigned: Some([1_000, 1_000]),
        cells: vec![Cell::Arms { candidate: candidate.to_vec(), control: vec![900, 90, 10] }],
    };
    let decide = |candidate| {
        let mut gate = Gate::new(&plan, 1, 0).unwrap();
        for at in 1..=60 {
            gate.push(&row(at, candidate)).unwrap();
        }
        gate.judge(60_000).decision
    };
    assert_eq!(decide([900, 90, 10]), GateDecision::Promote);
    assert_eq!(decide([800, 90, 110]), GateDecision::RollBack);
    assert_eq!(decide([990, 0, 10]), GateDecision::RollBack);
}

#[test]
fn everybody_is_reached_without_a_comparison() {
    let gate = Gate::new(&plan(), 2, 0).unwrap();
    let judgement = gate.judge(0);
    assert_eq!((judgement.decision, judgement.results.len()), (GateDecision::Promote, 0));
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let mut gate = run([arms(5, [9, 0], [9, 0])].into_iter());
    let fits = arms(6, [9, 0], [9, 0]);
    let code = |gate: &mut Gate, row: &Row| gate.push(row).unwrap_err().code();
    assert_eq!(code(&mut gate, &arms(4, [9, 0], [9, 0])), "CS-RLO-004");
    assert_eq!(code(&mut gate, &Row { cells: Vec::new(), ..fits.clone() }), "CS-RLO-003");
    assert_eq!(code(&mut gate, &Row { assigned: None, ..fits.clone() }), "CS-RLO-003");
    let pairs = Cell::Pairs { better: 0, equal: 1, worse: 0 };
    assert_eq!(code(&mut gate, &Row { cells: vec![pairs], ..fits.clone() }), "CS-RLO-003");
    let levels = Cell::Arms { candidate: vec![1, 2, 3], control: vec![1, 2] };
    assert_eq!(code(&mut gate, &Row { cells: vec![levels], ..fits.clone() }), "CS-RLO-003");
    let endless = Cell::Arms { candidate: vec![u64::MAX, u64::MAX], control: vec![1, 2] };
    assert_eq!(code(&mut gate, &Row { cells: vec![endless], ..fits }), "CS-RLO-005");
    assert_eq!(Gate::new(&plan(), 9, 0).unwrap_err().code(), "CS-RLO-007");
}

#[test]
fn what_came_by_itself_moves_no_test_and_still_bars_a_promotion() {
    let mut gate = run((1..=60).map(|at| arms(at, [398, 2], [398, 2])));
    // A tenth of the candidate's units were waited for, and failed when nobody of the control's was left.
    gate.push(&Row { assigned: Some([0, 0]), ..arms(61, [0, 0], [0, 2_400]) }).unwrap();
    let judgement = gate.judge(61_000);
    assert_eq!(judgement.decision, GateDecision::Hold);
    assert_eq!(judgement.reason, Reason::NotShown("errors:within".parse().unwrap()));
}
