//! Statements about the realm: persons, policy, slots, grants, freezes, holds.

use std::collections::BTreeSet;

use statement::kind::{
    CapabilityLevel, DirectoryEntry, Freeze, FreezeAction, FreezeTarget, Grant, Hold, HoldAction, Policy,
    Purge, Revocation, RevocationTarget, Role, Slot, TrustRoot,
};

use super::{Act, Judge, Ledger, RealmAct};
use statement::Digest;

use crate::actor::Actor;
use crate::refusal::{Code, Reason, Refusal};
use crate::world::{Current, FrozenBy, GrantRecord, SlotRecord};

impl Ledger {
    pub(super) fn trust_root(&mut self, act: &Act<'_>, body: &TrustRoot) {
        self.realm = Some(act.statement.header.realm.clone());
        self.world.roots.push(act.at.id);
        self.world.root = Some(current(act, body));
    }

    pub(super) fn directory_entry(&mut self, act: &Act<'_>, body: &DirectoryEntry) -> Result<(), Refusal> {
        let id = body.key.id();
        if body.key.check().is_err() {
            return Err(Refusal::new(Code::BadKey, id));
        }
        if self.revoked.get(&id).is_some_and(|leaf| *leaf < act.at.index) {
            return Err(Refusal::new(Code::KeyRevoked, id));
        }
        let in_root = self.world.root.as_ref().is_some_and(|root| root.body.keys.contains_key(&id));
        if in_root || body.roles.is_empty() {
            return Err(Refusal::new(Code::RoleNotDelegable, id));
        }
        if let Some(role) = body.roles.iter().find(|role| !role.delegable()) {
            return Err(Refusal::new(Code::RoleNotDelegable, format!("{role}")));
        }
        // A machine's key never doubles as a person's: automation stands alone.
        if body.roles.contains(&Role::Automation) && body.roles.len() > 1 {
            return Err(Refusal::new(Code::RoleNotDelegable, "automation beside another role"));
        }
        if let Some(present) = self.world.directory.get(&id)
            && present.person != body.person
        {
            return Err(Refusal::new(Code::NotNext, id));
        }
        let officers = act.signers.iter().map(|officer| officer.person.clone());
        self.world.enrolled_by.entry(body.person.clone()).or_default().extend(officers);
        self.world.directory.insert(
            id,
            Actor {
                key: id,
                person: body.person.clone(),
                roles: body.roles.clone(),
                clearance: body.clearance,
                capacities: body.capacities.clone(),
                assurance: body.assurance,
                not_after_ms: body.not_after_ms,
            },
        );
        Ok(())
    }

    pub(super) fn policy(&mut self, act: &Act<'_>, body: &Policy, judge: &dyn Judge) -> Result<(), Refusal> {
        if body.supersedes != self.world.policy.as_ref().map(|policy| policy.id) {
            return Err(Refusal::new(Code::NotNext, act.at.id));
        }
        judge.realm(&self.world, RealmAct::Policy(body), &act.signers, act.at.stamp_ms)?;
        self.world.policy = Some(current(act, body));
        Ok(())
    }

    pub(super) fn slot(&mut self, act: &Act<'_>, body: &Slot) -> Result<(), Refusal> {
        for state in [body.baseline, body.fallback] {
            if !self.world.states.contains_key(&state) {
                return Err(Refusal::new(Code::StateUnknown, state));
            }
        }
        match self.world.slots.get_mut(&body.slot) {
            None if body.supersedes.is_some() => Err(Refusal::new(Code::NotNext, &body.slot)),
            None => {
                let record = SlotRecord {
                    definition: current(act, body),
                    state: body.baseline,
                    order: None,
                    history: vec![(act.at.index, body.baseline)],
                    automatic_drift_ppm: 0,
                };
                self.world.slots.insert(body.slot.clone(), record);
                Ok(())
            }
            Some(record) if body.supersedes != Some(record.definition.id) => {
                Err(Refusal::new(Code::NotNext, &body.slot))
            }
            Some(record) => {
                record.definition = current(act, body);
                Ok(())
            }
        }
    }

