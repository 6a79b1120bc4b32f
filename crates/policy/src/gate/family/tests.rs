use super::*;

fn persons(names: &[&str]) -> BTreeSet<PersonId> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[track_caller]
fn check(families: &[(Family, &[&str])], enrolled: &[(&str, &[&str])], expected: u32) {
    let by_family = families.iter().map(|(family, names)| (*family, persons(names))).collect();
    let enrolled = enrolled.iter().map(|(name, whom)| (name.parse().unwrap(), persons(whom))).collect();
    assert_eq!(held(&by_family, &enrolled), expected, "{families:?}");
}

#[test]
fn every_family_has_a_person_of_its_own() {
    use Family::{Behaviour, Bytes, Proof, Review};
    check(&[], &[], 0);
    check(&[(Bytes, &["a"])], &[], 1);
    check(&[(Bytes, &["a", "b"])], &[], 1);
    check(&[(Bytes, &["a"]), (Behaviour, &["a"]), (Proof, &["a"]), (Review, &["a"])], &[], 1);
    check(&[(Bytes, &["a"]), (Behaviour, &["a", "b"])], &[], 2);
    check(&[(Bytes, &["a", "b"]), (Behaviour, &["a"]), (Proof, &["b"])], &[], 2);
    check(&[(Bytes, &["a", "b"]), (Behaviour, &["a"]), (Proof, &["b", "c"]), (Review, &["c", "d"])], &[], 4);
}

#[test]
fn nobody_has_a_family_beside_whom_they_enrolled() {
    use Family::{Behaviour, Bytes};
    check(&[(Bytes, &["a"]), (Behaviour, &["b"])], &[("a", &["b"])], 1);
    check(&[(Bytes, &["a"]), (Behaviour, &["b", "c"])], &[("a", &["b"])], 2);
}

#[test]
fn many_persons_are_bounded() {
    use Family::{Behaviour, Bytes, Proof, Review};
    let names: Vec<String> = (0..100).map(|at| format!("p{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    check(&[(Bytes, &names), (Behaviour, &names), (Proof, &names), (Review, &names)], &[], 4);
}
