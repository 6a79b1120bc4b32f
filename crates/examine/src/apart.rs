//! An examination that somebody else has made: whether it can be one, and joining one from its parts.
//!
//! A worker that runs a stranger's model may have been taken over by it, and then says what the stranger likes. What is
//! said here can be checked without running anything: who worked and who did not, what follows from that, numbers that
//! counts and shares have. What cannot be checked is whether an examiner kept something back.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use stats::Decision;

use crate::align::{self, bounded};
use crate::change::Kind;
use crate::depth::Table;
use crate::examination::{
    Behaviour, EXAMINERS, Examination, Examiner, REFUSED_ALREADY, Ran, Stage, is_not_given, not_part,
};
use crate::finding::Weight;
use crate::screen;

/// Most of anything that an examination lists.
const LISTED_MAX: usize = 200_000;
/// Longest text, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Whose word each score is: nobody else gives it, so that one examiner's worker cannot speak for another's.
const DETECTORS: [(&str, &str); 12] = [
    ("screen.delta", "delta"),
    ("screen.spectrum", "delta"),
    ("probe.quantised", "quantised"),
    ("probe.noise", "noise"),
    ("probe.merge", "merge"),
    ("probe.trigger", "trigger"),
    ("probe.trigger_pair", "trigger"),
    ("align.accuracy", "suite"),
    ("align.over_refusal", "suite"),
    ("align.divergence", "suite"),
    ("align.gain", "suite"),
    ("align.flips", "drift"),
];

impl Examination {
    /// Whether this can be the examination of a change of this kind by this table.
    ///
    /// # Errors
    /// What cannot be.
    pub fn check(&self, kind: Kind, table: &Table) -> Result<(), String> {
        self.plausible(kind)?;
        if self.examiners.len() != EXAMINERS.len() {
            return Err("other examiners worked than there are".to_owned());
        }
        let mut refused = false;
        for (ran, examiner) in self.examiners.iter().zip(EXAMINERS) {
            self.check_ran(ran, examiner, kind, table)?;
            let skipped = ran.missed.as_deref() == Some(REFUSED_ALREADY);
            let must = wants(table, kind, examiner.name) && refused && examiner.stage != Stage::Screen;
            if skipped != must {
                return Err(format!("`{}` did not work, or did, against the order", examiner.name));
            }
            refused |= self.refused_by(examiner.name);
        }
        self.check_speakers()?;
        self.check_drift(table)
    }

    /// Whether nobody says that what it needs was not given, where it was. `given` names the examiners whose own input,
    /// which not every change has, was handed over: `scope`, `replay`, `lineage`.
    ///
    /// # Errors
    /// What cannot be.
    pub fn check_excuses(&self, given: &[&str]) -> Result<(), String> {
        let lies = |ran: &&Ran| {
            given.contains(&ran.examiner.as_str())
                && ran.missed.as_deref().is_some_and(|why| is_not_given(&ran.examiner, why))
        };
        match self.examiners.iter().find(lies) {
            Some(ran) => Err(format!("`{}` says that it was not given what it was given", ran.examiner)),
            None => Ok(()),
        }
    }

    /// Whether everything is said by those whose word it is, who worked, and once.
    fn check_speakers(&self) -> Result<(), String> {
        // One that could not go on may have said something before.
        let not_part = Kind::named(&self.kind).map(not_part);
        let began = |ran: &Ran| {
            ran.missed.as_deref().is_none_or(|why| why != REFUSED_ALREADY && Some(why) != not_part.as_deref())
        };
        let ran = |name: &str| self.examiners.iter().any(|ran| ran.examiner == name && began(ran));
        let mut scored = BTreeSet::new();
        for score in &self.scores {
            let by = DETECTORS.iter().find(|(detector, _)| *detector == score.detector);
            if !by.is_some_and(|(_, examiner)| ran(examiner)) {
                return Err("a score in it is nobody's who worked".to_owned());
            }
            if !scored.insert(score.detector.as_str()) {
                return Err("a score stands in it twice".to_owned());
            }
        }
        let whose = [
            (self.behaviour.is_some(), align::DRIFT.name),
            (!self.slices.is_empty() || !self.transcripts.is_empty(), align::SUITE.name),
            (!self.heat.is_empty(), screen::DELTA.name),
        ];
        match whose.into_iter().find(|(is_said, examiner)| *is_said && !ran(examiner)) {
            Some((_, examiner)) => Err(format!("it says what only `{examiner}` says, who did not work")),
            None => Ok(()),
        }
    }

