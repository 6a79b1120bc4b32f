//! A change crosses to a machine without a network, is examined there, and its findings come back.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::house::{House, Run, check_refusal, run};

/// How `unshare` gives a process a network of its own, with nothing in it; none where this host lets nobody. The worker's
/// box needs the user's own number, so that it is not root of a made-up one.
fn cut_off() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["--net", "--"], &["--map-current-user", "--net", "--"]];
    ways.into_iter().find(|way| {
        let tried = Command::new("unshare").args(*way).arg("true").stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    })
}

/// A house with a station in `station/`, whose programs run without a network where this host lets them.
struct Crossing {
    house: House,
    cut_off: Option<&'static [&'static str]>,
    key: String,
}

impl Crossing {
    fn new() -> Self {
        let house = House::staffed();
        let cut_off = cut_off();
        if cut_off.is_none() {
            println!("SKIPPED a network namespace for the station: `unshare --net` is not allowed here");
        }
        let key = station(&house, "station", "vault-room");
        house.ok(
            "key enrol vault-room --public station/vault-room.public.json --person vera --role examiner \
             --by root-ada --by root-ben",
        );
        Self { house, cut_off, key }
    }

    fn at_station(&self, line: &str) -> Run {
        let mut plain = self.house.command(&format!("--home station {line}"));
        let Some(way) = self.cut_off else { return run(&mut plain) };
        let mut command = Command::new("unshare");
        command.args(way).arg(plain.get_program()).args(plain.get_args());
        command.current_dir(self.house.path("")).env_clear().stdin(Stdio::null());
        for (name, value) in plain.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        run(&mut command)
    }

    #[track_caller]
    fn ok(&self, line: &str) -> Value {
        let run = self.at_station(&format!("--json {line}"));
        assert_eq!(run.code, 0, "`{line}`: {}{}", run.out, run.err);
        serde_json::from_str(&run.out).unwrap()
    }

    #[track_caller]
    fn refused(&self, line: &str, code: &str) {
        check_refusal(line, &self.at_station(line), code);
    }

    /// Proposes an artefact and writes its bundle.
    #[track_caller]
    fn sent(&self, artefact: &str, file: &str) -> String {
        let change = self.house.proposed(artefact);
        self.house.ok(&format!("bundle out {change} --to {} --out {file}", self.key));
        change
    }
}

/// Sets a station up; answers its key's id.
#[track_caller]
fn station(house: &House, folder: &str, key: &str) -> String {
    let settings: Value = serde_json::from_slice(&fs::read(house.path("realm/realm.json")).unwrap()).unwrap();
    let root = settings["root"].as_str().unwrap().to_owned();
    let card = house
        .json(&format!("--home {folder} bundle station --realm acme --root {root} --key {key} --service"));
    card["key"].as_str().unwrap().to_owned()
}

#[test]
fn a_change_is_examined_without_a_network_and_its_findings_come_back() {
    let crossing = Crossing::new();
    let house = &crossing.house;
    let change = crossing.sent("--adapter within", "out.bundle");

    let shown = crossing.ok("bundle show out.bundle");
    assert_eq!(shown["header"]["direction"], "request");
    assert_eq!(shown["header"]["to"], crossing.key.as_str());
    crossing.refused(&format!("examine {change} --by vault-room"), "CS-CLI-002");
    crossing.ok("bundle in out.bundle");
    crossing.refused("bundle in out.bundle", "CS-BUN-012");
    crossing.refused(&format!("bundle out {change} --out back.bundle"), "CS-CLI-024");
    let found = crossing.ok(&format!("examine {change} --by vault-room"));
    assert_eq!(found["outcome"], "pass", "{found}");
    crossing.ok(&format!("bundle out {change} --out back.bundle"));
    assert_eq!(house.json(&format!("show {change}"))["findings"], serde_json::json!([]));

    // Brought back, it is in the log as the station signed it, and counts as any examiner's.
    house.ok("bundle in back.bundle");
    let findings = house.json(&format!("show {change}"))["findings"].clone();
    assert_eq!(findings[0]["id"], found["statement"], "{findings}");
    assert_eq!(findings[0]["body"]["outcome"], "pass");
    assert_eq!(findings[0]["body"]["evidence"], "scope");
    // What its worker did came with it.
    let steps = house.json(&format!("trace show {change}"));
    assert!(steps["steps"].as_array().unwrap().len() > 2, "{steps}");
    house.refused("bundle in back.bundle", "CS-BUN-012");
    for (evidence, by) in
        [("formal-verification", "erik"), ("security-review", "sven"), ("compliance-review", "clara")]
    {
        house.ok(&format!("review {change} --evidence {evidence} --report report.md --by {by}"));
    }
    assert_eq!(
        house.json(&format!("show {change}"))["state"],
        "examined: pass",
        "the station's finding counts"
    );

    // What was tried stands in the record, which an outsider finds whole.
    let report = house.audited();
    assert!(report.attempts.iter().any(|attempt| attempt.action.as_str() == "bundle-in"));

    // A change out of its scope comes back as that.
    let outside = crossing.sent("--adapter outside", "outside.bundle");
    crossing.ok("bundle in outside.bundle");
    assert_eq!(crossing.ok(&format!("examine {outside} --by vault-room"))["outcome"], "fail");
    crossing.ok(&format!("bundle out {outside} --out failed.bundle"));
    house.ok("bundle in failed.bundle");
    assert_eq!(house.json(&format!("show {outside}"))["findings"][0]["body"]["outcome"], "fail");
}

