//! Methods of texts, dicts and lists, as Python has them.

use super::budget::{Outcome, failed};
use super::evaluate::Given;
use super::run::Run;
use super::value::{Dict, Value};

/// Widest indentation.
const INDENT_MAX: usize = 64;

impl<'t> Run<'t> {
    pub(super) fn method(&mut self, of: &Value<'t>, name: &str, given: &Given<'t>) -> Outcome<Value<'t>> {
        match of {
            Value::Text(text) => self.of_text(text, name, given),
            Value::Dict(dict) => self.of_dict(dict, name, given),
            Value::List(list) => match (name, given.positional.first()) {
                ("count", Some(item)) => {
                    let mut count = 0;
                    for other in &list.items {
                        count += i64::from(self.budget.equal(other, item)?);
                    }
                    Ok(Value::Integer(count))
                }
                ("index", Some(item)) => {
                    for (at, other) in list.items.iter().enumerate() {
                        if self.budget.equal(other, item)? {
                            return Ok(i64::try_from(at).map_or(Value::Undefined, Value::Integer));
                        }
                    }
                    failed("the item is not in the list")
                }
                _ => failed(format!("a list has no method `{name}` here")),
            },
            Value::Loop(turn) if name == "cycle" && !given.positional.is_empty() => {
                let at = turn.at % given.positional.len();
                Ok(given.positional.get(at).cloned().unwrap_or(Value::Undefined))
            }
            _ => failed(format!("{} has no method `{name}`", of.kind())),
        }
    }

    fn of_dict(&mut self, dict: &Dict<'t>, name: &str, given: &Given<'t>) -> Outcome<Value<'t>> {
        let pick = |pick: fn(&(Value<'t>, Value<'t>)) -> Value<'t>| dict.entries.iter().map(pick).collect();
        match (name, given.positional.first()) {
            ("get", Some(key)) => {
                let default = given.argument(1, "default").cloned().unwrap_or(Value::None);
                Ok(self.budget.member(dict, key)?.unwrap_or(default))
            }
            ("keys", _) => self.budget.list(pick(|(key, _)| key.clone())),
            ("values", _) => self.budget.list(pick(|(_, value)| value.clone())),
            ("items", _) => {
                let mut pairs = Vec::new();
                for (key, value) in &dict.entries {
                    pairs.push(self.budget.sequence(vec![key.clone(), value.clone()], true)?);
                }
                self.budget.list(pairs)
            }
            _ => failed(format!("a dict has no method `{name}` here")),
        }
    }

    pub(super) fn of_text(&mut self, text: &str, name: &str, given: &Given<'t>) -> Outcome<Value<'t>> {
        self.budget.reading(text.len())?;
        let first = given.positional.first();
        let chars: Vec<char> = match (name, first.and_then(Value::as_text)) {
            ("strip" | "lstrip" | "rstrip", Some(chars)) => {
                // Each character of the text may be compared with each of these.
                self.budget.reading(text.len().saturating_mul(chars.len()))?;
                self.budget.bytes(chars.len().saturating_mul(4))?;
                chars.chars().collect()
            }
            _ => Vec::new(),
        };
        let cut = |c: char| if chars.is_empty() { c.is_whitespace() } else { chars.contains(&c) };
        match name {
            "strip" => self.budget.text(text.trim_matches(cut)),
            "lstrip" => self.budget.text(text.trim_start_matches(cut)),
            "rstrip" => self.budget.text(text.trim_end_matches(cut)),
            "upper" | "lower" | "title" | "capitalize" => {
                // A character may become three.
                self.budget.bytes(text.len().saturating_mul(3))?;
                let cased = match name {
                    "upper" => text.to_uppercase(),
                    "lower" => text.to_lowercase(),
                    "title" => titled(text),
                    _ => capitalized(text),
                };
                self.budget.text(&cased)
            }
            "startswith" | "endswith" => self.begins_or_ends(text, name == "startswith", first),
            "isdigit" => Ok(Value::Bool(!text.is_empty() && text.chars().all(char::is_numeric))),
            "isalpha" => Ok(Value::Bool(!text.is_empty() && text.chars().all(char::is_alphabetic))),
            "isspace" => Ok(Value::Bool(!text.is_empty() && text.chars().all(char::is_whitespace))),
            "isupper" | "islower" => Ok(Value::Bool(is_cased(text, name == "isupper"))),
            "find" | "count" | "index" | "removeprefix" | "removesuffix" => {
                let Some(part) = first.and_then(Value::as_text) else {
                    return failed(format!("`{name}` takes a text"));
                };
                match name {
                    "removeprefix" => self.budget.text(text.strip_prefix(part).unwrap_or(text)),
                    "removesuffix" => self.budget.text(text.strip_suffix(part).unwrap_or(text)),
                    "count" => {
                        let count = text.matches(part).count();
                        Ok(i64::try_from(count).map_or(Value::Undefined, Value::Integer))
                    }
                    _ => match text.find(part).and_then(|at| text.get(..at)) {
                        Some(before) => {
                            let at = before.chars().count();
                            Ok(i64::try_from(at).map_or(Value::Undefined, Value::Integer))
                        }
                        None if name == "find" => Ok(Value::Integer(-1)),
                        None => failed("the part is not in the text"),
                    },
                }
            }
            "split" | "rsplit" | "splitlines" => self.split(text, name, given),
            "join" => match first {
                Some(items) => {
                    let separator = self.budget.text(text)?;
                    let given = Given { positional: vec![separator], named: Vec::new() };
                    self.filter("join", items, &given)
                }
                None => failed("`join` takes a list"),
            },
            "replace" => self.replace(text, given),
            "indent" => self.indent(text, given),
            _ => failed(format!("a text has no method `{name}` here")),
        }
    }

    fn begins_or_ends(&mut self, text: &str, begins: bool, parts: Option<&Value<'t>>) -> Outcome<Value<'t>> {
        let one = |part: &Value<'t>| match part.as_text() {
            Some(part) if begins => Ok(text.starts_with(part)),
            Some(part) => Ok(text.ends_with(part)),
            None => failed("a text begins and ends with texts"),
        };
        match parts {
            Some(Value::List(parts)) => {
                for part in &parts.items {
                    self.budget.reading(text.len())?;
                    if one(part)? {
                        return Ok(Value::Bool(true));
                    }
                }
                Ok(Value::Bool(false))
            }
            Some(part) => Ok(Value::Bool(one(part)?)),
            None => failed("a text begins and ends with texts"),
        }
    }

    fn split(&mut self, text: &str, name: &str, given: &Given<'t>) -> Outcome<Value<'t>> {
        let most = given.argument(1, "maxsplit").and_then(Value::as_integer);
        let most = most
            .and_then(|most| usize::try_from(most).ok())
            .map_or(usize::MAX, |most| most.saturating_add(1));
        let separator = match (name, given.argument(0, "sep")) {
            ("splitlines", _) | (_, None | Some(Value::None)) => None,
            (_, Some(separator)) => match separator.as_text() {
                Some(separator) if !separator.is_empty() => Some(separator),
                _ => return failed("a text is split at a text"),
            },
        };
        let pieces: Vec<&str> = match (name, separator) {
            ("splitlines", _) => {
                self.budget.values(text.matches('\n').count())?;
                text.lines().collect()
            }
            (_, Some(separator)) => {
                self.budget.values(text.matches(separator).count())?;
                if name == "rsplit" {
                    let mut pieces: Vec<&str> = text.rsplitn(most, separator).collect();
                    pieces.reverse();
                    pieces
                } else {
                    text.splitn(most, separator).collect()
                }
            }
            (_, None) if most == usize::MAX => {
                self.budget.values(text.len() / 2)?;
                text.split_whitespace().collect()
            }
            (_, None) => return failed("a split of white space with a limit is not supported"),
        };
        let pieces = pieces.into_iter().map(|piece| self.budget.text(piece)).collect::<Outcome<_>>()?;
        self.budget.list(pieces)
    }

    fn replace(&mut self, text: &str, given: &Given<'t>) -> Outcome<Value<'t>> {
        let (old, new) = (given.argument(0, "old"), given.argument(1, "new"));
        let (Some(old), Some(new)) = (old.and_then(Value::as_text), new.and_then(Value::as_text)) else {
            return failed("`replace` takes two texts");
        };
        let most = given.argument(2, "count").and_then(Value::as_integer);
        let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let count = text.matches(old).count().min(most);
        let length = text.len().saturating_add(count.saturating_mul(new.len()));
        self.budget.reading(length)?;
        self.budget.bytes(length.saturating_mul(2))?;
        self.budget.text(&text.replacen(old, new, most))
    }

    fn indent(&mut self, text: &str, given: &Given<'t>) -> Outcome<Value<'t>> {
        let margin = match given.argument(0, "width") {
            Some(Value::Text(margin)) => margin.to_string(),
            width => {
                let width = width.and_then(Value::as_integer).unwrap_or(4);
                let width = usize::try_from(width).ok().filter(|width| *width <= INDENT_MAX);
                let Some(width) = width else { return failed("an indentation that wide") };
                " ".repeat(width)
            }
        };
        let all = given.argument(1, "first").is_some_and(Value::is_true);
        let blank = given.argument(2, "blank").is_some_and(Value::is_true);
        let mut out = String::new();
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.budget.push(&mut out, "\n")?;
            }
            if (at > 0 || all) && (blank || !line.is_empty()) {
                self.budget.push(&mut out, &margin)?;
            }
            self.budget.push(&mut out, line)?;
        }
        self.budget.text(&out)
    }
}

/// Whether a text has letters of one case and none of the other.
pub(super) fn is_cased(text: &str, upper: bool) -> bool {
    let (mut some, mut other) = (false, false);
    for character in text.chars() {
        let (wanted, unwanted) = (character.is_uppercase(), character.is_lowercase());
        some |= if upper { wanted } else { unwanted };
        other |= if upper { unwanted } else { wanted };
    }
    some && !other
}

fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(rest.flat_map(char::to_lowercase)).collect()
}

/// Each word with a capital.
fn titled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for character in text.chars() {
        if inside {
            out.extend(character.to_lowercase());
        } else {
            out.extend(character.to_uppercase());
        }
        inside = character.is_alphanumeric();
    }
    out
}
