//! Our speed against the C's, in one run, turn about, on one thread.

use std::process::ExitCode;
use std::time::Instant;

use quant::Kind;
use serde_json::json;

use crate::c::Variant;
use crate::inputs::{Generator, importance};

const ROW: usize = 1024;
const ROWS: usize = 256;
const TURNS: usize = 9;

/// Times every kind and prints JSON: weights a second, and how many times the C's speed ours is.
pub fn bench(file: Option<Vec<f32>>) -> ExitCode {
    let weights = match file {
        Some(mut weights) => {
            weights.truncate(ROW * ROWS);
            weights.truncate(weights.len() / ROW * ROW);
            weights
        }
        None => {
            let mut generator = Generator::new(7);
            (0..ROW * ROWS).map(|_| generator.normal() * 0.02).collect()
        }
    };
    let matrix = importance(2, 7, ROW);
    let mut lines = Vec::new();
    for kind in Kind::ALL {
        lines.push(measure(kind, &weights, None));
        if kind.uses_importance() {
            lines.push(measure(kind, &weights, Some(&matrix)));
        }
    }
    println!("{}", json!({ "weights": weights.len(), "turns": TURNS, "kinds": lines }));
    ExitCode::SUCCESS
}

fn measure(kind: Kind, weights: &[f32], importance: Option<&[f32]>) -> serde_json::Value {
    let mut out = vec![0; kind.bytes_of(weights.len()).expect("whole blocks")];
    let mut seconds = [const { Vec::new() }; 3];
    for _ in 0..TURNS {
        let begin = Instant::now();
        quant::quantize_into(kind, weights, ROW, importance, &mut out).expect("the weights are sound");
        seconds[0].push(begin.elapsed().as_secs_f64());
        for (variant, seconds) in [Variant::Shipped, Variant::Native].into_iter().zip(&mut seconds[1..]) {
            let begin = Instant::now();
            variant.quantize(kind, weights, ROW, importance, &mut out);
            seconds.push(begin.elapsed().as_secs_f64());
        }
    }
    let [ours, shipped, native] = seconds.map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    });
    json!({
        "kind": kind.name(),
        "importance": importance.is_some(),
        "ours_weights_a_second": (weights.len() as f64 / ours).round(),
        "times_shipped": (shipped / ours * 100.0).round() / 100.0,
        "times_native": (native / ours * 100.0).round() / 100.0,
    })
}
