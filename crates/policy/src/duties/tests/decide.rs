use super::*;

#[track_caller]
fn permits(actor: &Actor, action: Action, facts: &Facts, by: &str) {
    let decision = duties().decide(actor, action, facts, NOW_MS);
    assert!(decision.is_permit(), "{decision:?}");
    assert_eq!(ids(&decision), [by]);
}

#[track_caller]
fn denies(actor: &Actor, action: Action, facts: &Facts, by: &[&str]) {
    let decision = duties().decide(actor, action, facts, NOW_MS);
    assert!(!decision.is_permit(), "{decision:?}");
    assert_eq!(ids(&decision), by);
}

#[test]
fn a_denial_names_policies_and_their_controls() {
    let facts = Facts { proposers: persons(&["ada"]), ..complete(Tier::Medium) };
    let decision = duties().decide(&actor("ada", &[Role::Approver]), Action::Approve, &facts, NOW_MS);
    let Decision::Deny { policies, controls } = decision else { panic!("{decision:?}") };
    assert_eq!(policies, ["forbid-self-approval".parse().unwrap()]);
    let names: Vec<&str> = controls.iter().map(Name::as_str).collect();
    assert_eq!(names, ["COBIT:BAI06", "ISO-27001:A.5.3", "NIST-800-53:AC-5", "SOC2:CC6.3"]);
}

#[test]
fn it_is_the_person_that_counts_not_the_key() {
    let facts = Facts { proposers: persons(&["ada"]), ..complete(Tier::Minimal) };
    let mut other_key = actor("ada", &[Role::Approver]);
    other_key.key = KeyId::from_digest(Digest::of(b"a second key"));
    denies(&other_key, Action::Approve, &facts, &["forbid-self-approval"]);
    // The machine that Ada answers for is Ada too.
    denies(&actor("ada", &[Role::Automation]), Action::AutoApprove, &facts, &["forbid-self-approval"]);
    permits(&actor("bob", &[Role::Automation]), Action::AutoApprove, &facts, "permit-automatic-lane");
}

#[test]
fn the_table_of_signatures() {
    let operator = actor("oz", &[Role::Operator]);
    for (tier, approvals, human_approvals, enough) in [
        (Tier::Minimal, 0, 0, false),
        (Tier::Minimal, 1, 0, true),
        (Tier::Minimal, 1, 1, true),
        (Tier::Low, 1, 1, false),
        (Tier::Low, 2, 0, false),
        (Tier::Low, 2, 1, true),
        (Tier::Low, 2, 2, true),
        (Tier::Medium, 2, 2, false),
        (Tier::Medium, 3, 2, false),
        (Tier::Medium, 9, 2, false),
        (Tier::Medium, 3, 3, true),
        (Tier::High, 4, 4, false),
        (Tier::High, 5, 4, false),
        (Tier::High, 5, 5, true),
    ] {
        let facts = Facts { approvals, human_approvals, ..complete(tier) };
        if enough {
            permits(&operator, Action::Order, &facts, "permit-order");
        } else {
            denies(&operator, Action::Order, &facts, &["forbid-short-of-quorum"]);
        }
    }
}

#[test]
fn the_table_of_evidence() {
    let approver = actor("ada", &[Role::Approver]);
    for (tier, kind, needed) in [
        (Tier::Minimal, EvidenceKind::Scope, true),
        (Tier::Low, EvidenceKind::FormalVerification, false),
        (Tier::Medium, EvidenceKind::FormalVerification, true),
        (Tier::Medium, EvidenceKind::SecurityReview, true),
        (Tier::Medium, EvidenceKind::ExternalAudit, false),
        (Tier::High, EvidenceKind::ExternalAudit, true),
    ] {
        let mut facts = complete(tier);
        facts.evidence.remove(&kind);
        if needed {
            denies(&approver, Action::Approve, &facts, &["forbid-missing-evidence"]);
        } else {
            permits(&approver, Action::Approve, &facts, "permit-approve");
        }
    }
}

#[test]
fn automation_never_counts_above_low() {
    let automation = actor("auto", &[Role::Automation]);
    permits(&automation, Action::AutoApprove, &complete(Tier::Minimal), "permit-automatic-lane");
    permits(&automation, Action::AutoApprove, &complete(Tier::Low), "permit-automatic-lane");
    denies(&automation, Action::AutoApprove, &complete(Tier::Medium), &["no-permit"]);
    denies(&automation, Action::AutoApprove, &complete(Tier::High), &["no-permit"]);
    let facts = Facts { level: Level::Knowledge, ..complete(Tier::Minimal) };
    denies(&automation, Action::AutoApprove, &facts, &["no-permit"]);
    let facts = Facts { in_bounds: false, ..complete(Tier::Minimal) };
    denies(&automation, Action::AutoApprove, &facts, &["no-permit"]);
    // Nor as a person, whatever roles its key has.
    let both = actor("auto", &[Role::Automation, Role::Approver]);
    denies(&both, Action::Approve, &complete(Tier::Minimal), &["key-kind"]);
    // A machine that operates stays in the lane too.
    let machine = actor("auto", &[Role::Automation, Role::Operator]);
    permits(&machine, Action::Order, &complete(Tier::Low), "permit-order-automatic");
    denies(&machine, Action::Order, &complete(Tier::Medium), &["no-permit"]);
}

