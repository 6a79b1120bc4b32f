//! The check of whole models, and what it shares with the check of adapters.

use std::collections::BTreeSet;

use super::report::{Gathered, Rule, ScopeReport};
use super::{BaseWeights, Scope};
use crate::Error;
use crate::measure::{self, Change, Extent, SATURATED};
use crate::peft::{self, Embedding};

/// Checks a whole model against the one it is to replace. Every tensor whose bytes differ must belong to a module
/// that the scope allows and stay within its limits; no tensor may come, go or change its shape or dtype.
pub fn check_weights(scope: &Scope, base: &dyn BaseWeights, candidate: &dyn BaseWeights) -> ScopeReport {
    let mut gathered = Gathered::default();
    if scope.modules.is_empty() {
        gathered.violate(Rule::KindNotInScope, "modules", 1, 0);
    }
    let names: BTreeSet<&str> = base.names().into_iter().chain(candidate.names()).collect();
    if names.is_empty() {
        gathered.violate(Rule::NothingToCheck, "", 0, 1);
    }
    gathered.count("tensors", names.len() as u64);
    gathered.count("tensors_changed", 0);
    for name in names {
        match (base.tensor(name), candidate.tensor(name)) {
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(new)) => {
                gathered.count("tensors_changed", 1);
                let path = name.rsplit_once('.').map_or(name, |(path, _)| path);
                check_place(scope, path, peft::embedding_of(path), &mut gathered);
                check_full_rank(scope, name, new.shape, &mut gathered);
                check_measured(scope, name, measure::tensor(&old, &new), &mut gathered);
            }
            (None, _) => gathered.violate(Rule::TensorAdded, name, 1, 0),
            (Some(_), None) => gathered.violate(Rule::TensorRemoved, name, 1, 0),
        }
    }
    gathered.report()
}

/// Whether the scope names a place that is changed in part.
pub(super) fn check_place(scope: &Scope, path: &str, embedding: Embedding, gathered: &mut Gathered) {
    if !scope.modules.iter().any(|pattern| pattern.matches(path)) {
        gathered.violate(Rule::ModuleNotAllowed, path, 1, 0);
    }
    check_layer_and_embedding(scope, path, embedding, gathered);
}

pub(super) fn check_layer_and_embedding(
    scope: &Scope,
    path: &str,
    embedding: Embedding,
    gathered: &mut Gathered,
) {
    if !scope.allows_layer_of(path) {
        gathered.violate(Rule::LayerNotAllowed, path, 1, 0);
    }
    if embedding == Embedding::Yes && !scope.embeddings_allowed {
        gathered.violate(Rule::EmbeddingNotAllowed, path, 1, 0);
    }
}

/// The difference of two whole tensors can have any rank that their sides allow.
pub(super) fn check_full_rank(scope: &Scope, name: &str, shape: &[usize], gathered: &mut Gathered) {
    let rank = match shape {
        [] | [_] => 1,
        [first, rest @ ..] => {
            let inner = rest.iter().fold(1_usize, |product, &next| product.saturating_mul(next));
            (*first).min(inner) as u64
        }
    };
    check_rank(scope, name, rank, gathered);
}

pub(super) fn check_rank(scope: &Scope, place: &str, rank: u64, gathered: &mut Gathered) {
    gathered.most("rank_max", rank);
    if let Some(limit) = scope.rank_max
        && rank > limit
    {
        gathered.violate(Rule::RankOver, place, rank, limit);
    }
}

/// Compares what was measured with the limits. A measure that saturated is over every limit.
pub(super) fn check_measured(
    scope: &Scope,
    place: &str,
    measured: Result<Change, Error>,
    gathered: &mut Gathered,
) {
    let change = match measured {
        Ok(change) => change,
        Err(error) => return gathered.violate(rule_of(&error, place), place, SATURATED, 0),
    };
    gathered.most("frobenius_nano_max", change.frobenius_nano);
    gathered.most("element_nano_max", change.element_nano);
    for extent in [change.frobenius_extent, change.element_extent] {
        gathered.count("bounds", u64::from(extent == Extent::Bound));
    }
    let mut limit = |rule, measured: u64, limit: Option<u64>, extent| {
        if let Some(limit) = limit
            && (measured > limit || measured == SATURATED)
        {
            let rule = if extent == Extent::Exact { rule } else { Rule::BoundOver };
            gathered.violate(rule, place, measured, limit);
        }
    };
    let absolute = scope.absolute_max_element_nano_max;
    limit(Rule::AbsoluteElementOver, change.element_nano, absolute, change.element_extent);
    if let Some(relative) = change.relative {
        let frobenius = scope.relative_frobenius_ppm_max;
        limit(Rule::FrobeniusOver, relative.frobenius_ppm, frobenius, change.frobenius_extent);
        let element = scope.max_element_relative_ppm_max;
        limit(Rule::ElementOver, relative.element_ppm, element, change.element_extent);
        gathered.most("relative_frobenius_ppm_max", relative.frobenius_ppm);
        gathered.most("relative_element_ppm_max", relative.element_ppm);
    } else if scope.is_relative() {
        gathered.violate(Rule::BaseMissing, place, 0, 1);
    }
    if let Some(changed) = change.changed_ppm {
        gathered.most("changed_ppm_max", changed);
    }
}

/// What a failed measurement means for the check.
fn rule_of(error: &Error, place: &str) -> Rule {
    match error {
        // The adapter's own elements are findings already; what is left is the base's.
        Error::Element { tensor, .. } if tensor == place => Rule::ElementNotMeasurable,
        Error::Element { .. } => Rule::BaseNotMeasurable,
        Error::Shape { .. } => Rule::ShapeDiffers,
        Error::NeedsBase { .. } => Rule::BaseMissing,
        _ => Rule::NotMeasurable,
    }
}
