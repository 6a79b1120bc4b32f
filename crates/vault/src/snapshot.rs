//! Snapshots of served states: a Merkle DAG from any state back to the first.

mod lineage;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use statement::{ChangeId, Digest, Name, StateId, json};

pub use lineage::LineageLimit;

use crate::error::{Error, Result};
use crate::tenant::Tenant;
use crate::vault::{Presence, Vault};

/// Longest snapshot, in bytes.
const BYTES_LIMIT: usize = 1024 * 1024;
/// Most parents of one snapshot.
const PARENTS_LIMIT: usize = 16;
const TYPE: &str = "countersign/snapshot/v1";

/// How a snapshot came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotKind {
    /// The first state: it has no parents and no change made it.
    First,
    /// A change made it from its parents.
    Changed,
    /// A rollback restored it; its parent is the state that was left.
    Restored,
}

/// A served state kept for restoration. Its id is SHA-256 of its canonical bytes, which hold its parents' ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// How it came about.
    pub kind: SnapshotKind,
    /// The served state.
    pub state: StateId,
    /// What the state consists of: artefacts or folders of the vault, by name.
    pub components: BTreeMap<Name, Digest>,
    /// The ids of the snapshots it was made from; none for the first, at most 16, none twice.
    pub parents: Vec<Digest>,
    /// The change that made it; none for the first.
    pub change: Option<ChangeId>,
}

/// One component of a snapshot, looked at.
#[derive(Debug)]
pub struct Component {
    /// Its name in the snapshot.
    pub name: Name,
    /// The artefact or folder.
    pub digest: Digest,
    /// What was found.
    pub state: ComponentState,
}

/// What became of a component.
#[derive(Debug)]
pub enum ComponentState {
    /// Every byte of it, and of every file if it is a folder, was read and hashed.
    Verified {
        /// Bytes read.
        length: u64,
    },
    /// It, or a file of it, was destroyed on purpose: it cannot be restored, and nothing about it is verified.
    Purged,
    /// It, or a file of it, is not there.
    Missing,
    /// It could not be verified.
    Damaged(Error),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    change: Option<ChangeId>,
    components: BTreeMap<Name, Digest>,
    kind: SnapshotKind,
    parents: Vec<Digest>,
    state: StateId,
    r#type: String,
}

impl Snapshot {
    /// The canonical JSON (RFC 8785) of the snapshot, with `"type":"countersign/snapshot/v1"`.
    ///
    /// # Errors
    /// [`Error::Snapshot`] when its parts contradict each other, or it is over 1 MiB.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let wire = Wire {
            change: self.change.clone(),
            components: self.components.clone(),
            kind: self.kind,
            parents: self.parents.clone(),
            state: self.state,
            r#type: TYPE.to_owned(),
        };
        let bytes = json::to_canonical(&wire).map_err(|_| Error::Cryptography)?;
        let fault = if bytes.len() > BYTES_LIMIT { Some("it is longer than 1 MiB") } else { self.fault() };
        match fault {
            None => Ok(bytes),
            Some(reason) => Err(Error::Snapshot { digest: Digest::of(&bytes), reason }),
        }
    }

    /// The snapshot's id.
    ///
    /// # Errors
    /// As [`Snapshot::to_bytes`].
    pub fn id(&self) -> Result<Digest> {
        Ok(Digest::of(&self.to_bytes()?))
    }

    /// Reads a snapshot; only its canonical bytes are accepted.
    ///
    /// # Errors
    /// [`Error::Snapshot`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let malformed = |reason| Error::Snapshot { digest: Digest::of(bytes), reason };
        let value =
            json::parse_canonical(bytes, BYTES_LIMIT).map_err(|_| malformed("it is no canonical JSON"))?;
        let wire: Wire =
            json::from_value(&value).map_err(|_| malformed("it has not the members of a snapshot"))?;
        if wire.r#type != TYPE {
            return Err(malformed("it is of another type"));
        }
        let Wire { change, components, kind, parents, state, .. } = wire;
        let snapshot = Self { kind, state, components, parents, change };
        snapshot.fault().map_or(Ok(snapshot), |reason| Err(malformed(reason)))
    }

    fn fault(&self) -> Option<&'static str> {
        let mut parents = self.parents.clone();
        parents.sort_unstable();
        parents.dedup();
        match (self.kind, self.parents.len(), &self.change) {
            (SnapshotKind::First, 1.., _) => Some("the first has no parents"),
            (SnapshotKind::First, _, Some(_)) => Some("no change made the first"),
            (SnapshotKind::Changed | SnapshotKind::Restored, 0, _) => Some("only the first has no parents"),
            (SnapshotKind::Changed | SnapshotKind::Restored, _, None) => {
                Some("the change that made it is missing")
            }
            (_, count, _) if count > PARENTS_LIMIT => Some("it has more than 16 parents"),
            (_, count, _) if count != parents.len() => Some("a parent is there twice"),
            _ => None,
        }
    }
}

