//! A process that serves: what it takes up where one before it was ended, when it must end itself, and what whoever works
//! beside it is told to do next.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use statement::{Body, Content, Digest, Envelope};

use crate::house::{House, copy};
use crate::serve::{Parts, Running, entries, id, opened_log};
use crate::serving::person;

/// Whether an envelope holds a finding.
fn is_finding(envelope: &Envelope) -> bool {
    match Content::parse(envelope.payload.as_slice()).unwrap() {
        Content::Known(known) => matches!(known.body, Body::Finding(_)),
        Content::Opaque(_) => false,
    }
}

#[test]
fn what_was_found_and_not_decided_is_decided_when_the_realm_is_served_again() {
    let house = House::staffed();
    let change = house.proposed("--adapter outside");
    copy(&house.path("realm"), &house.path("other"));
    house.ok(&format!("--home other examine {change} --by erik"));
    let finding = entries(&house, "other").into_iter().find(is_finding).unwrap();
    // Ended between the finding and the verdict: the finding is in the log, and nobody has said anything since.
    let log = opened_log(&house);
    log.submit(finding.to_bytes().unwrap()).unwrap().wait().unwrap();
    drop(log);
    let shown = || house.json(&format!("show {change}"));
    assert!(shown()["findings"][0].is_object() && shown()["verdict"].is_null());
    let _all = Running::start(&house, "serve all --listen all.sock");
    assert_eq!(shown()["verdict"]["body"]["outcome"], "fail", "{}", shown());
}

#[test]
fn a_submission_of_which_half_was_taken_is_taken_to_its_end_and_once() {
    let parts = Parts::new();
    let submission = |statements: &[Envelope], content: &[u8]| {
        parts.submission(&parts.trainer, id(&parts.automation), statements, content)
    };
    let whole = submission(&parts.statements, &parts.content);
    let _all = Running::start(&parts.house, "serve all --listen all.sock");
    let bring = |file: &[u8]| parts.bring(file, "all.sock", &parts.automation);
    assert_eq!(bring(&submission(&parts.statements[..1], &[])), None);
    assert_eq!(bring(&whole), None);
    assert!(bring(&whole).is_some());
    let shown = parts.house.json(&format!("show {}", parts.about.change));
    assert_eq!(shown["state"], "proposed", "{shown}");
}

#[test]
fn a_process_whose_log_has_stopped_ends() {
    let parts = Parts::new();
    let file = parts.submission(&parts.trainer, id(&parts.automation), &parts.statements, &parts.content);
    let mut all = Running::start(&parts.house, "serve all --listen all.sock");
    // Its head cannot be put in its place any more.
    let head = parts.house.path("realm/log/tiles/checkpoint");
    let kept = fs::read(&head).unwrap();
    fs::remove_file(&head).unwrap();
    fs::create_dir(&head).unwrap();
    assert!(parts.bring(&file, "all.sock", &parts.automation).is_some());
    assert_eq!(all.ends(), Some(1));
    // What was logged is there for whoever opens it after that.
    fs::remove_dir(&head).unwrap();
    fs::write(&head, kept).unwrap();
    let _all = Running::start(&parts.house, "serve all --listen all.sock");
    let shown = parts.house.json(&format!("show {}", parts.about.change));
    assert_eq!(shown["state"], "proposed", "{shown}");
    assert_eq!(parts.house.json("log fsck")["findings"], serde_json::json!([]));
}

/// The command that an answer names as the next one.
#[track_caller]
fn next(said: &str) -> &str {
    said.lines().find_map(|line| line.trim().strip_prefix("next: countersign ")).unwrap()
}

#[test]
fn the_next_command_that_a_proposal_names_works_whoever_has_the_log() {
    let house = House::staffed();
    let pia = person(&house, "pia", "--role proposer");
    let card: Value =
        serde_json::from_slice(&fs::read(house.path("pia-home/pia.public.json")).unwrap()).unwrap();
    let to = card["key"].as_str().unwrap();
    let propose = format!("propose support --prompt new.md --by trainer --grant {}", house.grant());
    let said = house.ok(&propose);
    assert!(next(&said).starts_with("examine "), "{said}");
    house.ok(&next(&said).replace("KEY", "erik"));

    let level = "--level tuning --reason first-week --by root-ada --by root-ben";
    house.ok(&format!("level {to} --slot support {level}"));
    house.ok("export --out record.export");
    let mut all = Running::start(&house, "serve all --listen all.sock --examine-by erik");
    let said = house.ok(&propose);
    assert!(next(&said).starts_with("show "), "{said}");
    assert!(all.line().starts_with("examined "));
    assert!(house.ok(next(&said)).contains("scope"));
    // From a folder of one's own, which knows what its record knows.
    let automation = id(&crate::serve::key(&house, "realm/keys/automation.key"));
    let said = house.ok(&format!(
        "{pia} --socket all.sock --receiver-key {automation} propose support --settings new.json --by pia"
    ));
    assert!(all.line().starts_with("examined "));
    house.ok("export --out newer.export");
    let line = next(&said).replace("NEWER-EXPORT", "newer.export");
    let short = line.split(' ').nth(1).unwrap();
    assert!(house.ok(&format!("--home pia-home {line}")).contains(short), "{line}");
}

