//! The checkpoint as its witnesses have it: what admission is judged by.

use std::collections::BTreeMap;

use merkle::{MerkleError, VerifiedCheckpoint, VerifierKey, WitnessPolicy};
use policy::gate::CheckpointView;
use statement::PersonId;
use statement::kind::TrustRoot;

/// Who of the trust root's witnesses has cosigned a checkpoint, and by when enough of them had. Who runs two witnesses is
/// one: the trust root counts persons.
///
/// # Errors
/// Where the trust root names witnesses that cannot be used, or a cosignature does not verify.
pub fn checkpoint_view(
    root: &TrustRoot,
    checkpoint: &VerifiedCheckpoint,
) -> Result<CheckpointView, MerkleError> {
    let witnesses = &root.witnesses;
    let mut keys = Vec::new();
    let mut persons: BTreeMap<String, &PersonId> = BTreeMap::new();
    for witness in &witnesses.keys {
        let key = VerifierKey::parse(witness.key.as_bytes())?;
        persons.insert(key.name().to_owned(), &witness.person);
        keys.push(key);
    }
    let threshold = usize::try_from(witnesses.threshold).unwrap_or(usize::MAX);
    let policy = WitnessPolicy::new(keys, threshold)?;
    let mut seen: BTreeMap<&PersonId, u64> = BTreeMap::new();
    for witness in policy.seen(checkpoint)? {
        if let Some(person) = persons.get(witness.name()) {
            let latest = seen.entry(person).or_default();
            *latest = (*latest).max(witness.latest().saturating_mul(1000));
        }
    }
    // Of the latest times the threshold-th, counted from the newest.
    let mut times: Vec<u64> = seen.values().copied().collect();
    times.sort_unstable_by(|a, b| b.cmp(a));
    Ok(CheckpointView {
        size: checkpoint.size(),
        witnessed_ms: times.get(threshold.saturating_sub(1)).copied().unwrap_or(0),
        witnesses: u32::try_from(seen.len()).unwrap_or(u32::MAX),
    })
}
