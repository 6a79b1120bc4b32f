//! The vault itself: what it is made of and what it needs for every operation.

use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};
use statement::Digest;

use crate::disk::{OsSteps, Steps, beside, destroy, ensure_directory, remove, replace_and_destroy};
use crate::error::{Error, Result};
use crate::quota::{Ledger, Quota};
use crate::record::{ContentRecord, Place, Record, contents_prefix};
use crate::ring::KeyRing;
use crate::secret::TenantKey;
use crate::tenant::Tenant;

/// How contents are stored. Records are sealed in either case, so tampering is noticed in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// AES-256-GCM under a key of its own per artefact, wrapped by the tenant's key.
    Encrypted,
    /// As they are. Purging and destroying a tenant then rest on overwriting and deleting alone.
    Plain,
}

/// Choices made when a vault is opened.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How new contents are stored; contents already there keep their way.
    pub protection: Protection,
    /// The quota of tenants that have none of their own.
    pub quota: Quota,
}

/// Whether an artefact is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is stored.
    Present,
    /// It, or its tenant's key, was destroyed on purpose.
    Purged,
    /// It is not stored.
    Absent,
}

/// A content-addressed store of artefacts. Cheap to clone; all methods need a Tokio runtime.
#[derive(Debug, Clone)]
pub struct Vault {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn ObjectStore>,
    medium: Medium,
    ring: Arc<dyn KeyRing>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) protection: Protection,
}

/// What lies under the object store, as far as destruction and crashes are concerned.
#[derive(Debug)]
pub(crate) enum Medium {
    Disk { files: LocalFileSystem, steps: Arc<dyn Steps> },
    Remote,
}

impl Vault {
    /// Opens the vault in `directory` on the local disk (made if it is not there). Every write is durable when
    /// its method returns: file and directory are synced.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Store`] when the directory cannot be made or opened.
    pub fn on_disk(directory: &Path, ring: Arc<dyn KeyRing>, options: Options) -> Result<Self> {
        Self::on_disk_with(directory, ring, options, Arc::new(OsSteps))
    }

    pub(crate) fn on_disk_with(
        directory: &Path,
        ring: Arc<dyn KeyRing>,
        options: Options,
        steps: Arc<dyn Steps>,
    ) -> Result<Self> {
        ensure_directory(&*steps, directory)?;
        let files = LocalFileSystem::new_with_prefix(directory)
            .map_err(|source| Error::Store { object: directory.display().to_string(), source })?
            .with_fsync(true);
        let store = Arc::new(files.clone());
        Ok(Self::assemble(store, Medium::Disk { files, steps }, ring, options))
    }

    /// Opens the vault on any object store. It must support conditional puts ([`PutMode::Create`]); durability
    /// is the store's. Where the store keeps old versions of objects, purging one artefact is only as good as
    /// its version expiry; destroying a tenant does not depend on the store.
    pub fn on_store(store: Arc<dyn ObjectStore>, ring: Arc<dyn KeyRing>, options: Options) -> Self {
        Self::assemble(store, Medium::Remote, ring, options)
    }

    fn assemble(
        store: Arc<dyn ObjectStore>,
        medium: Medium,
        ring: Arc<dyn KeyRing>,
        options: Options,
    ) -> Self {
        let ledger = Ledger::new(options.quota);
        Self { shared: Arc::new(Shared { store, medium, ring, ledger, protection: options.protection }) }
    }

    /// Makes a key for a new tenant.
    ///
    /// # Errors
    /// [`Error::TenantExists`], [`Error::TenantDestroyed`], or the key ring's failure.
    pub async fn create_tenant(&self, tenant: &Tenant) -> Result<()> {
        let tenant = tenant.clone();
        self.with_ring("creating a tenant", move |ring| ring.create(&tenant)).await
    }

    /// Gives `tenant` a quota of its own, from now on until the vault is opened anew.
    pub fn set_quota(&self, tenant: &Tenant, quota: Quota) {
        self.shared.ledger.set_quota(tenant, quota);
    }

    /// Stored bytes that count towards the tenant's quota, with those of puts in progress.
    ///
    /// # Errors
    /// [`Error::Store`] when the first count fails.
    pub async fn used(&self, tenant: &Tenant) -> Result<u64> {
        if let Some(used) = self.shared.ledger.used(tenant) {
            return Ok(used);
        }
        let prefix = contents_prefix(tenant);
        let sizes = self.shared.store.list(Some(&prefix)).map_ok(|meta| meta.size);
        let count = sizes.try_fold(0, |sum: u64, size| async move { Ok(sum.saturating_add(size)) });
        let counted = count.await.map_err(|source| Error::store(&prefix, source))?;
        self.shared.ledger.enter(tenant, counted);
        Ok(self.shared.ledger.used(tenant).unwrap_or(counted))
    }

