//! Policies compared: what another one would allow or refuse, by itself and on a record.

use audit::fixture::{Realm, Who};
use dossier::Code;
use policy::compare::{Comparison, Shift, Wording};
use policy::duties::Action;
use policy::gate::{Decided, Retried};
use statement::kind::{Capacity, Policy, Role, Tier};

use crate::stage::{X, about, decided, under_policy};

pub(crate) fn compared(realm: &Realm, alter: impl FnOnce(&mut Policy)) -> Comparison {
    let in_force = &realm.ledger().world().policy().unwrap().body;
    let mut other = in_force.clone();
    alter(&mut other);
    Comparison::between(in_force, &other, realm.leaves()).unwrap()
}

/// The policy's text without one of its policies.
fn without(cedar: &str, id: &str) -> String {
    let at = cedar.find(&format!("@id(\"{id}\")")).unwrap();
    let end = at + cedar[at..].find("};").unwrap() + 2;
    format!("{}{}", &cedar[..at], &cedar[end..])
}

pub(crate) fn of(compared: &Comparison, decided: Decided) -> Vec<&Retried> {
    compared.decisions.iter().filter(|retried| retried.decided == decided).collect()
}

#[test]
fn a_policy_compared_with_itself_differs_in_nothing() {
    let mut realm = Realm::new();
    realm.release(X);
    let compared = compared(&realm, |_| ());
    assert!(compared.tables.is_empty());
    assert_eq!((compared.permissions.asked, compared.permissions.differing.len()), (0, 0));
    for kind in [Decided::Verdict, Decided::Approval, Decided::Order] {
        assert!(!of(&compared, kind).is_empty(), "{kind:?}");
    }
    assert!(compared.decisions.iter().all(|retried| retried.shift() == Shift::Same), "{compared:#?}");
    assert!(compared.decisions.iter().all(|retried| retried.then.allows));
    assert_eq!(compared.shift(), Shift::Same);
}

#[test]
fn a_forbid_that_is_taken_out_is_told_as_looser_and_by_name() {
    let mut realm = Realm::new();
    let change = decided(&mut realm, X);
    // The proposer's own approval: in the record, and without effect.
    let own = realm.approval(&change, Capacity::Technical);
    realm.say(&about(&change), own, &[X.proposer]);
    let taken = ["forbid-second-hat-approve", "forbid-self-approval"];
    let compared = compared(&realm, |policy| {
        for id in taken {
            policy.cedar = without(&policy.cedar, id);
        }
    });
    assert!(compared.is_looser());
    let removed: Vec<(&str, Wording)> =
        compared.permissions.texts.iter().map(|text| (text.id.as_str(), text.wording)).collect();
    assert_eq!(removed, taken.map(|id| (id, Wording::Removed)));
    assert!(compared.permissions.texts.iter().all(|text| text.shift == Shift::Looser), "{compared:#?}");
    let found = compared.permissions.differing.iter().find(|found| {
        found.action == Action::Approve
            && found.roles.contains(&Role::Approver)
            && found.circumstance == "the same person proposed it"
    });
    let found = found.unwrap();
    assert_eq!((found.shift(), found.tiers.as_slice()), (Shift::Looser, &Tier::ALL[..]));
    assert_eq!(compared.permissions.differing[0].shift(), Shift::Looser, "the looser come first");
    assert!(compared.permissions.asked > 1000, "{}", compared.permissions.asked);
}

#[test]
fn more_signatures_would_have_held_up_what_was_released() {
    let mut realm = Realm::new();
    let change = realm.release(X);
    let tier = realm.dossier(&change).order.as_ref().unwrap().body.tier;
    let compared = compared(&realm, |policy| {
        // A tier asks for no less than the one below it.
        for rule in policy.rules.tiers.values_mut() {
            rule.approvals += 3;
        }
    });
    let places: Vec<&str> = compared.tables.iter().map(|found| found.place.as_str()).collect();
    assert_eq!(places.len(), 4, "{places:?}");
    assert!(places.iter().all(|place| place.ends_with(".approvals")), "{places:?}");
    let [order] = of(&compared, Decided::Order)[..] else { panic!("{compared:#?}") };
    assert_eq!((order.shift(), order.now.tier), (Shift::Tighter, Some(tier)));
    assert!(order.now.reasons.iter().any(|reason| reason.code == Code::ApprovalsTooFew), "{order:#?}");
    assert!(of(&compared, Decided::Approval).iter().all(|retried| retried.shift() == Shift::Same));
    assert!(compared.tables.iter().all(|found| found.shift == Shift::Tighter), "{:#?}", compared.tables);
    assert_eq!(compared.shift(), Shift::Tighter);
}

#[test]
fn what_was_said_of_a_score_is_said_of_the_other_one() {
    let mut realm = Realm::new();
    realm.release(X);
    let compared = compared(&realm, |policy| policy.rules.impact.offset += 7);
    let verdict = of(&compared, Decided::Verdict)[0];
    assert_eq!(verdict.then.tier, verdict.now.tier, "a few thousandths change no tier");
    // The score is another one, to which every approval would be one of something else, word for word.
    assert!(compared.decisions.iter().all(|retried| retried.now.allows), "{compared:#?}");
}

#[test]
fn an_approval_that_counted_nowhere_would_count_under_a_looser_text() {
    let mut realm = Realm::new();
    let change = decided(&mut realm, X);
    let id = realm.approve(&change, Who::Fay, Capacity::Technical);
    let strict = under_policy(&mut realm, |policy| {
        // Nobody approves.
        policy.cedar = format!(
            "{}\n@id(\"nobody\")\nforbid (principal, action == Action::\"approve\", resource);\n",
            policy.cedar
        );
    });
    realm.advance_ms(1);
    realm.verdict(&change);
    let refused = realm.approval(&change, Capacity::Ethics);
    realm.say(&about(&change), refused, &[Who::Gil]);
    let default = Realm::policy();
    let compared = compared(&realm, |policy| policy.cedar = default.cedar);
    let approvals = of(&compared, Decided::Approval);
    assert_eq!(approvals.len(), 2, "{approvals:#?}");
    assert_eq!((approvals[0].statement, approvals[0].shift()), (id, Shift::Same));
    assert_eq!(approvals[1].shift(), Shift::Looser, "{:#?}", approvals[1]);
    assert!(approvals[1].then.reasons.iter().any(|reason| reason.code == Code::DutyForbids));
    assert_ne!(strict, id);
    assert!(compared.is_looser());
}

#[test]
fn what_could_not_be_put_in_force_is_not_compared() {
    let realm = Realm::new();
    let in_force = &realm.ledger().world().policy().unwrap().body;
    let mut other = in_force.clone();
    other.cedar = "permit (principal, action, resource);".to_owned();
    assert!(Comparison::between(in_force, &other, realm.leaves()).is_err());
    let mut other = in_force.clone();
    other.rules.tiers.clear();
    assert!(Comparison::between(in_force, &other, realm.leaves()).is_err());
}
