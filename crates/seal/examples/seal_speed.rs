//! How fast a folder's files are sealed and hashed for signing, beside the hash functions alone: a benchmark.
//!
//! `seal_speed FOLDER` maps the files, takes each as one tensor of F32, and prints one line of JSON in bytes a second.
//! Every way is measured several times in turn, and the median counts, so that what else runs on the machine
//! weighs on all alike.
#![expect(unsafe_code, reason = "files are mapped, as the program does it")]

use std::error::Error;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use memmap2::Mmap;
use rayon::prelude::*;
use seal::oms::HashType;
use seal::oms::plan::Hasher;
use seal::{Elements, Rule, Seal, Tensor};
use tensor::safetensors::Dtype;

/// How often each way is measured.
const RUNS: usize = 5;
/// Bytes hashed at a time where the hash alone is measured: a block of F32.
const BLOCK: usize = 1 << 18;

/// Bytes of one file that are hashed before the next file's turn on the same core, as the program does it.
const WINDOW: usize = 1 << 20;

type Way<'w> = (&'static str, Box<dyn Fn() -> Result<(), Box<dyn Error>> + 'w>);

/// A mapped file on its way through the hash.
struct Whole {
    map: Mmap,
    at: usize,
}

impl lanes::Source for Whole {
    type Error = std::io::Error;

    fn fill(&mut self) -> std::io::Result<&[u8]> {
        let rest = self.map.get(self.at..).unwrap_or_default();
        Ok(rest.get(..rest.len().min(WINDOW)).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("seal_speed FOLDER")?);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    // Into the page cache.
    let mut total = 0;
    for path in &paths {
        total += std::io::copy(&mut File::open(path)?, &mut std::io::sink())?;
    }
    let map = |path: &PathBuf| -> std::io::Result<Mmap> {
        let file = File::open(path)?;
        // SAFETY: nobody changes the benchmark's own files.
        unsafe { Mmap::map(&file) }
    };
    let maps = || paths.iter().map(map).collect::<Result<Vec<_>, _>>();
    let sealed = |rule: Rule| -> Result<(), Box<dyn Error>> {
        let maps = maps()?;
        let tensors = maps
            .iter()
            .enumerate()
            .map(|(number, map)| {
                let elements = Elements::Plain { dtype: Dtype::F32, bytes: map };
                Tensor::new(format!("t{number}"), vec![map.len() as u64 / 4], elements)
            })
            .collect::<Result<Vec<_>, _>>()?;
        std::hint::black_box(Seal::of(&rule, &tensors, |_| ())?);
        Ok(())
    };
    let signed = || -> Result<(), Box<dyn Error>> {
        let digest = |path: &PathBuf| -> std::io::Result<Vec<u8>> {
            let mut hasher = Hasher::new(HashType::Blake3);
            for piece in map(path)?.chunks(64 << 20) {
                hasher.update(piece);
            }
            Ok(hasher.finish())
        };
        let digests: Result<Vec<_>, _> = paths.par_iter().with_max_len(1).map(digest).collect();
        std::hint::black_box(digests?);
        Ok(())
    };
    let at_once = lanes::share(paths.len(), rayon::current_num_threads());
    let signed_in_lanes = || -> Result<(), Box<dyn Error>> {
        let queue = Mutex::new(paths.iter());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let outcomes = rayon::broadcast(|_| {
            let open = |path| map(path).map(|map| Whole { map, at: 0 });
            lanes::hash_all(
                at_once,
                || next().map(open).transpose(),
                |_, digest| {
                    std::hint::black_box(digest);
                    Ok(())
                },
            )
        });
        Ok(outcomes.into_iter().collect::<Result<(), _>>()?)
    };
    // As many streams at once as each core has files, each a block: nothing but the hash.
    let together = || -> Result<(), Box<dyn Error>> {
        maps()?.par_iter().for_each(|map| {
            map.par_chunks(at_once * BLOCK).for_each(|blocks| {
                let mut streams = vec![lanes::Sha256::new(); at_once];
                let mut parts: Vec<_> = streams
                    .iter_mut()
                    .zip(blocks.chunks(BLOCK))
                    .map(|(stream, bytes)| lanes::Part { stream, bytes })
                    .collect();
                lanes::update_together(&mut parts);
                for stream in streams {
                    std::hint::black_box(stream.finish());
                }
            });
        });
        Ok(())
    };
    let alone = |hash: fn(&[u8])| -> Result<(), Box<dyn Error>> {
        maps()?.par_iter().for_each(|map| map.par_chunks(BLOCK).for_each(hash));
        Ok(())
    };
    let ways: [Way<'_>; 9] = [
        (
            "blake3_alone",
            Box::new(|| {
                alone(|block| {
                    std::hint::black_box(blake3::hash(block));
                })
            }),
        ),
        (
            "sha256_alone",
            Box::new(|| {
                alone(|block| {
                    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, block);
                    std::hint::black_box(digest);
                })
            }),
        ),
        ("sha256_together", Box::new(together)),
        ("seal_exact", Box::new(|| sealed(Rule::exact()))),
        ("seal_8_bit", Box::new(|| sealed(Rule::eight()))),
        ("seal_4_bit", Box::new(|| sealed(Rule::four()))),
        ("seal_2_bit", Box::new(|| sealed(Rule::two()))),
        ("sign_sha256", Box::new(signed_in_lanes)),
        ("sign_blake3", Box::new(signed)),
    ];
    let mut seconds = vec![Vec::new(); ways.len()];
    for _ in 0..RUNS {
        for ((_, way), seconds) in ways.iter().zip(&mut seconds) {
            let begun = Instant::now();
            way()?;
            seconds.push(begun.elapsed().as_secs_f64());
        }
    }
    let members: Vec<String> = ways
        .iter()
        .zip(&mut seconds)
        .map(|((name, _), seconds)| {
            seconds.sort_by(f64::total_cmp);
            let median = seconds.get(RUNS / 2).copied().unwrap_or(f64::NAN);
            #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
            let rate = total as f64 / median;
            format!("\"{name}\": {rate:.0}")
        })
        .collect();
    println!("{{{}}}", members.join(", "));
    Ok(())
}
