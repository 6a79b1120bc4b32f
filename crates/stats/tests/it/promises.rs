//! What is promised, checked by simulation with fixed seeds; the simulated rates come with their own exact bounds.

use stats::cluster::{self, Sums};
use stats::conformal::{Calibration, Fusion};
use stats::detector::{Alarm, Detector};
use stats::eprocess::{
    Bernoulli, Categories, Comparison, Direction, Evidence, Mean, Multinomial, Null, Paired, Pairs, Prior,
    Settings,
};
use stats::random::Random;
use stats::{exact, sequence};

/// A level that a simulated rate is held against with: a correct promise fails a test in a million.
const SLACK: f64 = 1e-6;

/// At most `alpha` of the runs may be wrong. It fails when the exact lower bound of the rate is above `alpha`.
#[track_caller]
fn at_most(wrong: u64, runs: u64, alpha: f64, what: &str) {
    let bound = exact::lower_bound(wrong, runs, SLACK).unwrap();
    println!("{what}: {wrong} of {runs} ({:.4}), promised {alpha}", wrong as f64 / runs as f64);
    assert!(bound <= alpha, "{what}: {wrong} of {runs} shows more than {bound}, promised {alpha}");
}

/// How many runs cross at any of their looks.
fn crossings(
    runs: u64,
    looks: u32,
    alpha: f64,
    mut start: impl FnMut(u64) -> Box<dyn FnMut() -> Evidence>,
) -> u64 {
    let crossed = |run: u64| {
        let mut look = start(run);
        (0..looks).any(|_| look().rejects(alpha).unwrap())
    };
    (0..runs).map(crossed).filter(|crossed| *crossed).count() as u64
}

#[test]
fn exact_bounds_cover_at_least_as_often_as_they_say() {
    let (runs, alpha) = (4_000, 0.05);
    for (n, p) in [(20, 0.1), (200, 0.005), (1_000, 0.3)] {
        let mut random = Random::new(n);
        let (mut above, mut below) = (0, 0);
        for _ in 0..runs {
            let s = random.binomial(n, p);
            above += u64::from(exact::upper_bound(s, n, alpha).unwrap() < p);
            below += u64::from(exact::lower_bound(s, n, alpha).unwrap() > p);
        }
        at_most(above, runs, alpha, "Clopper-Pearson upper");
        at_most(below, runs, alpha, "Clopper-Pearson lower");
    }
}

#[test]
fn confidence_sequences_cover_at_all_times_together() {
    let (runs, alpha) = (200, 0.1);
    for p in [0.02, 0.4] {
        let mut missed = [0; 2];
        for run in 0..runs {
            let mut random = Random::new(900 + run);
            let (mut s, mut n) = (0, 0);
            let mut wrong = [false; 2];
            for _ in 0..60 {
                s += random.binomial(10, p);
                n += 10;
                let rate = sequence::rate(s, n, alpha).unwrap();
                let mean = sequence::mean(&[n - s, s], alpha).unwrap();
                wrong[0] |= rate.lower > p || rate.upper < p;
                wrong[1] |= mean.lower > p || mean.upper < p;
            }
            missed[0] += u64::from(wrong[0]);
            missed[1] += u64::from(wrong[1]);
        }
        at_most(missed[0], runs, alpha, "rate sequence");
        at_most(missed[1], runs, alpha, "mean sequence");
    }
}

#[test]
fn looking_every_second_does_not_raise_false_alarms() {
    let (runs, looks, alpha) = (1_500, 300, 0.05);
    let bernoulli = crossings(runs, looks, alpha, |run| {
        let mut random = Random::new(run);
        let mut test = Bernoulli::new(0.05, Null::AtMost, Prior::UNIFORM).unwrap();
        Box::new(move || {
            let s = random.binomial(9, 0.05);
            test.update(s, 9 - s).unwrap()
        })
    });
    at_most(bernoulli, runs, alpha, "Bernoulli at the null's edge");
    let mean = crossings(runs, looks, alpha, |run| {
        let mut random = Random::new(10_000 + run);
        let mut test = Mean::new(0.25, 5).unwrap();
        Box::new(move || {
            let mut counts = [0; 5];
            for _ in 0..4 {
                counts[random.binomial(4, 0.25) as usize] += 1;
            }
            test.update(&counts).unwrap()
        })
    });
    at_most(mean, runs, alpha, "mean of levels");
    let paired = crossings(runs, looks, alpha, |run| {
        let mut random = Random::new(20_000 + run);
        let mut test = Paired::new(0.01).unwrap();
        Box::new(move || {
            let worse = random.binomial(8, 0.04);
            let better = random.binomial(8 - worse, 0.03 / 0.96);
            test.update(Pairs { worse, better, equal: 8 - worse - better }).unwrap()
        })
    });
    at_most(paired, runs, alpha, "pairs at the tolerated difference");
    let multinomial = crossings(runs, looks, alpha, |run| {
        let mut random = Random::new(30_000 + run);
        let mut test = Multinomial::new(&[0.5, 0.5], 100.0).unwrap();
        Box::new(move || {
            let s = random.binomial(20, 0.5);
            test.update(&[s, 20 - s]).unwrap()
        })
    });
    at_most(multinomial, runs, alpha, "sample ratio");
}

