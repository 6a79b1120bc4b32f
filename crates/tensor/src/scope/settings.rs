//! The check of settings: sampling, retrieval.

use std::collections::{BTreeMap, BTreeSet};

use super::report::{Gathered, Rule, ScopeReport};
use super::{Scope, SettingRule};
use crate::Error;
use crate::error::shown;
use crate::json::Value;
use crate::measure::SATURATED;

const DOCUMENT: &str = "settings";

/// Checks new settings against the old ones. Both are flat JSON objects of integers (within ±(2^53 - 1)) and
/// strings; a fraction such as a temperature is written in thousandths.
///
/// # Errors
/// [`Error::Json`], [`Error::Repeated`], [`Error::Type`] where either text is not that.
pub fn check_settings(scope: &Scope, old: &str, new: &str) -> Result<ScopeReport, Error> {
    let (old, new) = (read(old)?, read(new)?);
    let mut gathered = Gathered::default();
    let Some(allowed) = &scope.settings else {
        gathered.violate(Rule::KindNotInScope, "settings", 1, 0);
        return Ok(gathered.report());
    };
    gathered.count("keys", new.len() as u64);
    gathered.count("keys_changed", 0);
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let (before, after) = (old.get(key), new.get(key));
        if before == after {
            continue;
        }
        gathered.count("keys_changed", 1);
        match (allowed.keys.get(key), after) {
            (_, None) => gathered.violate(Rule::KeyRemoved, key, 1, 0),
            (None, Some(_)) => gathered.violate(Rule::KeyNotAllowed, key, 1, 0),
            (Some(rule), Some(value)) => check_value(key, rule, value, &mut gathered),
        }
    }
    Ok(gathered.report())
}

fn check_value(key: &str, rule: &SettingRule, value: &Setting, gathered: &mut Gathered) {
    match (rule, value) {
        (SettingRule::Integer { min, max }, Setting::Integer(value)) => {
            let outside = if value < min {
                min.abs_diff(*value)
            } else {
                value.saturating_sub(*max).max(0).unsigned_abs()
            };
            if outside > 0 {
                gathered.violate(Rule::IntegerOutOfRange, key, outside.min(SATURATED), 0);
            }
        }
        (SettingRule::OneOf(texts), Setting::Text(text)) if texts.contains(text) => {}
        (SettingRule::Integer { .. } | SettingRule::OneOf(_), _) => {
            gathered.violate(Rule::ValueNotAllowed, key, 1, 0);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Setting {
    Integer(i64),
    Text(String),
}

fn read(text: &str) -> Result<BTreeMap<String, Setting>, Error> {
    let wrong = |member: &str| Error::Type {
        document: DOCUMENT,
        member: shown(member),
        expected: "an integer within ±(2^53 - 1) or a string, in a flat object",
    };
    let value = Value::read(text.as_bytes()).map_err(|fault| Error::json(DOCUMENT, fault))?;
    let Value::Object(members) = value else {
        return Err(wrong(""));
    };
    members
        .into_iter()
        .map(|(key, value)| match value {
            Value::Integer(integer) if integer.unsigned_abs() <= SATURATED => {
                Ok((key, Setting::Integer(integer)))
            }
            Value::Text(text) => Ok((key, Setting::Text(text))),
            _ => Err(wrong(&key)),
        })
        .collect()
}
