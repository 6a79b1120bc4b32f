//! Text that is the same however often the template is rendered: constants, and what is put together from them.
//!
//! Names of attributes are hidden from scanners by putting them together (`'__cla' ~ 'ss__'`, `['__','init','__']|join`,
//! `'%c%c'|format(95, 95)`, `'__ssalc__'[::-1]`). Every value is bounded by [`WEIGHT_MAX`].

use std::collections::BTreeMap;

use super::ast::{Arguments, Constant, Expression, ExpressionKind as Kind, Operator};

/// Values are followed up to this weight, in bytes; names are shorter, and literals of a template are themselves.
const WEIGHT_MAX: usize = 1 << 13;

/// A value that does not depend on what the template is given.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Folded {
    Text(String),
    Integer(i128),
    List(Vec<Folded>),
}

impl Folded {
    /// About the memory that the value takes.
    fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len() + 32,
            Self::Integer(_) => 32,
            Self::List(items) => items.iter().map(Self::weight).sum::<usize>() + 32,
        }
    }

    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Integer(_) | Self::List(_) => None,
        }
    }

    /// As rendered, where that is plain.
    fn shown(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Integer(value) => Some(value.to_string()),
            Self::List(_) => None,
        }
    }

    /// The members, of a text its characters.
    fn members(self) -> Option<Vec<Self>> {
        match self {
            Self::List(items) => Some(items),
            Self::Text(text) if text.len() <= 256 => {
                Some(text.chars().map(|letter| Self::Text(letter.to_string())).collect())
            }
            Self::Text(_) | Self::Integer(_) => None,
        }
    }
}

/// Variables that are set once, and to a constant.
pub(super) type Constants = BTreeMap<String, Folded>;

/// The value of an expression, if it is constant.
pub(super) fn fold(expression: &Expression, constants: &Constants) -> Option<Folded> {
    let folded = match &expression.kind {
        Kind::Constant(Constant::Text(text)) => Folded::Text(text.clone()),
        Kind::Constant(Constant::Integer(value)) => Folded::Integer(*value),
        Kind::Name(name) => constants.get(name)?.clone(),
        Kind::List(items) | Kind::Tuple(items) => {
            let mut list = Vec::new();
            let mut weight = 0;
            for item in items {
                let item = fold(item, constants)?;
                weight += item.weight();
                if weight > WEIGHT_MAX {
                    return None;
                }
                list.push(item);
            }
            Folded::List(list)
        }
        Kind::Negative(inner) => match fold(inner, constants)? {
            Folded::Integer(value) => Folded::Integer(value.saturating_neg()),
            _ => return None,
        },
        Kind::Positive(inner) => match fold(inner, constants)? {
            Folded::Integer(value) => Folded::Integer(value),
            _ => return None,
        },
        Kind::Operation { first, rest } => operation(first, rest, constants)?,
        Kind::Subscript { of, index } => subscript(fold(of, constants)?, index, constants)?,
        Kind::Filter { of: Some(of), name, arguments } => filter(of, name, arguments, constants)?,
        Kind::Call { callee, arguments } => call(callee, arguments, constants)?,
        Kind::Attribute { of, name } => constants.get(&format!("{}.{name}", of.name()?))?.clone(),
        _ => return None,
    };
    (folded.weight() <= WEIGHT_MAX).then_some(folded)
}

