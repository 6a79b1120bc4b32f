use rollout::record::StageData;
use statement::Digest;

use super::*;
use crate::tally::{Sample, Side};

/// One stage of a second in which few units suffice, and then everybody.
fn plan() -> Arc<Plan> {
    let stage = |stage: &str, share: u32, ms: u64| {
        json!({ "contexts": "all", "duration_ms": ms, "extension_ms": 1000 * ms, "margins_ppm": [300_000], "reports": [],
                "share_ppm": share, "stage": stage, "units_min": 40 * ms })
    };
    let mut first = stage("canary", 500_000, 1_000);
    first["units_min"] = json!(40);
    let plan = json!({
        "alpha_ppm": 200_000,
        "metrics": [{ "expected_ppm": [10_000], "measure": "rate", "name": "errors", "tolerated_ppm": 50_000 }],
        "stages": [first, stage("full", 1_000_000, 0)], "version": 1,
    });
    Arc::new(Plan::parse(plan.to_string().as_bytes()).unwrap())
}

fn drive() -> Drive {
    let order = StatementId::from_digest(Digest::of(b"order"));
    let mut drive = Drive::new(plan(), order, ChangeId::from_random([7; 16]), 1_000_000).unwrap();
    drive.start(0).unwrap();
    drive
}

/// Units of both arms that ask now.
fn come(drive: &Drive, units: std::ops::Range<u64>) -> Vec<[Sample; 2]> {
    let tally = drive.reach().tally.unwrap();
    let pair = |unit| [(2 * unit, Side::Candidate), (2 * unit + 1, Side::Control)];
    units.map(|unit| pair(unit).map(|(unit, side)| tally.claim(unit, side).unwrap())).collect()
}

#[test]
fn what_has_not_answered_yet_is_waited_for_before_a_stage_passes() {
    let mut drive = drive();
    drop(come(&drive, 0..200));
    // As many again hang, in the candidate's arm alone.
    let mut hanging: Vec<Sample> =
        come(&drive, 200..400).into_iter().map(|[candidate, _]| candidate).collect();
    for now_ms in [1_000, 2_000, 3_000] {
        assert!(drive.tick(now_ms, Forward::Open).unwrap().is_none(), "{:?}", drive.status());
        assert!(drive.reach().tally.unwrap().claim(10_000 + now_ms, Side::Control).is_none());
    }
    for sample in &mut hanging {
        sample.fail();
    }
    drop(hanging);
    // All units together say otherwise than those who answered at once, so that the stage goes on, and in the end back.
    assert!(drive.tick(4_000, Forward::Open).unwrap().is_none(), "{:?}", drive.status());
    assert!(drive.reach().tally.unwrap().claim(20_000, Side::Control).is_some());
    let reported = drive.tick(1_001_000, Forward::Open).unwrap().unwrap();
    assert_eq!(reported.report.decision, GateDecision::RollBack);
    rollout::record::rerun(&reported.plan, &reported.data, &reported.report).unwrap();
}

#[test]
fn rows_wait_until_both_arms_have_somebody() {
    let mut drive = drive();
    let tally = drive.reach().tally.unwrap();
    for second in 0..200 {
        let unit = 2 * second;
        // One unit in a second, of one arm after the other: each alone would move no test.
        drop(tally.claim(unit, if second % 2 == 0 { Side::Candidate } else { Side::Control }));
        if drive.tick(second * 1_000, Forward::Open).unwrap().is_some() {
            return;
        }
    }
    panic!("nothing was shown: {:?}", drive.status());
}

#[test]
fn a_stage_that_passes_counts_those_who_answered_last_and_a_paused_one_takes_units_again() {
    let mut drive = drive();
    drop(come(&drive, 0..200));
    let last = come(&drive, 200..201);
    assert!(drive.tick(1_000, Forward::Open).unwrap().is_none());
    drive.pause(1_500).unwrap();
    assert!(drive.tick(1_600, Forward::Open).unwrap().is_none());
    drop(come(&drive, 300..301));
    drive.resume_from_pause(1_700).unwrap();
    drop(last);
    let reported = drive.tick(2_000, Forward::Open).unwrap().unwrap();
    assert_eq!(reported.report.decision, GateDecision::Promote);
    let data = StageData::parse(&reported.data).unwrap();
    let assigned = data.rows.iter().filter_map(|row| row.assigned).map(|[control, _]| control).sum::<u64>();
    assert_eq!(assigned, 202);
}

#[test]
fn a_stage_that_lasts_for_months_has_no_more_rows_than_an_auditor_reads() {
    // Rows as a stage would have them in which somebody comes all the time.
    let (mut now_ms, mut rows) = (0_u64, 0_usize);
    while spacing_ms(rows) < u64::MAX {
        now_ms += spacing_ms(rows).max(1_000);
        rows += 1;
    }
    assert!(rows < ROWS_MAX);
    assert!(now_ms > 60 * 86_400_000, "{now_ms}");
    // A day of seconds is not thinned out before half of the rows are there.
    assert_eq!(spacing_ms(ROWS_MAX / 2 - 1), 0);
}
