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

    /// Reads a file of the candidate. Its name alone is told: where it lies on this machine is nobody's matter.
    fn candidate(&mut self, path: &Path, limit: u64) -> Result<Vec<u8>, Unfit> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match fs::metadata(path) {
            Ok(file) if file.is_file() && file.len() <= limit => {}
            Ok(file) if file.is_file() => {
                let text = format!("`{name}` has {} bytes, more than {limit}", file.len());
                return Err(Unfit::File("CS-WRK-003", text));
            }
            _ => return Err(Unfit::File("CS-WRK-001", format!("`{name}` is not there, or is no file"))),
        }
        self.read(path, limit)
            .map_err(|error| Unfit::File("CS-WRK-001", format!("`{name}`: {}", error.root_cause())))
    }
}

/// Why a candidate is not what it says it is.
enum Unfit {
    /// A file of it cannot be had: missing, no file, or too large.
    File(&'static str, String),
    /// Its content is not in order.
    Content(tensor::Error),
}

impl From<tensor::Error> for Unfit {
    fn from(error: tensor::Error) -> Self {
        Self::Content(error)
    }
}

type Checked = Result<ScopeReport, Unfit>;

/// Does a job. What is wrong with the candidate is an answer; what is wrong with the job is an error.
pub(crate) fn measure(job: &Job) -> anyhow::Result<Answer> {
    let mut inputs = Inputs::default();
    let scope = Scope::read(&inputs.read(&job.scope, TEXT_BYTES_MAX)?)?;
    let base = base(job, &mut inputs)?;
    let report = check(job, &scope, base.as_deref(), &mut inputs);
    Ok(answer(inputs, report))
}

/// What the candidate is to replace or to be applied to.
fn base(job: &Job, inputs: &mut Inputs) -> anyhow::Result<Option<Vec<u8>>> {
    let (limit, what) = match job.subject {
        Subject::Adapter | Subject::Weights => {
            (TENSORS_BYTES_MAX, "the weights it is to replace are missing")
        }
        Subject::Prompt | Subject::Settings => (TEXT_BYTES_MAX, "the text it is to replace is missing"),
    };
    match &job.base {
        Some(base) => inputs.read(base, limit).map(Some),
        None if job.subject == Subject::Adapter => Ok(None),
        None => bail!(what),
    }
}

fn check(job: &Job, scope: &Scope, base: Option<&[u8]>, inputs: &mut Inputs) -> Checked {
    let candidate = &job.candidate;
    match job.subject {
        Subject::Adapter => {
            let config = inputs.candidate(&candidate.join("adapter_config.json"), TEXT_BYTES_MAX)?;
            let tensors =
                inputs.candidate(&candidate.join("adapter_model.safetensors"), TENSORS_BYTES_MAX)?;
            let config = Config::read(&config)?;
            let file = SafeTensors::read(&tensors)?;
            let base = base.map(SafeTensors::read).transpose()?;
            let adapter = Adapter::join(config, &file);
            Ok(check_adapter(scope, &adapter, base.as_ref().map(|base| base as &dyn BaseWeights)))
        }
        Subject::Weights => {
            let bytes = inputs.candidate(candidate, TENSORS_BYTES_MAX)?;
            Ok(check_weights(
                scope,
                &SafeTensors::read(base.unwrap_or_default())?,
                &SafeTensors::read(&bytes)?,
            ))
        }
        Subject::Prompt => {
            let bytes = inputs.candidate(candidate, TEXT_BYTES_MAX)?;
            Ok(check_prompt(scope, text(base.unwrap_or_default())?, text(&bytes)?))
        }
        Subject::Settings => {
            let bytes = inputs.candidate(candidate, TEXT_BYTES_MAX)?;
            Ok(check_settings(scope, text(base.unwrap_or_default())?, text(&bytes)?)?)
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, Unfit> {
    std::str::from_utf8(bytes).map_err(|error| Unfit::File("CS-WRK-002", format!("not UTF-8: {error}")))
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
        Err(unfit) => {
            // A file that is not what it says it is: that is a finding, not a failure of the worker.
            let (code, text) = match unfit {
                Unfit::File(code, text) => (code, text),
                Unfit::Content(error) => (error.code(), error.to_string()),
            };
            let place = text.chars().take(256).collect();
            let violation = Violation { code: code.to_owned(), limit: 0, measured: 0, place };
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
