//! Reading: every group is authenticated, decrypted and compared with the tree before a byte of it is handed out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use statement::Digest;

use crate::encode::{SEALED_GROUP, Target, WINDOW, stored_content_len, stored_groups, stored_len};
use crate::error::{Error, Part, Result};
use crate::record::{ContentRecord, content_path};
use crate::seal::{CHUNK, Chunks, HEADER, SEALED_CHUNK, SealError, chunks_len};
use crate::tenant::Tenant;
use crate::tree::{Blake3Root, GROUP, NODE, Node, Shape, group_node, small_root};
use crate::vault::{Protection, Vault, in_background};

/// Groups that are read and checked at once.
const GROUPS_AT_ONCE: u64 = (WINDOW / GROUP) as u64;

/// A stored artefact. It holds no key: each read asks the key ring and the record again, so that a purge in the
/// meantime is respected.
#[derive(Debug, Clone)]
pub struct Artefact {
    vault: Vault,
    tenant: Tenant,
    digest: Digest,
    root: Blake3Root,
    length: u64,
}

impl Vault {
    /// Opens an artefact for reading. Its content is looked at when it is read.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Purged`], [`Error::TenantUnknown`], [`Error::RecordCorrupt`],
    /// [`Error::Store`].
    pub async fn open(&self, tenant: &Tenant, digest: &Digest) -> Result<Artefact> {
        let ContentRecord { root, length, .. } = self.record(tenant, digest).await?;
        Ok(Artefact { vault: self.clone(), tenant: tenant.clone(), digest: *digest, root, length })
    }

    /// Opens an artefact and reads the bytes of `range`; see [`Artefact::read_range`].
    ///
    /// # Errors
    /// As [`Vault::open`] and [`Artefact::read_range`].
    pub async fn read_range(&self, tenant: &Tenant, digest: &Digest, range: Range<u64>) -> Result<Bytes> {
        self.open(tenant, digest).await?.read_range(range).await
    }

    /// Reads a whole artefact of at most `limit` bytes; its SHA-256 is checked too.
    ///
    /// # Errors
    /// As [`Vault::open`] and [`Artefact::read_range`], [`Error::TooLong`], [`Error::DigestMismatch`].
    pub async fn read(&self, tenant: &Tenant, digest: &Digest, limit: u64) -> Result<Bytes> {
        let artefact = self.open(tenant, digest).await?;
        if artefact.length > limit {
            return Err(Error::TooLong { what: digest.to_string(), limit });
        }
        let bytes = artefact.read_range(0..artefact.length).await?;
        let found = Digest::of(&bytes);
        if found == *digest { Ok(bytes) } else { Err(Error::DigestMismatch { digest: *digest, found }) }
    }
}

impl Artefact {
    /// SHA-256 of the content.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// BLAKE3 of the content.
    pub const fn root(&self) -> Blake3Root {
        self.root
    }

    /// Length of the content in bytes.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Reads the bytes of `range`. The groups of 256 KiB that it touches are read, and of the tree what leads
    /// from them to the root; the rest of the artefact is neither read nor checked.
    ///
    /// # Errors
    /// [`Error::Range`], [`Error::Corrupt`] with what is damaged and where, [`Error::Purged`],
    /// [`Error::NotFound`], [`Error::ContentMissing`], [`Error::Store`].
    pub async fn read_range(&self, range: Range<u64>) -> Result<Bytes> {
        if let Some(small) =
            usize::try_from(range.end.saturating_sub(range.start)).ok().filter(|n| *n <= WINDOW)
        {
            let mut out = BytesMut::with_capacity(small);
            let mut pieces = std::pin::pin!(self.stream(range));
            while let Some(piece) = pieces.try_next().await? {
                out.extend_from_slice(&piece);
            }
            return Ok(out.freeze());
        }
        let pieces: Vec<Bytes> = self.stream(range).try_collect().await?;
        Ok(Bytes::from(pieces.concat()))
    }

