//! Makes the report: pairs, measures on all processors, ranks.

use rayon::prelude::*;
use tensor::delta::{self, Effort, Operand, Rank, Relation, Spectrum, TensorChange};
use tensor::measure::{BaseLayout, Work};
use tensor::peft::{Adapter, Config, Layer, LoraModule};
use tensor::safetensors::SafeTensors;
use tensor::scope::{self, BaseWeights, Scope};
use tensor::spectrum::Statistics;

use super::report::{Report, ReportKind, Row, shown};
use super::side::{Opened, OpenedKind};
use crate::failure::{Done, Failure};

/// The seed of the random start for large matrices. Fixed, so that the same files give the same report.
const SEED: u64 = 0x00C0_FFEE;
/// Most singular values kept of one tensor, so that a hundred thousand tensors stay in memory.
const VALUES_MAX: usize = 64;
/// Multiply-adds for one module of an adapter: 2^37, as a scope has by default.
const WORK_MAX: u64 = 1 << 37;

/// Compares two sides.
pub(super) fn two(base: &Opened<'_>, candidate: &Opened<'_>, scope: Option<&Scope>) -> Done<Report> {
    match (&base.kind, &candidate.kind) {
        (
            OpenedKind::Adapter { config, file },
            OpenedKind::Adapter { config: new_config, file: new_file },
        ) => {
            let old = Adapter::join(config.clone(), file);
            let new = Adapter::join(new_config.clone(), new_file);
            let mut report = between(&old, &new);
            report.base.clone_from(&base.path);
            report.candidate = Some(candidate.path.clone());
            report.scope = scope.map(|scope| scope::check_adapter(scope, &new, None));
            Ok(report)
        }
        (OpenedKind::Adapter { .. }, _) => Err(Failure::usage(
            "a model cannot be compared with an adapter as its base; name the model first and the adapter second",
        )),
        (_, OpenedKind::Adapter { config, file }) => {
            let Some(weights) = base.base()? else {
                return Err(Failure::usage(
                    "an adapter's modules are not found in a GGUF file of this architecture; name the safetensors weights",
                ));
            };
            let mut report = adapter(config, file, Some(&*weights), scope);
            report.base.clone_from(&base.path);
            report.candidate = Some(candidate.path.clone());
            Ok(report)
        }
        _ => weights(base, candidate, scope),
    }
}

/// An adapter by itself.
pub(super) fn alone(side: &Opened<'_>, scope: Option<&Scope>) -> Done<Report> {
    let OpenedKind::Adapter { config, file } = &side.kind else {
        return Err(Failure::usage("a model is compared with another: name the candidate too"));
    };
    let mut report = adapter(config, file, None, scope);
    report.base.clone_from(&side.path);
    Ok(report)
}

fn empty(kind: ReportKind) -> Report {
    Report {
        base: String::new(),
        candidate: None,
        kind,
        compared: 0,
        identical: 0,
        same_values: 0,
        added: Vec::new(),
        removed: Vec::new(),
        reshaped: Vec::new(),
        retyped: Vec::new(),
        unmeasured: Vec::new(),
        rows: Vec::new(),
        elements: None,
        magnitudes: Vec::new(),
        scope: None,
    }
}