impl Vault {
    /// Stores a snapshot and answers its id. Its parents must be there and verify; its components need not.
    ///
    /// # Errors
    /// [`Error::Snapshot`], [`Error::Lineage`] for a parent, and as [`Vault::put`].
    pub async fn put_snapshot(&self, tenant: &Tenant, snapshot: &Snapshot) -> Result<Digest> {
        let bytes = snapshot.to_bytes()?;
        let child = Digest::of(&bytes);
        for parent in &snapshot.parents {
            let found = self.snapshot(tenant, parent).await;
            found.map_err(|source| Error::Lineage { child, parent: *parent, source: Box::new(source) })?;
        }
        Ok(self.put_bytes(tenant, &bytes).await?.digest)
    }

    /// Reads a snapshot by its id.
    ///
    /// # Errors
    /// As [`Vault::read`], and [`Error::Snapshot`].
    pub async fn snapshot(&self, tenant: &Tenant, id: &Digest) -> Result<Snapshot> {
        Snapshot::parse(&self.read(tenant, id, BYTES_LIMIT as u64).await?)
    }

    /// All snapshots from `id` back to the first, each before its parents, `id` first. Every link is verified:
    /// each snapshot's bytes hash to the id that its child holds.
    ///
    /// # Errors
    /// What reading `id` refuses; [`Error::Lineage`] for a parent that is missing, purged, tampered with or
    /// malformed; [`Error::Cycle`]; [`Error::LineageTooLong`].
    pub async fn lineage(
        &self,
        tenant: &Tenant,
        id: &Digest,
        limit: LineageLimit,
    ) -> Result<Vec<(Digest, Snapshot)>> {
        lineage::walk(*id, limit, async |wanted| self.snapshot(tenant, &wanted).await).await
    }

    /// Reads and hashes every component of a snapshot, and every file of those that are folders. Answers one
    /// entry per component, in the order of their names.
    ///
    /// # Errors
    /// What reading the snapshot itself refuses; what is wrong with a component is in its entry.
    pub async fn verify_components(&self, tenant: &Tenant, id: &Digest) -> Result<Vec<Component>> {
        let snapshot = self.snapshot(tenant, id).await?;
        let mut components = Vec::with_capacity(snapshot.components.len());
        for (name, digest) in snapshot.components {
            let state = match self.verify_deep(tenant, &digest).await {
                Ok(length) => ComponentState::Verified { length },
                Err(Error::Purged { .. }) => ComponentState::Purged,
                Err(Error::NotFound { .. }) => ComponentState::Missing,
                Err(error) => ComponentState::Damaged(error),
            };
            components.push(Component { name, digest, state });
        }
        Ok(components)
    }

    /// Bytes read and hashed of an artefact, and of the files that it names if it is a folder's manifest.
    async fn verify_deep(&self, tenant: &Tenant, digest: &Digest) -> Result<u64> {
        let mut length = self.verify(tenant, digest).await?.length;
        let manifest = match self.manifest(tenant, digest).await {
            Ok(manifest) => manifest,
            Err(Error::Manifest { .. } | Error::TooLong { .. }) => return Ok(length),
            Err(error) => return Err(error),
        };
        for entry in manifest.entries() {
            let found = self.verify(tenant, &entry.digest).await?.length;
            if found != entry.size {
                return Err(Error::Manifest { digest: *digest, reason: "a size is not the file's" });
            }
            length = length.saturating_add(found);
        }
        Ok(length)
    }

    /// Whether all of a snapshot's components are there, without reading them.
    ///
    /// # Errors
    /// What reading the snapshot refuses, and as [`Vault::presence`].
    pub async fn component_presence(&self, tenant: &Tenant, id: &Digest) -> Result<BTreeMap<Name, Presence>> {
        let mut found = BTreeMap::new();
        for (name, digest) in self.snapshot(tenant, id).await?.components {
            found.insert(name, self.presence(tenant, &digest).await?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
