//! How much a tenant may store.
//!
//! Counted are the stored bytes of contents and their trees (records are 200 bytes each and not counted). The
//! count is taken from a listing when a tenant first stores something and kept in memory from then on, so the
//! quota is exact where one process stores for a tenant; two processes each see the other's bytes only after
//! they are opened again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::tenant::Tenant;

/// How many bytes a tenant may store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// As many as the storage holds.
    Unlimited,
    /// At most this many stored bytes (ciphertext and trees; 0.1 % and 56 bytes more than the content).
    Bytes(u64),
}

/// What every tenant uses.
#[derive(Debug)]
pub(crate) struct Ledger {
    default: Quota,
    accounts: Mutex<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    quotas: BTreeMap<Tenant, Quota>,
    used: BTreeMap<Tenant, u64>,
}

/// Bytes set aside for a put; given back when dropped unless kept.
#[derive(Debug)]
pub(crate) struct Reservation {
    ledger: Arc<Ledger>,
    tenant: Tenant,
    bytes: u64,
}

impl Ledger {
    pub(crate) fn new(default: Quota) -> Arc<Self> {
        Arc::new(Self { default, accounts: Mutex::default() })
    }

    pub(crate) fn set_quota(&self, tenant: &Tenant, quota: Quota) {
        self.with(|accounts| accounts.quotas.insert(tenant.clone(), quota));
    }

    /// Bytes used and reserved; `None` before the first count.
    pub(crate) fn used(&self, tenant: &Tenant) -> Option<u64> {
        self.with(|accounts| accounts.used.get(tenant).copied())
    }

    /// Enters the first count; a later one is ignored, as the account has moved on.
    pub(crate) fn enter(&self, tenant: &Tenant, used: u64) {
        self.with(|accounts| *accounts.used.entry(tenant.clone()).or_insert(used));
    }

    /// Gives bytes back after a removal.
    pub(crate) fn release(&self, tenant: &Tenant, bytes: u64) {
        self.with(|accounts| {
            if let Some(used) = accounts.used.get_mut(tenant) {
                *used = used.saturating_sub(bytes);
            }
        });
    }

    /// An empty reservation for `tenant`, whose count has been entered.
    pub(crate) fn reserve(self: &Arc<Self>, tenant: &Tenant) -> Reservation {
        Reservation { ledger: Arc::clone(self), tenant: tenant.clone(), bytes: 0 }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Accounts) -> T) -> T {
        // The accounts are plain numbers, each changed in one step: a poisoned lock holds nothing half done.
        act(&mut self.accounts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Reservation {
    /// Raises the reservation to `bytes`, or refuses before the quota would be exceeded.
    pub(crate) fn raise_to(&mut self, bytes: u64) -> Result<()> {
        let Some(wanted) = bytes.checked_sub(self.bytes).filter(|wanted| *wanted > 0) else { return Ok(()) };
        let Self { ledger, tenant, .. } = self;
        ledger.with(|accounts| {
            let limit = match accounts.quotas.get(tenant).copied().unwrap_or(ledger.default) {
                Quota::Unlimited => u64::MAX,
                Quota::Bytes(limit) => limit,
            };
            let used = accounts.used.entry(tenant.clone()).or_insert(0);
            match used.checked_add(wanted).filter(|sum| *sum <= limit) {
                Some(sum) => *used = sum,
                None => return Err(Error::Quota { tenant: tenant.clone(), limit, used: *used, wanted }),
            }
            Ok(())
        })?;
        self.bytes = bytes;
        Ok(())
    }

    /// The bytes are stored: they stay counted.
    pub(crate) fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.ledger.release(&self.tenant, self.bytes);
    }
}
