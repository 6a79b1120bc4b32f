//! Grants: renewing one, and the automation key that approves under one.

use serde_json::Value;

use crate::house::House;

const TO_TRAINER: &str = "grant --to trainer --slot support --modification prompt --tier high --by tina";
const TO_AUTOMATION: &str =
    "grant --to automation --purpose approve --slot support --modification settings --tier minimal --by tina";

fn give(house: &House, line: &str) -> String {
    house.json(line)["statement"].as_str().unwrap().to_owned()
}

#[test]
fn a_grant_is_renewed_by_name_and_kind() {
    let house = House::staffed();
    let first = give(&house, &format!("{TO_TRAINER} --days 1"));
    let renewed = give(&house, &format!("{TO_TRAINER} --days 30 --renews {first}"));
    assert_ne!(first, renewed);
    let listed = house.json("list")["grants"].to_string();
    assert!(listed.contains(&first) && listed.contains(&renewed), "{listed}");
    let payload = house.json(&format!("show {renewed}"));
    assert_eq!(payload["payload"]["predicate"]["body"]["renews"], Value::String(first.clone()));
    // A change is made under the renewed one as under any.
    let line = format!("propose support --prompt new.md --by trainer --grant {renewed}");
    let change = house.json(&line)["change"].as_str().unwrap().to_owned();
    assert_eq!(house.json(&format!("show {change}"))["proposal"]["body"]["grant"], Value::String(renewed));
    // What is no grant of the same key and purpose is not renewed, nor what is no grant at all.
    house.refused(&format!("{TO_AUTOMATION} --renews {first}"), "CS-FLD-023");
    house.refused(&format!("{TO_TRAINER} --renews {}", "0".repeat(64)), "CS-FLD-023");
    house.refused(&format!("{TO_TRAINER} --renews no-grant"), "CS-CLI-002");
    // Nobody grants to themselves, renewed or not.
    house.refused("grant --to tina --slot support --modification prompt --by tina", "CS-FLD-023");
    house.audited();
}

/// The policy officers say that a class without history may be automated: their decision, in the record. The rules that
/// were in force before.
fn automated(house: &House) -> Value {
    let before = house.json("policy show")["policy"]["rules"].clone();
    let mut rules = before.clone();
    rules["impact"]["reliability_floors"] = serde_json::json!([]);
    rules["impact"]["cuts"][0]["from"] = serde_json::json!(4_200);
    replaced(house, &rules);
    before
}

fn replaced(house: &House, rules: &Value) {
    house.write("rules.json", rules.to_string().as_bytes());
    house.ok("policy replace --rules rules.json --by root-ada --by root-ben");
}

#[test]
fn the_automation_key_approves_the_minimal_tier_under_a_humans_grant() {
    let house = House::staffed();
    let before = automated(&house);
    let change = house.examined("--settings new.json");
    let shown = house.json(&format!("show {change}"));
    assert_eq!(shown["verdict"]["body"]["score"]["tier"], "minimal", "{shown}");
    let approve = format!("approve {change} --capacity automation --by automation --yes");
    // Without a grant, under a grant to propose, under one that covers another kind of modification.
    house.refused(&approve, "CS-GATE-016");
    let trainers = house.grant();
    house.refused(&format!("{approve} --grant {trainers}"), "CS-GATE-016");
    let other = give(&house, &TO_AUTOMATION.replace("settings", "adapter"));
    house.refused(&format!("{approve} --grant {other}"), "CS-GATE-016");
    let grant = give(&house, &format!("{TO_AUTOMATION} --changes 1"));
    house.ok(&format!("{approve} --grant {grant}"));
    // No person has approved; the operator's order rests on the machine's signature alone.
    house.ok(&format!("order {change} --by olga"));
    house.ok(&format!("admit {change}"));
    let report = house.audited();
    let approvals = &report.changes[0].approvals;
    assert_eq!(approvals.len(), 1);
    assert_eq!(approvals[0].capacity, statement::kind::Capacity::Automation);

    // The grant was good for one change.
    house.write("newer.json", b"{\"max_tokens\": 310}\n");
    let second = house.examined("--settings newer.json");
    let approve = format!("approve {second} --capacity automation --by automation --yes");
    house.refused(&format!("{approve} --grant {grant}"), "CS-GATE-018");
    let renewed = give(&house, &format!("{TO_AUTOMATION} --renews {grant}"));
    house.ok(&format!("{approve} --grant {renewed}"));
    house.ok(&format!("order {second} --by olga"));

    // What is above its tier it does not approve, under no grant.
    replaced(&house, &before);
    let third = house.reviewed("--adapter within");
    assert_eq!(house.json(&format!("show {third}"))["tier"], "medium");
    let wide = TO_AUTOMATION.replace("settings", "adapter");
    let narrow = give(&house, &wide);
    let wide = give(&house, &wide.replace("--tier minimal", "--tier high"));
    let approve = format!("approve {third} --capacity automation --by automation --yes");
    house.refused(&format!("{approve} --grant {narrow}"), "CS-GATE-039");
    house.refused(&format!("{approve} --grant {wide}"), "CS-GATE-027");
    house.audited();
}
