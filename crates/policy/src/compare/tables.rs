//! Members of two policies' tables that differ, and which way each moves what is allowed.
//!
//! A member is judged by itself, the others held as they are, on the premise that a higher tier asks for more. What is not
//! known to be tighter is looser or unclear: a member that this module does not know among it.

mod direction;

use std::collections::BTreeMap;

use serde_json::Value;
use statement::kind::Policy;

use super::Shift;

/// A member that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where it stands: names of members, joined by dots.
    pub place: String,
    /// What stands there in the policy in force, as JSON; none where there is nothing.
    pub then: Option<String>,
    /// What stands there in the other.
    pub now: Option<String>,
    /// Which way it moves what is allowed.
    pub shift: Shift,
}

/// What differs between the tables of two policies: the looser first, then by place.
pub fn tables(in_force: &Policy, other: &Policy) -> Vec<Difference> {
    let (then, now) = (leaves(in_force), leaves(other));
    let mut places: Vec<&Vec<String>> = then.keys().chain(now.keys()).collect();
    places.sort();
    places.dedup();
    let differing = places.into_iter().filter(|place| then.get(*place) != now.get(*place));
    let mut found: Vec<Difference> = differing
        .map(|place| Difference {
            place: place.join("."),
            then: then.get(place).map(Value::to_string),
            now: now.get(place).map(Value::to_string),
            shift: direction::of(place, then.get(place), now.get(place)),
        })
        .collect();
    if found.is_empty() && in_force.rules != other.rules {
        // No two tables that differ are written alike; if ever, that is no reason to say nothing.
        found.push(Difference { place: String::new(), then: None, now: None, shift: Shift::Unclear });
    }
    found.sort_by_key(|difference| difference.shift);
    found
}

fn leaves(policy: &Policy) -> BTreeMap<Vec<String>, Value> {
    let mut leaves = BTreeMap::new();
    // Tables are read from JSON and written to it in statements, so that there is always a value.
    if let Ok(value) = serde_json::to_value(&policy.rules) {
        walk(&mut Vec::new(), value, &mut leaves);
    }
    leaves
}

/// Lists, as of evidence or of floors, are one leaf: their entries say nothing alone. A table without entries has no leaf.
fn walk(place: &mut Vec<String>, value: Value, leaves: &mut BTreeMap<Vec<String>, Value>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                place.push(name);
                walk(place, member, leaves);
                place.pop();
            }
        }
        other => {
            leaves.insert(place.clone(), other);
        }
    }
}
