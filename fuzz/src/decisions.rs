//! `rollout`, `watch`: plans, what stages counted, the table of responses.

use rollout::plan::Plan;
use rollout::record::StageData;
use watch::response::{Course, Table, Word};
use watch::vote::Outcome;

/// Rows of a stage that the gate is run over: the comparisons are not what is looked at here.
const ROWS_JUDGED: usize = 16;

pub(crate) fn rollout_plan(data: &[u8]) {
    let Ok(plan) = Plan::parse(data) else { return };
    let bytes = plan.to_bytes().expect("it was read");
    assert_eq!(Plan::parse(&bytes).expect("what is written is read"), plan);
    assert!(plan.alpha_back() > 0.0 && plan.alpha_back() <= plan.alpha_pass() && plan.alpha_pass() < 1.0);
    for at in 0..plan.stages.len() {
        let stage = plan.stage(at).expect("it is there");
        assert_eq!(stage.margins_ppm.len(), plan.metrics.len());
    }
    for metric in &plan.metrics {
        for value in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert!(metric.level(value).is_none_or(|level| level < metric.levels()), "{}", metric.name);
        }
    }
}

/// A plan, a zero byte, a stage's data.
pub(crate) fn stage_data(data: &[u8]) {
    let (plan, rest) = data.split_at(data.iter().position(|byte| *byte == 0).unwrap_or(data.len()));
    let stage = rest.get(1..).unwrap_or_default();
    let Ok(mut stage) = StageData::parse(stage) else { return };
    assert_eq!(stage.to_bytes().expect("it was read"), rest.get(1..).unwrap_or_default(), "one spelling");
    let Ok(plan) = Plan::parse(plan) else { return };
    stage.rows.truncate(ROWS_JUDGED);
    stage.plan = plan.digest().expect("it was read");
    let Ok(judgement) = stage.judge(&plan) else { return };
    assert_eq!(stage.judge(&plan).expect("it was judged"), judgement, "the same data, another judgement");
}

pub(crate) fn response_table(data: &[u8]) {
    let Ok(table) = Table::parse(data) else { return };
    for word in [Word::Notable, Word::Serious, Word::Critical] {
        let mut course = Course::default();
        course.see(Outcome::Agreed(word.level()), 1_000);
        // The longer something is wrong, the more is done.
        let mut before = table.respond(&course, 1_000);
        for now_ms in [1_001, 61_000, u64::MAX] {
            let now = table.respond(&course, now_ms);
            assert!(now >= before, "{now:?} after {before:?}");
            before = now;
        }
        assert!(word != Word::Critical || before.is_some(), "nothing is done about what is critical");
    }
    let mut blind = Course::default();
    blind.see(Outcome::Blind { speaking: 0 }, 1_000);
    assert_eq!(table.respond(&blind, 1_000), Some(table.blind));
}
