//! Following a log: every leaf from the first, verified and folded.
//!
//! The gateway holds the hash of every leaf it has seen as the tree's frontier. A new checkpoint is believed when its
//! signature is by the log's key and the leaves seen before together with the new ones hash to its root: so it continues
//! what was seen, without a proof of it. Nothing is folded before that.

use dossier::{Applied, Checked, KeyBook, Ledger, Refusal, replay};
use merkle::tile::{bundles_between, decode_bundle};
use merkle::{Frontier, SignedCheckpoint, VerifiedCheckpoint, VerifierKey, leaf_hash};
use policy::gate::{Bench, CheckpointView};
use statement::leaf::ENTRY_BYTES_MAX;
use statement::{Body, Content, Leaf, PublicKey};

use crate::Error;
use crate::config::Realm;
use crate::keep::Keep;
use crate::source::Source;
use crate::view::checkpoint_view;

/// Bytes of a checkpoint at most.
const CHECKPOINT_BYTES_MAX: usize = 1 << 20;
/// Bytes of a bundle of entries at most: 256 of them with their lengths.
const BUNDLE_BYTES_MAX: usize = 256 * (ENTRY_BYTES_MAX + 2);
/// Leaves that are taken at one look under a checkpoint by a key that is known, and under one that is not: where the log's
/// key was rotated, the leaves themselves bring the key that the checkpoint is by.
const LEAVES_MAX: u64 = 4 << 20;
const LEAVES_UNKNOWN_MAX: u64 = 1024;
/// Bytes of leaves that are taken at one look.
const BYTES_MAX: usize = 1 << 30;

/// What a gateway has seen of its realm's log.
#[derive(Debug)]
pub struct Follower {
    realm: Realm,
    pinned: VerifierKey,
    bench: Bench,
    book: KeyBook,
    leaves: Vec<Checked>,
    ledger: Ledger,
    frontier: Frontier,
    head: Option<VerifiedCheckpoint>,
    view: Option<CheckpointView>,
    /// Bytes of the file of leaves that were written, and the leaves that could not be.
    kept_bytes: u64,
    unwritten: Vec<Vec<u8>>,
}

/// What is to be read of a log, from what was seen of it.
#[derive(Debug)]
pub(crate) struct Wanted {
    origin: String,
    /// The keys that a checkpoint may be by.
    keys: Vec<VerifierKey>,
    /// Leaves that were seen.
    kept: u64,
    head: Option<Vec<u8>>,
}

/// What was read of a log. Nobody has verified it.
#[derive(Debug)]
pub(crate) enum Found {
    /// The checkpoint that was seen before.
    Same(Vec<u8>),
    /// Another one, and the leaves that are new under it.
    More(Vec<u8>, SignedCheckpoint, Vec<Vec<u8>>),
    /// One by a key of the log, under which there are fewer leaves than were seen, or more than are taken.
    Fewer(Vec<u8>, u64),
}

impl Wanted {
    /// Reads it.
    pub(crate) fn read(&self, source: &dyn Source) -> Result<Found, Error> {
        let place = || "checkpoint".to_owned();
        let bytes = source
            .read("checkpoint", CHECKPOINT_BYTES_MAX)?
            .ok_or_else(|| Error::Unreachable { place: place(), reason: "there is none".to_owned() })?;
        if self.head.as_ref() == Some(&bytes) {
            return Ok(Found::Same(bytes));
        }
        let signed = SignedCheckpoint::parse(&bytes)
            .map_err(|error| Error::Malformed { place: place(), reason: error.to_string() })?;
        let (kept, found) = (self.kept, signed.claims().size());
        // Asked before anything is fetched: whoever has no key of the log has little say about how much that is.
        let opened = VerifiedCheckpoint::open(&bytes, &self.origin, &self.keys);
        let most = if opened.is_ok() { LEAVES_MAX } else { LEAVES_UNKNOWN_MAX };
        if found < kept || found - kept > most {
            opened.map_err(Error::checkpoint)?;
            return Ok(Found::Fewer(bytes, found));
        }
        let entries = Self::fetch(source, kept, found)?;
        Ok(Found::More(bytes, signed, entries))
    }

