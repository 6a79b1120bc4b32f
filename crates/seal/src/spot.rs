//! Which blocks a spot check looks at.
//!
//! Blocks are drawn without putting back, each as likely as any other, from a seed that whoever could change the
//! weights must not know beforehand. A change that touches `k` of `N` blocks is missed by a check of `n` with a
//! probability of at most `(1 - k/N)^n`; [`missed_ppm`] says how much that is.

use std::collections::BTreeSet;

use crate::fingerprint::Seal;

/// A block of a seal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The tensor's canonical name.
    pub tensor: String,
    /// Which of its blocks.
    pub block: u64,
}

/// Draws `count` blocks of the seal, or all of them where there are fewer, in the order of the seal.
pub fn draw(seal: &Seal, seed: &[u8; 32], count: u64) -> Vec<Spot> {
    let total = seal.blocks();
    let mut places = BTreeSet::new();
    if count >= total {
        places.extend(0..total);
    } else {
        let mut hasher = blake3::Hasher::new_derive_key("countersign seal v1: spot check");
        hasher.update(seed);
        hasher.update(seal.root().as_bytes());
        let mut stream = hasher.finalize_xof();
        // Floyd's sampling: every set of `count` places is as likely as any other.
        for limit in total - count..total {
            let place = below(&mut stream, limit + 1);
            if !places.insert(place) {
                places.insert(limit);
            }
        }
    }
    let mut spots = Vec::with_capacity(places.len());
    let mut begin = 0;
    for tensor in seal.tensors() {
        let end = begin + tensor.blocks().len() as u64;
        spots.extend(
            places
                .range(begin..end)
                .map(|place| Spot { tensor: tensor.name().to_owned(), block: place - begin }),
        );
        begin = end;
    }
    spots
}

/// A number below `limit`, which is not zero, each as likely as any other: draws that would favour small ones are
/// thrown away, which happens less than every other time.
fn below(stream: &mut blake3::OutputReader, limit: u64) -> u64 {
    let fair = u64::MAX - u64::MAX % limit;
    loop {
        let mut bytes = [0; 8];
        stream.fill(&mut bytes);
        let number = u64::from_le_bytes(bytes);
        if number < fair {
            return number % limit;
        }
    }
}

/// The probability, in millionths and rounded up, that a check of `count` of `total` blocks sees none of `changed`
/// blocks.
pub fn missed_ppm(total: u64, changed: u64, count: u64) -> u64 {
    // Drawn one after the other, none of the first i - 1 changed: (total - changed - i) of (total - i) are unchanged.
    let mut missed = 1_000_000_000_000_u128;
    for drawn in 0..count.min(total) {
        let left = u128::from(total - drawn);
        let unchanged = u128::from(total.saturating_sub(changed).saturating_sub(drawn));
        missed = (missed * unchanged).div_ceil(left);
        if missed == 0 {
            break;
        }
    }
    u64::try_from(missed.div_ceil(1_000_000)).unwrap_or(1_000_000)
}

#[cfg(test)]
mod tests;
