//! The rotation of the trust root: the next root follows from the present one, signed by the quorum of both.

use std::collections::{BTreeMap, BTreeSet};

use merkle::note::VerifierKey;
use signer::FileScheme;
use statement::kind::{Assurance, Role, RootKey, TrustRoot, WitnessKey, Witnesses};
use statement::{KeyId, PersonId, StatementId, Tracking};

use super::{DAY_MS, say_together};
use crate::failure::{Done, Failure};
use crate::realm::Realm;

/// What the next trust root has other than the present one.
pub(crate) struct Rotation<'a> {
    /// Persons who become officers.
    pub(crate) add: &'a [String],
    /// Officers who leave.
    pub(crate) remove: &'a [String],
    /// How long it lasts.
    pub(crate) days: u64,
    /// Witnesses to count from now on: a person and a verifier key.
    pub(crate) witnesses: &'a [(String, String)],
    /// Names of witnesses that count no more.
    pub(crate) without_witnesses: &'a [String],
    /// How many witnesses must cosign; as before where none is given.
    pub(crate) witness_threshold: Option<u32>,
    /// How many monitors must agree to go back; as before where none is given.
    pub(crate) monitor_quorum: Option<u32>,
    /// The present officers' keys that sign.
    pub(crate) by: &'a [String],
}

/// Makes the next trust root, with a sealed key file for each new officer, and has it signed.
pub(crate) fn rotate(realm: &mut Realm, rotation: &Rotation<'_>) -> Done<StatementId> {
    if rotation.days == 0 {
        return Err(Failure::usage("a trust root that lasts 0 days could never be used"));
    }
    let present =
        realm.ledger().world().root().cloned().ok_or_else(|| Failure::missing("trust root", "in force"))?;
    let witnesses = witnesses(&present.body.witnesses, rotation)?;
    let mut keys = remaining(&present.body.keys, rotation.remove)?;
    // The signers' passphrases are asked for before anything new is made.
    for name in rotation.by {
        realm.keys.open(name)?;
    }
    let mut signers = rotation.by.to_vec();
    for officer in rotation.add {
        let person: PersonId = officer.parse()?;
        if keys.values().any(|key| key.person == person) {
            return Err(Failure::usage(format!("`{officer}` is an officer already")));
        }
        let name = format!("root-{person}");
        // One that is there was made before, by whoever will hold it or by a rotation that was refused.
        if !realm.keys.names()?.contains(&name) {
            realm.keys.create(&name, FileScheme::Ed25519, Assurance::Sealed)?;
        }
        let (key, assurance) = realm.keys.public(&name)?;
        keys.insert(key.id(), RootKey { assurance, key, person });
        signers.push(name);
    }
    let officers: BTreeSet<KeyId> = keys.keys().copied().collect();
    let mut roles = present.body.roles.clone();
    for (role, rule) in &mut roles {
        if !role.delegable() {
            rule.keys.clone_from(&officers);
        }
    }
    if let (Some(quorum), Some(rule)) = (rotation.monitor_quorum, roles.get_mut(&Role::Monitor)) {
        rule.threshold = quorum;
    }
    let next = TrustRoot {
        epoch: present.body.epoch.saturating_add(1),
        expires_ms: realm.log_time_ms().saturating_add(rotation.days.saturating_mul(DAY_MS)),
        keys,
        log: present.body.log.clone(),
        previous: Some(present.id),
        roles,
        witnesses,
    };
    say_together(realm, &signers, Tracking::Realm, next)
}

fn remaining(keys: &BTreeMap<KeyId, RootKey>, leaving: &[String]) -> Done<BTreeMap<KeyId, RootKey>> {
    for person in leaving {
        if keys.values().all(|key| key.person.as_str() != person) {
            return Err(Failure::missing("officer", person));
        }
    }
    let stays = |key: &RootKey| leaving.iter().all(|person| key.person.as_str() != person);
    Ok(keys.iter().filter(|(_, key)| stays(key)).map(|(id, key)| (*id, key.clone())).collect())
}

fn witnesses(present: &Witnesses, rotation: &Rotation<'_>) -> Done<Witnesses> {
    let named = |key: &str| key.split('+').next().unwrap_or_default().to_owned();
    for name in rotation.without_witnesses {
        if present.keys.iter().all(|witness| named(&witness.key) != *name) {
            return Err(Failure::missing("witness", name));
        }
    }
    let mut keys = present.keys.clone();
    keys.retain(|witness| !rotation.without_witnesses.contains(&named(&witness.key)));
    for (person, key) in rotation.witnesses {
        let verifier: VerifierKey = key.parse()?;
        keys.insert(WitnessKey { key: verifier.to_string(), person: person.parse()? });
    }
    Ok(Witnesses { keys, threshold: rotation.witness_threshold.unwrap_or(present.threshold) })
}