/// Arms of changing sizes and rates that change over the day, `excess` apart.
fn arms(random: &mut Random, look: u32, excess: f64, levels: u64) -> [Vec<u64>; 2] {
    let base = if look % 50 < 25 { 0.02 } else { 0.08 };
    let arm = |random: &mut Random, rate: f64| {
        let size = random.below(14);
        let mut counts = vec![0; levels as usize];
        for _ in 0..size {
            counts[random.binomial(levels - 1, rate) as usize] += 1;
        }
        counts
    };
    [arm(random, base), arm(random, base + excess)]
}

#[test]
fn comparing_arms_every_second_does_not_raise_false_alarms() {
    let (runs, looks, alpha) = (600, 200, 0.05);
    for (delta, direction, levels) in [
        (0.0, Direction::ExceedsByAtMost, 2),
        (0.02, Direction::ExceedsByAtMost, 3),
        (0.05, Direction::ExceedsByAtLeast, 2),
    ] {
        // An expected mean that is wrong costs time only.
        for expected in [0.05, 0.6] {
            let wrong = crossings(runs, looks, alpha, |run| {
                let mut random = Random::new(40_000 + run);
                let settings = Settings { delta, direction, expected, levels: levels as usize };
                let mut test = Comparison::new(settings).unwrap();
                let mut look = 0;
                Box::new(move || {
                    look += 1;
                    let [control, candidate] = arms(&mut random, look, delta, levels);
                    test.update(&control, &candidate).unwrap()
                })
            });
            at_most(wrong, runs, alpha, &format!("two arms, {direction:?} {delta}, expected {expected}"));
        }
    }
    let wrong = crossings(runs, looks, alpha, |run| {
        let mut random = Random::new(50_000 + run);
        let mut test = Categories::new(0.0, &[0.9, 0.06, 0.04]).unwrap();
        Box::new(move || {
            let mut row = || {
                let size = random.below(14);
                let second = random.binomial(size, 0.06);
                let third = random.binomial(size - second, 0.04 / 0.94);
                [size - second - third, second, third]
            };
            let (control, candidate) = (row(), row());
            test.update(&control, &candidate).unwrap()
        })
    });
    at_most(wrong, runs, alpha, "categories");
}

/// The median number of seconds until an alarm, over some runs.
fn median_seconds(runs: u64, second: impl Fn(u64) -> Box<dyn FnMut() -> bool>) -> u64 {
    let mut seconds: Vec<u64> = (0..runs)
        .map(|run| {
            let mut alarm = second(run);
            (1..=20_000).find(|_| alarm()).unwrap_or(u64::MAX)
        })
        .collect();
    seconds.sort_unstable();
    seconds[seconds.len() / 2]
}

/// The published median times to an alarm when errors rise from a known 0.5 %, at level 0.01/48: none of ours is later
/// by more than a third.
#[test]
fn alarms_come_as_early_as_published() {
    let published = [
        (9_u64, [(0.05, 15.0), (0.02, 82.0), (0.01, 598.0)]),
        (45, [(0.05, 3.0), (0.02, 17.0), (0.01, 120.0)]),
        (225, [(0.05, 1.0), (0.02, 4.0), (0.01, 24.0)]),
    ];
    for (per_second, points) in published {
        for (rate, theirs) in points {
            let ours = median_seconds(201, |run| {
                let mut random = Random::new(run);
                let mut test = Bernoulli::new(0.005, Null::AtMost, Prior { a: 0.5, b: 50.0 }).unwrap();
                Box::new(move || {
                    let s = random.binomial(per_second, rate);
                    test.update(s, per_second - s).unwrap().rejects(0.01 / 48.0).unwrap()
                })
            });
            println!("{per_second}/s, 0.5 % to {} %: {ours} s, published {theirs} s", rate * 100.0);
            assert!(ours as f64 <= theirs * 4.0 / 3.0 + 1.0, "{ours} s, published {theirs} s");
        }
    }
}

#[test]
fn published_widths_of_confidence_sequences() {
    for (n, published) in [(8_100_u64, 0.0051), (81_000, 0.0016), (810_000, 0.0005), (3_240_000, 0.000_25)] {
        // The difference of two arms with an error rate of 0.5 % each.
        let deviation = (2.0_f64 * 0.005 * 0.995).sqrt();
        let ours = sequence::asymptotic(n, 0.0, deviation, 0.01 / 48.0, n).unwrap().radius();
        println!("{n} an arm: {ours:.6}, published {published}");
        assert!((ours / published - 1.0).abs() < 0.1, "{ours}");
    }
}

