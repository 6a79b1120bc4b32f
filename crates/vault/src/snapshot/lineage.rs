//! Walking from a snapshot back to the first.

use std::collections::{BTreeMap, VecDeque};

use statement::Digest;

use super::Snapshot;
use crate::error::{Error, Result};

/// How many snapshots a walk reads before it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineageLimit(pub usize);

/// Reads `id` and all its ancestors with `fetch`, which verifies each against its id.
pub(super) async fn walk(
    id: Digest,
    limit: LineageLimit,
    fetch: impl AsyncFn(Digest) -> Result<Snapshot>,
) -> Result<Vec<(Digest, Snapshot)>> {
    let mut found = BTreeMap::from([(id, fetch(id).await?)]);
    let mut pending = VecDeque::from([id]);
    while let Some(child) = pending.pop_front() {
        let parents = found.get(&child).map(|snapshot| snapshot.parents.clone()).unwrap_or_default();
        for parent in parents {
            if found.contains_key(&parent) {
                continue;
            }
            if found.len() >= limit.0 {
                return Err(Error::LineageTooLong { digest: id, limit: limit.0 });
            }
            let read = fetch(parent).await;
            let read = read.map_err(|source| Error::Lineage { child, parent, source: Box::new(source) })?;
            found.insert(parent, read);
            pending.push_back(parent);
        }
    }
    in_order(id, found)
}

/// Children before parents (Kahn's algorithm); what a cycle holds back is refused.
///
/// Ids that are digests of what holds them cannot form a cycle; the check stands so that the answer does not rest
/// on every reader having verified them.
pub(super) fn in_order(id: Digest, mut found: BTreeMap<Digest, Snapshot>) -> Result<Vec<(Digest, Snapshot)>> {
    let mut children: BTreeMap<Digest, usize> = BTreeMap::new();
    for parent in found.values().flat_map(|snapshot| &snapshot.parents) {
        *children.entry(*parent).or_default() += 1;
    }
    let mut ready = VecDeque::from_iter((!children.contains_key(&id)).then_some(id));
    let mut ordered = Vec::with_capacity(found.len());
    while let Some((digest, snapshot)) = ready.pop_front().and_then(|digest| found.remove_entry(&digest)) {
        for parent in &snapshot.parents {
            if let Some(left) = children.get_mut(parent) {
                *left -= 1;
                if *left == 0 {
                    ready.push_back(*parent);
                }
            }
        }
        ordered.push((digest, snapshot));
    }
    match found.first_key_value() {
        None => Ok(ordered),
        Some((digest, _)) => Err(Error::Cycle { digest: *digest }),
    }
}
