//! Admission: the one function that gateways and auditors share.

use dossier::{Code, Dossier, Reason, Refusal, World};
use statement::StatementId;
use statement::kind::ReleaseOrder;

use super::Admitted;

/// How far witnesses' clocks may be ahead of the gateway's: a cosignature from further in the future keeps nothing fresh.
const CLOCK_AHEAD_MAX_MS: u64 = 5 * 60 * 1000;

/// The checkpoint a gateway judges by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointView {
    /// Its tree size; the world must be the fold of exactly these leaves.
    pub size: u64,
    /// The latest time by which enough witnesses had cosigned it, milliseconds since the Unix epoch.
    pub witnessed_ms: u64,
    /// How many distinct witnesses of the trust root cosigned it.
    pub witnesses: u32,
}

/// Whether a gateway may begin to serve the order's state. `now_ms` is the gateway's clock, `floor_ms` the latest time
/// it ever knew. That the order's approvals and evidence are good was judged when the fold took the order in, by
/// [`ordered`](super::ordered); a revocation that reaches back undoes that in the fold.
pub fn admit(
    world: &World,
    dossier: &Dossier,
    order: StatementId,
    checkpoint: CheckpointView,
    now_ms: u64,
    floor_ms: u64,
) -> Result<Admitted, Refusal> {
    let body = in_force(world, dossier, order)?;
    let mut reasons = standing(world, dossier, body, order, checkpoint, now_ms, floor_ms);
    if now_ms >= body.admit_before_ms {
        reasons.push(Reason::new(Code::AdmissionOver, order));
    }
    if let Some(freeze) = world.freeze(&body.slot, &dossier.change) {
        reasons.push(Reason::new(Code::Frozen, freeze.id));
    }
    Refusal::from_reasons(reasons)?;
    Ok(token(body, order, checkpoint))
}

/// Whether a gateway that has admitted the order may go on serving it. A freeze stops what is new, not what runs.
pub fn serve(
    world: &World,
    dossier: &Dossier,
    order: StatementId,
    checkpoint: CheckpointView,
    now_ms: u64,
    floor_ms: u64,
) -> Result<Admitted, Refusal> {
    let body = in_force(world, dossier, order)?;
    Refusal::from_reasons(standing(world, dossier, body, order, checkpoint, now_ms, floor_ms))?;
    Ok(token(body, order, checkpoint))
}

fn in_force<'a>(
    world: &World,
    dossier: &'a Dossier,
    order: StatementId,
) -> Result<&'a ReleaseOrder, Refusal> {
    let Some(recorded) = dossier.order.as_ref().filter(|recorded| recorded.id == order) else {
        return Err(Refusal::new(Code::OrderUnknown, order));
    };
    let slot = world.slot(&recorded.body.slot);
    let current = slot.and_then(|slot| slot.order.as_ref());
    if current == Some(&(dossier.change.clone(), order)) {
        Ok(&recorded.body)
    } else {
        Err(Refusal::new(Code::NotInForce, order))
    }
}

fn standing(
    world: &World,
    dossier: &Dossier,
    body: &ReleaseOrder,
    order: StatementId,
    checkpoint: CheckpointView,
    now_ms: u64,
    floor_ms: u64,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut wrong = |code, about: String| reasons.push(Reason::new(code, about));
    if now_ms < floor_ms {
        wrong(Code::TimeBackwards, format!("{now_ms} before {floor_ms}"));
    }
    if now_ms >= body.serve_until_ms {
        wrong(Code::OrderExpired, order.to_string());
    }
    if let Some(index) = world.order_revoked_at(&order) {
        wrong(Code::OrderRevoked, format!("leaf {index}"));
    }
    let purged = dossier.proposal.body.artefacts.iter().find(|a| world.purged_at(&a.digest).is_some());
    if let Some(artefact) = purged {
        wrong(Code::EvidencePurged, artefact.digest.to_string());
    }
    if checkpoint.size != world.size() {
        wrong(Code::CheckpointStale, format!("{} leaves, not {}", world.size(), checkpoint.size));
    }
    let ahead = checkpoint.witnessed_ms.saturating_sub(now_ms) > CLOCK_AHEAD_MAX_MS;
    if ahead || now_ms.saturating_sub(checkpoint.witnessed_ms) > body.checkpoint_age_max_ms {
        wrong(Code::CheckpointStale, format!("witnessed at {}", checkpoint.witnessed_ms));
    }
    match world.root() {
        None => wrong(Code::NoRoot, order.to_string()),
        Some(root) => {
            if now_ms >= root.body.expires_ms {
                wrong(Code::RootStale, root.id.to_string());
            }
            if checkpoint.witnesses < root.body.witnesses.threshold {
                let text = format!("{} of {}", checkpoint.witnesses, root.body.witnesses.threshold);
                wrong(Code::CheckpointUnwitnessed, text);
            }
        }
    }
    reasons
}

fn token(body: &ReleaseOrder, order: StatementId, checkpoint: CheckpointView) -> Admitted {
    Admitted {
        order,
        slot: body.slot.clone(),
        state: body.to_state,
        serve_until_ms: body.serve_until_ms,
        fallback: body.fallback,
        tree_size: checkpoint.size,
    }
}
