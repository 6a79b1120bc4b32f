//! The sealed record of an artefact, and where things are stored.
//!
//! `<tenant>/records/<2 hex>/<62 hex>` holds the record, named by HMAC-SHA-256 of the digest under a key of the
//! tenant. `<tenant>/content/<2 hex>/<30 hex>` holds the content and its tree, named at random. A tombstone is a
//! record without a data key: it takes the place of the record that it ends.

use object_store::path::Path;
use statement::Digest;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::seal::{open_message, seal_message};
use crate::secret::{DataKey, KEY_LEN, TenantKey};
use crate::tenant::Tenant;
use crate::tree::Blake3Root;
use crate::vault::Protection;

const VERSION: u8 = 1;
const CONTENT: u8 = 1;
const TOMBSTONE: u8 = 2;
const ENCRYPTED: u8 = 1;
const PLAIN: u8 = 2;
const CONTENT_ID: usize = 16;

/// The random name of a stored content.
pub(crate) type ContentId = [u8; CONTENT_ID];

/// What the vault knows about one artefact.
#[derive(Debug)]
pub(crate) enum Record {
    /// It is stored.
    Content(ContentRecord),
    /// It was purged; the content's name is kept so that an interrupted purge can be finished.
    Tombstone {
        /// The artefact.
        digest: Digest,
        /// The content's name.
        content: ContentId,
        /// How the content was stored.
        protection: Protection,
    },
}

/// What is needed to find, decrypt and verify a content.
#[derive(Debug)]
pub(crate) struct ContentRecord {
    pub(crate) digest: Digest,
    pub(crate) root: Blake3Root,
    pub(crate) length: u64,
    pub(crate) content: ContentId,
    pub(crate) protection: Protection,
    pub(crate) key: DataKey,
}

/// The tenant whose record it is, its key, and the record's keyed name.
pub(crate) struct Place<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) key: &'a TenantKey,
    pub(crate) name: [u8; 32],
}

impl<'a> Place<'a> {
    /// The place of `digest`'s record.
    pub(crate) fn of(tenant: &'a Tenant, key: &'a TenantKey, digest: &Digest) -> Result<Self> {
        Ok(Self { tenant, key, name: key.name_of(digest)? })
    }

    /// The place of a record found in a listing.
    pub(crate) fn found(tenant: &'a Tenant, key: &'a TenantKey, path: &Path) -> Result<Self> {
        let text: String = path.parts().skip(2).map(|part| part.as_ref().to_owned()).collect();
        let digest: Digest = text.parse().map_err(|_| Error::RecordCorrupt { record: path.to_string() })?;
        Ok(Self { tenant, key, name: *digest.as_bytes() })
    }

    /// The record's object.
    pub(crate) fn path(&self) -> Path {
        sharded(self.tenant, "records", &self.name)
    }

    fn context(&self) -> Vec<u8> {
        context(b"record", self.tenant, &self.name)
    }
}

/// The object that holds a content.
pub(crate) fn content_path(tenant: &Tenant, content: &ContentId) -> Path {
    sharded(tenant, "content", content)
}

/// The prefix of all of a tenant's records.
pub(crate) fn records_prefix(tenant: &Tenant) -> Path {
    Path::from_iter([tenant.as_str(), "records"])
}

/// The prefix of all of a tenant's contents.
pub(crate) fn contents_prefix(tenant: &Tenant) -> Path {
    Path::from_iter([tenant.as_str(), "content"])
}

/// What a sealed message is and whose, for its context: no two kinds, tenants or names share one.
pub(crate) fn context(kind: &[u8], tenant: &Tenant, name: &[u8]) -> Vec<u8> {
    [b"countersign-vault/v1/", kind, b"\0", tenant.as_str().as_bytes(), b"\0", name].concat()
}

fn sharded(tenant: &Tenant, kind: &str, name: &[u8]) -> Path {
    let text = hex(name);
    let (shard, rest) = text.split_at(2);
    Path::from_iter([tenant.as_str(), kind, shard, rest])
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

impl Record {
    /// The artefact's digest.
    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::Content(record) => record.digest,
            Self::Tombstone { digest, .. } => *digest,
        }
    }

    /// The bytes to store at `place`.
    pub(crate) fn seal(&self, place: &Place<'_>) -> Result<Vec<u8>> {
        let mut plain = Zeroizing::new(Vec::with_capacity(1 + 1 + 1 + 32 + CONTENT_ID + 32 + 8 + KEY_LEN));
        let (kind, digest, content, protection) = match self {
            Self::Content(record) => (CONTENT, &record.digest, &record.content, record.protection),
            Self::Tombstone { digest, content, protection } => (TOMBSTONE, digest, content, *protection),
        };
        let protection = match protection {
            Protection::Encrypted => ENCRYPTED,
            Protection::Plain => PLAIN,
        };
        plain.extend_from_slice(&[VERSION, kind, protection]);
        plain.extend_from_slice(digest.as_bytes());
        plain.extend_from_slice(content);
        if let Self::Content(record) = self {
            plain.extend_from_slice(record.root.as_bytes());
            plain.extend_from_slice(&record.length.to_be_bytes());
            plain.extend_from_slice(record.key.bytes());
        }
        let key = place.key.record_key()?;
        seal_message(&key, &place.context(), &plain).map_err(|_| Error::Cryptography)
    }

    /// Opens the bytes stored at `place`; a record moved from another place or tenant does not open.
    pub(crate) fn open(sealed: &[u8], place: &Place<'_>) -> Result<Self> {
        let corrupt = || Error::RecordCorrupt { record: place.path().to_string() };
        let key = place.key.record_key()?;
        let plain = open_message(&key, &place.context(), sealed).map_err(|_| corrupt())?;
        let record = Self::parse(&plain).ok_or_else(corrupt)?;
        // INVARIANT: the name is the digest's, so one digest has one record.
        if place.key.name_of(&record.digest())? == place.name { Ok(record) } else { Err(corrupt()) }
    }

    fn parse(plain: &[u8]) -> Option<Self> {
        let ([version, kind, protection], rest) = plain.split_first_chunk::<3>()?;
        let protection = match *protection {
            ENCRYPTED => Protection::Encrypted,
            PLAIN => Protection::Plain,
            _ => return None,
        };
        let (digest, rest) = rest.split_first_chunk::<32>()?;
        let (content, rest) = rest.split_first_chunk::<CONTENT_ID>()?;
        let (digest, content) = (Digest::from_bytes(*digest), *content);
        match (*version, *kind) {
            (VERSION, TOMBSTONE) => {
                rest.is_empty().then_some(Self::Tombstone { digest, content, protection })
            }
            (VERSION, CONTENT) => {
                let (root, rest) = rest.split_first_chunk::<32>()?;
                let (length, rest) = rest.split_first_chunk::<8>()?;
                let (key, rest) = rest.split_first_chunk::<KEY_LEN>()?;
                rest.is_empty().then(|| {
                    Self::Content(ContentRecord {
                        digest,
                        root: Blake3Root::from_bytes(*root),
                        length: u64::from_be_bytes(*length),
                        content,
                        protection,
                        key: DataKey::from_bytes(*key),
                    })
                })
            }
            _ => None,
        }
    }
}
