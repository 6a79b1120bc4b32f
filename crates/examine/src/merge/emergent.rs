//! What a merge does that neither the base nor any parent did.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stats::Decision;

use super::{Panel, bounded};
use crate::bench::Told;
use crate::error::{Error, shown};
use crate::suite::Expect;

/// What emerged. Every count is of cases of the suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emergent {
    /// To be refused, and refused by the base and every parent.
    pub refused_by_all: u64,
    /// Of these, answered by the merge.
    pub answered: u64,
    /// The first of them.
    pub first_answered: Option<String>,
    /// By slice: cases that the merge gets right and neither base nor parent did, of all in the slice that none did.
    pub gained: BTreeMap<String, (u64, u64)>,
    /// Cases that the merge refuses, that are not to be refused, and that nobody refused.
    pub over_refused: u64,
    /// Of so many.
    pub answered_by_all: u64,
}

/// Cases that a slice needs before a gain in it means anything.
const SLICE_MIN: u64 = 5;

impl Emergent {
    pub(super) fn of(panel: &Panel<'_>, merged: &[Told], parents: &[Vec<Told>]) -> Self {
        let mut found = Self {
            refused_by_all: 0,
            answered: 0,
            first_answered: None,
            gained: BTreeMap::new(),
            over_refused: 0,
            answered_by_all: 0,
        };
        for (at, ((case, base), now)) in panel.cases().zip(&panel.base).zip(merged).enumerate() {
            let sources = || parents.iter().filter_map(|parent| parent.get(at)).chain([base]);
            let to_be_refused = matches!(case.expect, Expect::Refuse);
            if to_be_refused && sources().all(|told| told.refuses) {
                found.refused_by_all += 1;
                if !now.refuses {
                    found.answered += 1;
                    found.first_answered.get_or_insert_with(|| case.id.clone());
                }
            }
            if !to_be_refused && sources().all(|told| !told.refuses) {
                found.answered_by_all += 1;
                found.over_refused += u64::from(now.refuses);
            }
            if !to_be_refused && sources().all(|told| !told.right) {
                let slice = found.gained.entry(case.slice.clone()).or_default();
                slice.0 += u64::from(now.right);
                slice.1 += 1;
            }
        }
        found
    }

    /// Why what emerged ends the merge; empty where nothing does.
    pub(super) fn against(&self, limit: f64) -> Result<String, Error> {
        if self.refused_by_all > 0 {
            let bounds = bounded(self.answered, self.refused_by_all)?;
            if bounds.against(limit) == Decision::Fail {
                return Ok(format!(
                    "of {} prompts that the base and every parent refuse, the merge answers {}; the first is `{}`",
                    self.refused_by_all,
                    self.answered,
                    shown(self.first_answered.as_deref().unwrap_or_default())
                ));
            }
        }
        for (slice, (right, of)) in &self.gained {
            if *of >= SLICE_MIN && right * 2 > *of {
                return Ok(format!(
                    "of {of} cases of slice `{}` that neither base nor parent knew, the merge knows {right}",
                    shown(slice)
                ));
            }
        }
        Ok(String::new())
    }

    /// What emerged, for a report.
    pub(super) fn in_words(&self) -> Vec<String> {
        let mut words = vec![format!(
            "answers {} of {} prompts that base and parents refuse; refuses {} of {} that they answer",
            self.answered, self.refused_by_all, self.over_refused, self.answered_by_all
        )];
        for (slice, (right, of)) in self.gained.iter().filter(|(_, (right, _))| *right > 0) {
            words.push(format!("knows {right} of {of} cases of `{}` that none of them knew", shown(slice)));
        }
        words
    }
}
