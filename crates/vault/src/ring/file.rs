//! A key ring of files, each sealed under a master key.

use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::KeyRing;
use crate::disk::{OsSteps, Steps, destroy, ensure_directory, publish_new};
use crate::error::{Error, Result};
use crate::seal::{open_message, seal_message};
use crate::secret::{KEY_LEN, MasterKey, TenantKey, random};
use crate::tenant::Tenant;

/// Longest key file that is read; a real one has 104 bytes.
const FILE_LIMIT: u64 = 4096;

const RING_LABEL: &[u8] = b"countersign-vault/key-ring/v1";
const CHECK_CONTEXT: &[u8] = b"countersign-vault/v1/key-ring/check";

/// A directory (mode 0700) with a file `<tenant>.key` (mode 0600) per tenant, sealed under the master key, and
/// `<tenant>.destroyed` where the key was destroyed.
///
/// Destroying writes the marker durably, then overwrites the key file, unlinks it and syncs the directory; what a
/// crash interrupts is finished by [`FileKeyRing::open`] or the next [`KeyRing::destroy`]. Where the storage may
/// keep old blocks (copy-on-write, wear levelling, backups), what survives is sealed under the master key.
#[derive(Debug)]
pub struct FileKeyRing {
    directory: PathBuf,
    master: MasterKey,
    steps: Arc<dyn Steps>,
}

impl FileKeyRing {
    /// Opens the ring in `directory`, which is made if it is not there, and finishes interrupted destructions.
    ///
    /// # Errors
    /// [`Error::KeyFile`] when the ring was made with another master key; [`Error::File`] when the directory
    /// cannot be made or read.
    pub fn open(directory: impl Into<PathBuf>, master: MasterKey) -> Result<Self> {
        Self::with_steps(directory.into(), master, Arc::new(OsSteps))
    }

    pub(crate) fn with_steps(directory: PathBuf, master: MasterKey, steps: Arc<dyn Steps>) -> Result<Self> {
        ensure_directory(&*steps, &directory)?;
        let ring = Self { directory, master, steps };
        ring.check_master()?;
        for name in ring.names()? {
            if let Some(tenant) = name.strip_suffix(".destroyed").and_then(|stem| stem.parse().ok()) {
                ring.destroy_files(&tenant)?;
            }
        }
        Ok(ring)
    }

    /// Refuses a master key that the ring was not made with, before anything is sealed under it.
    fn check_master(&self) -> Result<()> {
        let path = self.directory.join("ring.check");
        if read(&path)?.is_none() {
            let key = self.master.derive(RING_LABEL)?;
            let sealed = seal_message(&key, CHECK_CONTEXT, b"check").map_err(|_| Error::Cryptography)?;
            match publish_new(&*self.steps, &path, &self.open_draft()?, &sealed) {
                Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
                outcome => outcome?,
            }
        }
        let sealed = read(&path)?.unwrap_or_default();
        let key = self.master.derive(RING_LABEL)?;
        match open_message(&key, CHECK_CONTEXT, &sealed) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::KeyFile { path }),
        }
    }

    fn names(&self) -> Result<Vec<String>> {
        let failed = |source| Error::file(&self.directory, "read", source);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory).map_err(failed)? {
            if let Ok(name) = entry.map_err(failed)?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn key_path(&self, tenant: &Tenant) -> PathBuf {
        self.directory.join(format!("{tenant}.key"))
    }

    fn marker_path(&self, tenant: &Tenant) -> PathBuf {
        self.directory.join(format!("{tenant}.destroyed"))
    }

    /// The name of a draft of a tenant's key. An identifier has no dot, so the prefix tells whose drafts they are:
    /// they are destroyed with the key.
    fn key_draft(&self, tenant: &Tenant) -> Result<PathBuf> {
        self.draft(&format!(".{tenant}."))
    }

    /// The name of a draft without a secret. It is never overwritten: after a crash it may be a second name of
    /// the very file that it was the draft of.
    fn open_draft(&self) -> Result<PathBuf> {
        self.draft("ring.draft-")
    }

    fn draft(&self, prefix: &str) -> Result<PathBuf> {
        let [a, b, c, d] = random()?;
        Ok(self.directory.join(format!("{prefix}{a:02x}{b:02x}{c:02x}{d:02x}")))
    }

    fn is_destroyed(&self, tenant: &Tenant) -> Result<bool> {
        let path = self.marker_path(tenant);
        let Some(sealed) = read(&path)? else { return Ok(false) };
        self.unseal(&path, b"destroyed", tenant, &sealed)?;
        Ok(true)
    }

    fn seal(&self, kind: &[u8], tenant: &Tenant, plain: &[u8]) -> Result<Vec<u8>> {
        let key = self.master.derive(RING_LABEL)?;
        seal_message(&key, &context(kind, tenant), plain).map_err(|_| Error::Cryptography)
    }

    fn unseal(&self, path: &Path, kind: &[u8], tenant: &Tenant, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let key = self.master.derive(RING_LABEL)?;
        let opened = open_message(&key, &context(kind, tenant), sealed);
        opened.map_err(|_| Error::KeyFile { path: path.to_owned() })
    }

    /// Destroys the key file and any draft of it.
    fn destroy_files(&self, tenant: &Tenant) -> Result<()> {
        let prefix = format!(".{tenant}.");
        for name in self.names()?.iter().filter(|name| name.starts_with(&prefix)) {
            destroy(&*self.steps, &self.directory.join(name))?;
        }
        destroy(&*self.steps, &self.key_path(tenant))
    }
}