    pub(super) fn grant(&mut self, act: &Act<'_>, body: &Grant, judge: &dyn Judge) -> Result<(), Refusal> {
        let mut reasons = Vec::new();
        let mut wrong = |about: &str| reasons.push(Reason::new(Code::GrantInvalid, about));
        let grantee = self.world.actor(&body.grantee);
        match &grantee {
            None => wrong("the grantee's key is not in the directory"),
            Some(actor) if act.signers.iter().any(|signer| signer.person == actor.person) => {
                wrong("nobody grants to their own person");
            }
            Some(_) => {}
        }
        if !act.signers.iter().all(|signer| signer.clearance >= body.tier_max) {
            wrong("the tier is above the grantor's clearance");
        }
        if body.expires_ms <= body.not_before_ms || body.expires_ms <= act.at.stamp_ms {
            wrong("it ends before it begins");
        }
        let limit = self.world.policy.as_ref().map(|policy| policy.body.rules.limits.grant_max_ms);
        let from_ms = body.not_before_ms.max(act.at.stamp_ms);
        if limit.is_none_or(|limit| body.expires_ms.saturating_sub(from_ms) > limit) {
            wrong("it runs longer than the policy allows");
        }
        if let Some(renewed) = &body.renews {
            match self.world.grants.get(renewed) {
                Some(old)
                    if old.revoked_at.is_none()
                        && old.grant.body.grantee == body.grantee
                        && old.grant.body.purpose == body.purpose => {}
                _ => wrong("it renews no grant of the same key and purpose"),
            }
        }
        Refusal::from_reasons(reasons)?;
        judge.realm(&self.world, RealmAct::Grant(body), &act.signers, act.at.stamp_ms)?;
        let record =
            GrantRecord { grant: act.record(body.clone()), used_by: BTreeSet::new(), revoked_at: None };
        self.world.grants.insert(act.at.id, record);
        Ok(())
    }

    pub(super) fn revocation(&mut self, act: &Act<'_>, body: &Revocation) -> Result<(), Refusal> {
        match &body.target {
            RevocationTarget::Key { key, compromised_since } => {
                // A trust root's own keys end by its rotation: else two officers could undo the founding.
                let in_root = self.world.root.as_ref().is_some_and(|root| root.body.keys.contains_key(key));
                if in_root || !self.world.directory.contains_key(key) || *compromised_since > act.at.index {
                    return Err(Refusal::new(Code::RevocationInvalid, key));
                }
                let is_new = self.compromised.get(key).is_none_or(|since| compromised_since < since);
                if is_new {
                    self.compromised.insert(*key, *compromised_since);
                    self.reaches_back = self.signed.get(key).is_some_and(|leaf| leaf >= compromised_since);
                }
                self.revoked.entry(*key).or_insert(act.at.index);
                Ok(())
            }
            RevocationTarget::Grant(id) => match self.world.grants.get_mut(id) {
                Some(record) if record.revoked_at.is_none() => {
                    record.revoked_at = Some(act.at.index);
                    Ok(())
                }
                _ => Err(Refusal::new(Code::RevocationInvalid, id)),
            },
            RevocationTarget::Order(id) => {
                let known =
                    self.dossiers.values().any(|dossier| dossier.order.as_ref().is_some_and(|o| o.id == *id));
                if !known || self.world.revoked_orders.contains_key(id) {
                    return Err(Refusal::new(Code::RevocationInvalid, id));
                }
                self.world.revoked_orders.insert(*id, act.at.index);
                Ok(())
            }
        }
    }

