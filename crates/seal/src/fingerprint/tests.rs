use half::f16;
use proptest::prelude::*;
use tensor::safetensors::Dtype;

use super::*;
use crate::source::{Decode, Elements};

/// A model: names, shapes, values.
type Model = Vec<(String, Vec<u64>, Vec<f32>)>;

fn seal_of(rule: &Rule, model: &Model) -> Seal {
    let bytes: Vec<Vec<u8>> = model
        .iter()
        .map(|(.., values)| values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let tensors: Vec<Tensor<'_>> = model
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| {
            Tensor::new(name.as_str(), shape.clone(), Elements::Plain { dtype: Dtype::F32, bytes }).unwrap()
        })
        .collect();
    Seal::of(rule, &tensors, |_| ()).unwrap()
}

/// Rules whose blocks are small, so that small models have several.
fn rules() -> Vec<Rule> {
    [Rule::exact(), Rule::eight(), Rule::four(), Rule::two(), Rule::mixed()]
        .iter()
        .map(|rule| {
            let text = String::from_utf8(rule.to_bytes()).unwrap();
            Rule::parse(text.replace("\"block\":65536", "\"block\":1024").as_bytes()).unwrap()
        })
        .collect()
}

fn model() -> impl Strategy<Value = Model> {
    prop::collection::btree_map("[a-c]\\.(weight|bias)", (1_u64..40, 1_u64..80), 1..6).prop_map(|tensors| {
        let mut state = 7_u32;
        tensors
            .into_iter()
            .map(|(name, (rows, columns))| {
                let mut value = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    {
                        let [.., low, high] = state.to_le_bytes();
                        f32::from(i16::from_le_bytes([low, high])) / 32768.0
                    }
                };
                (name, vec![rows, columns], (0..rows * columns).map(|_| value()).collect())
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn order_does_not_matter_and_everything_else_does(
        model in model(),
        turn in 0_usize..6,
        pick in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
    ) {
        for rule in rules() {
            let seal = seal_of(&rule, &model);
            let mut turned = model.clone();
            let by = turn % turned.len();
            turned.rotate_left(by);
            prop_assert_eq!(&seal_of(&rule, &turned), &seal);

            let at = pick.index(model.len());
            // A weight changes by more than any group's largest magnitude.
            let mut changed = model.clone();
            let place = place.index(changed[at].2.len());
            changed[at].2[place] += 3.0;
            let other = seal_of(&rule, &changed);
            prop_assert_ne!(other.root(), seal.root());
            let differing: Vec<&str> = seal
                .tensors()
                .iter()
                .zip(other.tensors())
                .filter(|(a, b)| a.mark() != b.mark())
                .map(|(a, _)| a.name())
                .collect();
            prop_assert_eq!(differing, vec![model[at].0.as_str()]);

            let mut renamed = model.clone();
            renamed[at].0.push('x');
            let renamed = seal_of(&rule, &renamed);
            prop_assert_ne!(renamed.root(), seal.root());
            let mut reshaped = model.clone();
            reshaped[at].1.push(1);
            let reshaped = seal_of(&rule, &reshaped);
            prop_assert_ne!(reshaped.root(), seal.root());
            let mut fewer = model.clone();
            fewer.remove(at);
            let fewer = seal_of(&rule, &fewer);
            prop_assert_ne!(fewer.root(), seal.root());
        }
    }

    #[test]
    fn an_exact_seal_sees_any_bit(
        model in model(),
        pick in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        bit in 0_u32..32,
    ) {
        let rule = Rule::exact();
        let seal = seal_of(&rule, &model);
        let mut changed = model.clone();
        let at = pick.index(model.len());
        let place = place.index(changed[at].2.len());
        let value = &mut changed[at].2[place];
        *value = f32::from_bits(value.to_bits() ^ 1 << bit);
        let changed = seal_of(&rule, &changed);
        prop_assert_ne!(changed.root(), seal.root());
    }

    #[test]
    fn a_seal_is_read_back_and_every_tampered_byte_of_it_is_seen(model in model(), place in any::<prop::sample::Index>()) {
        let seal = seal_of(&rules()[0], &model);
        let bytes = seal.to_bytes().unwrap();
        prop_assert_eq!(&Seal::parse(&bytes).unwrap(), &seal);
        let mut tampered = bytes.clone();
        tampered[place.index(bytes.len())] ^= 1;
        if let Ok(read) = Seal::parse(&tampered) {
            prop_assert_ne!(read.root(), seal.root());
        }
    }
}

#[test]
fn two_tensors_that_trade_places_are_seen() {
    let values: Vec<f32> = (0..64_u8).map(f32::from).collect();
    let others: Vec<f32> = values.iter().map(|value| -value).collect();
    let before = vec![("a".to_owned(), vec![64], values.clone()), ("b".to_owned(), vec![64], others.clone())];
    let after = vec![("a".to_owned(), vec![64], others), ("b".to_owned(), vec![64], values)];
    for rule in rules() {
        assert_ne!(seal_of(&rule, &before).root(), seal_of(&rule, &after).root());
    }
}

#[test]
fn blocks_that_trade_places_are_seen() {
    let values: Vec<f32> = (0..2048_u16).map(f32::from).collect();
    let turned: Vec<f32> = values[1024..].iter().chain(&values[..1024]).copied().collect();
    for rule in rules() {
        let before = seal_of(&rule, &vec![("a".to_owned(), vec![2048], values.clone())]);
        let after = seal_of(&rule, &vec![("a".to_owned(), vec![2048], turned.clone())]);
        assert_ne!(before.root(), after.root());
    }
}

#[derive(Debug)]
struct Halves(Vec<u16>);

impl Decode for Halves {
    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn decode(&self, first: u64, count: usize, out: &mut Vec<u32>) -> Result<(), Error> {
        let first = usize::try_from(first).unwrap();
        out.extend(self.0[first..first + count].iter().map(|half| coding::f32_of_f16(*half)));
        Ok(())
    }
}

#[test]
fn elements_decoded_on_demand_have_the_seal_of_elements_stored() {
    let halves =
        Halves((0..3000_u16).map(|number| f16::from_f32(f32::from(number) / 7.0).to_bits()).collect());
    let bytes: Vec<u8> = halves.0.iter().flat_map(|half| half.to_le_bytes()).collect();
    for rule in rules() {
        let coded = Tensor::new("a", vec![30, 100], Elements::Coded(&halves)).unwrap();
        let plain =
            Tensor::new("a", vec![30, 100], Elements::Plain { dtype: Dtype::F16, bytes: &bytes }).unwrap();
        let seal = Seal::of(&rule, std::slice::from_ref(&coded), |_| ()).unwrap();
        assert_eq!(seal, Seal::of(&rule, &[plain], |_| ()).unwrap());
        for (at, mark) in seal.tensors()[0].blocks().iter().enumerate() {
            assert_eq!(block_mark(&rule, &coded, at as u64).unwrap(), *mark);
        }
        assert_eq!(block_mark(&rule, &coded, 3).unwrap_err().code(), "CS-SEL-014");
    }
}

#[test]
fn empty_models_scalars_and_empty_tensors_have_seals_of_their_own() {
    let rule = Rule::exact();
    let plain = |name: &'static str, shape: Vec<u64>, bytes: &'static [u8]| {
        Tensor::new(name, shape, Elements::Plain { dtype: Dtype::F32, bytes }).unwrap()
    };
    let seals = [
        Seal::of(&rule, &[], |_| ()).unwrap(),
        Seal::of(&rule, &[plain("a", vec![0], &[])], |_| ()).unwrap(),
        Seal::of(&rule, &[plain("a", vec![0, 4], &[])], |_| ()).unwrap(),
        Seal::of(&rule, &[plain("a", vec![], &[0, 0, 0, 0])], |_| ()).unwrap(),
        Seal::of(&rule, &[plain("a", vec![1], &[0, 0, 0, 0])], |_| ()).unwrap(),
    ];
    for (at, seal) in seals.iter().enumerate() {
        assert!(seals[..at].iter().all(|other| other.root() != seal.root()));
    }
}

#[test]
fn what_cannot_be_sealed_is_refused() {
    let four = Elements::Plain { dtype: Dtype::F32, bytes: &[0; 4] };
    let refused = |name: &str, shape: Vec<u64>| Tensor::new(name.to_owned(), shape, four).unwrap_err().code();
    assert_eq!(refused("", vec![1]), "CS-SEL-003");
    assert_eq!(refused("a\nb", vec![1]), "CS-SEL-003");
    assert_eq!(refused(&"a".repeat(1025), vec![1]), "CS-SEL-003");
    assert_eq!(refused("a", vec![1; 17]), "CS-SEL-004");
    assert_eq!(refused("a", vec![2]), "CS-SEL-005");
    assert_eq!(refused("a", vec![u64::MAX, 2]), "CS-SEL-005");
    let odd = Elements::Plain { dtype: Dtype::F32, bytes: &[0; 5] };
    assert_eq!(Tensor::new("a", vec![1], odd).unwrap_err().code(), "CS-SEL-005");
    let twice = [Tensor::new("a", vec![1], four).unwrap(), Tensor::new("a", vec![1], four).unwrap()];
    assert_eq!(Seal::of(&Rule::exact(), &twice, |_| ()).unwrap_err().code(), "CS-SEL-006");
}

#[test]
fn a_small_seal_stays_what_it_is() {
    let values: Vec<f32> = (0..5000_u16).map(|number| (f32::from(number) - 2500.0) / 64.0).collect();
    let model = vec![
        ("b.weight".to_owned(), vec![50, 100], values.clone()),
        ("a.bias".to_owned(), vec![10], values[..10].to_vec()),
    ];
    let lines: Vec<String> =
        rules().iter().map(|rule| format!("{} {}", rule.name(), seal_of(rule, &model).root())).collect();
    let text = lines.join("\n");
    assert_eq!(text, include_str!("tests/small.txt").trim_end());
}

#[test]
fn altered_seal_files_are_refused() {
    let model = vec![("a".to_owned(), vec![4], vec![1.0, 2.0, 3.0, 4.0])];
    let text = String::from_utf8(seal_of(&Rule::exact(), &model).to_bytes().unwrap()).unwrap();
    for (from, to, code) in [
        ("\"name\":\"a\"", "\"name\":\"b\"", "CS-SEL-010"),
        ("\"shape\":[4]", "\"shape\":[2,2]", "CS-SEL-010"),
        ("\"shape\":[4]", "\"shape\":[70000]", "CS-SEL-005"),
        ("\"shape\":[4]", "\"shape\":[-4]", "CS-SEL-009"),
        ("\"name\":\"exact\"", "\"name\":\"other\"", "CS-SEL-010"),
        ("\"format\":\"countersign-seal\"", "\"format\":\"x\"", "CS-SEL-009"),
        ("\"root\":\"", "\"root\":\"x", "CS-SEL-009"),
        ("\"tensors\":[", "\"tensors\":[1,", "CS-SEL-009"),
        ("\"blocks\":\"", "\"blocks\":\"AAAA", "CS-SEL-009"),
    ] {
        let tampered = text.replacen(from, to, 1);
        assert_ne!(tampered, text, "{from}");
        assert_eq!(Seal::parse(tampered.as_bytes()).unwrap_err().code(), code, "{tampered}");
    }
}
