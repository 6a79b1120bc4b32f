//! `countersign scan`: exit codes, forms of the answer, what is not followed, what is ignored.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::Value;

use crate::house::House;

/// A pickle that would import and call `os.system`.
const EVIL: &[u8] = b"cos\nsystem\n(S'id'\ntR.";

fn json(house: &House, line: &str) -> (i32, Value) {
    let run = house.run(line);
    assert!(!run.err.contains("panicked"), "{}", run.err);
    (
        run.code,
        serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}{}", run.out, run.err)),
    )
}

#[test]
fn the_exit_code_says_what_was_found() {
    let house = House::empty();
    house.write("good/model.safetensors", &fs::read(house.path("model.safetensors")).unwrap());
    house.write("good/README.md", b"---\nlicense: mit\n---\nA model.\n");
    let clean = house.run("scan good");
    assert_eq!(clean.code, 0, "{}{}", clean.out, clean.err);
    assert!(clean.out.lines().last().unwrap().starts_with("CLEAN: "), "{}", clean.out);

    house.write("good/helper.py", b"import os\n");
    assert_eq!(house.run("scan good").code, 1);
    assert_eq!(house.run("scan good --fail-on error").code, 0);
    assert_eq!(house.run("scan good --ignore SCAN-FIL-002=reviewed").code, 0);
    assert_eq!(house.run("scan good --ignore SCAN-FIL-002").code, 2);
    assert_eq!(house.run("scan good --rule SCAN-PKL-001").code, 0);
    assert_eq!(house.run("scan good --rule SCAN-XXX-999").code, 2);
    assert_eq!(house.run("scan good --fail-on everything").code, 2);
    assert_eq!(house.run("scan nowhere").code, 2);
    assert_eq!(house.run("scan").code, 2);

    house.write("good/extra.safetensors", EVIL);
    let (code, report) = json(&house, "scan good --fail-on error --json");
    assert_eq!((code, &report["verdict"]), (1, &"block".into()));
    let rules: Vec<&str> =
        report["findings"].as_array().unwrap().iter().map(|found| found["rule"].as_str().unwrap()).collect();
    assert!(rules.contains(&"SCAN-FIL-001") && rules.contains(&"SCAN-PKL-001"), "{rules:?}");
    assert!(report.to_string().contains("os.system"));
}

#[test]
fn links_are_told_and_not_followed_and_what_cannot_be_opened_fails() {
    let house = House::empty();
    house.write("outside/evil.pkl", EVIL);
    house.write("m/a.md", b"words\n");
    symlink("../outside", house.path("m/link")).unwrap();
    symlink("link", house.path("m/again")).unwrap();
    symlink("self", house.path("m/self")).unwrap();
    let (code, report) = json(&house, "scan m --json");
    assert_eq!(code, 1);
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.iter().filter(|found| found["rule"] == "SCAN-FIL-004").count(), 3, "{report}");
    assert!(!report.to_string().contains("os.system"), "the link was followed");
    assert_eq!(report["not_examined"].as_array().unwrap().len(), 3);

    house.write("m/locked.md", b"words\n");
    fs::set_permissions(house.path("m/locked.md"), fs::Permissions::from_mode(0o000)).unwrap();
    // Who may read everything reads this too.
    if fs::read(house.path("m/locked.md")).is_err() {
        assert_eq!(house.run("scan m").code, 2);
    }
}

#[test]
fn sarif_bill_and_rules_are_written() {
    let house = House::empty();
    house.write("m/evil.pkl", EVIL);
    house.write("m/model.safetensors", &fs::read(house.path("model.safetensors")).unwrap());
    assert_eq!(house.run("scan m --sarif out.sarif --bom bom.json").code, 1);
    let sarif: Value = serde_json::from_slice(&fs::read(house.path("out.sarif")).unwrap()).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert!(sarif["runs"][0]["results"].as_array().unwrap().len() >= 2);
    let bom: Value = serde_json::from_slice(&fs::read(house.path("bom.json")).unwrap()).unwrap();
    let components = bom["components"].as_array().unwrap();
    assert_eq!(components.len(), 2);
    for component in components {
        assert_eq!(component["hashes"][0]["content"].as_str().unwrap().len(), 64);
    }
    let (code, rules) = json(&house, "scan --list-rules --json");
    assert_eq!(code, 0);
    assert!(rules["rules"].as_array().unwrap().len() > 60);
    assert!(house.ok("scan --list-rules").contains("Does not see: "));
}
