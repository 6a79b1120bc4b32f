//! How many persons stand behind a decision. Nobody counts beside a person whom they enrolled: otherwise one
//! officer could make a quorum out of accounts.
//!
//! What this module does not do: look at signatures, roles or expiry. It counts the persons it is given.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use statement::PersonId;

/// Persons in conflict that are looked at, at most.
pub const CONFLICTED_MAX: usize = 32;

/// The size of the largest subset of `persons` in which nobody enrolled another.
///
/// `enrolled` gives for each person the persons whom they enrolled; which way round does not matter, and having
/// enrolled oneself is no conflict. Exact while at most [`CONFLICTED_MAX`] of the persons enrolled, or were enrolled
/// by, another of them; beyond that only the first of those in order are looked at, so that the answer can be too
/// small, never too large.
pub fn count(persons: &BTreeSet<PersonId>, enrolled: &BTreeMap<PersonId, BTreeSet<PersonId>>) -> u32 {
    let conflict = |a: &PersonId, b: &PersonId| {
        let by = |x: &PersonId, y: &PersonId| enrolled.get(x).is_some_and(|whom| whom.contains(y));
        a != b && (by(a, b) || by(b, a))
    };
    let (conflicted, free): (Vec<_>, Vec<_>) =
        persons.iter().partition(|person| persons.iter().any(|other| conflict(person, other)));
    let conflicted: Vec<&PersonId> = conflicted.into_iter().take(CONFLICTED_MAX).collect();
    let neighbours: Vec<u32> = conflicted
        .iter()
        .map(|person| {
            let of = conflicted.iter().enumerate().filter(|(_, other)| conflict(person, other));
            of.fold(0, |set, (at, _)| set | (1 << at))
        })
        .collect();
    let all = (0..conflicted.len()).fold(0_u32, |set, at| set | (1 << at));
    let free = u32::try_from(free.len()).unwrap_or(u32::MAX);
    free.saturating_add(largest_independent(&neighbours, all))
}

/// The size of the largest subset of `candidates` without neighbours in it. At most 32 deep; each step either takes
/// persons with at most one neighbour, which is never wrong, or branches on the one with the most, who has two at
/// least: few hundred thousand steps at worst.
fn largest_independent(neighbours: &[u32], candidates: u32) -> u32 {
    let mut left = candidates;
    let mut taken = 0;
    loop {
        let open = neighbours.iter().enumerate().filter(|(at, _)| left & (1 << at) != 0);
        let degrees = open.map(|(at, near)| (at, (near & left).count_ones(), near & left));
        let (mut least, mut most) = (None::<(usize, u32, u32)>, None::<(usize, u32, u32)>);
        for vertex in degrees {
            if least.is_none_or(|found| vertex.1 < found.1) {
                least = Some(vertex);
            }
            if most.is_none_or(|found| vertex.1 > found.1) {
                most = Some(vertex);
            }
        }
        let (Some((near_alone, degree, near)), Some((busiest, _, around))) = (least, most) else {
            return taken;
        };
        if degree <= 1 {
            left &= !((1 << near_alone) | near);
            taken += 1;
        } else {
            let with = 1 + largest_independent(neighbours, left & !((1 << busiest) | around));
            let without = largest_independent(neighbours, left & !(1 << busiest));
            return taken + with.max(without);
        }
    }
}
