//! A vault in a temporary folder, and hands that meddle with what it stores.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vault::{FileKeyRing, MasterKey, Options, Protection, Quota, Tenant, Vault};
use zeroize::Zeroizing;

pub(crate) const KIB: usize = 1024;
/// What the tree's leaves cover.
pub(crate) const GROUP: usize = 256 * KIB;
/// Plaintext of a chunk of ciphertext.
pub(crate) const CHUNK: usize = 16 * KIB;
/// Content that is encoded at once.
pub(crate) const WINDOW: usize = 8 * KIB * KIB;

pub(crate) const OPTIONS: Options = Options { protection: Protection::Encrypted, quota: Quota::Unlimited };

pub(crate) struct Scene {
    folder: tempfile::TempDir,
    pub(crate) vault: Vault,
    pub(crate) acme: Tenant,
    pub(crate) other: Tenant,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(OPTIONS).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vault = open(folder.path(), options);
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        for tenant in [&acme, &other] {
            vault.create_tenant(tenant).await.unwrap();
        }
        Self { folder, vault, acme, other }
    }

    /// The same vault, opened anew.
    pub(crate) fn reopened(&self) -> Vault {
        open(self.folder.path(), OPTIONS)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Everything stored for a tenant, of a kind: `records` or `content`.
    pub(crate) fn stored(&self, tenant: &Tenant, kind: &str) -> Vec<PathBuf> {
        files(&self.root().join(tenant.as_str()).join(kind))
    }

    /// The only file of a kind.
    #[track_caller]
    pub(crate) fn only(&self, tenant: &Tenant, kind: &str) -> PathBuf {
        let stored = self.stored(tenant, kind);
        assert_eq!(stored.len(), 1, "{stored:?}");
        stored[0].clone()
    }
}

fn open(folder: &Path, options: Options) -> Vault {
    let master = MasterKey::from_bytes(Zeroizing::new([3; 32]));
    let ring = FileKeyRing::open(folder.join("ring"), master).unwrap();
    Vault::on_disk(&folder.join("store"), Arc::new(ring), options).unwrap()
}

/// All files under a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { pending.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Content that does not repeat at any chunk's length.
pub(crate) fn content(length: usize, seed: u8) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[seed]);
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

/// A moment after every file of these tests was written.
pub(crate) fn far_future() -> std::time::SystemTime {
    std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_hours(24 * 365 * 300)
}
