use super::*;

const ANY: &str = "(principal, action, resource)";

#[track_caller]
fn refused(text: &str, code: &str, names: &str) {
    let error = Duties::load(text, &schema_digest()).unwrap_err();
    let message = error.to_string();
    assert_eq!(error.code(), code, "{message}");
    assert!(message.contains(names), "{message}");
    assert!(!error.hint().is_empty());
}

#[test]
fn the_default_duties_name_the_controls_they_serve() {
    let duties = duties();
    for (id, controls) in duties.controls() {
        assert!(!controls.is_empty(), "`{id}` has no `@control`");
    }
    assert_eq!(duties.controls().len(), DEFAULT_TEXT.matches("@id(").count());
    let separation = &duties.controls()[&"forbid-self-approval".parse().unwrap()];
    assert!(separation.contains(&"NIST-800-53:AC-5".parse().unwrap()));
    assert!(separation.contains(&"COBIT:BAI06".parse().unwrap()));
}

#[test]
fn no_duties_permit_nothing() {
    let empty = Duties::load("", &schema_digest()).unwrap();
    let decision =
        empty.decide(&actor("ada", &[Role::Proposer]), Action::Propose, &complete(Tier::Minimal), NOW_MS);
    assert_eq!(ids(&decision), ["no-permit"]);
}

#[test]
fn text_that_is_no_set_of_named_policies_is_refused() {
    refused(&format!("\n  permit {ANY}"), "CS-POL-003", "line 2");
    refused("permit (principal, action resource);", "CS-POL-003", "line 1, column 27");
    refused(&format!("@id(\"a\") permit{ANY};\npermit{ANY};"), "CS-POL-005", "line 2, column 1");
    refused(&format!("@id(\"two words\") permit{ANY};"), "CS-POL-006", "`two words`");
    refused(&format!("@id(\"no-permit\") permit{ANY};"), "CS-POL-006", "`no-permit`");
    refused(&format!("@id(\"not-evaluated\") permit{ANY};"), "CS-POL-006", "`not-evaluated`");
    refused(&format!("@id(\"key-kind\") permit{ANY};"), "CS-POL-006", "`key-kind`");
    refused(&format!("@id(\"a\") permit{ANY}; @id(\"a\") forbid{ANY};"), "CS-POL-007", "`a`");
    refused(&format!("@id(\"a\") permit{ANY}; @id(\"a\") permit{ANY};"), "CS-POL-007", "`a`");
    refused("@id(\"open\") permit (principal == ?principal, action, resource);", "CS-POL-004", "`open`");
}

#[test]
fn controls_have_one_shape() {
    for control in ["", "AC-5", "NIST:", ":AC-5", "NIST:AC-5,", "NIST:AC-5;", "NIST:A B", "NIST:A:B"] {
        refused(&format!("@id(\"a\") @control(\"{control}\") permit{ANY};"), "CS-POL-008", "`a`");
    }
}

#[test]
fn policies_that_do_not_fit_the_schema_are_refused_with_place() {
    let fault = "@id(\"fine\") permit (principal, action == Action::\"propose\", resource);\n\
        @id(\"broken\")\nforbid (principal, action, resource)\nwhen { resource.teir > 1 };";
    refused(fault, "CS-POL-009", "`broken`");
    refused(fault, "CS-POL-009", "line 4, column 8");
    for condition in [
        "resource.tier > \"high\"",
        "principal in Role::\"aprover\"",
        "resource.evidence.contains(Evidence::\"secuirty-review\")",
        "resource.evidence.contains(\"security-review\")",
        "context.moment > 1",
        "principal is User",
        "action == Action::\"deploy\"",
    ] {
        refused(&format!("@id(\"a\") permit{ANY} when {{ {condition} }};"), "CS-POL-009", "`a`");
    }
}

