//! Who signed, and whether they may say such things.

use std::collections::BTreeSet;

use statement::kind::{FreezeAction, RevocationTarget, Role, RoleRule, TrustRoot};
use statement::{Body, KeyId, PersonId};

use super::{At, Ledger};
use crate::actor::Actor;
use crate::keybook::Checked;
use crate::refusal::{Code, Reason, Refusal};

/// Kinds that only ever stop or take back: they work even after the trust root has expired.
pub(crate) fn stops(body: &Body) -> bool {
    match body {
        Body::Freeze(freeze) => freeze.action == FreezeAction::Begin,
        Body::Revocation(_)
        | Body::Rejection(_)
        | Body::RollbackOrder(_)
        | Body::Attempt(_)
        | Body::Incident(_) => true,
        _ => false,
    }
}

impl Ledger {
    /// Whether somebody who is enrolled signed the entry.
    pub(super) fn speaks(&self, entry: &Checked) -> bool {
        entry.good().iter().any(|key| self.world.actor(key).is_some() && self.counts(key, entry.index()))
    }

    fn counts(&self, key: &KeyId, index: u64) -> bool {
        self.compromised.get(key).is_none_or(|since| index < *since)
    }

    /// Whether a key that may be revoked counts at a leaf. What was stopped stays stopped: a revocation that reaches
    /// back resurrects nothing. From the revocation's own leaf on the key says nothing at all.
    fn still_counts(&self, key: &KeyId, index: u64, body: &Body) -> bool {
        let before_revocation = || self.revoked.get(key).is_none_or(|leaf| index < *leaf);
        self.counts(key, index) || (stops(body) && before_revocation())
    }

    /// The signers who have a role that this kind takes, or why there are none or too few.
    pub(super) fn signers(&self, entry: &Checked, at: At, body: &Body) -> Result<Vec<Actor>, Refusal> {
        let wanted = body.kind().signers();
        let mut reasons = Vec::new();
        let mut signers = Vec::new();
        let signatures = match entry.leaf() {
            Ok(leaf) => leaf.envelope.signatures.as_slice(),
            Err(_) => &[],
        };
        if matches!(body, Body::Approval(_)) && signatures.len() != 1 {
            return Err(Refusal::new(Code::OneSigner, format!("{} signatures", signatures.len())));
        }
        for signature in signatures {
            let key = signature.keyid;
            let actor = if entry.good().contains(&key) { self.world.actor(&key) } else { None };
            match actor {
                None => reasons.push(Reason::new(Code::UnknownSigner, key)),
                Some(_) if !self.still_counts(&key, at.index, body) => {
                    reasons.push(Reason::new(Code::KeyCompromised, key));
                }
                Some(actor) if at.stamp_ms >= actor.not_after_ms && !stops(body) => {
                    reasons.push(Reason::new(Code::KeyExpired, key));
                }
                Some(actor) if !actor.has_any(wanted) => reasons.push(Reason::new(Code::WrongRole, key)),
                Some(actor) => signers.push(actor),
            }
        }
        if signers.is_empty() {
            if reasons.is_empty() {
                reasons.push(Reason::new(Code::UnknownSigner, "no signature"));
            }
            Refusal::from_reasons(reasons)?;
        }
        self.check_threshold(body, &signers)
    }

    /// Keeps the signers of a role whose threshold of distinct persons is reached.
    fn check_threshold(&self, body: &Body, signers: &[Actor]) -> Result<Vec<Actor>, Refusal> {
        let mut short = Vec::new();
        for role in roles_for(body) {
            let of_role: Vec<Actor> =
                signers.iter().filter(|actor| actor.roles.contains(role)).cloned().collect();
            let persons: BTreeSet<&PersonId> = of_role.iter().map(|actor| &actor.person).collect();
            let threshold = self.world.threshold(*role);
            if persons.is_empty() {
                continue;
            }
            if persons.len() >= threshold {
                return Ok(of_role);
            }
            short.push(Reason::new(Code::Threshold, format!("{role}: {} of {threshold}", persons.len())));
        }
        if short.is_empty() {
            short.push(Reason::new(Code::WrongRole, body.kind().name()));
        }
        Err(Refusal::from_reasons(short)
            .err()
            .unwrap_or_else(|| Refusal::new(Code::Threshold, body.kind().name())))
    }

