//! Looking after what is stored: list, verify, remove, purge, destroy, sweep.

use std::collections::BTreeSet;
use std::time::SystemTime;

use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use statement::Digest;

use crate::encode::stored_len;
use crate::error::{Error, Result};
use crate::record::{ContentId, ContentRecord, Place, Record, content_path, contents_prefix, records_prefix};
use crate::tenant::Tenant;
use crate::tree::Blake3Root;
use crate::vault::{Deletion, Medium, Presence, Protection, Vault, in_background};

/// One artefact of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// The artefact.
    pub digest: Digest,
    /// [`Presence::Present`] or [`Presence::Purged`].
    pub presence: Presence,
    /// Its length in bytes; `None` once purged.
    pub length: Option<u64>,
}

/// The outcome of a full re-hash that found nothing wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The artefact.
    pub digest: Digest,
    /// BLAKE3 of its content.
    pub root: Blake3Root,
    /// Bytes that were read and hashed.
    pub length: u64,
}

/// What a sweep deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Contents that no record names, and drafts of interrupted puts and purges.
    pub objects: u64,
}

impl Vault {
    /// All artefacts of a tenant, ordered by digest.
    ///
    /// # Errors
    /// [`Error::TenantUnknown`], [`Error::TenantDestroyed`] (the names are gone with the key),
    /// [`Error::RecordCorrupt`], [`Error::Store`].
    pub async fn list(&self, tenant: &Tenant) -> Result<Vec<Listed>> {
        let mut listed: Vec<Listed> = self
            .records(tenant)
            .await?
            .iter()
            .map(|record| match record {
                Record::Content(record) => {
                    Listed { digest: record.digest, presence: Presence::Present, length: Some(record.length) }
                }
                Record::Tombstone { digest, .. } => {
                    Listed { digest: *digest, presence: Presence::Purged, length: None }
                }
            })
            .collect();
        listed.sort_unstable_by_key(|entry| entry.digest);
        Ok(listed)
    }

    /// Reads all of an artefact and checks every group, its SHA-256 and its BLAKE3 hash.
    ///
    /// # Errors
    /// As [`Artefact::read_range`](crate::Artefact::read_range), [`Error::DigestMismatch`],
    /// [`Error::RootMismatch`].
    pub async fn verify(&self, tenant: &Tenant, digest: &Digest) -> Result<Verified> {
        self.verify_telling(tenant, digest, |_| {}).await
    }

    /// As [`Vault::verify`]; tells after each piece how many bytes of content it had.
    ///
    /// # Errors
    /// As there.
    pub async fn verify_telling(
        &self,
        tenant: &Tenant,
        digest: &Digest,
        told: impl Fn(u64),
    ) -> Result<Verified> {
        let artefact = self.open(tenant, digest).await?;
        artefact.rehash(told).await?;
        Ok(Verified { digest: *digest, root: artefact.root(), length: artefact.length() })
    }

    /// Removes an artefact: afterwards it is not there, as if never stored. What must be seen to have been
    /// destroyed is purged instead.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Purged`], [`Error::TenantUnknown`], [`Error::RecordCorrupt`],
    /// [`Error::Store`].
    pub async fn remove(&self, tenant: &Tenant, digest: &Digest) -> Result<()> {
        let key = self.key_for(tenant, digest).await?;
        let place = Place::of(tenant, &key, digest)?;
        match self.find(&place).await? {
            None => Err(Error::NotFound { digest: *digest }),
            Some(Record::Tombstone { .. }) => Err(Error::Purged { digest: *digest }),
            Some(Record::Content(record)) => {
                self.delete(&place.path(), Deletion::Overwrite).await?;
                self.discard(tenant, &record.content, record.protection).await?;
                self.shared.ledger.release(tenant, stored_len(record.protection, record.length));
                Ok(())
            }
        }
    }

    /// Destroys one artefact's data key and content and leaves a tombstone: every later read, and every attempt
    /// to store the content again, answers [`Error::Purged`]. Calling it again finishes what a crash interrupted.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TenantUnknown`], [`Error::RecordCorrupt`], [`Error::Store`], [`Error::File`].
    pub async fn purge(&self, tenant: &Tenant, digest: &Digest) -> Result<()> {
        let key = match self.key(tenant).await {
            // The whole tenant is destroyed, and this artefact with it.
            Err(Error::TenantDestroyed { .. }) => return Ok(()),
            outcome => outcome?,
        };
        let place = Place::of(tenant, &key, digest)?;
        let (content, protection) = match self.find(&place).await? {
            None => return Err(Error::NotFound { digest: *digest }),
            Some(
                Record::Tombstone { content, protection, .. }
                | Record::Content(ContentRecord { content, protection, .. }),
            ) => (content, protection),
        };
        // What a purge before this one has deleted already was released by it.
        let freed = self.size(&content_path(tenant, &content)).await?;
        let tombstone = Record::Tombstone { digest: *digest, content, protection }.seal(&place)?;
        self.replace(&place.path(), tombstone).await?;
        self.discard(tenant, &content, protection).await?;
        self.shared.ledger.release(tenant, freed);
        Ok(())
    }

