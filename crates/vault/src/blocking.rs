//! The vault for programs that have no async runtime of their own.

use std::path::Path;

use bytes::Bytes;
use statement::Digest;

use crate::error::{Error, Result};
use crate::folder::Manifest;
use crate::manage::{Listed, Verified};
use crate::put::Stored;
use crate::tenant::Tenant;
use crate::vault::{Presence, Vault};

/// A vault with a runtime of its own. Its methods block; calling them inside an async task panics, as Tokio does.
#[derive(Debug)]
pub struct BlockingVault {
    vault: Vault,
    runtime: tokio::runtime::Runtime,
}

impl BlockingVault {
    /// Gives `vault` a runtime with one worker thread; hashing, encryption and files have threads besides it.
    ///
    /// # Errors
    /// [`Error::Task`] when the runtime cannot be started.
    pub fn new(vault: Vault) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Ok(Self { vault, runtime: runtime.map_err(|_| Error::Task { task: "starting a runtime" })? })
    }

    /// The vault, for what has no blocking form here: `blocking.block_on(blocking.vault().lineage(…))`.
    pub const fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Runs a future of the vault to its end.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// [`Vault::create_tenant`].
    ///
    /// # Errors
    /// As there.
    pub fn create_tenant(&self, tenant: &Tenant) -> Result<()> {
        self.block_on(self.vault.create_tenant(tenant))
    }

    /// [`Vault::put_bytes`].
    ///
    /// # Errors
    /// As there.
    pub fn put_bytes(&self, tenant: &Tenant, content: &[u8]) -> Result<Stored> {
        self.block_on(self.vault.put_bytes(tenant, content))
    }

    /// [`Vault::put_file`].
    ///
    /// # Errors
    /// As there.
    pub fn put_file(&self, tenant: &Tenant, path: &Path) -> Result<Stored> {
        self.block_on(self.vault.put_file(tenant, path))
    }

    /// [`Vault::put_directory`].
    ///
    /// # Errors
    /// As there.
    pub fn put_directory(&self, tenant: &Tenant, path: &Path) -> Result<(Manifest, Stored)> {
        self.block_on(self.vault.put_directory(tenant, path))
    }

    /// [`Vault::read`].
    ///
    /// # Errors
    /// As there.
    pub fn read(&self, tenant: &Tenant, digest: &Digest, limit: u64) -> Result<Bytes> {
        self.block_on(self.vault.read(tenant, digest, limit))
    }

    /// [`Vault::presence`].
    ///
    /// # Errors
    /// As there.
    pub fn presence(&self, tenant: &Tenant, digest: &Digest) -> Result<Presence> {
        self.block_on(self.vault.presence(tenant, digest))
    }

    /// [`Vault::verify`].
    ///
    /// # Errors
    /// As there.
    pub fn verify(&self, tenant: &Tenant, digest: &Digest) -> Result<Verified> {
        self.block_on(self.vault.verify(tenant, digest))
    }

    /// [`Vault::list`].
    ///
    /// # Errors
    /// As there.
    pub fn list(&self, tenant: &Tenant) -> Result<Vec<Listed>> {
        self.block_on(self.vault.list(tenant))
    }

    /// [`Vault::purge`].
    ///
    /// # Errors
    /// As there.
    pub fn purge(&self, tenant: &Tenant, digest: &Digest) -> Result<()> {
        self.block_on(self.vault.purge(tenant, digest))
    }

    /// [`Vault::destroy_tenant`].
    ///
    /// # Errors
    /// As there.
    pub fn destroy_tenant(&self, tenant: &Tenant) -> Result<()> {
        self.block_on(self.vault.destroy_tenant(tenant))
    }
}