    /// Everything of a log of which nothing was seen, whoever signs it.
    #[cfg(test)]
    pub(crate) fn of(origin: &str) -> Self {
        Self { origin: origin.to_owned(), keys: Vec::new(), kept: 0, head: None }
    }

    fn fetch(source: &dyn Source, from: u64, to: u64) -> Result<Vec<Vec<u8>>, Error> {
        let (mut entries, mut total) = (Vec::new(), 0_usize);
        for path in bundles_between(from, to) {
            let name = path.to_string();
            let wrong = |reason: String| Error::Malformed { place: name.clone(), reason };
            // A log that has grown meanwhile may have the whole bundle alone.
            let (path, bytes) = if let Some(bytes) = source.read(&name, BUNDLE_BYTES_MAX)? {
                (path, bytes)
            } else {
                let full = path.full();
                let gone = || Error::Unreachable { place: name.clone(), reason: "there is none".to_owned() };
                (full, source.read(&full.to_string(), BUNDLE_BYTES_MAX)?.ok_or_else(gone)?)
            };
            let bundle = decode_bundle(&path, &bytes).map_err(|error| wrong(error.to_string()))?;
            total = total.saturating_add(bytes.len());
            if total > BYTES_MAX {
                return Err(wrong(format!("the new leaves have more than {BYTES_MAX} bytes")));
            }
            let first = path.index().saturating_mul(256);
            for (index, entry) in (first..).zip(bundle) {
                if (from..to).contains(&index) {
                    entries.push(entry.to_vec());
                }
            }
        }
        Ok(entries)
    }
}

impl Follower {
    /// Reads what was kept, and checks it as if it had come from outside.
    pub(crate) fn open(realm: &Realm, keep: &Keep) -> Result<Self, Error> {
        let pinned = VerifierKey::parse(realm.log_key.as_bytes()).map_err(Error::checkpoint)?;
        let mut follower = Self {
            realm: realm.clone(),
            pinned,
            bench: Bench::new(),
            book: KeyBook::new(),
            leaves: Vec::new(),
            ledger: Ledger::new(),
            frontier: Frontier::new(),
            head: None,
            view: None,
            kept_bytes: 0,
            unwritten: Vec::new(),
        };
        let Some(head) = keep.head()? else { return Ok(follower) };
        let path = keep.path("checkpoint");
        let parsed = SignedCheckpoint::parse(&head)
            .map_err(|error| Error::Kept { path, reason: error.to_string() })?;
        let entries = keep.entries(parsed.claims().size())?;
        // Which log key was in force then is known from the leaves, so the head is opened after them.
        follower.take(parsed, &entries)?;
        follower.kept_bytes = entries.iter().map(|entry| entry.len() as u64 + 4).sum();
        Ok(follower)
    }

    /// What the log folds to.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The checkpoint that everything is judged by, as its witnesses have it.
    pub const fn view(&self) -> Option<CheckpointView> {
        self.view
    }

    /// The newest leaf that ties an engine with this channel key and has no effect, and why it has none.
    pub(crate) fn void_binding(&self, key: &PublicKey) -> Option<(u64, Refusal)> {
        self.ledger.noops().iter().rev().find_map(|(index, refusal)| {
            let entry = self.leaves.get(usize::try_from(*index).ok()?)?;
            let Ok(Leaf { content: Content::Known(statement), .. }) = entry.leaf() else { return None };
            let Body::EngineBinding(binding) = &statement.body else { return None };
            (binding.channel == *key).then(|| (*index, refusal.clone()))
        })
    }

    pub(crate) const fn bench(&self) -> &Bench {
        &self.bench
    }

    pub(crate) const fn book(&self) -> &KeyBook {
        &self.book
    }