/// Two models.
fn weights(base: &Opened<'_>, candidate: &Opened<'_>, scope: Option<&Scope>) -> Done<Report> {
    let checked = match (scope, base.weights()?, candidate.weights()?) {
        (None, ..) => None,
        (Some(scope), Some(base), Some(candidate)) => Some(scope::check_weights(scope, &*base, &*candidate)),
        (Some(_), ..) => {
            return Err(Failure::usage(
                "a scope is checked on plain weights, not on a GGUF file or on packed layers",
            ));
        }
    };
    let (old, new) = (base.operands(candidate)?, candidate.operands(base)?);
    let pairing = delta::pair(old.iter().map(|tensor| tensor.name()), new.iter().map(|tensor| tensor.name()));
    let name = |tensors: &[Box<dyn Operand + '_>], at: &usize| {
        tensors.get(*at).map(|tensor| tensor.name().to_owned()).unwrap_or_default()
    };
    let pairs: Vec<(&dyn Operand, &dyn Operand)> = pairing
        .common
        .iter()
        .filter_map(|(before, after)| Some((old.get(*before)?.as_ref(), new.get(*after)?.as_ref())))
        .collect();
    let changes: Vec<Result<TensorChange, tensor::Error>> = pairs
        .par_iter()
        .map(|(old, new)| delta::tensor(*old, *new, Effort::Spectrum { seed: SEED }))
        .collect();

    let mut report = Report {
        base: base.path.clone(),
        candidate: Some(candidate.path.clone()),
        compared: pairs.len(),
        added: pairing.added.iter().map(|at| name(&new, at)).collect(),
        removed: pairing.removed.iter().map(|at| name(&old, at)).collect(),
        scope: checked,
        ..empty(ReportKind::Weights)
    };
    let (mut elements, mut changed) = (0, 0);
    let mut magnitudes = std::collections::BTreeMap::new();
    for ((old, new), change) in pairs.iter().zip(changes) {
        if old.dtype() != new.dtype() {
            report.retyped.push((new.name().to_owned(), old.dtype().to_owned(), new.dtype().to_owned()));
        }
        let change = match change {
            Ok(change) => change,
            Err(tensor::Error::Shape { .. }) => {
                report.reshaped.push((new.name().to_owned(), old.shape().to_vec(), new.shape().to_vec()));
                continue;
            }
            Err(error) => {
                report.unmeasured.push(refused(new.name(), &error));
                continue;
            }
        };
        elements += change.elements;
        changed += change.changed;
        for (low, count) in &change.magnitudes {
            *magnitudes.entry(*low).or_default() += count;
        }
        match change.relation {
            Relation::Identical => report.identical += 1,
            Relation::SameValues => report.same_values += 1,
            Relation::Changed => report.rows.push(row_of(*old, *new, change)),
        }
    }
    report.elements = Some((elements, changed));
    report.magnitudes = magnitudes.into_iter().collect();
    rank(&mut report.rows);
    Ok(report)
}

fn row_of(old: &dyn Operand, new: &dyn Operand, change: TensorChange) -> Row {
    let (family, layer) = delta::place_of(new.name());
    let types = if old.dtype() == new.dtype() {
        new.dtype().to_owned()
    } else {
        format!("{} \u{2192} {}", old.dtype(), new.dtype())
    };
    Row {
        name: new.name().to_owned(),
        family,
        layer,
        shape: new.shape().to_vec(),
        types,
        relative_ppm: Some((change.relative_frobenius_ppm, change.relative_element_ppm)),
        relative: Some(change.relative_f64()),
        frobenius: change.frobenius_f64,
        element: Some(change.element_f64),
        changed: Some((change.elements, change.changed)),
        spectrum: change.spectrum.map(kept),
    }
}

/// The spectrum without its tail.
fn kept(mut spectrum: Spectrum) -> Spectrum {
    spectrum.values.truncate(VALUES_MAX);
    spectrum.values.shrink_to_fit();
    spectrum
}

/// The largest change first, then by name.
fn rank(rows: &mut [Row]) {
    rows.sort_by(|a, b| b.weight().total_cmp(&a.weight()).then_with(|| a.name.cmp(&b.name)));
}

/// An adapter, relative to its base where that is given.
fn adapter(
    config: &Config,
    file: &SafeTensors<'_>,
    base: Option<&(dyn BaseWeights + Sync)>,
    scope: Option<&Scope>,
) -> Report {
    let adapter = Adapter::join(config.clone(), file);
    let kind = if base.is_some() { ReportKind::Adapter } else { ReportKind::Alone };
    let mut report = Report { compared: adapter.modules.len(), ..empty(kind) };
    report.scope =
        scope.map(|scope| scope::check_adapter(scope, &adapter, base.map(|base| base as &dyn BaseWeights)));
    let layout = if adapter.config.fan_in_fan_out { BaseLayout::InOut } else { BaseLayout::OutIn };
    let measured: Vec<Result<Row, tensor::Error>> =
        adapter.modules.par_iter().map(|module| measured_row(module, base, layout)).collect();
    for (module, row) in adapter.modules.iter().zip(measured) {
        match row {
            Ok(row) => report.rows.push(row),
            Err(error) => report.unmeasured.push(refused(module.path, &error)),
        }
    }
    for full in &adapter.full {
        report.added.push(full.view.name.to_owned());
    }
    for view in &adapter.unknown {
        let rule = scope::Rule::TensorUnknown;
        report.unmeasured.push((view.name.to_owned(), rule.code().to_owned(), rule.meaning().to_owned()));
    }
    report.unmeasured.extend(adapter.findings.iter().map(|finding| {
        (shown(&finding.place), finding.rule.code().to_owned(), finding.rule.meaning().to_owned())
    }));
    rank(&mut report.rows);
    report
}

