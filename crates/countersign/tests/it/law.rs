//! What somebody who signs, proposes or keeps keys is told beforehand; and files that are none.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::house::House;

/// A device that never ends and a pipe that nobody writes keep nobody waiting, whatever they are given as.
#[test]
fn devices_and_pipes_are_read_within_bounds_or_refused() {
    let house = House::staffed();
    let grant = house.grant();
    let made = Command::new("mkfifo").arg(house.path("pipe")).status().unwrap();
    assert!(made.success());
    let change = house.proposed("--prompt new.md");
    house.ok("key new spare --service");
    house.ok("export --out whole.export");
    let enrol = "key enrol spare --person spare --role monitor --by root-ada --by root-ben --public";
    let review = format!("review {change} --evidence red-team --by sven --report");
    let propose = format!("propose support --by trainer --grant {grant}");
    let slot = "slot define other --component prompt:system=old.md --modification prompt --context chat --by root-ada \
                --by root-ben";
    for (line, endless, silent) in [
        (enrol.to_owned(), "CS-CLI-007", "CS-CLI-003"),
        (review, "CS-CLI-007", "CS-CLI-003"),
        (format!("{propose} --prompt"), "CS-CLI-015", "CS-CLI-015"),
        (format!("{propose} --settings"), "CS-CLI-015", "CS-CLI-015"),
        (format!("{propose} --weights"), "CS-CLI-015", "CS-CLI-015"),
        (format!("{slot} --scope tuning=scope.json --component weights:base="), "CS-CLI-015", "CS-CLI-015"),
        (format!("{slot} --scope tuning="), "CS-CLI-015", "CS-CLI-015"),
        ("policy check".to_owned(), "CS-CLI-007", "CS-CLI-003"),
        ("export --out again.export --from-checkpoint".to_owned(), "CS-CLI-007", "CS-CLI-003"),
        ("bundle in".to_owned(), "CS-CLI-015", "CS-CLI-015"),
        (format!("examine {change} --by erik --worker"), "CS-BOX-001", "CS-BOX-001"),
    ] {
        let with =
            |path: &str| if line.ends_with('=') { format!("{line}{path}") } else { format!("{line} {path}") };
        house.refused(&with("/dev/zero"), endless);
        house.refused(&with("pipe"), silent);
    }
    // A comparison that cannot be made answers 2, as one that is undecided.
    for path in ["/dev/zero", "pipe"] {
        let run = house.run(&format!("diff model.safetensors within --scope {path}"));
        assert!(run.code == 2 && run.err.contains("[CS-CLI-003]"), "{}{}", run.out, run.err);
    }
}

/// A pipe that is written is as good as a file.
#[test]
fn a_pipe_that_is_written_is_read() {
    let house = House::staffed();
    let change = house.proposed("--prompt new.md");
    let mut command =
        house.command(&format!("review {change} --evidence red-team --by sven --report /dev/stdin"));
    command.stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::null());
    let mut running = command.spawn().unwrap();
    std::io::Write::write_all(&mut running.stdin.take().unwrap(), b"Looked at from afar.\n").unwrap();
    assert!(running.wait().unwrap().success());
    assert!(house.ok(&format!("show {change} --report red-team")).contains("Looked at from afar."));
}

#[test]
fn an_approver_reads_the_reports_and_the_difference() {
    let house = House::staffed();
    house.write("careful.md", b"Looked at \x1b[2Jtwice.\nIt holds.\n");
    let change = house.examined("--prompt new.md");
    for (evidence, by, report) in [
        ("formal-verification", "erik", "report.md"),
        ("security-review", "sven", "careful.md"),
        ("compliance-review", "clara", "report.md"),
    ] {
        house.ok(&format!("review {change} --evidence {evidence} --report {report} --by {by}"));
    }
    let shown = house.ok(&format!("show {change}"));
    assert!(shown.contains("its report: --report security-review"), "{shown}");
    let report = house.ok(&format!("show {change} --report security-review"));
    assert!(report.contains("| It holds.") && report.contains("sven"), "{report}");
    assert!(!report.contains('\u{1b}'), "what moves a cursor is spelt out: {report}");
    let told = house.json(&format!("show {change} --report security-review"));
    let finding = told[0]["finding"].as_str().unwrap().to_owned();
    assert!(told[0]["reports"][0]["text"].as_str().unwrap().ends_with("It holds.\n"));
    assert_eq!(house.json(&format!("show {change} --report {}", &finding[..12])), told);
    let measured = house.ok(&format!("show {change} --report scope"));
    assert!(measured.contains("sections_changed") && measured.contains("trace show"), "{measured}");
    house.refused(&format!("show {change} --report red-team"), "CS-CLI-002");
    house.refused(&format!("show {change} --report scope --diff"), "CS-CLI-001");

    let (old, new) = (
        fs::read_to_string(house.path("old.md")).unwrap(),
        fs::read_to_string(house.path("new.md")).unwrap(),
    );
    let gone = old.lines().find(|line| !new.lines().any(|other| other == *line));
    let come = new.lines().find(|line| !old.lines().any(|other| other == *line));
    let difference = house.ok(&format!("show {change} --diff"));
    for (mark, line) in [("- ", gone), ("+ ", come)] {
        if let Some(line) = line {
            assert!(difference.contains(&format!("{mark}{line}")), "{difference}");
        }
    }
    assert!(gone.is_some() || come.is_some());
    // Who is asked to sign is told where to look; nothing is signed here.
    let asked = house.run(&format!("approve {change} --capacity technical --by tina"));
    assert!(asked.out.contains("--diff") && asked.out.contains("--report security-review"), "{}", asked.out);

    let adapter = house.examined("--adapter within");
    let difference = house.ok(&format!("show {adapter} --diff"));
    assert!(difference.contains("module") || difference.contains("changed"), "{difference}");
}

