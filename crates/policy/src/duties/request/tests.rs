//! What is asked fits the schema, whatever the actor and the facts: so no decision has to check it again.

use cedar_policy::Schema;
use proptest::collection::btree_set;
use proptest::prelude::*;
use statement::kind::{Assurance, Level, Tier};
use statement::{Digest, KeyId};

use super::*;
use crate::duties::SCHEMA_TEXT;

const EVIDENCE: [EvidenceKind; 10] = [
    EvidenceKind::Scope,
    EvidenceKind::Screen,
    EvidenceKind::Probe,
    EvidenceKind::FormalVerification,
    EvidenceKind::Alignment,
    EvidenceKind::SecurityReview,
    EvidenceKind::ComplianceReview,
    EvidenceKind::ExternalAudit,
    EvidenceKind::RedTeam,
    EvidenceKind::Regression,
];
const LEVELS: [Level; 4] = [Level::Tuning, Level::Knowledge, Level::Architecture, Level::Mechanism];

fn person() -> impl Strategy<Value = PersonId> {
    "[a-z0-9][a-z0-9.-]{0,63}".prop_map(|text| text.parse().unwrap())
}

fn people() -> impl Strategy<Value = BTreeSet<PersonId>> {
    btree_set(person(), 0..4)
}

fn actors() -> impl Strategy<Value = Actor> {
    let roles = btree_set(prop::sample::select(Role::ALL.to_vec()), 0..4);
    let assurance = prop::sample::select(vec![Assurance::Unsealed, Assurance::Sealed, Assurance::Hardware]);
    let tier = prop::sample::select(Tier::ALL.to_vec());
    (any::<[u8; 32]>(), person(), roles, tier, assurance).prop_map(
        |(key, person, roles, clearance, assurance)| Actor {
            key: KeyId::from_digest(Digest::from_bytes(key)),
            person,
            kind: ActorKind::of_roles(&roles),
            roles,
            clearance,
            assurance,
        },
    )
}

fn facts() -> impl Strategy<Value = Facts> {
    let people = (people(), people(), people(), people(), people());
    let table = (
        prop::sample::select(Tier::ALL.to_vec()),
        prop::sample::select(LEVELS.to_vec()),
        btree_set(prop::sample::select(EVIDENCE.to_vec()), 0..10),
    );
    (people, table, any::<(i64, i64, bool, bool, bool, u64)>()).prop_map(|(people, table, rest)| Facts {
        proposers: people.0,
        examiners: people.1,
        compliance: people.2,
        approvers: people.3,
        operators: people.4,
        tier: table.0,
        level: table.1,
        evidence: table.2,
        approvals: rest.0,
        human_approvals: rest.1,
        in_bounds: rest.2,
        frozen: rest.3,
        on_hold: rest.4,
        authorised_until_ms: rest.5,
    })
}

proptest! {
    #[test]
    fn what_is_asked_fits_the_schema(actor in actors(), facts in facts(), now_ms in any::<u64>()) {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA_TEXT).unwrap();
        let vocabulary = Vocabulary::of(&schema).unwrap();
        let change = vocabulary.change(&facts).unwrap();
        let entities = [vocabulary.principal(&actor).unwrap(), change.clone()];
        let checked = Entities::from_entities(entities, Some(&schema));
        prop_assert!(checked.is_ok(), "{:?}", checked.err());
        for action in Action::ALL {
            // Of an action that is not open to the kind of key there is no request.
            let request = vocabulary.request(&schema, &actor, action, change.clone(), now_ms);
            prop_assert_eq!(request.is_some(), vocabulary.open_to(action, actor.kind));
        }
    }
}

#[test]
fn no_action_is_in_a_group() {
    // Entities made without the schema lack its actions; only groups would miss them.
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA_TEXT).unwrap();
    assert_eq!(schema.action_groups().count(), 0);
}