    /// Destroys a tenant's key: every artefact of the tenant is purged at once, wherever copies of its stored
    /// bytes may lie. The bytes themselves stay until [`Vault::reclaim`].
    ///
    /// # Errors
    /// [`Error::TenantUnknown`], or what kept the key ring from destroying the key.
    pub async fn destroy_tenant(&self, tenant: &Tenant) -> Result<()> {
        let tenant = tenant.clone();
        self.with_ring("destroying a tenant's key", move |ring| ring.destroy(&tenant)).await
    }

    /// Deletes the stored bytes of a destroyed tenant and answers how many objects went. Where this vault stores
    /// plain contents on the local disk, they are overwritten first.
    ///
    /// # Errors
    /// [`Error::TenantExists`] when the tenant was not destroyed, [`Error::TenantUnknown`], [`Error::Store`].
    pub async fn reclaim(&self, tenant: &Tenant) -> Result<u64> {
        match self.key(tenant).await {
            Err(Error::TenantDestroyed { .. }) => {}
            Ok(_) => return Err(Error::TenantExists { tenant: tenant.clone() }),
            Err(error) => return Err(error),
        }
        let way = deletion(self.shared.protection);
        let mut gone = 0;
        for prefix in [records_prefix(tenant), contents_prefix(tenant)] {
            for (path, size) in self.objects(&prefix, None).await? {
                self.delete(&path, way).await?;
                self.shared.ledger.release(tenant, size);
                gone += 1;
            }
        }
        Ok(gone + self.sweep_drafts(tenant, None).await?)
    }

    /// Deletes what interrupted puts, removals and purges left behind, if it was last written before
    /// `older_than`: choose a time before which no put in progress can have begun.
    ///
    /// # Errors
    /// [`Error::TenantUnknown`], [`Error::TenantDestroyed`], [`Error::RecordCorrupt`] (a content whose record
    /// cannot be read might be deleted by mistake, so nothing is), [`Error::Store`].
    pub async fn sweep(&self, tenant: &Tenant, older_than: SystemTime) -> Result<Swept> {
        // Contents first: a put that ends between the two listings is then seen with its record.
        let contents = self.objects(&contents_prefix(tenant), Some(older_than)).await?;
        let named: BTreeSet<Path> = self
            .records(tenant)
            .await?
            .iter()
            .filter_map(|record| match record {
                Record::Content(record) => Some(content_path(tenant, &record.content)),
                Record::Tombstone { .. } => None,
            })
            .collect();
        let mut objects = 0;
        for (path, size) in contents.into_iter().filter(|(path, _)| !named.contains(path)) {
            self.delete(&path, deletion(self.shared.protection)).await?;
            self.shared.ledger.release(tenant, size);
            objects += 1;
        }
        Ok(Swept { objects: objects + self.sweep_drafts(tenant, Some(older_than)).await? })
    }

    /// All records of a tenant.
    async fn records(&self, tenant: &Tenant) -> Result<Vec<Record>> {
        let key = self.key(tenant).await?;
        let mut records = Vec::new();
        for (path, _) in self.objects(&records_prefix(tenant), None).await? {
            // One that was removed since the listing is not there any more.
            records.extend(self.find(&Place::found(tenant, &key, &path)?).await?);
        }
        Ok(records)
    }

    /// The objects under `prefix` and their sizes, those last written before `older_than` if given.
    async fn objects(&self, prefix: &Path, older_than: Option<SystemTime>) -> Result<Vec<(Path, u64)>> {
        let listed = self.shared.store.list(Some(prefix)).map_ok(|meta| {
            let old = older_than.is_none_or(|limit| SystemTime::from(meta.last_modified) < limit);
            old.then_some((meta.location, meta.size))
        });
        let found: Vec<Option<(Path, u64)>> =
            listed.try_collect().await.map_err(|source| Error::store(prefix, source))?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The stored bytes of an object; 0 where it is not there.
    async fn size(&self, path: &Path) -> Result<u64> {
        match self.shared.store.head(path).await {
            Ok(meta) => Ok(meta.size),
            Err(object_store::Error::NotFound { .. }) => Ok(0),
            Err(source) => Err(Error::store(path, source)),
        }
    }

    async fn discard(&self, tenant: &Tenant, content: &ContentId, protection: Protection) -> Result<()> {
        self.delete(&content_path(tenant, content), deletion(protection)).await
    }

    /// Destroys the files that a crash left in the middle of a step; on the local disk they have a `#` in their
    /// names, which no object has.
    async fn sweep_drafts(&self, tenant: &Tenant, older_than: Option<SystemTime>) -> Result<u64> {
        let Medium::Disk { files, steps } = self.medium() else { return Ok(0) };
        let steps = std::sync::Arc::clone(steps);
        let mut roots = Vec::new();
        for prefix in [records_prefix(tenant), contents_prefix(tenant)] {
            roots.push(files.path_to_filesystem(&prefix).map_err(|source| Error::store(&prefix, source))?);
        }
        in_background("sweeping drafts", move || {
            let mut gone = 0;
            for root in roots {
                gone += crate::disk::destroy_drafts(&*steps, &root, older_than)?;
            }
            Ok(gone)
        })
        .await
    }
}

/// How a content goes when its record has gone.
const fn deletion(protection: Protection) -> Deletion {
    match protection {
        // Its key went with the record; overwriting gigabytes of ciphertext would destroy nothing more.
        Protection::Encrypted => Deletion::Unlink,
        Protection::Plain => Deletion::Overwrite,
    }
}

#[cfg(test)]
mod tests;
