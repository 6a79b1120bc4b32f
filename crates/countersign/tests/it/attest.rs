//! Attestation on the command line: a simulated TPM, and evidence of real hosts where the samples are.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::house::House;

const DIGEST: &str = "19b25856e1c150ca834cffc8b59b23adbd0ec0389e58eb22b3b64768098d002b";
const OTHER: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";

/// `swtpm` in the house's folder, ended at the end.
struct Swtpm(PathBuf);

impl Swtpm {
    fn start(house: &House) -> Option<Self> {
        let path = |name: &str| house.path(name).display().to_string();
        std::fs::create_dir(house.path("state")).unwrap();
        let started = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--daemon"])
            .args(["--tpmstate", &format!("dir={}", path("state"))])
            .args(["--server", &format!("type=unixio,path={}", path("tpm.sock"))])
            .args(["--ctrl", &format!("type=unixio,path={}", path("tpm.sock.ctrl"))])
            .args(["--pid", &format!("file={}", path("pid"))])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if started.is_ok_and(|status| status.success()) {
            return Some(Self(house.path("pid")));
        }
        println!("SKIPPED attestation on the command line: `swtpm` absent");
        None
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(&self.0).unwrap();
        let ended = Command::new("kill").arg(pid.trim()).status().unwrap();
        assert!(ended.success() || std::thread::panicking());
    }
}

#[track_caller]
fn refused(house: &House, line: &str, code: &str) {
    let run = house.run(&format!("--json {line}"));
    let answer: serde_json::Value =
        serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{line}: {}", run.out));
    assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
}

#[test]
fn a_simulated_tpm_attests_a_run_and_the_answer_says_that_it_is_simulated() {
    let house = House::empty();
    let Some(_swtpm) = Swtpm::start(&house) else { return };
    let tpm = format!("--tpm swtpm:path={}", house.path("tpm.sock").display());
    let key = house.json(&format!("attest key {tpm}"));
    assert_eq!(key["simulated"], true);
    let name = key["key"].as_str().unwrap();
    let quote = format!(
        "attest quote --worker-digest {DIGEST} --input {DIGEST} --input {OTHER} --trace-root {DIGEST} --nonce 0102030405060708"
    );
    let said = house.ok(&format!("{quote} {tpm} --pcr 0 --pcr 16 --out run.attestation"));
    assert!(said.contains("SIMULATED"), "{said}");
    let policy = |simulated: bool| {
        format!(
            r#"{{"format":"countersign-attestation-policy-1","allow_simulated":{simulated},"tpm2":{{"simulated_keys":["{name}"]}},"tiers":[{{"tier":"high","hosts":["tpm2"]}},{{"tier":"medium","hosts":["tdx"]}}]}}"#
        )
    };
    house.write("policy.json", policy(true).as_bytes());
    house.write("strict.json", policy(false).as_bytes());
    let verify = "attest verify run.attestation --policy policy.json";
    let said = house.ok(&format!("{verify} --nonce 0102030405060708 --tier high --worker-digest {DIGEST}"));
    assert!(said.contains("key-pinned") && said.contains("SIMULATED"), "{said}");
    let answer = house.json(&format!("{verify} --nonce 0102030405060708"));
    assert_eq!(answer["hosts"][0]["kind"], "tpm2");
    assert_eq!(answer["hosts"][0]["simulated"], true);
    assert_eq!(answer["claims"]["worker"], DIGEST);
    for (line, code) in [
        (format!("{verify} --nonce 0102030405060709"), "CS-EVI-030"),
        (format!("{verify} --worker-digest {OTHER}"), "CS-EVI-031"),
        (format!("{verify} --trace-root {OTHER}"), "CS-EVI-031"),
        (format!("{verify} --tier medium"), "CS-EVI-032"),
        ("attest verify run.attestation".to_owned(), "CS-EVI-017"),
        ("attest verify run.attestation --policy strict.json".to_owned(), "CS-EVI-019"),
        ("attest verify policy.json".to_owned(), "CS-EVI-001"),
        (format!("{quote} {tpm} --pcr 24"), "CS-ATT-006"),
        (format!("{quote} {tpm} --tpm-key 0x81000001"), "CS-ATT-005"),
        (format!("{quote} {tpm} --tpm-key 0x80000001"), "CS-CLI-001"),
        (format!("{quote} --tpm nonsense"), "CS-ATT-001"),
        (format!("{quote} --tpm swtpm:path=absent.sock"), "CS-ATT-002"),
    ] {
        refused(&house, &line, code);
    }
    // The label that nobody signs is taken off: what the key quotes is simulated all the same.
    let file = std::fs::read_to_string(house.path("run.attestation")).unwrap();
    let unlabelled = file.replace("\"simulated\":true", "\"simulated\":false");
    assert_ne!(file, unlabelled);
    house.write("unlabelled.attestation", unlabelled.as_bytes());
    refused(&house, "attest verify unlabelled.attestation --policy strict.json", "CS-EVI-019");
    let said = house.ok("attest verify unlabelled.attestation --policy policy.json");
    assert!(said.contains("SIMULATED"), "{said}");
    // A worker of another name in the claims is not what was quoted.
    house.write(
        "twin.attestation",
        file.replace(&format!("\"worker\":\"{DIGEST}\""), &format!("\"worker\":\"{OTHER}\"")).as_bytes(),
    );
    refused(&house, "attest verify twin.attestation --policy policy.json", "CS-EVI-011");
}