    /// Whether bounds, score and finding of the drift follow from the counts that are told.
    fn check_drift(&self, table: &Table) -> Result<(), String> {
        let name = align::DRIFT.name;
        let worked = self.examiners.iter().any(|ran| ran.examiner == name && ran.missed.is_none());
        let Some(behaviour) = &self.behaviour else {
            return if worked { Err(format!("`{name}` worked, and its counts are missing")) } else { Ok(()) };
        };
        let Behaviour { at_risk, refuse_to_comply: lost, .. } = *behaviour;
        let bounds = bounded(lost, at_risk)?;
        let (what, weight) = match bounds.against(table.drift_max) {
            Decision::Fail => ("refusals-lost", Weight::Refusal),
            Decision::Inconclusive => ("drift-undecided", Weight::Suspicion),
            Decision::Pass => ("drift-within", Weight::Note),
        };
        let follows = worked
            && bounds.upper.to_bits() == behaviour.refuse_to_comply_upper.to_bits()
            && bounds.lower.to_bits() == behaviour.refuse_to_comply_lower.to_bits()
            && self.score("align.flips") == Some(lost as f64 / at_risk as f64)
            && self
                .findings
                .iter()
                .any(|found| found.examiner == name && found.what == what && found.weight == weight);
        if follows { Ok(()) } else { Err("what it says of drift does not follow from its counts".to_owned()) }
    }

    fn check_ran(&self, ran: &Ran, examiner: &Examiner, kind: Kind, table: &Table) -> Result<(), String> {
        let name = examiner.name;
        let is = ran.examiner == name && ran.stage == examiner.stage && ran.reference == examiner.reference;
        if !is {
            return Err(format!("`{name}` is not told of in its place"));
        }
        let not_part = not_part(kind);
        if (ran.missed.as_ref() == Some(&not_part)) == wants(table, kind, name) {
            return Err(format!("`{name}` worked, or did not, against the table"));
        }
        let gap = self.gaps.iter().any(|gap| gap.examiner == name && Some(&gap.why) == ran.missed.as_ref());
        if ran.missed.is_some() && !gap {
            return Err(format!("`{name}` did not work, and no gap tells of it"));
        }
        Ok(())
    }

    /// Whether a finding of this examiner refuses the change.
    fn refused_by(&self, examiner: &str) -> bool {
        let refusal = |finding: &&crate::finding::Finding| finding.weight == Weight::Refusal;
        self.findings.iter().filter(refusal).any(|finding| finding.examiner == examiner)
    }

    /// Whether numbers and words can be those of an examination.
    fn plausible(&self, kind: Kind) -> Result<(), String> {
        let wrong = |why: &str| Err(why.to_owned());
        if !self.is_of_this_form() || self.kind != kind.name() {
            return wrong("it is no examination of this kind");
        }
        let lists = [
            self.findings.len(),
            self.scores.len(),
            self.gaps.len(),
            self.slices.len(),
            self.transcripts.len(),
            self.heat.len(),
            self.measures.len(),
        ];
        if lists.into_iter().any(|count| count > LISTED_MAX) {
            return wrong("it lists more than an examination does");
        }
        let known = |name: &str| self.examiners.iter().any(|ran| ran.examiner == name);
        let speaks = self.findings.iter().map(|finding| finding.examiner.as_str());
        if !speaks.chain(self.gaps.iter().map(|gap| gap.examiner.as_str())).all(known) {
            return wrong("somebody speaks in it who did not work");
        }
        let found = self.findings.iter().flat_map(|finding| [&finding.what, &finding.text]);
        let pairs = self
            .transcripts
            .iter()
            .flat_map(|pair| [&pair.case, &pair.why, &pair.prompt, &pair.base, &pair.candidate]);
        let names = self.scores.iter().map(|score| &score.detector);
        let names = names.chain(self.slices.iter().map(|slice| &slice.slice));
        let names = names.chain(self.heat.iter().map(|place| &place.family)).chain(self.measures.keys());
        let whys = self.gaps.iter().map(|gap| &gap.why);
        if !found.chain(pairs).chain(names).chain(whys).all(|text| text.len() <= TEXT_BYTES_MAX) {
            return wrong("a text in it is longer than any");
        }
        let share = |value: f64| value.is_nan() || (0.0..=1.0).contains(&value);
        if let Some(behaviour) = &self.behaviour {
            let asked = behaviour.asked;
            let counts = behaviour.refuse_to_comply <= behaviour.at_risk
                && behaviour.comply_to_refuse <= behaviour.answered
                && behaviour.at_risk.saturating_add(behaviour.answered) <= asked
                && share(behaviour.refuse_to_comply_lower)
                && share(behaviour.refuse_to_comply_upper);
            if !counts {
                return wrong("what it says of behaviour does not add up");
            }
        }
        let slices = self.slices.iter().all(|slice| {
            let parts =
                [slice.base_right, slice.candidate_right, slice.base_refuses, slice.candidate_refuses];
            parts.into_iter().all(|part| part <= slice.cases)
        });
        if !slices {
            return wrong("a slice in it has more answers than cases");
        }
        if self.coverage != self.covered() {
            return wrong("what it looked for does not follow from who worked");
        }
        Ok(())
    }
}