    /// Whether a trust root stands on its own feet and follows from the one before.
    pub(super) fn check_root(&self, entry: &Checked, at: At, root: &TrustRoot) -> Result<(), Refusal> {
        check_consistent(root)?;
        if at.stamp_ms >= root.expires_ms {
            return Err(Refusal::new(Code::RootExpired, at.id));
        }
        Self::check_quorum(entry, root)?;
        match &self.world.root {
            // Only the first leaf founds a realm: a trust root that was planted later never becomes the first.
            None if root.epoch == 1 && root.previous.is_none() && at.index == 0 => Ok(()),
            None => Err(Refusal::new(Code::RootRotation, format!("epoch {}", root.epoch))),
            Some(old) => {
                if root.previous != Some(old.id) || Some(root.epoch) != old.body.epoch.checked_add(1) {
                    return Err(Refusal::new(Code::RootRotation, format!("epoch {}", root.epoch)));
                }
                if root.log.origin != old.body.log.origin {
                    return Err(Refusal::new(Code::RootRotation, &root.log.origin));
                }
                Self::check_quorum(entry, &old.body)
            }
        }
    }

    /// Whether the root role's threshold of distinct persons of `root` signed. Keys of a trust root end with its
    /// rotation, never by a revocation, so what they founded stands.
    fn check_quorum(entry: &Checked, root: &TrustRoot) -> Result<(), Refusal> {
        let Some(rule) = root.roles.get(&Role::Root) else {
            return Err(Refusal::new(Code::RootInvalid, "root"));
        };
        let persons: BTreeSet<&PersonId> = entry
            .good()
            .iter()
            .filter(|key| rule.keys.contains(*key))
            .filter_map(|key| root.keys.get(key))
            .map(|key| &key.person)
            .collect();
        if persons.len() < threshold_of(rule) {
            let text = format!("root of epoch {}: {} of {}", root.epoch, persons.len(), rule.threshold);
            return Err(Refusal::new(Code::Threshold, text));
        }
        Ok(())
    }
}

fn threshold_of(rule: &RoleRule) -> usize {
    usize::try_from(rule.threshold).unwrap_or(usize::MAX)
}

/// The roles that may sign this very statement, most natural first.
fn roles_for(body: &Body) -> &'static [Role] {
    match body {
        Body::Freeze(freeze) if freeze.action == FreezeAction::End => &[Role::PolicyOfficer],
        Body::Revocation(revocation) => match revocation.target {
            RevocationTarget::Key { .. } => &[Role::DirectoryOfficer],
            RevocationTarget::Grant(_) => &[Role::Approver],
            RevocationTarget::Order(_) => &[Role::Operator, Role::Approver],
        },
        _ => body.kind().signers(),
    }
}

/// Whether a trust root's tables fit together, whoever signed it.
fn check_consistent(root: &TrustRoot) -> Result<(), Refusal> {
    let mut reasons = Vec::new();
    for (id, key) in &root.keys {
        if key.key.id() != *id || key.key.check().is_err() {
            reasons.push(Reason::new(Code::BadKey, id));
        }
    }
    for (role, rule) in &root.roles {
        let known = rule.keys.iter().all(|key| root.keys.contains_key(key));
        let persons: BTreeSet<&PersonId> =
            rule.keys.iter().filter_map(|key| root.keys.get(key)).map(|key| &key.person).collect();
        let reachable = role.delegable() || persons.len() >= threshold_of(rule);
        // Approvals, proposals and the automation's statements have one signer each.
        let single =
            matches!(role, Role::Approver | Role::Automation | Role::Proposer) && rule.threshold != 1;
        if !known || rule.threshold == 0 || !reachable || single {
            reasons.push(Reason::new(Code::RootInvalid, format!("{role}")));
        }
    }
    for role in [Role::Root, Role::DirectoryOfficer, Role::PolicyOfficer] {
        if !root.roles.contains_key(&role) {
            reasons.push(Reason::new(Code::RootInvalid, format!("{role}")));
        }
    }
    let officers = root.roles.get(&Role::DirectoryOfficer).map_or(0, |rule| rule.threshold);
    if officers < 2 {
        reasons.push(Reason::new(Code::RootInvalid, "two directory officers sign an entry"));
    }
    Refusal::from_reasons(reasons)
}
