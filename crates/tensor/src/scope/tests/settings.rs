use super::*;

fn scope() -> Scope {
    let keys = [
        ("temperature_milli".to_owned(), SettingRule::Integer { min: -5, max: 900 }),
        ("mode".to_owned(), SettingRule::OneOf(vec!["greedy".into(), "sample".into()])),
    ];
    Scope { settings: Some(SettingsScope { keys: keys.into() }), ..Scope::closed() }
}

const OLD: &str = r#"{"temperature_milli":700,"mode":"sample","top_k":40}"#;

#[track_caller]
fn changed(new: &str, within: Verdict, expected: &[(Rule, &str)]) -> ScopeReport {
    let report = check_settings(&scope(), OLD, new).unwrap();
    check(&report, within, expected);
    report
}

#[test]
fn keys_and_values_are_held_to_their_rules() {
    changed(OLD, Verdict::Within, &[]);
    changed(r#"{"top_k":40,"mode":"greedy","temperature_milli":0}"#, Verdict::Within, &[]);
    let over = changed(
        r#"{"temperature_milli":901,"mode":"sample","top_k":40}"#,
        Verdict::Outside,
        &[(Rule::IntegerOutOfRange, "temperature_milli")],
    );
    assert_eq!(over.violations[0].measured, 1);
    let under = changed(
        r#"{"temperature_milli":-9007199254740991,"mode":"sample","top_k":40}"#,
        Verdict::Outside,
        &[(Rule::IntegerOutOfRange, "temperature_milli")],
    );
    assert_eq!(under.violations[0].measured, (1 << 53) - 1 - 5);
    let typed = r#"{"temperature_milli":"700","mode":1,"top_k":40}"#;
    changed(
        typed,
        Verdict::Outside,
        &[(Rule::ValueNotAllowed, "mode"), (Rule::ValueNotAllowed, "temperature_milli")],
    );
    changed(
        r#"{"temperature_milli":700,"mode":"Greedy","top_k":40}"#,
        Verdict::Outside,
        &[(Rule::ValueNotAllowed, "mode")],
    );
    changed(
        r#"{"temperature_milli":700,"mode":"sample","top_k":41,"top_p":1}"#,
        Verdict::Outside,
        &[(Rule::KeyNotAllowed, "top_k"), (Rule::KeyNotAllowed, "top_p")],
    );
    changed(r#"{"mode":"sample","top_k":40}"#, Verdict::Outside, &[(Rule::KeyRemoved, "temperature_milli")]);
}

#[test]
fn other_forms_are_refused() {
    let code = |new: &str| check_settings(&scope(), OLD, new).map(|_| ()).map_err(|error| error.code());
    for bad in [
        r#"{"temperature_milli":0.7}"#,
        r#"{"a":null}"#,
        r#"{"a":[1]}"#,
        r#"{"a":{"b":1}}"#,
        r#"{"a":9007199254740992}"#,
        "[]",
    ] {
        assert_eq!(code(bad), Err("CS-TSR-018"), "{bad}");
    }
    assert_eq!(code(r#"{"a":1,"a":1}"#), Err("CS-TSR-005"));
    assert_eq!(code("{} {}"), Err("CS-TSR-004"));
}

#[test]
fn a_closed_scope_allows_no_settings() {
    let report = check_settings(&Scope::closed(), OLD, OLD).unwrap();
    check(&report, Verdict::Outside, &[(Rule::KindNotInScope, "settings")]);
}
