//! How long the spectrum of a low-rank change takes: `spectrum_pace SIDE RANK MODULES ROUNDS`.
//!
//! Factors of `SIDE × RANK` and `RANK × SIDE` with seeded elements; for each of the modules in turn the singular values
//! alone, and all statistics. One line of JSON: the medians over the rounds, in milliseconds a module.

#![expect(
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a measuring program, and its counts are small"
)]

use std::time::Instant;

use tensor::measure::Work;
use tensor::spectrum::{LowRank, singular_values, statistics};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number =
        |default| arguments.next().map_or(default, |text| text.parse::<usize>().expect("a number"));
    let (side, rank, modules, rounds) = (number(4096), number(16), number(8), number(5));
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut element = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as f64 / f64::from(u32::MAX) - 0.5
    };
    let factors: Vec<LowRank> = (0..modules)
        .map(|_| {
            let (a, b): (Vec<f64>, Vec<f64>) = (0..side * rank).map(|_| (element(), element())).unzip();
            LowRank::new(&a, &b, rank, 2.0).expect("factors that fit")
        })
        .collect();
    let each_ms = |work: &dyn Fn(&LowRank)| {
        let mut times: Vec<f64> = (0..rounds)
            .map(|_| {
                let begin = Instant::now();
                factors.iter().for_each(work);
                begin.elapsed().as_secs_f64() * 1e3 / modules as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times.get(rounds / 2).copied().unwrap_or(f64::NAN)
    };
    let values_ms = each_ms(&|factors| {
        std::hint::black_box(singular_values(factors).expect("a spectrum"));
    });
    let all_ms = each_ms(&|factors| {
        std::hint::black_box(statistics(factors, &mut Work::limit(u64::MAX)).expect("statistics"));
    });
    println!("{}", serde_json::json!({ "singular_values_ms": values_ms, "statistics_ms": all_ms }));
}
