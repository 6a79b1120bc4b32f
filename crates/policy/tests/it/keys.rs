//! Keys beside the fixture's, and what a leaf came to.

use std::collections::BTreeSet;

use audit::fixture::{BEGIN_MS, DAY_MS, Realm, Who};
use dossier::Refusal;
use ed25519_dalek::{Signer as _, SigningKey};
use statement::kind::{Assurance, Body, Capacity, DirectoryEntry, Role, Tier};
use statement::{
    Bytes, Digest, Envelope, KeyId, PublicKey, Scheme, Signature, Statement, StatementId, Tracking,
};

pub(crate) const OFFICERS: [Who; 2] = [Who::OfficerOne, Who::OfficerTwo];
pub(crate) const POLICY: [Who; 2] = [Who::PolicyOne, Who::PolicyTwo];
pub(crate) const ROOTS: [Who; 2] = [Who::RootOne, Who::RootTwo];

/// A key that is nobody's of the fixture.
#[derive(Debug, Clone)]
pub(crate) struct Key(SigningKey);

impl Key {
    pub(crate) fn new(label: &str) -> Self {
        Self(SigningKey::from_bytes(Digest::of(label.as_bytes()).as_bytes()))
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey { public: Bytes::new(self.0.verifying_key().to_bytes().to_vec()), scheme: Scheme::Ed25519 }
    }

    pub(crate) fn id(&self) -> KeyId {
        self.public().id()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        Signature { keyid: self.id(), sig: Bytes::new(self.0.sign(message).to_bytes().to_vec()) }
    }

    /// A directory entry for the key: sealed, cleared for everything, for ten years.
    pub(crate) fn entry(&self, person: &str, roles: &[Role]) -> DirectoryEntry {
        DirectoryEntry {
            assurance: Assurance::Sealed,
            capacities: BTreeSet::from([
                Capacity::Oversight,
                Capacity::Technical,
                Capacity::Ethics,
                Capacity::Security,
                Capacity::Business,
            ]),
            clearance: Tier::High,
            key: self.public(),
            not_after_ms: BEGIN_MS + 3_650 * DAY_MS,
            person: person.parse().unwrap(),
            profile: None,
            roles: roles.iter().copied().collect(),
        }
    }

    /// Enrols the key with these roles.
    #[track_caller]
    pub(crate) fn enrolled(label: &str, person: &str, roles: &[Role], realm: &mut Realm) -> Self {
        let key = Self::new(label);
        realm.establish(&Tracking::Realm, key.entry(person, roles), &OFFICERS);
        key
    }
}

/// A statement of now signed by one key.
pub(crate) fn signed(realm: &Realm, about: &Tracking, body: impl Into<Body>, key: &Key) -> Envelope {
    issued(realm, about, body, realm.now_ms(), &[], &[key])
}

/// A statement of any time signed by any.
pub(crate) fn issued(
    realm: &Realm,
    about: &Tracking,
    body: impl Into<Body>,
    issued_ms: u64,
    by: &[Who],
    keys: &[&Key],
) -> Envelope {
    let signers: Vec<KeyId> =
        by.iter().map(|who| who.key_id()).chain(keys.iter().map(|key| key.id())).collect();
    let statement = Statement::new(realm.id().clone(), about.clone(), issued_ms, body).signed_by(&signers);
    let mut envelope = realm.seal(&statement, by);
    for key in keys {
        envelope.add(key.sign(&envelope.message())).unwrap();
    }
    envelope
}

/// Submits an envelope that must have effect.
#[track_caller]
pub(crate) fn applies(realm: &mut Realm, envelope: &Envelope) -> StatementId {
    let index = realm.submit(envelope);
    assert_eq!(realm.ledger().noops().get(&index).map(ToString::to_string), None);
    assert!(realm.ledger().has_applied(&envelope.id()));
    envelope.id()
}

/// Submits an envelope that must be refused for exactly these codes.
#[track_caller]
pub(crate) fn is_refused(realm: &mut Realm, envelope: &Envelope, expected: &[&str]) {
    let before = realm.ledger().effective();
    let index = realm.submit(envelope);
    let refusal = realm.ledger().noops().get(&index).unwrap_or_else(|| panic!("leaf {index} has effect"));
    assert_eq!(codes(refusal), expected, "{refusal}");
    assert_eq!(realm.ledger().effective(), before);
}

/// Says what must be refused for exactly these codes.
#[track_caller]
pub(crate) fn refuses(
    realm: &mut Realm,
    about: &Tracking,
    body: impl Into<Body>,
    by: &[Who],
    expected: &[&str],
) {
    let envelope = realm.sign(about, body, by);
    is_refused(realm, &envelope, expected);
}

/// The codes of a refusal, each once, sorted.
pub(crate) fn codes(refusal: &Refusal) -> Vec<&'static str> {
    let codes: BTreeSet<&str> = refusal.reasons().map(|reason| reason.code.as_str()).collect();
    codes.into_iter().collect()
}
