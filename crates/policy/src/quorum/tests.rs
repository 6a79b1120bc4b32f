use proptest::prelude::*;

use super::*;

fn person(number: usize) -> PersonId {
    format!("p{number:02}").parse().unwrap()
}

fn persons(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<PersonId> {
    numbers.into_iter().map(person).collect()
}

fn graph(edges: &[(usize, usize)]) -> BTreeMap<PersonId, BTreeSet<PersonId>> {
    let mut enrolled = BTreeMap::<_, BTreeSet<_>>::new();
    for (by, whom) in edges {
        enrolled.entry(person(*by)).or_default().insert(person(*whom));
    }
    enrolled
}

#[track_caller]
fn check(of: usize, edges: &[(usize, usize)], expected: u32) {
    assert_eq!(count(&persons(0..of), &graph(edges)), expected);
}

#[test]
fn nobody_is_no_quorum() {
    check(0, &[(0, 1)], 0);
}

#[test]
fn strangers_all_count() {
    check(5, &[], 5);
    check(3, &[(7, 8), (0, 9)], 3);
}

#[test]
fn an_enroller_does_not_count_beside_those_they_enrolled() {
    check(2, &[(0, 1)], 1);
    check(2, &[(1, 0)], 1);
    // One officer and four accounts of theirs: the four count, the officer does not.
    check(5, &[(0, 1), (0, 2), (0, 3), (0, 4)], 4);
    // Two officers who enrolled each other and everybody else.
    check(4, &[(0, 1), (1, 0), (0, 2), (1, 2), (0, 3), (1, 3)], 2);
}

#[test]
fn an_enrolment_of_oneself_is_no_conflict() {
    check(1, &[(0, 0)], 1);
}

#[test]
fn odd_rings_lose_one_more() {
    check(5, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)], 2);
    check(6, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0)], 3);
}

#[test]
fn beyond_the_limit_it_counts_too_few_never_too_many() {
    // Forty persons in twenty pairs, and three strangers: twenty-three could count, nineteen are found.
    let pairs: Vec<(usize, usize)> = (0..20).map(|pair| (2 * pair, 2 * pair + 1)).collect();
    check(43, &pairs, 19);
}

#[test]
fn the_hardest_graphs_of_the_limit_come_to_an_end() {
    // Ten triangles and two strangers; then one where everybody is joined to those four and five places on.
    let triangles: Vec<(usize, usize)> =
        (0..10).flat_map(|t| [(3 * t, 3 * t + 1), (3 * t + 1, 3 * t + 2), (3 * t + 2, 3 * t)]).collect();
    check(32, &triangles, 12);
    let ring: Vec<(usize, usize)> = (0..32).flat_map(|i| [(i, (i + 4) % 32), (i, (i + 5) % 32)]).collect();
    let answer = count(&persons(0..32), &graph(&ring));
    assert!((8..=16).contains(&answer));
}

fn brute(of: usize, edges: &[(usize, usize)]) -> u32 {
    let both = |set: u32, a: usize, b: usize| (set >> a) & (set >> b) & 1 == 1;
    (0_u32..1 << of)
        .filter(|set| edges.iter().all(|(a, b)| a == b || !both(*set, *a, *b)))
        .map(u32::count_ones)
        .max()
        .unwrap()
}

proptest! {
    #[test]
    fn equals_brute_force(of in 0_usize..12, edges in prop::collection::vec((0_usize..12, 0_usize..12), 0..30)) {
        let found = count(&persons(0..of), &graph(&edges));
        let inside: Vec<_> = edges.iter().copied().filter(|(a, b)| *a < of && *b < of).collect();
        prop_assert_eq!(found, brute(of, &inside));
    }

    #[test]
    fn is_at_most_the_persons_and_rises_with_them(
        of in 0_usize..31, edges in prop::collection::vec((0_usize..32, 0_usize..32), 0..120),
    ) {
        let enrolled = graph(&edges);
        let before = count(&persons(0..of), &enrolled);
        prop_assert!(before <= u32::try_from(of).unwrap());
        let after = count(&persons(0..=of), &enrolled);
        prop_assert!(before <= after && after <= before + 1);
    }

    #[test]
    fn an_enrolment_more_never_helps(
        edges in prop::collection::vec((0_usize..20, 0_usize..20), 0..60), more in (0_usize..20, 0_usize..20),
    ) {
        let before = count(&persons(0..20), &graph(&edges));
        let mut with = edges;
        with.push(more);
        prop_assert!(count(&persons(0..20), &graph(&with)) <= before);
    }
}
