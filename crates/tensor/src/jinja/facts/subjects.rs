//! What a condition looks at, and which expressions put text together.

use std::collections::BTreeSet;

use super::super::ast::{Constant, Expression, ExpressionKind as Kind, Operator};
use super::Subject;

/// What a condition looks at, and what constants it compares with.
pub(super) fn subjects_of(
    expression: &Expression,
    subjects: &mut BTreeSet<Subject>,
    constants: &mut Vec<String>,
) {
    let key = match &expression.kind {
        Kind::Constant(Constant::Text(text)) => {
            if constants.len() < 100 {
                constants.push(text.clone());
            }
            None
        }
        Kind::Name(name) | Kind::Attribute { name, .. } => Some(name.as_str()),
        Kind::Subscript { index, .. } => index.text(),
        Kind::Test { name, .. } if matches!(name.as_str(), "defined" | "undefined" | "none") => {
            subjects.insert(Subject::Presence);
            None
        }
        _ => None,
    };
    let subject = key.and_then(|key| {
        Some(match key {
            "role" => Subject::Role,
            "content" | "text" | "prompt" | "query" | "reasoning_content" => Subject::Content,
            "strftime_now" | "date_string" | "now" | "datetime" | "date" | "time" | "current_date" => {
                Subject::Time
            }
            "tools" | "tool_calls" | "custom_tools" | "functions" | "tool_call" | "builtin_tools" => {
                Subject::Tools
            }
            "add_generation_prompt" => Subject::Prompt,
            "loop" | "first" | "last" | "index0" | "index" => Subject::Position,
            _ => return None,
        })
    });
    subjects.extend(subject);
    for child in expression.children() {
        // The text of an index is a key, not something that is compared with.
        if let (Kind::Subscript { index, .. }, Some(_)) = (&expression.kind, key)
            && std::ptr::eq(child, &raw const **index)
        {
            continue;
        }
        subjects_of(child, subjects, constants);
    }
}

/// Whether an expression puts text together from parts.
pub(super) fn builds_text(expression: &Expression) -> bool {
    match &expression.kind {
        Kind::Operation { rest, .. } => {
            let has = |wanted: &[Operator]| rest.iter().any(|(operator, _)| wanted.contains(operator));
            has(&[Operator::Concat]) || has(&[Operator::Add, Operator::Remainder]) && holds_text(expression)
        }
        Kind::Filter { name, .. } => {
            matches!(name.as_str(), "join" | "format" | "replace" | "reverse" | "lower" | "upper" | "string")
        }
        Kind::Call { callee, .. } => matches!(&callee.kind, Kind::Attribute { name, .. }
            if matches!(name.as_str(), "join" | "format" | "replace" | "lower" | "upper")),
        _ => false,
    }
}

fn holds_text(expression: &Expression) -> bool {
    expression.text().is_some() || expression.children().into_iter().any(holds_text)
}
