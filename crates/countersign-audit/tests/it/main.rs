//! The program as an auditor runs it, and how much code an auditor has to trust.

#![allow(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use audit::fixture::{Plan, Realm};

/// How many crates the program may be built from, itself included. Raise it only with a reason: each is code that an
/// auditor has to trust.
const CRATES_MAX: usize = 156;

struct Bench {
    folder: tempfile::TempDir,
    realm: Realm,
}

impl Bench {
    fn new() -> Self {
        let mut realm = Realm::new();
        realm.release(Plan::tuning("first"));
        Self { folder: tempfile::tempdir().unwrap(), realm }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn root(&self) -> String {
        self.realm.expectations().root.unwrap().to_string()
    }
}

fn run(file: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign-audit")).arg(file).args(arguments).output().unwrap()
}

#[track_caller]
fn status(output: &Output, expected: i32) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(expected), "{out}{err}");
    out.into_owned()
}

#[test]
fn a_clean_record_is_shown() {
    let bench = Bench::new();
    let file = bench.write("clean.export", &bench.realm.export());
    let page = status(&run(&file, &["--root", &bench.root()]), 0);
    assert!(page.contains("CLEAN: nothing is against this record."), "{page}");
    let words = page.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&format!("first trust root {} (the one you named)", bench.root())), "{page}");
    let page = status(&run(&file, &[]), 0);
    assert!(page.contains("CS-AUD-050"), "{page}");
    // Nothing to be known is left when the root was named and the clock is that of the record.
    status(&run(&file, &["--strict"]), 1);
    let at = (bench.realm.now_ms() / 1000 + 10).to_string();
    status(&run(&file, &["--strict", "--root", &bench.root(), "--at", &at]), 0);
}

#[test]
fn the_json_form_is_json() {
    let bench = Bench::new();
    let file = bench.write("clean.export", &bench.realm.export());
    let json: serde_json::Value = serde_json::from_str(&status(&run(&file, &["--json"]), 0)).unwrap();
    assert_eq!((&json["outcome"], &json["realm"]), (&"clean".into(), &"example".into()));
    let file = bench.write("cut.export", &bench.realm.export()[..500]);
    let json: serde_json::Value = serde_json::from_str(&status(&run(&file, &["--json"]), 1)).unwrap();
    assert_eq!((&json["outcome"], &json["code"]), (&"refused".into(), &"CS-AUD-002".into()));
}

#[test]
fn one_change_is_shown_whole() {
    let bench = Bench::new();
    let file = bench.write("clean.export", &bench.realm.export());
    let change = Plan::tuning("first").change().to_string();
    let page = status(&run(&file, &["--change", &change]), 0);
    assert!(page.starts_with(&format!("CHANGE {change}")) && page.contains("p-gil, ethics"), "{page}");
    // The page shows eight digits: they suffice, and so does a script's wish for JSON.
    let short = Plan::tuning("first").change().short().to_owned();
    assert_eq!(status(&run(&file, &["--change", &short]), 0), page);
    assert_eq!(status(&run(&file, &["--change", short.strip_prefix("chg-").unwrap()]), 0), page);
    let json = status(&run(&file, &["--json", "--change", &short]), 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["change"], change.as_str());
    let other = Plan::tuning("no such").change().to_string();
    refused(&run(&file, &["--change", &other]), "CS-ACL-003");
    let mut realm = Realm::new();
    realm.release(Plan::tuning("first"));
    realm.release(Plan::tuning("second"));
    let two = bench.write("two.export", &realm.export());
    refused(&run(&two, &["--change", "chg-"]), "CS-ACL-004");
}

/// What could not be audited or answered has a code and a hint, in words and as JSON.
#[track_caller]
fn refused(output: &Output, code: &str) {
    status(output, 1);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains(code) && err.contains("\n  -> "), "{err}");
}

#[test]
fn what_keeps_it_from_auditing_has_a_code_too() {
    let bench = Bench::new();
    let absent = bench.folder.path().join("absent");
    refused(&run(&absent, &[]), "CS-ACL-001");
    let json: serde_json::Value = serde_json::from_str(&status(&run(&absent, &["--json"]), 1)).unwrap();
    assert_eq!((&json["outcome"], &json["code"]), (&"refused".into(), &"CS-ACL-001".into()));
    assert!(!json["causes"][0].as_str().unwrap().is_empty());
    let file = bench.write("clean.export", &bench.realm.export());
    let taken = bench.folder.path().to_str().unwrap().to_owned();
    refused(&run(&file, &["--extract", &taken]), "CS-ACL-002");
    let no_policy = bench.write("policy.json", b"nothing");
    refused(&run(&file, &["--attestation-policy", no_policy.to_str().unwrap()]), "CS-ACL-008");
}

/// What never ends or never begins is refused before it is read.
#[test]
fn only_files_are_read() {
    let bench = Bench::new();
    let pipe = bench.folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [Path::new("/dev/zero"), pipe.as_path(), bench.folder.path()] {
        refused(&run(path, &[]), "CS-ACL-009");
    }
    let file = bench.write("clean.export", &bench.realm.export());
    for option in ["--attestation-policy", "--known-checkpoint"] {
        for path in ["/dev/zero", pipe.to_str().unwrap()] {
            refused(&run(&file, &[option, path]), "CS-ACL-009");
        }
    }
    let long = bench.write("long", &vec![b' '; (1 << 20) + 1]);
    refused(&run(&file, &["--known-checkpoint", long.to_str().unwrap()]), "CS-ACL-010");
}

