//! One example of every kind, with every optional member present: for tests and for `docs/statements/`.
//!
//! The keys are made from published seeds and are worthless. Nothing here is read by a decision.
#![allow(clippy::expect_used, reason = "fixed texts: a wrong one fails every test that reads the examples")]

mod change;
pub mod docs;
mod governance;
mod live;
pub mod passkey;
mod record;

use std::collections::BTreeSet;
use std::str::FromStr;

use ed25519_dalek::Signer as _;

use crate::bytes::Bytes;
use crate::digest::Digest;
use crate::envelope::{Envelope, Signature};
use crate::error::StatementError;
use crate::id::{ChangeId, KeyId, StateId, StatementId, Tracking};
use crate::key::{PublicKey, Scheme};
use crate::kind::{Body, Kind};
use crate::statement::Statement;

/// The published seed (RFC 8032 private key) of [`public_key`], the key that signs the published test vectors.
pub const SEED: &[u8; 32] = b"countersign published test seed.";

/// When every example says it was issued.
pub const ISSUED_MS: u64 = 1_800_000_000_000;

/// One body of every kind, in the order of [`Kind::ALL`].
pub fn bodies() -> Vec<Body> {
    Kind::ALL.iter().map(|kind| body(*kind)).collect()
}

/// The example body of a kind.
pub fn body(kind: Kind) -> Body {
    match kind {
        Kind::TrustRoot => governance::trust_root().into(),
        Kind::DirectoryEntry => governance::directory_entry().into(),
        Kind::Policy => governance::policy().into(),
        Kind::Slot => governance::slot().into(),
        Kind::Grant => governance::grant().into(),
        Kind::Revocation => governance::revocation().into(),
        Kind::CapabilityLevel => governance::capability_level().into(),
        Kind::Freeze => governance::freeze().into(),
        Kind::Proposal => change::proposal().into(),
        Kind::Finding => change::finding().into(),
        Kind::Verdict => change::verdict().into(),
        Kind::Approval => change::approval().into(),
        Kind::Rejection => change::rejection().into(),
        Kind::ServedState => change::served_state().into(),
        Kind::ReleaseOrder => live::release_order().into(),
        Kind::EngineBinding => live::engine_binding().into(),
        Kind::StageReport => live::stage_report().into(),
        Kind::SignOff => live::sign_off().into(),
        Kind::Observation => live::observation().into(),
        Kind::Incident => live::incident().into(),
        Kind::RollbackOrder => live::rollback_order().into(),
        Kind::BreakGlass => live::break_glass().into(),
        Kind::Hold => record::hold().into(),
        Kind::Purge => record::purge().into(),
        Kind::Retirement => record::retirement().into(),
        Kind::Attempt => record::attempt().into(),
    }
}

/// The example statement of a kind: in the realm `example`, about a change or the realm, as its kind has it, to be
/// signed by [`public_key`] alone.
pub fn statement(kind: Kind) -> Statement {
    let tracking = match kind {
        Kind::TrustRoot
        | Kind::DirectoryEntry
        | Kind::Policy
        | Kind::Slot
        | Kind::Grant
        | Kind::Revocation
        | Kind::CapabilityLevel
        | Kind::Freeze
        | Kind::Hold
        | Kind::Purge => Tracking::Realm,
        Kind::Proposal
        | Kind::Finding
        | Kind::Verdict
        | Kind::Approval
        | Kind::Rejection
        | Kind::ReleaseOrder
        | Kind::EngineBinding
        | Kind::StageReport
        | Kind::SignOff
        | Kind::Observation
        | Kind::Incident
        | Kind::RollbackOrder
        | Kind::BreakGlass
        | Kind::ServedState
        | Kind::Retirement
        | Kind::Attempt => Tracking::Change(change_id()),
    };
    Statement::new(text("example"), tracking, ISSUED_MS, body(kind)).signed_by(&[public_key().id()])
}

/// The public key of [`SEED`].
pub fn public_key() -> PublicKey {
    ed25519_key(SEED)
}

/// The example statement of a kind, signed by [`public_key`] alone.
pub fn envelope(kind: Kind) -> Result<Envelope, StatementError> {
    sign(&statement(kind), SEED)
}

/// A statement signed with the Ed25519 key of `seed`.
pub fn sign(statement: &Statement, seed: &[u8; 32]) -> Result<Envelope, StatementError> {
    let mut envelope = statement.to_envelope()?;
    let sig = ed25519_dalek::SigningKey::from_bytes(seed).sign(&envelope.message());
    envelope.add(Signature { keyid: ed25519_key(seed).id(), sig: Bytes::new(sig.to_bytes().to_vec()) })?;
    Ok(envelope)
}

/// The Ed25519 public key of `seed`.
pub fn ed25519_key(seed: &[u8; 32]) -> PublicKey {
    let key = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key();
    PublicKey { public: Bytes::new(key.to_bytes().to_vec()), scheme: Scheme::Ed25519 }
}

fn text<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a valid identifier")
}

fn texts<T: FromStr<Err: std::fmt::Debug> + Ord>(names: &[&str]) -> BTreeSet<T> {
    names.iter().map(|name| text(name)).collect()
}

fn digest(label: &str) -> Digest {
    Digest::of(label.as_bytes())
}

fn digests(labels: &[&str]) -> BTreeSet<Digest> {
    labels.iter().map(|label| digest(label)).collect()
}

fn state(label: &str) -> StateId {
    StateId::from_digest(digest(label))
}

fn statement_id(label: &str) -> StatementId {
    StatementId::from_digest(digest(label))
}

fn statement_ids(labels: &[&str]) -> BTreeSet<StatementId> {
    labels.iter().map(|label| statement_id(label)).collect()
}

fn key(label: &str) -> PublicKey {
    ed25519_key(digest(label).as_bytes())
}

fn key_id(label: &str) -> KeyId {
    key(label).id()
}

fn change_id() -> ChangeId {
    text("chg-00112233445566778899aabbccddeeff")
}
