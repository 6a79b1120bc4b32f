//! What is ordered, exported and checked while contents of the vault are missing, damaged or destroyed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::fs::{FlockOperation, flock};

use crate::house::{House, files};

fn vault(house: &House) -> BTreeSet<PathBuf> {
    files(&house.path("realm/vault")).into_iter().collect()
}

/// Approves what was proposed and is not examined yet.
#[track_caller]
fn approve(house: &House, change: &str) {
    house.ok(&format!("examine {change} --by erik"));
    for (evidence, by) in
        [("formal-verification", "erik"), ("security-review", "sven"), ("compliance-review", "clara")]
    {
        house.ok(&format!("review {change} --evidence {evidence} --report report.md --by {by}"));
    }
    for (by, capacity) in [("tina", "technical"), ("emil", "ethics"), ("sora", "security")] {
        house.ok(&format!("approve {change} --capacity {capacity} --by {by} --yes"));
    }
}

/// Damages a file by a bit, or takes it away.
fn spoil(path: &Path, gone: bool) -> Vec<u8> {
    let whole = fs::read(path).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    if gone {
        fs::remove_file(path).unwrap();
    } else {
        fs::write(path, damaged).unwrap();
    }
    whole
}

#[test]
fn what_is_ordered_and_admitted_is_whole_in_the_vault() {
    let house = House::staffed();
    let before = vault(&house);
    let change = house.proposed("--prompt new.md");
    let own: Vec<PathBuf> = vault(&house).difference(&before).cloned().collect();
    assert_eq!(own.len(), 2, "a content and its record: {own:?}");
    approve(&house, &change);
    let attempts = || house.json("list")["leaves"].as_u64().unwrap();
    for path in &own {
        for gone in [false, true] {
            let whole = spoil(path, gone);
            let before = attempts();
            let told = house.refused(&format!("order {change} --by olga"), "CS-CLI-080");
            assert!(told.contains("artefact `system` (`") && told.contains("and [CS-VLT-0"), "{told}");
            assert_eq!(attempts(), before + 1, "the attempt is in the log");
            let told = house.refused("log fsck", "CS-CLI-081");
            let matter = if gone { "missing: `" } else { "damaged: `" };
            assert!(told.contains(matter) && told.contains("`system`"), "{told}");
            fs::write(path, whole).unwrap();
        }
    }
    let checked = house.json("log fsck")["vault"].clone();
    assert_eq!(checked["faults"], serde_json::json!([]));
    assert!(checked["whole"].as_u64().unwrap() > 8, "{checked}");
    house.ok(&format!("order {change} --by olga"));
    let whole = spoil(&own[0], true);
    house.refused(&format!("admit {change}"), "CS-CLI-080");
    fs::write(&own[0], whole).unwrap();
    house.ok(&format!("admit {change}"));
}

#[test]
fn what_a_statement_says_was_destroyed_is_no_fault() {
    let house = House::staffed();
    let change = house.proposed("--prompt new.md");
    let shown = house.json(&format!("show {change}"));
    let digest = shown["proposal"]["body"]["artefacts"][0]["digest"].as_str().unwrap().to_owned();
    house.ok(&format!("purge {digest} --basis erasure-7 --by clara"));
    let vault = house.json("log fsck")["vault"].clone();
    assert_eq!(vault["purged"], serde_json::json!([digest]));
    assert!(house.ok("log fsck").contains("1 purged, as the record says"));
}

#[test]
fn an_export_names_what_it_lacks_and_so_does_its_audit() {
    let house = House::staffed();
    let mut lacking = 0;
    for path in vault(&house) {
        let whole = spoil(&path, true);
        let run = house.run("--json export --out record.export");
        assert_eq!(run.code, 0, "{}", run.err);
        let told: serde_json::Value = serde_json::from_str(&run.out).unwrap();
        let absent = told["not_carried"].as_array().unwrap();
        let report = house.audited();
        let digests: Vec<String> = report.not_carried.iter().map(|it| it.digest.to_string()).collect();
        assert_eq!(digests, absent.iter().map(|it| it["digest"].as_str().unwrap()).collect::<Vec<_>>());
        let warned = report.warnings.iter().any(|warning| warning.code.as_str() == "CS-AUD-062");
        assert_eq!(warned, !absent.is_empty());
        if let [absent] = absent.as_slice() {
            lacking += 1;
            assert_eq!(absent["named"], "a scope of slot `support`");
            assert!(absent["cause"]["code"].as_str().unwrap().starts_with("CS-VLT-"), "{absent}");
            assert!(run.err.contains("not carried: a scope of slot `support`"), "{}", run.err);
        }
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(lacking, 2, "the scope and its record");
}

#[test]
fn a_command_that_writes_waits_for_another() {
    let house = House::staffed();
    let lock = fs::File::open(house.path("realm/log/lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    house.refused("freeze begin --reason drill --by olga --wait 0", "CS-LOG-004");
    let mut command = house.command("freeze begin --reason drill --by olga --wait 600");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert!(told.contains("waiting up to 600 s (--wait)"), "{told}");
    drop(lock);
    assert!(child.wait().unwrap().success());
}
