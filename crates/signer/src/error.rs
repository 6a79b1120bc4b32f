//! Why a key was not made, opened or used.

use std::path::PathBuf;

use merkle::MerkleError;
use statement::json::{JsonError, ShapeError};
use statement::{KeyId, SignatureError, StatementError, StatementId};

/// What a device, a party or a library says when it does not sign.
pub type DeviceFailure = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A refusal of this crate.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The file system did not do what was asked.
    #[error("cannot {act} `{}`", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A key file is never overwritten.
    #[error("`{}` is there already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The key file's name is a symbolic link.
    #[error("`{}` is a symbolic link", path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// The key file's name is a directory, a pipe or a device.
    #[error("`{}` is not a regular file", path.display())]
    NotRegular {
        /// What was named.
        path: PathBuf,
    },
    /// Others than the owner may do something with the key file.
    #[error("`{}` has mode `{mode:04o}`, which lets others than its owner at the key", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// More bytes than a key file has.
    #[error("more than `{limit}` bytes are not a key file")]
    Oversize {
        /// The limit in bytes.
        limit: usize,
    },
    /// The key file is not strict canonical JSON.
    #[error("the key file is not strict canonical JSON: {0}")]
    Json(JsonError),
    /// The key file has other members than the format says.
    #[error("the key file is not of the documented shape: {0}")]
    Shape(ShapeError),
    /// Another format than `countersign-key-v1`.
    #[error("`format` is `{found}`, not `countersign-key-v1`")]
    Format {
        /// What it says, cut to 64 characters.
        found: String,
    },
    /// A member that holds what it cannot hold.
    #[error("member `{member}` of the key file {reason}")]
    Member {
        /// The member's name.
        member: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A cost of key stretching outside the bounds: too weak to protect, or enough to exhaust the machine.
    #[error("`{member}` is `{found}`, outside `{least}` to `{most}`")]
    Stretching {
        /// Which cost.
        member: &'static str,
        /// What was asked for.
        found: u32,
        /// The least allowed.
        least: u32,
        /// The most allowed.
        most: u32,
    },
    /// A passphrase too short to seal a key with.
    #[error("the passphrase has `{characters}` characters, fewer than `{least}`")]
    PassphraseShort {
        /// How many it has.
        characters: usize,
        /// How many it needs.
        least: usize,
    },
    /// The key file is sealed and no passphrase was given.
    #[error("the key file is sealed")]
    PassphraseNeeded,
    /// The key file is not sealed although a passphrase was given.
    #[error("the key file is not sealed: `kdf` is `none`")]
    NotSealed,
    /// The passphrase does not open the key file.
    #[error("wrong passphrase, or `kdf` or `check` of the key file was altered")]
    WrongPassphrase,
    /// The passphrase is right and the rest of the file is not what was sealed.
    #[error("`public`, `scheme` or `sealed` of the key file was altered")]
    Tampered,
    /// The secret key is not that of the public key beside it.
    #[error("`public` of the key file is not the public key of the secret in it")]
    PublicMismatch,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Randomness(#[source] DeviceFailure),
    /// There is not the memory to stretch the passphrase in.
    #[error("`{memory_kib}` KiB of memory for opening the key cannot be had")]
    Memory {
        /// How much was wanted, in KiB.
        memory_kib: u32,
    },
    /// Key stretching or encryption failed for a reason that is not the caller's.
    #[error("the cryptographic library failed at {0}")]
    Library(&'static str),
    /// The statement or its envelope cannot be read or written.
    #[error("the statement does not pass: {0}")]
    Statement(StatementError),
    /// A statement of a kind that this version does not know is not signed.
    #[error(
        "statement `{id}` is of kind `{kind}`, unknown to this version, and cannot be shown before it is signed"
    )]
    Unknown {
        /// The statement.
        id: StatementId,
        /// The kind's name.
        kind: String,
    },
    /// What was reviewed is not what is in the envelope.
    #[error("statement `{reviewed}` was reviewed, and the envelope holds `{found}`")]
    OtherStatement {
        /// What was reviewed.
        reviewed: StatementId,
        /// What the envelope holds.
        found: StatementId,
    },
    /// The statement names another key as its only signer.
    #[error("the statement is key `{named}`'s own word, and key `{key}` was to sign it")]
    OtherSigner {
        /// The key that was to sign.
        key: KeyId,
        /// The key that the statement names.
        named: KeyId,
    },
    /// The signer made a signature that does not verify; it is thrown away.
    #[error("key `{key}` made a signature that does not count")]
    BadSignature {
        /// The key.
        key: KeyId,
        /// Why not.
        #[source]
        source: SignatureError,
    },
    /// The key answers in rounds and was asked to answer at once.
    #[error("key `{key}` waits for answers from elsewhere")]
    Awaiting {
        /// The key.
        key: KeyId,
    },
    /// The key wants more rounds than any known scheme needs.
    #[error("key `{key}` asks for more than `{limit}` rounds")]
    Rounds {
        /// The key.
        key: KeyId,
        /// The limit.
        limit: u32,
    },
    /// A device or another party did not sign.
    #[error("key `{key}` did not sign")]
    Device {
        /// The key.
        key: KeyId,
        /// What it says.
        #[source]
        source: DeviceFailure,
    },
    /// The key's scheme is not one that this use needs.
    #[error("key `{key}` is not an Ed25519 key, which notes and witnesses need")]
    NotEd25519 {
        /// The key.
        key: KeyId,
    },
    /// The public key's bytes are no key of its scheme.
    #[error("the bytes of public key `{key}` are no key of its scheme")]
    PublicKey {
        /// The key.
        key: KeyId,
    },
    /// The note, checkpoint or key name is not sound.
    #[error("the note does not pass: {0}")]
    Note(MerkleError),
}

