use proptest::prelude::*;

use super::*;

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 7) as u8).collect()
}

fn leaves(content: &[u8]) -> Vec<Node> {
    (0..).zip(content.chunks(GROUP)).map(|(index, group)| group_node(index, group)).collect()
}

fn nodes(outboard: &[u8], wanted: &[u64]) -> BTreeMap<u64, Node> {
    let all: Vec<Node> = outboard.chunks(NODE).map(|node| node.try_into().unwrap()).collect();
    wanted.iter().map(|at| (*at, all[*at as usize])).collect()
}

#[test]
fn the_root_is_blake3s_own() {
    for length in [
        2 * GROUP,
        2 * GROUP + 1,
        GROUP + 1,
        GROUP + 1024,
        3 * GROUP - 1,
        3 * GROUP,
        4 * GROUP,
        5 * GROUP + 77,
        7 * GROUP,
        8 * GROUP + 1,
        13 * GROUP + 5000,
    ] {
        let content = content(length);
        let (outboard, root) = build(leaves(&content)).unwrap();
        assert_eq!(root.as_bytes(), blake3::hash(&content).as_bytes(), "{length} bytes");
        assert_eq!(outboard.len() as u64, Shape::of(length as u64).outboard_len(), "{length} bytes");
    }
    assert_eq!(small_root(b"abc").to_string(), blake3::hash(b"abc").to_string());
    assert!(build(Vec::new()).is_none());
    assert!(build(vec![[0; NODE]]).is_none());
    assert_eq!(Shape::of(GROUP as u64).outboard_len(), 0);
    assert_eq!(Shape::of(0).groups(), 0);
}

#[test]
fn only_a_logarithm_of_the_tree_is_needed() {
    let shape = Shape::of(1 << 40);
    assert_eq!(shape.groups(), 1 << 22);
    let needed = shape.needed(&(1_000_000..1_000_001));
    assert_eq!(needed.len(), 1 + 22);
    let unique: std::collections::BTreeSet<u64> = needed.iter().copied().collect();
    assert_eq!(unique.len(), needed.len());
}

/// Leaves stand for groups here, so that many shapes are tried.
fn shape_of_groups(count: u64) -> Shape {
    Shape { groups: count }
}

proptest! {
    #[test]
    fn every_range_of_every_shape_verifies_and_tampering_does_not(
        count in 2_u64..200,
        from in 0_u64..200,
        more in 1_u64..40,
        pick in any::<prop::sample::Index>(),
        bit in 0_usize..256,
    ) {
        let from = from % count;
        let groups = from..count.min(from + more);
        let leaves: Vec<Node> = (0..count).map(|leaf| *blake3::hash(&leaf.to_be_bytes()).as_bytes()).collect();
        let shape = shape_of_groups(count);
        let (outboard, root) = build(leaves.clone()).unwrap();
        let needed = shape.needed(&groups);
        let mut found = nodes(&outboard, &needed);
        prop_assert!(shape.check(&groups, &found, &root));
        for group in groups.clone() {
            prop_assert_eq!(found[&group], leaves[group as usize]);
        }
        let at = *pick.get(&needed);
        found.get_mut(&at).unwrap()[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!shape.check(&groups, &found, &root));
        found.remove(&at);
        prop_assert!(!shape.check(&groups, &found, &root));
    }
}

#[test]
fn nonsense_ranges_do_not_verify() {
    let leaves: Vec<Node> = (0..5_u8).map(|leaf| [leaf; NODE]).collect();
    let (outboard, root) = build(leaves).unwrap();
    let all: Vec<u64> = (0..(outboard.len() / NODE) as u64).collect();
    let shape = shape_of_groups(5);
    let found = nodes(&outboard, &all);
    assert!(shape.check(&(0..5), &found, &root));
    assert!(!shape.check(&(0..0), &found, &root));
    assert!(!shape.check(&(3..7), &found, &root));
    assert!(!shape_of_groups(1).check(&(0..1), &found, &root));
    assert!(shape.needed(&(2..2)).is_empty());
}
