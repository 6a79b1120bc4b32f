use super::*;

#[test]
fn what_is_left_out_is_closed_and_level_one() {
    assert_eq!(Scope::read(b"{}").unwrap(), Scope::closed());
    let lifted = Scope::read(br#"{"relative_frobenius_ppm_max":null}"#).unwrap();
    assert_eq!(lifted.relative_frobenius_ppm_max, None);
    assert_eq!(lifted.max_element_relative_ppm_max, Some(50_000));
}

#[test]
fn the_schema_in_docs_is_this_version_s_and_says_what_the_reader_takes() {
    let schema = schemars::schema_for!(Scope);
    let schema = serde_json::to_string_pretty(schema.as_value()).unwrap() + "\n";
    expect_test::expect_file!["../../../../../docs/scope.schema.json"].assert_eq(&schema);
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let examples = [
        include_str!("../../../../../policies/scopes/level-1-adapter.json"),
        include_str!("../../../../../policies/scopes/level-1-prompt.json"),
        include_str!("../../../../../policies/scopes/level-2.json"),
        "{}",
        r#"{"module":[]}"#,
        r#"{"rank_max":-1}"#,
        r#"{"prompt":{"sections":[]}}"#,
        r#"{"settings":{"keys":{"a":{"float":1}}}}"#,
    ];
    for example in examples {
        let is_valid = validator.is_valid(&serde_json::from_str(example).unwrap());
        assert_eq!(is_valid, Scope::read(example.as_bytes()).is_ok(), "{example}");
    }
}

#[test]
fn the_guide_s_examples_are_scopes() {
    let guide = include_str!("../../../../../docs/scope.md");
    let examples: Vec<&str> =
        guide.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 2, "{}", examples.len());
    for example in examples {
        Scope::read(example.as_bytes()).unwrap_or_else(|error| panic!("{example}: {error}"));
    }
}

#[test]
fn a_scope_survives_the_way_through_json() {
    let scope = Scope {
        modules: patterns(&["**.q"]),
        layers: Some(LayerRange { first: 1, last: 2 }),
        relative_frobenius_ppm_max: None,
        prompt: Some(PromptScope {
            sections: vec!["Style".into()],
            sections_fixed: vec!["Safety".into()],
            length_max_bytes: 10,
        }),
        settings: Some(SettingsScope {
            keys: [
                ("top_k".to_owned(), SettingRule::Integer { min: 1, max: 100 }),
                ("mode".to_owned(), SettingRule::OneOf(vec!["a".into()])),
            ]
            .into(),
        }),
        ..Scope::closed()
    };
    assert_eq!(Scope::read(&serde_json::to_vec(&scope).unwrap()).unwrap(), scope);
}

#[test]
fn bad_scopes_are_refused() {
    let code = |text: &str| Scope::read(text.as_bytes()).map_err(|error| error.code());
    for bad in [
        r#"{"module":[]}"#,
        r#"{"rank_max":1.5}"#,
        r#"{"rank_max":-1}"#,
        r#"{"modules":["a..b"]}"#,
        r#"{"modules":""}"#,
        r#"{"settings":{"keys":{"a":{"float":1}}}}"#,
        r#"{"prompt":{"sections":[]}}"#,
        r#"{"layers":{"first":0,"last":1,"step":2}}"#,
        "[]",
        r#"{"layers":[0,1]}"#,
        r#"{"prompt":[["Style"],[],10]}"#,
        r#"{"settings":{"keys":{"a":{"integer":[0,1]}}}}"#,
    ] {
        assert_eq!(code(bad), Err("CS-TSR-030"), "{bad}");
    }
    assert_eq!(code("{"), Err("CS-TSR-004"));
    assert_eq!(code(r#"{"rank_max":1,"rank_max":9}"#), Err("CS-TSR-005"));
    let twice = r#"{"settings":{"keys":{"a":{"one_of":["x"]},"a":{"one_of":["y"]}}}}"#;
    assert_eq!(code(twice), Err("CS-TSR-005"));
}

#[test]
fn a_report_survives_the_way_through_json_and_holds_no_fractions() {
    let report = check_prompt(&Scope::closed(), "a", "b");
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(
        text,
        r#"{"within":"outside","measures":{"length_bytes":1,"violations":1},"violations":[{"code":"CS-TSR-101","place":"prompt","measured":1,"limit":0}]}"#
    );
    assert_eq!(serde_json::from_str::<ScopeReport>(&text).unwrap(), report);
}

#[test]
fn schemas_can_be_made() {
    let schema = serde_json::to_string(&schemars::schema_for!(Scope)).unwrap();
    assert!(schema.contains("relative_frobenius_ppm_max") && !schema.contains("\"number\""));
    assert!(serde_json::to_string(&schemars::schema_for!(ScopeReport)).unwrap().contains("CS-TSR-101"));
}

#[test]
fn codes_are_distinct_and_every_rule_has_a_hint() {
    let mut codes: Vec<_> = Rule::ALL.iter().map(|rule| rule.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Rule::ALL.len());
    assert!(Rule::ALL.iter().all(|rule| !rule.hint().is_empty()
        && !rule.meaning().is_empty()
        && rule.verdict() != Verdict::Within));
}

#[test]
fn a_violation_says_what_where_and_by_how_much() {
    let violation = Violation { rule: Rule::RankOver, place: "layers.3.q".into(), measured: 16, limit: 8 };
    let text = "CS-TSR-105 `layers.3.q`: The rank is above the limit. Found 16, limit 8.";
    assert_eq!(violation.to_string(), text);
}
