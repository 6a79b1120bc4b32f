//! Folders: a manifest of relative paths, sizes and digests, itself an artefact that names the folder.
//!
//! Only files are recorded: empty folders, owners, modes and times are not part of a folder's digest. A link to a
//! file inside the folder counts as that file; every other link is refused.

mod manifest;
mod walk;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;

use futures::{StreamExt as _, TryStreamExt as _};
use lanes::Source;
use statement::Digest;
use tokio::io::AsyncWriteExt as _;

pub use manifest::{Entry, Manifest, RelativePath};

use crate::error::{Error, Result};
use crate::intake::Blocking;
use crate::put::Stored;
use crate::tenant::Tenant;
use crate::vault::{Vault, in_background};
use walk::{Folder, Found, Opened, hash_opened};

/// Files of a folder that are stored at the same time.
const FILES_AT_ONCE: usize = 4;

/// The SHA-256 and the length of a file's content.
///
/// # Errors
/// [`Error::File`], [`Error::Changed`].
pub fn hash_file(path: &Path) -> Result<(Digest, u64)> {
    let file = File::open(path).map_err(|source| Error::file(path, "opened", source))?;
    hash_opened(Opened::new(file, path.to_owned())?)
}

/// The manifest of a folder, hashed with all cores, several files at once on each, and without storing anything. Blocks.
///
/// # Errors
/// [`Error::Path`] for what a manifest cannot name (see [`RelativePath`]; devices, sockets, pipes, links that lead
/// out of the folder or to a folder), [`Error::Changed`], [`Error::File`].
pub fn hash_directory(path: &Path) -> Result<Manifest> {
    let folder = Folder::open(path)?;
    let mut files = folder.files()?;
    // The largest first, so that no core is left with a large one at the end.
    files.sort_unstable_by_key(|found| std::cmp::Reverse(found.size));
    let at_once = lanes::share(files.len(), rayon::current_num_threads());
    let queue = Mutex::new(files.iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let entries = rayon::broadcast(|_| {
        let mut entries = Vec::new();
        lanes::hash_all(
            at_once,
            || next().map(|found| Named::open(&folder, found)).transpose(),
            |named, digest| {
                let size = named.opened.confirm()?;
                entries.push(Entry { path: named.path, size, digest: Digest::from_bytes(digest) });
                Ok(())
            },
        )?;
        Ok(entries)
    });
    Manifest::new(entries.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

/// An open file, and its name in the manifest.
struct Named {
    path: RelativePath,
    opened: Opened,
}

impl Named {
    fn open(folder: &Folder, found: &Found) -> Result<Self> {
        let opened = Opened::new(folder.open_file(found)?, folder.shown(&found.path))?;
        Ok(Self { path: found.path.clone(), opened })
    }
}

impl Source for Named {
    type Error = Error;

    fn fill(&mut self) -> Result<&[u8]> {
        self.opened.fill()
    }

    fn consume(&mut self, count: usize) {
        self.opened.consume(count);
    }
}

impl Vault {
    /// Stores every file of a folder, then its manifest, whose digest names the folder.
    ///
    /// # Errors
    /// As [`hash_directory`] and [`Vault::put`]. Files stored before an error stay stored.
    pub async fn put_directory(&self, tenant: &Tenant, path: &Path) -> Result<(Manifest, Stored)> {
        let owned = path.to_owned();
        let (folder, mut files) = in_background("reading a folder", move || {
            let folder = Folder::open(&owned)?;
            let files = folder.files()?;
            Ok((folder, files))
        })
        .await?;
        files.sort_unstable_by_key(|found| std::cmp::Reverse(found.size));
        let puts = futures::stream::iter(files.iter().map(|found| self.put_found(tenant, &folder, found)));
        let entries: Vec<Entry> = puts.buffer_unordered(FILES_AT_ONCE).try_collect().await?;
        let manifest = Manifest::new(entries)?;
        let stored = self.put_bytes(tenant, &manifest.to_bytes()?).await?;
        Ok((manifest, stored))
    }

    async fn put_found(&self, tenant: &Tenant, folder: &Folder, found: &Found) -> Result<Entry> {
        let shown = folder.shown(&found.path);
        let file = folder.open_file(found)?;
        let failed = |source| Error::file(&shown, "opened", source);
        let before = walk::Look::at(&file).map_err(failed)?;
        let again = file.try_clone().map_err(failed)?;
        let stored = self.put_intake(tenant, Blocking(Some(file)), found.size).await?;
        before.confirm(&again, stored.length, &shown)?;
        Ok(Entry { path: found.path.clone(), size: stored.length, digest: stored.digest })
    }

    /// Reads a folder's manifest.
    ///
    /// # Errors
    /// As [`Vault::read`], and [`Error::Manifest`] when the artefact is no manifest.
    pub async fn manifest(&self, tenant: &Tenant, digest: &Digest) -> Result<Manifest> {
        Manifest::parse(&self.read(tenant, digest, manifest::BYTES_LIMIT as u64).await?)
    }

    /// Writes a stored folder to `destination`, which must not exist. Each byte is verified before it is written;
    /// after an error the destination is incomplete.
    ///
    /// # Errors
    /// As [`Vault::manifest`] and [`Artefact::read_range`](crate::Artefact::read_range); [`Error::File`];
    /// [`Error::Manifest`] when a file's length is not the one in the manifest.
    pub async fn restore_directory(
        &self,
        tenant: &Tenant,
        digest: &Digest,
        destination: &Path,
    ) -> Result<Manifest> {
        let manifest = self.manifest(tenant, digest).await?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { path, action: "written", source }
        };
        tokio::fs::create_dir(destination).await.map_err(failed(destination))?;
        for entry in manifest.entries() {
            let target: PathBuf = destination.join(entry.path.as_str());
            if let Some(parent) = target.parent() {
                tokio::fs::create_dir_all(parent).await.map_err(failed(parent))?;
            }
            let artefact = self.open(tenant, &entry.digest).await?;
            if artefact.length() != entry.size {
                return Err(Error::Manifest { digest: *digest, reason: "a size is not the file's" });
            }
            let mut file = tokio::fs::File::create_new(&target).await.map_err(failed(&target))?;
            let mut pieces = std::pin::pin!(artefact.stream(0..artefact.length()));
            while let Some(piece) = pieces.try_next().await? {
                file.write_all(&piece).await.map_err(failed(&target))?;
            }
            file.sync_all().await.map_err(failed(&target))?;
        }
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests;
