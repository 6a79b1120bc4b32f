//! Two heads of one log that cannot both be true, kept as evidence.

#[cfg(test)]
mod tests;

use std::fmt;

use crate::checkpoint::VerifiedCheckpoint;
use crate::error::visible;
use crate::tree::{Hash, ProofError, empty_root, verify_consistency};

/// Why two checkpoints do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SplitCause {
    /// One size, two roots: by themselves a proof that the log signed two histories.
    SameSize {
        /// The size of both.
        size: u64,
    },
    /// A checkpoint of size 0 with another root than the empty tree's: false by itself.
    EmptyRoot,
    /// The proof given does not connect them. That is a fork only where whoever made the proof had the log's
    /// own tree; the checkpoints and the proof are kept so that it can be asked again.
    Unconnected {
        /// The consistency proof that was given.
        proof: Vec<Hash>,
        /// Why it does not hold.
        error: ProofError,
    },
}

/// Two signed checkpoints of one log that cannot both be true, or that no proof connects.
///
/// Both bore a valid signature of the log when this was made. `Display` shows both texts whole,
/// with control characters other than newlines made visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitView {
    /// The signed checkpoint that we hold.
    pub ours: Vec<u8>,
    /// The signed checkpoint that we were shown.
    pub theirs: Vec<u8>,
    /// Why they do not go together.
    pub cause: SplitCause,
}

impl SplitView {
    /// Whether the two checkpoints convict the log by themselves, with no trust in who made a proof.
    pub const fn is_conclusive(&self) -> bool {
        match self.cause {
            SplitCause::SameSize { .. } | SplitCause::EmptyRoot => true,
            SplitCause::Unconnected { .. } => false,
        }
    }

    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self.cause {
            SplitCause::SameSize { .. } => "CS-MRK-070",
            SplitCause::EmptyRoot => "CS-MRK-071",
            SplitCause::Unconnected { .. } => "CS-MRK-072",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self.cause {
            SplitCause::SameSize { .. } | SplitCause::EmptyRoot => {
                "keep both checkpoints, stop trusting this log, and show them to its owner and witnesses"
            }
            SplitCause::Unconnected { .. } => "keep both checkpoints and ask another mirror for the proof",
        }
    }

    pub(crate) fn new(ours: &VerifiedCheckpoint, theirs: &VerifiedCheckpoint, cause: SplitCause) -> Self {
        Self { ours: ours.to_bytes(), theirs: theirs.to_bytes(), cause }
    }
}

impl fmt::Display for SplitView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            SplitCause::SameSize { size } => {
                writeln!(f, "SPLIT VIEW: the log signed two different trees of size `{size}`.")?;
            }
            SplitCause::EmptyRoot => {
                writeln!(f, "SPLIT VIEW: the log signed a tree of size `0` that is not empty.")?;
            }
            SplitCause::Unconnected { proof, error } => {
                let hashes = proof.len();
                writeln!(f, "UNCONNECTED: the proof of `{hashes}` hashes does not hold: {error}.")?;
            }
        }
        for (title, bytes) in [("ours", &self.ours), ("theirs", &self.theirs)] {
            let text = String::from_utf8_lossy(bytes);
            write!(f, "\n--- {title} ---\n{}", visible(&text).collect::<String>())?;
        }
        Ok(())
    }
}

impl std::error::Error for SplitView {}

/// Checks that two checkpoints of one log go together: same size and same root, or `proof` leads from the
/// smaller to the larger (empty where a size is 0). The order of sizes does not matter.
///
/// Who passes checkpoints of two different logs gets nonsense; origins are checked where they are opened.
pub fn compare(
    ours: &VerifiedCheckpoint,
    theirs: &VerifiedCheckpoint,
    proof: &[Hash],
) -> Result<(), Box<SplitView>> {
    let split = |cause| Err(Box::new(SplitView::new(ours, theirs, cause)));
    if let Some(cause) = contradiction(ours, theirs) {
        return split(cause);
    }
    let (old, new) = if ours.size() <= theirs.size() { (ours, theirs) } else { (theirs, ours) };
    let outcome = match (old.size(), proof.len()) {
        (0, 0) => Ok(()),
        (0, found) => Err(ProofError::WrongLength { expected: 0, found }),
        _ => verify_consistency(old.size(), new.size(), proof, old.root(), new.root()),
    };
    match outcome {
        Ok(()) => Ok(()),
        Err(error) => split(SplitCause::Unconnected { proof: proof.to_vec(), error }),
    }
}

/// What is false about the two checkpoints with no proof at all.
pub(crate) fn contradiction(ours: &VerifiedCheckpoint, theirs: &VerifiedCheckpoint) -> Option<SplitCause> {
    let false_empty = |head: &VerifiedCheckpoint| head.size() == 0 && *head.root() != empty_root();
    if ours.size() == theirs.size() && ours.root() != theirs.root() {
        Some(SplitCause::SameSize { size: ours.size() })
    } else if false_empty(ours) || false_empty(theirs) {
        Some(SplitCause::EmptyRoot)
    } else {
        None
    }
}
