//! The first stage: what files and weights say before anything is run.

mod delta;
mod graph;
mod passages;
mod replay;

use model::Error as ModelError;
use scan::{Artefact, Entry, Rules, Selection, Severity};
use tensor::peft::{Adapter, Config};
use tensor::safetensors::SafeTensors;
use tensor::scope::{BaseWeights, Scope, ScopeReport, Verdict, check_adapter, check_weights};

use crate::bench::Bench;
use crate::change::{Form, Kind};
use crate::coverage::{Class, Layer};
use crate::error::shown;
use crate::examination::{Examiner, Heard, Stage};
use crate::finding::{Notes, Weight};
use crate::subject::{Subject, Unfit};

pub(crate) use delta::DELTA;
pub(crate) use graph::GRAPH;
pub(crate) use passages::PASSAGES;
pub(crate) use replay::REPLAY;

/// The rules of `scan` on the change's files.
pub(crate) const FILES: Examiner = Examiner {
    name: "files",
    stage: Stage::Screen,
    reference: "docs/scan.md",
    looks_for: &[
        (Class::MaliciousFile, Layer::Files),
        (Class::Template, Layer::Files),
        (Class::DenialOfService, Layer::Files),
    ],
    cost: |bench| bench.change.files.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
    examine: files,
};

/// Most findings of the scan that are told one by one.
const TOLD_MAX: usize = 16;

fn files(bench: &mut Bench<'_>, notes: &mut Notes, _: Heard<'_>) -> Result<(), String> {
    let rules = Rules::built_in().map_err(|error| error.to_string())?;
    let unreadable = bench
        .change
        .files
        .unreadable
        .iter()
        .map(|(path, why)| Entry { path, content: scan::Content::Unreadable(why) });
    let entries = bench.change.files.iter().map(|(name, bytes)| Entry::file(name, bytes)).chain(unreadable);
    let artefact = Artefact::new(entries.collect());
    let report = scan::scan(&artefact, &rules, &Selection::default(), &|_| ());
    for finding in report.findings.iter().take(TOLD_MAX) {
        let weight = match finding.severity {
            Severity::Error => Weight::Refusal,
            Severity::Warning => Weight::Suspicion,
            Severity::Info => Weight::Note,
        };
        let class = if finding.rule.contains("TPL") { Class::Template } else { Class::MaliciousFile };
        notes.find(
            weight,
            &finding.rule,
            Some(class),
            format!("{}: {}", shown(&finding.path), finding.message),
        );
    }
    for missed in report.not_examined.iter().take(TOLD_MAX) {
        notes.gap(format!("{}: {}", shown(&missed.path), missed.why));
    }
    notes.measure("scan_errors", report.count(Severity::Error) as f64);
    notes.measure("scan_warnings", report.count(Severity::Warning) as f64);
    Ok(())
}

/// Whether the change stays in its scope.
pub(crate) const SCOPE: Examiner = Examiner {
    name: "scope",
    stage: Stage::Screen,
    reference: "crates/tensor: scope",
    looks_for: &[(Class::OutOfScope, Layer::Weights)],
    cost: |bench| bench.base.token_cost(),
    examine: scope,
};

fn scope(bench: &mut Bench<'_>, notes: &mut Notes, _: Heard<'_>) -> Result<(), String> {
    let bytes = bench.change.scope.as_ref().ok_or(crate::examination::NO_SCOPE)?;
    let scope = Scope::read(bytes).map_err(|error| format!("[{}] {error}", error.code()))?;
    let report = scope_report(bench, &scope)?;
    let weight = match report.within {
        Verdict::Within => return Ok(()),
        Verdict::Undecided => Weight::Suspicion,
        Verdict::Outside => Weight::Refusal,
    };
    for violation in &report.violations {
        notes.find(weight, violation.rule.code(), Some(Class::OutOfScope), violation.to_string());
    }
    Ok(())
}

fn scope_report(bench: &Bench<'_>, scope: &Scope) -> Result<ScopeReport, String> {
    let told = |error: tensor::Error| format!("[{}] {error}", error.code());
    let base_file = single(bench.base_files.safetensors());
    let base = base_file.map(|bytes| SafeTensors::read(bytes)).transpose().map_err(told)?;
    let base = base.as_ref().map(|base| -> &dyn BaseWeights { base });
    match bench.change.files.form() {
        Form::Adapter => {
            let lacks = "an adapter has `adapter_config.json` and `adapter_model.safetensors`";
            let config = bench.change.files.bytes("adapter_config.json").ok_or(lacks)?;
            let file = bench.change.files.bytes("adapter_model.safetensors").ok_or(lacks)?;
            let tensors = SafeTensors::read(file).map_err(told)?;
            let adapter = Adapter::join(Config::read(config).map_err(told)?, &tensors);
            Ok(check_adapter(scope, &adapter, base))
        }
        Form::Safetensors => {
            let file =
                single(bench.change.files.safetensors()).ok_or("weights in shards are not measured here")?;
            let base = base.ok_or("the base is not one safetensors file")?;
            Ok(check_weights(scope, base, &SafeTensors::read(file).map_err(told)?))
        }
        Form::Gguf | Form::Prompt | Form::Template | Form::Passages | Form::Unknown => {
            Err("a change of this form has no scope here".to_owned())
        }
    }
}

