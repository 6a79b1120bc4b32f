use super::*;

fn standard() -> Plan {
    Plan::standard().unwrap()
}

#[test]
fn the_standard_plan_is_the_one_that_is_documented() {
    let plan = standard();
    let of = |kind: Stage| -> Vec<(u32, u64)> {
        let stages = plan.stages.iter().filter(|stage| stage.stage == kind);
        stages.map(|stage| (stage.share_ppm / 10_000, stage.duration_ms / 60_000)).collect()
    };
    assert_eq!(of(Stage::Canary), [(1, 15), (5, 30), (25, 60), (50, 120)]);
    assert_eq!(of(Stage::Full), [(100, 0)]);
    assert_eq!(plan.alpha_ppm, 10_000);
    let again = Plan::parse(&plan.to_bytes().unwrap()).unwrap();
    assert_eq!(again, plan);
    assert_eq!(again.digest().unwrap(), plan.digest().unwrap());
    // Critical contexts join after others have had the candidate.
    let first_all = plan.stages.iter().position(|stage| stage.contexts == Contexts::All).unwrap();
    assert!(plan.stages[..first_all].iter().any(|stage| stage.stage == Stage::Canary));
}

#[test]
fn the_level_is_shared_among_all_that_can_roll_back() {
    let mut plan = standard();
    let tests = f64::from(plan.comparing_stages()) * 5.0;
    assert!((plan.alpha_back() * tests - 0.01).abs() < 1e-12);
    plan.metrics[0].request_margin_milli = Some(5);
    assert!(plan.alpha_back() * tests < 0.01);
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Plan)) {
    let mut plan = standard();
    change(&mut plan);
    let error = plan.check().unwrap_err();
    assert_eq!(error.code(), "CS-RLO-001", "{error}");
    assert_eq!(Plan::parse(&plan.to_bytes().unwrap()).unwrap_err(), error);
}

#[test]
fn plans_that_cannot_be_carried_out_are_refused() {
    refused(|plan| plan.version = 2);
    refused(|plan| plan.alpha_ppm = 0);
    refused(|plan| plan.metrics.clear());
    refused(|plan| plan.metrics[1].name = plan.metrics[0].name.clone());
    refused(|plan| plan.metrics[0].expected_ppm = vec![0]);
    refused(|plan| plan.metrics[0].expected_ppm = vec![5, 5]);
    refused(|plan| plan.metrics[0].tolerated_ppm = 1_000_000);
    refused(|plan| plan.metrics[0].request_margin_milli = Some(0));
    refused(|plan| plan.metrics[0].measure = Measure::Mean { low: 5, high: 5, levels: 9 });
    refused(|plan| plan.stages.clear());
    refused(|plan| drop(plan.stages.pop()));
    refused(|plan| plan.stages.reverse());
    refused(|plan| plan.stages[3].share_ppm = 1);
    refused(|plan| plan.stages[2].margins_ppm = vec![1]);
    refused(|plan| plan.stages[2].margins_ppm[0] = 0);
    refused(|plan| plan.stages[2].duration_ms = 1 << 52);
    refused(|plan| plan.stages[2].units_min = 0);
    refused(|plan| plan.stages[0].share_ppm = 7);
    assert_eq!(Plan::parse(b"{").unwrap_err().code(), "CS-RLO-002");
    assert_eq!(Plan::parse(br#"{"version":1.5}"#).unwrap_err().code(), "CS-RLO-002");
}

#[test]
fn values_become_levels() {
    let mut metric = standard().metrics.swap_remove(0);
    assert_eq!((metric.level(0), metric.level(1)), (Some(0), Some(1)));
    metric.measure = Measure::Quantile { limit: 500 };
    assert_eq!((metric.level(500), metric.level(501)), (Some(0), Some(1)));
    metric.measure = Measure::Mean { low: -100, high: 100, levels: 5 };
    let levels =
        [i64::MIN, -100, -76, -75, 0, 74, 75, 100, i64::MAX].map(|value| metric.level(value).unwrap());
    assert_eq!(levels, [0, 0, 0, 1, 2, 3, 4, 4, 4]);
    metric.measure = Measure::Mean { low: i64::MIN, high: i64::MAX, levels: 64 };
    assert_eq!((metric.level(i64::MIN), metric.level(i64::MAX)), (Some(0), Some(63)));
    metric.measure = Measure::Categories;
    assert_eq!((metric.level(0), metric.level(1), metric.level(-1)), (Some(0), None, None));
}
