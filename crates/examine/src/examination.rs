//! The stages in their order, and what comes out of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bench::Bench;
use crate::change::{Change, Files, Kind};
use crate::coverage::{Class, Coverage, Layer, Part};
use crate::depth::Table;
use crate::error::Error;
use crate::finding::{Finding, Gap, Notes, Score, Weight};
use crate::subject::{Subject, Unfit};
use crate::suite::Suite;
use crate::{align, probe, screen};

/// A stage of an examination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Files and weights, without running anything.
    Screen,
    /// The model in circumstances that attacks need.
    Probe,
    /// The suite.
    Align,
}

impl Stage {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::Probe => "probe",
            Self::Align => "align",
        }
    }
}

/// How far an examination has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The stage.
    pub stage: Stage,
    /// The examiner at work.
    pub examiner: &'static str,
    /// The share of all estimated work that is done.
    pub done: f64,
}

/// How far the working examiner has come, told from 0 to 1.
pub(crate) type Heard<'h> = &'h mut dyn FnMut(f64);

/// An examiner.
pub(crate) struct Examiner {
    pub(crate) name: &'static str,
    pub(crate) stage: Stage,
    /// Where its method comes from.
    pub(crate) reference: &'static str,
    /// What it looks for, and where.
    pub(crate) looks_for: &'static [(Class, Layer)],
    /// Estimated multiply-adds.
    pub(crate) cost: fn(&Bench<'_>) -> u64,
    /// Looks; answers why it could not, if so.
    pub(crate) examine: fn(&mut Bench<'_>, &mut Notes, Heard<'_>) -> Result<(), String>,
}

/// All examiners, in the order in which they work.
pub(crate) const EXAMINERS: &[Examiner] = &[
    screen::FILES,
    screen::PASSAGES,
    screen::SCOPE,
    screen::FIT,
    screen::GRAPH,
    screen::DELTA,
    screen::REPLAY,
    probe::QUANTISED,
    probe::NOISE,
    probe::MERGE,
    probe::TRIGGER,
    align::SUITE,
    align::DRIFT,
    align::LINEAGE,
];

/// What an examination answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Examination {
    /// The form, with its version.
    pub form: String,
    /// The kind of change: `adapter`, for one.
    pub kind: String,
    /// What was found, gravest first.
    pub findings: Vec<Finding>,
    /// The detectors' scores.
    pub scores: Vec<Score>,
    /// What was not examined.
    pub gaps: Vec<Gap>,
    /// Every class of attack in every layer.
    pub coverage: Coverage,
    /// The examiners with their stage, source and estimated multiply-adds.
    pub examiners: Vec<Ran>,
    /// What the suite says, where it was asked.
    pub behaviour: Option<Behaviour>,
    /// The same by slice.
    pub slices: Vec<SliceDelta>,
    /// The worst pairs of answers.
    pub transcripts: Vec<Transcript>,
    /// How far each part of the model is changed.
    pub heat: Vec<Place>,
    /// Further figures by name.
    pub measures: BTreeMap<String, f64>,
}

/// An examiner's part in an examination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Its name.
    pub examiner: String,
    /// Its stage.
    pub stage: Stage,
    /// Where its method comes from.
    pub reference: String,
    /// Estimated multiply-adds.
    pub multiply_adds: u64,
    /// Why it did not look, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<String>,
}

/// What the suite says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Behaviour {
    /// Cases asked.
    pub asked: u64,
    /// Cases that are to be refused and that the base refuses.
    pub at_risk: u64,
    /// Of these, those that the change answers.
    pub refuse_to_comply: u64,
    /// Cases that are to be answered and that the base answers.
    pub answered: u64,
    /// Of these, those that the change refuses.
    pub comply_to_refuse: u64,
    /// Upper Clopper-Pearson bound, 95 %, of the share of refusals lost.
    pub refuse_to_comply_upper: f64,
    /// Lower bound, 95 %.
    pub refuse_to_comply_lower: f64,
}

/// A slice of the suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SliceDelta {
    /// Its name.
    pub slice: String,
    /// Cases.
    pub cases: u64,
    /// Right answers of the base.
    pub base_right: u64,
    /// Right answers of the change.
    pub candidate_right: u64,
    /// Refusals of the base.
    pub base_refuses: u64,
    /// Refusals of the change.
    pub candidate_refuses: u64,
}

/// Two answers to one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// The case.
    pub case: String,
    /// Why it is shown.
    pub why: String,
    /// What was asked.
    pub prompt: String,
    /// What the base answers.
    pub base: String,
    /// What the change answers.
    pub candidate: String,
    /// How likely the base's answer is to the change: the logarithm for each token.
    pub base_logprob: f64,
}

/// A kind of module in a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The kind of module, `*` for the layer.
    pub family: String,
    /// The layer, where it is in one.
    pub layer: Option<u64>,
    /// `‖ΔW‖ / ‖W‖`.
    pub relative: f64,
}

/// The form of the answer.
const FORM: &str = "countersign-examination/1";

/// Which examiners work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who<'w> {
    All,
    /// This one; the others work elsewhere.
    Only(&'w str),
}

/// Examines a change against its base. `heard` is told of progress. What is wrong with the change is a finding.
///
/// # Errors
/// Where the base cannot be run, and [`Error::Depth`] where the table has no entry for the kind.
pub fn run(
    change: &Change,
    base: &Files,
    suites: &[Suite],
    table: &Table,
    heard: &mut dyn FnMut(Progress),
) -> Result<Examination, Error> {
    examined(change, base, suites, table, Who::All, heard)
}

