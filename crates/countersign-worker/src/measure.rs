//! Reads the files of a job and measures them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use statement::Digest;
use tensor::peft::{Adapter, Config};
use tensor::safetensors::SafeTensors;
use tensor::scope::{
    BaseWeights, Scope, ScopeReport, Verdict, check_adapter, check_prompt, check_settings, check_weights,
};

use crate::job::{Answer, Job, Outcome, Subject, Violation};

/// The largest text (scope, prompt, settings, configuration).
const TEXT_BYTES_MAX: u64 = 4 << 20;
/// The largest tensor file: it is read into memory.
const TENSORS_BYTES_MAX: u64 = 12 << 30;

/// Files that were read.
#[derive(Default)]
struct Inputs(BTreeSet<Digest>);

impl Inputs {
    fn read(&mut self, path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
        let name = path.display();
        let length = fs::metadata(path).with_context(|| format!("`{name}`"))?.len();
        if length > limit {
            bail!("`{name}` has {length} bytes, more than {limit}");
        }
        let bytes = fs::read(path).with_context(|| format!("`{name}`"))?;
        self.0.insert(Digest::of(&bytes));
        Ok(bytes)
    }

    fn text(&mut self, path: &Path) -> anyhow::Result<String> {
        let bytes = self.read(path, TEXT_BYTES_MAX)?;
        String::from_utf8(bytes).with_context(|| format!("`{}` is not UTF-8", path.display()))
    }
}

/// Does a job. What is wrong with the candidate is an answer; what is wrong with the job is an error.
pub(crate) fn measure(job: &Job) -> anyhow::Result<Answer> {
    let mut inputs = Inputs::default();
    let scope = Scope::read(&inputs.read(&job.scope, TEXT_BYTES_MAX)?)?;
    let report = match job.subject {
        Subject::Adapter => adapter(job, &scope, &mut inputs)?,
        Subject::Weights => weights(job, &scope, &mut inputs)?,
        Subject::Prompt => {
            let old = old_text(job, &mut inputs)?;
            Ok(check_prompt(&scope, &old, &inputs.text(&job.candidate)?))
        }
        Subject::Settings => {
            let old = old_text(job, &mut inputs)?;
            check_settings(&scope, &old, &inputs.text(&job.candidate)?)
        }
    };
    Ok(answer(inputs, report))
}

fn old_text(job: &Job, inputs: &mut Inputs) -> anyhow::Result<String> {
    match &job.base {
        Some(base) => inputs.text(base),
        None => bail!("the text it is to replace is missing"),
    }
}

type Checked = Result<ScopeReport, tensor::Error>;

fn adapter(job: &Job, scope: &Scope, inputs: &mut Inputs) -> anyhow::Result<Checked> {
    let config = inputs.read(&job.candidate.join("adapter_config.json"), TEXT_BYTES_MAX)?;
    let tensors = inputs.read(&job.candidate.join("adapter_model.safetensors"), TENSORS_BYTES_MAX)?;
    let base = match &job.base {
        Some(path) => Some(inputs.read(path, TENSORS_BYTES_MAX)?),
        None => None,
    };
    Ok(check_adapter_bytes(scope, &config, &tensors, base.as_deref()))
}

fn check_adapter_bytes(scope: &Scope, config: &[u8], tensors: &[u8], base: Option<&[u8]>) -> Checked {
    let config = Config::read(config)?;
    let file = SafeTensors::read(tensors)?;
    let base = base.map(SafeTensors::read).transpose()?;
    let adapter = Adapter::join(config, &file);
    Ok(check_adapter(scope, &adapter, base.as_ref().map(|base| base as &dyn BaseWeights)))
}

fn weights(job: &Job, scope: &Scope, inputs: &mut Inputs) -> anyhow::Result<Checked> {
    let candidate = inputs.read(&job.candidate, TENSORS_BYTES_MAX)?;
    let Some(base) = &job.base else { bail!("the weights it is to replace are missing") };
    let base = inputs.read(base, TENSORS_BYTES_MAX)?;
    let check = || Ok(check_weights(scope, &SafeTensors::read(&base)?, &SafeTensors::read(&candidate)?));
    Ok(check())
}

fn answer(inputs: Inputs, report: Checked) -> Answer {
    match report {
        Ok(report) => {
            let listed = u64::try_from(report.violations.len()).unwrap_or(u64::MAX);
            let all = report.measures.get("violations").copied().unwrap_or(listed);
            Answer {
                inputs: inputs.0,
                outcome: match report.within {
                    Verdict::Within => Outcome::Pass,
                    Verdict::Undecided => Outcome::Inconclusive,
                    Verdict::Outside => Outcome::Fail,
                },
                violations: report
                    .violations
                    .iter()
                    .map(|violation| Violation {
                        code: violation.rule.code().to_owned(),
                        limit: violation.limit,
                        measured: violation.measured,
                        place: violation.place.clone(),
                    })
                    .collect(),
                violations_left_out: all.saturating_sub(listed),
                measures: report.measures,
            }
        }
        Err(error) => {
            // A file that is not what it says it is: that is a finding, not a failure of the worker.
            let place: String = error.to_string().chars().take(256).collect();
            let violation = Violation { code: error.code().to_owned(), limit: 0, measured: 0, place };
            Answer {
                inputs: inputs.0,
                measures: BTreeMap::new(),
                outcome: Outcome::Fail,
                violations: vec![violation],
                violations_left_out: 0,
            }
        }
    }
}
