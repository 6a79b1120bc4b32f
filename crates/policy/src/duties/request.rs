//! Cedar requests from actors and facts: the words of the schema, made once, and the entities of one decision.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema,
};
use statement::PersonId;
use statement::kind::{EvidenceKind, Role};

use super::{Action, Actor, ActorKind, Facts};
use crate::error::PolicyError;

/// The schema's words as Cedar has them.
pub(super) struct Vocabulary {
    actions: BTreeMap<Action, EntityUid>,
    change: EntityUid,
    evidence: EntityTypeName,
    open: BTreeSet<(Action, ActorKind)>,
    machine_key: EntityTypeName,
    person_key: EntityTypeName,
    role: EntityTypeName,
}

impl Vocabulary {
    /// The words of the schema. Fails where the schema lacks one.
    pub(super) fn of(schema: &Schema) -> Result<Self, PolicyError> {
        let type_name = |name: &str| -> Result<EntityTypeName, PolicyError> {
            name.parse().map_err(|_| PolicyError::Schema(format!("`{name}` is no type name")))
        };
        let action_type = type_name("Action")?;
        let person_key = type_name("PersonKey")?;
        let machine_key = type_name("AutomationKey")?;
        let mut actions = BTreeMap::new();
        let mut open = BTreeSet::new();
        for action in Action::ALL {
            let uid = EntityUid::from_type_name_and_id(action_type.clone(), EntityId::new(action.name()));
            let principals = schema
                .principals_for_action(&uid)
                .ok_or_else(|| PolicyError::Schema(format!("there is no action `{}`", action.name())))?;
            for principal in principals {
                if *principal == person_key {
                    open.insert((action, ActorKind::Person));
                } else if *principal == machine_key {
                    open.insert((action, ActorKind::Automation));
                }
            }
            actions.insert(action, uid);
        }
        Ok(Self {
            actions,
            // The change's identity plays no part: what is asked of it are its facts.
            change: EntityUid::from_type_name_and_id(type_name("Change")?, EntityId::new("this")),
            evidence: type_name("Evidence")?,
            open,
            machine_key,
            person_key,
            role: type_name("Role")?,
        })
    }

    /// The actions and their Cedar names.
    pub(super) fn actions(&self) -> impl Iterator<Item = (Action, &EntityUid)> {
        self.actions.iter().map(|(action, uid)| (*action, uid))
    }

    /// Whether this names one of the actions.
    pub(super) fn is_action(&self, uid: &EntityUid) -> bool {
        self.actions.values().any(|action| action == uid)
    }

    /// Whether the schema opens the action to that kind of key.
    pub(super) fn open_to(&self, action: Action, kind: ActorKind) -> bool {
        self.open.contains(&(action, kind))
    }

    /// The request, validated against the schema, and its entities; `None` where it does not fit.
    ///
    /// The entities fit the schema by construction, which a test checks for every kind of key and set of facts; to have
    /// Cedar check it at every decision would double its time.
    pub(super) fn request(
        &self,
        schema: &Schema,
        actor: &Actor,
        action: Action,
        change: Entity,
        now_ms: u64,
    ) -> Option<(Request, Entities)> {
        let principal = self.principal(actor)?;
        let now = RestrictedExpression::new_long(long(now_ms));
        let context = Context::from_pairs([("now".to_owned(), now)]).ok()?;
        let action = self.actions.get(&action)?.clone();
        let request =
            Request::new(principal.uid(), action, self.change.clone(), context, Some(schema)).ok()?;
        let entities = Entities::from_entities([principal, change], None).ok()?;
        Some((request, entities))
    }

