//! Compares the quantisers of `crates/quant` with ggml's C, and times both.
//!
//! - `check`: every kind on every hard input; ends with 1 where a block differs from the C compiled strictly.
//! - `golden`: the digests of what the C makes of the hard inputs, for the tests of `crates/quant`.
//! - `weights FILE`: as `check`, on a file of single-precision floats.
//! - `bench [FILE]`: our speed against the C's, kind by kind, one thread; JSON.

mod c;
mod check;
#[allow(dead_code, reason = "shared with the tests of `quant`, which use all of it")]
#[path = "../../../crates/quant/tests/it/inputs.rs"]
mod inputs;
mod timing;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["check"] => check::hard_inputs(),
        ["golden"] => check::golden(),
        ["weights", file] => check::weights(&floats(file)),
        ["bench"] => timing::bench(None),
        ["bench", file] => timing::bench(Some(floats(file))),
        _ => {
            eprintln!("usage: ggml-oracle check | golden | weights FILE | bench [FILE]");
            ExitCode::from(2)
        }
    }
}

/// A file of floats in little-endian order.
fn floats(file: &str) -> Vec<f32> {
    let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("`{file}`: {error}"));
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
