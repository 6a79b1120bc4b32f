//! Adapters: what a low-rank adapter touches that a change of style or knowledge has no need to.

use std::collections::BTreeSet;

use rayon::prelude::*;
use tensor::Error;
use tensor::measure::Work;
use tensor::peft::{Adapter, Config, Embedding, FullKind, Layer, LoraModule, Targets};
use tensor::safetensors::SafeTensors;
use tensor::scope::Rule;
use tensor::spectrum::{self, Statistics, family};

use super::notes::{Notes, shown};
use crate::artefact::{Artefact, Entry};
use crate::finding::Place;

/// Looks at an adapter's tensors with its configuration, which stands beside them.
pub(super) fn look(
    artefact: &Artefact<'_>,
    entry: &Entry<'_>,
    file: &SafeTensors<'_>,
    notes: &mut Notes<'_>,
) {
    let Some(bytes) = artefact.beside(entry.folder(), "adapter_config.json").and_then(Entry::bytes) else {
        notes.find(
            "SCAN-ADP-008",
            Place::File,
            "there is no `adapter_config.json` beside the adapter: its scaling and its targets are unknown"
                .to_owned(),
            [],
        );
        notes.unexamined("what the adapter does, which its configuration would say");
        return;
    };
    let config = match Config::read(bytes) {
        Ok(config) => config,
        Err(error) => {
            notes.find(
                "SCAN-ADP-008",
                Place::File,
                format!("the adapter's configuration cannot be read: {error}"),
                [error.code().to_owned()],
            );
            notes.unexamined("what the adapter does, which its configuration would say");
            return;
        }
    };
    let adapter = Adapter::join(config, file);
    replaced(&adapter, notes);
    routers(&adapter, notes);
    disagreements(&adapter, notes);
    targets(&adapter, notes);
    strength(&adapter, notes);
    spread(&adapter, notes);
}

/// Statistics of every module, in order; modules that have none say why.
fn statistics<'m>(
    modules: &[&'m LoraModule<'m>],
    work: impl Fn(&LoraModule<'_>) -> Work + Sync,
) -> Vec<(&'m LoraModule<'m>, Result<Statistics, Error>)> {
    modules.par_iter().map(|module| (*module, spectrum::module(module, &mut work(module)))).collect()
}

/// As much work as a module's spectrum takes, and none for the fourth moment of its elements, which takes many times that
/// ([`LowRank`](spectrum::LowRank)'s own bound).
fn spectrum_alone(module: &LoraModule<'_>) -> Work {
    let (both, rank) = ((module.rows as u64).saturating_add(module.columns as u64), module.rank as u64);
    let core = rank.min(module.rows.max(module.columns) as u64);
    let reduced = both.saturating_mul(rank).saturating_mul(core).saturating_mul(4);
    Work::limit(reduced.saturating_add(core.saturating_mul(core).saturating_mul(core).saturating_mul(32)))
}

/// How each module's change is spread, and whether one is unlike those of its kind.
fn spread(adapter: &Adapter<'_>, notes: &mut Notes<'_>) {
    let most = notes.rules.parameter("SCAN-ADP-009", "concentration_max");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a limit, and NaN becomes none"
    )]
    let limit = notes.rules.parameter("SCAN-ADP-009", "multiply_adds_max") as u64;
    let list: Vec<&LoraModule<'_>> = adapter
        .modules
        .iter()
        .filter(|module| {
            let within = spectrum_alone(module).left() <= limit;
            if !within {
                notes.unexamined(&format!(
                    "the spectrum of module `{}`, which is too large",
                    shown(module.path)
                ));
            }
            within
        })
        .collect();
    let mut statistics_of = Vec::new();
    for (module, of) in statistics(&list, spectrum_alone) {
        match of {
            Ok(of) => statistics_of.push((module, of)),
            // Values that are not finite, and scalings that are not known, have rules of their own.
            Err(error) => {
                notes.unexamined(&format!("the spectrum of module `{}`: {error}", shown(module.path)));
            }
        }
    }
    // The fourth moment decides only where the rows stand out already, and then by comparison with the whole family.
    let pairs: Vec<(&str, &Statistics)> =
        statistics_of.iter().map(|(module, of)| (module.path, of)).collect();
    let suspects: BTreeSet<String> = pairs
        .iter()
        .zip(family::standings(&pairs))
        .filter(|(_, standing)| {
            let rows = standing.row_top8_share.zip(standing.row_hoyer);
            rows.is_some_and(|(top, hoyer)| top.min(hoyer) >= most)
        })
        .map(|((path, _), _)| family::family_of(path).0)
        .collect();
    if !suspects.is_empty() {
        let again: Vec<&LoraModule<'_>> = statistics_of
            .iter()
            .map(|(module, _)| *module)
            .filter(|module| suspects.contains(&family::family_of(module.path).0))
            .collect();
        for (module, of) in statistics(&again, |_| Work::limit(limit)) {
            let place = statistics_of.iter_mut().find(|(known, _)| known.path == module.path);
            if let (Some((_, known)), Ok(of)) = (place, of) {
                *known = of;
            }
        }
    }
    let pairs: Vec<(&str, &Statistics)> =
        statistics_of.iter().map(|(module, of)| (module.path, of)).collect();
    for ((path, of), standing) in pairs.iter().zip(family::standings(&pairs)) {
        if let Some(far) = standing.concentration().filter(|far| *far >= most) {
            let message = format!(
                "the change of module `{}` is heaped on few outputs, {far:.0} deviations beyond its kind",
                shown(path)
            );
            let mut evidence = Vec::new();
            if let Some(form) = &of.form {
                evidence.push(format!(
                    "kurtosis {:.1}, share of the eight strongest rows {:.3}, Hoyer's sparsity of the rows {:.3}",
                    form.kurtosis.unwrap_or(f64::NAN),
                    form.row_top8_share,
                    form.row_hoyer.unwrap_or(f64::NAN)
                ));
                evidence.push(format!(
                    "Frobenius norm {:.3e}, stable rank {:.2} of {}, leading direction {:.1} %",
                    of.frobenius,
                    form.stable_rank,
                    of.rank,
                    form.top1_energy * 100.0
                ));
            }
            notes.find("SCAN-ADP-009", Place::Module((*path).to_owned()), message, evidence);
        }
    }
    let (energy, rank) = (
        notes.rules.parameter("SCAN-ADP-010", "top1_energy_max"),
        notes.rules.parameter("SCAN-ADP-010", "rank_min"),
    );
    for (path, of) in &pairs {
        #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
        let wide = of.rank as f64 >= rank;
        if let Some(form) = of.form.as_ref().filter(|form| wide && form.top1_energy > energy) {
            let message = format!(
                "{:.2} % of the change of module `{}` lies in one direction",
                form.top1_energy * 100.0,
                shown(path)
            );
            notes.find(
                "SCAN-ADP-010",
                Place::Module((*path).to_owned()),
                message,
                [format!("rank {}", of.rank)],
            );
        }
    }
}

