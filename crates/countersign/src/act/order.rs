//! Ordering a release, taking it back, and asking what a gateway would answer.

use merkle::VerifiedCheckpoint;
use merkle::note::VerifierKey;
use policy::gate::{self, Admitted, CheckpointView};
use statement::kind::{
    EngineBinding, GateDecision, ReleaseOrder, Retirement, Role, RollbackOrder, SignOff, StageReport,
};
use statement::{ChangeId, Envelope, Name, StatementId, Tracking};

use super::{DAY_MS, say_together, sign_together};
use crate::failure::{Done, Failure};
use crate::intact::Intact;
use crate::realm::{Heads, Realm, Record};

/// For how long an order is.
pub(crate) struct Window {
    pub(crate) admit_ms: u64,
    pub(crate) serve_days: u64,
}

/// Makes the order that follows from the approvals in force, signs and submits it. `intact` is what reading the artefacts
/// gave: the gates answer first, and without them all nothing is signed.
pub(crate) fn order(
    realm: &mut Realm,
    change: &ChangeId,
    by: &str,
    window: &Window,
    intact: Done<Intact>,
) -> Done<StatementId> {
    let key = realm.keys.open(by)?;
    let world = realm.ledger().world();
    let dossier = realm.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    let now_ms = realm.log_time_ms();
    let approved = realm.with_rules(|rules| Ok(gate::approved(world, dossier, rules, now_ms)?));
    // A change that was proposed anew meanwhile has other artefacts.
    let is_whole = || match intact {
        Ok(read) if read.covers(dossier) => Ok(()),
        Ok(_) => Intact::of(realm, dossier).map(drop),
        Err(failure) => Err(failure),
    };
    let approved = match approved.and_then(|approved| is_whole().map(|()| approved)) {
        Ok(approved) => approved,
        Err(failure) => {
            let requester = Some(crate::keys::id(&key));
            let codes: Vec<String> =
                std::iter::once(&failure).chain(&failure.more).map(|f| f.code.clone()).collect();
            let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
            realm.attempt("release-order", Tracking::Change(change.clone()), requester, &codes, None)?;
            return Err(failure);
        }
    };
    let proposal = &dossier.proposal.body;
    let slot = world.slot(&proposal.slot).ok_or_else(|| Failure::missing("slot", &proposal.slot))?;
    let policy =
        world.policy().map(|policy| policy.id).ok_or_else(|| Failure::missing("policy", "in force"))?;
    let order = ReleaseOrder {
        admit_before_ms: now_ms.saturating_add(window.admit_ms),
        approvals: approved.approvals().clone(),
        checkpoint_age_max_ms: slot.definition.body.checkpoint_age_max_ms,
        fallback: slot.definition.body.fallback,
        from_state: proposal.base_state,
        policy,
        proposal: dossier.proposal.id,
        serve_until_ms: now_ms.saturating_add(window.serve_days.saturating_mul(DAY_MS)),
        slot: proposal.slot.clone(),
        tier: approved.tier(),
        to_state: approved.target_state(),
        tree_size: world.size(),
        verdict: approved.examined().verdict(),
    };
    realm.say(&key, Tracking::Change(change.clone()), order)
}

/// The signed order to take a released change back to the state before it.
pub(crate) fn rollback(realm: &Realm, change: &ChangeId, reason: Name, by: &[String]) -> Done<Envelope> {
    let dossier = realm.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    let Some(order) = &dossier.order else {
        return Err(dossier::Refusal::new(dossier::Code::OrderUnknown, change).into());
    };
    let body = RollbackOrder {
        from_state: order.body.to_state,
        incident: None,
        order: order.id,
        reason,
        slot: order.body.slot.clone(),
        to_state: order.body.from_state,
    };
    sign_together(realm, by, Tracking::Change(change.clone()), body)
}

/// Signs off the latest stage report that promotes: what a hold point of the rollout waits for.
pub(crate) fn sign_off(
    realm: &mut Realm,
    change: &ChangeId,
    by: &str,
    role: Role,
) -> Done<(StatementId, SignOff)> {
    let key = realm.keys.open(by)?;
    let dossier = realm.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    let Some(order) = &dossier.order else {
        return Err(dossier::Refusal::new(dossier::Code::OrderUnknown, change).into());
    };
    let promotes = |report: &&dossier::Recorded<StageReport>| {
        report.body.order == order.id && report.body.decision == GateDecision::Promote
    };
    let report = dossier.stages.iter().rev().find(promotes);
    let report =
        report.ok_or_else(|| Failure::missing("stage report that promotes, of the change", change))?;
    let body = SignOff { note: None, order: order.id, report: report.id, role };
    let id = realm.say(&key, Tracking::Change(change.clone()), body.clone())?;
    Ok((id, body))
}

/// Says which engine serves the state of a change's order, over which channel.
pub(crate) fn bind(
    realm: &mut Realm,
    change: &ChangeId,
    by: &str,
    binding: EngineBinding,
) -> Done<StatementId> {
    let key = realm.keys.open(by)?;
    realm.say(&key, Tracking::Change(change.clone()), binding)
}

/// Ends the service of a released change: its slot goes to its fallback.
pub(crate) fn retire(realm: &mut Realm, change: &ChangeId, reason: Name, by: &[String]) -> Done<StatementId> {
    let dossier = realm.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    let Some(order) = &dossier.order else {
        return Err(dossier::Refusal::new(dossier::Code::OrderUnknown, change).into());
    };
    let body = Retirement { reason, slot: order.body.slot.clone(), state: order.body.to_state };
    say_together(realm, by, Tracking::Change(change.clone()), body)
}

/// What a gateway would answer about a change now, by the published and witnessed checkpoint.
pub(crate) fn admit(realm: &Record<impl Heads>, change: &ChangeId) -> Done<Admitted> {
    let world = realm.ledger().world();
    let dossier = realm.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    let Some(order) = &dossier.order else {
        return Err(dossier::Refusal::new(dossier::Code::OrderUnknown, change).into());
    };
    let checkpoint = checkpoint_view(realm)?;
    Ok(gate::admit(world, dossier, order.id, checkpoint, realm.now_ms(), world.stamp_ms())?)
}

/// The published checkpoint as its witnesses have it.
fn checkpoint_view(realm: &Record<impl Heads>) -> Done<CheckpointView> {
    let root = realm.ledger().world().root().ok_or_else(|| Failure::missing("trust root", "in force"))?;
    let log_key: VerifierKey = root.body.log.key.parse()?;
    let verified = VerifiedCheckpoint::open(&realm.log().checkpoint(), &root.body.log.origin, &[log_key])?;
    Ok(gateway::checkpoint_view(&root.body, &verified)?)
}
