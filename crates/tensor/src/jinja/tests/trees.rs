//! Trees of expressions beside those of Jinja: `tests/golden/jinja_trees.py` asked it.

use super::*;

/// The tree in brackets, operators first.
fn outline(expression: &Expression) -> String {
    match &expression.kind {
        ExpressionKind::Constant(constant) => match constant {
            Constant::Text(text) => serde_json::to_string(text).unwrap(),
            Constant::Integer(value) => value.to_string(),
            Constant::Float(value) => format!("{value:?}"),
            Constant::Bool(value) => value.to_string(),
            Constant::None => "null".into(),
        },
        ExpressionKind::Name(name) => name.clone(),
        ExpressionKind::Attribute { of, name } => format!("(. {} {name})", outline(of)),
        ExpressionKind::Subscript { of, index } => format!("([] {} {})", outline(of), outline(index)),
        ExpressionKind::Slice(parts) => {
            let part = |at: usize| parts.get(at).and_then(Option::as_ref).map_or("_".into(), outline);
            assert!(parts.len() <= 3);
            format!("(: {} {} {})", part(0), part(1), part(2))
        }
        ExpressionKind::Call { callee, arguments } => {
            format!("(call {}{})", outline(callee), given(arguments))
        }
        ExpressionKind::Filter { of, name, arguments } => {
            format!("(| {} {name}{})", of.as_ref().map_or("_".into(), |of| outline(of)), given(arguments))
        }
        ExpressionKind::Test { of, name, arguments, negated } => {
            let test = format!("(is {} {name}{})", outline(of), given(arguments));
            if *negated { format!("(not {test})") } else { test }
        }
        ExpressionKind::Operation { first, rest } => operation(first, rest),
        ExpressionKind::Not(of) => format!("(not {})", outline(of)),
        ExpressionKind::Negative(of) => format!("(neg {})", outline(of)),
        ExpressionKind::Positive(of) => format!("(pos {})", outline(of)),
        ExpressionKind::List(items) => format!("(list{})", all(items)),
        ExpressionKind::Tuple(items) => format!("(tuple{})", all(items)),
        ExpressionKind::Dict(entries) => {
            let pair =
                |(key, value): &(Expression, Expression)| format!(" {} {}", outline(key), outline(value));
            format!("(dict{})", entries.iter().map(pair).collect::<String>())
        }
        ExpressionKind::Conditional { then, test, otherwise } => {
            let otherwise = otherwise.as_ref().map_or("_".into(), |otherwise| outline(otherwise));
            format!("(if {} {} {otherwise})", outline(test), outline(then))
        }
    }
}

fn all<'e>(expressions: impl IntoIterator<Item = &'e Expression>) -> String {
    let each = expressions.into_iter().map(|expression| [" ".to_owned(), outline(expression)].concat());
    each.collect()
}

fn given(arguments: &Arguments) -> String {
    let named = |(name, value): &(String, Expression)| format!(" {name}={}", outline(value));
    let spread = |value: &Expression| format!(" *{}", outline(value));
    all(&arguments.positional)
        + &arguments.named.iter().map(named).collect::<String>()
        + &arguments.spread.iter().map(spread).collect::<String>()
}

fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Or => "or",
        Operator::And => "and",
        Operator::Equal => "==",
        Operator::Unequal => "!=",
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
        Operator::In => "in",
        Operator::NotIn => "not-in",
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Concat => "~",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::FloorDivide => "//",
        Operator::Remainder => "%",
        Operator::Power => "**",
    }
}

/// Comparisons and joined texts are one node each in Jinja, others are taken in pairs from the left.
fn operation(first: &Expression, rest: &[(Operator, Expression)]) -> String {
    let pairs =
        |(operator, operand): &(Operator, Expression)| format!(" {} {}", sign(*operator), outline(operand));
    match rest.first().unwrap().0 {
        Operator::Concat => format!("(~ {}{})", outline(first), all(rest.iter().map(|(_, operand)| operand))),
        Operator::Or
        | Operator::And
        | Operator::Add
        | Operator::Subtract
        | Operator::Multiply
        | Operator::Divide
        | Operator::FloorDivide
        | Operator::Remainder
        | Operator::Power => rest.iter().fold(outline(first), |left, (operator, operand)| {
            format!("({} {left} {})", sign(*operator), outline(operand))
        }),
        _ => format!("(compare {}{})", outline(first), rest.iter().map(pairs).collect::<String>()),
    }
}

fn read(expression: &str) -> Option<String> {
    let template = Template::parse(&format!("{{{{ {expression} }}}}"), &Limits::STANDARD).ok()?;
    match template.nodes() {
        [Node { kind: NodeKind::Output(expression), .. }] => Some(outline(expression)),
        other => panic!("{expression}: {other:?}"),
    }
}

#[test]
fn expressions_are_read_as_by_jinja() {
    let rows: Vec<(String, Option<String>)> =
        serde_json::from_str(include_str!("../../../tests/golden/jinja_trees.json")).unwrap();
    assert!(rows.len() > 1200 && rows.iter().filter(|(_, tree)| tree.is_none()).count() > 200);
    let differ: Vec<String> = rows
        .iter()
        .map(|(expression, tree)| (expression, tree, read(expression)))
        .filter(|(_, tree, found)| *tree != found)
        .map(|(expression, tree, found)| format!("{expression}\n  Jinja {tree:?}\n  here  {found:?}"))
        .collect();
    assert!(differ.is_empty(), "{} of {}\n{}", differ.len(), rows.len(), differ.join("\n"));
}
