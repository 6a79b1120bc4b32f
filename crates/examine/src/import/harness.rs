//! `results_*.json` of lm-evaluation-harness: `results` holds for each task its metrics, named `metric,filter`.

use serde::Deserialize;
use serde_json::Value;

use super::members::Members;
use super::{Figure, Format, Imported, add, short, unreadable};
use crate::error::Error;

#[derive(Deserialize)]
struct File {
    results: Members<Members<Value>>,
    #[serde(default, rename = "n-samples")]
    samples: Members<Samples>,
    #[serde(default)]
    lm_eval_version: Option<String>,
    #[serde(default)]
    model_name: Option<String>,
}

#[derive(Deserialize)]
struct Samples {
    original: i64,
    effective: i64,
}

pub(super) fn read(bytes: &[u8]) -> Result<Imported, Error> {
    let file: File = serde_json::from_slice(bytes).map_err(|cause| unreadable(&cause))?;
    let mut figures = Vec::new();
    for (task, metrics) in file.results.0 {
        for (metric, value) in metrics.0 {
            // The alias and what could not be computed ("N/A") are texts; standard errors are no figures by themselves.
            if let (Value::Number(number), false) = (&value, metric.contains("_stderr")) {
                let value = number.as_f64().unwrap_or(f64::NAN);
                add(&mut figures, Figure { name: format!("{task}/{metric}"), value, counts: None })?;
            }
        }
    }
    let cut = |samples: &Samples| samples.effective < samples.original;
    let gaps = file.samples.0.iter().filter(|(_, samples)| cut(samples)).map(|(task, samples)| {
        format!(
            "of task `{}` only {} of {} samples were asked",
            short(task),
            samples.effective,
            samples.original
        )
    });
    Ok(Imported {
        tool: Format::LmEval,
        version: file.lm_eval_version.as_deref().map(short),
        about: file.model_name.as_deref().map(short),
        gaps: gaps.collect(),
        figures,
    })
}
