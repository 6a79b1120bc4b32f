mod adapter;
mod form;
mod pattern;
mod prompt;
mod settings;
mod weights;

use proptest::prelude::*;

use super::{
    LayerRange, Pattern, PromptScope, Rule, Scope, ScopeReport, SettingRule, SettingsScope, VIOLATIONS_MAX,
    Verdict, Violation, check_adapter, check_prompt, check_settings, check_weights,
};
use crate::peft::{Adapter, Config};
use crate::safetensors::{Dtype, SafeTensors, write};

#[track_caller]
fn check(report: &ScopeReport, within: Verdict, expected: &[(Rule, &str)]) {
    let found: Vec<_> = report.violations.iter().map(|v| (v.rule, v.place.as_str())).collect();
    assert_eq!((report.within, found), (within, expected.to_vec()), "{report:?}");
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// `(name, shape, value of every element)`
type Filled<'a> = (&'a str, &'a [usize], f32);

fn file(tensors: &[Filled<'_>]) -> Vec<u8> {
    let bytes: Vec<_> =
        tensors.iter().map(|(_, shape, value)| value.to_le_bytes().repeat(shape.iter().product())).collect();
    let tensors: Vec<_> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| (*name, Dtype::F32, *shape, bytes.as_slice()))
        .collect();
    write(&tensors).unwrap()
}
