//! A small realm in memory, with worthless keys from published seeds: for tests and demonstrations.
//!
//! [`Realm::new`] is ready for changes: trust root, persons, policy, one slot with its first state. Every step is a
//! statement signed with a real Ed25519 key and folded at once, so that tests can look at [`Realm::ledger`] after each.
//! Time moves only when told to ([`Realm::advance_ms`]); every leaf takes the present moment as its stamp.
//!
//! ```
//! let mut realm = audit::fixture::Realm::new();
//! let change = realm.release(audit::fixture::Plan::tuning("first"));
//! assert_eq!(realm.ledger().dossier(&change).map(|dossier| dossier.state.name()), Some("ordered"));
//! let report = audit::audit(&realm.export(), &realm.expectations()).unwrap();
//! assert!(report.is_clean());
//! ```
//!
//! Not for use outside tests and demonstrations: whoever reads this file has every key.
#![allow(clippy::expect_used, reason = "test material: a wrong step is to fail where it stands")]
#![allow(clippy::missing_panics_doc, reason = "test material: a wrong step is to fail where it stands")]

mod cast;
mod found;
mod steps;

use std::num::NonZeroUsize;
use std::str::FromStr;

use dossier::{Applied, Checked, KeyBook, Ledger, replay};
use merkle::{Checkpoint, Cosigner as _, Ed25519Cosigner, Ed25519NoteSigner, SignedCheckpoint, leaf_hash};
use policy::gate::Bench;
use statement::kind::Body;
use statement::{Digest, Envelope, RealmId, Statement, StatementId, Tracking, leaf};

use crate::check::Expectations;
use crate::export::{Attachment, Finished, Nodes, Writer};

pub use cast::Who;
pub use steps::Plan;

/// The moment at which the realm begins.
pub const BEGIN_MS: u64 = 1_800_000_000_000;

/// A day.
pub const DAY_MS: u64 = 86_400_000;

/// The scope file that the slot asks changes to stay in; [`Realm::export`] carries it.
pub const SCOPE_FILE: &[u8] = b"{\"fixture\":\"scope\"}\n";

/// The slot of [`Realm::new`].
pub const SLOT: &str = "eu/claims";

/// A realm and its log.
#[derive(Debug)]
pub struct Realm {
    id: RealmId,
    now_ms: u64,
    entries: Vec<Vec<u8>>,
    leaves: Vec<Checked>,
    book: KeyBook,
    bench: Bench,
    ledger: Ledger,
    attached: Vec<Vec<u8>>,
}

impl Default for Realm {
    fn default() -> Self {
        Self::new()
    }
}

impl Realm {
    /// A realm named `example`, ready for changes: see [`Realm::found`] for one with nothing in it.
    pub fn new() -> Self {
        let mut realm = Self::found("example");
        realm.open();
        realm
    }

    /// A realm without any leaf.
    pub fn found(name: &str) -> Self {
        Self {
            id: text(name),
            now_ms: BEGIN_MS,
            entries: Vec::new(),
            leaves: Vec::new(),
            book: KeyBook::new(),
            bench: Bench::new(),
            ledger: Ledger::new(),
            attached: Vec::new(),
        }
    }

    /// Puts content into every export from now on.
    pub fn attach(&mut self, content: Vec<u8>) {
        self.attached.push(content);
    }

    /// The realm's name.
    pub const fn id(&self) -> &RealmId {
        &self.id
    }

    /// The present moment.
    pub const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Lets time pass.
    pub const fn advance_ms(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    /// The fold of all leaves so far.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The judge that the fold asks.
    pub const fn bench(&self) -> &Bench {
        &self.bench
    }

    /// The entries of the log.
    pub fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }

    /// The leaves with their checked signatures.
    pub fn leaves(&self) -> &[Checked] {
        &self.leaves
    }

    /// A statement of now, signed by these, not yet submitted. Where nobody signs what needs a name, it names the stranger.
    pub fn sign(&self, about: &Tracking, body: impl Into<Body>, by: &[Who]) -> Envelope {
        let keys: Vec<_> = by.iter().map(|who| who.key_id()).collect();
        let keys = if keys.is_empty() { vec![Who::Stranger.key_id()] } else { keys };
        let statement = Statement::new(self.id.clone(), about.clone(), self.now_ms, body).signed_by(&keys);
        self.seal(&statement, by)
    }

    /// Any statement, signed by these.
    pub fn seal(&self, statement: &Statement, by: &[Who]) -> Envelope {
        let mut envelope = statement.to_envelope().expect("a statement that fits an entry");
        for who in by {
            envelope.add(who.sign(&envelope.message())).expect("every signer once");
        }
        envelope
    }

    /// Logs an envelope at the present moment and folds it in. Its index.
    pub fn submit(&mut self, envelope: &Envelope) -> u64 {
        let bytes = envelope.to_bytes().expect("an envelope that fits an entry");
        self.log(leaf::stamp(&bytes, self.now_ms))
    }