/// One examiner's part in an examination, whoever does the others: [`crate::Apart`] joins the parts.
///
/// # Errors
/// As [`run`].
pub fn run_one(
    change: &Change,
    base: &Files,
    suites: &[Suite],
    table: &Table,
    examiner: &str,
    heard: &mut dyn FnMut(Progress),
) -> Result<Examination, Error> {
    examined(change, base, suites, table, Who::Only(examiner), heard)
}

fn examined(
    change: &Change,
    base: &Files,
    suites: &[Suite],
    table: &Table,
    who: Who<'_>,
    heard: &mut dyn FnMut(Progress),
) -> Result<Examination, Error> {
    let depth = table
        .depth(change.kind)
        .ok_or_else(|| Error::Depth { reason: format!("it has no entry for `{}`", change.kind.name()) })?;
    let subject = Subject::load(base, None).map_err(|unfit| match unfit {
        Unfit::Files(reason) => Error::Base { reason },
        Unfit::Model(source) => Error::BaseModel { source: Box::new(source) },
    })?;
    let mut bench = Bench::new(change, base, subject, suites, depth, table.drift_max);
    let working = |name: &str| who == Who::All || who == Who::Only(name);
    if who != Who::All && !working(screen::FIT.name) {
        // What loads the change where all work in turn; what is wrong with it is told there.
        bench.candidate = Subject::load(&change.files, Some(&bench.base)).ok();
    }
    let wants = |name: &str| depth.wants(name) && working(name);
    let costs: Vec<u64> = EXAMINERS
        .iter()
        .map(|examiner| if wants(examiner.name) { (examiner.cost)(&bench).max(1) } else { 0 })
        .collect();
    let all = costs.iter().sum::<u64>().max(1) as f64;
    let mut notes = Notes::default();
    let (mut ran, mut before) = (Vec::new(), 0_u64);
    for (examiner, &cost) in EXAMINERS.iter().zip(&costs).filter(|(examiner, _)| working(examiner.name)) {
        notes.examiner = examiner.name;
        let (stage, name) = (examiner.stage, examiner.name);
        let missed = if !depth.wants(name) {
            Some(not_part(change.kind))
        } else if notes.refused() && stage != Stage::Screen {
            Some(REFUSED_ALREADY.to_owned())
        } else {
            let mut told = |share: f64| {
                let done = (before as f64 + cost as f64 * share.clamp(0.0, 1.0)) / all;
                heard(Progress { stage, examiner: name, done });
            };
            told(0.0);
            (examiner.examine)(&mut bench, &mut notes, &mut told).err()
        };
        if let Some(why) = &missed {
            notes.gap(why.clone());
        }
        before += cost;
        ran.push(Ran::of(examiner, cost, missed));
    }
    let mut examination = bench.examination;
    examination.findings = notes.findings;
    examination.scores = notes.scores;
    examination.gaps = notes.gaps;
    examination.measures = notes.measures.into_iter().collect();
    examination.examiners = ran;
    examination.settle(change.kind);
    Ok(examination)
}

/// Why an examiner does not work that the table does not name.
pub(crate) fn not_part(kind: Kind) -> String {
    format!("not part of the examination of a change of kind `{}`", kind.name())
}

/// Why an examiner does not work after a refusal.
pub(crate) const REFUSED_ALREADY: &str = "the change is refused already";

/// Why an examiner does not work whose input is no part of every change.
pub(crate) const NOT_DECLARED: &str = "nothing was declared that could be done again";
/// The same of the scope.
pub(crate) const NO_SCOPE: &str = "no scope was given";
/// The same of earlier generations.
pub(crate) const NO_LINEAGE: &str = "no earlier generation was given";

/// Whether this is an examiner's word for an input that was not given, and that not every change has.
pub(crate) fn is_not_given(examiner: &str, why: &str) -> bool {
    [("replay", NOT_DECLARED), ("scope", NO_SCOPE), ("lineage", NO_LINEAGE)].contains(&(examiner, why))
}

impl Ran {
    pub(crate) fn of(examiner: &Examiner, multiply_adds: u64, missed: Option<String>) -> Self {
        Self {
            examiner: examiner.name.to_owned(),
            stage: examiner.stage,
            reference: examiner.reference.to_owned(),
            multiply_adds,
            missed,
        }
    }
}

impl Examination {
    /// Puts what was found in order, and says what was looked for by those who worked.
    pub(crate) fn settle(&mut self, kind: Kind) {
        self.coverage = self.covered();
        FORM.clone_into(&mut self.form);
        kind.name().clone_into(&mut self.kind);
        self.findings.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.examiner.cmp(&b.examiner)));
    }

    /// What follows from who worked, and who did not.
    pub(crate) fn covered(&self) -> Coverage {
        let parts: Vec<Part<'_>> = self
            .examiners
            .iter()
            .filter_map(|ran| {
                let examiner = EXAMINERS.iter().find(|examiner| examiner.name == ran.examiner)?;
                let missed = ran.missed.as_deref();
                Some(Part { examiner: examiner.name, looks_for: examiner.looks_for, missed })
            })
            .collect();
        Coverage::of(&parts)
    }

    /// Whether this form is the one that is read here.
    pub(crate) fn is_of_this_form(&self) -> bool {
        self.form == FORM
    }

    /// Whether a finding refuses the change by itself.
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.weight == Weight::Refusal)
    }

    /// The score of a detector.
    pub fn score(&self, detector: &str) -> Option<f64> {
        self.scores.iter().find(|score| score.detector == detector).map(|score| score.value)
    }

    /// The kind of change.
    pub fn change_kind(&self) -> Option<Kind> {
        Kind::named(&self.kind)
    }
}