#[test]
fn gvisor_that_is_not_there_is_refused_and_never_recorded() {
    let house = House::staffed();
    if house.json("doctor")["gvisor"] == true {
        eprintln!("SKIPPED a host that is not gVisor: this one is");
        return;
    }
    let said = house.ok("doctor");
    assert!(said.contains("The level `gvisor` is refused: this is not gVisor: "), "{said}");
    assert!(!house.json("doctor")["levels"].as_array().unwrap().contains(&serde_json::json!("gvisor")));
    let change = house.proposed("--prompt new.md");
    house.refused(&format!("examine {change} --by erik --isolation gvisor"), "CS-BOX-013");
    assert_eq!(house.json(&format!("show {change}"))["findings"], serde_json::json!([]));
    house.refused("serve all --listen all.sock --examine-by erik --isolation gvisor", "CS-BOX-013");
    for (line, code) in [
        ("scan new.md", "CS-BOX-013"),
        ("diff new.md new.md", "CS-BOX-013"),
        // The engine says of which model it speaks.
        ("engine --model new.md --listen 127.0.0.1:0", "CS-ENG-010"),
    ] {
        let run = house.run(&format!("{line} --isolation gvisor"));
        let why = run.err.contains(code) && run.err.contains("this is not gVisor");
        assert!(run.code != 0 && why, "`{line}`: {}{}", run.out, run.err);
    }
}

/// What is signed says in which box it was found; what is no box, or what this host cannot give, is refused before anybody is
/// listened to.
#[test]
fn a_process_examines_in_the_box_that_it_is_told() {
    let house = House::staffed();
    let serve = "serve all --listen all.sock --examine-by erik";
    house.refused(&format!("{serve} --isolation none"), "CS-CLI-001");
    let may_attest = ["/dev/tpmrm0", "/sys/kernel/config/tsm/report", "/dev/attestation"];
    if may_attest.iter().any(|path| std::path::Path::new(path).exists()) {
        eprintln!("SKIPPED a host that attests nothing: this one may");
    } else {
        house.refused(&format!("{serve} --attest"), "CS-CLI-088");
    }
    if !house.json("doctor")["levels"].as_array().unwrap().iter().any(|level| level == "deep") {
        eprintln!("SKIPPED the deep level: this host cannot enforce it");
        house.refused(&format!("{serve} --isolation deep"), "CS-BOX-003");
        return;
    }
    let mut all = Running::start(&house, &format!("{serve} --isolation deep"));
    house.ok(&format!("propose support --prompt new.md --by trainer --grant {}", house.grant()));
    let said = all.line();
    let change = said.strip_prefix("examined ").unwrap().trim();
    let findings = house.json(&format!("show {change}"))["findings"].clone();
    assert_eq!(findings[0]["body"]["isolation"], "deep", "{findings}");
}

#[test]
fn an_export_carries_no_words_of_persons_that_a_workers_finding_names() {
    let parts = Parts::new();
    let (house, change) = (&parts.house, &parts.about.change);
    let _all = {
        let file = parts.submission(&parts.trainer, id(&parts.automation), &parts.statements, &parts.content);
        let mut all = Running::start(house, "serve all --listen all.sock --examine-by erik");
        assert_eq!(parts.bring(&file, "all.sock", &parts.automation), None);
        assert_eq!(all.line(), format!("examined {change}"));
        all
    };
    house.ok(&format!("review {change} --evidence security-review --report report.md --by sven"));
    let findings = house.json(&format!("show {change}"))["findings"].clone();
    let of_kind = |kind: &str| {
        let found = findings.as_array().unwrap().iter().find(|it| it["body"]["evidence"] == kind);
        found.unwrap()["body"].clone()
    };
    let digests = |body: &Value, member: &str| -> BTreeSet<Digest> {
        serde_json::from_value(body[member].clone()).unwrap()
    };
    let (measured, review) = (of_kind("scope"), of_kind("security-review"));
    let report = digests(&review, "attachments");
    // An examiner says that the listed worker gave this.
    let mut finding = parts.finding(digests(&measured, "inputs"));
    finding.worker = Some(serde_json::from_value(measured["worker"].clone()).unwrap());
    finding.attachments.clone_from(&report);
    let said = parts.say(&parts.examiner, finding);
    let file = parts.submission(&parts.examiner, id(&parts.automation), &[said], &[]);
    assert_eq!(parts.bring(&file, "all.sock", &parts.automation), None);
    house.ok("export --out record.export");
    let file = fs::read(house.path("record.export")).unwrap();
    let export = audit::Export::parse(&file).unwrap();
    let section = export.section(audit::Section::Attachments).unwrap();
    let carried = audit::export::attachments(section).unwrap();
    let carried: BTreeSet<Digest> = carried.into_iter().map(|(digest, _)| digest).collect();
    assert!(digests(&measured, "attachments").is_subset(&carried), "the steps are carried");
    assert!(report.is_disjoint(&carried), "a person's words went out");
}
