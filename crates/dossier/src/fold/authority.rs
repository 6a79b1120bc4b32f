//! Who signed, and whether they may say such things.

use std::collections::{BTreeMap, BTreeSet};

use statement::kind::{FreezeAction, RevocationTarget, Role, RoleRule, TrustRoot, Voice, Witnesses};
use statement::{Body, Header, KeyId, PersonId, Signature, Statement};

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
    /// Whether a leaf of an unknown critical kind is one: of this realm, and signed by the root quorum, which alone
    /// introduces kinds. Like a rotation of the trust root it may come after the root has expired.
    pub(super) fn check_introduced(&self, entry: &Checked, header: &Header) -> Result<(), Refusal> {
        let (Some(realm), Some(root)) = (&self.realm, &self.world.root) else {
            return Err(Refusal::new(Code::NoRoot, header.predicate_type()));
        };
        if *realm != header.realm {
            return Err(Refusal::new(Code::OtherRealm, &header.realm));
        }
        let signed = |key: &&KeyId| header.signer.is_none_or(|signer| signer == **key);
        Self::check_quorum(entry.good().iter().filter(signed), &root.body)
            .map_err(|_| Refusal::new(Code::KindNotIntroduced, header.predicate_type()))
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
    pub(super) fn signers(
        &self,
        entry: &Checked,
        at: At,
        statement: &Statement,
    ) -> Result<Vec<Actor>, Refusal> {
        let body = &statement.body;
        let wanted = body.kind().signers();
        let mut reasons = Vec::new();
        let mut signers = Vec::new();
        let signatures = match entry.leaf() {
            Ok(leaf) => leaf.envelope.signatures.as_slice(),
            Err(_) => &[],
        };
        check_named(statement.header.signer, signatures)?;
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
            let threshold = if is_said_alone(body, *role) { 1 } else { self.world.threshold(*role) };
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
        Self::check_quorum(entry.good(), root)?;
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
                Self::check_quorum(entry.good(), &old.body)
            }
        }
    }

    /// Whether the root role's threshold of distinct persons of `root` signed. Keys of a trust root end with its
    /// rotation, never by a revocation, so what they founded stands.
    fn check_quorum<'a>(good: impl IntoIterator<Item = &'a KeyId>, root: &TrustRoot) -> Result<(), Refusal> {
        let Some(rule) = root.roles.get(&Role::Root) else {
            return Err(Refusal::new(Code::RootInvalid, "root"));
        };
        let persons: BTreeSet<&PersonId> = good
            .into_iter()
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

/// Whether the envelope has the signature of the signer whom the header names, and no other.
fn check_named(signer: Option<KeyId>, signatures: &[Signature]) -> Result<(), Refusal> {
    match (signer, signatures) {
        (None, _) => Ok(()),
        (Some(signer), [only]) if only.keyid == signer => Ok(()),
        (Some(_), [other]) => Err(Refusal::new(Code::OtherSigner, other.keyid)),
        (Some(_), _) => Err(Refusal::new(Code::OneSigner, format!("{} signatures", signatures.len()))),
    }
}

/// Whether one signer is enough whatever the role's threshold: of one key's own word, and where haste is needed. Those
/// who end a freeze together also begin one together.
fn is_said_alone(body: &Body, role: Role) -> bool {
    match body {
        Body::Freeze(freeze) => freeze.action == FreezeAction::Begin && role.delegable(),
        _ => body.kind().voice() == Voice::Own,
    }
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
    reasons.extend(check_witnesses(&root.witnesses).err());
    let officers = root.roles.get(&Role::DirectoryOfficer).map_or(0, |rule| rule.threshold);
    if officers < 2 {
        reasons.push(Reason::new(Code::RootInvalid, "two directory officers sign an entry"));
    }
    Refusal::from_reasons(reasons)
}

/// Whether as many persons can cosign as must: a witness counts once for its person, and a key for one person alone.
fn check_witnesses(witnesses: &Witnesses) -> Result<(), Reason> {
    let invalid = |about: String| Reason::new(Code::RootInvalid, about);
    let (mut keys, mut names) = (BTreeSet::new(), BTreeMap::new());
    for witness in &witnesses.keys {
        // A verifier key is `name+hash+key`. The same key under another name is the same witness, and two keys under one
        // name are one witness's.
        let mut parts = witness.key.splitn(3, '+');
        let name = parts.next().unwrap_or_default();
        let is_new = keys.insert(parts.last().unwrap_or_default());
        if !is_new || names.insert(name, &witness.person).is_some_and(|person| *person != witness.person) {
            return Err(invalid(format!("witness key of {} twice", witness.person)));
        }
    }
    let persons: BTreeSet<&PersonId> = witnesses.keys.iter().map(|witness| &witness.person).collect();
    let threshold = usize::try_from(witnesses.threshold).unwrap_or(usize::MAX);
    if persons.len() < threshold {
        return Err(invalid(format!("witnesses: {} of {threshold}", persons.len())));
    }
    Ok(())
}
