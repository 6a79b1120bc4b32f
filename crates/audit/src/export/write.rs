//! Writing exports.

use std::collections::BTreeMap;
use std::convert::Infallible;

use merkle::{
    Frontier, Hash, HashReader, LogProof, SignedCheckpoint, consistency_proof, inclusion_proof, leaf_hash,
};
use statement::kind::Kind;
use statement::{Bytes, Content, Digest, Leaf, RealmId, json, schema};

use super::attachment::Attachment;
use super::framing::push_long;
use super::{MAGIC, Section, wire};
use crate::error::AuditError;

/// Takes the log's entries in order, one at a time, and makes an export of them.
///
/// ```text
/// let mut writer = Writer::new(realm);
/// for entry in log { writer.entry(&entry)?; }           // leaf 0, 1, …, size - 1
/// writer.attach(Attachment { salt: None, content: &scope_file });
/// let export = writer.finish(&checkpoint, from_checkpoint.as_deref())?;
/// for part in export.parts() { file.write_all(part)?; }
/// ```
///
/// Leaf hashes, proofs of the release orders, the consistency proof and the schemas are made here. In memory are the
/// entries once and 64 bytes a leaf. Nothing is checked beyond what writing needs: audit what was written.
#[derive(Debug)]
pub struct Writer {
    realm: RealmId,
    entries: Vec<u8>,
    nodes: Nodes,
    orders: Vec<u64>,
    attachments: BTreeMap<Digest, Vec<u8>>,
}

/// An export, ready to be written part by part.
#[derive(Debug)]
pub struct Finished {
    parts: Vec<Vec<u8>>,
}

impl Finished {
    /// The file's parts, to be written end to end.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().map(Vec::as_slice)
    }

    /// The whole file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.parts.concat()
    }
}

impl Writer {
    /// An export of a realm, without entries yet.
    pub fn new(realm: RealmId) -> Self {
        Self {
            realm,
            entries: Vec::new(),
            nodes: Nodes::default(),
            orders: Vec::new(),
            attachments: BTreeMap::new(),
        }
    }

    /// Takes the next entry of the log, from leaf 0 on, exactly as it is logged.
    pub fn entry(&mut self, entry: &[u8]) -> Result<(), AuditError> {
        let unwritable = AuditError::Unwritable { what: "an entry of more than 65,535 bytes" };
        let length = u16::try_from(entry.len()).map_err(|_| unwritable)?;
        self.entries.extend_from_slice(&length.to_be_bytes());
        self.entries.extend_from_slice(entry);
        let index = self.nodes.push(leaf_hash(entry));
        if is_order(index, entry) {
            self.orders.push(index);
        }
        Ok(())
    }

    /// Adds content of the vault; the same content twice is there once.
    pub fn attach(&mut self, attachment: Attachment<'_>) -> Result<(), AuditError> {
        let mut bytes = Vec::with_capacity(attachment.content.len() + 24);
        let unwritable = AuditError::Unwritable { what: "an attachment of 4 GiB or more" };
        attachment.push(&mut bytes).ok_or(unwritable)?;
        self.attachments.insert(attachment.digest(), bytes);
        Ok(())
    }

    /// Completes the export with the log's signed checkpoint over exactly the entries taken, cosignatures included, and
    /// the earlier checkpoint where the population begins, if not with the first leaf.
    pub fn finish(self, checkpoint: &[u8], from_checkpoint: Option<&[u8]>) -> Result<Finished, AuditError> {
        let signed = read_checkpoint(Section::Checkpoint, checkpoint)?;
        let size = signed.claims().size();
        if size != self.nodes.frontier.size() {
            return Err(AuditError::Unwritable {
                what: "a checkpoint of another size than the entries taken",
            });
        }
        let mut sections = BTreeMap::from([
            (Section::Checkpoint, checkpoint.to_vec()),
            (Section::Hashes, self.nodes.leaves().iter().flat_map(Hash::as_bytes).copied().collect()),
            (Section::Proofs, self.proofs(&signed)?),
            (Section::Schemas, schemas().to_string().into_bytes()),
        ]);
        if let Some(bytes) = from_checkpoint {
            let from = read_checkpoint(Section::FromCheckpoint, bytes)?.claims().size();
            sections.insert(Section::FromCheckpoint, bytes.to_vec());
            sections.insert(Section::Consistency, self.consistency(from, size)?);
        }
        if !self.attachments.is_empty() {
            sections.insert(Section::Attachments, self.attachments.into_values().flatten().collect());
        }
        sections.insert(Section::Entries, self.entries);
        assemble(&self.realm, sections)
    }