    fn principal(&self, actor: &Actor) -> Option<Entity> {
        let kind = match actor.kind {
            ActorKind::Person => &self.person_key,
            ActorKind::Automation => &self.machine_key,
        };
        let uid = EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(actor.key.to_string()));
        let attributes = HashMap::from([
            ("person".to_owned(), RestrictedExpression::new_string(actor.person.to_string())),
            ("clearance".to_owned(), RestrictedExpression::new_long(actor.clearance.number())),
            ("assurance".to_owned(), RestrictedExpression::new_long(actor.assurance.number())),
        ]);
        let roles: HashSet<EntityUid> = actor
            .roles
            .iter()
            .map(|role| EntityUid::from_type_name_and_id(self.role.clone(), EntityId::new(role_name(*role))))
            .collect();
        Entity::new(uid, attributes, roles).ok()
    }

    /// The facts of a change.
    pub(super) fn change(&self, facts: &Facts) -> Option<Entity> {
        let evidence = facts.evidence.iter().map(|kind| {
            let id = EntityId::new(evidence_name(*kind));
            RestrictedExpression::new_entity_uid(EntityUid::from_type_name_and_id(self.evidence.clone(), id))
        });
        let attributes = HashMap::from([
            ("proposers".to_owned(), persons(&facts.proposers)),
            ("examiners".to_owned(), persons(&facts.examiners)),
            ("compliance".to_owned(), persons(&facts.compliance)),
            ("approvers".to_owned(), persons(&facts.approvers)),
            ("operators".to_owned(), persons(&facts.operators)),
            ("tier".to_owned(), RestrictedExpression::new_long(facts.tier.number())),
            ("level".to_owned(), RestrictedExpression::new_long(facts.level.number())),
            ("approvals".to_owned(), RestrictedExpression::new_long(facts.approvals)),
            ("humanApprovals".to_owned(), RestrictedExpression::new_long(facts.human_approvals)),
            ("evidence".to_owned(), RestrictedExpression::new_set(evidence)),
            ("inBounds".to_owned(), RestrictedExpression::new_bool(facts.in_bounds)),
            ("frozen".to_owned(), RestrictedExpression::new_bool(facts.frozen)),
            ("onHold".to_owned(), RestrictedExpression::new_bool(facts.on_hold)),
            ("authorisedUntil".to_owned(), RestrictedExpression::new_long(long(facts.authorised_until_ms))),
        ]);
        Entity::new(self.change.clone(), attributes, HashSet::new()).ok()
    }
}

/// Milliseconds as a Cedar number. Times beyond its range are its end: a `now` there is later than any end but that,
/// and an end there has come when `now` reaches it.
fn long(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn persons(set: &BTreeSet<PersonId>) -> RestrictedExpression {
    RestrictedExpression::new_set(
        set.iter().map(|person| RestrictedExpression::new_string(person.to_string())),
    )
}

/// The role as the schema and the statements write it.
pub(super) const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Root => "root",
        Role::DirectoryOfficer => "directory-officer",
        Role::PolicyOfficer => "policy-officer",
        Role::Proposer => "proposer",
        Role::Automation => "automation",
        Role::Examiner => "examiner",
        Role::Compliance => "compliance",
        Role::Approver => "approver",
        Role::Operator => "operator",
        Role::Rollout => "rollout",
        Role::Gateway => "gateway",
        Role::Engine => "engine",
        Role::Monitor => "monitor",
        Role::Log => "log",
        Role::Witness => "witness",
    }
}

/// The kind of evidence as the schema and the statements write it.
pub(crate) const fn evidence_name(kind: EvidenceKind) -> &'static str {
    match kind {
        EvidenceKind::Scope => "scope",
        EvidenceKind::Screen => "screen",
        EvidenceKind::Probe => "probe",
        EvidenceKind::FormalVerification => "formal-verification",
        EvidenceKind::Alignment => "alignment",
        EvidenceKind::SecurityReview => "security-review",
        EvidenceKind::ComplianceReview => "compliance-review",
        EvidenceKind::ExternalAudit => "external-audit",
        EvidenceKind::RedTeam => "red-team",
        EvidenceKind::Regression => "regression",
    }
}

#[cfg(test)]
mod tests;