#[test]
fn detectors_keep_their_run_length() {
    // With a run length of 500 looks the chance of an alarm within 100 looks is at most 100/500.
    let (runs, length) = (1_000, 500.0);
    let (mut early, mut looks, mut late) = (0, 0_u64, Vec::new());
    for run in 0..runs {
        let mut random = Random::new(60_000 + run);
        let mut detector = Detector::new(0.1, 2, length).unwrap();
        let first = (1..=5_000_u64).find(|_| {
            let s = random.binomial(10, 0.1);
            detector.look(&[10 - s, s]).unwrap().alarm == Alarm::Raised
        });
        early += u64::from(first.is_some_and(|first| first <= 100));
        looks += first.unwrap_or(5_000);
        detector.reset();
        let caught = (1..=200_u64).find(|_| {
            let s = random.binomial(10, 0.3);
            detector.look(&[10 - s, s]).unwrap().alarm == Alarm::Raised
        });
        late.push(caught.unwrap());
    }
    at_most(early, runs, 100.0 / length, "early alarms");
    let mean = looks as f64 / runs as f64;
    println!("average run length at least {mean}, promised {length}");
    assert!(mean >= length);
    late.sort_unstable();
    assert!(late[runs as usize / 2] <= 10, "{}", late[runs as usize / 2]);
}

#[test]
fn conformal_p_values_are_valid_with_ties_strata_and_fusion() {
    let (runs, alpha) = (3_000, 0.1);
    let mut wrong = [0; 3];
    for run in 0..runs {
        let mut random = Random::new(70_000 + run);
        // Whole scores: many ties.
        let mut score = |shift: f64| (3.0 * (random.normal() + shift)).round();
        let mut sample = |count: usize, shift: f64| (0..count).map(|_| score(shift)).collect::<Vec<f64>>();
        let strata = |first: Vec<f64>, second: Vec<f64>| {
            Calibration::new([("lora".to_owned(), first), ("merge".to_owned(), second)]).unwrap()
        };
        let first = strata(sample(60, 0.0), sample(40, 2.0));
        let second = strata(sample(60, 0.0), sample(40, 2.0));
        let new = sample(2, 2.0);
        wrong[0] += u64::from(first.p_value("merge", new[0]).unwrap().value() <= alpha);
        let u = Random::new(run).unit();
        wrong[1] += u64::from(first.smoothed_p_value("merge", new[0], u).unwrap() <= alpha);
        let held_out: Vec<Vec<f64>> = (0..50).map(|_| sample(2, 2.0)).collect();
        let fusion =
            Fusion::new(vec![(first, 1.0), (second, 2.0)], [("merge".to_owned(), held_out)]).unwrap();
        wrong[2] += u64::from(fusion.p_value("merge", &new).unwrap().value() <= alpha);
    }
    at_most(wrong[0], runs, alpha, "conformal");
    at_most(wrong[1], runs, alpha, "conformal, smoothed");
    at_most(wrong[2], runs, alpha, "conformal, fused");
    // The smoothed one is exact, so it is not far below either.
    assert!(exact::upper_bound(wrong[1], runs, SLACK).unwrap() >= alpha);
}

#[test]
fn units_that_send_many_requests_are_no_false_alarm() {
    let (runs, alpha) = (2_000, 0.05);
    let (mut clustered, mut naive) = (0, 0);
    for run in 0..runs {
        let mut random = Random::new(80_000 + run);
        let mut arm = || {
            let (mut sums, mut apart) = (Sums::default(), Sums::default());
            for _ in 0..80 {
                let requests = 1 + random.below(20);
                let rate = if random.unit() < 0.1 { 0.5 } else { 0.01 };
                let errors = random.binomial(requests, rate);
                sums.add(requests as u32, errors as i64).unwrap();
                for request in 0..requests {
                    apart.add(1, i64::from(request < errors)).unwrap();
                }
            }
            (sums, apart)
        };
        let (control, candidate) = (arm(), arm());
        let excludes_zero =
            |interval: stats::decision::Interval| u64::from(interval.lower > 0.0 || interval.upper < 0.0);
        clustered += excludes_zero(cluster::difference(&control.0, &candidate.0, alpha).unwrap());
        naive += excludes_zero(cluster::difference(&control.1, &candidate.1, alpha).unwrap());
    }
    at_most(clustered, runs, alpha * 1.3, "clustered");
    println!("requests taken as independent: {naive} of {runs}");
    assert!(exact::lower_bound(naive, runs, SLACK).unwrap() > 2.0 * alpha, "{naive}");
}
