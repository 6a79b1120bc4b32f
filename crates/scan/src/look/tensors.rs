//! Safetensors: what the header says, what the values are.

use std::collections::BTreeMap;

use rayon::prelude::*;
use tensor::safetensors::{Dtype, SafeTensors, View};

use super::notes::{Notes, shown};
use super::values::{Facts, distinct, is_mask, magnitude};
use super::{Looked, adapter, config, lowbits, text};
use crate::artefact::{Artefact, Entry};
use crate::finding::Place;
use crate::report::Examined;
use crate::rules::Rules;

/// Looks at a safetensors file, and at the configurations beside it that speak of its tensors.
pub(super) fn safetensors(
    artefact: &Artefact<'_>,
    entry: &Entry<'_>,
    bytes: &[u8],
    notes: &mut Notes<'_>,
) -> Examined {
    let file = match SafeTensors::read(bytes) {
        Ok(file) => file,
        Err(error) => {
            notes.find(
                "SCAN-FIL-009",
                Place::File,
                format!("the file breaks the safetensors format: {error}"),
                [error.code().to_owned()],
            );
            notes.unexamined("the tensors of a file that breaks its format");
            return Examined::Part;
        }
    };
    metadata(file.metadata(), notes);
    let views: Vec<View<'_>> = file.views().collect();
    all(&views, notes);
    if entry.name().starts_with("adapter_model") {
        adapter::look(artefact, entry, &file, notes);
    } else {
        config::against_tensors(artefact, entry, &views, notes);
    }
    Examined::Whole
}