#[test]
fn levels_ask_for_tiers() {
    let approver = actor("ada", &[Role::Approver]);
    for level in LEVELS {
        for tier in Tier::ALL {
            let facts = Facts { level, ..complete(tier) };
            let enough = match level {
                Level::Tuning | Level::Knowledge => true,
                Level::Architecture => tier >= Tier::Medium,
                Level::Mechanism => tier == Tier::High,
            };
            if enough {
                permits(&approver, Action::Approve, &facts, "permit-approve");
            } else {
                denies(&approver, Action::Approve, &facts, &["forbid-level-above-tier"]);
            }
        }
    }
}

#[test]
fn clearance_and_assurance_bound_persons() {
    for clearance in Tier::ALL {
        for tier in Tier::ALL {
            let approver = Actor { clearance, ..actor("ada", &[Role::Approver]) };
            let decision = duties().decide(&approver, Action::Approve, &complete(tier), NOW_MS);
            assert_eq!(decision.is_permit(), clearance >= tier);
        }
    }
    let weak = Actor { assurance: Assurance::Unsealed, ..actor("ada", &[Role::Approver]) };
    denies(&weak, Action::Approve, &complete(Tier::Minimal), &["forbid-weak-key"]);
    denies(&weak, Action::Grant, &complete(Tier::Minimal), &["forbid-weak-key"]);
}

#[test]
fn an_authorisation_ends_at_its_end() {
    let approver = actor("ada", &[Role::Approver]);
    let facts = |end| Facts { authorised_until_ms: end, ..complete(Tier::Minimal) };
    permits(&approver, Action::Approve, &facts(NOW_MS + 1), "permit-approve");
    denies(&approver, Action::Approve, &facts(NOW_MS), &["forbid-expired"]);
    denies(&approver, Action::Grant, &facts(NOW_MS - 1), &["forbid-expired"]);
    denies(&actor("pat", &[Role::Proposer]), Action::Propose, &facts(0), &["forbid-expired"]);
    permits(&approver, Action::Approve, &facts(u64::MAX), "permit-approve");
    // Times beyond the policies' range are their end: then nothing is authorised any more.
    let decision = duties().decide(&approver, Action::Approve, &facts(u64::MAX), u64::MAX);
    assert_eq!(ids(&decision), ["forbid-expired"]);
}

#[test]
fn a_freeze_stops_what_goes_forward_and_nothing_else() {
    let facts = Facts { frozen: true, ..complete(Tier::Minimal) };
    denies(&actor("ada", &[Role::Approver]), Action::Approve, &facts, &["forbid-frozen"]);
    denies(&actor("ada", &[Role::Approver]), Action::Grant, &facts, &["forbid-frozen"]);
    denies(&actor("auto", &[Role::Automation]), Action::AutoApprove, &facts, &["forbid-frozen"]);
    denies(&actor("oz", &[Role::Operator]), Action::Order, &facts, &["forbid-frozen"]);
    permits(&actor("oz", &[Role::Operator]), Action::Rollback, &facts, "permit-rollback");
    permits(&actor("ed", &[Role::Examiner]), Action::Examine, &facts, "permit-examine");
    permits(&actor("po", &[Role::PolicyOfficer]), Action::Unfreeze, &facts, "permit-unfreeze");
    denies(&actor("oz", &[Role::Operator]), Action::Unfreeze, &facts, &["no-permit"]);
}

#[test]
fn nobody_grants_to_themselves() {
    let facts = Facts { proposers: persons(&["ada"]), ..complete(Tier::Minimal) };
    denies(&actor("ada", &[Role::Approver]), Action::Grant, &facts, &["forbid-self-approval"]);
    permits(&actor("bea", &[Role::Approver]), Action::Grant, &facts, "permit-approve");
}

#[test]
fn what_is_held_is_not_purged() {
    let officer = actor("cy", &[Role::Compliance]);
    permits(&officer, Action::Purge, &complete(Tier::Minimal), "permit-purge");
    let facts = Facts { on_hold: true, ..complete(Tier::Minimal) };
    denies(&officer, Action::Purge, &facts, &["forbid-purge-on-hold"]);
}

#[test]
fn going_back_is_open_to_operators_whatever_they_did() {
    let all = persons(&["oz"]);
    let facts = Facts {
        proposers: all.clone(),
        examiners: all.clone(),
        compliance: all.clone(),
        approvers: all.clone(),
        operators: all,
        frozen: true,
        in_bounds: false,
        evidence: BTreeSet::new(),
        approvals: 0,
        human_approvals: 0,
        authorised_until_ms: 0,
        ..complete(Tier::High)
    };
    let weak = Actor { assurance: Assurance::Unsealed, ..actor("oz", &[Role::Operator]) };
    permits(&weak, Action::Rollback, &facts, "permit-rollback");
    permits(&weak, Action::Freeze, &facts, "permit-freeze");
}

#[test]
fn a_policy_that_cannot_be_evaluated_refuses() {
    let text = format!(
        "{DEFAULT_TEXT}\n@id(\"forbid-overflow\") forbid (principal, action, resource) \
         when {{ resource.approvals + 9223372036854775807 > 0 }};"
    );
    let duties = Duties::load(&text, &schema_digest()).unwrap();
    let decision =
        duties.decide(&actor("oz", &[Role::Operator]), Action::Order, &complete(Tier::Low), NOW_MS);
    let Decision::Deny { policies, .. } = decision else { panic!("{decision:?}") };
    let names: Vec<&str> = policies.iter().map(Name::as_str).collect();
    assert_eq!(names, ["forbid-overflow", "not-evaluated"]);
}
