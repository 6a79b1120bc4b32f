//! What a template binds, and which of it is constant.

use std::collections::BTreeMap;

use super::super::ast::{Expression, ExpressionKind as Kind, Node, NodeKind};
use super::super::fold::{Constants, fold};

/// Variables that are set once in the whole template, to a constant.
pub(super) fn constants(nodes: &[Node]) -> Constants {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut values: Vec<(String, &Expression)> = Vec::new();
    let mut stack: Vec<&Node> = nodes.iter().rev().collect();
    while let Some(node) = stack.pop() {
        match &node.kind {
            NodeKind::Set { target, value } => {
                for name in bound(target) {
                    *counts.entry(name).or_default() += 1;
                }
                if let Some(name) = dotted(target) {
                    values.push((name, value));
                }
            }
            NodeKind::SetBlock { target, .. } | NodeKind::For { target, .. } => {
                for name in bound(target) {
                    *counts.entry(name).or_default() += 2;
                }
            }
            NodeKind::Macro { parameters, .. } => {
                for parameter in parameters {
                    *counts.entry(parameter.name.clone()).or_default() += 2;
                }
            }
            _ => {}
        }
        stack.extend(bodies(node).into_iter().rev().flat_map(|body| body.iter().rev()));
    }
    let mut constants = Constants::new();
    for (name, value) in values {
        if counts.get(&name) == Some(&1)
            && let Some(value) = fold(value, &constants)
        {
            constants.insert(name, value);
        }
    }
    constants
}

fn dotted(target: &Expression) -> Option<String> {
    match &target.kind {
        Kind::Name(name) => Some(name.clone()),
        Kind::Attribute { of, name } => Some(format!("{}.{name}", of.name()?)),
        _ => None,
    }
}

pub(super) fn bound(target: &Expression) -> Vec<String> {
    match &target.kind {
        Kind::Tuple(items) | Kind::List(items) => items.iter().flat_map(bound).collect(),
        Kind::Filter { of: Some(of), .. } => bound(of),
        _ => dotted(target).into_iter().collect(),
    }
}

pub(super) fn bodies(node: &Node) -> Vec<&[Node]> {
    match &node.kind {
        NodeKind::If(branches) => branches.iter().map(|branch| branch.body.as_slice()).collect(),
        NodeKind::For { body, otherwise, .. } => vec![body, otherwise],
        NodeKind::SetBlock { body, .. } | NodeKind::Macro { body, .. } | NodeKind::Body { body, .. } => {
            vec![body]
        }
        _ => Vec::new(),
    }
}
