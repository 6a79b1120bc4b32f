//! An examination that somebody else has made: whether it can be one, and joining one from its parts.
//!
//! A worker that runs a stranger's model may have been taken over by it, and then says what the stranger likes. What is
//! said here can be checked without running anything: who worked and who did not, what follows from that, numbers that
//! counts and shares have. What cannot be checked is whether an examiner kept something back.

#[cfg(test)]
mod tests;

use crate::change::Kind;
use crate::depth::Table;
use crate::examination::{EXAMINERS, Examination, Examiner, REFUSED_ALREADY, Ran, Stage, not_part};

/// Most of anything that an examination lists.
const LISTED_MAX: usize = 200_000;
/// Longest text, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;

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
        Ok(())
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
        let refusal = |finding: &&crate::finding::Finding| finding.weight == crate::finding::Weight::Refusal;
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
