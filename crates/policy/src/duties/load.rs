//! Reading duties: sizes, ids, controls, and strict validation against the schema.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{
    ActionConstraint, Authorizer, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator,
};
use miette::Diagnostic;
use statement::{Digest, Name};

use super::request::Vocabulary;
use super::{Action, Duties, POLICIES_MAX, SCHEMA_TEXT, TEXT_MAX_BYTES, reserved, schema_digest, shape};
use crate::error::{Place, PolicyError};

/// Characters of a parser's or validator's message that are repeated.
const DETAIL_MAX: usize = 400;

pub(super) fn load(text: &str, wanted: &Digest) -> Result<Duties, PolicyError> {
    let own = schema_digest();
    if *wanted != own {
        return Err(PolicyError::SchemaDigest { wanted: *wanted, own });
    }
    if text.len() > TEXT_MAX_BYTES {
        return Err(PolicyError::TextSize { bytes: text.len() });
    }
    shape::check(text)?;
    let schema = schema()?;
    let vocabulary = Vocabulary::of(&schema)?;
    let validator = Validator::new(schema.clone());
    let mut policies = PolicySet::new();
    let mut controls = BTreeMap::new();
    for named in named(text)? {
        validate(text, &validator, &named)?;
        policies.add(named.policy).map_err(|_| PolicyError::RepeatedId(named.id.clone()))?;
        controls.insert(named.id, named.controls);
    }
    let by_action = by_action(&vocabulary, &policies)?;
    Ok(Duties { all: policies, authorizer: Authorizer::new(), by_action, controls, schema, vocabulary })
}

/// For each action the policies whose scope does not rule it out. The others are false for it, whatever the facts, and
/// need not be asked.
fn by_action(
    vocabulary: &Vocabulary,
    policies: &PolicySet,
) -> Result<BTreeMap<Action, PolicySet>, PolicyError> {
    let mut by_action = BTreeMap::new();
    for (action, uid) in vocabulary.actions() {
        let may_apply = |policy: &&Policy| match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(named) => named == *uid,
            // What is no action of ours may be a group that ours is in.
            ActionConstraint::In(named) => {
                named.iter().any(|named| named == uid || !vocabulary.is_action(named))
            }
        };
        let set = PolicySet::from_policies(policies.policies().filter(may_apply).cloned())
            .map_err(|error| PolicyError::Schema(detail(&error)))?;
        by_action.insert(action, set);
    }
    Ok(by_action)
}

fn schema() -> Result<Schema, PolicyError> {
    let (schema, mut warnings) =
        Schema::from_cedarschema_str(SCHEMA_TEXT).map_err(|error| PolicyError::Schema(detail(&error)))?;
    match warnings.next() {
        Some(warning) => Err(PolicyError::Schema(detail(&warning))),
        None => Ok(schema),
    }
}

/// A policy of the text under its own id.
struct Named {
    id: Name,
    controls: BTreeSet<Name>,
    policy: Policy,
}

/// The policies in the order of the text.
fn named(text: &str) -> Result<Vec<Named>, PolicyError> {
    let parsed: PolicySet = text.parse().map_err(|error: cedar_policy::ParseErrors| PolicyError::Syntax {
        place: place(text, &error),
        detail: detail(&error),
    })?;
    if let Some(template) = parsed.templates().next() {
        return Err(PolicyError::Template(template.annotation("id").unwrap_or("without an id").to_owned()));
    }
    let count = parsed.num_of_policies();
    if count > POLICIES_MAX {
        return Err(PolicyError::PolicyCount { count });
    }
    // The parser numbers policies as they stand in the text: `policy0`, `policy1`, ...
    let number = |policy: &&Policy| {
        let id: &str = policy.id().as_ref();
        id.strip_prefix("policy").and_then(|number| number.parse::<usize>().ok())
    };
    let mut in_order: Vec<&Policy> = parsed.policies().collect();
    in_order.sort_by_key(number);
    let mut all = Vec::with_capacity(count);
    let mut ids = BTreeSet::new();
    let mut from = 0;
    for policy in in_order {
        let own = policy.to_cedar().unwrap_or_default();
        let begins = text.get(from..).and_then(|rest| rest.find(&own)).map_or(from, |at| from + at);
        from = begins + own.len();
        let place = Place::of(text, begins);
        let written = policy.annotation("id").ok_or(PolicyError::MissingId(place))?;
        let bad = || PolicyError::BadId { id: shown(written), place };
        let id: Name = written.parse().map_err(|_| bad())?;
        if [reserved::NO_PERMIT, reserved::KEY_KIND, reserved::NOT_EVALUATED].contains(&written) {
            return Err(bad());
        }
        if !ids.insert(id.clone()) {
            return Err(PolicyError::RepeatedId(id));
        }
        let controls = match policy.annotation("control") {
            Some(control) => read_controls(&id, control)?,
            None => BTreeSet::new(),
        };
        all.push(Named { policy: policy.new_id(PolicyId::new(id.as_str())), controls, id });
    }
    Ok(all)
}

/// Validates a policy by itself, so that a fault is known to be its own.
fn validate(text: &str, validator: &Validator, named: &Named) -> Result<(), PolicyError> {
    let invalid = |fault: &dyn Diagnostic| PolicyError::Invalid {
        policy: named.id.clone(),
        place: place(text, fault),
        detail: detail(fault),
    };
    let alone = PolicySet::from_policies([named.policy.clone()]).map_err(|error| invalid(&error))?;
    let result = validator.validate(&alone, ValidationMode::Strict);
    if let Some(error) = result.validation_errors().next() {
        return Err(invalid(error));
    }
    match result.validation_warnings().next() {
        Some(warning) => Err(invalid(warning)),
        None => Ok(()),
    }
}

/// Controls as `SCHEME:ID` from `SCHEME:ID,ID;SCHEME:ID`.
fn read_controls(policy: &Name, control: &str) -> Result<BTreeSet<Name>, PolicyError> {
    let malformed = || PolicyError::BadControl { policy: policy.clone(), control: shown(control) };
    let mut all = BTreeSet::new();
    for group in control.split(';') {
        let (scheme, ids) = group.split_once(':').ok_or_else(malformed)?;
        for id in ids.split(',') {
            if scheme.is_empty() || id.is_empty() || id.contains(':') {
                return Err(malformed());
            }
            all.insert(format!("{scheme}:{id}").parse().map_err(|_| malformed())?);
        }
    }
    Ok(all)
}

/// The first place that a fault points at.
fn place(text: &str, fault: &dyn Diagnostic) -> Place {
    let offset = fault.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
    Place::of(text, offset)
}

fn detail(fault: &dyn std::fmt::Display) -> String {
    shown(&fault.to_string())
}

/// Text that came from outside, on one line and not too long.
fn shown(text: &str) -> String {
    text.chars().take(DETAIL_MAX).flat_map(char::escape_default).collect()
}
