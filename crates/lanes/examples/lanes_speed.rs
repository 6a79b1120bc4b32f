//! How fast one core hashes so many streams at once: a benchmark.
//!
//! `lanes_speed` prints one line of JSON: bytes a second by the number of streams, on one core and on all, from memory that
//! stays in the core's own cache.

use std::error::Error;
use std::time::Instant;

use lanes::{LANES, Part, Sha256, update_together};

/// Bytes of each stream that are hashed at a time.
const PIECE: usize = 32 * 1024;
/// Pieces of a round: long enough to be measured.
const PIECES: usize = 4096;
/// Rounds, of which the median counts.
const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let threads = std::thread::available_parallelism()?.get();
    let mut members = Vec::new();
    for lanes in 1..=LANES {
        members.push(format!("\"one_core_{lanes}\": {:.0}", median(1, lanes)));
        members.push(format!("\"all_cores_{lanes}\": {:.0}", median(threads, lanes)));
    }
    println!("{{{}}}", members.join(", "));
    Ok(())
}

fn median(threads: usize, lanes: usize) -> f64 {
    let mut rates: Vec<f64> = (0..ROUNDS).map(|_| rate(threads, lanes)).collect();
    rates.sort_by(f64::total_cmp);
    rates.get(ROUNDS / 2).copied().unwrap_or(f64::NAN)
}

/// Bytes a second of all threads together.
fn rate(threads: usize, lanes: usize) -> f64 {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| hash(lanes));
        }
    });
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
    let bytes = (threads * (PIECES / lanes) * lanes * PIECE) as f64;
    bytes / begun.elapsed().as_secs_f64()
}

fn hash(lanes: usize) {
    let contents = vec![vec![0x5a_u8; PIECE]; lanes];
    let mut streams = vec![Sha256::new(); lanes];
    for _ in 0..PIECES / lanes {
        let mut parts: Vec<Part<'_>> = streams
            .iter_mut()
            .zip(&contents)
            .map(|(stream, bytes)| Part { stream, bytes: std::hint::black_box(bytes) })
            .collect();
        update_together(&mut parts);
    }
    for stream in streams {
        std::hint::black_box(stream.finish());
    }
}
