//! The log: proofs, serving, witnesses elsewhere, forks and roll-backs.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use merkle::{Hash, LogProof, SignedCheckpoint, VerifierKey, WitnessPolicy, verify_consistency};
use serde_json::Value;

use crate::house::{House, check_refusal, copy, files};

/// A program that serves, ended with its test.
struct Served {
    child: Child,
    lines: Vec<String>,
    url: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        // It is this test's own child; that it has ended already is no matter.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts a command that says where it listens.
fn serve(house: &House, line: &str) -> Served {
    let child = house.command(line).stdout(Stdio::piped()).spawn().unwrap();
    let mut served = Served { child, lines: Vec::new(), url: String::new() };
    let mut output = BufReader::new(served.child.stdout.take().unwrap());
    while served.url.is_empty() {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended: {:?}", served.lines);
        match line.trim_end().strip_prefix("listening on ") {
            Some(url) => url.clone_into(&mut served.url),
            None => served.lines.push(line.trim_end().to_owned()),
        }
    }
    served
}

fn fetch(url: &str) -> (u16, Vec<u8>) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = agent.get(url).call().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_vec().unwrap())
}

fn settings(house: &House) -> Value {
    serde_json::from_slice(&fs::read(house.path("realm/realm.json")).unwrap()).unwrap()
}

fn log_key(house: &House) -> VerifierKey {
    settings(house)["log_key"].as_str().unwrap().parse().unwrap()
}

fn enrol(house: &House, name: &str) {
    house.ok(&format!("key new {name} --service"));
    house.ok(&format!("key enrol {name} --person {name} --role examiner --by root-ada --by root-ben"));
}

fn head(house: &House) -> SignedCheckpoint {
    SignedCheckpoint::parse(house.ok("log head").as_bytes()).unwrap()
}

/// Starts a witness of the house's log; answers it and its verifier key.
fn witness(house: &House) -> (Served, String) {
    let key = log_key(house);
    let line = format!(
        "witness --state w --key w.key --name example.com/w --log countersign/acme={key} --listen 127.0.0.1:0"
    );
    fs::create_dir_all(house.path("w")).unwrap();
    let served = serve(house, &line);
    let verifier =
        served.lines.iter().find_map(|line| line.strip_prefix("verifier key: ")).unwrap().to_owned();
    (served, verifier)
}

#[test]
fn proofs_verify_elsewhere() {
    let house = House::founded();
    let before = head(&house);
    enrol(&house, "erik");
    let after = head(&house);
    let witness: VerifierKey = settings(&house)["local_witness"].as_str().unwrap().parse().unwrap();
    let policy = WitnessPolicy::new(vec![witness], 1).unwrap();
    for index in 0..after.claims().size() {
        let entry = house.json(&format!("log entry {index}"));
        let leaf: Hash = entry["leaf_hash"].as_str().unwrap().parse().unwrap();
        let text = house.ok(&format!("log prove {index}"));
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\n"), "{text}");
        let proof = LogProof::parse(text.as_bytes()).unwrap();
        let included = proof.verify(&leaf, "countersign/acme", &[log_key(&house)], &policy).unwrap();
        assert_eq!(included.index(), index);
        let other: Hash = Hash::of(b"another");
        let again = LogProof::parse(text.as_bytes()).unwrap();
        assert!(again.verify(&other, "countersign/acme", &[log_key(&house)], &policy).is_err());
    }
    let (old, new) = (before.claims(), after.claims());
    let answer = house.json(&format!("log consistency {} {}", old.size(), new.size()));
    let proof: Vec<Hash> = answer["proof"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hash| hash.as_str().unwrap().parse().unwrap())
        .collect();
    verify_consistency(old.size(), new.size(), &proof, old.root(), new.root()).unwrap();
    house.refused("log entry 400", "CS-LOG-011");
    house.refused("log prove 400", "CS-LOG-011");
    house.refused("log consistency 3 400", "CS-LOG-011");
    house.refused("log consistency 4 3", "CS-LOG-011");
}