fn operation(first: &Expression, rest: &[(Operator, Expression)], constants: &Constants) -> Option<Folded> {
    let mut value = fold(first, constants)?;
    for (operator, operand) in rest {
        let operand = fold(operand, constants)?;
        value = match (operator, value, operand) {
            (Operator::Concat, left, right) => {
                let (mut left, right) = (left.shown()?, right.shown()?);
                left.push_str(&right);
                Folded::Text(left)
            }
            (Operator::Add, Folded::Text(left), Folded::Text(right)) => Folded::Text(left + &right),
            (Operator::Add, Folded::Integer(left), Folded::Integer(right)) => {
                Folded::Integer(left.saturating_add(right))
            }
            (Operator::Add, Folded::List(mut left), Folded::List(right)) => {
                left.extend(right);
                Folded::List(left)
            }
            (Operator::Subtract, Folded::Integer(left), Folded::Integer(right)) => {
                Folded::Integer(left.saturating_sub(right))
            }
            (Operator::Multiply, Folded::Integer(left), Folded::Integer(right)) => {
                Folded::Integer(left.saturating_mul(right))
            }
            (Operator::Multiply, Folded::Text(text), Folded::Integer(times))
            | (Operator::Multiply, Folded::Integer(times), Folded::Text(text)) => {
                let times = usize::try_from(times.max(0)).ok()?;
                if text.len().saturating_mul(times) > WEIGHT_MAX {
                    return None;
                }
                Folded::Text(text.repeat(times))
            }
            (Operator::Power, Folded::Integer(base), Folded::Integer(exponent)) => {
                let exponent = u32::try_from(exponent).ok()?;
                Folded::Integer(base.checked_pow(exponent).unwrap_or(i128::MAX))
            }
            (Operator::Remainder, Folded::Text(pattern), given) => {
                let given = match given {
                    Folded::List(items) => items,
                    other => vec![other],
                };
                Folded::Text(percent(&pattern, &given)?)
            }
            _ => return None,
        };
        if value.weight() > WEIGHT_MAX {
            return None;
        }
    }
    Some(value)
}

/// `%s`, `%d`, `%c`, `%x` and `%%`.
fn percent(pattern: &str, given: &[Folded]) -> Option<String> {
    let mut text = String::new();
    let mut given = given.iter();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        match (letters.next()?, &mut given) {
            ('%', _) => text.push('%'),
            ('s' | 'd' | 'i', given) => text.push_str(&given.next()?.shown()?),
            ('c', given) => match given.next()? {
                Folded::Integer(code) => text.push(char::from_u32(u32::try_from(*code).ok()?)?),
                other => text.push_str(&other.shown()?),
            },
            ('x', given) => match given.next()? {
                Folded::Integer(value) => text.extend([format!("{value:x}")]),
                _ => return None,
            },
            _ => return None,
        }
    }
    Some(text)
}

/// `{}` and `{0}` in the order given.
fn braces(pattern: &str, given: &[Folded]) -> Option<String> {
    let mut text = String::new();
    let mut rest = pattern;
    let mut next = 0;
    while let Some((head, tail)) = rest.split_once('{') {
        text.push_str(head);
        let (field, tail) = tail.split_once('}')?;
        let place = if field.is_empty() { next } else { field.parse().ok()? };
        next += 1;
        text.push_str(&given.get(place)?.shown()?);
        rest = tail;
    }
    text.push_str(rest);
    Some(text)
}

fn subscript(of: Folded, index: &Expression, constants: &Constants) -> Option<Folded> {
    let text = matches!(of, Folded::Text(_));
    let members = of.members()?;
    let length = i128::try_from(members.len()).ok()?;
    if let Kind::Slice(parts) = &index.kind {
        let part = |place: usize| -> Option<Option<i128>> {
            match parts.get(place) {
                None | Some(None) => Some(None),
                Some(Some(part)) => match fold(part, constants)? {
                    Folded::Integer(value) => Some(Some(value)),
                    _ => None,
                },
            }
        };
        let step = part(2)?.unwrap_or(1);
        let bound = |value: i128| if value < 0 { value.saturating_add(length) } else { value };
        let (begin, end) = if step > 0 {
            (bound(part(0)?.unwrap_or(0)).clamp(0, length), part(1)?.map_or(length, bound).clamp(0, length))
        } else {
            (
                part(0)?.map_or(length - 1, bound).clamp(-1, length - 1),
                part(1)?.map_or(-1, bound).clamp(-1, length - 1),
            )
        };
        let mut taken = Vec::new();
        let mut at = begin;
        while (step > 0 && at < end) || (step < 0 && at > end) {
            taken.push(members.get(usize::try_from(at).ok()?)?.clone());
            at = at.saturating_add(step);
        }
        return if text { joined(&taken, "") } else { Some(Folded::List(taken)) };
    }
    let Folded::Integer(place) = fold(index, constants)? else { return None };
    let place = if place < 0 { place.checked_add(length)? } else { place };
    members.get(usize::try_from(place).ok()?).cloned()
}