    pub(super) fn capability_level(&mut self, body: &CapabilityLevel) -> Result<(), Refusal> {
        if !self.world.slots.contains_key(&body.slot) {
            return Err(Refusal::new(Code::UnknownSlot, &body.slot));
        }
        let place = (body.key, body.slot.clone());
        match body.level {
            Some(level) => self.world.levels.insert(place, level),
            None => self.world.levels.remove(&place),
        };
        Ok(())
    }

    pub(super) fn freeze(&mut self, act: &Act<'_>, body: &Freeze, judge: &dyn Judge) -> Result<(), Refusal> {
        match body.action {
            FreezeAction::Begin => {
                if let FreezeTarget::Slot(slot) = &body.target
                    && !self.world.slots.contains_key(slot)
                {
                    return Err(Refusal::new(Code::UnknownSlot, slot));
                }
                let by = FrozenBy { id: act.at.id, index: act.at.index };
                self.world.frozen.insert(body.target.clone(), by);
                Ok(())
            }
            FreezeAction::End if !self.world.frozen.contains_key(&body.target) => {
                Err(Refusal::new(Code::FreezeEnd, "nothing such is frozen"))
            }
            FreezeAction::End => {
                let end = RealmAct::Unfreeze(&body.target);
                judge.realm(&self.world, end, &act.signers, act.at.stamp_ms)?;
                self.world.frozen.remove(&body.target);
                Ok(())
            }
        }
    }

    /// A digest is held until every matter that holds it has let go.
    pub(super) fn hold(&mut self, body: &Hold) -> Result<(), Refusal> {
        let is_held = |target: &Digest| {
            self.world.held.get(target).is_some_and(|matters| matters.contains(&body.matter))
        };
        if body.action == HoldAction::Lift
            && let Some(free) = body.targets.iter().find(|target| !is_held(target))
        {
            return Err(Refusal::new(Code::HoldUnknown, format!("{free} for {}", body.matter)));
        }
        for target in &body.targets {
            let matters = self.world.held.entry(*target).or_default();
            match body.action {
                HoldAction::Place => matters.insert(body.matter.clone()),
                HoldAction::Lift => matters.remove(&body.matter),
            };
            if matters.is_empty() {
                self.world.held.remove(target);
            }
        }
        Ok(())
    }

    pub(super) fn purge(&mut self, act: &Act<'_>, body: &Purge, judge: &dyn Judge) -> Result<(), Refusal> {
        if let Some(held) = body.targets.iter().find(|target| self.world.held.contains_key(*target)) {
            return Err(Refusal::new(Code::Held, held));
        }
        if let Some(used) = body.targets.iter().find(|target| self.is_in_force(target)) {
            return Err(Refusal::new(Code::InForce, used));
        }
        judge.realm(&self.world, RealmAct::Purge(body), &act.signers, act.at.stamp_ms)?;
        for target in &body.targets {
            self.world.purged.entry(*target).or_insert(act.at.index);
        }
        Ok(())
    }
}

impl Ledger {
    /// Whether a slot rests on the content now: its scope files, its state, its fallback, and where a rollback leads.
    fn is_in_force(&self, digest: &Digest) -> bool {
        self.world.slots.values().any(|slot| {
            let definition = &slot.definition.body;
            let back = slot.order.as_ref().and_then(|(change, _)| self.dossiers.get(change)?.order.as_ref());
            let back = back.into_iter().flat_map(|order| [order.body.from_state, order.body.fallback]);
            let states: Vec<_> =
                [slot.state, definition.baseline, definition.fallback].into_iter().chain(back).collect();
            let manifests = states.iter().filter_map(|state| self.world.states.get(state));
            definition.scopes.values().any(|scope| scope == digest)
                || manifests
                    .flat_map(|state| state.body.manifest.components.iter())
                    .any(|component| component.digest == *digest)
        })
    }
}

fn current<T: Clone>(act: &Act<'_>, body: &T) -> Current<T> {
    Current { id: act.at.id, index: act.at.index, body: body.clone() }
}
