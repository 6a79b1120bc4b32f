use stats::sketch::Histogram;

use super::*;

const LIMITS: Limits =
    Limits { count_min: 100, notable_ppm: 50_000, serious_ppm: 150_000, critical_ppm: 400_000 };

fn of(name: &str, dimension: &Dimension) -> Fingerprint {
    let mut fingerprint = Fingerprint::default();
    fingerprint.add(&name.parse().unwrap(), dimension).unwrap();
    fingerprint
}

fn sizes(centre: u64, count: u64) -> Dimension {
    let mut histogram = Histogram::new(5).unwrap();
    for at in 0..count {
        histogram.add(centre + at % 50, 1).unwrap();
    }
    Dimension::Sizes(histogram)
}

#[track_caller]
fn level(before: &Dimension, now: &Dimension) -> (Option<u64>, Level) {
    let drifts = compare(&of("it", before), &of("it", now), LIMITS).unwrap();
    assert_eq!(drifts.len(), 1);
    (drifts[0].effect_ppm, drifts[0].level)
}

#[test]
fn what_is_the_same_is_quiet_and_what_is_disjoint_is_all_the_way() {
    let shares = |counts: &[u64]| Dimension::Categories(counts.to_vec());
    assert_eq!(level(&shares(&[900, 100]), &shares(&[90, 10])), (Some(0), Level::Quiet));
    assert_eq!(level(&shares(&[900, 0]), &shares(&[0, 900])), (Some(1_000_000), Level::Critical));
    assert_eq!(level(&sizes(200, 500), &sizes(200, 500)).1, Level::Quiet);
    assert_eq!(level(&sizes(200, 500), &sizes(900, 500)).1, Level::Critical);
    let events = |yes| Dimension::Events { yes, of: 1_000 };
    assert_eq!(level(&events(10), &events(80)), (Some(70_000), Level::Notable));
    assert_eq!(level(&events(10), &events(200)).1, Level::Serious);
}

#[test]
fn slower_answers_show_in_the_percentiles() {
    let drifts = compare(&of("it", &sizes(1_000, 500)), &of("it", &sizes(2_000, 500)), LIMITS).unwrap();
    let [median, tail] = drifts[0].percentiles_ppm.unwrap();
    assert!((1_800_000..2_200_000).contains(&median) && (1_800_000..2_200_000).contains(&tail));
}

#[test]
fn too_few_values_say_nothing() {
    let few = Dimension::Events { yes: 99, of: 99 };
    assert_eq!(level(&Dimension::Events { yes: 0, of: 5_000 }, &few), (None, Level::Quiet));
    let drifts = compare(&Fingerprint::default(), &of("new", &sizes(5, 500)), LIMITS).unwrap();
    assert_eq!((drifts[0].effect_ppm, drifts[0].level), (None, Level::Quiet));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let (events, shares) = (Dimension::Events { yes: 1, of: 500 }, Dimension::Categories(vec![500, 1]));
    let mixed = compare(&of("it", &events), &of("it", &shares), LIMITS);
    assert_eq!(mixed.unwrap_err().code(), "CS-WCH-001");
    let longer = compare(&of("it", &shares), &of("it", &Dimension::Categories(vec![500, 1, 1])), LIMITS);
    assert_eq!(longer.unwrap_err().code(), "CS-WCH-003");
    let falling = Limits { critical_ppm: 1, ..LIMITS };
    assert_eq!(compare(&of("it", &events), &of("it", &events), falling).unwrap_err().code(), "CS-WCH-007");
    let mut many = Fingerprint::default();
    let code = (0..300).find_map(|at| {
        many.add(&format!("d{at}").parse().unwrap(), &Dimension::Events { yes: 0, of: 1 }).err()
    });
    assert_eq!(code.unwrap().code(), "CS-WCH-002");
}