/// One module of an adapter, relative to its base where that is given.
#[expect(clippy::cast_precision_loss, reason = "to be shown")]
fn measured_row(
    module: &LoraModule<'_>,
    base: Option<&(dyn BaseWeights + Sync)>,
    layout: BaseLayout,
) -> Result<Row, tensor::Error> {
    let weight = base.and_then(|base| base.tensor(&format!("{}.weight", module.path)));
    if base.is_some() && weight.is_none() {
        return Err(tensor::Error::NeedsBase { place: shown(module.path) });
    }
    let layout = if module.layer == Layer::Embedding { BaseLayout::OutIn } else { layout };
    let change = delta::adapter_change(module, weight.as_ref(), layout, &mut Work::limit(WORK_MAX))?;
    let relative = change.measured.relative;
    Ok(Row {
        relative_ppm: relative.map(|relative| (relative.frobenius_ppm, relative.element_ppm)),
        relative: relative.map(|relative| relative.frobenius_ppm as f64 / 1e6),
        element: Some(change.measured.element_nano as f64 / 1e9),
        ..module_row(module, &change.statistics)
    })
}

/// Name, code and reason of what could not be measured.
fn refused(name: &str, error: &tensor::Error) -> (String, String, String) {
    (name.to_owned(), error.code().to_owned(), error.to_string())
}

fn module_row(module: &LoraModule<'_>, statistics: &Statistics) -> Row {
    let (family, layer) = delta::place_of(module.path);
    let values = statistics.singular_values.clone();
    let most = values.first().copied().unwrap_or_default();
    let clear = values.iter().take_while(|value| **value > most * 1e-12).count();
    let spectrum = Spectrum {
        values,
        beyond: 0.0,
        side: statistics.rows.min(statistics.columns),
        rounding: 0.0,
        rank: Rank::Of(clear),
    };
    Row {
        name: module.path.to_owned(),
        family,
        layer,
        shape: vec![statistics.rows, statistics.columns],
        types: module.b.dtype.name().to_owned(),
        relative_ppm: None,
        relative: None,
        frobenius: statistics.frobenius,
        element: None,
        changed: None,
        spectrum: Some(kept(spectrum)),
    }
}

/// Two adapters: each module of the new one less that of the old one.
fn between(old: &Adapter<'_>, new: &Adapter<'_>) -> Report {
    let pairing = delta::pair(old.modules.iter().map(|m| m.path), new.modules.iter().map(|m| m.path));
    let name = |modules: &[LoraModule<'_>], at: &usize| {
        modules.get(*at).map(|module| module.path.to_owned()).unwrap_or_default()
    };
    let mut report = Report {
        compared: pairing.common.len(),
        added: pairing.added.iter().map(|at| name(&new.modules, at)).collect(),
        removed: pairing.removed.iter().map(|at| name(&old.modules, at)).collect(),
        ..empty(ReportKind::Adapters)
    };
    let pairs: Vec<(&LoraModule<'_>, &LoraModule<'_>)> = pairing
        .common
        .iter()
        .filter_map(|(before, after)| Some((old.modules.get(*before)?, new.modules.get(*after)?)))
        .collect();
    let changes: Vec<_> = pairs
        .par_iter()
        .map(|(old, new)| {
            let same = old.a.data == new.a.data
                && old.b.data == new.b.data
                && (old.a.dtype, old.b.dtype) == (new.a.dtype, new.b.dtype)
                && old.scaling.to_bits() == new.scaling.to_bits();
            let change = || delta::between_adapters(old, new, &mut Work::limit(WORK_MAX)).map(Some);
            if same { Ok(None) } else { change() }
        })
        .collect();
    for ((_, new), change) in pairs.iter().zip(changes) {
        match change {
            Ok(None) => report.identical += 1,
            Ok(Some((statistics, before))) if statistics.frobenius <= before * 1e-12 => {
                report.same_values += 1;
            }
            Ok(Some((statistics, before))) => {
                let mut row = module_row(new, &statistics);
                row.relative = Some(if before > 0.0 { statistics.frobenius / before } else { f64::INFINITY });
                report.rows.push(row);
            }
            Err(error) => report.unmeasured.push(refused(new.path, &error)),
        }
    }
    for adapter in [old, new] {
        report.unmeasured.extend(adapter.findings.iter().map(|finding| {
            (shown(&finding.place), finding.rule.code().to_owned(), finding.rule.meaning().to_owned())
        }));
    }
    rank(&mut report.rows);
    report
}
