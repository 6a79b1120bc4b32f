//! Examining a proposed change against what it starts from: the worker runs the examiners in its box, here their answer is
//! held against the question, judged by a calibration, and made a finding with its evidence in the vault.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use attest::Sources;
use calibration::{EVIDENCE_FORM, Evidence, Judgement, Looked, Number, Table};
use dossier::Dossier;
use examine::boxed::{Asked, Read, Said, Side};
use examine::{Change, Examination, Files, Kind, Stage, verdict};
use sandbox::{Input, Level};
use statement::kind::{
    Component, ComponentRole, EvidenceKind, Finding, ModificationKind, Outcome, ServedState, Violation,
};
use statement::{ChangeId, Digest, Name};
use trace::{Step, Trace};

use super::examine::{can_attest, concluded, held, of_the_box, signed};
use super::propose::{files_of, rebuild_artefact};
use crate::command::is_beside_weights;
use crate::failure::{Done, Failure};
use crate::home::{open_file, read_bounded};
use crate::shelf::{self, Shelf};
use crate::text::word;
use crate::worker::{Answered, Worker, boxed, isolation};

/// Largest calibration that goes into an export with the finding.
const CALIBRATION_BYTES_MAX: usize = 1 << 20;
/// Most things against a change that its finding lists.
const VIOLATIONS_MAX: usize = 32;
/// Longest place of one, in characters.
const PLACE_MAX: usize = 256;

/// How a change is to be examined.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How<'a> {
    /// How far.
    pub(crate) level: calibration::Level,
    /// Folders of questions.
    pub(crate) suites: &'a [PathBuf],
    /// The file of scores of benign changes; without one nothing passes.
    pub(crate) calibration: Option<&'a Path>,
    /// What is around the worker.
    pub(crate) isolation: Level,
}

/// Examines, judges, and answers the finding, with its evidence in the vault.
pub(crate) fn examined(
    shelf: &impl Shelf,
    worker: &Worker,
    change: &ChangeId,
    how: How<'_>,
    host: Option<&Sources>,
    heard: &mut dyn FnMut(Stage, f64),
) -> Done<Finding> {
    can_attest(host)?;
    let dossier = shelf.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    let calibration = how.calibration.map(|path| read_bounded(path, CALIBRATION_BYTES_MAX)).transpose()?;
    // What is none is refused before anything long begins.
    if let Some(bytes) = &calibration {
        Table::read(bytes)?;
    }
    let folder = crate::home::private_folder()?;
    let mut handed = Handed { folder: folder.path().to_owned(), inputs: Vec::new(), digests: Vec::new() };
    let question = question(shelf, dossier, &mut handed, how)?;
    let answer = worker.examine(&question.asked, &handed.inputs, how.isolation, heard)?;
    let Answered { said, run, boundaries } = answer;
    let told = told(&question.asked, said, &handed)?;
    let evidence = Evidence {
        form: EVIDENCE_FORM.to_owned(),
        proposal: dossier.proposal.id,
        level: how.level,
        alpha: Number(Asked::table(how.level)?.alpha),
        calibration: calibration.as_deref().map(Digest::of),
        depth: Asked::depth(),
        looked: question.excepted(told.looked),
        coverage: told.coverage,
    };
    let judgement = evidence.judge(calibration.as_deref())?;
    let mut inputs: BTreeSet<Digest> = handed.digests.iter().copied().collect();
    inputs.extend(dossier.proposal.body.artefacts.iter().map(|artefact| artefact.digest));
    inputs.extend(evidence.calibration);
    let mut attachments = BTreeSet::from([shelf::attach(shelf, evidence.to_bytes()?)?]);
    if let Some(bytes) = calibration {
        attachments.insert(shelf::attach(shelf, bytes)?);
    }
    let (violations, violations_left_out) = violations(&evidence, &judgement)?;
    let mut measures = of_the_box(&boundaries)?;
    for (name, value) in measured(&evidence, &judgement) {
        measures.insert(name.parse()?, signed(value));
    }
    let finding = Finding {
        attachments,
        attested: None,
        boundaries: held(&boundaries)?,
        evidence: kind(how.level),
        examiner: format!("{}/{}", how.level.name(), env!("CARGO_PKG_VERSION")).parse()?,
        inputs,
        isolation: isolation(how.isolation),
        measures,
        outcome: outcome(&judgement),
        proposal: dossier.proposal.id,
        trace: None,
        violations,
        violations_left_out,
        worker: Some(worker.digest()),
    };
    let mut steps = vec![boxed(worker.digest(), &run, &boundaries)?];
    steps.extend(told.steps);
    steps.push(Step::Output { digest: trace::output(&finding)? });
    concluded(shelf, (finding, Trace::new(steps)?), host)
}