impl KeyRing for FileKeyRing {
    fn create(&self, tenant: &Tenant) -> Result<()> {
        if self.is_destroyed(tenant)? {
            return Err(Error::TenantDestroyed { tenant: tenant.clone() });
        }
        let key = TenantKey::generate()?;
        let sealed = self.seal(b"key", tenant, key.bytes())?;
        let path = self.key_path(tenant);
        match publish_new(&*self.steps, &path, &self.key_draft(tenant)?, &sealed) {
            Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::TenantExists { tenant: tenant.clone() });
            }
            outcome => outcome?,
        }
        // A destruction may have passed between the first look and the new file.
        if self.is_destroyed(tenant)? {
            self.destroy_files(tenant)?;
            return Err(Error::TenantDestroyed { tenant: tenant.clone() });
        }
        Ok(())
    }

    fn key(&self, tenant: &Tenant) -> Result<TenantKey> {
        if self.is_destroyed(tenant)? {
            return Err(Error::TenantDestroyed { tenant: tenant.clone() });
        }
        let path = self.key_path(tenant);
        let Some(sealed) = read(&path)? else {
            return Err(Error::TenantUnknown { tenant: tenant.clone() });
        };
        let plain = self.unseal(&path, b"key", tenant, &sealed)?;
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        if plain.len() != KEY_LEN {
            return Err(Error::KeyFile { path });
        }
        bytes.copy_from_slice(&plain);
        Ok(TenantKey::from_bytes(bytes))
    }

    fn destroy(&self, tenant: &Tenant) -> Result<()> {
        if !self.is_destroyed(tenant)? {
            // The key itself is not read: what is damaged or open to others can be destroyed too.
            let path = self.key_path(tenant);
            if !path.try_exists().map_err(|source| Error::file(&path, "read", source))? {
                return Err(Error::TenantUnknown { tenant: tenant.clone() });
            }
            let marker = self.seal(b"destroyed", tenant, b"destroyed")?;
            match publish_new(&*self.steps, &self.marker_path(tenant), &self.open_draft()?, &marker) {
                // Another process was first with the marker: help it to finish.
                Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
                outcome => outcome?,
            }
        }
        self.destroy_files(tenant)
    }
}

fn context(kind: &[u8], tenant: &Tenant) -> Vec<u8> {
    [b"countersign-vault/v1/key-ring/", kind, b"\0", tenant.as_str().as_bytes()].concat()
}

/// The file's bytes, `None` where it is not there; a file that others may read is refused.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let failed = |source| Error::file(path, "read", source);
    let file = match std::fs::File::open(path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(Error::KeyFileMode { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}
