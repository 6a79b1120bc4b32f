//! What the gates reckon with. The gates themselves are tested over a real realm, in `tests/it`.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use statement::PersonId;
use statement::kind::Capacity;

use super::approve::unmatched;
use super::scoring::per_mille;

const CAPACITIES: [Capacity; 4] =
    [Capacity::Technical, Capacity::Ethics, Capacity::Security, Capacity::Business];

fn person(number: u8) -> PersonId {
    format!("p-{number}").parse().unwrap()
}

/// The most capacities that different persons fill, by trying every way.
fn most_filled(
    wanted: &[Capacity],
    held: &BTreeMap<Capacity, BTreeSet<PersonId>>,
    busy: &BTreeSet<PersonId>,
) -> usize {
    let Some((first, rest)) = wanted.split_first() else { return 0 };
    let free = held.get(first).into_iter().flatten().filter(|person| !busy.contains(*person));
    let filled = free.map(|person| {
        let mut busy = busy.clone();
        busy.insert(person.clone());
        1 + most_filled(rest, held, &busy)
    });
    filled.max().unwrap_or(0).max(most_filled(rest, held, busy))
}

proptest! {
    #[test]
    fn as_many_capacities_are_filled_as_can_be(
        holders in prop::collection::vec(prop::collection::btree_set(0..5_u8, 0..4), 4),
        asked in 0..=4_usize,
    ) {
        let held: BTreeMap<Capacity, BTreeSet<PersonId>> = CAPACITIES
            .into_iter()
            .zip(holders.iter().map(|numbers| numbers.iter().map(|number| person(*number)).collect()))
            .collect();
        let wanted = &CAPACITIES[..asked];
        let missing = unmatched(wanted, &held);
        prop_assert!(missing.iter().all(|capacity| wanted.contains(capacity)));
        prop_assert_eq!(wanted.len() - missing.len(), most_filled(wanted, &held, &BTreeSet::new()));
    }

    #[test]
    fn a_share_is_rounded_up_and_never_above_everything(part in any::<u64>(), whole in any::<u64>()) {
        let share = per_mille(part, whole);
        prop_assert!((0..=1_000).contains(&share));
        prop_assert_eq!(share == 0, part == 0 && whole > 0);
        prop_assert!(whole == 0 || part < whole || share == 1_000);
        prop_assert!(per_mille(part.saturating_add(1), whole) >= share);
    }
}

#[test]
fn shares() {
    assert_eq!(per_mille(1, 1_000_000), 1);
    assert_eq!(per_mille(1, 4), 250);
    assert_eq!(per_mille(0, 0), 1_000);
    assert_eq!(per_mille(0, 7), 0);
    assert_eq!(per_mille(u64::MAX, 1), 1_000);
}
