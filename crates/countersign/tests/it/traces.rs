//! What the worker of a finding did: shown, proved, carried to an auditor; and workers that lie about it.

use std::fs;

use serde_json::{Value, json};

use crate::house::{House, liar};

#[test]
fn every_step_of_a_finding_can_be_shown_and_proved() {
    let house = House::staffed();
    let change = house.examined("--adapter within");
    let shown = house.json(&format!("trace show {change}"));
    let steps = shown["steps"].as_array().unwrap();
    let kinds: Vec<&str> =
        steps.iter().map(|step| step.as_object().unwrap().keys().next().unwrap().as_str()).collect();
    assert_eq!(kinds.first(), Some(&"box"));
    assert_eq!(kinds.last(), Some(&"output"));
    assert!(
        kinds.contains(&"stage") && kinds.iter().filter(|kind| **kind == "input").count() >= 3,
        "{kinds:?}"
    );
    assert_eq!(shown["trace"]["leaves"], kinds.len());
    let (root, leaves) = (shown["trace"]["root"].as_str().unwrap(), kinds.len());
    for (leaf, step) in steps.iter().enumerate() {
        house.ok(&format!("trace show {change} --leaf {leaf} --out step.json"));
        house.ok(&format!("trace verify step.json --finding {change}"));
        let told = house.json(&format!("trace verify step.json --root {root} --leaves {leaves}"));
        assert_eq!(told["step"], *step);
    }
    let honest = fs::read_to_string(house.path("step.json")).unwrap();
    let wrong = format!("trace verify step.json --root {} --leaves {leaves}", "0".repeat(64));
    house.refused(&wrong, "CS-TRC-004");
    house.refused(&format!("trace verify step.json --root {root} --leaves {}", leaves + 1), "CS-TRC-003");
    house.write("step.json", honest.replace("\"leaf\":", "\"leaf\": ").as_bytes());
    house.refused(&format!("trace verify step.json --finding {change}"), "CS-TRC-005");
    let mut value: Value = serde_json::from_str(&honest).unwrap();
    value["step"]["output"]["digest"] = json!("1".repeat(64));
    house.write("step.json", value.to_string().as_bytes());
    house.refused(&format!("trace verify step.json --finding {change}"), "CS-TRC-004");
    house.refused(&format!("trace show {change} --leaf 99"), "CS-TRC-003");

    // The auditor has the steps, and has checked them.
    let report = house.audited();
    let findings = report.changes.iter().flat_map(|change| &change.findings);
    let traces: Vec<_> = findings.filter_map(|finding| finding.trace).collect();
    assert_eq!(traces.len(), 1);
    assert_eq!(traces[0].carried, audit::report::Carried::Checked);
    assert_eq!(traces[0].root.to_string(), root);
}

#[test]
fn a_worker_that_lies_about_its_steps_is_not_believed() {
    let house = House::staffed();
    for (lie, code) in [
        ("lie-digest", "CS-CLI-004"),
        ("lie-steps", "CS-BOX-009"),
        ("lie-box", "CS-BOX-009"),
        ("lie-unknown", "CS-BOX-009"),
    ] {
        let prompt = format!("Screen advertisements.\n\n## Safety\nNever guess.\n\n## Style\n{lie}.\n");
        house.write("lie.md", prompt.as_bytes());
        let change = house.proposed("--prompt lie.md");
        let line = format!("examine {change} --by erik --worker {}", liar().display());
        house.refused(&line, code);
    }
}