    /// The bytes of `range` in pieces of at most 8 MiB, each verified before it is yielded.
    ///
    /// # Errors
    /// As [`Artefact::read_range`]; the stream ends with its first error.
    pub fn stream(&self, range: Range<u64>) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        let start = Progress { artefact: self.clone(), at: range.start, end: range.end, began: false };
        futures::stream::try_unfold(start, |mut progress| async move {
            let piece = progress.next().await?;
            Ok(piece.map(|piece| (piece, progress)))
        })
    }

    /// Reads everything, and checks the SHA-256 and BLAKE3 hashes of the whole besides every group.
    pub(crate) async fn rehash(&self, told: impl Fn(u64)) -> Result<()> {
        let mut pieces = std::pin::pin!(self.stream(0..self.length));
        let mut hashers = (Sha256::new(), blake3::Hasher::new());
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            let length = piece.len() as u64;
            let (mut sha, mut blake) = hashers;
            hashers = in_background("hashing content", move || {
                rayon::join(|| sha.update(&piece), || blake.update_rayon(&piece));
                Ok((sha, blake))
            })
            .await?;
            told(length);
        }
        let found = Digest::from_bytes(hashers.0.finalize().into());
        if found != self.digest {
            return Err(Error::DigestMismatch { digest: self.digest, found });
        }
        let found = Blake3Root::from_bytes(*hashers.1.finalize().as_bytes());
        if found != self.root {
            return Err(Error::RootMismatch { digest: self.digest, found });
        }
        Ok(())
    }
}

/// How far a stream has come.
struct Progress {
    artefact: Artefact,
    at: u64,
    end: u64,
    began: bool,
}

impl Progress {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let Artefact { vault, tenant, digest, length, .. } = &self.artefact;
        let range = Error::Range { digest: *digest, start: self.at, end: self.end, length: *length };
        if self.at > self.end || self.end > *length {
            return Err(range);
        }
        // An empty range still says whether the artefact is there, and an empty artefact is still verified.
        if self.began && self.at == self.end {
            return Ok(None);
        }
        self.began = true;
        let record = vault.record(tenant, digest).await?;
        if self.at == self.end && *length > 0 {
            return Ok(None);
        }
        let first = self.at / GROUP as u64;
        let last = self.end.div_ceil(GROUP as u64);
        let groups = first..last.min(first + GROUPS_AT_ONCE);
        let plain = Content::new(vault, tenant, record).groups(groups.clone()).await?;
        let base = groups.start * GROUP as u64;
        let until = self.end.min(base + plain.len() as u64);
        let cut =
            |at: u64| usize::try_from(at.saturating_sub(base)).map_or(plain.len(), |at| at.min(plain.len()));
        let piece = plain.slice(cut(self.at)..cut(until));
        self.at = until;
        Ok(Some(piece))
    }
}

/// A content and what verifies it.
struct Content {
    vault: Vault,
    path: Path,
    digest: Digest,
    root: Blake3Root,
    length: u64,
    target: Target,
}

impl Content {
    fn new(vault: &Vault, tenant: &Tenant, record: ContentRecord) -> Self {
        let ContentRecord { digest, root, length, content, protection, key } = record;
        let target = Target { tenant: tenant.clone(), content, key, protection };
        Self { vault: vault.clone(), path: content_path(tenant, &content), digest, root, length, target }
    }

    fn corrupt(&self, part: Part, offset: u64) -> Error {
        Error::Corrupt { digest: self.digest, part, offset }
    }

    /// The verified plaintext of `groups`.
    async fn groups(self, groups: Range<u64>) -> Result<Bytes> {
        let shape = Shape::of(self.length);
        let protection = self.target.protection;
        let expected = stored_len(protection, self.length);
        let found = self.size().await?;
        if found != expected {
            return Err(self.corrupt(Part::Length, found));
        }
        let leaves = if shape.groups() > 1 { Some(self.leaves(shape, &groups).await?) } else { None };
        let stored = stored_groups(protection, self.length, &groups);
        let (header, body) = match protection {
            Protection::Encrypted => {
                let [header, body] = self.fetch([0..HEADER as u64, stored]).await?;
                (Some(header), body)
            }
            Protection::Plain => {
                let [body] = self.fetch([stored]).await?;
                (None, body)
            }
        };
        in_background("verifying content", move || {
            self.verify(groups, header.as_deref(), body, leaves.as_deref())
        })
        .await
    }

