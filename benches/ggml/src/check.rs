//! Our bytes against the C's.

use std::collections::BTreeMap;
use std::process::ExitCode;

use quant::Kind;
use sha2::{Digest as _, Sha256};

use crate::c::Variant;
use crate::inputs::{self, CASES, IMPORTANCES};

const SEED: u64 = 2026;
/// Two rows, of a length that is not a multiple of the eight blocks searched at once.
const ROW_SMALL: usize = 13 * 32;
const ROW_SUPER: usize = 3 * 256;

/// How many blocks of a kind were compared, and how many differ from each build of the C.
#[derive(Debug, Default)]
struct Tally {
    blocks: usize,
    strict: usize,
    shipped: usize,
    native: usize,
    floats: usize,
}

/// One tensor of the hard inputs.
struct Input {
    kind: Kind,
    case: &'static str,
    matrix: &'static str,
    row_len: usize,
    weights: Vec<f32>,
    importance: Option<Vec<f32>>,
}

fn tensors() -> impl Iterator<Item = Input> {
    Kind::ALL.into_iter().flat_map(|kind| {
        let row_len = if kind.block_elements() == 32 { ROW_SMALL } else { ROW_SUPER };
        (0..CASES.len()).flat_map(move |case| {
            let matrices = if kind.uses_importance() { IMPORTANCES.len() } else { 0 };
            std::iter::once(None).chain((0..matrices).map(Some)).map(move |matrix| Input {
                kind,
                case: CASES[case].0,
                matrix: matrix.map_or("none", |matrix| IMPORTANCES[matrix].0),
                row_len,
                weights: inputs::weights(case, SEED, 2 * row_len),
                importance: matrix.map(|matrix| inputs::importance(matrix, SEED, row_len)),
            })
        })
    })
}

/// Compares everything on the hard inputs, and many more seeds of them.
pub fn hard_inputs() -> ExitCode {
    let mut tallies = BTreeMap::new();
    for input in tensors() {
        let matrix = input.importance.as_deref();
        let differing = compare(&mut tallies, input.kind, &input.weights, input.row_len, matrix);
        if differing > 0 {
            println!("{} {} importance {}: {differing} blocks differ", input.kind, input.case, input.matrix);
        }
    }
    for seed in 1..=20 {
        for (kind, case) in
            Kind::ALL.into_iter().flat_map(|kind| (0..CASES.len()).map(move |case| (kind, case)))
        {
            let row_len = if kind.block_elements() == 32 { ROW_SMALL } else { ROW_SUPER };
            let weights = inputs::weights(case, seed, 2 * row_len);
            compare(&mut tallies, kind, &weights, row_len, None);
            if kind.uses_importance() {
                let which = seed as usize % IMPORTANCES.len();
                compare(
                    &mut tallies,
                    kind,
                    &weights,
                    row_len,
                    Some(&inputs::importance(which, seed, row_len)),
                );
            }
        }
    }
    exponents(&mut tallies);
    report(&tallies)
}

/// MXFP4 takes a logarithm: the floats on either side of every power of two.
fn exponents(tallies: &mut BTreeMap<Kind, Tally>) {
    for power in 0..254_u32 {
        for apart in -40..=40_i32 {
            let bits = (power.max(1) << 23).wrapping_add_signed(apart);
            let value = f32::from_bits(bits);
            if value.is_finite() && value > 0.0 {
                let mut block = [0.0; 32];
                block[7] = value;
                block[8] = value / 3.0;
                compare(tallies, Kind::Mxfp4, &block, 32, None);
            }
        }
    }
}

/// As [`hard_inputs`], on real weights, as many as make whole rows.
pub fn weights(all: &[f32]) -> ExitCode {
    const ROW: usize = 768;
    let mut tallies = BTreeMap::new();
    let (all, _) = all.split_at(all.len() / ROW * ROW);
    let matrix = inputs::importance(2, SEED, ROW);
    for kind in Kind::ALL {
        compare(&mut tallies, kind, all, ROW, None);
        if kind.uses_importance() {
            compare(&mut tallies, kind, all, ROW, Some(&matrix));
        }
    }
    report(&tallies)
}

fn compare(
    tallies: &mut BTreeMap<Kind, Tally>,
    kind: Kind,
    weights: &[f32],
    row_len: usize,
    importance: Option<&[f32]>,
) -> usize {
    let ours = quant::quantize(kind, weights, row_len, importance).expect("the inputs are sound");
    let mut theirs = vec![0; ours.len()];
    let tally = tallies.entry(kind).or_default();
    tally.blocks += ours.len() / kind.block_bytes();
    let mut strict = 0;
    for variant in [Variant::Native, Variant::Shipped, Variant::Strict] {
        theirs.fill(0);
        variant.quantize(kind, weights, row_len, importance, &mut theirs);
        let blocks = ours.chunks(kind.block_bytes()).zip(theirs.chunks(kind.block_bytes()));
        let differing = blocks.filter(|(ours, theirs)| ours != theirs).count();
        match variant {
            Variant::Native => tally.native += differing,
            Variant::Shipped => tally.shipped += differing,
            Variant::Strict => {
                tally.strict += differing;
                strict = differing;
            }
        }
    }
    // The C's blocks turned back, by both.
    let mut ours = vec![0.0; weights.len()];
    quant::dequantize(kind, &theirs, &mut ours).expect("whole blocks");
    let mut back = vec![0.0; weights.len()];
    if Variant::Strict.dequantize(kind, &theirs, &mut back) {
        let same = |(ours, theirs): (&f32, &f32)| {
            ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan())
        };
        tally.floats += ours.iter().zip(&back).filter(|pair| !same(*pair)).count();
    }
    strict
}

fn report(tallies: &BTreeMap<Kind, Tally>) -> ExitCode {
    println!("{:8} {:>9} {:>8} {:>8} {:>8} {:>8}", "kind", "blocks", "strict", "shipped", "native", "floats");
    for (kind, tally) in tallies {
        println!(
            "{:8} {:>9} {:>8} {:>8} {:>8} {:>8}",
            kind.name(),
            tally.blocks,
            tally.strict,
            tally.shipped,
            tally.native,
            tally.floats
        );
    }
    let sound = tallies.values().all(|tally| tally.strict == 0 && tally.floats == 0);
    println!("{}", if sound { "no block differs from the C compiled strictly" } else { "DIFFERENT" });
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One line for each kind and importance matrix: the SHA-256 of all blocks that the C makes of the hard inputs, one case
/// after the other.
pub fn golden() -> ExitCode {
    let mut digests: BTreeMap<(Kind, usize), (&str, Sha256)> = BTreeMap::new();
    for input in tensors() {
        let mut blocks = vec![0; input.kind.bytes_of(input.weights.len()).expect("whole blocks")];
        let matrix = input.importance.as_deref();
        Variant::Strict.quantize(input.kind, &input.weights, input.row_len, matrix, &mut blocks);
        let which = IMPORTANCES.iter().position(|(name, _)| *name == input.matrix).map_or(0, |at| at + 1);
        digests.entry((input.kind, which)).or_insert_with(|| (input.matrix, Sha256::new())).1.update(&blocks);
    }
    for ((kind, _), (matrix, digest)) in digests {
        let digest = digest.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        println!("{kind} {matrix} {digest}");
    }
    ExitCode::SUCCESS
}
