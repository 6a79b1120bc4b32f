//! Whether a grant covers a change, now.

use dossier::{Code, Dossier, GrantRecord, Reason, World};
use statement::kind::{GrantPurpose, Tier};
use statement::{KeyId, StatementId};

use super::facts::covers;

/// What stands against using the grant `id` for the change, by `key`, at `now_ms`.
pub(super) fn against(
    world: &World,
    dossier: &Dossier,
    id: StatementId,
    key: KeyId,
    purpose: GrantPurpose,
    tier: Tier,
    now_ms: u64,
) -> Vec<Reason> {
    let Some(record) = world.grant(&id) else { return vec![Reason::new(Code::NotAuthorised, id)] };
    let grant = &record.grant.body;
    let proposal = &dossier.proposal.body;
    let mut reasons = Vec::new();
    if now_ms < grant.not_before_ms || now_ms >= grant.expires_ms {
        reasons.push(Reason::new(Code::GrantExpired, id));
    }
    if record.revoked_at.is_some() {
        reasons.push(Reason::new(Code::GrantRevoked, id));
    }
    if is_used_up(record, dossier) {
        reasons.push(Reason::new(Code::GrantExhausted, id));
    }
    let fits = grant.purpose == purpose
        && grant.grantee == key
        && covers(grant.level_max, proposal.level)
        && grant.modifications.contains(&proposal.modification)
        && grant.slots.contains(&proposal.slot)
        && proposal.contexts.is_subset(&grant.contexts);
    // Nobody authorises their own change, nor the machine that would approve it.
    let own = record.grant.signers.iter().any(|signer| signer.person == *proposal.proposer.person());
    if !fits || own {
        reasons.push(Reason::new(Code::NotAuthorised, id));
    }
    if grant.tier_max < tier {
        let code = match purpose {
            GrantPurpose::Approve => Code::TierNotGranted,
            GrantPurpose::Propose => Code::NotAuthorised,
        };
        reasons.push(Reason::new(code, id));
    }
    reasons
}

fn is_used_up(record: &GrantRecord, dossier: &Dossier) -> bool {
    let others = record.used_by.iter().filter(|change| **change != dossier.change).count();
    u64::try_from(others).unwrap_or(u64::MAX) >= u64::from(record.grant.body.changes_max)
}
