use proptest::prelude::*;
use tensor::safetensors::Dtype;

use super::*;
use crate::source::{Elements, Tensor};
use crate::{Rule, Seal};

fn sealed(model: &[(u8, u8, u8)]) -> Seal {
    let rule = Rule::exact();
    let bytes: Vec<Vec<u8>> = model
        .iter()
        .map(|(_, size, value)| {
            let mut bytes = vec![*value; usize::from(*size) * 30_000];
            // One block differs with the value, the others do not.
            bytes[10..].fill(0);
            bytes
        })
        .collect();
    let tensors: Vec<Tensor<'_>> = model
        .iter()
        .zip(&bytes)
        .map(|((name, ..), bytes)| {
            let elements = Elements::Plain { dtype: Dtype::U8, bytes };
            Tensor::new(format!("t{name}"), vec![bytes.len() as u64], elements).unwrap()
        })
        .collect();
    Seal::of(&rule, &tensors, |_| ()).unwrap()
}

fn model() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    prop::collection::btree_map(0_u8..6, (1_u8..6, 0_u8..3), 0..6)
        .prop_map(|map| map.into_iter().map(|(name, (size, value))| (name, size, value)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn base_and_difference_give_the_new_seal(before in model(), after in model()) {
        let (base, new) = (sealed(&before), sealed(&after));
        let difference = Difference::between(&base, &new).unwrap();
        prop_assert_eq!(difference.is_empty(), base.root() == new.root());
        let read = Difference::parse(&difference.to_bytes().unwrap()).unwrap();
        prop_assert_eq!(&read, &difference);
        prop_assert_eq!(read.apply(&base).unwrap(), new.clone());
        if base.root() != new.root() {
            prop_assert_eq!(difference.apply(&new).unwrap_err().code(), "CS-SEL-012");
        }
    }
}

#[test]
fn a_difference_names_the_changed_block_alone() {
    let base = sealed(&[(0, 5, 1), (1, 5, 1)]);
    let new = sealed(&[(0, 5, 1), (1, 5, 2)]);
    let difference = Difference::between(&base, &new).unwrap();
    let [(name, Change::Blocks(blocks))] = difference.changes() else { panic!("{difference:?}") };
    assert_eq!((name.as_str(), blocks.len(), blocks[0].0), ("t1", 1, 0));
}

#[test]
fn altered_differences_are_refused() {
    let base = sealed(&[(0, 5, 1), (1, 5, 1), (2, 1, 1)]);
    let new = sealed(&[(0, 5, 1), (1, 5, 2), (3, 1, 1)]);
    let text = String::from_utf8(Difference::between(&base, &new).unwrap().to_bytes().unwrap()).unwrap();
    for (from, to, code) in [
        ("\"places\":[0]", "\"places\":[1]", "CS-SEL-010"),
        ("\"places\":[0]", "\"places\":[9]", "CS-SEL-013"),
        ("\"places\":[0]", "\"places\":[0,0]", "CS-SEL-009"),
        ("\"places\":[0]", "\"places\":[]", "CS-SEL-009"),
        ("\"name\":\"t2\"", "\"name\":\"t21\"", "CS-SEL-013"),
        ("\"name\":\"t3\"", "\"name\":\"t4\"", "CS-SEL-010"),
        ("\"name\":\"t3\"", "\"name\":\"t1\"", "CS-SEL-009"),
        ("\"removed\":true", "\"removed\":false", "CS-SEL-009"),
        ("\"version\":1", "\"version\":2", "CS-SEL-009"),
        ("\"base\":\"", "\"base\":\"0", "CS-SEL-009"),
    ] {
        let tampered = text.replacen(from, to, 1);
        assert_ne!(tampered, text, "{from}");
        let error = Difference::parse(tampered.as_bytes()).and_then(|difference| difference.apply(&base));
        assert_eq!(error.unwrap_err().code(), code, "{tampered}");
    }
    let other = Seal::of(&Rule::eight(), &[], |_| ()).unwrap();
    assert_eq!(Difference::between(&base, &other).unwrap_err().code(), "CS-SEL-011");
}