#[test]
fn policies_that_can_never_apply_or_deceive_the_eye_are_refused() {
    refused(
        "@id(\"a\") permit (principal is AutomationKey, action == Action::\"approve\", resource);",
        "CS-POL-009",
        "`a`",
    );
    refused(&format!("@id(\"a\") forbid{ANY} when {{ resource.tier == 0 && false }};"), "CS-POL-009", "`a`");
    // A Cyrillic letter in a person's name.
    refused(
        &format!("@id(\"a\") permit{ANY} when {{ principal.person == \"\u{430}da\" }};"),
        "CS-POL-009",
        "`a`",
    );
}

#[test]
fn sizes_are_bounded() {
    let long = format!("// {}\n", "x".repeat(TEXT_MAX_BYTES));
    refused(&long, "CS-POL-001", "more than 24576");
    let many: Vec<String> = (0..=POLICIES_MAX).map(|n| format!("@id(\"p{n}\") permit{ANY};")).collect();
    refused(&many.join("\n"), "CS-POL-002", "129");
}

#[test]
fn texts_that_would_exhaust_the_stack_are_refused_before_they_are_read() {
    let of = |condition: String| format!("@id(\"a\") permit{ANY} when {{ {condition} }};");
    refused(&of(format!("{}true{}", "(".repeat(5000), ")".repeat(5000))), "CS-POL-019", "line 1");
    refused(&of(format!("true{}", " && true".repeat(2000))), "CS-POL-019", "line 1");
    refused(&of(format!("true{}", " || true".repeat(2000))), "CS-POL-019", "line 1");
    refused(&of(format!("resource{}", ".tier".repeat(4000))), "CS-POL-019", "line 1");
    refused(&of(format!("resource.tier {} > 1", "+ 1".repeat(4000))), "CS-POL-019", "line 1");
    refused(&of(format!("{} true", "if true then true else ".repeat(900))), "CS-POL-019", "line 1");
    refused(&of("[".repeat(33)), "CS-POL-019", "line 1");
    refused(&of(format!("// \"\n{}", "(".repeat(33))), "CS-POL-019", "line 2");
    refused(&of(format!("\"\\\"\" == {}", "(".repeat(33))), "CS-POL-019", "line 1");
}

#[test]
fn what_is_just_allowed_is_read_validated_and_decided() {
    let deep = shape::NESTING_MAX - 1;
    let texts = [
        format!("{}resource.tier > 0{}", "(".repeat(deep), ")".repeat(deep)),
        format!("resource.tier > 0{}", " && resource.tier > 0".repeat(shape::JOINTS_MAX / 2 - 1)),
        format!("resource.tier{} > 0", " + 1".repeat(shape::JOINTS_MAX - 1)),
        format!("{}resource.frozen", "if resource.frozen then false else ".repeat(shape::JOINTS_MAX / 2 - 1)),
    ];
    for text in texts {
        let text =
            format!("// ((((((((((((((((((((((((((((((((((((((((\n@id(\"a\") permit{ANY} when {{ {text} }};");
        let duties = Duties::load(&text, &schema_digest()).unwrap();
        let decision = duties.decide(&actor("ada", &[]), Action::Order, &complete(Tier::Low), NOW_MS);
        assert!(!ids(&decision).contains(&"not-evaluated"), "{decision:?}: {text}");
    }
}

#[test]
fn another_schema_is_refused() {
    let error = Duties::load(DEFAULT_TEXT, &Digest::of(b"another")).unwrap_err();
    assert_eq!(error.code(), "CS-POL-010");
}

#[test]
fn the_schema_has_the_words_of_the_statements() {
    let written = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    for role in Role::ALL {
        let name = request::role_name(role);
        assert_eq!(written(serde_json::to_value(role).unwrap()), name);
        let text = format!("@id(\"a\") permit (principal in Role::\"{name}\", action, resource);");
        Duties::load(&text, &schema_digest()).unwrap();
    }
    for kind in EVIDENCE {
        let name = evidence_name(kind);
        assert_eq!(written(serde_json::to_value(kind).unwrap()), name);
        let text =
            format!("@id(\"a\") permit{ANY} when {{ resource.evidence.contains(Evidence::\"{name}\") }};");
        Duties::load(&text, &schema_digest()).unwrap();
    }
}

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