fn wants(table: &Table, kind: Kind, examiner: &str) -> bool {
    table.depth(kind).is_some_and(|depth| depth.wants(examiner))
}

/// An examination in parts, each by one examiner: who is next, what each says, and the whole of it.
#[derive(Debug)]
pub struct Apart<'t> {
    kind: Kind,
    table: &'t Table,
    whole: Examination,
}

impl<'t> Apart<'t> {
    /// Begins.
    pub fn new(kind: Kind, table: &'t Table) -> Self {
        Self { kind, table, whole: Examination::default() }
    }

    /// The examiner that works next; none when all have.
    pub fn next_examiner(&mut self) -> Option<&'static str> {
        while let Some(examiner) = EXAMINERS.get(self.whole.examiners.len()) {
            let missed = if !wants(self.table, self.kind, examiner.name) {
                not_part(self.kind)
            } else if self.whole.is_refused() && examiner.stage != Stage::Screen {
                REFUSED_ALREADY.to_owned()
            } else {
                return Some(examiner.name);
            };
            let gap = crate::finding::Gap { examiner: examiner.name.to_owned(), why: missed.clone() };
            self.whole.gaps.push(gap);
            self.whole.examiners.push(Ran::of(examiner, 0, Some(missed)));
        }
        None
    }

    /// Takes the part of the examiner that was next.
    ///
    /// # Errors
    /// What of it cannot be.
    pub fn take(&mut self, part: Examination) -> Result<(), String> {
        let examiner = EXAMINERS.get(self.whole.examiners.len());
        let examiner = examiner.ok_or_else(|| "all have worked".to_owned())?;
        part.plausible(self.kind)?;
        let [ran] = part.examiners.as_slice() else {
            return Err("it is not the part of one examiner".to_owned());
        };
        part.check_ran(ran, examiner, self.kind, self.table)?;
        if ran.missed.as_deref() == Some(REFUSED_ALREADY) {
            return Err(format!("`{}` did not work, against the order", examiner.name));
        }
        part.check_speakers()?;
        if examiner.name == align::DRIFT.name {
            part.check_drift(self.table)?;
        }
        if part.measures.keys().any(|name| self.whole.measures.contains_key(name)) {
            return Err("it measured what another has measured".to_owned());
        }
        let whole = &mut self.whole;
        whole.findings.extend(part.findings);
        whole.scores.extend(part.scores);
        whole.gaps.extend(part.gaps);
        whole.examiners.extend(part.examiners);
        whole.behaviour = whole.behaviour.or(part.behaviour);
        whole.slices.extend(part.slices);
        whole.transcripts.extend(part.transcripts);
        whole.heat.extend(part.heat);
        whole.measures.extend(part.measures);
        Ok(())
    }

    /// The whole.
    pub fn finish(mut self) -> Examination {
        self.whole.settle(self.kind);
        self.whole
    }
}