    /// What is to be read now.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            origin: self.realm.origin.clone(),
            keys: self.keys(),
            kept: self.frontier.size(),
            head: self.head.as_ref().map(VerifiedCheckpoint::to_bytes),
        }
    }

    /// Takes what was read of the log. Answers whether anything is new.
    ///
    /// # Errors
    /// What was seen before stays as it was.
    pub(crate) fn take_in(&mut self, found: Found, keep: &Keep) -> Result<bool, Error> {
        match found {
            Found::Same(bytes) => {
                if !self.unwritten.is_empty() {
                    self.write(keep, &bytes)?;
                }
                Ok(false)
            }
            Found::Fewer(bytes, found) => {
                keep.evidence(&bytes)?;
                Err(Error::RolledBack { kept: self.frontier.size(), found })
            }
            Found::More(bytes, signed, entries) => match self.take(signed, &entries) {
                Err(error @ Error::Forked { .. }) => {
                    keep.evidence(&bytes)?;
                    Err(error)
                }
                Err(error) => Err(error),
                Ok(()) => {
                    self.unwritten.extend(entries);
                    self.write(keep, &bytes)?;
                    Ok(true)
                }
            },
        }
    }

    /// Keeps what was verified. A disk that is full costs a restart its leaves, and nothing before it.
    fn write(&mut self, keep: &Keep, head: &[u8]) -> Result<(), Error> {
        self.kept_bytes = keep.advance(self.kept_bytes, &self.unwritten, head)?;
        self.unwritten.clear();
        Ok(())
    }

    /// The keys by which a checkpoint may be signed: the pinned one, and that of the trust root in force.
    fn keys(&self) -> Vec<VerifierKey> {
        let in_force =
            self.ledger.world().root().and_then(|root| VerifierKey::parse(root.body.log.key.as_bytes()).ok());
        match in_force {
            Some(key) => vec![key],
            None => vec![self.pinned.clone()],
        }
    }

    /// Takes leaves under a checkpoint, or nothing.
    fn take(&mut self, signed: SignedCheckpoint, entries: &[Vec<u8>]) -> Result<(), Error> {
        let size = signed.claims().size();
        let mut frontier = self.frontier.clone();
        for entry in entries {
            frontier.push(leaf_hash(entry));
        }
        if frontier.size() != size || frontier.root() != *signed.claims().root() {
            return Err(Error::Forked { size });
        }
        let (mut book, mut ledger) = (self.book.clone(), self.ledger.clone());
        let before = self.leaves.len();
        for (index, entry) in (before as u64..).zip(entries) {
            self.leaves.push(Checked::read(index, entry, &mut book));
        }
        let taken = self.fold(before, &mut ledger).and_then(|()| self.check(signed, &ledger));
        match taken {
            Ok((head, view)) => {
                (self.frontier, self.book, self.ledger) = (frontier, book, ledger);
                (self.head, self.view) = (Some(head), Some(view));
                Ok(())
            }
            Err(error) => {
                self.leaves.truncate(before);
                Err(error)
            }
        }
    }

    fn fold(&self, from: usize, ledger: &mut Ledger) -> Result<(), Error> {
        for entry in self.leaves.get(from..).unwrap_or_default() {
            if ledger.apply(entry, &self.bench)? == Applied::Refold {
                *ledger = replay(&self.leaves, &self.bench)?;
                break;
            }
        }
        Ok(())
    }

    /// Whether the leaves are those of the pinned realm, and the checkpoint by the key of its trust root in force.
    fn check(
        &self,
        signed: SignedCheckpoint,
        ledger: &Ledger,
    ) -> Result<(VerifiedCheckpoint, CheckpointView), Error> {
        let pinned = self.realm.root;
        let world = ledger.world();
        let is_ours = world.roots().first() == Some(&pinned) && ledger.realm() == Some(&self.realm.name);
        let root = world.root().filter(|_| is_ours).ok_or(Error::OtherRoot { pinned })?;
        let key = VerifierKey::parse(root.body.log.key.as_bytes()).map_err(Error::checkpoint)?;
        let head = signed.open(&self.realm.origin, &[key]).map_err(Error::checkpoint)?;
        let view = checkpoint_view(&root.body, &head).map_err(Error::checkpoint)?;
        // A log publishes its head a moment before its witnesses have cosigned it.
        let threshold = root.body.witnesses.threshold;
        if view.witnesses < threshold {
            return Err(Error::Unwitnessed { size: view.size, witnesses: view.witnesses, threshold });
        }
        Ok((head, view))
    }
}
