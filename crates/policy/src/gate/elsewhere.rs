//! Findings against the same thing under another proposal: a fresh tracking id does not wash an artefact.
//!
//! A finding against a change counts against every other proposal that brings one of its artefacts or leads to the same
//! state, on this change or any other. It is overturned by persons who looked themselves and say so, in a passing review
//! of the present proposal that names the finding among its inputs: the person who found against it by looking, or two
//! persons who count beside each other. A worker that is run again overturns nothing.
//!
//! What this module does not do: look at findings on the present proposal. A fail there is final
//! ([`Code::EvidenceFailed`]).

use std::collections::BTreeSet;

use dossier::{Code, Dossier, Fail, Reason, Recorded, World};
use statement::kind::{EvidenceKind, Finding, Isolation};
use statement::{Digest, PersonId};

use crate::quorum;

/// Persons who count beside each other that overturn what another found.
const OVERTURNED_BY: u32 = 2;

/// A passing finding that counts, by persons who looked themselves.
pub(super) struct Review {
    inputs: BTreeSet<Digest>,
    evidence: EvidenceKind,
    persons: BTreeSet<PersonId>,
}

impl Review {
    /// What a finding that passed and counts is as a review; none where a worker made it.
    pub(super) fn of(finding: &Recorded<Finding>) -> Option<Self> {
        (finding.body.isolation == Isolation::Manual).then(|| Self {
            inputs: finding.body.inputs.clone(),
            evidence: finding.body.evidence,
            persons: finding.signers.iter().map(|signer| signer.person.clone()).collect(),
        })
    }

    /// Whether it names the finding, and is by the same office: compliance answers compliance, examiners all else.
    fn answers(&self, fail: &Fail) -> bool {
        let office = |evidence: EvidenceKind| evidence == EvidenceKind::ComplianceReview;
        self.inputs.contains(fail.finding.digest()) && office(self.evidence) == office(fail.evidence)
    }
}

/// What was found against the change's artefacts and target state under other proposals, and was not overturned.
pub(super) fn against(world: &World, dossier: &Dossier, reviews: &[Review]) -> Vec<Reason> {
    let proposal = &dossier.proposal.body;
    let artefacts = proposal.artefacts.iter().map(|artefact| &artefact.digest);
    let fails = world.fails(artefacts.chain([proposal.target_state.digest()]));
    fails
        .into_iter()
        .filter(|fail| fail.proposal != dossier.proposal.id)
        .filter(|fail| is_same_question(fail, dossier))
        .filter(|fail| !is_overturned(world, fail, reviews))
        .map(|fail| {
            let text = format!("{} {} on change {}", fail.evidence, fail.finding, fail.change);
            Reason::new(Code::FailedElsewhere, text)
        })
        .collect()
}

/// How far a change goes is measured from a state and held against a scope file: from another, or against another, it is
/// another question, which the present proposal's own scope finding answers. Everything else is about the artefact.
fn is_same_question(fail: &Fail, dossier: &Dossier) -> bool {
    let proposal = &dossier.proposal.body;
    fail.evidence != EvidenceKind::Scope
        || (fail.scope == proposal.scope && fail.base_state == proposal.base_state)
}

fn is_overturned(world: &World, fail: &Fail, reviews: &[Review]) -> bool {
    let answers = reviews.iter().filter(|review| review.answers(fail));
    let persons: BTreeSet<PersonId> = answers.flat_map(|review| review.persons.iter().cloned()).collect();
    let by_its_author = fail.isolation == Isolation::Manual && !persons.is_disjoint(&fail.persons);
    by_its_author || quorum::count(&persons, &world.enrolments()) >= OVERTURNED_BY
}