#[test]
fn evidence_by_itself_is_verified_against_what_it_must_be_bound_to() {
    let house = House::empty();
    let named = std::env::var_os("COUNTERSIGN_SAMPLES").map(PathBuf::from);
    let samples =
        named.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/samples")));
    let files = ["dcap-qvl/tdx_quote", "dcap-qvl/tdx_quote_collateral.json"];
    for file in files {
        let Ok(bytes) = std::fs::read(samples.join(file)) else {
            println!("SKIPPED a quote of TDX on the command line: `{file}` absent");
            return;
        };
        house.write(file, &bytes);
    }
    let quote = std::fs::read(samples.join(files[0])).unwrap();
    // The report data ends the body: 48 bytes of head and 584 of body.
    let data = &quote[48 + 520..48 + 584];
    let data = data.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let verify = "attest verify dcap-qvl/tdx_quote --raw tdx --collateral dcap-qvl/tdx_quote_collateral.json";
    let said = house.ok(&format!("{verify} --data {data} --at 1751328000"));
    assert!(said.contains("Intel TDX: up-to-date"), "{said}");
    refused(&house, &format!("{verify} --data {DIGEST} --at 1751328000"), "CS-EVI-011");
    refused(&house, &format!("{verify} --data {data} --at 1900000000"), "CS-EVI-021");
    refused(&house, &format!("{verify} --at 1751328000"), "CS-CLI-001");
    refused(&house, &format!("attest verify dcap-qvl/tdx_quote --raw tdx --data {data}"), "CS-EVI-020");
    refused(&house, &format!("attest verify dcap-qvl/tdx_quote --raw sev-snp --data {data}"), "CS-EVI-010");
}

#[test]
fn a_finding_carries_what_its_host_says_and_the_auditor_judges_it() {
    let house = House::staffed();
    let Some(_swtpm) = Swtpm::start(&house) else { return };
    let tpm = format!("--tpm swtpm:path={}", house.path("tpm.sock").display());
    let key = house.json(&format!("attest key {tpm}"))["key"].as_str().unwrap().to_owned();
    let change = house.proposed("--adapter within");
    house.refused(&format!("examine {change} --by erik --tpm swtpm:path=absent.sock"), "CS-ATT-002");
    house.refused(&format!("examine {change} --base within --attest"), "CS-CLI-001");
    house.ok(&format!("examine {change} --by erik --attest {tpm}"));
    house.ok(&format!("trace show {change}"));

    let root = house.json("export --out record.export")["root"].as_str().unwrap().parse().unwrap();
    let bytes = std::fs::read(house.path("record.export")).unwrap();
    let outcome = |simulated: bool, keys: &str| {
        let policy = format!(
            r#"{{"format":"countersign-attestation-policy-1","allow_simulated":{simulated},"tpm2":{{"simulated_keys":[{keys}]}}}}"#
        );
        let attestation = Some(evidence::Policy::parse(policy.as_bytes()).unwrap());
        let expected = audit::Expectations { root: Some(root), attestation, ..audit::Expectations::none() };
        let report = audit::audit(&bytes, &expected).unwrap();
        let findings = report.changes.iter().flat_map(|change| &change.findings);
        let found: Vec<_> = findings.flat_map(|finding| finding.attestations.clone()).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    };
    let named = format!("\"{key}\"");
    let holds = outcome(true, &named);
    assert_eq!(holds.outcome, audit::report::Attested::Holds, "{holds:?}");
    assert!(holds.hosts.len() == 1 && holds.hosts[0].simulated, "{holds:?}");
    for (simulated, keys, code) in [(false, named.as_str(), "CS-EVI-019"), (true, "", "CS-EVI-017")] {
        let found = outcome(simulated, keys);
        assert_eq!(found.outcome, audit::report::Attested::NotAccepted, "{found:?}");
        assert_eq!(found.code.as_deref(), Some(code), "{found:?}");
    }
}