impl SignerError {
    /// A stable code. For [`SignerError::Statement`] and [`SignerError::Note`], that of the cause.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "CS-SGN-001",
            Self::Exists { .. } => "CS-SGN-002",
            Self::Symlink { .. } => "CS-SGN-003",
            Self::NotRegular { .. } => "CS-SGN-004",
            Self::Permissions { .. } => "CS-SGN-005",
            Self::Oversize { .. } => "CS-SGN-006",
            Self::Json(_) => "CS-SGN-010",
            Self::Shape(_) => "CS-SGN-011",
            Self::Format { .. } => "CS-SGN-012",
            Self::Member { .. } => "CS-SGN-013",
            Self::Stretching { .. } => "CS-SGN-014",
            Self::PassphraseShort { .. } => "CS-SGN-020",
            Self::PassphraseNeeded => "CS-SGN-021",
            Self::NotSealed => "CS-SGN-022",
            Self::WrongPassphrase => "CS-SGN-023",
            Self::Tampered => "CS-SGN-024",
            Self::PublicMismatch => "CS-SGN-025",
            Self::Randomness(_) => "CS-SGN-030",
            Self::Memory { .. } => "CS-SGN-031",
            Self::Library(_) => "CS-SGN-032",
            Self::Unknown { .. } => "CS-SGN-040",
            Self::OtherStatement { .. } => "CS-SGN-041",
            Self::BadSignature { .. } => "CS-SGN-042",
            Self::Awaiting { .. } => "CS-SGN-043",
            Self::Rounds { .. } => "CS-SGN-044",
            Self::Device { .. } => "CS-SGN-045",
            Self::NotEd25519 { .. } => "CS-SGN-046",
            Self::PublicKey { .. } => "CS-SGN-047",
            Self::OtherSigner { .. } => "CS-SGN-048",
            Self::Statement(cause) => cause.code(),
            Self::Note(cause) => cause.code(),
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "see the cause; check the path, the disk and your permissions",
            Self::Exists { .. } => "choose another name; a key that is thrown away cannot be had again",
            Self::Symlink { .. } => "name the file itself",
            Self::NotRegular { .. } => "name a file made by `countersign key`",
            Self::Permissions { .. } => {
                "run `chmod 600` on it, and make a new key if others may have read this one"
            }
            Self::Oversize { .. }
            | Self::Json(_)
            | Self::Shape(_)
            | Self::Format { .. }
            | Self::Member { .. } => "use a file made by `countersign key`, copied whole and not edited",
            Self::Stretching { .. } => {
                "do not trust a file that asks for this; to seal a key, stay within the bounds"
            }
            Self::PassphraseShort { .. } => "choose a longer passphrase; several words serve well",
            Self::PassphraseNeeded => "give the passphrase",
            Self::NotSealed => "do not rely on a passphrase for this file; make a sealed key if you need one",
            Self::WrongPassphrase => {
                "type the passphrase again; if it is right, restore the file from a copy"
            }
            Self::Tampered | Self::PublicMismatch => {
                "do not use this file; restore it from a copy, and find out who altered it"
            }
            Self::Randomness(_) => "make keys on a machine with a working random source",
            Self::Memory { .. } => "close other programs, or open the key on a larger machine",
            Self::Library(_) => "report this with the version of Countersign",
            Self::Unknown { .. } => "sign with a version of Countersign that knows the kind",
            Self::OtherStatement { .. } => "review this envelope before signing it",
            Self::OtherSigner { .. } => {
                "sign with the key that the statement names, or make a statement of your own"
            }
            Self::BadSignature { .. } => "do not use this key before its device is checked",
            Self::Awaiting { .. } => "sign where the answers can be collected, such as the console",
            Self::Rounds { .. } => "the device or a party does not keep to its protocol; check it",
            Self::Device { .. } => "see the cause; the device may be locked, absent or have refused",
            Self::NotEd25519 { .. } => "use an Ed25519 key for logs and witnesses",
            Self::PublicKey { .. } => "get the public key again from its owner",
            Self::Statement(cause) => cause.hint(),
            Self::Note(cause) => cause.hint(),
        }
    }
}
