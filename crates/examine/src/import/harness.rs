//! `results_*.json` of lm-evaluation-harness: `results` holds for each task its metrics, named `metric,filter`.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::members::{Members, Table};
use super::{Better, Figure, Format, Imported, add, short, unreadable};
use crate::error::Error;

#[derive(Deserialize)]
struct File {
    results: Table<Told>,
    #[serde(default, rename = "n-samples")]
    samples: Members<Samples>,
    #[serde(default)]
    higher_is_better: Table<Option<bool>>,
    #[serde(default)]
    config: Option<Config>,
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

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    limit: Option<f64>,
}

/// What a metric says: a number, or what is none.
#[derive(Clone, Copy)]
enum Told {
    Number(f64),
    /// The alias, and what could not be computed (`N/A`), are texts.
    Other,
}

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Told;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_f64<E>(self, value: f64) -> Result<Told, E> {
                Ok(Told::Number(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Told, E> {
                Ok(Told::Number(value as f64))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Told, E> {
                Ok(Told::Number(value as f64))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Told, E> {
                Ok(Told::Other)
            }

            fn visit_unit<E>(self) -> Result<Told, E> {
                Ok(Told::Other)
            }

            fn visit_str<E>(self, _: &str) -> Result<Told, E> {
                Ok(Told::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Told, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Told::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Told, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Told::Other)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Imported, Error> {
    let file: File = serde_json::from_slice(bytes).map_err(|cause| unreadable(&cause))?;
    let lower: BTreeSet<(&str, &str)> = file
        .higher_is_better
        .0
        .iter()
        .flat_map(|(task, metrics)| metrics.iter().map(move |metric| (task, metric)))
        .filter(|(_, (_, higher))| *higher == Some(false))
        .map(|(task, (metric, _))| (task.as_str(), metric.as_str()))
        .collect();
    let mut figures = Vec::new();
    for (task, metrics) in file.results.0 {
        for (metric, told) in metrics {
            // Standard errors are no figures by themselves.
            if let (Told::Number(value), false) = (told, metric.contains("_stderr")) {
                let name = metric.split_once(',').map_or(metric.as_str(), |(name, _)| name);
                let better =
                    if lower.contains(&(task.as_str(), name)) { Better::Lower } else { Better::Higher };
                add(&mut figures, Figure { name: format!("{task}/{metric}"), value, counts: None, better })?;
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
    let mut gaps: Vec<String> = gaps.collect();
    if let Some(limit) = file.config.and_then(|config| config.limit) {
        gaps.push(format!("the run was limited to {limit} samples of each task"));
    }
    Ok(Imported {
        tool: Format::LmEval,
        version: file.lm_eval_version.as_deref().map(short),
        about: file.model_name.as_deref().map(short),
        gaps,
        figures,
    })
}