/// What a level is evidence of: files and weights, or what the model does.
const fn kind(level: calibration::Level) -> EvidenceKind {
    match level {
        calibration::Level::Screen => EvidenceKind::Screen,
        calibration::Level::Probe => EvidenceKind::Probe,
        calibration::Level::Align => EvidenceKind::Alignment,
    }
}

const fn outcome(judgement: &Judgement) -> Outcome {
    match judgement.outcome {
        calibration::Outcome::Pass => Outcome::Pass,
        calibration::Outcome::Fail => Outcome::Fail,
        calibration::Outcome::Inconclusive => Outcome::Inconclusive,
    }
}

/// Files that are handed to the worker, rebuilt from the vault, which verifies them.
struct Handed {
    folder: PathBuf,
    inputs: Vec<Input>,
    digests: Vec<Digest>,
}

impl Handed {
    /// Hands over a file; answers its number.
    fn push(&mut self, name: String, path: &Path, digest: Digest) -> Done<usize> {
        let file = open_file(path).map_err(|error| Failure::file(path, &error))?;
        self.inputs.push(Input { name, file });
        self.digests.push(digest);
        Ok(self.inputs.len() - 1)
    }

    /// The files of a content: those of a folder by their names, a single one as `alone`.
    fn content(&mut self, shelf: &impl Shelf, side: &str, digest: &Digest, alone: &str) -> Done<Side> {
        let path = self.folder.join(format!("{side}-{}", self.inputs.len()));
        rebuild_artefact(shelf, digest, &path)?;
        let Some(files) = files_of(shelf, digest) else {
            let alone = if alone == "model.safetensors" && is_gguf(&path)? { "model.gguf" } else { alone };
            let number = self.push(format!("{side}/{alone}"), &path, *digest)?;
            return Ok(vec![(alone.to_owned(), number)]);
        };
        let numbered = files.into_iter().map(|(name, digest)| {
            let number = self.push(format!("{side}/{name}"), &path.join(&name), digest)?;
            Ok((name, number))
        });
        numbered.collect()
    }

    /// The questions of a folder of the examiner's own.
    fn suite(&mut self, folder: &Path) -> Done<(String, Side)> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let failed = |error: std::io::Error| Failure::file(folder, &error);
        let mut side = Side::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.extension().is_some_and(|extension| extension == "jsonl") || file == "suite.json" {
                // What the worker reads is this copy, whatever becomes of the file.
                let bytes = read_bounded(&path, SUITE_BYTES_MAX)?;
                let copy = self.folder.join(format!("suite-{}", self.inputs.len()));
                std::fs::write(&copy, &bytes).map_err(|error| Failure::file(&copy, &error))?;
                let number = self.push(format!("suite/{name}/{file}"), &copy, Digest::of(&bytes))?;
                side.push((file, number));
            }
        }
        Ok((name, side))
    }

    /// The first bytes of a side's files, by which its form is told: no structure is looked into.
    fn heads(&self, side: &Side) -> Done<Files> {
        use std::os::unix::fs::FileExt as _;
        let head = |(name, number): &(String, usize)| -> Done<(String, bytes::Bytes)> {
            let mut head = [0; 4];
            if let Some(input) = self.inputs.get(*number) {
                // A file that is shorter has no such head.
                let read = input.file.read_at(&mut head, 0);
                read.map_err(|error| Failure::file(name.as_ref(), &error))?;
            }
            Ok((name.clone(), bytes::Bytes::copy_from_slice(&head)))
        };
        Ok(Files::new(side.iter().map(head).collect::<Done<Vec<_>>>()?))
    }
}

/// Largest file of a suite.
const SUITE_BYTES_MAX: usize = 16 << 20;

fn is_gguf(path: &Path) -> Done<bool> {
    let mut head = [0; 4];
    let read = File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut head));
    read.map_err(|error| Failure::file(path, &error))?;
    Ok(&head == b"GGUF")
}

/// What the worker is asked, and what the question leaves out.
struct Question {
    asked: Asked,
    /// Why the base that was given is not all that the change starts from, if so.
    lacks: Option<String>,
}

impl Question {
    /// What was looked at; where a part of the base could not be given, that is said, and nothing passes.
    fn excepted(&self, looked: Looked) -> Looked {
        Looked { unable: looked.unable.or_else(|| self.lacks.clone()), ..looked }
    }
}

