//! The way of a change, from proposal to release and back.

use expect_test::expect;
use serde_json::Value;

use crate::house::House;

/// Puts `ID` for what is random and `TIME` for dates, so that a text can be compared.
fn masked(text: &str) -> String {
    let mut words = Vec::new();
    for line in text.lines() {
        let mut masked = String::new();
        for piece in line.split_inclusive([' ', '`', '(', ')', ',']) {
            let end = piece.trim_end_matches([' ', '`', '(', ')', ',']);
            let hex = end.strip_prefix("chg-").unwrap_or(end);
            let is_id = hex.len() >= 8 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
            let is_date = end.len() == 10 && end.starts_with("20") && end.as_bytes()[4] == b'-';
            let is_time = end.len() == 8 && end.as_bytes()[2] == b':';
            masked.push_str(if is_id {
                "ID"
            } else if is_date || is_time {
                "TIME"
            } else {
                end
            });
            masked.push_str(&piece[end.len()..]);
        }
        words.push(masked.trim_end().to_owned());
    }
    words.join("\n") + "\n"
}

#[test]
fn a_change_goes_from_proposal_to_release_and_back() {
    let house = House::staffed();

    // Each kind of artefact that can be proposed is measured within its scope.
    let settings = house.examined("--settings new.json");
    let mut tuned = std::fs::read(house.path("model.safetensors")).unwrap();
    let last = tuned.len() - 4;
    tuned[last] ^= 1;
    house.write("tuned.safetensors", &tuned);
    let weights = house.examined("--weights tuned.safetensors");
    let prompt = house.examined("--prompt new.md");
    for change in [&settings, &weights, &prompt] {
        let shown = house.json(&format!("show {change}"));
        assert_eq!(shown["findings"][0]["body"]["outcome"], "pass", "{shown}");
        assert_eq!(shown["state"], "proposed", "more evidence is needed");
    }

    // A person says no.
    house.ok(&format!("refuse {settings} --reason tone --note Not-so-warm. --by tina"));
    assert_eq!(house.json(&format!("show {settings}"))["state"], "rejected");
    assert!(house.ok(&format!("show {settings}")).contains("rejected by   tina (tone)"));
    let early =
        house.refused(&format!("approve {prompt} --capacity technical --by tina --yes"), "CS-GATE-022");
    assert!(early.contains("[CS-GATE-008]") && early.contains("(`security-review`)"), "{early}");
    let rejected =
        house.refused(&format!("approve {settings} --capacity technical --by tina --yes"), "CS-GATE-022");
    assert!(rejected.contains("[CS-GATE-021]"), "{rejected}");

    let change = house.reviewed("--adapter within --summary A-better-screen");
    house.refused(&format!("order {change} --by olga"), "CS-GATE-028");
    house.refused(&format!("admit {change}"), "CS-FLD-027");

    // What is signed is shown first, and nothing is signed unless somebody says yes to that.
    let unasked = house.run(&format!("approve {change} --capacity technical --by tina"));
    assert_eq!(unasked.code, 1);
    assert!(unasked.err.contains("[CS-CLI-011]"), "{}", unasked.err);
    let digests = house.json(&format!("show {change}"));
    let artefact = digests["proposal"]["body"]["artefacts"][0]["digest"].as_str().unwrap().to_owned();
    for what in [
        &artefact,
        digests["verdict"]["id"].as_str().unwrap(),
        digests["findings"][0]["id"].as_str().unwrap(),
    ] {
        let (_, signed) = unasked.out.split_once("you are about to sign").unwrap();
        assert!(signed.contains(what), "{what} is not shown: {signed}");
    }
    expect![[r"
        change        ID
        state         examined: pass
        slot          support
        kind          adapter, level tuning
        proposed by   trainer
        summary       A-better-screen
        from state    ID
        to state      ID
        artefact      adapter ID (34078 bytes)
    "]]
    .assert_eq(&masked(&unasked.out.lines().take(9).collect::<Vec<_>>().join("\n")));
    let (_, signed) = unasked.out.split_once("\n\n").unwrap();
    expect![[r"
        you are about to sign
          statement     ID
          signer        ID
          artefact      ID
          target state  ID
          evidence      ID
          evidence      ID
          evidence      ID
          evidence      ID
          verdict       ID
          policy        ID
          tier          medium
          risk          3430
          capacity      technical
          expires       TIME TIME UTC
          read first    countersign show ID --diff
                        countersign show ID --report compliance-review
                        countersign show ID --report formal-verification
                        countersign show ID --report scope
                        countersign show ID --report security-review
          impact score 3430 -> tier medium  (MIS:1.0/S:182/D:300/R:1000/T:300/I:4000/L:1)
            offset             input     0    -6000
            scope              input   182     +364
            depth              input   300     +900
            reliability        input  1000    +3000
            undetectability    input   300     +600
            calibration        input     0     +566
            impact             input  4000    +4000
            the tier is set by: reliability-floor
    "]]
    .assert_eq(&masked(signed));

    // The statement that is logged is the one that was shown.
    let signed = house.json(&format!("approve {change} --capacity technical --by tina --yes"));
    let logged = house.json(&format!("show {}", signed["statement"].as_str().unwrap()));
    assert_eq!(logged["payload"], signed["signed"]);
    assert_eq!(
        logged["payload"]["predicate"]["body"]["artefacts"][0],
        Value::String(artefact.clone()),
        "{logged}"
    );

    assert_eq!(signed["signatures"], serde_json::json!({ "before": 0, "now": 1, "needed": 3 }));
    // The same again counts as before, and is not told as more.
    let again = house.ok(&format!("approve {change} --capacity technical --by tina --yes"));
    let (_, again) = again.split_once("approved again: ").unwrap();
    assert!(again.contains("this person's approval is there already"), "{again}");
    assert!(again.contains(signed["statement"].as_str().unwrap()), "{again}");
    assert!(again.contains("still 1 of 3 signatures, missing: ethics"), "{again}");

    for (by, capacity) in [("emil", "ethics"), ("sora", "security")] {
        let approved = house.ok(&format!("approve {change} --capacity {capacity} --by {by} --yes"));
        assert!(approved.contains(" of 3 signatures") && !approved.contains("still"), "{approved}");
    }
    // A second signature by the same person is no second person.
    house.refused(&format!("approve {change} --capacity ethics --by tina --yes"), "CS-GATE-030");
    let order = house.json(&format!("order {change} --by olga"))["statement"].as_str().unwrap().to_owned();
    let again = house.refused(&format!("order {change} --by olga"), "CS-GATE-053");
    assert!(again.contains(&order) && !again.contains("rebase"), "{again}");
    let admitted = house.json(&format!("admit {change}"));
    assert_eq!(admitted["slot"], "support");
    let state = house.json("list")["slots"][0]["state"].clone();
    assert_eq!(admitted["state"], state);
    assert!(house.ok(&format!("admit {change}")).contains(" UTC\n"));

    // The slot has moved under the prompt's proposal; proposed again on what is there, it is measured again.
    let moved = house.json(&format!("decide {prompt}"));
    assert!(
        moved["reasons"].as_array().unwrap().iter().any(|reason| reason["code"] == "CS-GATE-003"),
        "{moved}"
    );
    let grant = house.grant();
    house.ok(&format!("propose support --prompt new.md --by trainer --grant {grant} --rebase {prompt}"));
    assert_eq!(house.json(&format!("show {prompt}"))["findings"], serde_json::json!([]));

    house.ok(&format!("rollback {change} --reason drift --by olga"));
    assert!(house.ok(&format!("show {change}")).contains("rolled back"));
    assert_ne!(house.json("list")["slots"][0]["state"], state);
    house.refused(&format!("admit {change}"), "CS-GATE-037");

    let report = house.audited();
    assert_eq!(report.changes.len(), 4);
    assert!(report.attempts.iter().any(|attempt| attempt.action.as_str() == "release-order"));
    assert_eq!(house.json("log fsck")["findings"], serde_json::json!([]));
}

#[test]
fn purged_evidence_never_counts_again() {
    let house = House::staffed();
    let change = house.approved("--adapter within --summary Words-of-a-person");
    house.ok(&format!("order {change} --by olga"));
    house.ok(&format!("admit {change}"));
    let shown = house.json(&format!("show {change}"));
    assert_eq!(shown["summary"], "Words-of-a-person");
    let summary = shown["proposal"]["body"]["summary"].as_str().unwrap();
    let artefact = shown["proposal"]["body"]["artefacts"][0]["digest"].as_str().unwrap();

    // Only compliance destroys, only what is there, and nothing that is held or in force.
    house.refused(&format!("purge {summary} --basis erasure --by tina"), "CS-FLD-006");
    house.refused(&format!("purge {} --basis erasure --by clara", "0".repeat(64)), "CS-CLI-002");
    house.refused("purge abc --basis erasure --by clara", "CS-CLI-001");
    house.refused(&format!("purge {artefact} --basis erasure --by clara"), "CS-FLD-034");
    let config = statement::Digest::of(&std::fs::read(house.path("within/adapter_config.json")).unwrap());
    house.refused(&format!("purge {config} --basis erasure --by clara"), "CS-FLD-034");
    house.ok(&format!("rollback {change} --reason drift --by olga"));
    house.ok(&format!("hold place {artefact} --matter case-12 --by clara"));
    house.refused(&format!("purge {artefact} --basis erasure --by clara"), "CS-FLD-029");
    house.refused(&format!("purge {config} --basis erasure --by clara"), "CS-FLD-029");

    house.ok(&format!("purge {summary} --basis erasure --by clara"));
    assert!(house.ok(&format!("show {change}")).contains("summary       purged\n"));
    assert_eq!(house.json(&format!("show {change}"))["summary_kept"], "purged");
    house.refused(&format!("purge {summary} --basis erasure --by clara"), "CS-CLI-017");

    house.ok(&format!("hold lift {artefact} --matter case-12 --by clara"));
    let purged = house.json(&format!("purge {artefact} --basis erasure --by clara"));
    assert_eq!(purged["purged"].as_array().unwrap().len(), 3, "the folder and its two files: {purged}");
    let text = house.ok(&format!("show {change}"));
    assert!(text.contains("purged at leaf") && text.contains("scope: purged (it said pass)"), "{text}");
    let grant = house.grant();
    house.refused(&format!("propose support --adapter within --by trainer --grant {grant}"), "CS-VLT-002");

    // A report that is destroyed after the approvals takes its finding with it.
    let change = house.approved("--prompt new.md");
    let shown = house.json(&format!("show {change}"));
    let findings = shown["findings"].as_array().unwrap();
    let review = findings.iter().find(|finding| finding["body"]["evidence"] == "security-review").unwrap();
    let report = review["body"]["attachments"][0].as_str().unwrap();
    house.ok(&format!("purge {report} --basis erasure --by clara"));
    house.refused(&format!("order {change} --by olga"), "CS-GATE-012");

    let report = house.audited();
    assert_eq!(report.purged.len(), 5);
    let findings = &report.changes[0].findings;
    assert!(findings.iter().any(|finding| finding.outcome == audit::report::Audited::Purged), "{findings:?}");
}
