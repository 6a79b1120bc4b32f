//! Who may do what, written out: `policies/matrix.txt`. Renew it with `UPDATE_EXPECT=1` and read the difference.

use std::fmt::Write as _;

use expect_test::expect_file;

use super::*;

/// What the actor already is on the change.
const RELATIONS: [&str; 6] = ["none", "proposer", "examiner", "compliance", "approver", "operator"];

fn related(relation: &str, tier: Tier) -> Facts {
    let mut facts = complete(tier);
    let hat = match relation {
        "proposer" => &mut facts.proposers,
        "examiner" => &mut facts.examiners,
        "compliance" => &mut facts.compliance,
        "approver" => &mut facts.approvers,
        "operator" => &mut facts.operators,
        _ => return facts,
    };
    hat.insert(person("ada"));
    facts
}

fn cell(decision: &Decision) -> String {
    let word = if decision.is_permit() { "allow" } else { "deny " };
    format!("{word} {}", ids(decision).join(" + "))
}

/// Answers for the four tiers on as few lines as there are different ones.
fn lines(text: &mut String, head: &str, answers: &[String]) {
    let mut from = 0;
    for (tier, answer) in answers.iter().enumerate() {
        if answers.get(tier + 1) == Some(answer) {
            continue;
        }
        let tiers = if from == tier { format!("{tier}") } else { format!("{from}-{tier}") };
        writeln!(text, "{head} {tiers:<4} {answer}").unwrap();
        from = tier + 1;
    }
}

/// The answers for one role and act: relations that are answered alike on one line; an act that is never allowed on
/// one line with every reason there is.
fn act(text: &mut String, action: Action, answer: impl Fn(&str, Tier) -> Decision) {
    let by_relation: Vec<(&str, Vec<Decision>)> = RELATIONS
        .into_iter()
        .map(|relation| (relation, Tier::ALL.into_iter().map(|tier| answer(relation, tier)).collect()))
        .collect();
    let all = || by_relation.iter().flat_map(|(_, answers)| answers);
    if !all().any(Decision::is_permit) {
        let reasons: BTreeSet<&str> = all().flat_map(ids).collect();
        let reasons: Vec<&str> = reasons.into_iter().collect();
        writeln!(text, "  {:<17} {:<45} 0-3  deny  {}", action.name(), "any", reasons.join(" | ")).unwrap();
        return;
    }
    let mut groups: Vec<(Vec<&str>, Vec<String>)> = Vec::new();
    for (relation, answers) in &by_relation {
        let answers: Vec<String> = answers.iter().map(cell).collect();
        match groups.iter_mut().find(|(_, known)| *known == answers) {
            Some((relations, _)) => relations.push(relation),
            None => groups.push((vec![relation], answers)),
        }
    }
    for (relations, answers) in groups {
        let relations =
            if relations.len() == RELATIONS.len() { "any".to_owned() } else { relations.join(" ") };
        lines(text, &format!("  {:<17} {relations:<45}", action.name()), &answers);
    }
}

fn table(duties: &Duties) -> String {
    let mut text = String::new();
    for role in Role::ALL {
        let who = actor("ada", &[role]);
        writeln!(text, "\nrole {}", request::role_name(role)).unwrap();
        for action in Action::ALL {
            act(&mut text, action, |relation, tier| {
                duties.decide(&who, action, &related(relation, tier), NOW_MS)
            });
        }
    }
    text
}

