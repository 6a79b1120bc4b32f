//! Families of examination: what an examiner looked at. A verdict that rests on several families, each by another person, does
//! not fall with one detector, or with one examiner's key.
//!
//! What this module does not do: judge findings. It is given those that passed and count.

use std::collections::{BTreeMap, BTreeSet};

use statement::PersonId;
use statement::kind::{EvidenceKind, Finding};

use crate::quorum;

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    /// Files and numbers, without running anything.
    Bytes,
    /// What the changed model does.
    Behaviour,
    /// Properties that were proved.
    Proof,
    /// A person's own eyes.
    Review,
}

/// How many there are.
pub(crate) const FAMILIES: u32 = 4;

impl Family {
    /// The family of a finding; none for the compliance office, which examines papers and no change.
    pub(super) const fn of(finding: &Finding) -> Option<Self> {
        match finding.evidence {
            EvidenceKind::Scope | EvidenceKind::Screen => Some(Self::Bytes),
            EvidenceKind::Probe
            | EvidenceKind::Alignment
            | EvidenceKind::Regression
            | EvidenceKind::RedTeam => Some(Self::Behaviour),
            EvidenceKind::FormalVerification => Some(Self::Proof),
            EvidenceKind::SecurityReview | EvidenceKind::ExternalAudit => Some(Self::Review),
            EvidenceKind::ComplianceReview => None,
        }
    }
}

/// The most families that can each be given a person of its own, of whom nobody enrolled another.
///
/// There are four families, so that every choice of persons is tried, some thousands at worst. Of each family the first
/// [`PERSONS_MAX`] persons are looked at, so that the answer can be too small, never too large.
pub(super) fn held(
    by_family: &BTreeMap<Family, BTreeSet<PersonId>>,
    enrolled: &BTreeMap<PersonId, BTreeSet<PersonId>>,
) -> u32 {
    let families: Vec<Vec<&PersonId>> =
        by_family.values().map(|persons| persons.iter().take(PERSONS_MAX).collect()).collect();
    best(&families, &mut Vec::new(), enrolled)
}

/// Persons of a family that are looked at, at most.
const PERSONS_MAX: usize = 8;

fn best<'p>(
    families: &[Vec<&'p PersonId>],
    chosen: &mut Vec<&'p PersonId>,
    enrolled: &BTreeMap<PersonId, BTreeSet<PersonId>>,
) -> u32 {
    let Some((first, rest)) = families.split_first() else {
        let persons: BTreeSet<PersonId> = chosen.iter().map(|person| (*person).clone()).collect();
        let distinct = persons.len() == chosen.len();
        return if distinct { quorum::count(&persons, enrolled) } else { 0 };
    };
    // Without this family, or with any of its persons who has no family yet.
    let mut most = best(rest, chosen, enrolled);
    for person in first {
        if chosen.contains(person) {
            continue;
        }
        chosen.push(person);
        most = most.max(best(rest, chosen, enrolled));
        chosen.pop();
    }
    most
}

#[cfg(test)]
mod tests;
