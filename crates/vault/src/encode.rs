//! From content to stored bytes in one pass: SHA-256, BLAKE3 groups and encryption of the same owned bytes.

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use statement::Digest;

use crate::error::{Error, Result};
use crate::record::{ContentId, context};
use crate::seal::{
    CHUNK, Chunks, HEADER, Header, SEALED_CHUNK, SealError, TAG, chunks_len, seal_message, sealed_len,
};
use crate::secret::DataKey;
use crate::tenant::Tenant;
use crate::tree::{Blake3Root, GROUP, Node, Shape, build, group_node, small_root};
use crate::vault::Protection;

/// Bytes of content that are hashed and encrypted at once; also the size of an upload's part, which S3 wants to
/// be at least 5 MiB. A multiple of [`GROUP`].
pub(crate) const WINDOW: usize = 8 * 1024 * 1024;

/// Stored bytes of a full group.
pub(crate) const SEALED_GROUP: usize = GROUP / CHUNK * SEALED_CHUNK;

const CHUNKS_PER_GROUP: u64 = (GROUP / CHUNK) as u64;

/// The keys and names of one content.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) tenant: Tenant,
    pub(crate) content: ContentId,
    pub(crate) key: DataKey,
    pub(crate) protection: Protection,
}

impl Target {
    /// The context of the content's own chunks.
    pub(crate) fn content_context(&self) -> Vec<u8> {
        context(b"content", &self.tenant, &self.content)
    }

    /// The context of the tree's chunks.
    pub(crate) fn tree_context(&self) -> Vec<u8> {
        context(b"tree", &self.tenant, &self.content)
    }
}

/// Bytes that the content part takes in storage.
pub(crate) const fn stored_content_len(protection: Protection, length: u64) -> u64 {
    match protection {
        Protection::Encrypted => sealed_len(length),
        Protection::Plain => length,
    }
}

/// Bytes that content and tree take in storage.
pub(crate) fn stored_len(protection: Protection, length: u64) -> u64 {
    let tree = Shape::of(length).outboard_len();
    let stored_tree = match (tree, protection) {
        (0, _) => 0,
        (_, Protection::Encrypted) => sealed_len(tree),
        (_, Protection::Plain) => tree,
    };
    stored_content_len(protection, length) + stored_tree
}

/// Turns windows of content into stored bytes and hashes.
pub(crate) struct Encoder {
    target: Target,
    sealing: Option<(Chunks, Header)>,
    sha: Sha256,
    leaves: Vec<Node>,
    /// The BLAKE3 hash of the first window's first group, in case there is no other.
    only_group: Option<Blake3Root>,
    length: u64,
}

/// What remains when all windows are encoded.
pub(crate) struct Encoded {
    pub(crate) target: Target,
    pub(crate) digest: Digest,
    pub(crate) root: Blake3Root,
    pub(crate) length: u64,
    /// The stored tree, which follows the content.
    pub(crate) tree: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(target: Target) -> Result<Self> {
        let sealing = match target.protection {
            Protection::Encrypted => {
                let begun = Chunks::begin(target.key.bytes(), &target.content_context());
                Some(begun.map_err(|_| Error::Cryptography)?)
            }
            Protection::Plain => None,
        };
        Ok(Self { target, sealing, sha: Sha256::new(), leaves: Vec::new(), only_group: None, length: 0 })
    }

    /// Encodes the next window; one shorter than [`WINDOW`] (it may be empty) is the last.
    pub(crate) fn push(&mut self, window: &[u8]) -> Result<Vec<u8>> {
        let offset = self.length;
        if offset == 0 && window.len() <= GROUP {
            self.only_group = Some(small_root(window));
        }
        let sealing = self.sealing.as_ref();
        let sha = &mut self.sha;
        let ((), encoded) = rayon::join(|| sha.update(window), || encode_window(sealing, offset, window));
        let (nodes, stored) = encoded.map_err(|_| Error::Cryptography)?;
        self.leaves.extend(nodes);
        self.length += window.len() as u64;
        Ok(stored)
    }

    /// Ends the content.
    pub(crate) fn finish(self) -> Result<Encoded> {
        let (outboard, root) = match self.only_group {
            Some(root) => (Vec::new(), root),
            None => build(self.leaves).ok_or(Error::Cryptography)?,
        };
        let tree = match self.target.protection {
            Protection::Encrypted if !outboard.is_empty() => {
                seal_message(self.target.key.bytes(), &self.target.tree_context(), &outboard)
                    .map_err(|_| Error::Cryptography)?
            }
            Protection::Encrypted | Protection::Plain => outboard,
        };
        let digest = Digest::from_bytes(self.sha.finalize().into());
        Ok(Encoded { target: self.target, digest, root, length: self.length, tree })
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("target", &self.target)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// The groups' chaining values and the stored bytes of one window.
fn encode_window(
    sealing: Option<&(Chunks, Header)>,
    offset: u64,
    window: &[u8],
) -> Result<(Vec<Node>, Vec<u8>), SealError> {
    let first_group = offset / GROUP as u64;
    let groups = window.par_chunks(GROUP).enumerate();
    let Some((chunks, header)) = sealing else {
        let nodes = groups.map(|(at, group)| group_node(first_group + at as u64, group)).collect();
        return Ok((nodes, window.to_vec()));
    };
    let full = window.len() == WINDOW;
    let header: &[u8] = if offset == 0 { header } else { &[] };
    let body_len = match (full, window.len() as u64) {
        (true, length) => length / CHUNK as u64 * SEALED_CHUNK as u64,
        (false, length) => chunks_len(length),
    };
    let mut stored = vec![0; header.len() + usize::try_from(body_len).map_err(|_| SealError::Length)?];
    let (head, body) = stored.split_at_mut(header.len());
    head.copy_from_slice(header);
    // A last window that is a multiple of the chunk ends with an empty chunk of its own.
    let ends_empty = !full && window.len().is_multiple_of(CHUNK);
    let (body, empty) = body.split_at_mut(body.len() - if ends_empty { TAG } else { 0 });
    if ends_empty {
        chunks.seal((offset + window.len() as u64) / CHUNK as u64, &[], empty)?;
    }
    let nodes = groups.zip(body.par_chunks_mut(SEALED_GROUP)).map(|((at, group), out)| {
        let index = first_group + at as u64;
        let numbered = (index * CHUNKS_PER_GROUP..).zip(group.chunks(CHUNK));
        for ((number, chunk), sealed) in numbered.zip(out.chunks_mut(SEALED_CHUNK)) {
            chunks.seal(number, chunk, sealed)?;
        }
        Ok(group_node(index, group))
    });
    let nodes = nodes.collect::<Result<Vec<_>, SealError>>()?;
    Ok((nodes, stored))
}

/// Where the chunks of `groups` lie in the stored content, for content of `length` bytes.
pub(crate) fn stored_groups(
    protection: Protection,
    length: u64,
    groups: &std::ops::Range<u64>,
) -> std::ops::Range<u64> {
    let end = stored_content_len(protection, length);
    let (head, stride) = match protection {
        Protection::Encrypted => (HEADER as u64, SEALED_GROUP as u64),
        Protection::Plain => (0, GROUP as u64),
    };
    let last = groups.end >= Shape::of(length).groups();
    head + groups.start * stride..if last { end } else { head + groups.end * stride }
}
