//! Timing over two classes of secrets (after Reparaz, Balasch and Verbauwhede, "Dude, is my code constant time?", DATE 2017):
//! one fixed, one drawn anew each time, in random order. Prints a line of JSON for each function: how many measurements were
//! kept, and Welch's t. Above 10 the two classes are surely told apart; below 5, they are not with these measurements.
//!
//! Usage: dudect [MEASUREMENTS]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measurement, not the product"
)]

use std::hint::black_box;
use std::time::Instant;

/// How many calls are timed together: the clock is coarse.
const CALLS: usize = 16;

fn main() {
    let count = std::env::args().nth(1).map_or(200_000, |text| text.parse().unwrap());
    let known = [0x5a_u8; 32];
    let spelt = *secret::to_base64(&known);
    report("secret::equal", count, |given| black_box(secret::equal(&known, given)));
    report("secret::to_base64", count, |given| black_box(secret::to_base64(given))[0] > 0);
    report("secret::from_base64", count, |given| {
        // Class 0 spells a key; class 1 is as likely to be none as to be one.
        let mut text = spelt;
        for (place, byte) in text.iter_mut().zip(given) {
            *place ^= byte ^ 0x5a;
        }
        black_box(secret::from_base64(&text)).1
    });
    report("control: `==` of slices, byte by byte", count, |given| {
        black_box(known.iter().zip(given).all(|(one, other)| black_box(one) == black_box(other)))
    });
}

/// Numbers that look random enough to choose classes and draw secrets (xorshift64*, Vigna 2016).
struct Draw(u64);

impl Draw {
    fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

fn report(name: &str, count: usize, call: impl Fn(&[u8; 32]) -> bool) {
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    let mut times: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..count {
        let class = usize::from(draw.number() >> 63 == 1);
        let mut given = [0x5a_u8; 32];
        // Drawn in both classes, so that drawing does not tell them apart.
        let mut drawn = [0_u8; 32];
        for part in drawn.chunks_mut(8) {
            part.copy_from_slice(&draw.number().to_le_bytes());
        }
        let mask = 0_u8.wrapping_sub(u8::try_from(class).unwrap());
        for (byte, other) in given.iter_mut().zip(drawn) {
            *byte ^= (*byte ^ other) & mask;
        }
        let begin = Instant::now();
        for _ in 0..CALLS {
            black_box(call(black_box(&given)));
        }
        times[class].push(begin.elapsed().as_nanos() as f64);
    }
    // Interrupted measurements say nothing: the slowest tenth of all is left out, of both classes by one limit.
    let mut all: Vec<f64> = times.concat();
    all.sort_by(f64::total_cmp);
    let limit = all[all.len() * 9 / 10];
    for class in &mut times {
        class.retain(|time| *time <= limit);
    }
    let [fixed, random] = &times;
    println!(
        "{{\"function\":\"{name}\",\"kept\":{},\"t\":{:.2}}}",
        fixed.len() + random.len(),
        welch(fixed, random)
    );
}

fn welch(one: &[f64], other: &[f64]) -> f64 {
    let (mean_one, variance_one) = moments(one);
    let (mean_other, variance_other) = moments(other);
    let spread = variance_one / one.len() as f64 + variance_other / other.len() as f64;
    (mean_one - mean_other) / spread.sqrt()
}

fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0))
}