    /// Whether the artefact is there, without looking at its content. A damaged record is an error.
    ///
    /// # Errors
    /// [`Error::TenantUnknown`], [`Error::RecordCorrupt`], [`Error::Store`], or the key ring's failure.
    pub async fn presence(&self, tenant: &Tenant, digest: &Digest) -> Result<Presence> {
        match self.record(tenant, digest).await {
            Ok(_) => Ok(Presence::Present),
            Err(Error::Purged { .. }) => Ok(Presence::Purged),
            Err(Error::NotFound { .. }) => Ok(Presence::Absent),
            Err(error) => Err(error),
        }
    }

    /// Whether the artefact is there and was not purged, without looking at its content.
    ///
    /// # Errors
    /// As [`Vault::presence`].
    pub async fn contains(&self, tenant: &Tenant, digest: &Digest) -> Result<bool> {
        Ok(self.presence(tenant, digest).await? == Presence::Present)
    }

    /// The tenant's key, for storing.
    pub(crate) async fn key(&self, tenant: &Tenant) -> Result<TenantKey> {
        let tenant = tenant.clone();
        self.with_ring("reading a tenant's key", move |ring| ring.key(&tenant)).await
    }

    /// The tenant's key, for reading `digest`: a destroyed tenant's artefacts are purged.
    pub(crate) async fn key_for(&self, tenant: &Tenant, digest: &Digest) -> Result<TenantKey> {
        match self.key(tenant).await {
            Err(Error::TenantDestroyed { .. }) => Err(Error::Purged { digest: *digest }),
            outcome => outcome,
        }
    }

    /// The record of a stored artefact.
    pub(crate) async fn record(&self, tenant: &Tenant, digest: &Digest) -> Result<ContentRecord> {
        let key = self.key_for(tenant, digest).await?;
        match self.find(&Place::of(tenant, &key, digest)?).await? {
            Some(Record::Content(record)) => Ok(record),
            Some(Record::Tombstone { .. }) => Err(Error::Purged { digest: *digest }),
            None => Err(Error::NotFound { digest: *digest }),
        }
    }

    /// What is stored at `place`.
    pub(crate) async fn find(&self, place: &Place<'_>) -> Result<Option<Record>> {
        let path = place.path();
        let sealed = match self.shared.store.get(&path).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            outcome => outcome.map_err(|source| Error::store(&path, source))?.bytes().await,
        };
        let sealed = sealed.map_err(|source| Error::store(&path, source))?;
        Record::open(&sealed, place).map(Some)
    }

    pub(crate) async fn with_ring<T: Send + 'static>(
        &self,
        task: &'static str,
        act: impl FnOnce(&dyn KeyRing) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let ring = Arc::clone(&self.shared.ring);
        in_background(task, move || act(&*ring)).await
    }

    /// Stores `bytes` at `path` unless something is there; answers whether it did.
    pub(crate) async fn create(&self, path: &object_store::path::Path, bytes: Vec<u8>) -> Result<Created> {
        match self.shared.store.put_opts(path, PutPayload::from(bytes), PutMode::Create.into()).await {
            Ok(_) => Ok(Created::New),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Created::Occupied)
            }
            Err(source) => Err(Error::store(path, source)),
        }
    }

    /// Deletes an object durably; one that is not there is fine.
    pub(crate) async fn delete(&self, path: &object_store::path::Path, way: Deletion) -> Result<()> {
        if let Medium::Disk { files, steps } = &self.shared.medium {
            let file = files.path_to_filesystem(path).map_err(|source| Error::store(path, source))?;
            let steps = Arc::clone(steps);
            return in_background("deleting an object", move || match way {
                Deletion::Unlink => remove(&*steps, &file),
                Deletion::Overwrite => destroy(&*steps, &file),
            })
            .await;
        }
        match self.shared.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(Error::store(path, source)),
        }
    }

    /// Puts `bytes` in the place of the object at `path` and destroys the old bytes.
    pub(crate) async fn replace(&self, path: &object_store::path::Path, bytes: Vec<u8>) -> Result<()> {
        if let Medium::Disk { files, steps } = &self.shared.medium {
            let file = files.path_to_filesystem(path).map_err(|source| Error::store(path, source))?;
            let steps = Arc::clone(steps);
            return in_background("replacing an object", move || {
                let (draft, old) = (beside(&file, "#new"), beside(&file, "#old"));
                replace_and_destroy(&*steps, &file, &draft, &old, &bytes)
            })
            .await;
        }
        let put = self.shared.store.put(path, PutPayload::from(bytes));
        put.await.map(|_| ()).map_err(|source| Error::store(path, source))
    }

    pub(crate) fn medium(&self) -> &Medium {
        &self.shared.medium
    }
}

/// What a conditional put found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    New,
    Occupied,
}

/// How an object goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// Its name goes; its bytes mean nothing without a key that is destroyed, or are no secret to destroy.
    Unlink,
    /// Its bytes are overwritten first, where the medium allows it.
    Overwrite,
}

/// Runs blocking work off the runtime's own threads.
pub(crate) async fn in_background<T: Send + 'static>(
    task: &'static str,
    act: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(act).await.map_err(|_| Error::Task { task })?
}
