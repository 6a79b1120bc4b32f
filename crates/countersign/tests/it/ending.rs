//! How a release ends: an operator or a quorum of monitors takes it back, or its service is over.

use crate::house::House;

/// A change that is ordered, and the state that its slot had before.
fn ordered(house: &House) -> (String, serde_json::Value) {
    let before = house.json("list")["slots"][0]["state"].clone();
    let change = house.approved("--prompt new.md");
    house.ok(&format!("order {change} --by olga"));
    assert_ne!(house.json("list")["slots"][0]["state"], before);
    (change, before)
}

#[test]
fn an_operator_ends_the_service_of_a_change() {
    let house = House::staffed();
    let waiting = house.examined("--settings new.json");
    house.refused(&format!("retire {waiting} --reason end-of-life --by olga"), "CS-FLD-027");
    let (change, before) = ordered(&house);
    house.refused(&format!("retire {change} --reason end-of-life --by tina"), "CS-FLD-006");
    assert!(house.ok(&format!("retire {change} --reason end-of-life --by olga")).contains("retired"));
    assert_eq!(
        house.json("list")["slots"][0]["state"],
        before,
        "the slot's fallback is the state it began with"
    );
    assert_eq!(house.json(&format!("show {change}"))["state"], "retired");
    house.refused(&format!("admit {change}"), "CS-GATE-037");
    house.refused(&format!("retire {change} --reason again --by olga"), "CS-GATE-003");
    house.refused(&format!("rollback {change} --reason again --by olga"), "CS-FLD-027");
    assert_eq!(house.audited().changes.len(), 2);
}

#[test]
fn monitors_go_back_by_quorum_of_persons() {
    let house = House::staffed();
    for (name, person) in [("sensor-one", "mia"), ("sensor-two", "mia"), ("sensor-three", "noa")] {
        house.ok(&format!("key new {name} --service"));
        house.ok(&format!("key enrol {name} --person {person} --role monitor --by root-ada --by root-ben"));
    }
    let (change, before) = ordered(&house);
    let back = format!("rollback {change} --reason drift");
    house.refused(&format!("{back} --by sensor-one"), "CS-FLD-007");
    house.refused(&format!("{back} --by sensor-one --by sensor-two"), "CS-FLD-007");
    house.refused(&format!("{back} --by sensor-one --by tina"), "CS-FLD-007");
    house.ok(&format!("{back} --by sensor-one --by sensor-three"));
    assert_eq!(house.json("list")["slots"][0]["state"], before);
    // To halt changes one suffices: that only ever stops.
    house.ok("freeze begin --reason drift --by sensor-one");
    let report = house.audited();
    let rollback = report.changes[0].rollback.as_ref().unwrap();
    assert_eq!(rollback.persons.len(), 2, "{rollback:?}");
}

#[test]
fn a_realm_says_how_many_monitors_it_takes() {
    let house = House::empty();
    house.refused("init --name acme --officer ada --officer ben --monitor-quorum 0", "CS-CLI-001");
    house.ok("init --name acme --officer ada --officer ben --monitor-quorum 3");
    let root = house.json("log entry 0").to_string();
    assert!(root.contains(r#""monitor":{"keys":[],"threshold":3}"#), "{root}");
}
