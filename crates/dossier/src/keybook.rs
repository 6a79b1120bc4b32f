//! Which signatures are good, before anybody asks whether they count.
//!
//! A key id is the digest of the key, so that knowing a key is no authority: the fold asks the world for that. This
//! split lets a reader parse and check many leaves in parallel and fold them in order.

use std::collections::{BTreeMap, BTreeSet};

use statement::{Body, Content, Envelope, KeyId, Leaf, PublicKey, StatementError, leaf};

/// Public keys by id, gathered from trust roots and directory entries.
#[derive(Debug, Clone, Default)]
pub struct KeyBook(BTreeMap<KeyId, PublicKey>);

impl KeyBook {
    /// An empty book.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the keys that an entry names.
    pub fn learn(&mut self, entry: &Parsed) {
        let Ok(Leaf { content: Content::Known(statement), .. }) = &entry.leaf else { return };
        match &statement.body {
            Body::TrustRoot(root) => {
                for key in root.keys.values() {
                    self.0.insert(key.key.id(), key.key.clone());
                }
            }
            Body::DirectoryEntry(entry) => {
                self.0.insert(entry.key.id(), entry.key.clone());
            }
            _ => {}
        }
    }

    /// The key of that id.
    pub fn key(&self, id: &KeyId) -> Option<&PublicKey> {
        self.0.get(id)
    }

    fn good(&self, envelope: &Envelope) -> BTreeSet<KeyId> {
        let message = envelope.message();
        let is_good = |signature: &&statement::Signature| {
            self.key(&signature.keyid)
                .is_some_and(|key| key.verify(&message, signature.sig.as_slice()).is_ok())
        };
        envelope.signatures.iter().filter(is_good).map(|signature| signature.keyid).collect()
    }
}

/// An entry of the log, parsed as far as it can be.
#[derive(Debug)]
pub struct Parsed {
    index: u64,
    leaf: Result<Leaf, StatementError>,
    /// Of a leaf that did not parse: its envelope, where at least that could be read.
    envelope: Option<Envelope>,
}

impl Parsed {
    /// Parses the entry at `index`.
    pub fn new(index: u64, entry: &[u8]) -> Self {
        let leaf = Leaf::parse(index, entry);
        let envelope = match &leaf {
            Ok(_) => None,
            Err(_) => leaf::split(entry).ok().and_then(|(envelope, _)| Envelope::parse(envelope).ok()),
        };
        Self { index, leaf, envelope }
    }
}

/// An entry whose signatures have been checked: only [`Checked::new`] makes it.
#[derive(Debug)]
pub struct Checked {
    index: u64,
    leaf: Result<Leaf, StatementError>,
    good: BTreeSet<KeyId>,
}

impl Checked {
    /// Checks every signature that is by a key of the book.
    pub fn new(entry: Parsed, book: &KeyBook) -> Self {
        let envelope = match &entry.leaf {
            Ok(leaf) => Some(&leaf.envelope),
            Err(_) => entry.envelope.as_ref(),
        };
        let good = envelope.map(|envelope| book.good(envelope)).unwrap_or_default();
        Self { index: entry.index, leaf: entry.leaf, good }
    }

    /// Parses and checks the next entry, learning the keys it names first.
    pub fn read(index: u64, entry: &[u8], book: &mut KeyBook) -> Self {
        let parsed = Parsed::new(index, entry);
        book.learn(&parsed);
        Self::new(parsed, book)
    }

    /// Its place in the log.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The leaf, or why it is none.
    pub const fn leaf(&self) -> Result<&Leaf, &StatementError> {
        self.leaf.as_ref()
    }

    /// The keys whose signatures are good.
    pub const fn good(&self) -> &BTreeSet<KeyId> {
        &self.good
    }
}
