//! The export: the record of a realm in one file, strict and bounded.
//!
//! ```text
//! countersign-export/v1\n
//! {"realm":"…","sections":[{"bytes":…,"name":"…","sha256":"…"},…]}\n
//! the sections' bytes, end to end, exactly to the end of the file
//! ```
//!
//! The header is canonical JSON (RFC 8785). Sections stand in the order of [`Section::ALL`], each at most once:
//!
//! | section | there | bytes |
//! |---|---|---|
//! | `checkpoint` | always | the log's signed checkpoint with its cosignatures (C2SP signed-note) |
//! | `from-checkpoint` | optional | an earlier one of the same log: the population begins after it |
//! | `entries` | always | every leaf from 0: big-endian `u16` length, entry (C2SP tlog-tiles entry bundle) |
//! | `hashes` | always | the 32-byte leaf hash of every leaf, so that an altered leaf can be named |
//! | `consistency` | with `from-checkpoint` | the RFC 6962 proof between the two, a base64 hash a line |
//! | `proofs` | always | for each leaf of kind `release-order`: big-endian `u32` length, C2SP tlog-proof |
//! | `schemas` | always | JSON object from kind to the JSON schema of its payload |
//! | `attachments` | optional | by rising digest: `u32` length, salt (0 or 16 bytes), `u32` length, content |
//!
//! An attachment's digest is SHA-256 of its content where the salt is empty, else SHA-256 of
//! `countersign-attachment-v1`, the salt and the content: the digest by which statements name it.
//!
//! What this module does not do: believe any of it. [`audit`](crate::audit) checks.

mod attachment;
mod framing;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use statement::{Digest, RealmId, json};

use crate::error::AuditError;

pub use attachment::{Attachment, attachments};
pub use framing::entries;
pub(crate) use framing::{count, hashes, proofs};
pub(crate) use write::Nodes;
#[cfg(test)]
pub(crate) use write::assemble;
pub use write::{Finished, Writer, schemas};

/// The first line of an export.
pub const MAGIC: &[u8] = b"countersign-export/v1\n";

/// The longest header, in bytes, without its newline.
pub const HEADER_BYTES_MAX: usize = 1024 * 1024;

/// The most sections that a header may list, known or not.
pub const SECTIONS_MAX: usize = 1000;

/// A part of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// The log's signed head.
    Checkpoint,
    /// The signed head where the population begins.
    FromCheckpoint,
    /// Every leaf.
    Entries,
    /// Every leaf's hash.
    Hashes,
    /// The consistency proof between the two checkpoints.
    Consistency,
    /// An inclusion proof for each release order.
    Proofs,
    /// The kinds' JSON schemas.
    Schemas,
    /// Content of the vault.
    Attachments,
}

impl Section {
    /// Every section, in the order in which they stand.
    pub const ALL: [Self; 8] = [
        Self::Checkpoint,
        Self::FromCheckpoint,
        Self::Entries,
        Self::Hashes,
        Self::Consistency,
        Self::Proofs,
        Self::Schemas,
        Self::Attachments,
    ];

