//! Which grant stands for one that was renewed.

use std::collections::BTreeSet;

use audit::fixture::{DAY_MS, Realm, SLOT, Who};
use statement::kind::{Grant, GrantPurpose, Level, ModificationKind, Revocation, RevocationTarget, Tier};
use statement::{ChangeId, StatementId, Tracking};

use crate::keys::refuses;

fn grant(realm: &Realm, days: u64, renews: Option<StatementId>) -> Grant {
    Grant {
        changes_max: 1,
        contexts: BTreeSet::from(["claims".parse().unwrap()]),
        expires_ms: realm.now_ms() + days * DAY_MS,
        grantee: Who::Ada.key_id(),
        level_max: Level::Tuning,
        modifications: BTreeSet::from([ModificationKind::Adapter]),
        not_before_ms: realm.now_ms(),
        purpose: GrantPurpose::Propose,
        renews,
        slots: BTreeSet::from([SLOT.parse().unwrap()]),
        tier_max: Tier::Low,
    }
}

fn give(realm: &mut Realm, days: u64, renews: Option<StatementId>) -> StatementId {
    let grant = grant(realm, days, renews);
    realm.establish(&Tracking::Realm, grant, &[Who::Kay])
}

fn revoke(realm: &mut Realm, id: StatementId) {
    let body = Revocation { reason: "over".parse().unwrap(), target: RevocationTarget::Grant(id) };
    realm.establish(&Tracking::Realm, body, &[Who::Kay]);
}

fn stands(realm: &Realm, named: StatementId) -> Option<StatementId> {
    let change: ChangeId = audit::fixture::Plan::tuning("x").change();
    let record = realm.ledger().world().grant_in_force(&named, &change, realm.now_ms());
    record.map(|record| record.grant.id)
}

#[test]
fn a_grant_stands_until_its_end_and_then_its_renewal_does() {
    let mut realm = Realm::new();
    let first = give(&mut realm, 10, None);
    realm.advance_ms(DAY_MS);
    let second = give(&mut realm, 20, Some(first));
    assert_eq!(stands(&realm, first), Some(first));
    assert_eq!(stands(&realm, second), Some(second));
    realm.advance_ms(9 * DAY_MS);
    assert_eq!(stands(&realm, first), Some(second));
    // Renewals are renewed.
    let third = give(&mut realm, 40, Some(second));
    realm.advance_ms(12 * DAY_MS);
    assert_eq!(stands(&realm, first), Some(third));
    assert_eq!(stands(&realm, second), Some(third));
    realm.advance_ms(40 * DAY_MS);
    assert_eq!(stands(&realm, first), None);
}

#[test]
fn a_revoked_grant_ends_its_line() {
    let mut realm = Realm::new();
    let first = give(&mut realm, 10, None);
    realm.advance_ms(1);
    let second = give(&mut realm, 30, Some(first));
    realm.advance_ms(1);
    let third = give(&mut realm, 40, Some(second));
    revoke(&mut realm, second);
    realm.advance_ms(11 * DAY_MS);
    // Who named the first does not come by the third over the second; who named the third does.
    assert_eq!(stands(&realm, first), None);
    assert_eq!(stands(&realm, third), Some(third));
    revoke(&mut realm, first);
    assert_eq!(stands(&realm, first), None);
    // Nor is what was revoked renewed.
    let again = grant(&realm, 10, Some(first));
    refuses(&mut realm, &Tracking::Realm, again, &[Who::Kay], &["CS-FLD-023"]);
}
