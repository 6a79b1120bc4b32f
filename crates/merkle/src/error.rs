//! Why bytes are not what they claim to be.

use crate::tree::{Hash, ProofError};

/// What another signer (a file key, a token) says when it does not sign.
pub type SignerFailure = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A refusal of this crate's parsers and verifiers.
#[derive(Debug, thiserror::Error)]
pub enum MerkleError {
    /// A tile path that is not in the one canonical spelling.
    #[error("`{path}` is not a tile path: {reason}")]
    TilePath {
        /// The path, cut to 128 characters.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A hash tile whose length is not its width in hashes.
    #[error("tile `{path}` has `{found}` bytes where `{expected}` are needed")]
    TileLength {
        /// The tile's path.
        path: String,
        /// 32 bytes for each hash of the tile's width.
        expected: usize,
        /// How many bytes there are.
        found: usize,
    },
    /// An entry bundle that is cut short, has bytes left over, or does not have its width in entries.
    #[error("entry bundle `{path}` is malformed: {reason}")]
    Bundle {
        /// The bundle's path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An entry that is longer than its 16-bit length prefix can say.
    #[error("entry of `{length}` bytes is above the limit of 65535")]
    EntryTooLong {
        /// The entry's length in bytes.
        length: usize,
    },
    /// Tiles asked for outside the tree.
    #[error("node `{index}` of level `{level}` is not a full subtree of a tree of size `{size}`")]
    NoSuchNode {
        /// The level, 0 for leaves.
        level: u8,
        /// The index within the level.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// More bytes than the format's limit.
    #[error("{what} of `{length}` bytes is above the limit of `{limit}`")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Bytes that are no signed note.
    #[error("not a signed note: {reason}")]
    NoteForm {
        /// What is wrong.
        reason: &'static str,
    },
    /// More signatures than the limit.
    #[error("a note with more than `{limit}` signatures")]
    TooManySignatures {
        /// The limit.
        limit: usize,
    },
    /// A key name that is empty, too long, or has spaces, `+` or control characters.
    #[error("`{name}` is not a key name")]
    KeyName {
        /// The name, cut to 128 characters.
        name: String,
    },
    /// A verifier key that cannot be read.
    #[error("not a verifier key: {reason}")]
    KeyForm {
        /// What is wrong.
        reason: &'static str,
    },
    /// A verifier key whose id is not the one that its name and key give.
    #[error("verifier key of `{name}` says id `{found}`, but its key has id `{expected}`")]
    KeyIdMismatch {
        /// The key's name.
        name: String,
        /// The id computed from the key, in hexadecimal.
        expected: String,
        /// The id written, in hexadecimal.
        found: String,
    },
    /// A signature type that this crate does not verify.
    #[error("signature type `0x{kind:02x}` of key `{name}` is not supported")]
    KeyKind {
        /// The key's name.
        name: String,
        /// The signature type identifier byte.
        kind: u8,
    },
    /// A public key that is no point, not in canonical form, or of small order.
    #[error("the public key of `{name}` is not a sound Ed25519 key")]
    WeakKey {
        /// The key's name.
        name: String,
    },
    /// No signature is from a known key.
    #[error("the note is not signed by any of: `{wanted}`")]
    NoKnownSignature {
        /// The names of the keys that would do, separated by commas.
        wanted: String,
    },
    /// A signature under a known key's name and id does not verify.
    #[error("the signature of `{name}` does not verify")]
    BadSignature {
        /// The key's name.
        name: String,
    },
    /// A signer did not sign.
    #[error("the key `{name}` did not sign")]
    SigningFailed {
        /// The key's name.
        name: String,
        /// What the signer said.
        #[source]
        source: SignerFailure,
    },
    /// Bytes that are no checkpoint.
    #[error("not a checkpoint: {reason}")]
    CheckpointForm {
        /// What is wrong.
        reason: &'static str,
    },
    /// The checkpoint of another log.
    #[error("checkpoint of `{found}`, not of `{expected}`")]
    OriginMismatch {
        /// The origin wanted.
        expected: String,
        /// The origin found.
        found: String,
    },
    /// A cosignature that cannot be read or made.
    #[error("cosignature of `{name}` is malformed: {reason}")]
    CosignatureForm {
        /// The cosigner's name.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A witness policy that cannot mean what it says.
    #[error("witness policy is unsound: {reason} (`{name}`)")]
    WitnessPolicy {
        /// What is wrong.
        reason: &'static str,
        /// The witness, or the threshold, that it is about.
        name: String,
    },
    /// Too few witnesses cosigned.
    #[error("`{found}` of the `{needed}` witnesses needed cosigned (`{seen}`)")]
    TooFewWitnesses {
        /// The policy's threshold.
        needed: usize,
        /// How many distinct witnesses cosigned.
        found: usize,
        /// Their names, separated by commas.
        seen: String,
    },
    /// Bytes that are no tlog-proof file.
    #[error("not a log proof: {reason}")]
    ProofForm {
        /// What is wrong.
        reason: &'static str,
    },
    /// The inclusion proof does not lead from the leaf to the signed root.
    #[error("leaf `{leaf}` is not proven to be entry `{index}` of the checkpoint of size `{size}`")]
    NotIncluded {
        /// The leaf's hash.
        leaf: Hash,
        /// The index claimed.
        index: u64,
        /// The checkpoint's size.
        size: u64,
        /// Why the proof does not hold.
        #[source]
        source: ProofError,
    },
    /// Bytes that are no request to a witness.
    #[error("not an add-checkpoint request: {reason}")]
    RequestForm {
        /// What is wrong.
        reason: &'static str,
    },
    /// A proof that does not hold.
    #[error("the proof does not hold")]
    Proof(#[from] ProofError),
}

impl MerkleError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TilePath { .. } => "CS-MRK-010",
            Self::TileLength { .. } => "CS-MRK-011",
            Self::Bundle { .. } => "CS-MRK-012",
            Self::EntryTooLong { .. } => "CS-MRK-013",
            Self::NoSuchNode { .. } => "CS-MRK-014",
            Self::TooLong { .. } => "CS-MRK-020",
            Self::NoteForm { .. } => "CS-MRK-021",
            Self::TooManySignatures { .. } => "CS-MRK-022",
            Self::KeyName { .. } => "CS-MRK-023",
            Self::KeyForm { .. } => "CS-MRK-024",
            Self::KeyIdMismatch { .. } => "CS-MRK-025",
            Self::KeyKind { .. } => "CS-MRK-026",
            Self::WeakKey { .. } => "CS-MRK-027",
            Self::NoKnownSignature { .. } => "CS-MRK-028",
            Self::BadSignature { .. } => "CS-MRK-029",
            Self::SigningFailed { .. } => "CS-MRK-030",
            Self::CheckpointForm { .. } => "CS-MRK-031",
            Self::OriginMismatch { .. } => "CS-MRK-032",
            Self::CosignatureForm { .. } => "CS-MRK-040",
            Self::WitnessPolicy { .. } => "CS-MRK-041",
            Self::TooFewWitnesses { .. } => "CS-MRK-042",
            Self::ProofForm { .. } => "CS-MRK-050",
            Self::NotIncluded { .. } => "CS-MRK-051",
            Self::RequestForm { .. } => "CS-MRK-060",
            Self::Proof(cause) => cause.code(),
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::TilePath { .. } => "write it as `tile/<level or entries>/<x000 groups>[.p/<width>]`",
            Self::TileLength { .. } | Self::Bundle { .. } => {
                "the stored tile is damaged: run `countersign log fsck`, or fetch it from another mirror"
            }
            Self::EntryTooLong { .. } => "log a digest of the data instead of the data",
            Self::NoSuchNode { .. } => "ask only for nodes within the checkpoint's size",
            Self::TooLong { .. } => "the bytes are no honest note; get them again from their source",
            Self::NoteForm { .. } => "check that the file is a C2SP signed note and was copied whole",
            Self::TooManySignatures { .. } => "keep only the signatures of keys that you trust",
            Self::KeyName { .. } => "use a name like `example.com/log`, without spaces and `+`",
            Self::KeyForm { .. } => "write it as `<name>+<8 hex digits>+<base64>`",
            Self::KeyIdMismatch { .. } => "copy the verifier key again; a name or a key was altered",
            Self::KeyKind { .. } => "use an Ed25519 note key, or an Ed25519 or ML-DSA-44 cosigner key",
            Self::WeakKey { .. } => "do not trust this key; get another from its owner",
            Self::NoKnownSignature { .. } => "check that the trusted keys are those of this log",
            Self::BadSignature { .. } => "the text or the signature was altered; trust nothing in this note",
            Self::SigningFailed { .. } => "see the cause; the key may be locked or absent",
            Self::CheckpointForm { .. } => "check that the file is a C2SP checkpoint and was copied whole",
            Self::OriginMismatch { .. } => "use the checkpoint and the key of the same log",
            Self::CosignatureForm { .. } => "ask the witness for the cosignature again",
            Self::WitnessPolicy { .. } => "list each witness once and need no more than there are",
            Self::TooFewWitnesses { .. } => "wait for more witnesses, or ask them again",
            Self::ProofForm { .. } => "check that the file is a C2SP tlog-proof and was copied whole",
            Self::NotIncluded { .. } => "check that the proof is for this very statement",
            Self::RequestForm { .. } => {
                "send `old <size>`, the proof lines, an empty line and the checkpoint"
            }
            Self::Proof(cause) => cause.hint(),
        }
    }
}

/// At most 128 characters of `text`, for messages, with control characters (terminal escapes) made visible.
pub(crate) fn excerpt(text: &str) -> String {
    visible(text).take(128).collect()
}

/// The text with every control character but the newline as `\u{..}`.
pub(crate) fn visible(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(|c| {
        let hidden = c.is_control() && c != '\n';
        let escaped = hidden.then(|| c.escape_unicode());
        escaped.into_iter().flatten().chain((!hidden).then_some(c))
    })
}
