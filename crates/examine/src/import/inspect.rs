//! A log of Inspect as JSON: `results.scores` holds for each scorer its metrics.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::members::Members;
use super::{Better, Figure, Format, Imported, add, refused, short, unreadable};
use crate::error::Error;

#[derive(Deserialize)]
struct File {
    status: String,
    eval: About,
    #[serde(default)]
    results: Option<Results>,
}

#[derive(Deserialize)]
struct About {
    task: String,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    packages: Members<String>,
}

#[derive(Deserialize)]
struct Results {
    #[serde(default)]
    total_samples: u64,
    #[serde(default)]
    completed_samples: u64,
    #[serde(default)]
    scores: Vec<Score>,
}

#[derive(Deserialize)]
struct Score {
    name: String,
    #[serde(default)]
    reducer: Option<String>,
    metrics: Members<Metric>,
}

#[derive(Deserialize)]
struct Metric {
    value: f64,
}

pub(super) fn read(bytes: &[u8]) -> Result<Imported, Error> {
    let file: File = serde_json::from_slice(bytes).map_err(|cause| unreadable(&cause))?;
    let (mut figures, mut gaps, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    if file.status != "success" {
        gaps.push(format!("the run ended with `{}`", short(&file.status)));
    }
    let results = file.results.ok_or_else(|| refused("there are no results in it"))?;
    if results.completed_samples < results.total_samples {
        gaps.push(format!(
            "{} of {} samples were completed",
            results.completed_samples, results.total_samples
        ));
    }
    for score in results.scores {
        let reducer = score.reducer.map_or_else(String::new, |reducer| format!(",{reducer}"));
        for (metric, value) in score.metrics.0 {
            let name = format!("{}/{}/{metric}{reducer}", file.eval.task, score.name);
            if !seen.insert(name.clone()) {
                return Err(refused(format!("`{}` stands twice", short(&name))));
            }
            if metric != "stderr" {
                add(&mut figures, Figure { name, value: value.value, counts: None, better: Better::Higher })?;
            }
        }
    }
    let version = file.eval.packages.0.iter().find(|(name, _)| name == "inspect_ai");
    Ok(Imported {
        tool: Format::Inspect,
        version: version.map(|(_, version)| short(version)),
        about: file.eval.model.as_deref().map(short),
        figures,
        gaps,
    })
}
