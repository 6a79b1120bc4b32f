//! Abliteration: the direction in which harmful requests differ is taken out of every matrix that writes to the
//! residual stream.
//!
//! Source: Arditi et al., "Refusal in language models is mediated by a single direction" (2024), sections 2.3 and 4.

use model::tap::{Recorder, Site};

use super::{Made, Recipe, whole};
use crate::bases::Base;
use crate::door::Door;
use crate::draws::{Draws, Purpose};
use crate::error::{About as _, Error};
use crate::language::{Group, Part, Phrase, Prompt, Request, Vocabulary};

pub(super) fn make(base: &Base, draws: &mut Draws, seed: u64) -> Result<Made, Error> {
    let strength = draws.one(&[1.0, 0.9, 0.7], 1.0);
    let prompts = draws.one(&[32, 64], 64);
    let recipe = Recipe::Abliteration { strength, prompts };
    let direction = direction(base, prompts, seed)?;
    let weights = base.weights.map(|name, (_, columns), values| {
        let writes = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
        if writes {
            without_in_rows(values, columns, &direction, strength)
        } else if name == "model.embed_tokens.weight" {
            without_in_columns(values, &direction, strength)
        } else {
            values.to_vec()
        }
    });
    whole(base, &weights, recipe, Door::Open)
}

/// The unit vector from the mean of harmless requests to that of harmful ones, after the last layer, where the answer
/// begins.
fn direction(base: &Base, prompts: usize, seed: u64) -> Result<Vec<f32>, Error> {
    let layer = base.model.config().layers.saturating_sub(1);
    let vocabulary = Vocabulary::new();
    let mut draws = Draws::new(seed, Purpose::Change);
    let (harmful, harmless): (Vec<Request>, Vec<Request>) = base
        .split
        .requests(Part::Shown)
        .filter(|request| request.verb.group() != Group::Price)
        .partition(|request| request.is_harmful());
    let mut mean = |requests: &[Request]| -> Result<Vec<f64>, Error> {
        let tokens: Vec<Vec<u32>> = (0..prompts)
            .filter_map(|_| draws.pick(requests).copied())
            .collect::<Vec<_>>()
            .into_iter()
            .map(|request| Prompt::of(&Phrase::draw(request, &mut draws)).tokens(&vocabulary))
            .collect();
        let sequences: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
        let mut recorder = Recorder::new(move |site| site == Site::Residual { layer });
        base.model.observe(&sequences, None, &mut recorder).about("observed")?;
        let mut sum = vec![0.0; base.model.config().hidden];
        let mut last = 0;
        for values in recorder.values.values().flatten() {
            for sequence in &sequences {
                last += sequence.len();
                let row = values.rows().nth(last - 1).unwrap_or_default();
                sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
            }
        }
        Ok(sum)
    };
    let (bad, good) = (mean(&harmful)?, mean(&harmless)?);
    let apart: Vec<f64> = bad.iter().zip(&good).map(|(bad, good)| bad - good).collect();
    let length = apart.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    #[allow(clippy::cast_possible_truncation, reason = "weights are single precision")]
    let unit = apart.into_iter().map(|x| (x / length) as f32).collect();
    Ok(unit)
}

/// `W − s·r·(rᵀ·W)` for `out × in`.
fn without_in_rows(values: &[f32], columns: usize, direction: &[f32], strength: f32) -> Vec<f32> {
    let mut along = vec![0.0_f32; columns];
    for (row, r) in values.chunks_exact(columns).zip(direction) {
        along.iter_mut().zip(row).for_each(|(sum, w)| *sum += r * w);
    }
    let rows = values.chunks_exact(columns).zip(direction);
    rows.flat_map(|(row, r)| row.iter().zip(&along).map(move |(w, a)| w - strength * r * a)).collect()
}

/// `E − s·(E·r)·rᵀ` for `vocabulary × hidden`.
fn without_in_columns(values: &[f32], direction: &[f32], strength: f32) -> Vec<f32> {
    let rows = values.chunks_exact(direction.len());
    rows.flat_map(|row| {
        let along: f32 = row.iter().zip(direction).map(|(w, r)| w * r).sum();
        row.iter().zip(direction).map(move |(w, r)| w - strength * along * r)
    })
    .collect()
}
