//! The check of an adapter.

use super::report::{Gathered, Rule, ScopeReport};
use super::weights::{check_full_rank, check_layer_and_embedding, check_measured, check_place, check_rank};
use super::{BaseWeights, Scope};
use crate::measure::{self, BaseLayout, Work};
use crate::peft::{self, Adapter, Embedding, FullTensor, Layer};

/// Checks an adapter against a scope, and against the base weights where they are given.
///
/// Every finding of the reader, every tensor it does not recognise and every configuration member that it gives
/// no effect to counts against the adapter.
pub fn check_adapter(scope: &Scope, adapter: &Adapter<'_>, base: Option<&dyn BaseWeights>) -> ScopeReport {
    let mut gathered = Gathered::default();
    if scope.modules.is_empty() && scope.modules_to_save.is_empty() {
        gathered.violate(Rule::KindNotInScope, "modules", 1, 0);
    }
    if adapter.modules.is_empty() && adapter.full.is_empty() {
        gathered.violate(Rule::NothingToCheck, "", 0, 1);
    }
    gathered.violations.extend(adapter.findings.iter().cloned());
    for member in adapter.config.unread() {
        gathered.violate(Rule::MemberNotUnderstood, member, 1, 0);
    }
    for view in &adapter.unknown {
        gathered.violate(Rule::TensorUnknown, view.name, 1, 0);
    }
    gathered.count("modules", adapter.modules.len() as u64);
    gathered.count("full_tensors", adapter.full.len() as u64);
    gathered.count("unknown_tensors", adapter.unknown.len() as u64);
    gathered.count("findings", adapter.findings.len() as u64);

    let layout = if adapter.config.fan_in_fan_out { BaseLayout::InOut } else { BaseLayout::OutIn };
    let mut work = Work::limit(scope.work_max);
    for module in &adapter.modules {
        let embedding = match module.layer {
            Layer::Embedding => Embedding::Yes,
            Layer::Linear => peft::embedding_of(module.path),
        };
        check_place(scope, module.path, embedding, &mut gathered);
        check_rank(scope, module.path, module.rank as u64, &mut gathered);
        let name = format!("{}.weight", module.path);
        let weight = base.and_then(|base| base.tensor(&name));
        let layout = if module.layer == Layer::Embedding { BaseLayout::OutIn } else { layout };
        let change = measure::module(module, weight.as_ref(), layout, &mut work);
        check_measured(scope, module.path, change, &mut gathered);
    }
    for full in &adapter.full {
        check_full(scope, full, base, &mut gathered);
    }
    gathered.count("multiply_adds", scope.work_max - work.left());
    gathered.report()
}

fn check_full(scope: &Scope, full: &FullTensor<'_>, base: Option<&dyn BaseWeights>, gathered: &mut Gathered) {
    let name = full.view.name;
    if !scope.modules_to_save.iter().any(|pattern| pattern.matches(full.path)) {
        gathered.violate(Rule::FullTensorNotAllowed, name, 1, 0);
    }
    check_layer_and_embedding(scope, full.path, full.embedding, gathered);
    check_full_rank(scope, name, full.view.shape, gathered);
    match base.and_then(|base| base.tensor(&format!("{}.{}", full.path, full.parameter))) {
        Some(old) => check_measured(scope, name, measure::tensor(&old, &full.view), gathered),
        // Without the tensor it replaces nothing is known about the difference, not even its absolute size.
        None if scope.is_relative() || scope.absolute_max_element_nano_max.is_some() => {
            gathered.violate(Rule::BaseMissing, name, 0, 1);
        }
        None => {}
    }
}
