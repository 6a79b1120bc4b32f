//! Reads the files of a job and measures them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;

use anyhow::{Context as _, bail};
use statement::Digest;
use tensor::peft::{Adapter, Config};
use tensor::safetensors::SafeTensors;
use tensor::scope::{
    BaseWeights, Scope, ScopeReport, Verdict, check_adapter, check_prompt, check_settings, check_weights,
};
use trace::Step;

use crate::job::{Answer, Outcome, Subject, Violation};

/// The largest text (scope, prompt, settings, configuration).
const TEXT_BYTES_MAX: u64 = 4 << 20;
/// The largest tensor file: it is read into memory.
const TENSORS_BYTES_MAX: u64 = 12 << 30;

/// The inputs, and the digests of those that were read.
struct Inputs {
    files: BTreeMap<String, File>,
    read: BTreeSet<Digest>,
    steps: Vec<Step>,
}

impl Inputs {
    fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    fn read(&mut self, name: &str, limit: u64) -> anyhow::Result<Vec<u8>> {
        let file = self.files.get_mut(name).with_context(|| format!("there is no input `{name}`"))?;
        let length = file.metadata().with_context(|| format!("`{name}`"))?.len();
        if length > limit {
            bail!("`{name}` has {length} bytes, more than {limit}");
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(usize::try_from(length)?).with_context(|| format!("`{name}`"))?;
        file.take(limit).read_to_end(&mut bytes).with_context(|| format!("`{name}`"))?;
        let digest = Digest::of(&bytes);
        self.read.insert(digest);
        let length = u64::try_from(bytes.len())?;
        self.steps.push(Step::Input { bytes: length, digest, name: name.to_owned() });
        Ok(bytes)
    }

    /// Reads a file of the candidate.
    fn candidate(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, Unfit> {
        let shown = name.rsplit('/').next().unwrap_or(name);
        let Some(file) = self.files.get(name) else {
            return Err(Unfit::File("CS-WRK-001", format!("`{shown}` is not there, or is no file")));
        };
        match file.metadata() {
            Ok(file) if file.len() > limit => {
                let text = format!("`{shown}` has {} bytes, more than {limit}", file.len());
                return Err(Unfit::File("CS-WRK-003", text));
            }
            Ok(_) => {}
            Err(error) => return Err(Unfit::File("CS-WRK-001", format!("`{shown}`: {error}"))),
        }
        self.read(name, limit)
            .map_err(|error| Unfit::File("CS-WRK-001", format!("`{shown}`: {}", error.root_cause())))
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
pub(crate) fn measure(subject: Subject, files: Vec<(String, File)>) -> anyhow::Result<Answer> {
    let mut inputs = Inputs { files: files.into_iter().collect(), read: BTreeSet::new(), steps: Vec::new() };
    let scope = Scope::read(&inputs.read("scope", TEXT_BYTES_MAX)?)?;
    let base = base(subject, &mut inputs)?;
    let report = check(subject, &scope, base.as_deref(), &mut inputs);
    let mut answer = answer(inputs, report);
    let name = match subject {
        Subject::Adapter => "scope-adapter",
        Subject::Weights => "scope-weights",
        Subject::Prompt => "scope-prompt",
        Subject::Settings => "scope-settings",
    };
    let outcome = match answer.outcome {
        Outcome::Pass => statement::kind::Outcome::Pass,
        Outcome::Fail => statement::kind::Outcome::Fail,
        Outcome::Inconclusive => statement::kind::Outcome::Inconclusive,
    };
    answer.steps.push(Step::Stage { name: name.parse()?, outcome });
    Ok(answer)
}

/// What the candidate is to replace or to be applied to.
fn base(subject: Subject, inputs: &mut Inputs) -> anyhow::Result<Option<Vec<u8>>> {
    let (limit, what) = match subject {
        Subject::Adapter | Subject::Weights => {
            (TENSORS_BYTES_MAX, "the weights it is to replace are missing")
        }
        Subject::Prompt | Subject::Settings => (TEXT_BYTES_MAX, "the text it is to replace is missing"),
    };
    match inputs.has("base") {
        true => inputs.read("base", limit).map(Some),
        false if subject == Subject::Adapter => Ok(None),
        false => bail!(what),
    }
}

fn check(subject: Subject, scope: &Scope, base: Option<&[u8]>, inputs: &mut Inputs) -> Checked {
    match subject {
        Subject::Adapter => {
            let config = inputs.candidate("candidate/adapter_config.json", TEXT_BYTES_MAX)?;
            let tensors = inputs.candidate("candidate/adapter_model.safetensors", TENSORS_BYTES_MAX)?;
            let config = Config::read(&config)?;
            let file = SafeTensors::read(&tensors)?;
            let base = base.map(SafeTensors::read).transpose()?;
            let adapter = Adapter::join(config, &file);
            Ok(check_adapter(scope, &adapter, base.as_ref().map(|base| base as &dyn BaseWeights)))
        }
        Subject::Weights => {
            let bytes = inputs.candidate("candidate", TENSORS_BYTES_MAX)?;
            Ok(check_weights(
                scope,
                &SafeTensors::read(base.unwrap_or_default())?,
                &SafeTensors::read(&bytes)?,
            ))
        }
        Subject::Prompt => {
            let bytes = inputs.candidate("candidate", TEXT_BYTES_MAX)?;
            Ok(check_prompt(scope, text(base.unwrap_or_default())?, text(&bytes)?))
        }
        Subject::Settings => {
            let bytes = inputs.candidate("candidate", TEXT_BYTES_MAX)?;
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
                inputs: inputs.read,
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
                steps: inputs.steps,
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
                inputs: inputs.read,
                measures: BTreeMap::new(),
                outcome: Outcome::Fail,
                violations: vec![violation],
                violations_left_out: 0,
                steps: inputs.steps,
            }
        }
    }
}