    fn verify(
        &self,
        groups: Range<u64>,
        header: Option<&[u8]>,
        body: Bytes,
        leaves: Option<&[Node]>,
    ) -> Result<Bytes> {
        let start = groups.start * GROUP as u64;
        let plain = match header {
            Some(header) => Bytes::from(self.decrypt(start, groups.end, header, &body)?),
            None => body,
        };
        let damaged = match leaves {
            None => (small_root(&plain) != self.root).then_some(0),
            Some(leaves) => {
                let checked = plain.par_chunks(GROUP).zip(leaves).enumerate();
                let sound = |(at, (group, leaf)): (usize, (&[u8], &Node))| {
                    group_node(groups.start + at as u64, group) == *leaf
                };
                checked.position_first(|group| !sound(group)).map(|at| (at * GROUP) as u64)
            }
        };
        match damaged {
            Some(offset) => Err(self.corrupt(Part::Content, start + offset)),
            None => Ok(plain),
        }
    }

    fn decrypt(&self, start: u64, end_group: u64, header: &[u8], body: &[u8]) -> Result<Vec<u8>> {
        let refused = |error| match error {
            SealError::Chunk(index) => self.corrupt(Part::Content, index * CHUNK as u64),
            SealError::Commitment => self.corrupt(Part::Header, 0),
            SealError::Length => self.corrupt(Part::Length, body.len() as u64),
            SealError::Library => Error::Cryptography,
        };
        let header = header.try_into().map_err(|_| self.corrupt(Part::Length, header.len() as u64))?;
        let chunks = Chunks::resume(self.target.key.bytes(), &self.target.content_context(), header);
        let chunks = chunks.map_err(refused)?;
        let end = self.length.min(end_group * GROUP as u64);
        let short = |_| self.corrupt(Part::Length, body.len() as u64);
        let mut plain = vec![0; usize::try_from(end - start).map_err(short)?];
        // Content that ends with a full chunk is followed by an empty one, which says that it ends there.
        let ends_here = end == self.length && self.length.is_multiple_of(CHUNK as u64);
        let (body, empty) =
            body.split_at(body.len().saturating_sub(if ends_here { SEALED_CHUNK - CHUNK } else { 0 }));
        let first = start / CHUNK as u64;
        if ends_here {
            chunks.open(self.length / CHUNK as u64, empty, &mut []).map_err(refused)?;
        }
        let per_group = (GROUP / CHUNK) as u64;
        let groups = plain.par_chunks_mut(GROUP).zip(body.par_chunks(SEALED_GROUP)).enumerate();
        let failure = groups.find_map_first(|(at, (out, sealed))| {
            let numbers = first + at as u64 * per_group..;
            let mut pairs = numbers.zip(out.chunks_mut(CHUNK).zip(sealed.chunks(SEALED_CHUNK)));
            pairs.find_map(|(number, (out, sealed))| chunks.open(number, sealed, out).err())
        });
        failure.map_or(Ok(plain), |error| Err(refused(error)))
    }

    /// The chaining values of `groups`, carried up to the root.
    async fn leaves(&self, shape: Shape, groups: &Range<u64>) -> Result<Vec<Node>> {
        const NODES_PER_CHUNK: u64 = (CHUNK / NODE) as u64;
        let tree_at = stored_content_len(self.target.protection, self.length);
        let needed = shape.needed(groups);
        let mut nodes = BTreeMap::new();
        let pages: BTreeSet<u64> = needed.iter().map(|node| node / NODES_PER_CHUNK).collect();
        let opened = self.tree_pages(tree_at, shape.outboard_len(), &pages).await?;
        for node in needed {
            let at = usize::try_from(node % NODES_PER_CHUNK).unwrap_or(usize::MAX);
            let page = opened.get(&(node / NODES_PER_CHUNK));
            let found =
                page.and_then(|page| page.chunks_exact(NODE).nth(at)).and_then(|node| node.try_into().ok());
            nodes.insert(node, found.ok_or_else(|| self.corrupt(Part::Tree, node * NODE as u64))?);
        }
        if !shape.check(groups, &nodes, &self.root) {
            return Err(self.corrupt(Part::Tree, groups.start * NODE as u64));
        }
        Ok(groups.clone().filter_map(|group| nodes.get(&group).copied()).collect())
    }

