//! Why an export is refused: one code for each thing that can be wrong.

use dossier::Stop;
use merkle::{MerkleError, ProofError, SplitView};
use statement::json::{JsonError, ShapeError};
use statement::{Digest, IdError, RealmId, StatementId};
use trace::TraceError;

use crate::export::Section;

/// Why an export is refused. What is merely noteworthy stands in the [`Report`](crate::Report) instead.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The first line is not an export's.
    #[error("the file does not begin with `countersign-export/v1`")]
    NotAnExport,
    /// The second line is no canonical JSON header of the documented shape.
    #[error("the header is unsound: {reason}")]
    Header {
        /// What is wrong.
        reason: &'static str,
    },
    /// The header is not strict canonical JSON.
    #[error("the header is not strict canonical JSON: {0}")]
    HeaderJson(JsonError),
    /// The header is JSON, but not of the documented shape.
    #[error("the header is not of the documented shape: {0}")]
    HeaderShape(ShapeError),
    /// The header's realm is no realm's name.
    #[error("the header's realm is none")]
    HeaderRealm(#[source] IdError),
    /// The header lists a section that is unknown, repeated or out of order.
    #[error("section `{name}` is unknown, repeated or out of order")]
    SectionOrder {
        /// The name, escaped and cut to 64 characters.
        name: String,
    },
    /// A section that an export must have is absent.
    #[error("section `{name}` is missing")]
    SectionMissing {
        /// Which.
        name: Section,
    },
    /// The sections do not end exactly where the file ends.
    #[error("the header announces a file of `{expected}` bytes, but it has `{found}`")]
    Length {
        /// Bytes announced, the two first lines included.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// A section's bytes are not those that the header names.
    #[error("section `{name}` does not have the digest that the header names")]
    SectionDigest {
        /// Which.
        name: Section,
        /// As the header has it.
        expected: Digest,
        /// As the bytes have it.
        found: Digest,
    },
    /// The entries are not a sequence of 16-bit length prefixes and entries.
    #[error("the entries break off in leaf `{index}`")]
    EntriesForm {
        /// The leaf.
        index: u64,
    },
    /// The hashes are not a sequence of 32-byte hashes, or not one for each leaf of the checkpoint.
    #[error(
        "`{entries}` entries, `{hash_bytes}` bytes of hashes and a checkpoint of size `{size}` do not go together"
    )]
    LeafCount {
        /// How many entries there are.
        entries: u64,
        /// How many bytes of leaf hashes there are, 32 for each leaf.
        hash_bytes: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// An entry does not have its leaf hash.
    #[error("leaf `{index}` was altered: it does not have the leaf hash that the export lists for it")]
    LeafAltered {
        /// The first such leaf.
        index: u64,
        /// The hash listed.
        expected: Digest,
        /// The entry's.
        found: Digest,
    },
    /// The leaves do not make the tree that the log signed.
    #[error("the `{size}` leaves have the root `{computed}`, but the checkpoint says `{signed}`")]
    RootMismatch {
        /// How many leaves.
        size: u64,
        /// The root in the checkpoint.
        signed: Digest,
        /// The root of the leaves.
        computed: Digest,
        /// The signed checkpoint, as evidence.
        checkpoint: String,
    },
    /// A checkpoint that cannot be read.
    #[error("section `{section}` is no signed checkpoint")]
    CheckpointForm {
        /// Which section.
        section: Section,
        /// Why.
        #[source]
        source: Box<MerkleError>,
    },
    /// A checkpoint of another log than the trust root's.
    #[error("section `{section}` is a checkpoint of log `{found}`, but the trust root's log is `{expected}`")]
    OtherLog {
        /// Which section.
        section: Section,
        /// The origin that the trust root names.
        expected: String,
        /// The origin of the checkpoint.
        found: String,
    },
    /// A checkpoint without a good signature of the trust root's log.
    #[error("section `{section}` is not signed by log key `{key}`")]
    LogSignature {
        /// Which section.
        section: Section,
        /// The log's key in the trust root.
        key: String,
        /// Why.
        #[source]
        source: Box<MerkleError>,
        /// The checkpoint, as evidence.
        checkpoint: String,
    },
    /// A checkpoint that the auditor gave cannot be read, or is not of this log.
    #[error("known checkpoint `{number}` is none of this log")]
    KnownCheckpoint {
        /// Which of those given, from 1.
        number: usize,
        /// Why.
        #[source]
        source: Box<MerkleError>,
    },
    /// The export ends before a checkpoint that the auditor knows.
    #[error(
        "the export ends at leaf `{size}`, but the log had `{known_size}` leaves at the checkpoint that you know"
    )]
    CutBack {
        /// The size of the known checkpoint.
        known_size: u64,
        /// The size of the export's.
        size: u64,
        /// The known checkpoint, as evidence.
        known: String,
        /// The export's, as evidence.
        ours: String,
    },
    /// The trust root names another log key than the one asked for.
    #[error("the trust root's log key is `{found}`, not `{expected}`")]
    OtherLogKey {
        /// The key asked for.
        expected: String,
        /// The key in the trust root.
        found: String,
    },
    /// A line under a witness's name and key id that does not verify.
    #[error("a cosignature of the checkpoint is forged or damaged")]
    Cosignature {
        /// Which.
        #[source]
        source: Box<MerkleError>,
        /// The checkpoint, as evidence.
        checkpoint: String,
    },
    /// Keys of the log or of witnesses in the trust root that cannot be used.
    #[error("trust root `{root}` names keys of log or witnesses that cannot be used")]
    TrustRootKeys {
        /// The trust root.
        root: StatementId,
        /// Why.
        #[source]
        source: Box<MerkleError>,
    },
    /// No trust root took effect.
    #[error("no trust root takes effect in the log")]
    NoTrustRoot,
    /// The log's trust roots do not begin with the one asked for.
    #[error("the log begins with trust root `{found}`, not with `{expected}`")]
    OtherTrustRoot {
        /// The trust root asked for.
        expected: StatementId,
        /// The log's first.
        found: StatementId,
    },
    /// The header names another realm than the log's.
    #[error("the header names realm `{header}`, but the log is of realm `{log}`")]
    OtherRealm {
        /// The header's.
        header: RealmId,
        /// The log's.
        log: RealmId,
    },
    /// The reader must stop.
    #[error("the log cannot be read to its end")]
    Stopped(#[source] Stop),
    /// The checkpoint where the population begins does not go together with the one where it ends.
    #[error("the earlier checkpoint and the later one do not go together")]
    Inconsistent(#[source] Box<SplitView>),
    /// The consistency section is no list of hashes.
    #[error("section `consistency` is no list of base64 hashes, a line each: {reason}")]
    ConsistencyForm {
        /// What is wrong.
        reason: &'static str,
    },
    /// The proofs section is no sequence of 32-bit length prefixes and proofs.
    #[error("section `proofs` breaks off in proof `{number}`")]
    ProofsForm {
        /// Which, counted from 0.
        number: u64,
    },
    /// A proof that cannot be read.
    #[error("proof `{number}` is no C2SP tlog-proof")]
    ProofText {
        /// Which, counted from 0.
        number: u64,
        /// Why.
        #[source]
        source: Box<MerkleError>,
    },
    /// A proof against another checkpoint than the export's.
    #[error("proof `{number}` is against another checkpoint than the export's")]
    ProofCheckpoint {
        /// Which, counted from 0.
        number: u64,
        /// The proof's checkpoint, as evidence.
        theirs: String,
        /// The export's checkpoint, as evidence.
        ours: String,
    },
    /// A proof that does not lead from its leaf to the root.
    #[error("proof `{number}` does not show that leaf `{index}` is in the log")]
    BadProof {
        /// Which, counted from 0.
        number: u64,
        /// The leaf it is about.
        index: u64,
        /// Why.
        #[source]
        source: ProofError,
        /// The proof, as evidence.
        proof: String,
    },
    /// The proofs are not one for each release order, in order.
    #[error("the proofs are not one for each release order: {}", proof_set(*number, *expected, *found))]
    ProofSet {
        /// Which, counted from 0.
        number: u64,
        /// The release order's leaf; none where there is no further order.
        expected: Option<u64>,
        /// The proof's leaf; none where there is no further proof.
        found: Option<u64>,
    },
    /// The schemas are no JSON object.
    #[error("section `schemas` is no JSON object")]
    SchemasForm(#[source] serde_json::Error),
    /// The attachments are no sequence of length-prefixed salts and contents, in order of digest.
    #[error("section `attachments` is unsound at attachment `{number}`: {reason}")]
    AttachmentsForm {
        /// Which, counted from 0.
        number: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The export would be larger than its format can say.
    #[error("{what} cannot be written into an export")]
    Unwritable {
        /// What.
        what: &'static str,
    },
    /// The steps that a finding signs are not those that are carried.
    #[error("the trace of finding `{finding}` is not what it signs")]
    Trace {
        /// The finding.
        finding: StatementId,
        /// Why.
        #[source]
        source: Box<TraceError>,
    },
    /// A thread of the audit ended without an answer.
    #[error("a thread of the audit ended without an answer")]
    Worker,
}

impl AuditError {
    /// A stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAnExport => "CS-AUD-001",
            Self::Header { .. } | Self::HeaderJson(_) | Self::HeaderShape(_) | Self::HeaderRealm(_) => {
                "CS-AUD-002"
            }
            Self::SectionOrder { .. } => "CS-AUD-003",
            Self::SectionMissing { .. } => "CS-AUD-004",
            Self::Length { .. } => "CS-AUD-005",
            Self::SectionDigest { .. } => "CS-AUD-006",
            Self::EntriesForm { .. } => "CS-AUD-007",
            Self::LeafCount { .. } => "CS-AUD-008",
            Self::LeafAltered { .. } => "CS-AUD-009",
            Self::RootMismatch { .. } => "CS-AUD-010",
            Self::CheckpointForm { .. } => "CS-AUD-011",
            Self::OtherLog { .. } => "CS-AUD-012",
            Self::LogSignature { .. } => "CS-AUD-013",
            Self::OtherLogKey { .. } => "CS-AUD-014",
            Self::Cosignature { .. } => "CS-AUD-015",
            Self::TrustRootKeys { .. } => "CS-AUD-016",
            Self::NoTrustRoot => "CS-AUD-017",
            Self::OtherTrustRoot { .. } => "CS-AUD-018",
            Self::OtherRealm { .. } => "CS-AUD-019",
            Self::Stopped(_) => "CS-AUD-020",
            Self::Inconsistent(_) => "CS-AUD-021",
            Self::ConsistencyForm { .. } => "CS-AUD-022",
            Self::ProofsForm { .. } => "CS-AUD-023",
            Self::ProofText { .. } => "CS-AUD-024",
            Self::ProofCheckpoint { .. } => "CS-AUD-025",
            Self::BadProof { .. } => "CS-AUD-026",
            Self::ProofSet { .. } => "CS-AUD-027",
            Self::SchemasForm(_) => "CS-AUD-028",
            Self::AttachmentsForm { .. } => "CS-AUD-029",
            Self::Unwritable { .. } => "CS-AUD-030",
            Self::Worker => "CS-AUD-031",
            Self::Trace { .. } => "CS-AUD-032",
            Self::KnownCheckpoint { .. } => "CS-AUD-033",
            Self::CutBack { .. } => "CS-AUD-034",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NotAnExport => "give the file that `countersign export` wrote",
            Self::Header { .. }
            | Self::HeaderJson(_)
            | Self::HeaderShape(_)
            | Self::HeaderRealm(_)
            | Self::SectionOrder { .. }
            | Self::SectionMissing { .. }
            | Self::EntriesForm { .. }
            | Self::LeafCount { .. }
            | Self::ConsistencyForm { .. }
            | Self::ProofsForm { .. }
            | Self::ProofText { .. }
            | Self::SchemasForm(_)
            | Self::AttachmentsForm { .. }
            | Self::CheckpointForm { .. } => "ask for the export again; docs/export.md has its format",
            Self::Length { .. } | Self::SectionDigest { .. } => {
                "the file was cut, extended or changed on its way: ask for it again and compare its SHA-256"
            }
            Self::LeafAltered { .. } | Self::RootMismatch { .. } => {
                "what this file says happened is not what the log signed: keep the file, ask the log itself, and ask why"
            }
            Self::OtherLog { .. } | Self::OtherRealm { .. } => "ask for the export of the right realm",
            Self::LogSignature { .. } | Self::Cosignature { .. } => {
                "keep the file as evidence and ask the log and its witnesses for the checkpoint"
            }
            Self::OtherLogKey { .. } | Self::OtherTrustRoot { .. } => {
                "compare with the id and key that you got from elsewhere; if those are right, this is another realm's \
                 or a forged export"
            }
            Self::TrustRootKeys { .. } | Self::NoTrustRoot => {
                "the realm has no usable trust root: ask its owner"
            }
            Self::Stopped(stop) => stop.hint(),
            Self::Inconsistent(split) => split.hint(),
            Self::ProofCheckpoint { .. } | Self::BadProof { .. } | Self::ProofSet { .. } => {
                "keep the file as evidence and ask for the proofs again"
            }
            Self::Trace { .. } => {
                "do not rely on the finding: keep the file as evidence, and ask its examiner what was done"
            }
            Self::KnownCheckpoint { .. } => {
                "give a checkpoint of this log: from `countersign log head`, a witness, or an earlier export"
            }
            Self::CutBack { .. } => {
                "the export is an old one or was cut back: ask for one that goes on to the checkpoint you know"
            }
            Self::Unwritable { .. } => "export fewer or smaller attachments",
            Self::Worker => "run the audit again on a machine with more memory",
        }
    }

    /// Documents that show the fault, to be kept: a title and a text each. Empty where the error says everything.
    pub fn evidence(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::RootMismatch { checkpoint, .. }
            | Self::LogSignature { checkpoint, .. }
            | Self::Cosignature { checkpoint, .. } => vec![("checkpoint", checkpoint.clone())],
            Self::Inconsistent(split) => vec![
                ("earlier checkpoint", String::from_utf8_lossy(&split.theirs).into_owned()),
                ("later checkpoint", String::from_utf8_lossy(&split.ours).into_owned()),
            ],
            Self::ProofCheckpoint { theirs, ours, .. } => {
                vec![("checkpoint of the proof", theirs.clone()), ("checkpoint of the export", ours.clone())]
            }
            Self::CutBack { known, ours, .. } => {
                vec![("checkpoint that you know", known.clone()), ("checkpoint of the export", ours.clone())]
            }
            Self::BadProof { proof, .. } => vec![("proof", proof.clone())],
            _ => Vec::new(),
        }
    }
}

/// Which proof is wrong, missing or one too many.
fn proof_set(number: u64, expected: Option<u64>, found: Option<u64>) -> String {
    match (expected, found) {
        (Some(expected), Some(found)) => {
            format!("proof `{number}` should be about leaf `{expected}`, and is about leaf `{found}`")
        }
        (Some(expected), None) => format!("the proof of leaf `{expected}` is missing"),
        (None, Some(found)) => format!("proof `{number}`, about leaf `{found}`, is one too many"),
        (None, None) => format!("proof `{number}` is not there"),
    }
}