#[test]
fn what_was_altered_on_the_way_is_refused_on_both_sides() {
    let crossing = Crossing::new();
    let house = &crossing.house;
    let change = crossing.sent("--prompt new.md", "out.bundle");
    let request = fs::read(house.path("out.bundle")).unwrap();
    let sections = crossing.ok("bundle show out.bundle")["header"]["sections"].clone();
    check_tampered(house, &request, &sections, |code| crossing.refused("bundle in altered.bundle", code));
    crossing.ok("bundle in out.bundle");
    crossing.ok(&format!("examine {change} --by vault-room"));
    crossing.ok(&format!("bundle out {change} --out back.bundle"));
    let findings = fs::read(house.path("back.bundle")).unwrap();
    let sections = crossing.ok("bundle show back.bundle")["header"]["sections"].clone();
    check_tampered(house, &findings, &sections, |code| {
        house.refused("bundle in altered.bundle", code);
    });
    assert_eq!(house.json(&format!("show {change}"))["findings"], serde_json::json!([]));
    house.ok("bundle in back.bundle");
}

/// A bit of each region, each region left out, the file cut off and longer than it was.
fn check_tampered(house: &House, bytes: &[u8], sections: &Value, refused: impl Fn(&str)) {
    let try_with = |altered: &[u8], code: &str| {
        house.write("altered.bundle", altered);
        refused(code);
    };
    let flipped = |at: usize| {
        let mut altered = bytes.to_vec();
        altered[at] ^= 4;
        altered
    };
    let length = |section: &Value| usize::try_from(section["bytes"].as_u64().unwrap()).unwrap();
    let lengths: Vec<usize> = sections.as_array().unwrap().iter().map(length).collect();
    let mut at = bytes.len() - lengths.iter().sum::<usize>();
    try_with(&flipped(3), "CS-BUN-001");
    try_with(&flipped(at / 2), "CS-BUN-002");
    for length in lengths {
        try_with(&flipped(at), "CS-BUN-006");
        try_with(&flipped(at + length - 1), "CS-BUN-006");
        at += length;
    }
    assert_eq!(at, bytes.len());
    try_with(&bytes[..bytes.len() - 1], "CS-BUN-004");
    try_with(&bytes[..100], "CS-BUN-004");
    try_with(&[bytes, b"\n"].concat(), "CS-BUN-005");
    try_with(b"", "CS-BUN-004");
}

#[test]
fn a_bundle_for_another_machine_or_from_an_older_record_is_refused() {
    let crossing = Crossing::new();
    let house = &crossing.house;
    crossing.sent("--prompt new.md", "older.bundle");
    crossing.sent("--settings new.json", "newer.bundle");

    // Another machine of the same realm.
    station(house, "elsewhere", "other-room");
    house.refused("--home elsewhere bundle in newer.bundle", "CS-BUN-010");
    // A machine of another realm, though its key were this one's.
    let root = "0".repeat(64);
    house.ok(&format!("--home stranger bundle station --realm other --root {root} --key x --service"));
    house.refused("--home stranger bundle in newer.bundle", "CS-BUN-008");
    house.ok(&format!("--home impostor bundle station --realm acme --root {root} --key x --service"));
    house.refused("--home impostor bundle in newer.bundle", "CS-BUN-009");
    // Not the way it goes.
    house.refused("bundle in newer.bundle", "CS-BUN-007");

    // What the machine has seen does not go back.
    crossing.ok("bundle in newer.bundle");
    crossing.refused("bundle in older.bundle", "CS-BUN-013");

    // Who may not send is refused where it is made; a key that examines nothing gets nothing.
    let change = house.proposed("--prompt new.md");
    house.refused(&format!("bundle out {change} --to nobody --out x.bundle"), "CS-CLI-002");
    house.refused(
        &format!("bundle out {change} --to {} --by tina --out x.bundle", crossing.key),
        "CS-BUN-017",
    );
    house.refused(&format!("bundle out {change} --to tina --out x.bundle"), "CS-BUN-018");
    assert!(!house.path("x.bundle").exists());
}

#[test]
fn a_station_reads_no_record_that_is_too_long_for_one() {
    let crossing = Crossing::new();
    crossing.sent("--adapter within", "out.bundle");
    // Longer than any record may be, and nothing on the disk: it is refused before it is read.
    let record = fs::File::create(crossing.house.path("station/record.export")).unwrap();
    record.set_len(1 << 40).unwrap();
    crossing.refused("bundle in out.bundle", "CS-CLI-007");
    // A pipe that nobody writes into is not waited for.
    fs::remove_file(crossing.house.path("station/record.export")).unwrap();
    run(Command::new("mkfifo").arg("record.export").current_dir(crossing.house.path("station")));
    crossing.refused("bundle in out.bundle", "CS-CLI-003");
}