    /// The plaintext of the tree's chunks with the numbers `pages`.
    async fn tree_pages(
        &self,
        tree_at: u64,
        tree_len: u64,
        pages: &BTreeSet<u64>,
    ) -> Result<BTreeMap<u64, Vec<u8>>> {
        let plain_len = |page: u64| (tree_len - page * CHUNK as u64).min(CHUNK as u64);
        if self.target.protection == Protection::Plain {
            let ranges = pages.iter().map(|page| {
                let start = tree_at + page * CHUNK as u64;
                start..start + plain_len(*page)
            });
            let fetched = self.fetch_all(ranges.collect()).await?;
            return Ok(pages.iter().copied().zip(fetched.into_iter().map(Vec::from)).collect());
        }
        let first = tree_at + HEADER as u64;
        // The tree's length is a secret of the sealed record, so its last chunk needs no reading to be known.
        let ranges = std::iter::once(tree_at..first).chain(pages.iter().map(|page| {
            let start = first + page * SEALED_CHUNK as u64;
            start..(start + SEALED_CHUNK as u64).min(first + chunks_len(tree_len))
        }));
        let mut fetched = self.fetch_all(ranges.collect()).await?.into_iter();
        let header = fetched.next().unwrap_or_default();
        let header = header.as_ref().try_into().map_err(|_| self.corrupt(Part::Tree, 0))?;
        let chunks = Chunks::resume(self.target.key.bytes(), &self.target.tree_context(), header)
            .map_err(|_| self.corrupt(Part::Header, 0))?;
        let mut opened = BTreeMap::new();
        for (page, sealed) in pages.iter().zip(fetched) {
            let refused = |_| self.corrupt(Part::Tree, page * CHUNK as u64);
            let length = usize::try_from(plain_len(*page)).unwrap_or(CHUNK);
            let mut plain = vec![0; length];
            let sealed = sealed.get(..length + (SEALED_CHUNK - CHUNK)).unwrap_or_default();
            chunks.open(*page, sealed, &mut plain).map_err(refused)?;
            opened.insert(*page, plain);
        }
        Ok(opened)
    }

    async fn size(&self) -> Result<u64> {
        match self.vault.shared.store.head(&self.path).await {
            Ok(meta) => Ok(meta.size),
            Err(source) => Err(self.lost(source).await),
        }
    }

    async fn fetch<const N: usize>(&self, ranges: [Range<u64>; N]) -> Result<[Bytes; N]> {
        let fetched = self.fetch_all(ranges.into()).await?;
        fetched.try_into().map_err(|found: Vec<Bytes>| self.corrupt(Part::Length, found.len() as u64))
    }

    /// The bytes of `ranges`, each as long as asked for.
    async fn fetch_all(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        if ranges.iter().all(Range::is_empty) {
            return Ok(vec![Bytes::new(); ranges.len()]);
        }
        let fetched = match self.vault.shared.store.get_ranges(&self.path, &ranges).await {
            Ok(fetched) => fetched,
            Err(source) => return Err(self.lost(source).await),
        };
        let short =
            ranges.iter().zip(&fetched).find(|(range, bytes)| range.end - range.start != bytes.len() as u64);
        match short {
            Some((range, bytes)) => Err(self.corrupt(Part::Length, range.start + bytes.len() as u64)),
            None => Ok(fetched),
        }
    }

    /// Why the content cannot be had: it may have been purged or removed since its record was read.
    async fn lost(&self, source: object_store::Error) -> Error {
        if !matches!(source, object_store::Error::NotFound { .. }) {
            return Error::store(&self.path, source);
        }
        match self.vault.record(&self.target.tenant, &self.digest).await {
            Ok(_) => Error::ContentMissing { digest: self.digest },
            Err(error) => error,
        }
    }
}
