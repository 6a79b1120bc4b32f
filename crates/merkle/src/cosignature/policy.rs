//! Which witnesses count, and how many it takes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::checkpoint::VerifiedCheckpoint;
use crate::error::MerkleError;
use crate::note::{KeyKind, VerifierKey};

/// The witnesses that count and how many of them must have cosigned.
///
/// INVARIANT: every key is of a cosignature kind; no public key stands under two names; the threshold is at
/// most the number of distinct names. A witness with an Ed25519 and an ML-DSA-44 key of one name counts once.
///
/// It counts names, because that is all that a checkpoint says: it serves readers of a log who know witnesses by their keys
/// alone. Whoever knows whose the witnesses are, as a realm's trust root does, counts persons among [`Self::seen`] instead:
/// one person can run two witnesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessPolicy {
    witnesses: Vec<VerifierKey>,
    threshold: usize,
}

/// A witness and the times at which it says that it saw the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessSeen {
    name: String,
    /// Ascending, at least one.
    times: Vec<u64>,
}

impl WitnessSeen {
    /// The witness's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All times stated, in seconds since the Epoch, ascending.
    pub fn times(&self) -> &[u64] {
        &self.times
    }

    /// The earliest time: the checkpoint's leaves existed by then.
    pub fn earliest(&self) -> u64 {
        self.times.first().copied().unwrap_or(u64::MAX)
    }

    /// The latest time: until then the witness had seen no larger tree.
    pub fn latest(&self) -> u64 {
        self.times.last().copied().unwrap_or(0)
    }
}

/// Token: a checkpoint that enough witnesses cosigned. Only [`WitnessPolicy::check`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Cosigned {
    witnesses: Vec<WitnessSeen>,
}

impl Cosigned {
    /// The distinct witnesses that cosigned, by name in ascending order.
    pub fn witnesses(&self) -> &[WitnessSeen] {
        &self.witnesses
    }
}

impl WitnessPolicy {
    /// A policy; a threshold of 0 asks for no witness.
    pub fn new(witnesses: Vec<VerifierKey>, threshold: usize) -> Result<Self, MerkleError> {
        let unsound = |reason, name: &str| MerkleError::WitnessPolicy { reason, name: name.to_owned() };
        let mut names = std::collections::BTreeSet::new();
        let mut keys = BTreeMap::new();
        for witness in &witnesses {
            match witness.kind() {
                KeyKind::Ed25519Cosignature | KeyKind::MlDsa44Cosignature => {}
                KeyKind::Ed25519 => return Err(unsound("the key is not a cosigner's", witness.name())),
            }
            match keys.entry(witness.public_key()) {
                Entry::Vacant(free) => free.insert(witness.name()),
                Entry::Occupied(_) => return Err(unsound("a key is listed twice", witness.name())),
            };
            names.insert(witness.name());
        }
        if threshold > names.len() {
            return Err(unsound("the threshold is above the number of witnesses", &threshold.to_string()));
        }
        Ok(Self { witnesses, threshold })
    }

    /// The witnesses' keys.
    pub fn witnesses(&self) -> &[VerifierKey] {
        &self.witnesses
    }

    /// How many distinct witnesses it takes.
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// The distinct witnesses that cosigned, by name, without asking whether they are enough.
    ///
    /// Cosignatures of unknown keys are ignored; a bad one under a witness's name and key id refuses the whole
    /// checkpoint. A timestamp of 0 says nothing about time (C2SP tlog-cosignature) and does not count.
    pub fn seen(&self, checkpoint: &VerifiedCheckpoint) -> Result<Vec<WitnessSeen>, MerkleError> {
        let mut times: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for verified in checkpoint.signed().note().verified(&self.witnesses)? {
            if let Some(time) = verified.timestamp.filter(|time| *time > 0) {
                times.entry(verified.key.name()).or_default().push(time);
            }
        }
        let seen = |(name, mut times): (&str, Vec<u64>)| {
            times.sort_unstable();
            times.dedup();
            WitnessSeen { name: name.to_owned(), times }
        };
        Ok(times.into_iter().map(seen).collect())
    }

    /// Checks that enough distinct witnesses cosigned.
    pub fn check(&self, checkpoint: &VerifiedCheckpoint) -> Result<Cosigned, MerkleError> {
        let witnesses = self.seen(checkpoint)?;
        if witnesses.len() < self.threshold {
            return Err(MerkleError::TooFewWitnesses {
                needed: self.threshold,
                found: witnesses.len(),
                seen: witnesses.iter().map(WitnessSeen::name).collect::<Vec<_>>().join(", "),
            });
        }
        Ok(Cosigned { witnesses })
    }
}