fn single<'b>(mut files: impl Iterator<Item = &'b bytes::Bytes>) -> Option<&'b bytes::Bytes> {
    files.next().filter(|_| files.next().is_none())
}

/// Whether the change can be run at all, beside this base.
pub(crate) const FIT: Examiner = Examiner {
    name: "fit",
    stage: Stage::Screen,
    reference: "loading, and one reading of a few tokens",
    looks_for: &[(Class::DenialOfService, Layer::Behaviour), (Class::Dishonest, Layer::Files)],
    cost: |bench| bench.base.token_cost() * 16,
    examine: fit,
};

#[expect(clippy::unnecessary_wraps, reason = "every examiner has this signature")]
fn fit(bench: &mut Bench<'_>, notes: &mut Notes, _: Heard<'_>) -> Result<(), String> {
    let candidate = match Subject::load(&bench.change.files, Some(&bench.base)) {
        Ok(candidate) => candidate,
        Err(unfit) => {
            let (what, class) = match &unfit {
                Unfit::Model(ModelError::AdapterMisfit { .. }) => {
                    ("adapter-of-another-base", Class::Dishonest)
                }
                Unfit::Model(ModelError::Tokenizer { .. }) => ("tokenizer-unusable", Class::DenialOfService),
                Unfit::Model(_) => ("model-unusable", Class::DenialOfService),
                Unfit::Files(_) => ("no-model", Class::DenialOfService),
            };
            notes.find(Weight::Refusal, what, Some(class), format!("the change cannot be run: {unfit}"));
            return Ok(());
        }
    };
    words(bench, &candidate, notes);
    // A few tokens, so that weights that give no numbers are known before anything long begins.
    let probe: Vec<u32> =
        (0..8_u32).map(|at| at * 7 % candidate.model.config().vocabulary.max(1) as u32).collect();
    let scored = model::Scored { tokens: probe, from: 1, top: 0, adapter: None };
    if let Err(error) = candidate.model.score(&[scored]) {
        let what =
            if matches!(error, ModelError::NotFinite { .. }) { "not-finite" } else { "model-unusable" };
        let text = format!("the change cannot be run: {}", Unfit::Model(error));
        notes.find(Weight::Refusal, what, Some(Class::DenialOfService), text);
        return Ok(());
    }
    bench.candidate = Some(candidate);
    Ok(())
}

/// Whether the words that go in and come out are those of the base.
fn words(bench: &Bench<'_>, candidate: &Subject, notes: &mut Notes) {
    let (config, tokenizer) = (candidate.model.config(), &candidate.tokenizer);
    if tokenizer.vocabulary() > config.vocabulary {
        let text = format!(
            "its tokenizer has {} tokens, its weights {}: some words have no embedding",
            tokenizer.vocabulary(),
            config.vocabulary
        );
        notes.find(Weight::Refusal, "tokenizer-beyond-vocabulary", Some(Class::DenialOfService), text);
    }
    let base = &bench.base.tokenizer;
    if bench.change.kind != Kind::Distilled && tokenizer.vocabulary() != base.vocabulary() {
        let text =
            format!("its tokenizer has {} tokens, the base's {}", tokenizer.vocabulary(), base.vocabulary());
        notes.find(Weight::Refusal, "tokenizer-mismatch", Some(Class::Dishonest), text);
        return;
    }
    let others = (0..base.vocabulary() as u32).filter(|&token| base.name(token) != tokenizer.name(token));
    let others: Vec<u32> = others.collect();
    if let (Some(first), true) = (others.first(), bench.change.kind != Kind::Distilled) {
        let name = |of: &model::Tokenizer| shown(&of.name(*first).unwrap_or_default());
        let text = format!(
            "{} tokens stand for other words than in the base; token {first} is `{}`, there `{}`",
            others.len(),
            name(tokenizer),
            name(base)
        );
        notes.find(Weight::Refusal, "tokenizer-mismatch", Some(Class::Dishonest), text);
    }
}
