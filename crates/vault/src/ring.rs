//! Where tenants' keys are kept, and how they are destroyed.

mod file;

pub use file::FileKeyRing;

use crate::error::Result;
use crate::secret::TenantKey;
use crate::tenant::Tenant;

/// Keeps one key per tenant. Methods may block; the vault calls them on the blocking pool, once per operation,
/// so that a destruction takes effect at once, also when another process did it.
pub trait KeyRing: std::fmt::Debug + Send + Sync {
    /// Makes a key for a new tenant.
    ///
    /// # Errors
    /// [`TenantExists`](crate::Error::TenantExists), [`TenantDestroyed`](crate::Error::TenantDestroyed): a
    /// destroyed tenant never comes back.
    fn create(&self, tenant: &Tenant) -> Result<()>;

    /// The tenant's key.
    ///
    /// # Errors
    /// [`TenantUnknown`](crate::Error::TenantUnknown), [`TenantDestroyed`](crate::Error::TenantDestroyed), or what
    /// keeps the key from being read.
    fn key(&self, tenant: &Tenant) -> Result<TenantKey>;

    /// Destroys the tenant's key for ever and remembers that it did. Calling it again finishes what a crash
    /// interrupted, and is no error when nothing is left to do.
    ///
    /// # Errors
    /// [`TenantUnknown`](crate::Error::TenantUnknown), or what keeps the key from being destroyed.
    fn destroy(&self, tenant: &Tenant) -> Result<()>;
}

#[cfg(test)]
mod tests;