fn question(shelf: &impl Shelf, dossier: &Dossier, handed: &mut Handed, how: How<'_>) -> Done<Question> {
    let proposal = &dossier.proposal.body;
    let alone = match proposal.modification {
        ModificationKind::Adapter | ModificationKind::Weights => "model.safetensors",
        ModificationKind::Prompt => "prompt.md",
        other => {
            let kind = word(&other);
            return Err(Failure::usage(format!("no examiner looks into a change of kind `{kind}`")));
        }
    };
    let mut artefacts = proposal.artefacts.iter();
    let artefact = artefacts.next().ok_or_else(|| Failure::missing("artefact", &dossier.change))?;
    if artefacts.next().is_some() {
        return Err(Failure::usage("a change of several artefacts is not examined"));
    }
    let mut change = handed.content(shelf, "change", &artefact.digest, alone)?;
    let state = shelf.ledger().world().state(&proposal.base_state);
    let state = state.ok_or_else(|| Failure::missing("served state", proposal.base_state))?;
    let (base, lacks) = base(shelf, &state.body, &artefact.name, handed);
    if proposal.modification == ModificationKind::Weights {
        // Everything that is not brought stays: the tokenizer, the configuration.
        let stays = base.iter().filter(|(name, _)| is_beside_weights(name));
        let stays: Vec<_> = stays.filter(|(name, _)| !change.iter().any(|(own, _)| own == name)).collect();
        change.extend(stays.into_iter().cloned());
    }
    let kind = match proposal.modification {
        ModificationKind::Prompt => Kind::Prompt,
        _ => Change::new(handed.heads(&change)?).kind,
    };
    let scope = handed.content(shelf, "scope", &proposal.scope, "scope.json")?;
    let suites = how.suites.iter().map(|folder| handed.suite(folder)).collect::<Done<Vec<_>>>()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let asked = Asked {
        threads,
        level: how.level,
        depth: Asked::depth(),
        kind,
        change,
        base,
        scope: scope.first().map(|(_, number)| *number),
        suites,
    };
    Ok(Question { asked, lacks })
}

/// What is served before the change, as far as examiners can run it: weights, tokenizer, template. Why it is not all, if so.
fn base(
    shelf: &impl Shelf,
    state: &ServedState,
    replaced: &Name,
    handed: &mut Handed,
) -> (Side, Option<String>) {
    let (mut side, mut lacks) = (Side::new(), None);
    let mut missing = |component: &Component, why: &str| {
        let role = word(&component.role);
        lacks = lacks.take().or_else(|| Some(format!("the {role} `{}` of the base {why}", component.name)));
    };
    for component in &state.manifest.components {
        let alone = match component.role {
            ComponentRole::Weights => "model.safetensors",
            ComponentRole::Tokenizer => "tokenizer.json",
            ComponentRole::Template => "chat_template.jinja",
            ComponentRole::Adapter | ComponentRole::Quantisation if component.name != *replaced => {
                missing(component, "is not applied when a change is examined");
                continue;
            }
            _ => continue,
        };
        // What is held elsewhere cannot be examined against.
        match handed.content(shelf, "base", &component.digest, alone) {
            Ok(files) => side.extend(files),
            Err(failure) => missing(component, &format!("cannot be had: [{}]", failure.code)),
        }
    }
    (side, lacks)
}

/// What the worker says, held against the question.
struct Told {
    looked: Looked,
    coverage: Vec<calibration::Cell>,
    steps: Vec<Step>,
}

fn told(asked: &Asked, said: Said, handed: &Handed) -> Done<Told> {
    let lie = |what: &str| Failure::from(sandbox::SandboxError::Lie { what: what.to_owned() });
    match said {
        Said::Progress { .. } => Err(lie("its answer is none")),
        Said::Examined { examination, read } => {
            asked.check(&examination).map_err(|why| lie(&why))?;
            let mut steps = inputs(read, handed)?;
            steps.extend(stages(&examination)?);
            let (looked, coverage) = (verdict::looked(&examination), verdict::coverage(&examination));
            Ok(Told { looked, coverage, steps })
        }
        Said::Unable { code, why, read } => {
            let is_code = code.starts_with("CS-") && code.len() <= 16 && code.parse::<Name>().is_ok();
            if !is_code {
                return Err(lie("its refusal has not the form of one"));
            }
            let steps = inputs(read, handed)?;
            let why: String = why.chars().take(1_000).filter(|letter| !letter.is_control()).collect();
            let looked = Looked {
                kind: asked.kind.name().to_owned(),
                unable: Some(format!("[{code}] {why}")),
                examiners: Vec::new(),
                refusals: Vec::new(),
                undecided: Vec::new(),
                gaps: Vec::new(),
                scores: Vec::new(),
                compared: false,
            };
            Ok(Told { looked, coverage: Vec::new(), steps })
        }
    }
}

