//! How fast a GGUF model reads and writes: `pace FILE [prompt tokens] [new tokens] [rounds]`.
//!
//! Medians over the rounds, in tokens a second. The number of threads is rayon's (`RAYON_NUM_THREADS`).

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measuring program"
)]

use std::time::Instant;

use bytes::Bytes;
use model::{Cache, Continuation, Model, Sampler, Sampling};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap();
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().unwrap());
    let (prompt_len, new_len, rounds) = (number(512_usize), number(128_usize), number(5_usize));
    let start = Instant::now();
    let model = Model::from_gguf(&Bytes::from(std::fs::read(path).unwrap())).unwrap();
    println!("loaded in {:.3} s", start.elapsed().as_secs_f64());
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
    reads.sort_by(f64::total_cmp);
    writes.sort_by(f64::total_cmp);
    println!("read  {:8.1} tokens/s (fastest {:.1})", reads[rounds / 2], reads[rounds - 1]);
    println!("write {:8.1} tokens/s (fastest {:.1})", writes[rounds / 2], writes[rounds - 1]);
}
