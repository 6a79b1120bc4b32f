//! Members of two policies' tables that differ.

use std::collections::BTreeMap;

use serde_json::Value;
use statement::kind::Policy;

/// A member that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where it stands: names of members, joined by dots.
    pub place: String,
    /// What stands there in the policy in force, as JSON; none where there is nothing.
    pub then: Option<String>,
    /// What stands there in the other.
    pub now: Option<String>,
}

/// What differs between the tables of two policies, by place.
pub fn tables(in_force: &Policy, other: &Policy) -> Vec<Difference> {
    let (then, now) = (leaves(in_force), leaves(other));
    let mut places: Vec<&String> = then.keys().chain(now.keys()).collect();
    places.sort();
    places.dedup();
    let differing = places.into_iter().filter(|place| then.get(*place) != now.get(*place));
    differing
        .map(|place| Difference {
            place: place.clone(),
            then: then.get(place).cloned(),
            now: now.get(place).cloned(),
        })
        .collect()
}

fn leaves(policy: &Policy) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    // Tables are read from JSON and written to it in statements, so that there is always a value.
    if let Ok(value) = serde_json::to_value(&policy.rules) {
        walk(String::new(), &value, &mut leaves);
    }
    leaves
}

fn walk(place: String, value: &Value, leaves: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                walk(place, member, leaves);
            }
        }
        other => {
            leaves.insert(place, other.to_string());
        }
    }
}
