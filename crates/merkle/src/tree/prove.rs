//! Making proofs from stored nodes (RFC 6962, sections 2.1.1 and 2.1.2).

use super::frontier::fold;
use super::{Frontier, Hash, MAX_SIZE, ProofError};

/// Something that knows the hashes of a tree's full subtrees.
pub trait HashReader {
    /// Why a node cannot be read.
    type Error;

    /// The root of the full subtree over leaves `[index << level, (index + 1) << level)`; level 0 is the leaf
    /// hashes. Only asked for subtrees that lie wholly within the tree size that a proof is made for.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

impl<R: HashReader + ?Sized> HashReader for &R {
    type Error = R::Error;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        (**self).node(level, index)
    }
}

/// Why a proof cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProveError<E: std::error::Error + 'static> {
    /// The sizes or the index do not make sense together.
    #[error("no such proof")]
    Range(#[source] ProofError),
    /// A node could not be read.
    #[error("a node of the tree could not be read")]
    Read(#[source] E),
}

impl<E: std::error::Error + 'static> ProveError<E> {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Range(cause) => cause.code(),
            Self::Read(_) => "CS-MRK-009",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Range(cause) => cause.hint(),
            Self::Read(_) => "check the log's tiles (`countersign log fsck`) and fetch the missing one",
        }
    }
}

/// The proof that leaf `index` is in the tree of `size` leaves, from the leaf's sibling up to the root's child.
pub fn inclusion_proof<R: HashReader>(
    reader: &R,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ProveError<R::Error>>
where
    R::Error: std::error::Error + 'static,
{
    check_size(size).map_err(ProveError::Range)?;
    if index >= size {
        return Err(ProveError::Range(ProofError::IndexOutOfRange { index, size }));
    }
    let (mut low, mut high) = (0, size);
    let mut path = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(range_root(reader, middle, high)?);
            high = middle;
        } else {
            path.push(range_root(reader, low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `old` leaves is a prefix of the tree of `new` leaves.
///
/// Empty when `old` is 0 or equal to `new`.
pub fn consistency_proof<R: HashReader>(
    reader: &R,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, ProveError<R::Error>>
where
    R::Error: std::error::Error + 'static,
{
    check_size(new).map_err(ProveError::Range)?;
    if old > new {
        return Err(ProveError::Range(ProofError::SizesReversed { old, new }));
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let (mut low, mut high) = (0, new);
    let mut proof = Vec::new();
    // The verifier knows the old root, so the old tree itself is left out where it is one full subtree.
    while old != high {
        let middle = low + split(high - low);
        if old <= middle {
            proof.push(range_root(reader, middle, high)?);
            high = middle;
        } else {
            proof.push(range_root(reader, low, middle)?);
            low = middle;
        }
    }
    if low != 0 {
        proof.push(range_root(reader, low, high)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The root of the tree of the first `size` leaves.
pub fn root_at<R: HashReader>(reader: &R, size: u64) -> Result<Hash, ProveError<R::Error>>
where
    R::Error: std::error::Error + 'static,
{
    check_size(size).map_err(ProveError::Range)?;
    range_root(reader, 0, size)
}

/// The right edge of the tree of the first `size` leaves, to append to.
pub fn frontier_at<R: HashReader>(reader: &R, size: u64) -> Result<Frontier, ProveError<R::Error>>
where
    R::Error: std::error::Error + 'static,
{
    check_size(size).map_err(ProveError::Range)?;
    Frontier::from_parts(size, range_peaks(reader, 0, size)?).map_err(ProveError::Range)
}

const fn check_size(size: u64) -> Result<(), ProofError> {
    if size > MAX_SIZE { Err(ProofError::SizeTooLarge { size }) } else { Ok(()) }
}

/// The largest power of two below `n`, for `n` of at least 2.
const fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// The root over leaves `[low, high)`, where `low` is a multiple of the smallest power of two that is at least
/// `high - low` (true of every range that RFC 6962's recursion visits).
fn range_root<R: HashReader>(reader: &R, low: u64, high: u64) -> Result<Hash, ProveError<R::Error>>
where
    R::Error: std::error::Error + 'static,
{
    Ok(fold(&range_peaks(reader, low, high)?))
}

/// The roots of the full subtrees that make up leaves `[low, high)`, largest first.
fn range_peaks<R: HashReader>(reader: &R, low: u64, high: u64) -> Result<Vec<Hash>, ProveError<R::Error>>
where
    R::Error: std::error::Error + 'static,
{
    let mut peaks = Vec::new();
    let (mut start, mut left) = (low, high - low);
    while left > 0 {
        let level = left.ilog2();
        #[expect(clippy::cast_possible_truncation, reason = "a level is below 64")]
        peaks.push(reader.node(level as u8, start >> level).map_err(ProveError::Read)?);
        start += 1 << level;
        left -= 1 << level;
    }
    Ok(peaks)
}
