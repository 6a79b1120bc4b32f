//! What scripts read.

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::house::House;

#[track_caller]
fn check_members(value: &Value, expected: &[&str]) {
    let found: BTreeSet<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(found, expected.iter().copied().collect());
}

#[test]
fn answers_have_their_documented_members() {
    let house = House::staffed();
    let change = house.examined("--prompt new.md --summary Shorter");
    let list = house.json("list");
    check_members(
        &list,
        &["changes", "grants", "holds", "leaves", "persons", "realm", "root_expires_ms", "slots"],
    );
    let summary = [
        "approvals",
        "change",
        "level",
        "modification",
        "on_revoked_keys",
        "order",
        "proposer",
        "slot",
        "state",
        "tier",
    ]
    .as_slice();
    check_members(&list["changes"][0], summary);
    check_members(&list["slots"][0], &["change", "slot", "state"]);
    check_members(&list["persons"][0], &["clearance", "key", "person", "roles"]);
    let grant = ["changes_max", "expires_ms", "grant", "purpose", "revoked", "to", "used"];
    check_members(&list["grants"][0], &grant);
    let more = [
        "approval_statements",
        "findings",
        "leaves",
        "proposal",
        "purged",
        "summary",
        "summary_kept",
        "verdict",
    ];
    let shown = house.json(&format!("show {change}"));
    check_members(&shown, &[summary, &more].concat());
    assert_eq!(shown["summary"], "Shorter");
    check_members(
        &house.json("log fsck"),
        &["entries", "findings", "published", "tiles", "unlisted", "vault"],
    );
    check_members(&house.json("export --out x.export"), &["bytes", "file", "leaves", "not_carried", "root"]);
    let entry = ["index", "leaf_hash", "payload", "signed_by", "stamp_ms", "statement"];
    check_members(&house.json("log entry 0"), &entry);
}

#[test]
fn refusals_are_json_too() {
    let house = House::founded();
    for (line, code, status) in [
        ("show 3f0c", "CS-CLI-002", 1),
        ("show", "CS-CLI-001", 2),
        ("fly", "CS-CLI-001", 2),
        ("log entry many", "CS-CLI-001", 2),
        ("log entry 99", "CS-LOG-011", 1),
        ("purge xyz --basis a --by root-ada", "CS-CLI-001", 2),
        ("key enrol nobody --person x --role examiner --by root-ada", "CS-CLI-002", 1),
    ] {
        let run = house.run(&format!("--json {line}"));
        let answer: Value =
            serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("`{line}`: {}", run.out));
        assert_eq!(answer["error"]["code"], code, "`{line}`: {answer}");
        assert_eq!(run.code, status, "`{line}`");
        check_members(&answer["error"], &["code", "hint", "message"]);
        assert_eq!(run.err, "", "`{line}`");
    }
    let help = house.run("--json list --help");
    assert_eq!(help.code, 0);
    assert!(help.out.contains("Example: "), "{}", help.out);
}

#[test]
fn the_demo_can_be_read_line_by_line() {
    let house = House::empty();
    let said = house.ok("--json demo");
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let refused: Vec<&str> = lines.iter().filter_map(|line| line["refused"]["code"].as_str()).collect();
    let expected = ["CS-GATE-009", "CS-GATE-027", "CS-VLT-007", "CS-FLD-005", "CS-GATE-017", "CS-AUD-006"];
    assert_eq!(refused, expected);
    assert_eq!(lines.last().unwrap()["done"], true);
    // Live: one goes all the way, one is taken back, and no user's request fails.
    let events: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    let began = |text: &str| events.iter().filter(|event| event.starts_with(text)).count();
    assert_eq!(
        (began("25 % of users have it"), began("everybody has it"), began("taken back")),
        (2, 1, 1),
        "{events:?}"
    );
    let traffic = lines.iter().find(|line| line["traffic"].is_string()).unwrap();
    assert_eq!((&traffic["failed"], &traffic["moved"]), (&json!(0), &json!(0)), "{traffic}");
    assert!(traffic["answered"].as_u64().unwrap() > 100, "{traffic}");
    assert!(!house.path("realm").exists(), "the demo leaves nothing behind");
}

#[test]
fn who_stops_listening_ends_the_program_quietly() {
    let house = House::founded();
    let mut child =
        house.command("policy show").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}