#[test]
fn who_proposes_is_told_what_will_stand_against_it() {
    let house = House::staffed();
    let grant = house.grant();
    let codes = |line: &str| -> Vec<String> {
        let answer = house.json(line);
        let warnings = answer["warnings"].as_array().unwrap();
        warnings.iter().map(|warning| warning["code"].as_str().unwrap().to_owned()).collect()
    };
    // In order, nothing; out of its scope, the rule; without a grant, that.
    assert_eq!(codes(&format!("propose support --prompt new.md --by trainer --grant {grant}")), [""; 0]);
    let old = fs::read_to_string(house.path("old.md")).unwrap();
    house.write("headless.md", old.replace("## ", "").as_bytes());
    let outside = codes(&format!("propose support --prompt headless.md --by trainer --grant {grant}"));
    assert!(outside.iter().any(|code| code.starts_with("CS-TSR-1")), "{outside:?}");
    let alone = codes("propose support --settings new.json --by trainer");
    assert!(alone.contains(&"CS-GATE-016".to_owned()), "{alone:?}");
    let text = house.ok(&format!("propose support --prompt headless.md --by trainer --grant {grant}"));
    assert!(text.contains("warning: [CS-TSR-1") && text.contains("hint: "), "{text}");

    // What could never be released is refused, and nothing of it is in the log.
    house.write("narrow.json", br#"{"prompt":{"sections":["Style"],"length_max_bytes":4000}}"#);
    house.ok(
        "slot define narrow --component weights:base=model.safetensors --component prompt:system=old.md \
         --component sampling:sampling=old.json --scope tuning=narrow.json --modification prompt --modification settings \
         --context chat --by root-ada --by root-ben",
    );
    house.ok(
        "grant --to trainer --slot narrow --modification adapter --modification prompt --modification settings --tier high \
         --by tina",
    );
    let list = house.json("list");
    let grants = list["grants"].as_array().unwrap();
    let mut wide = grants.iter().filter(|it| it["purpose"] == "propose" && it["grant"] != grant.as_str());
    let wide = wide.next_back().unwrap()["grant"].as_str().unwrap().to_owned();
    let propose = |rest: &str| format!("propose narrow {rest} --by trainer --grant {wide}");
    house.refused(&propose("--adapter within"), "CS-TSR-101");
    house.refused(&propose("--settings new.json"), "CS-TSR-101");
    let served = house.refused(&propose("--prompt old.md"), "CS-GATE-052");
    assert!(served.contains("`system ") && served.contains("differs from what the slot serves"), "{served}");
    house.refused(&propose("--prompt new.md --context elsewhere"), "CS-GATE-005");
    let changes = house.json("list")["changes"].as_array().unwrap().len();
    assert_eq!(changes, 4, "what was refused was not proposed");
}

#[test]
fn lists_mark_what_stands_on_revoked_keys() {
    let house = House::staffed();
    let change = house.reviewed("--prompt new.md");
    let keys = house.ok("key list");
    let of = |text: &str, name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(of(&keys, "sven").contains("sven, until "), "{keys}");
    house.ok("key new nobody --service");
    assert!(of(&house.ok("key list"), "nobody").ends_with("not enrolled"));
    assert!(!house.ok("list").contains("REVOKED"));
    // From now on: what the key signed before still counts, and is marked.
    let size = house.json("list")["leaves"].as_u64().unwrap();
    house.ok(&format!("key revoke sven --since {size} --reason stolen --by root-ada --by root-ben"));
    let keys = house.ok("key list");
    assert!(of(&keys, "sven").contains(&format!("REVOKED: does not count from leaf {size} on")), "{keys}");
    let rows = house.json("key list");
    let row = rows.as_array().unwrap().iter().find(|row| row["name"] == "sven").unwrap();
    assert_eq!(row["standing"], "revoked");
    let list = house.ok("list");
    assert!(list.contains("STANDS ON REVOKED KEYS: security-review by sven"), "{list}");
    assert!(house.ok(&format!("show {change}")).contains("STANDS ON REVOKED KEYS"));
    let list = house.json("list");
    assert_eq!(list["changes"][0]["on_revoked_keys"][0]["signed"], "security-review");
    assert_eq!(list["changes"][0]["state"], "examined: pass");
}

/// The same bytes under a fresh tracking id: what a person found against them is found again, until it is overturned.
#[test]
fn a_fail_is_not_washed_off_by_a_fresh_change() {
    let house = House::staffed();
    let change = house.examined("--prompt new.md");
    house.ok(&format!(
        "review {change} --evidence security-review --outcome fail --report report.md --by sven"
    ));
    let told = house.json(&format!("show {change} --report security-review"));
    let fail = told[0]["finding"].as_str().unwrap().to_owned();
    let grant = house.grant();
    let again = house.json(&format!("propose support --prompt new.md --by trainer --grant {grant}"));
    assert_eq!(again["warnings"][0]["code"], "CS-GATE-047", "{again}");
    let change = again["change"].as_str().unwrap();
    house.ok(&format!("examine {change} --by erik"));
    for (evidence, by) in
        [("formal-verification", "erik"), ("security-review", "sven"), ("compliance-review", "clara")]
    {
        house.ok(&format!("review {change} --evidence {evidence} --report report.md --by {by}"));
    }
    let decided = house.json(&format!("decide {change}"));
    let codes = |decided: &Value| -> Vec<String> {
        let reasons = decided["reasons"].as_array().unwrap();
        reasons.iter().map(|reason| reason["code"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(codes(&decided), ["CS-GATE-047"]);
    assert_eq!(decided["outcome"], "fail");
    house.refused(&format!("approve {change} --capacity technical --by tina --yes"), "CS-GATE-047");
    house.refused(
        &format!(
            "review {change} --evidence security-review --report report.md --by sven --overturns 12345678"
        ),
        "CS-CLI-002",
    );
    let overturned = house.json(&format!(
        "review {change} --evidence security-review --report report.md --by sven --overturns {}",
        &fail[..16]
    ));
    assert_eq!(overturned["outcome"], "pass", "{overturned}");
    house.ok(&format!("approve {change} --capacity technical --by tina --yes"));
    // An outsider decides the same.
    house.audited();
}

/// Words of persons stay in the vault: an export carries scopes, and what workers did.
#[test]
fn an_export_leaves_out_what_persons_attached() {
    let house = House::staffed();
    let secret = "Only for those who may read it in the vault.";
    house.write("secret.md", secret.as_bytes());
    let grant = house.grant();
    let mut command =
        house.command(&format!("propose support --prompt new.md --by trainer --grant {grant} --json"));
    command.args(["--summary", secret]);
    let proposed = crate::house::run(&mut command);
    assert_eq!(proposed.code, 0, "{}", proposed.err);
    let proposed: Value = serde_json::from_str(&proposed.out).unwrap();
    let change = proposed["change"].as_str().unwrap();
    house.ok(&format!("examine {change} --by erik"));
    house.ok(&format!("review {change} --evidence red-team --report secret.md --by sven"));
    assert!(house.ok(&format!("show {change} --report red-team")).contains(secret));
    let report = house.audited();
    let bytes = fs::read(house.path("record.export")).unwrap();
    assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    // The scope file and the worker's steps.
    assert_eq!(report.attachments.len(), 2);
    assert!(report.attachments.iter().all(|attachment| attachment.named_by.is_some()));
}

/// Whatever was unpacked to be examined is gone afterwards.
#[test]
fn nothing_is_left_of_what_was_examined() {
    let house = House::staffed();
    let change = house.proposed("--adapter within");
    fs::create_dir(house.path("tmp")).unwrap();
    let mut command = house.command(&format!("examine {change} --by erik"));
    command.env("TMPDIR", house.path("tmp"));
    let run = crate::house::run(&mut command);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(fs::read_dir(house.path("tmp")).unwrap().count(), 0);
}