    fn proofs(&self, checkpoint: &SignedCheckpoint) -> Result<Vec<u8>, AuditError> {
        let size = checkpoint.claims().size();
        let mut bytes = Vec::new();
        for index in &self.orders {
            let unwritable = || AuditError::Unwritable { what: "an inclusion proof" };
            let path = inclusion_proof(&self.nodes, *index, size).map_err(|_| unwritable())?;
            let proof = LogProof::new(*index, path, checkpoint.clone()).map_err(|_| unwritable())?;
            push_long(&mut bytes, &proof.to_bytes()).ok_or_else(unwritable)?;
        }
        Ok(bytes)
    }

    fn consistency(&self, from: u64, size: u64) -> Result<Vec<u8>, AuditError> {
        let unwritable = |_| AuditError::Unwritable { what: "a consistency proof from a larger checkpoint" };
        let proof = consistency_proof(&self.nodes, from, size).map_err(unwritable)?;
        let lines = proof.iter().map(|hash| Bytes::new(hash.as_bytes().to_vec()).to_base64() + "\n");
        Ok(lines.collect::<String>().into_bytes())
    }
}

/// The file of these sections, whatever they hold.
pub(crate) fn assemble(
    realm: &RealmId,
    sections: BTreeMap<Section, Vec<u8>>,
) -> Result<Finished, AuditError> {
    let entries = sections.iter().map(|(name, bytes)| wire::Entry {
        bytes: super::count(bytes.len()),
        name: name.name().to_owned(),
        sha256: Digest::of(bytes),
    });
    let header = wire::Header { realm: realm.to_string(), sections: entries.collect() };
    let header = json::to_canonical(&header).map_err(|_| AuditError::Unwritable { what: "the header" })?;
    let mut parts = vec![MAGIC.to_vec(), header, b"\n".to_vec()];
    parts.extend(sections.into_values());
    Ok(Finished { parts })
}

/// What an export made by this version says of the kinds: kind to JSON schema of the payload.
pub fn schemas() -> serde_json::Value {
    let schemas = Kind::ALL.iter().map(|kind| (kind.name().to_owned(), schema::payload_schema(*kind)));
    serde_json::Value::Object(schemas.collect())
}

fn read_checkpoint(section: Section, bytes: &[u8]) -> Result<SignedCheckpoint, AuditError> {
    SignedCheckpoint::parse(bytes)
        .map_err(|source| AuditError::CheckpointForm { section, source: Box::new(source) })
}

/// Whether the entry is a release order that can be read.
fn is_order(index: u64, entry: &[u8]) -> bool {
    // Most entries are something else: one that does not name the kind in its payload need not be read whole.
    let payload = entry.strip_prefix(b"{\"envelope\":{\"payload\":\"").and_then(|rest| {
        let end = rest.iter().position(|byte| *byte == b'"')?;
        Bytes::from_base64(std::str::from_utf8(rest.get(..end)?).ok()?).ok()
    });
    let predicate_type = Kind::ReleaseOrder.predicate_type();
    let names_it = |bytes: Bytes| {
        bytes.as_slice().windows(predicate_type.len()).any(|window| window == predicate_type.as_bytes())
    };
    if !payload.is_some_and(names_it) {
        return false;
    }
    match Leaf::parse(index, entry) {
        Ok(Leaf { content: Content::Known(statement), .. }) => statement.body.kind() == Kind::ReleaseOrder,
        Ok(_) | Err(_) => false,
    }
}

/// The nodes of the tree that are final, by level.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    frontier: Frontier,
    levels: Vec<Vec<Hash>>,
}

impl Nodes {
    pub(crate) fn push(&mut self, leaf: Hash) -> u64 {
        let levels = &mut self.levels;
        self.frontier.push_with(leaf, |level, _, hash| {
            let level = usize::from(level);
            if levels.len() <= level {
                levels.resize_with(level + 1, Vec::new);
            }
            if let Some(nodes) = levels.get_mut(level) {
                nodes.push(*hash);
            }
        })
    }

    pub(crate) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The hash of a leaf; of one that is not there, a hash that no proof leads from.
    pub(crate) fn leaf(&self, index: u64) -> Hash {
        match self.node(0, index) {
            Ok(hash) => hash,
        }
    }

    fn leaves(&self) -> &[Hash] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }
}

impl HashReader for Nodes {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let nodes = self.levels.get(usize::from(level));
        let node = usize::try_from(index).ok().and_then(|index| nodes?.get(index).copied());
        // Only full subtrees within the tree are asked for, and those are all here; any other has a hash that no
        // proof leads from.
        Ok(node.unwrap_or_else(merkle::empty_root))
    }
}
