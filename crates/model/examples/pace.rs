//! How fast a GGUF model reads and writes, and where the time goes: `pace FILE [prompt tokens] [new tokens] [rounds]`.
//!
//! One line of JSON: medians over the rounds in tokens a second, and the share of each kind of operation, measured in
//! rounds of their own. The number of threads is rayon's (`RAYON_NUM_THREADS`).

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measuring program"
)]

use std::time::Instant;

use bytes::Bytes;
use model::timing::Spent;
use model::{Cache, Continuation, Model, Sampler, Sampling};
use serde_json::{Map, Value, json};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap();
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().unwrap());
    let (prompt_len, new_len, rounds) = (number(512_usize), number(128_usize), number(5_usize));
    let start = Instant::now();
    let model = Model::from_gguf(&Bytes::from(std::fs::read(path).unwrap())).unwrap();
    let load_s = start.elapsed().as_secs_f64();
    let prompt: Vec<u32> = (0..u32::try_from(prompt_len).unwrap()).map(|i| 1000 + i * 37 % 20_000).collect();
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut cache = Cache::new(model.config(), 8192);
        let start = Instant::now();
        let next = |tokens: &[u32], cache: &mut Cache| {
            model.next(Continuation { tokens, cache, adapter: None }).unwrap()
        };
        let mut logits = next(&prompt, &mut cache);
        reads.push(prompt_len as f64 / start.elapsed().as_secs_f64());
        cache.truncate(16);
        let mut sampler = Sampler::new(Sampling::GREEDY).unwrap();
        let start = Instant::now();
        for _ in 0..new_len {
            let token = sampler.choose(&logits).unwrap();
            logits = next(&[token], &mut cache);
        }
        writes.push(new_len as f64 / start.elapsed().as_secs_f64());
    }
    let mut cache = Cache::new(model.config(), 8192);
    let mut clock = || start.elapsed().as_secs_f64();
    let mut timed = |tokens: &[u32], cache: &mut Cache| {
        model.next_timed(Continuation { tokens, cache, adapter: None }, &mut clock).unwrap().1
    };
    let read_spent = timed(&prompt, &mut cache);
    cache.truncate(16);
    let mut write_spent = Spent::default();
    for token in 0..u32::try_from(new_len).unwrap() {
        for (work, spent) in timed(&[1000 + token], &mut cache) {
            *write_spent.entry(work).or_default() += spent;
        }
    }
    reads.sort_by(f64::total_cmp);
    writes.sort_by(f64::total_cmp);
    println!(
        "{}",
        json!({
            "load_s": load_s,
            "read": reads[rounds / 2],
            "write": writes[rounds / 2],
            "read_shares": shares(&read_spent),
            "write_shares": shares(&write_spent),
        })
    );
}

/// Each kind's share of what was spent on all.
fn shares(spent: &Spent) -> Map<String, Value> {
    let total: f64 = spent.values().sum();
    spent.iter().map(|(work, spent)| (work.name().to_owned(), json!(spent / total))).collect()
}
