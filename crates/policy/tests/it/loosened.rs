//! Looser policies that would be put in force if nobody noticed: each must be told as such, or as one to be read.

use audit::fixture::Realm;
use policy::compare::{Comparison, Shift, Wording};
use policy::duties::Action;
use policy::gate::Decided;
use statement::Digest;
use statement::kind::{BindingLevel, EvidenceKind, Role, Tier};

use crate::compare::{compared, of};
use crate::stage::{X, under_policy};

/// What stands in the place of the condition of `forbid-self-approval`.
fn self_approval(condition: &str) -> Comparison {
    let realm = Realm::new();
    compared(&realm, |policy| {
        let plain = "when { resource.proposers.contains(principal.person) };";
        assert!(policy.cedar.contains(plain));
        policy.cedar = policy.cedar.replacen(plain, condition, 1);
    })
}

/// It is told as looser, by a question on that act in that circumstance.
#[track_caller]
fn told(compared: &Comparison, action: Action, circumstance: &str, roles: &[Role]) {
    assert_eq!(compared.shift(), Shift::Looser);
    let [text] = compared.permissions.texts.as_slice() else { panic!("{:#?}", compared.permissions.texts) };
    assert_eq!((text.id.as_str(), text.wording), ("forbid-self-approval", Wording::Reworded));
    assert_eq!((text.shift, text.is_explained), (Shift::Looser, true));
    let is_told = compared.permissions.differing.iter().any(|found| {
        found.shift() == Shift::Looser
            && found.action == action
            && found.circumstance == circumstance
            && found.roles == roles.iter().copied().collect()
    });
    assert!(is_told, "{:#?}", compared.permissions.differing);
}

#[test]
fn bindings_that_are_only_declared_are_looser() {
    let mut realm = Realm::new();
    // The fixture's engines have none.
    under_policy(&mut realm, |policy| {
        for (tier, binding) in
            [(Tier::Medium, BindingLevel::FileChecked), (Tier::High, BindingLevel::Launched)]
        {
            policy.rules.tiers.get_mut(&tier).unwrap().binding = binding;
        }
    });
    let compared = compared(&realm, |policy| {
        for rule in policy.rules.tiers.values_mut() {
            rule.binding = BindingLevel::Declared;
        }
    });
    let places: Vec<(&str, Shift)> =
        compared.tables.iter().map(|found| (found.place.as_str(), found.shift)).collect();
    assert_eq!(places, [("tiers.high.binding", Shift::Looser), ("tiers.medium.binding", Shift::Looser)]);
    assert_eq!(compared.shift(), Shift::Looser);
}

#[test]
fn tables_by_which_past_changes_are_minimal_are_looser() {
    let mut realm = Realm::new();
    realm.release(X);
    let compared = compared(&realm, |policy| {
        let rules = &mut policy.rules;
        for (cut, from) in rules.impact.cuts.iter_mut().zip([9_000, 9_500, 9_900]) {
            cut.from = from;
        }
        rules.impact.impact_floors.clear();
        rules.impact.level_floors.clear();
        rules.impact.reliability_floors.clear();
        rules.modification_evidence.clear();
        rules.workers.insert(Digest::of(b"nobody knows"), [EvidenceKind::Scope].into());
        rules.limits.approval_max_ms *= 12;
        rules.limits.finding_max_ms *= 43;
        for rule in rules.tiers.values_mut() {
            rule.families = None;
        }
    });
    let verdict = of(&compared, Decided::Verdict)[0];
    assert_eq!((verdict.then.tier, verdict.now.tier), (Some(Tier::Medium), Some(Tier::Minimal)));
    assert!(verdict.then.allows && verdict.now.allows);
    assert_eq!(verdict.shift(), Shift::Looser, "the same answer at a lower tier");
    assert!(compared.tables.iter().all(|found| found.shift == Shift::Looser), "{:#?}", compared.tables);
    assert!(compared.tables.len() > 12, "{:#?}", compared.tables);
    assert_eq!(compared.shift(), Shift::Looser);
}

#[test]
fn a_lower_score_is_looser_and_a_higher_one_is_not() {
    let mut realm = Realm::new();
    realm.release(X);
    let scored = |by: i64| {
        compared(&realm, |policy| {
            for step in &mut policy.rules.impact.calibration {
                step.log10_milli = (step.log10_milli + by).min(0);
            }
        })
    };
    let (lower, higher) = (scored(-5), scored(5));
    let verdict = of(&lower, Decided::Verdict)[0];
    assert_eq!((verdict.then.tier, verdict.shift()), (verdict.now.tier, Shift::Looser), "{verdict:#?}");
    assert_eq!(higher.shift(), Shift::Tighter, "{higher:#?}");
}

