//! The trust root is rotated, and what follows from going back twice, freezing, holding and revoking.

use crate::house::House;

#[test]
fn an_officer_leaves_and_another_comes() {
    let house = House::staffed();
    let first = house.json("root show");
    assert_eq!(first["body"]["epoch"], 1);
    assert_eq!(first["id"], first["first"]);
    house.refused("root rotate --add cleo --remove ben --by root-ada", "CS-FLD-007");
    house.refused("root rotate --remove ben --by root-ada --by root-ben", "CS-FLD-010");
    house.refused("root rotate --add ada --by root-ada --by root-ben", "CS-CLI-001");
    house.refused("root rotate --remove nobody --by root-ada --by root-ben", "CS-CLI-002");
    house.refused("root rotate --days 0 --by root-ada --by root-ben", "CS-CLI-001");
    house.refused("root rotate --witness wim --by root-ada --by root-ben", "CS-CLI-001");
    // What was refused left nothing that is in the way.
    let before = first["id"].clone();
    house.ok("root rotate --add cleo --remove ben --days 20 --monitor-quorum 3 --by root-ada --by root-ben");
    let next = house.json("root show");
    assert_eq!(next["body"]["epoch"], 2);
    assert_eq!(next["body"]["previous"], before);
    assert_eq!(next["first"], before, "outsiders go on pinning the first");
    assert_eq!(next["body"]["roles"]["monitor"]["threshold"], 3);
    assert!(house.ok("root show").contains("cleo"));
    assert!(house.ok("list").contains("THE TRUST ROOT ENDS"), "a root that ends soon is told");
    // The one who left signs no more, the one who came does.
    let level = "level trainer --slot support --level none --reason test";
    house.refused(&format!("{level} --by root-ada --by root-ben"), "CS-FLD-007");
    house.ok(&format!("{level} --by root-ada --by root-cleo"));
    let change = house.approved("--prompt new.md");
    house.ok(&format!("order {change} --by olga"));
    house.ok(&format!("admit {change}"));
    house.audited();
}

#[test]
fn what_was_replaced_has_its_slot_again_when_its_successor_goes_back() {
    let house = House::staffed();
    let first = house.approved("--prompt new.md");
    house.ok(&format!("order {first} --by olga"));
    let state = house.json("list")["slots"][0]["state"].clone();
    let second = house.approved("--settings new.json");
    house.ok(&format!("order {second} --by olga"));
    assert_eq!(house.json(&format!("show {first}"))["state"], "succeeded");
    assert!(house.ok(&format!("show {first}")).contains("no more"));
    // Where a rollback leads is in force: it is not destroyed.
    let artefact = house.json(&format!("show {first}"))["proposal"]["body"]["artefacts"][0]["digest"].clone();
    house.refused(&format!("purge {} --basis test --by clara", artefact.as_str().unwrap()), "CS-FLD-034");
    house.ok(&format!("rollback {second} --reason drift --by olga"));
    let slot = house.json("list")["slots"][0].clone();
    assert_eq!((&slot["state"], slot["change"].as_str()), (&state, Some(first.as_str())));
    assert_eq!(house.json(&format!("show {first}"))["state"], "ordered");
    house.ok(&format!("admit {first}"));
    house.refused(&format!("admit {second}"), "CS-GATE-037");
    house.ok(&format!("rollback {first} --reason drift --by olga"));
    house.refused(&format!("admit {first}"), "CS-GATE-037");
    house.audited();
}

#[test]
fn a_name_that_is_none_freezes_holds_and_revokes_nothing() {
    let house = House::staffed();
    house.refused("freeze begin --slot nosuch --reason test --by olga", "CS-FLD-017");
    assert!(house.ok("freeze begin --slot support --reason test --by olga").contains("slot support"));
    house.ok("freeze end --slot support --reason test --by root-ada --by root-ben");
    let change = house.proposed("--prompt new.md");
    let shown = house.json(&format!("show {change}"));
    let digest = shown["proposal"]["body"]["artefacts"][0]["digest"].as_str().unwrap().to_owned();
    house.refused(&format!("hold lift {digest} --matter never --by clara"), "CS-FLD-039");
    house.ok(&format!("hold place {digest} --matter case-1 --by clara"));
    assert!(house.ok("list").contains("case-1"));
    let grant = house.grant();
    assert!(house.ok("list").contains(&grant[..8]), "grants are listed");
    house.refused(&format!("revoke grant {grant} --reason test --by olga"), "CS-FLD-006");
    house.ok(&format!("revoke grant {grant} --reason test --by tina"));
    assert!(house.ok("list").contains("REVOKED"));
    assert!(house.ok(&format!("examine {change} --by erik")).contains("CS-GATE-019"));
    house.refused(&format!("revoke order {change} --reason test --by olga"), "CS-FLD-027");
    // A revoked key does not come back.
    let told = house.ok("key revoke erik --since 0 --reason lost --by root-ada --by root-ben");
    assert!(told.contains("revoked"), "{told}");
    house.refused("key enrol erik --person erik --role examiner --by root-ada --by root-ben", "CS-FLD-038");
    house.audited();
}

#[test]
fn proposing_again_does_not_undo_what_a_person_found() {
    let house = House::staffed();
    let change = house.examined("--prompt new.md");
    house.ok(&format!(
        "review {change} --evidence security-review --outcome fail --report report.md --by sven"
    ));
    let again = format!("propose support --rebase {change} --by trainer --grant {}", house.grant());
    house.refused(&format!("{again} --prompt new.md"), "CS-FLD-040");
    house.write("newer.md", b"You answer questions about invoices.\n\n## Style\nIn one sentence.\n");
    house.ok(&format!("{again} --prompt newer.md"));
    house.refused(&format!("{again} --prompt new.md"), "CS-FLD-040");
    house.audited();
}
