//! Whether a witness may cosign.

use crate::checkpoint::VerifiedCheckpoint;
use crate::error::{MerkleError, excerpt};
use crate::fork::{SplitCause, SplitView, contradiction};
use crate::note::VerifierKey;
use crate::tree::{Hash, ProofError, empty_root, verify_consistency};
use crate::witness::AddCheckpoint;

/// A log that the witness watches: its name and the keys that may sign its checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedLog {
    origin: String,
    keys: Vec<VerifierKey>,
}

impl WatchedLog {
    /// The log named `origin`; without keys, nothing of it is ever cosigned.
    pub fn new(origin: &str, keys: Vec<VerifierKey>) -> Self {
        Self { origin: origin.to_owned(), keys }
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The keys that may sign its checkpoints.
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }
}

/// The latest checkpoint of one log that a witness decided to cosign.
///
/// Only [`decide`] makes a new one; [`WitnessState::restore`] reads a stored one and checks it again.
#[derive(Debug, PartialEq, Eq)]
pub struct WitnessState {
    checkpoint: VerifiedCheckpoint,
}

impl WitnessState {
    /// Reads the bytes that [`WitnessState::to_bytes`] gave, and checks the log's signature again.
    pub fn restore(bytes: &[u8], log: &WatchedLog) -> Result<Self, MerkleError> {
        Ok(Self { checkpoint: VerifiedCheckpoint::open(bytes, &log.origin, &log.keys)? })
    }

    /// The checkpoint, with only those signatures of the log that were checked.
    pub const fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.checkpoint
    }

    /// How many leaves the tree had.
    pub const fn size(&self) -> u64 {
        self.checkpoint.size()
    }

    /// The tree's root.
    pub const fn root(&self) -> &Hash {
        self.checkpoint.root()
    }

    /// What is cosigned: the checkpoint's text.
    pub fn text(&self) -> &str {
        self.checkpoint.signed().note().text()
    }

    /// The bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.checkpoint.to_bytes()
    }
}

/// Why a witness does not cosign.
#[derive(Debug, thiserror::Error)]
pub enum WitnessRefusal {
    /// The witness does not watch this log (404).
    #[error("log `{origin}` is not watched here")]
    UnknownLog {
        /// The log's name as claimed.
        origin: String,
    },
    /// No good signature of the log (403).
    #[error("the checkpoint is not signed by log `{origin}`")]
    NotSigned {
        /// The log's name.
        origin: String,
        /// What is wrong with the signatures.
        #[source]
        source: Box<MerkleError>,
    },
    /// The old size is above the checkpoint's (400).
    #[error("old size `{old}` is above the checkpoint's size `{new}`")]
    OldAboveNew {
        /// The old size asked for.
        old: u64,
        /// The checkpoint's size.
        new: u64,
    },
    /// The old size is not that of the checkpoint cosigned last (409).
    #[error("old size `{old}` is not the size `{known}` that was cosigned last")]
    Conflict {
        /// The old size asked for.
        old: u64,
        /// The size cosigned last, 0 for none.
        known: u64,
        /// Set where the checkpoint contradicts the one cosigned last: a fork, whatever the old size.
        split: Option<Box<SplitView>>,
    },
    /// The log signed another tree of the size cosigned last (422).
    #[error("log `{origin}` has forked at size `{size}`")]
    Fork {
        /// The log's name.
        origin: String,
        /// The size of both checkpoints.
        size: u64,
        /// Both checkpoints.
        split: Box<SplitView>,
    },
    /// A tree of size 0 whose root is not the empty tree's (422).
    #[error("the checkpoint's size is `0` but its root `{root}` is not the empty tree's")]
    EmptyRoot {
        /// The root claimed.
        root: Hash,
    },
    /// The consistency proof does not hold (422).
    #[error("the consistency proof from `{old}` to `{new}` does not hold")]
    BadProof {
        /// The old size.
        old: u64,
        /// The checkpoint's size.
        new: u64,
        /// Why.
        #[source]
        source: ProofError,
        /// Both checkpoints and the proof, where an earlier checkpoint is known.
        split: Option<Box<SplitView>>,
    },
    /// The state given is that of another log: a fault of the witness itself (500).
    #[error("the state is of log `{found}`, not of `{expected}`")]
    ForeignState {
        /// The log that the request is about.
        expected: String,
        /// The log that the state is of.
        found: String,
    },
}

impl WitnessRefusal {
    /// The HTTP status that C2SP tlog-witness gives this refusal.
    pub const fn status(&self) -> u16 {
        match self {
            Self::UnknownLog { .. } => 404,
            Self::NotSigned { .. } => 403,
            Self::OldAboveNew { .. } => 400,
            Self::Conflict { .. } => 409,
            Self::Fork { .. } | Self::EmptyRoot { .. } | Self::BadProof { .. } => 422,
            Self::ForeignState { .. } => 500,
        }
    }

