//! Approving and rejecting: a person's signature under exactly what stands there.

use std::collections::BTreeSet;

use policy::gate::{self, Counted, Rules};
use signer::{Reviewed, countersign, review};
use statement::kind::{Approval, Capacity, Rejection};
use statement::{ChangeId, Envelope, Name, StatementId, Tracking};

use super::DAY_MS;
use crate::failure::{Done, Failure};
use crate::keys::id;
use crate::realm::Realm;

/// What somebody wants to approve.
pub(crate) struct ApprovalRequest<'a> {
    pub(crate) change: &'a ChangeId,
    /// The key that is going to sign, by its name on this machine.
    pub(crate) by: &'a str,
    pub(crate) capacity: Capacity,
    pub(crate) grant: Option<StatementId>,
    pub(crate) note: Option<&'a str>,
    pub(crate) days: u64,
}

/// Makes the approval of what stands in the record now: the envelope, unsigned, and the token to sign what was read.
pub(crate) fn prepare_approval(realm: &Realm, request: &ApprovalRequest<'_>) -> Done<(Envelope, Reviewed)> {
    let dossier =
        realm.ledger().dossier(request.change).ok_or_else(|| Failure::missing("change", request.change))?;
    let Some(verdict) = &dossier.verdict else {
        let now_ms = realm.log_time_ms();
        let gate = |rules: &Rules<'_>| Ok(gate::examined(realm.ledger().world(), dossier, rules, now_ms)?);
        // The gate says what is missing for one.
        realm.with_rules(gate)?;
        return Err(dossier::Refusal::new(dossier::Code::NoVerdict, request.change).into());
    };
    let proposal = &dossier.proposal;
    let expires_ms = realm.log_time_ms().saturating_add(request.days.saturating_mul(DAY_MS));
    let approval = Approval {
        artefacts: proposal.body.artefacts.iter().map(|artefact| artefact.digest).collect(),
        capacity: request.capacity,
        expires_ms,
        findings: verdict.body.findings.clone(),
        grant: request.grant,
        note: request.note.map(|note| realm.attach(note)).transpose()?,
        policy: verdict.body.policy,
        proposal: proposal.id,
        risk: verdict.body.score.risk,
        target_state: proposal.body.target_state,
        tier: verdict.body.score.tier,
        verdict: verdict.id,
    };
    let key = realm.keys.public(request.by)?.0.id();
    let statement = realm.statement(Tracking::Change(request.change.clone()), approval, &[key]);
    let envelope = statement.to_envelope()?;
    let reviewed = review(&envelope)?;
    Ok((envelope, reviewed))
}

/// An approval that was taken, and what it moved.
pub(crate) struct Approved {
    pub(crate) statement: StatementId,
    /// What was counted before it, and what is counted with it; none where the record does not tell.
    pub(crate) counted: Option<(Counted, Counted)>,
    /// The approvals by the same person that counted before.
    pub(crate) earlier: BTreeSet<StatementId>,
}

/// Signs what was prepared and shown.
pub(crate) fn approve(
    realm: &mut Realm,
    change: &ChangeId,
    mut envelope: Envelope,
    reviewed: Reviewed,
    by: &str,
) -> Done<Approved> {
    let key = realm.keys.open(by)?;
    countersign(key.as_ref(), reviewed, &mut envelope)?;
    let before = count(realm, change);
    let statement = realm.submit(&envelope)?;
    let person = realm.ledger().world().actor(&id(&key)).map(|actor| actor.person);
    let earlier = person.zip(before.as_ref()).and_then(|(person, before)| before.by.get(&person).cloned());
    Ok(Approved {
        statement,
        counted: before.zip(count(realm, change)),
        earlier: earlier.unwrap_or_default(),
    })
}

/// The approvals that count now; none while the change is not examined.
fn count(realm: &Realm, change: &ChangeId) -> Option<Counted> {
    let dossier = realm.ledger().dossier(change)?;
    let now_ms = realm.log_time_ms();
    let count = |rules: &Rules<'_>| Ok(gate::counted(realm.ledger().world(), dossier, rules, now_ms)?);
    realm.with_rules(count).ok()
}

/// Says no.
pub(crate) fn reject(
    realm: &mut Realm,
    change: &ChangeId,
    reason: Name,
    note: Option<&str>,
    by: &str,
) -> Done<StatementId> {
    let key = realm.keys.open(by)?;
    let dossier = realm.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    let proposal = dossier.proposal.id;
    let note = note.map(|note| realm.attach(note)).transpose()?;
    realm.say(&key, Tracking::Change(change.clone()), Rejection { note, proposal, reason })
}