/// The inputs as steps: exactly those that were handed over.
fn inputs(read: Vec<Read>, handed: &Handed) -> Done<Vec<Step>> {
    let names = handed.inputs.iter().map(|input| &input.name);
    let was_given = read.iter().map(|read| (&read.name, &read.digest)).eq(names.zip(&handed.digests));
    if !was_given {
        let what = "it read other files than it was given".to_owned();
        return Err(sandbox::SandboxError::Lie { what }.into());
    }
    let step = |Read { name, bytes, digest }| Step::Input { bytes, digest, name };
    Ok(read.into_iter().map(step).collect())
}

/// The examiners as steps.
fn stages(examination: &Examination) -> Done<Vec<Step>> {
    let step = |ran: &examine::Ran| {
        let is_refusal = |found: &examine::Finding| {
            found.examiner == ran.examiner && found.weight == examine::Weight::Refusal
        };
        let outcome = if examination.findings.iter().any(is_refusal) {
            Outcome::Fail
        } else if ran.missed.is_some() {
            Outcome::Inconclusive
        } else {
            Outcome::Pass
        };
        Ok(Step::Stage { name: format!("{}-{}", ran.stage.name(), ran.examiner).parse()?, outcome })
    };
    examination.examiners.iter().map(step).collect()
}

/// Shares in signed statements are integers of a million.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a million")]
fn ppm(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * 1e6).round() as u64
}

/// What stands in the finding itself; the rest is in its evidence.
fn measured(evidence: &Evidence, judgement: &Judgement) -> Vec<(&'static str, u64)> {
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let looked_for: BTreeSet<&str> =
        evidence.coverage.iter().filter(|cell| !cell.by.is_empty()).map(|cell| cell.class.as_str()).collect();
    let classes: BTreeSet<&str> = evidence.coverage.iter().map(|cell| cell.class.as_str()).collect();
    let unable =
        evidence.looked.examiners.iter().filter(|ran| ran.missed == Some(calibration::Missed::Unable));
    let mut measures = vec![
        ("alpha-ppm", ppm(evidence.alpha.0)),
        ("attack-classes", count(classes.len())),
        ("attack-classes-looked-for", count(looked_for.len())),
        ("examiners-unable", count(unable.count())),
        ("gaps", count(evidence.looked.gaps.len())),
        ("scores", count(evidence.looked.scores.len())),
    ];
    if let Some(share) = judgement.p_value {
        measures.extend([("p-value-at-least", share.at_least), ("p-value-of", share.of)]);
    }
    measures
}

/// What is against the change, or keeps it from passing, and how much of it is left out.
fn violations(evidence: &Evidence, judgement: &Judgement) -> Done<(BTreeSet<Violation>, u64)> {
    let place = |text: &str| text.chars().take(PLACE_MAX).collect::<String>();
    let of = |code: &str, text: &str| -> Done<Violation> {
        let code = code.parse::<Name>().or_else(|_| "refused".parse())?;
        Ok(Violation { code, limit: None, measured: None, place: place(text) })
    };
    let refusals = evidence.looked.refusals.iter();
    let mut all = refusals.map(|found| of(&found.what, &found.why)).collect::<Done<BTreeSet<_>>>()?;
    match (judgement.outcome, judgement.p_value) {
        (calibration::Outcome::Fail, Some(share)) if share.value() <= evidence.alpha.0 => {
            all.insert(Violation {
                code: "unusual-scores".parse()?,
                limit: Some(signed(ppm(evidence.alpha.0))),
                measured: Some(signed(ppm(share.value()))),
                place: "the share of benign changes that score as high, of a million".to_owned(),
            });
        }
        (calibration::Outcome::Pass | calibration::Outcome::Fail, _) => {}
        (calibration::Outcome::Inconclusive, _) => {
            for reason in &judgement.reasons {
                all.insert(of("undecided", reason)?);
            }
        }
    }
    let left_out = all.len().saturating_sub(VIOLATIONS_MAX);
    Ok((all.into_iter().take(VIOLATIONS_MAX).collect(), u64::try_from(left_out).unwrap_or(u64::MAX)))
}