    /// The body of the answer and its content type: for a conflict, the size cosigned last.
    pub fn body(&self) -> (&'static str, String) {
        match self {
            Self::Conflict { known, .. } => ("text/x.tlog.size", format!("{known}\n")),
            refusal => ("text/plain; charset=utf-8", format!("{} {refusal}\n", refusal.code())),
        }
    }

    /// The two checkpoints that do not go together, where there are two.
    pub fn split(&self) -> Option<&SplitView> {
        match self {
            Self::Conflict { split, .. } | Self::BadProof { split, .. } => split.as_deref(),
            Self::Fork { split, .. } => Some(split),
            Self::UnknownLog { .. }
            | Self::NotSigned { .. }
            | Self::OldAboveNew { .. }
            | Self::EmptyRoot { .. }
            | Self::ForeignState { .. } => None,
        }
    }

    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownLog { .. } => "CS-MRK-061",
            Self::NotSigned { .. } => "CS-MRK-062",
            Self::OldAboveNew { .. } => "CS-MRK-063",
            Self::Conflict { .. } => "CS-MRK-064",
            Self::Fork { .. } => "CS-MRK-065",
            Self::EmptyRoot { .. } => "CS-MRK-066",
            Self::BadProof { .. } => "CS-MRK-067",
            Self::ForeignState { .. } => "CS-MRK-068",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::UnknownLog { .. } => "ask the witness's operator to add the log's name and key",
            Self::NotSigned { .. } => "check that the log signs with the key that the witness has",
            Self::OldAboveNew { .. } => "send the checkpoint of the larger tree",
            Self::Conflict { .. } => "ask again with a proof from the size that the witness answers",
            Self::Fork { .. } => "keep both checkpoints and stop trusting this log",
            Self::EmptyRoot { .. } => "an empty tree has the root SHA-256 of the empty string",
            Self::BadProof { .. } => "make the proof again from the log's tiles",
            Self::ForeignState { .. } => "check the witness's store: it answers for the wrong log",
        }
    }
}

/// Decides whether to cosign the request's checkpoint, given the state of that log (none: never cosigned) and
/// the log as it is watched (none: not watched).
///
/// The checks stand in the order of C2SP tlog-witness. The state returned is to be stored before cosigning
/// [`WitnessState::text`].
pub fn decide(
    state: Option<&WitnessState>,
    request: &AddCheckpoint,
    log: Option<&WatchedLog>,
) -> Result<WitnessState, WitnessRefusal> {
    let origin = request.origin();
    let log = log
        .filter(|log| log.origin == origin)
        .ok_or_else(|| WitnessRefusal::UnknownLog { origin: excerpt(origin) })?;
    if let Some(state) = state.filter(|state| state.checkpoint.origin() != origin) {
        return Err(WitnessRefusal::ForeignState {
            expected: excerpt(origin),
            found: excerpt(state.checkpoint.origin()),
        });
    }
    let theirs = request
        .checkpoint()
        .clone()
        .open(&log.origin, &log.keys)
        .map_err(|source| WitnessRefusal::NotSigned { origin: excerpt(origin), source: Box::new(source) })?
        .restricted_to(&log.keys);
    check_growth(state.map(WitnessState::checkpoint), request, &theirs)?;
    Ok(WitnessState { checkpoint: theirs })
}

fn check_growth(
    ours: Option<&VerifiedCheckpoint>,
    request: &AddCheckpoint,
    theirs: &VerifiedCheckpoint,
) -> Result<(), WitnessRefusal> {
    let (old, new) = (request.old_size(), theirs.size());
    let split = |cause| ours.map(|ours| Box::new(SplitView::new(ours, theirs, cause)));
    if old > new {
        return Err(WitnessRefusal::OldAboveNew { old, new });
    }
    let known = ours.map_or(0, VerifiedCheckpoint::size);
    if old != known {
        let split = ours.and_then(|ours| contradiction(ours, theirs)).and_then(split);
        return Err(WitnessRefusal::Conflict { old, known, split });
    }
    if new == 0 && *theirs.root() != empty_root() {
        return Err(WitnessRefusal::EmptyRoot { root: *theirs.root() });
    }
    let bad_proof = |source| WitnessRefusal::BadProof {
        old,
        new,
        source,
        split: split(SplitCause::Unconnected { proof: request.proof().to_vec(), error: source }),
    };
    let Some(ours) = ours.filter(|_| old > 0) else {
        // Every tree is consistent with the empty one, so there is nothing to prove.
        let found = request.proof().len();
        return if found == 0 {
            Ok(())
        } else {
            Err(bad_proof(ProofError::WrongLength { expected: 0, found }))
        };
    };
    if old == new && ours.root() != theirs.root() {
        let split = Box::new(SplitView::new(ours, theirs, SplitCause::SameSize { size: new }));
        return Err(WitnessRefusal::Fork { origin: excerpt(theirs.origin()), size: new, split });
    }
    verify_consistency(old, new, request.proof(), ours.root(), theirs.root()).map_err(bad_proof)
}