#[test]
fn tiles_are_served_and_nothing_else() {
    let house = House::founded();
    let served = serve(&house, "log serve --listen 127.0.0.1:0");
    let size = head(&house).claims().size();
    let tiles = house.path("realm/log/tiles");
    for (path, file) in [
        ("checkpoint".to_owned(), "checkpoint".to_owned()),
        (format!("tile/0/000.p/{size}"), format!("tile/0/000.p/{size}")),
        (format!("tile/entries/000.p/{size}"), format!("tile/entries/000.p/{size}")),
    ] {
        assert_eq!(
            fetch(&format!("{}/{path}", served.url)),
            (200, fs::read(tiles.join(file)).unwrap()),
            "{path}"
        );
    }
    for path in [
        "tile/0/000.p/255",
        "tile/0/001",
        "tile/0/0",
        "tile/../../realm.json",
        "tile/%2e%2e/lock",
        "realm.json",
    ] {
        assert_eq!(fetch(&format!("{}/{path}", served.url)).0, 404, "{path}");
    }
    // Two cannot have one port.
    let port = served.url.trim_start_matches("http://");
    house.refused(&format!("log serve --listen {port}"), "CS-CLI-004");
}

#[test]
fn a_witness_elsewhere_cosigns_and_refuses_forks() {
    let house = House::founded();
    copy(&house.path("realm"), &house.path("early"));
    let (served, key) = witness(&house);
    house.refused("log witness add --url nowhere --key x", "CS-MRK-024");
    house.refused(&format!("log witness add --url nowhere --key {key}"), "CS-CLI-001");
    house.refused(&format!("log witness add --url http://127.0.0.1:1 --key {key}"), "CS-CLI-004");
    let added = house.json(&format!("log witness add --url {} --key {key}", served.url));
    assert_eq!(added["in_trust_root"], false);
    house.refused(&format!("log witness add --url {} --key {key}", served.url), "CS-CLI-001");
    assert_eq!(house.json("log witness list")[0]["key"], Value::String(key.clone()));
    enrol(&house, "erik");
    let text = house.ok("log head");
    assert!(text.contains("— example.com/w "), "{text}");

    // An older copy of the realm: the witness has seen more.
    fs::copy(house.path("realm/realm.json"), house.path("early/realm.json")).unwrap();
    copy(&house.path("early"), &house.path("fork"));
    // The copy's own witness goes with the copy, and sees no harm.
    let line = "--home early decide 3f0c";
    let run = house.run(line);
    check_refusal(line, &run, "CS-CLI-014");
    assert!(run.err.contains("has cosigned 4 leaves, and here are 3"), "{}", run.err);

    // The copy, gone on by as much in another way: both checkpoints are the evidence.
    house.ok("--home fork key new mallory --service");
    let line = "--home fork key enrol mallory --person mallory --role examiner --by root-ada --by root-ben";
    let run = house.run(line);
    check_refusal(line, &run, "CS-CLI-014");
    assert!(
        run.err.contains("has forked at size `4`") && run.err.contains("countersign/acme\n4\n"),
        "{}",
        run.err
    );
    let evidence: Vec<String> =
        files(&house.path("w/forks")).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let forked = fs::read_to_string(house.path("fork/log/tiles/checkpoint")).unwrap();
    let honest = house.ok("log head");
    let root = |text: &str| text.lines().nth(2).unwrap().to_owned();
    assert!(
        evidence.iter().any(|text| text.contains(&root(&forked)) && text.contains(&root(&honest))),
        "{evidence:?}"
    );

    // A witness that is away stops nobody; it is said.
    drop(served);
    house.ok("key new fred --service");
    let line = "key enrol fred --person fred --role examiner --by root-ada --by root-ben";
    let run = house.run(line);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("not cosigned by a witness"), "{}", run.err);
    let url = house.json("log witness list")[0]["url"].as_str().unwrap().to_owned();
    house.ok(&format!("log witness remove --url {url}"));
    house.refused(&format!("log witness remove --url {url}"), "CS-CLI-002");
    assert_eq!(house.json("log witness list"), serde_json::json!([]));
}

#[test]
fn a_log_that_was_rolled_back_is_refused_with_both_checkpoints() {
    let house = House::founded();
    copy(&house.path("realm/log"), &house.path("old"));
    let before = house.ok("log head");
    enrol(&house, "erik");
    let after = house.ok("log head");
    fs::remove_dir_all(house.path("realm/log")).unwrap();
    copy(&house.path("old"), &house.path("realm/log"));
    for line in
        ["list", "log fsck", "key enrol erik --person erik --role examiner --by root-ada --by root-ben"]
    {
        let told = house.refused(line, "CS-CLI-014");
        for head in [&before, &after] {
            let text = head.lines().take(3).collect::<Vec<_>>().join("\n");
            assert!(told.contains(&text), "`{line}` does not show {text}: {told}");
        }
    }
}
