//! `*.report.jsonl` of garak: a line for each thing that happened, of which `eval` holds how often a detector let the answers to
//! a probe pass. A run that came to its end says `completion`.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Figure, Format, Imported, add, refused, short, unreadable};
use crate::error::Error;

#[derive(Deserialize)]
struct Line {
    entry_type: String,
    #[serde(default)]
    garak_version: Option<String>,
    #[serde(default, rename = "plugins.target_name")]
    target: Option<String>,
    #[serde(default, rename = "plugins.model_name")]
    model: Option<String>,
}

#[derive(Deserialize)]
struct Eval {
    probe: String,
    detector: String,
    passed: u64,
    #[serde(default)]
    total: Option<u64>,
    #[serde(default)]
    total_evaluated: Option<u64>,
    #[serde(default)]
    fails: Option<u64>,
    #[serde(default)]
    nones: u64,
}

/// Longest line: an attempt holds a conversation and all answers.
const LINE_MAX: usize = 16 << 20;

pub(super) fn read(bytes: &[u8]) -> Result<Imported, Error> {
    let mut imported =
        Imported { tool: Format::Garak, version: None, about: None, figures: Vec::new(), gaps: Vec::new() };
    let (mut seen, mut is_complete) = (BTreeSet::new(), false);
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let refused = |reason: &str| refused(format!("line {}: {reason}", at + 1));
        if line.len() > LINE_MAX {
            return Err(refused("it has more than 16 MiB"));
        }
        let told: Line =
            serde_json::from_slice(line).map_err(|cause| refused(&unreadable(&cause).to_string()))?;
        match told.entry_type.as_str() {
            "eval" => {
                let eval: Eval =
                    serde_json::from_slice(line).map_err(|cause| refused(&unreadable(&cause).to_string()))?;
                let total = eval.total_evaluated.or(eval.total).ok_or_else(|| refused("it has no total"))?;
                let adds_up = eval.fails.is_none_or(|fails| eval.passed.checked_add(fails) == Some(total));
                if eval.passed > total || !adds_up {
                    return Err(refused("its counts do not add up"));
                }
                let name = format!("{}/{}", eval.probe, eval.detector);
                if !seen.insert(name.clone()) {
                    return Err(refused("a probe and detector stand twice"));
                }
                if eval.nones > 0 {
                    imported.gaps.push(format!("{}: {} answers were not judged", short(&name), eval.nones));
                }
                add(&mut imported.figures, Figure::of_counts(name, eval.passed, total))?;
            }
            "completion" => is_complete = true,
            _ => {
                imported.version = told.garak_version.as_deref().map(short).or(imported.version);
                imported.about = told.target.or(told.model).as_deref().map(short).or(imported.about);
            }
        }
    }
    if !is_complete {
        imported.gaps.push("the run did not come to its end".to_owned());
    }
    Ok(imported)
}
