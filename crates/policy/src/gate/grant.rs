//! Whether a grant, or what renewed it, covers a change, now.

use dossier::{Code, Dossier, Reason, World};
use statement::kind::{GrantPurpose, Tier};
use statement::{KeyId, StatementId};

use super::facts::covers;
use crate::error::tier_name;

/// What stands against using the grant `named`, or the renewal that has taken its place, for the change, by `key`, at `now_ms`.
pub(super) fn against(
    world: &World,
    dossier: &Dossier,
    named: StatementId,
    key: KeyId,
    purpose: GrantPurpose,
    tier: Tier,
    now_ms: u64,
) -> Vec<Reason> {
    let in_force = world.grant_in_force(&named, &dossier.change, now_ms);
    let Some(record) = in_force.or_else(|| world.grant(&named)) else {
        return vec![Reason::new(Code::NotAuthorised, named)];
    };
    let id = record.grant.id;
    let grant = &record.grant.body;
    let proposal = &dossier.proposal.body;
    let mut reasons = Vec::new();
    if now_ms < grant.not_before_ms || now_ms >= grant.expires_ms {
        reasons.push(Reason::new(Code::GrantExpired, id));
    }
    if record.revoked_at.is_some() {
        reasons.push(Reason::new(Code::GrantRevoked, id));
    }
    if record.is_used_up(&dossier.change) {
        reasons.push(Reason::new(Code::GrantExhausted, id));
    }
    // Nobody authorises their own change, nor the machine that would approve it.
    let own = record.grant.signers.iter().any(|signer| signer.person == *proposal.proposer.person());
    let wanting = [
        (grant.purpose == purpose, "purpose"),
        (grant.grantee == key, "key"),
        (covers(grant.level_max, proposal.level), "level"),
        (grant.modifications.contains(&proposal.modification), "kind of modification"),
        (grant.slots.contains(&proposal.slot), "slot"),
        (proposal.contexts.is_subset(&grant.contexts), "contexts"),
        (!own, "person, who is the proposer's own"),
    ];
    for (_, what) in wanting.iter().filter(|(fits, _)| !fits) {
        reasons.push(Reason::new(Code::NotAuthorised, format!("{id}: another {what}")));
    }
    if grant.tier_max < tier {
        let code = match purpose {
            GrantPurpose::Approve => Code::TierNotGranted,
            GrantPurpose::Propose => Code::NotAuthorised,
        };
        let (most, tier) = (tier_name(grant.tier_max), tier_name(tier));
        reasons.push(Reason::new(code, format!("{id}: up to tier {most}, not {tier}")));
    }
    reasons
}