    /// Its name in the header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::FromCheckpoint => "from-checkpoint",
            Self::Entries => "entries",
            Self::Hashes => "hashes",
            Self::Consistency => "consistency",
            Self::Proofs => "proofs",
            Self::Schemas => "schemas",
            Self::Attachments => "attachments",
        }
    }

    const fn is_required(self) -> bool {
        match self {
            Self::Checkpoint | Self::Entries | Self::Hashes | Self::Proofs | Self::Schemas => true,
            Self::FromCheckpoint | Self::Consistency | Self::Attachments => false,
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The header as it stands in the file.
mod wire {
    use super::{Deserialize, Digest, Serialize};

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Header {
        pub(super) realm: String,
        pub(super) sections: Vec<Entry>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Entry {
        pub(super) bytes: u64,
        pub(super) name: String,
        pub(super) sha256: Digest,
    }
}

/// An export's sections, each with the digest that the header names; their content is not yet checked.
#[derive(Debug)]
pub struct Export<'a> {
    realm: RealmId,
    sections: BTreeMap<Section, &'a [u8]>,
}

impl<'a> Export<'a> {
    /// Takes a file apart and checks the sections' digests.
    pub fn parse(file: &'a [u8]) -> Result<Self, AuditError> {
        let rest = file.strip_prefix(MAGIC).ok_or(AuditError::NotAnExport)?;
        let line = rest.get(..rest.len().min(HEADER_BYTES_MAX + 1)).unwrap_or(rest);
        let end = line.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or(AuditError::Header { reason: "it does not end within 1 MiB" })?;
        let (line, rest) = rest.split_at_checked(end).ok_or(AuditError::NotAnExport)?;
        let body = rest.get(1..).unwrap_or_default();
        let value = json::parse_canonical(line, HEADER_BYTES_MAX).map_err(AuditError::HeaderJson)?;
        let header: wire::Header = json::from_value(&value).map_err(AuditError::HeaderShape)?;
        let realm = header.realm.parse().map_err(AuditError::HeaderRealm)?;
        let listed = list(&header.sections)?;

        let announced: u64 = header.sections.iter().map(|entry| entry.bytes).fold(0, u64::saturating_add);
        let found = u64::try_from(body.len()).unwrap_or(u64::MAX);
        if announced != found {
            let head = u64::try_from(file.len() - body.len()).unwrap_or(u64::MAX);
            let (expected, found) = (head.saturating_add(announced), head.saturating_add(found));
            return Err(AuditError::Length { expected, found });
        }
        let mut sections = BTreeMap::new();
        let mut rest = body;
        for (name, entry) in listed {
            let length = usize::try_from(entry.bytes).ok();
            let split = length.and_then(|length| rest.split_at_checked(length));
            let (bytes, after) =
                split.ok_or(AuditError::Header { reason: "a section is longer than the file" })?;
            let digest = Digest::of(bytes);
            if digest != entry.sha256 {
                return Err(AuditError::SectionDigest { name, expected: entry.sha256, found: digest });
            }
            sections.insert(name, bytes);
            rest = after;
        }
        Ok(Self { realm, sections })
    }

    /// The realm that the header names.
    pub const fn realm(&self) -> &RealmId {
        &self.realm
    }

    /// A section's bytes, where it is there.
    pub fn section(&self, name: Section) -> Option<&'a [u8]> {
        self.sections.get(&name).copied()
    }

    /// The sections there are, in order.
    pub fn sections(&self) -> impl Iterator<Item = (Section, &'a [u8])> {
        self.sections.iter().map(|(name, bytes)| (*name, *bytes))
    }

    pub(crate) fn required(&self, name: Section) -> Result<&'a [u8], AuditError> {
        self.section(name).ok_or(AuditError::SectionMissing { name })
    }
}

/// The sections by their names: known, each once, in order, none missing.
fn list(entries: &[wire::Entry]) -> Result<Vec<(Section, &wire::Entry)>, AuditError> {
    if entries.len() > SECTIONS_MAX {
        return Err(AuditError::Header { reason: "it lists more than 1000 sections" });
    }
    let mut listed: Vec<(Section, &wire::Entry)> = Vec::new();
    for entry in entries {
        let section = Section::ALL.into_iter().find(|section| section.name() == entry.name);
        let next = section.filter(|section| listed.last().is_none_or(|(last, _)| last < section));
        let Some(next) = next else {
            let name = entry.name.chars().take(64).flat_map(char::escape_default).collect();
            return Err(AuditError::SectionOrder { name });
        };
        listed.push((next, entry));
    }
    let is_there = |wanted: Section| listed.iter().any(|(section, _)| *section == wanted);
    let needed = Section::ALL.into_iter().filter(|section| section.is_required());
    let pair =
        [(Section::FromCheckpoint, Section::Consistency), (Section::Consistency, Section::FromCheckpoint)];
    let paired = pair.into_iter().filter(|(one, _)| is_there(*one)).map(|(_, other)| other);
    match needed.chain(paired).find(|section| !is_there(*section)) {
        Some(name) => Err(AuditError::SectionMissing { name }),
        None => Ok(listed),
    }
}