#[test]
fn age_and_known_checkpoints_are_held_against_an_export() {
    let mut bench = Bench::new();
    let old = bench.write("old.export", &bench.realm.export());
    let at = (bench.realm.now_ms() / 1000 + 10 + 90_000).to_string();
    let page = status(&run(&old, &["--at", &at, "--max-age", "2d"]), 0);
    assert!(page.contains("1 d 1 h by your clock") && page.contains("CS-AUD-063"), "{page}");
    let page = status(&run(&old, &["--at", &at, "--max-age", "24h"]), 1);
    assert!(page.contains("CS-AUD-044"), "{page}");
    status(&run(&old, &["--max-age", "soon"]), 2);
    bench.realm.release(Plan::tuning("second"));
    let head = bench.realm.checkpoint(bench.realm.entries().len() as u64, 1);
    let known = bench.write("known.checkpoint", &head.to_bytes());
    let known = known.to_str().unwrap();
    let page = status(&run(&old, &["--known-checkpoint", known]), 1);
    assert!(page.starts_with("REFUSED: CS-AUD-034"), "{page}");
    assert!(page.contains(String::from_utf8(head.to_bytes()).unwrap().trim_end()), "{page}");
    let new = bench.write("new.export", &bench.realm.export());
    status(&run(&new, &["--known-checkpoint", known]), 0);
}

#[test]
fn what_is_refused_is_named_with_its_evidence() {
    let bench = Bench::new();
    let size = bench.realm.entries().len() as u64;
    let mut fork = Realm::new();
    fork.advance_ms(1_000);
    fork.release(Plan::tuning("hidden"));
    let (ours, theirs) = (bench.realm.checkpoint(size, 1), fork.checkpoint(size, 1));
    let file = bench.write("fork.export", &bench.realm.export_with(&ours, Some(&theirs)).to_bytes());
    let page = status(&run(&file, &[]), 1);
    assert!(page.starts_with("REFUSED: CS-AUD-021"), "{page}");
    for head in [ours, theirs] {
        assert!(page.contains(String::from_utf8(head.to_bytes()).unwrap().trim_end()), "{page}");
    }
    let file = bench.write("clean.export", &bench.realm.export());
    let other = "0".repeat(64);
    assert!(status(&run(&file, &["--root", &other]), 1).starts_with("REFUSED: CS-AUD-018"));
    assert!(status(&run(&file, &["--log-key", "elsewhere"]), 1).starts_with("REFUSED: CS-AUD-014"));
}

#[test]
fn a_record_that_is_not_clean_says_why() {
    let bench = Bench::new();
    let head = bench.realm.checkpoint(bench.realm.entries().len() as u64, 0);
    let file = bench.write("alone.export", &bench.realm.export_with(&head, None).to_bytes());
    let page = status(&run(&file, &["--root", &bench.root()]), 1);
    assert!(page.contains("NOT CLEAN") && page.contains("unwitnessed: 0 of 1"), "{page}");
}

#[test]
fn the_parts_are_extracted() {
    let bench = Bench::new();
    let file = bench.write("clean.export", &bench.realm.export());
    let folder = bench.folder.path().join("parts");
    let place = folder.to_str().unwrap();
    status(&run(&file, &["--extract", place]), 0);
    let lines = fs::read_to_string(folder.join("statements.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), bench.realm.entries().len());
    for line in lines.lines() {
        let statement: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(statement["payload"]["_type"], "https://in-toto.io/Statement/v1");
    }
    let names: BTreeSet<String> = fs::read_dir(folder.join("attachments"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let scope = statement::Digest::of(audit::fixture::SCOPE_FILE).to_string();
    assert_eq!(names, BTreeSet::from([scope]));
    // Nothing is written over.
    status(&run(&file, &["--extract", place]), 1);
}

#[test]
fn a_wrong_command_line_is_2() {
    let bench = Bench::new();
    let file = bench.write("clean.export", &bench.realm.export());
    status(&run(&file, &["--root", "abc"]), 2);
    status(&run(&file, &["--no-such"]), 2);
    status(&Command::new(env!("CARGO_BIN_EXE_countersign-audit")).output().unwrap(), 2);
    status(&run(&bench.folder.path().join("absent"), &[]), 1);
}

#[test]
fn help_has_an_example() {
    let output = Command::new(env!("CARGO_BIN_EXE_countersign-audit")).arg("--help").output().unwrap();
    let help = status(&output, 0);
    assert!(help.contains("Example:") && help.contains("--root"), "{help}");
}

#[test]
fn an_auditor_trusts_few_crates() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "tree",
            "--offline",
            "--locked",
            "-p",
            "countersign-audit",
            "-e",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = status(&output, 0);
    let crates: BTreeSet<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    let crates: BTreeSet<&str> = crates.into_iter().filter(|line| !line.is_empty()).collect();
    assert!(crates.len() > 10, "`cargo tree` answered:\n{tree}");
    assert!(
        crates.len() <= CRATES_MAX,
        "countersign-audit is built from {} crates; the budget is {CRATES_MAX}, set a little above what it was. An \
         auditor has to trust each of them: leave the new one out, or raise the budget with a reason.\n{}",
        crates.len(),
        crates.into_iter().collect::<Vec<_>>().join("\n")
    );
    // Nothing that talks to a network, keeps a store or draws in an async runtime.
    for banned in
        ["tokio", "hyper", "ureq", "axum", "object_store", "redb", "rusqlite", "translog", "vault", "signer"]
    {
        let is_there = crates.iter().any(|line| line.split(' ').next() == Some(banned));
        assert!(!is_there, "`{banned}` has no place in an auditor's program");
    }
}
