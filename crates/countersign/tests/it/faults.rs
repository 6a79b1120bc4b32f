//! What happens to a realm whose process is ended at once, and to one that two processes want.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use crate::house::{House, run};

/// Starts the demo in a folder that is kept, ends it as soon as it has said `mark` for the `nth` time, and answers what
/// it said up to its end.
fn ended_at(house: &House, mark: &str, nth: usize) -> String {
    let mut command = house.command("demo --keep kept");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    let mut seen = 0;
    while seen < nth {
        let from = said.len();
        assert_ne!(output.read_line(&mut said).unwrap(), 0, "the demo ended: {said}");
        if said[from..].contains(mark) {
            seen += 1;
        }
    }
    // While it lives, nobody else writes, and is told why and who does; reading goes on.
    let line = "--home kept --wait 0 freeze begin --reason drill --by root-ada --by root-ben";
    let other = run(house.command(line).env("COUNTERSIGN_PASSPHRASE", "only for the demo"));
    crate::house::check_refusal(line, &other, "CS-LOG-004");
    assert!(other.err.contains(&format!("process `{}`", child.id())), "{}", other.err);
    assert!(other.err.contains("kept/log"), "{}", other.err);
    house.ok("--home kept list");
    child.kill().unwrap();
    output.read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    said
}

#[track_caller]
fn check_nothing_is_lost(mark: &str, nth: usize) {
    let house = House::empty();
    let said = ended_at(&house, mark, nth);
    let fsck = house.json("--home kept log fsck");
    assert!(
        fsck["findings"].as_array().unwrap().iter().all(|finding| finding["code"] == "CS-LOG-114"),
        "{fsck}"
    );
    // Opening recovers; afterwards everything that was said is there.
    let list = house.ok("--home kept --json list");
    let mut told = BTreeSet::new();
    for line in said.lines() {
        if let Some((_, id)) = line.split_once("statement ").or_else(|| line.split_once("release order ")) {
            told.insert(id.trim().to_owned());
        }
        if let Some((_, id)) = line.split_once("tracking id") {
            assert!(list.contains(id.trim()), "{id} is lost: {list}");
        }
        if let Some((_, id)) = line.split_once("trust root   ") {
            told.insert(id.trim().to_owned());
        }
    }
    for id in &told {
        house.ok(&format!("--home kept show {id}"));
    }
    assert!(!told.is_empty());
    // The unfinished tail, if there was one, stays until somebody writes.
    house.ok("--home kept log rebuild");
    assert_eq!(house.json("--home kept log fsck")["findings"], serde_json::json!([]));
    let root = house.json("--home kept export --out kept.export")["root"].as_str().unwrap().parse().unwrap();
    let expected = audit::Expectations { root: Some(root), ..audit::Expectations::none() };
    audit::audit(&std::fs::read(house.path("kept.export")).unwrap(), &expected).unwrap();
}

#[test]
fn a_process_ended_while_persons_are_enrolled_loses_nothing() {
    check_nothing_is_lost("trust root", 1);
}

#[test]
fn a_process_ended_between_approvals_loses_nothing() {
    check_nothing_is_lost("approved", 2);
}

#[test]
fn a_process_ended_after_an_order_loses_nothing() {
    check_nothing_is_lost("ordered", 1);
}

#[test]
fn of_two_that_propose_at_once_each_is_logged_or_refused_by_name() {
    let house = House::staffed();
    let grant = house.grant();
    let line = format!("propose support --prompt new.md --by trainer --grant {grant}");
    let children: Vec<_> = (0..4)
        .map(|_| house.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    let mut logged = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            logged += 1;
        } else {
            assert!(told.contains("[CS-LOG-004]"), "{told}");
        }
    }
    assert!(logged >= 1);
    assert_eq!(house.json("list")["changes"].as_array().unwrap().len(), logged);
    assert_eq!(house.json("log fsck")["findings"], serde_json::json!([]));
}
