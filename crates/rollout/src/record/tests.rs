use std::str::FromStr;

use statement::kind::GateDecision;

use super::*;
use crate::gate::tests::{arms, plan};

fn order() -> StatementId {
    StatementId::from_str(&format!("{:064x}", 7)).unwrap()
}

fn data(bad: u64) -> StageData {
    StageData {
        from_ms: 0,
        plan: plan().digest().unwrap(),
        requests: BTreeMap::new(),
        rows: (1..=60).map(|at| arms(at, [398, 2], [400 - bad, bad])).collect(),
        stage: 1,
        to_ms: 60_000,
        version: 1,
    }
}

#[test]
fn a_report_is_what_its_data_lead_to_for_everybody() {
    for (bad, decision) in [(2, GateDecision::Promote), (90, GateDecision::RollBack)] {
        let data = data(bad);
        let report = data.report(&plan(), order()).unwrap();
        assert_eq!(report.decision, decision);
        let bytes = data.to_bytes().unwrap();
        assert_eq!(StageData::parse(&bytes).unwrap(), data);
        let again = rerun(&plan().to_bytes().unwrap(), &bytes, &report).unwrap();
        assert_eq!(again.decision, decision);
    }
}

#[test]
fn every_member_of_a_report_is_checked() {
    let data = data(2);
    let (plan_bytes, bytes) = (plan().to_bytes().unwrap(), data.to_bytes().unwrap());
    let report = data.report(&plan(), order()).unwrap();
    let refused = |change: &dyn Fn(&mut StageReport)| {
        let mut other = report.clone();
        change(&mut other);
        let error = rerun(&plan_bytes, &bytes, &other).unwrap_err();
        assert_eq!(error.code(), "CS-RLO-006", "{error}");
    };
    refused(&|report| report.data = Digest::of(b"other"));
    refused(&|report| report.decision = GateDecision::Hold);
    refused(&|report| report.from_ms += 1);
    refused(&|report| report.to_ms += 1);
    refused(&|report| report.share_ppm += 1);
    refused(&|report| report.stage = statement::kind::Stage::Ramp);
    refused(&|report| drop(report.gates.pop_first()));
    refused(&|report| {
        let mut gate = report.gates.pop_last().unwrap();
        gate.statistic_ppm += 1;
        report.gates.insert(gate);
    });
}

#[test]
fn data_of_another_plan_or_with_a_changed_count_lead_elsewhere() {
    let mut other = plan();
    other.metrics[0].tolerated_ppm += 1;
    assert_eq!(data(2).judge(&other).unwrap_err().code(), "CS-RLO-006");
    let (first, second) =
        (data(2).report(&plan(), order()).unwrap(), data(3).report(&plan(), order()).unwrap());
    assert_ne!(first.gates, second.gates);
    assert_ne!(first.data, second.data);
}

#[test]
fn bytes_that_are_no_data_are_refused() {
    let bytes = data(2).to_bytes().unwrap();
    for bad in [&b""[..], b"{}", &bytes[1..], &[bytes.clone(), b" ".to_vec()].concat()] {
        assert_eq!(StageData::parse(bad).unwrap_err().code(), "CS-RLO-002");
    }
    let text = String::from_utf8(bytes).unwrap();
    let later = text.replace(r#""version":1"#, r#""version":2"#);
    assert_eq!(StageData::parse(later.as_bytes()).unwrap_err().code(), "CS-RLO-002");
}

#[test]
fn only_a_hold_does_not_end_a_stage() {
    assert!(ends(GateDecision::Promote) && ends(GateDecision::RollBack) && !ends(GateDecision::Hold));
}
