use super::{LAYERS, TARGETS, base_and_adapter};
use crate::peft::{Adapter, Config};
use crate::safetensors::SafeTensors;
use crate::scope::{Rule, Scope, Verdict, check_adapter};

fn scope() -> Scope {
    let modules = vec!["model.layers.*.self_attn.*".parse().unwrap()];
    Scope { modules, rank_max: Some(4), ..Scope::closed() }
}

#[test]
fn one_adapter_is_within_five_per_cent_and_the_other_is_not() {
    for seed in [0, 1, 42, u64::MAX] {
        let sample = base_and_adapter(seed).unwrap();
        let base = SafeTensors::read(&sample.base).unwrap();
        let config = Config::read(sample.config.as_bytes()).unwrap();
        let check = |bytes: &[u8]| {
            let file = SafeTensors::read(bytes).unwrap();
            let adapter = Adapter::join(config.clone(), &file);
            assert_eq!(adapter.modules.len(), LAYERS * TARGETS.len());
            assert_eq!(adapter.findings, []);
            check_adapter(&scope(), &adapter, Some(&base))
        };
        let within = check(&sample.within);
        assert_eq!(within.within, Verdict::Within, "{within:?}");
        let outside = check(&sample.outside);
        assert_eq!(outside.within, Verdict::Outside);
        let over = |rule| outside.violations.iter().filter(|v| v.rule == rule).count();
        assert_eq!((over(Rule::FrobeniusOver), over(Rule::ElementOver)), (4, 4), "{outside:?}");
    }
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_seed_others() {
    assert_eq!(base_and_adapter(7), base_and_adapter(7));
    assert_ne!(base_and_adapter(7).unwrap().base, base_and_adapter(8).unwrap().base);
}

/// The norms were computed once more, apart from this crate, with exactly rounded sums: 43414791.467 and
/// 764215.834 units, 9421.400 and 24455.478 parts per million.
#[test]
fn measures_are_the_same_integers_everywhere() {
    let sample = base_and_adapter(1).unwrap();
    let base = SafeTensors::read(&sample.base).unwrap();
    let config = Config::read(sample.config.as_bytes()).unwrap();
    let file = SafeTensors::read(&sample.within).unwrap();
    let report = check_adapter(&scope(), &Adapter::join(config, &file), Some(&base));
    let measures: Vec<_> = report.measures.iter().map(|(name, value)| format!("{name} {value}")).collect();
    assert_eq!(measures.join("\n"), include_str!("golden.txt").trim_end());
}