    /// Logs any bytes and folds them in. Their index.
    pub fn log(&mut self, entry: Vec<u8>) -> u64 {
        let index = self.entries.len() as u64;
        let checked = Checked::read(index, &entry, &mut self.book);
        self.entries.push(entry);
        let applied = self.ledger.apply(&checked, &self.bench).expect("a leaf that does not stop the reader");
        self.leaves.push(checked);
        if applied == Applied::Refold {
            self.ledger = replay(&self.leaves, &self.bench).expect("leaves that were applied before");
        }
        index
    }

    /// Logs any bytes without folding them in: for leaves that stop every reader. Only good for exporting afterwards.
    pub fn log_unread(&mut self, entry: Vec<u8>) {
        self.entries.push(entry);
    }

    /// Signs and submits. The statement's id.
    pub fn say(&mut self, about: &Tracking, body: impl Into<Body>, by: &[Who]) -> StatementId {
        let envelope = self.sign(about, body, by);
        self.submit(&envelope);
        envelope.id()
    }

    /// As [`Realm::say`], of a statement that must have effect.
    ///
    /// # Panics
    /// Where it has none, with the reasons.
    #[track_caller]
    pub fn establish(&mut self, about: &Tracking, body: impl Into<Body>, by: &[Who]) -> StatementId {
        let id = self.say(about, body, by);
        let last = self.entries.len() as u64 - 1;
        let refused = self.ledger.noops().get(&last).map(ToString::to_string);
        assert!(self.ledger.has_applied(&id), "leaf {last} has no effect: {refused:?}");
        id
    }

    /// The log's checkpoint over the first `size` leaves, cosigned by the first `witnesses` of two, ten seconds from now.
    pub fn checkpoint(&self, size: u64, witnesses: usize) -> SignedCheckpoint {
        let mut nodes = Nodes::default();
        for entry in self.entries.iter().take(usize::try_from(size).expect("a size in memory")) {
            nodes.push(leaf_hash(entry));
        }
        let checkpoint = Checkpoint::new(&self.origin(), size, nodes.root()).expect("a sound checkpoint");
        let mut signed = checkpoint.sign(&[&self.log_signer()]).expect("the log signs");
        for witness in self.witnesses().iter().take(witnesses) {
            let line =
                witness.cosign(signed.note().text(), self.now_ms / 1000 + 10).expect("the witness cosigns");
            signed.add(line).expect("few cosignatures");
        }
        signed
    }

    /// The export of everything, with both witnesses' cosignatures and the scope file.
    pub fn export(&self) -> Vec<u8> {
        let size = self.entries.len() as u64;
        self.export_with(&self.checkpoint(size, 2), None).to_bytes()
    }

    /// The export under another checkpoint, or with an earlier one where the population begins.
    pub fn export_with(&self, checkpoint: &SignedCheckpoint, from: Option<&SignedCheckpoint>) -> Finished {
        let mut writer = Writer::new(self.id.clone());
        for entry in &self.entries {
            writer.entry(entry).expect("an entry that fits");
        }
        for content in std::iter::once(SCOPE_FILE).chain(self.attached.iter().map(Vec::as_slice)) {
            writer.attach(Attachment { salt: None, content }).expect("a small attachment");
        }
        let from = from.map(SignedCheckpoint::to_bytes);
        writer.finish(&checkpoint.to_bytes(), from.as_deref()).expect("a checkpoint of these entries")
    }

    /// What an auditor who knows this realm expects: its trust root, its log's key, the present moment.
    pub fn expectations(&self) -> Expectations {
        Expectations {
            root: self.ledger.world().roots().first().copied(),
            log_key: Some(self.log_signer().verifier().to_string()),
            now_ms: Some(self.now_ms),
            attestation: None,
            collateral: Vec::new(),
            age_max_ms: None,
            known: Vec::new(),
            threads: NonZeroUsize::MIN.saturating_add(1),
        }
    }

    /// The log's name.
    pub fn origin(&self) -> String {
        format!("{}.invalid/log", self.id)
    }

    /// The log's key.
    pub fn log_signer(&self) -> Ed25519NoteSigner {
        Ed25519NoteSigner::from_seed(&self.origin(), &seed(&format!("log of {}", self.id)))
            .expect("a sound name")
    }

    /// The two witnesses' keys.
    pub fn witnesses(&self) -> [Ed25519Cosigner; 2] {
        ["witness-one", "witness-two"].map(|name| {
            let name = format!("{name}.invalid/{}", self.id);
            Ed25519Cosigner::from_seed(&name, &seed(&name)).expect("a sound name")
        })
    }
}

/// The published seed of a label.
fn seed(label: &str) -> [u8; 32] {
    *Digest::of(format!("countersign fixture: {label}").as_bytes()).as_bytes()
}

fn text<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a valid identifier")
}