/// Embeddings, heads and other modules that are shipped whole.
fn replaced(adapter: &Adapter<'_>, notes: &mut Notes<'_>) {
    for full in &adapter.full {
        let place = Place::Tensor(full.view.name.to_owned());
        let path = shown(full.path);
        match (full.embedding, full.kind) {
            (Embedding::Yes, _) | (_, FullKind::Embedding) => {
                let message = format!(
                    "the adapter replaces `{path}`, which decides what tokens mean or which are said"
                );
                notes.find("SCAN-ADP-001", place, message, [format!("shape {:?}", full.view.shape)]);
            }
            (Embedding::No, FullKind::ModuleToSave) => {
                notes.find("SCAN-ADP-002", place, format!("the adapter replaces `{path}` whole"), []);
            }
            (Embedding::No, FullKind::Bias) => {}
        }
    }
    for module in adapter.modules.iter().filter(|module| module.layer == Layer::Embedding) {
        let message = format!("the adapter changes `{}`, the meaning of tokens", shown(module.path));
        notes.find("SCAN-ADP-001", Place::Module(module.path.to_owned()), message, []);
    }
}

/// Modules that choose among experts.
fn routers(adapter: &Adapter<'_>, notes: &mut Notes<'_>) {
    let names = notes.rules.list("SCAN-ADP-003", "names");
    let touched =
        adapter.modules.iter().map(|module| module.path).chain(adapter.full.iter().map(|full| full.path));
    for path in touched {
        let last = path.rsplit('.').next().unwrap_or(path);
        if names.iter().any(|name| name == last) {
            let message = format!("the adapter changes the router `{}`", shown(path));
            notes.find("SCAN-ADP-003", Place::Module(path.to_owned()), message, []);
        }
    }
}

/// What configuration and tensors disagree about.
fn disagreements(adapter: &Adapter<'_>, notes: &mut Notes<'_>) {
    for violation in &adapter.findings {
        let rule = match violation.rule {
            Rule::RankDiffers | Rule::FactorShapes | Rule::RankZero | Rule::FactorAlone => "SCAN-ADP-004",
            Rule::NotTargeted => "SCAN-ADP-005",
            // The values have their own rules.
            Rule::ElementNotMeasurable => continue,
            _ => "SCAN-ADP-006",
        };
        let place = shown(&violation.place);
        let message = match violation.rule {
            Rule::RankDiffers => format!(
                "module `{place}` has rank {} where the configuration says {}",
                violation.measured, violation.limit
            ),
            other => format!("`{place}`: {}", other.meaning()),
        };
        notes.find(rule, Place::Module(violation.place.clone()), message, [violation.rule.code().to_owned()]);
    }
    for view in &adapter.unknown {
        let message = format!("tensor `{}` is no part of an adapter that is known here", shown(view.name));
        notes.find("SCAN-ADP-006", Place::Tensor(view.name.to_owned()), message, []);
    }
    for member in adapter.config.unread() {
        let message = format!(
            "the configuration's `{}` may change what the adapter does, and is not read here",
            shown(member)
        );
        notes.find("SCAN-ADP-006", Place::Key(member.to_owned()), message, []);
    }
}

/// Targets that the configuration names and no tensor has.
fn targets(adapter: &Adapter<'_>, notes: &mut Notes<'_>) {
    let Targets::Names(names) = &adapter.config.targets else { return };
    let paths: BTreeSet<&str> = adapter.modules.iter().map(|module| module.path).collect();
    for name in names {
        let met = paths.iter().any(|path| {
            path.strip_suffix(name.as_str()).is_some_and(|head| head.is_empty() || head.ends_with('.'))
        });
        if !met {
            let message =
                format!("the configuration targets `{}` and no tensor is for such a module", shown(name));
            notes.find("SCAN-ADP-005", Place::Key("target_modules".to_owned()), message, []);
        }
    }
}

/// A scaling so large that few steps of training suffice to turn the model round.
fn strength(adapter: &Adapter<'_>, notes: &mut Notes<'_>) {
    let most = notes.rules.parameter("SCAN-ADP-007", "scaling_max");
    if let Some(module) = adapter
        .modules
        .iter()
        .filter(|module| module.scaling.abs() > most)
        .max_by(|a, b| a.scaling.abs().total_cmp(&b.scaling.abs()))
    {
        let message = format!("the adapter is applied {} times over", module.scaling);
        notes.find("SCAN-ADP-007", Place::Module(module.path.to_owned()), message, []);
    }
}