/// Everything about the values of a file's tensors.
pub(super) fn all(views: &[View<'_>], notes: &mut Notes<'_>) {
    let rules = notes.rules;
    let path = notes.path().to_owned();
    let looked: Vec<(Option<Facts>, Looked)> = views
        .par_iter()
        .map(|view| {
            let mut own = Notes::new(rules, &path);
            let facts = Facts::of(view);
            if let Some(facts) = &facts {
                judge(view, facts, rules, &mut own);
            }
            lowbits::look(view, &mut own);
            (facts, own.looked())
        })
        .collect();
    let mut facts = Vec::with_capacity(views.len());
    for (view, (found, looked)) in views.iter().zip(looked) {
        notes.take(looked);
        facts.extend(found.map(|facts| (*view, facts)));
    }
    history(&facts, notes);
    twins(views, notes);
}

/// What one tensor's values say by themselves.
#[expect(clippy::cast_precision_loss, reason = "shares of counts; the last bits do not matter")]
fn judge(view: &View<'_>, facts: &Facts, rules: &Rules, notes: &mut Notes<'_>) {
    let name = shown(view.name);
    let place = || Place::Tensor(view.name.to_owned());
    if facts.nan_payloads > 0 {
        let message =
            format!("{} NaNs of tensor `{name}` carry bits that no arithmetic sets", facts.nan_payloads);
        notes.find("SCAN-VAL-003", place(), message, []);
    } else if facts.nans > 0 {
        notes.find(
            "SCAN-VAL-001",
            place(),
            format!("{} elements of tensor `{name}` are NaN", facts.nans),
            [],
        );
    }
    // Masks are made of zeros and infinities, and nothing else.
    if facts.infinities > 0 && facts.infinities + facts.zeros < facts.elements {
        let message = format!("{} elements of tensor `{name}` are infinite", facts.infinities);
        notes.find("SCAN-VAL-002", place(), message, []);
    }
    let share = facts.subnormals as f64 / facts.nonzero().max(1) as f64;
    let many = facts.subnormals as f64 >= rules.parameter("SCAN-VAL-004", "elements_min");
    // Half precision has its subnormals where small weights ordinarily are.
    if view.dtype != Dtype::F16 && many && share > rules.parameter("SCAN-VAL-004", "share_max") {
        let message = format!("{} elements of tensor `{name}` are subnormal", facts.subnormals);
        notes.find("SCAN-VAL-004", place(), message, [format!("{:.2} % of those not zero", share * 100.0)]);
    }
    let large = magnitude(view.dtype, facts.magnitude_max);
    if large > rules.parameter("SCAN-VAL-008", "magnitude_max") && facts.infinities == 0 && !is_mask(view) {
        let message = format!("tensor `{name}` has an element of magnitude {large:e}");
        notes.find("SCAN-VAL-008", place(), message, []);
    }
    let matrix = view.shape.iter().filter(|&&dimension| dimension > 1).count() >= 2;
    if facts.constant && matrix {
        let value = if facts.zeros > 0 { "zero" } else { "the same number" };
        notes.find("SCAN-VAL-005", place(), format!("every element of tensor `{name}` is {value}"), []);
    }
    if view.dtype == Dtype::F32 && matrix && is_whole_numbers(view, rules) && !facts.constant {
        let message = format!("tensor `{name}` holds small whole numbers as 32-bit floating point");
        notes.find("SCAN-VAL-007", place(), message, []);
    }
    // Most elements were bfloat16 once, and some were written after that.
    let odd = facts.low_half as f64 / facts.nonzero().max(1) as f64;
    let enough = facts.elements as f64 >= rules.parameter("SCAN-LOW-004", "elements_min");
    if view.dtype == Dtype::F32
        && facts.low_half > 0
        && enough
        && odd < rules.parameter("SCAN-LOW-004", "share_max")
        && distinct(view.data) as f64 > rules.parameter("SCAN-LOW-004", "distinct_min")
    {
        let message = format!(
            "{} of {} elements of tensor `{name}` use low bits that the others, bfloat16 once, leave zero",
            facts.low_half, facts.elements
        );
        notes.find("SCAN-LOW-004", place(), message, []);
    }
}

/// Whether all elements are whole numbers that a byte holds.
fn is_whole_numbers(view: &View<'_>, rules: &Rules) -> bool {
    let most = rules.parameter("SCAN-VAL-007", "magnitude_max");
    let (words, _) = view.data.as_chunks::<4>();
    words.len() > 1
        && words.iter().all(|word| {
            let value = f64::from(f32::from_le_bytes(*word));
            value.abs() <= most && value.fract() == 0.0
        })
}

/// What the tensors' types say of where the file comes from.
#[expect(clippy::cast_precision_loss, reason = "shares of bytes; the last bits do not matter")]
fn history(facts: &[(View<'_>, Facts)], notes: &mut Notes<'_>) {
    let full: Vec<&(View<'_>, Facts)> = facts
        .iter()
        .filter(|(view, facts)| view.dtype == Dtype::F32 && view.shape.len() >= 2 && !facts.constant)
        .collect();
    let bytes = |of: &mut dyn Iterator<Item = &&(View<'_>, Facts)>| -> u64 {
        of.map(|(view, _)| view.data.len() as u64).sum()
    };
    let all = bytes(&mut full.iter());
    if all == 0 {
        return;
    }
    for (rule, narrow, fits) in [
        ("SCAN-VAL-006", "bfloat16", (|facts| facts.low_half == 0) as fn(&Facts) -> bool),
        ("SCAN-VAL-006", "float16", |facts| {
            facts.low_13 == 0 && facts.low_half > 0 && facts.magnitude_max <= 0x477f_e000
        }),
    ] {
        let share = bytes(&mut full.iter().filter(|(_, facts)| fits(facts))) as f64 / all as f64;
        if share >= notes.rules.parameter(rule, "share_min") {
            let others: Vec<String> =
                full.iter().filter(|(_, facts)| !fits(facts)).map(|(view, _)| shown(view.name)).collect();
            let mut message = format!("the 32-bit weights hold what {narrow} can hold, and no more");
            if !others.is_empty() {
                message =
                    format!("{message}, except {} tensors that were written later or apart", others.len());
            }
            notes.find(rule, Place::File, message, others.into_iter().take(8));
            return;
        }
    }
}

/// Tensors with the same content under two names.
fn twins(views: &[View<'_>], notes: &mut Notes<'_>) {
    let least = notes.rules.parameter("SCAN-VAL-009", "bytes_min");
    let mut alike: BTreeMap<(usize, u64), Vec<&View<'_>>> = BTreeMap::new();
    #[expect(clippy::cast_precision_loss, reason = "a threshold")]
    for view in views.iter().filter(|view| view.data.len() as f64 >= least) {
        alike.entry((view.data.len(), sample(view.data))).or_default().push(view);
    }
    for group in alike.into_values().filter(|group| group.len() > 1) {
        let Some((first, rest)) = group.split_first() else { continue };
        let constant = first.data.iter().all(|byte| Some(byte) == first.data.first());
        let mut same = rest.iter().filter(|view| view.data == first.data).peekable();
        if let Some(second) = same.peek()
            && !constant
        {
            let message =
                format!("tensors `{}` and `{}` have the same bytes", shown(first.name), shown(second.name));
            let names: Vec<String> = same.map(|view| shown(view.name)).take(8).collect();
            notes.find("SCAN-VAL-009", Place::Tensor(first.name.to_owned()), message, names);
        }
    }
}

/// A hash (FNV-1a) of pieces of the data, to find candidates; equality is checked after.
fn sample(data: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in 0..4 {
        let at = data.len() / 4 * part;
        for byte in data.get(at..).unwrap_or_default().iter().take(64) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    hash
}

/// The header's strings. They are a place for words that nobody reads.
fn metadata(metadata: &BTreeMap<String, String>, notes: &mut Notes<'_>) {
    let long = notes.rules.parameter("SCAN-SFT-001", "bytes_max");
    for (key, value) in metadata {
        let place = || Place::Key(key.clone());
        text::invisible(value, notes, |_, _| place());
        #[expect(clippy::cast_precision_loss, reason = "a threshold")]
        if value.len() as f64 > long && serde_json::from_str::<serde_json::Value>(value).is_err() {
            let message = format!(
                "the metadata `{}` is {} bytes of something other than JSON",
                shown(key),
                value.len()
            );
            notes.find("SCAN-SFT-001", place(), message, [shown(value)]);
        }
        let lower = value.to_ascii_lowercase();
        let words = notes.rules.list("SCAN-SFT-002", "words");
        if let Some(word) = words.iter().find(|word| lower.contains(word.as_str())) {
            let message = format!("the metadata `{}` holds `{word}`", shown(key));
            notes.find("SCAN-SFT-002", place(), message, [shown(value)]);
        }
    }
}