/// A situation: its name, who acts, the act, and what is different from a complete change.
type Situation = (&'static str, Actor, Action, fn(&mut Facts));

fn situations(duties: &Duties) -> String {
    let approver = || actor("ada", &[Role::Approver]);
    let operator = || actor("oz", &[Role::Operator]);
    let automation = || actor("auto", &[Role::Automation]);
    let cases: Vec<Situation> = vec![
        ("all as it should be", approver(), Action::Approve, |_| ()),
        ("all as it should be", automation(), Action::AutoApprove, |_| ()),
        ("all as it should be", operator(), Action::Order, |_| ()),
        ("no check of scope", approver(), Action::Approve, |facts| {
            facts.evidence.remove(&EvidenceKind::Scope);
        }),
        ("no formal verification", approver(), Action::Approve, |facts| {
            facts.evidence.remove(&EvidenceKind::FormalVerification);
        }),
        ("no security review", operator(), Action::Order, |facts| {
            facts.evidence.remove(&EvidenceKind::SecurityReview);
        }),
        ("no external audit", operator(), Action::Order, |facts| {
            facts.evidence.remove(&EvidenceKind::ExternalAudit);
        }),
        ("one signature too few", operator(), Action::Order, |facts| {
            facts.approvals -= 1;
            facts.human_approvals = facts.human_approvals.min(facts.approvals);
        }),
        ("one person too few, machine in the place", operator(), Action::Order, |facts| {
            facts.human_approvals -= 1;
        }),
        ("level 4, the mechanism", approver(), Action::Approve, |facts| facts.level = Level::Mechanism),
        ("level 3, the architecture", operator(), Action::Order, |facts| facts.level = Level::Architecture),
        ("level 2, knowledge", automation(), Action::AutoApprove, |facts| facts.level = Level::Knowledge),
        ("out of bounds", automation(), Action::AutoApprove, |facts| facts.in_bounds = false),
        ("authorisation expired", actor("pat", &[Role::Proposer]), Action::Propose, |facts| {
            facts.authorised_until_ms = NOW_MS;
        }),
        ("authorisation expired", approver(), Action::Approve, |facts| facts.authorised_until_ms = NOW_MS),
        ("authorisation expired", automation(), Action::AutoApprove, |facts| {
            facts.authorised_until_ms = NOW_MS;
        }),
        ("authorisation expired", operator(), Action::Rollback, |facts| facts.authorised_until_ms = NOW_MS),
        ("frozen", approver(), Action::Approve, |facts| facts.frozen = true),
        ("frozen", operator(), Action::Order, |facts| facts.frozen = true),
        ("frozen", operator(), Action::Rollback, |facts| facts.frozen = true),
        ("clearance low", Actor { clearance: Tier::Low, ..approver() }, Action::Approve, |_| ()),
        ("clearance low", Actor { clearance: Tier::Low, ..approver() }, Action::Grant, |_| ()),
        ("bare key", Actor { assurance: Assurance::Unsealed, ..approver() }, Action::Approve, |_| ()),
        ("bare key", Actor { assurance: Assurance::Unsealed, ..operator() }, Action::Order, |_| ()),
        ("bare key", Actor { assurance: Assurance::Unsealed, ..operator() }, Action::Rollback, |_| ()),
        ("machine that operates", actor("mo", &[Role::Automation, Role::Operator]), Action::Order, |_| ()),
        ("machine as approver", actor("ma", &[Role::Automation, Role::Approver]), Action::Approve, |_| ()),
        ("legal hold", actor("cy", &[Role::Compliance]), Action::Purge, |facts| facts.on_hold = true),
    ];
    let mut text = String::new();
    for (name, who, action, differ) in cases {
        let answers: Vec<String> = Tier::ALL
            .into_iter()
            .map(|tier| {
                let mut facts = complete(tier);
                differ(&mut facts);
                cell(&duties.decide(&who, action, &facts, NOW_MS))
            })
            .collect();
        lines(&mut text, &format!("  {name:<41} {:<12}", action.name()), &answers);
    }
    text
}

#[test]
fn is_what_the_duties_answer() {
    let duties = duties();
    let text = format!(
        "Who may do what, by the default duties. Made by a test from what the policies really answer.\n\
         \n\
         Each line: act, what the actor's person already is on this change, tiers (0 minimal, 1 low, 2 medium,\n\
         3 high), answer, deciding policies. Everything else is as it should be: evidence, signatures, clearance and\n\
         keys are there, levels are 1 to 4 as tiers are 0 to 3. `key-kind`: the schema does not open the act to that\n\
         kind of key; `no-permit`: no policy permits it. An act that a role never has stands on one line, with every\n\
         reason that one or another of its cases has (`|`).\n{}\nSituations: what is different, act, tiers, answer.\n\n{}",
        table(&duties),
        situations(&duties),
    );
    for id in duties.controls().keys() {
        assert!(text.contains(id.as_str()), "`{id}` decides nothing here");
    }
    expect_file!["../../../../../policies/matrix.txt"].assert_eq(&text);
}