fn joined(items: &[Folded], between: &str) -> Option<Folded> {
    let parts: Vec<String> = items.iter().map(Folded::shown).collect::<Option<_>>()?;
    let length = parts.iter().map(String::len).sum::<usize>() + between.len() * parts.len();
    (length <= WEIGHT_MAX).then(|| Folded::Text(parts.join(between)))
}

fn given(arguments: &Arguments, constants: &Constants) -> Option<Vec<Folded>> {
    if !arguments.named.is_empty() || !arguments.spread.is_empty() {
        return None;
    }
    arguments.positional.iter().map(|argument| fold(argument, constants)).collect()
}

/// Filters and methods that have the same name do the same.
fn apply(value: Folded, name: &str, given: &[Folded]) -> Option<Folded> {
    let first = given.first();
    match (name, value) {
        ("lower", Folded::Text(text)) => Some(Folded::Text(text.to_lowercase())),
        ("upper", Folded::Text(text)) => Some(Folded::Text(text.to_uppercase())),
        ("trim" | "strip", Folded::Text(text)) if given.is_empty() => {
            Some(Folded::Text(text.trim().to_owned()))
        }
        ("strip" | "trim" | "lstrip" | "rstrip", Folded::Text(text)) => {
            let set: Vec<char> = match first {
                Some(Folded::Text(set)) => set.chars().collect(),
                _ => vec![' ', '\n', '\t', '\r'],
            };
            let text = if name == "rstrip" { &text } else { text.trim_start_matches(set.as_slice()) };
            let text = if name == "lstrip" { text } else { text.trim_end_matches(set.as_slice()) };
            Some(Folded::Text(text.to_owned()))
        }
        ("replace", Folded::Text(text)) => {
            let [Folded::Text(from), Folded::Text(to), ..] = given else { return None };
            let more = text.matches(from.as_str()).count().saturating_mul(to.len());
            (more <= WEIGHT_MAX).then(|| Folded::Text(text.replace(from, to)))
        }
        ("string" | "safe" | "e" | "escape" | "forceescape", value) => value.shown().map(Folded::Text),
        ("list", value) => value.members().map(Folded::List),
        ("reverse", Folded::Text(text)) => Some(Folded::Text(text.chars().rev().collect())),
        ("reverse", Folded::List(mut items)) => {
            items.reverse();
            Some(Folded::List(items))
        }
        ("first", value) => value.members()?.first().cloned(),
        ("last", value) => value.members()?.last().cloned(),
        ("split", Folded::Text(text)) => {
            let Some(Folded::Text(by)) = first else { return None };
            if by.is_empty() || text.len() > 256 {
                return None;
            }
            Some(Folded::List(text.split(by.as_str()).map(|part| Folded::Text(part.to_owned())).collect()))
        }
        _ => None,
    }
}

fn filter(of: &Expression, name: &str, arguments: &Arguments, constants: &Constants) -> Option<Folded> {
    // The keys of a dictionary made by `dict(name=…)` are names as well.
    if let (Kind::Call { callee, arguments: made }, "join" | "list" | "first" | "last") = (&of.kind, name)
        && callee.name() == Some("dict")
        && made.positional.is_empty()
        && !made.named.is_empty()
    {
        let names: Vec<Folded> = made.named.iter().map(|(name, _)| Folded::Text(name.clone())).collect();
        return if name == "join" { joined(&names, "") } else { apply(Folded::List(names), name, &[]) };
    }
    let value = fold(of, constants)?;
    let given = given(arguments, constants)?;
    match name {
        "join" => {
            let between = match given.first() {
                None => String::new(),
                Some(between) => between.shown()?,
            };
            joined(&value.members()?, &between)
        }
        "format" => percent(&value.text()?, &given).map(Folded::Text),
        _ => apply(value, name, &given),
    }
}

fn call(callee: &Expression, arguments: &Arguments, constants: &Constants) -> Option<Folded> {
    let Kind::Attribute { of, name } = &callee.kind else { return None };
    let value = fold(of, constants)?;
    let given = given(arguments, constants)?;
    match name.as_str() {
        "join" => {
            let between = value.text()?;
            let items = given.into_iter().next()?.members()?;
            joined(&items, &between)
        }
        "format" => braces(&value.text()?, &given).map(Folded::Text),
        name => apply(value, name, &given),
    }
}
