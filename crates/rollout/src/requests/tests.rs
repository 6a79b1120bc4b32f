use statement::kind::GateDecision;

use super::*;
use crate::gate::tests::{arms, plan};
use crate::record::StageData;

/// Units with so many tokens for each of three requests, every other unit ten more or less.
fn sums(units: i64, tokens: i64) -> UnitSums {
    let mut sums = Sums::default();
    for unit in 0..units {
        sums.add(3, 3 * (tokens + if unit % 2 == 0 { 10 } else { -10 })).unwrap();
    }
    UnitSums::from(&sums)
}

fn judge(candidate: Option<UnitSums>, to_ms: u64) -> (GateDecision, Reason) {
    let mut plan = plan();
    plan.metrics[0].request_margin_milli = Some(5_000);
    let name = plan.metrics[0].name.clone();
    let arms_sums = candidate.map(|candidate| (name, ArmSums { candidate, control: sums(5_000, 200) }));
    let data = StageData {
        from_ms: 0,
        plan: plan.digest().unwrap(),
        requests: arms_sums.into_iter().collect(),
        rows: (1..=60).map(|at| arms(at, [398, 2], [398, 2])).collect(),
        stage: 1,
        to_ms,
        version: 1,
    };
    let again = StageData::parse(&data.to_bytes().unwrap()).unwrap();
    let judgement = again.judge(&plan).unwrap();
    (judgement.decision, judgement.reason)
}

#[test]
fn a_mean_over_requests_has_to_be_within_its_margin_too() {
    let name: Name = "errors:requests".parse().unwrap();
    assert_eq!(judge(Some(sums(5_000, 200)), 60_000), (GateDecision::Promote, Reason::AllShown));
    assert_eq!(judge(Some(sums(5_000, 210)), 60_000), (GateDecision::RollBack, Reason::Shown(name.clone())));
    assert_eq!(judge(Some(sums(5_000, 205)), 60_000), (GateDecision::Hold, Reason::NotShown(name.clone())));
    assert_eq!(
        judge(Some(sums(5_000, 205)), 120_000),
        (GateDecision::RollBack, Reason::Undecided(name.clone()))
    );
    // Without sums, or with those of a few units, nothing is shown.
    assert_eq!(judge(None, 60_000), (GateDecision::Hold, Reason::NotShown(name.clone())));
    assert_eq!(judge(Some(sums(99, 200)), 60_000), (GateDecision::Hold, Reason::NotShown(name)));
}

#[test]
fn integers_have_one_spelling() {
    assert_eq!(Integer::try_from(i128::MIN.to_string()).unwrap(), Integer::new(i128::MIN));
    for bad in ["", "+1", "01", "-0", "1.5", " 1", "170141183460469231731687303715884105728"] {
        assert!(Integer::try_from(bad.to_owned()).is_err(), "{bad}");
    }
}
