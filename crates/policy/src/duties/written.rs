//! Duties as they are written: each policy parsed and printed anew, so that blanks, comments and order play no part, and
//! the literals in it.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Effect, Policy, PolicyId};
use serde_json::Value;
use statement::Name;
use statement::kind::Role;

use super::{Action, Duties, request::role_name, text_of};

/// A policy of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// Parsed and printed, annotations among it.
    pub(crate) text: String,
    /// Whether it forbids; else it permits.
    pub(crate) forbids: bool,
    /// The acts that its scope does not rule out.
    pub(crate) actions: BTreeSet<Action>,
    /// What stands in it.
    pub(crate) literals: Literals,
}

/// Literals of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Literals {
    /// Strings, patterns without their wildcards among them.
    pub(crate) strings: BTreeSet<String>,
    /// Numbers.
    pub(crate) numbers: BTreeSet<i64>,
    /// Entities, by type and id.
    pub(crate) entities: BTreeSet<(String, String)>,
}

impl Duties {
    /// The policies by id.
    pub(crate) fn written(&self) -> BTreeMap<Name, Written> {
        let mut written: BTreeMap<Name, Written> = BTreeMap::new();
        for id in self.controls.keys() {
            let named = PolicyId::new(id.as_str());
            if let Some(policy) = self.all.policy(&named) {
                let actions = self.by_action.iter();
                let actions = actions.filter(|(_, policies)| policies.policy(&named).is_some());
                let actions = actions.map(|(action, _)| *action).collect();
                written.insert(id.clone(), Written::of(policy, actions));
            }
        }
        written
    }

    /// Whether an act is decided by the same policies in another text.
    pub(crate) fn is_alike(&self, other: &Self, action: Action) -> bool {
        let of = |duties: &Self| -> Option<BTreeMap<String, String>> {
            let policies = duties.by_action.get(&action)?.policies();
            Some(policies.map(|policy| (text_of(policy.id()).to_owned(), printed(policy).0)).collect())
        };
        of(self).is_some_and(|policies| Some(policies) == of(other))
    }
}

impl Written {
    fn of(policy: &Policy, actions: BTreeSet<Action>) -> Self {
        let (text, value) = printed(policy);
        let mut literals = Literals::default();
        literals.note(&value);
        Self { text, forbids: policy.effect() == Effect::Forbid, actions, literals }
    }
}

impl Literals {
    /// All of both.
    pub(crate) fn extend(&mut self, other: Self) {
        self.strings.extend(other.strings);
        self.numbers.extend(other.numbers);
        self.entities.extend(other.entities);
    }

    /// The roles that are named.
    pub(crate) fn roles(&self) -> impl Iterator<Item = Role> + '_ {
        let is_named = |role: &Role| {
            self.entities.iter().any(|(of_type, id)| of_type == "Role" && id == role_name(*role))
        };
        Role::ALL.into_iter().filter(is_named)
    }

    /// Looks through a policy in Cedar's JSON: literals stand under `Value`, patterns under `pattern`, entities of the scope
    /// under `entity` and `entities`.
    fn note(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                if let (Some(Value::String(of_type)), Some(Value::String(id))) =
                    (members.get("type"), members.get("id"))
                {
                    self.entities.insert((of_type.clone(), id.clone()));
                }
                for (name, member) in members {
                    match (name.as_str(), member) {
                        ("annotations", _) => {}
                        ("Value", literal) => self.literal(literal),
                        ("pattern", Value::Array(parts)) => {
                            let parts = parts.iter().filter_map(|part| part.get("Literal")?.as_str());
                            self.strings.insert(parts.collect());
                        }
                        (_, member) => self.note(member),
                    }
                }
            }
            Value::Array(members) => members.iter().for_each(|member| self.note(member)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn literal(&mut self, literal: &Value) {
        match literal {
            Value::String(text) => drop(self.strings.insert(text.clone())),
            Value::Number(number) => self.numbers.extend(number.as_i64()),
            Value::Array(members) => members.iter().for_each(|member| self.literal(member)),
            Value::Object(_) => self.note(literal),
            Value::Null | Value::Bool(_) => {}
        }
    }
}

/// A policy parsed and printed, and in Cedar's JSON. What has no such form stands as it was written.
fn printed(policy: &Policy) -> (String, Value) {
    let value = policy.to_json().unwrap_or_default();
    let text =
        Policy::from_json(None, value.clone()).map_or_else(|_| policy.to_string(), |it| it.to_string());
    (text, value)
}