#[test]
fn an_exception_for_a_person_is_asked_about_by_name() {
    let compared = self_approval(
        r#"when { resource.proposers.contains(principal.person) && principal.person != "mallory" };"#,
    );
    told(&compared, Action::Approve, "`mallory` acts, the same person proposed it", &[Role::Approver]);
}

#[test]
fn an_exception_by_pattern_is_asked_about() {
    let compared = self_approval(
        r#"when { resource.proposers.contains(principal.person) && !(principal.person like "mal*") };"#,
    );
    told(&compared, Action::Approve, "`mal` acts, the same person proposed it", &[Role::Approver]);
}

#[test]
fn an_end_in_time_is_asked_about_on_both_sides() {
    let compared = self_approval(
        "when { resource.proposers.contains(principal.person) && context.now < 1800000000000 };",
    );
    told(&compared, Action::Approve, "at 1800000000000, the same person proposed it", &[Role::Approver]);
    let early = compared.permissions.differing.iter().any(|it| it.circumstance.contains("1799999999999"));
    assert!(!early, "until then nothing is looser");
}

#[test]
fn an_exception_for_a_key_of_two_roles_is_asked_about() {
    let compared = self_approval(
        r#"when {
  resource.proposers.contains(principal.person) &&
  !(principal in Role::"approver" && principal in Role::"operator")
};"#,
    );
    told(&compared, Action::Approve, "the same person proposed it", &[Role::Approver, Role::Operator]);
}

#[test]
fn words_that_no_question_explains_are_to_be_read() {
    // A third role is in no pair, and no question is asked at such a moment.
    for (condition, is_explained) in [
        (
            r#"when {
  resource.proposers.contains(principal.person) &&
  !(principal in Role::"approver" && principal in Role::"operator" && principal in Role::"monitor")
};"#,
            false,
        ),
        (
            "when { resource.proposers.contains(principal.person) && context.now * 3 != 4500000000003 };",
            false,
        ),
        // What is refused more in one circumstance says nothing about another.
        (
            r"when {
  (resource.proposers.contains(principal.person) && context.now * 3 != 4500000000003) || resource.frozen
};",
            true,
        ),
    ] {
        let compared = self_approval(condition);
        let [text] = compared.permissions.texts.as_slice() else { panic!("{compared:#?}") };
        assert_eq!((text.shift, text.is_explained), (Shift::Unclear, is_explained), "{compared:#?}");
        assert!(text.now.as_ref().unwrap().contains("approver") || condition.contains("4500000000003"));
        assert_eq!(compared.shift(), Shift::Unclear);
        assert!(!compared.is_looser());
    }
}

#[test]
fn blanks_and_comments_are_no_difference() {
    let compared = self_approval(
        "// Nobody approves their own.\nwhen\n{ resource.proposers\n  .contains( principal.person ) };",
    );
    assert!(compared.permissions.texts.is_empty() && compared.permissions.actions.is_empty());
    assert_eq!(compared.shift(), Shift::Same);
}

#[test]
fn another_forbid_is_tighter_and_one_that_keeps_from_stopping_is_not() {
    let realm = Realm::new();
    let with = |action: &str| {
        compared(&realm, |policy| {
            let more =
                format!("\n@id(\"nobody\")\nforbid (principal, action == Action::\"{action}\", resource);\n");
            policy.cedar.push_str(&more);
        })
    };
    assert_eq!(with("approve").shift(), Shift::Tighter);
    for action in ["freeze", "rollback"] {
        let compared = with(action);
        assert_eq!(compared.shift(), Shift::Unclear, "{action}");
        assert!(compared.permissions.differing.iter().any(|found| found.shift() == Shift::Unclear));
    }
}

#[test]
fn another_permit_that_nobody_uses_yet_is_to_be_read() {
    let mut realm = Realm::new();
    under_policy(&mut realm, |_| ());
    let compared = compared(&realm, |policy| {
        let more = "\n@id(\"also\")\npermit (principal in Role::\"proposer\", action == Action::\"purge\", resource)\n\
                    when { resource.approvals == 77 };\n";
        policy.cedar.push_str(more);
    });
    let [text] = compared.permissions.texts.as_slice() else { panic!("{compared:#?}") };
    assert_eq!((text.wording, text.shift, text.is_explained), (Wording::Added, Shift::Unclear, false));
    assert_eq!(compared.shift(), Shift::Unclear);
}
