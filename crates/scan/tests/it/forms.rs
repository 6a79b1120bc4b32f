//! Reports as text, SARIF and CycloneDX, selections, and the order of things.

use std::collections::BTreeMap;

use scan::{Artefact, Entry, Error, Place, Rules, Selection, Severity, Verdict, render};
use serde_json::{Value, json};

use crate::make::{calling, f32s, one, scanned, tensors, trained};

#[test]
fn the_verdict_follows_from_the_gravest_finding() {
    assert_eq!(scanned(&one("a.md", "words\n")).verdict, Verdict::Clean);
    assert_eq!(scanned(&one("a.py", "import os\n")).verdict, Verdict::Review);
    let report = scanned(&one("a.pkl", calling("os", "system", "id")));
    assert_eq!(report.verdict, Verdict::Block);
    let first = &report.findings[0];
    assert_eq!((first.rule.as_str(), first.severity), ("SCAN-PKL-001", Severity::Error));
    assert_eq!(first.place, Place::Byte(2));
    assert!(first.message.contains("os.system"), "{}", first.message);
    let text = render::text::report(&report, &Rules::built_in().unwrap());
    assert!(text.contains("os.system") && text.lines().last().unwrap().starts_with("BLOCK: "), "{text}");
}

#[test]
fn rules_are_chosen_and_ignored_with_a_reason() {
    let rules = Rules::built_in().unwrap();
    let bytes = calling("os", "system", "id");
    let artefact = Artefact::new(vec![Entry::file("a.pkl", &bytes)]);
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let scan = |only: &[&str], ignore: &[&str]| {
        let selection = Selection::new(&rules, &words(only), &words(ignore)).unwrap();
        scan::scan(&artefact, &rules, &selection, &|_| {})
    };
    let only = scan(&["SCAN-PKL-004"], &[]);
    assert!(only.findings.iter().all(|finding| finding.rule == "SCAN-PKL-004") && !only.findings.is_empty());
    let ignored = scan(&[], &["SCAN-PKL-001=known", "SCAN-PKL-004=known too"]);
    assert_eq!(ignored.verdict, Verdict::Clean, "{:?}", ignored.findings);
    assert_eq!(ignored.ignored.len(), 2);
    assert_eq!(ignored.ignored[0].reason, "known");
    let refused = |ignore: &str| Selection::new(&rules, &[], &words(&[ignore])).unwrap_err();
    assert!(matches!(refused("SCAN-PKL-001"), Error::NoReason { .. }));
    assert!(matches!(refused("SCAN-PKL-001= "), Error::NoReason { .. }));
    assert_eq!(refused("SCAN-XXX-001=a").code(), "CS-SCN-001");
}

#[test]
fn the_report_is_the_same_whatever_the_number_of_threads() {
    let weights = tensors(&[
        f32s("a", 64, &trained(4096, 1)),
        f32s("b", 64, &[0.5; 4096]),
        f32s("c", 64, &[f32::NAN; 4096]),
    ]);
    let files: Vec<(String, Vec<u8>)> =
        (0..20).map(|at| (format!("m{at:02}.safetensors"), weights.clone())).collect();
    let rules = Rules::built_in().unwrap();
    let report = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let entries = files.iter().map(|(name, bytes)| Entry::file(name, bytes)).collect();
        pool.install(|| scan::scan(&Artefact::new(entries), &rules, &Selection::default(), &|_| {}))
    };
    assert_eq!(report(1), report(4));
}

#[test]
fn sarif_has_what_the_standard_requires() {
    let files = vec![
        ("a b/évil.pkl", calling("os", "system", "id").into()),
        ("m/config.json", r#"{"auto_map": {"AutoModel": "x.Y"}}"#.into()),
        ("t.jinja", "{{ ''.__class__ }}".into()),
    ];
    let rules = Rules::built_in().unwrap();
    let report = scanned(&files);
    let log = render::sarif::log(&report, &rules, "1.2.3");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    assert!(driver["name"].is_string());
    let descriptors = driver["rules"].as_array().unwrap();
    assert_eq!(descriptors.len(), rules.iter().count());
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), report.findings.len());
    for result in results {
        // 3.27.10, 3.49.3: the index and the id name the same rule.
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(descriptors[index]["id"], result["ruleId"]);
        assert!(["note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let physical = &result["locations"][0]["physicalLocation"];
        // 3.4.3: a URI reference holds no spaces and nothing outside ASCII.
        let uri = physical["artifactLocation"]["uri"].as_str().unwrap();
        assert!(uri.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{uri}");
        if let Some(region) = physical.get("region") {
            let line = region.get("startLine").and_then(Value::as_u64);
            assert!(line.is_some_and(|line| line >= 1) || region["byteOffset"].is_u64(), "{region}");
        }
    }
    assert!(log.to_string().contains("a%20b/%C3%A9vil.pkl"));
}

#[test]
fn the_bill_names_every_file_with_its_hash_and_licence() {
    let weights = tensors(&[f32s("a", 64, &trained(4096, 1))]);
    let card = b"---\nlicense: apache-2.0\ntags: [a]\n---\n# A model\n";
    let artefact =
        Artefact::new(vec![Entry::file("m/model.safetensors", &weights), Entry::file("m/README.md", card)]);
    let rules = Rules::built_in().unwrap();
    let report = scan::scan(&artefact, &rules, &Selection::default(), &|_| {});
    let digests = BTreeMap::from([("m/model.safetensors".to_owned(), "ab".repeat(32))]);
    let bill = render::cyclonedx::bill(&report, &render::cyclonedx::licences(&artefact), &digests, "1.2.3");
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&json!("CycloneDX"), &json!("1.6")));
    let components = bill["components"].as_array().unwrap();
    assert_eq!(components.len(), 2);
    let model = components.iter().find(|part| part["name"] == "m/model.safetensors").unwrap();
    assert_eq!(model["type"], "machine-learning-model");
    assert_eq!(model["hashes"][0]["content"], "ab".repeat(32));
    assert_eq!(model["licenses"][0]["license"]["name"], "apache-2.0");
    let refs: std::collections::BTreeSet<_> =
        components.iter().map(|part| part["bom-ref"].to_string()).collect();
    assert_eq!(refs.len(), components.len(), "every reference is unique");
}

#[test]
fn the_schema_in_docs_is_this_version_s() {
    let schema = scan::Report::json_schema().unwrap();
    expect_test::expect_file!["../../../../docs/scan-report.schema.json"].assert_eq(&schema);
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let report = scanned(&one("a.pkl", calling("os", "system", "id")));
    let json = serde_json::to_value(&report).unwrap();
    let faults: Vec<String> = validator.iter_errors(&json).map(|fault| fault.to_string()).collect();
    assert_eq!(faults, [""; 0]);
    assert_eq!(serde_json::from_value::<scan::Report>(json).unwrap(), report);
}

/// A file of a package that `cargo xtask test` fetches, or nothing, said by name.
fn sample(package: &str, file: &str) -> Option<Value> {
    let samples = std::env::var_os("COUNTERSIGN_SAMPLES").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/samples"),
        std::path::PathBuf::from,
    );
    let Ok(text) = std::fs::read(samples.join(package).join(file)) else {
        println!("SKIPPED the schema of `{package}`: `{file}` is absent");
        return None;
    };
    Some(serde_json::from_slice(&text).unwrap())
}

/// Reports with findings at every kind of place, of every weight, with names that need escaping, and of nothing at all.
fn reports() -> Vec<scan::Report> {
    let hostile = Artefact::new(Vec::new());
    let rules = Rules::built_in().unwrap();
    let mut reports = vec![scan::scan(&hostile, &rules, &Selection::default(), &|_| {})];
    let bytes = calling("os", "system", "id");
    let nan = tensors(&[f32s("layers.0.<b>&é", 64, &[f32::NAN; 4096]), f32s("b", 64, &trained(4096, 1))]);
    let entries = vec![
        Entry::file("a b/ü%20#.pkl", &bytes),
        Entry::file("model.safetensors", &nan),
        Entry::file("config.json", br#"{"auto_map": {"AutoModel": "x.Y"}, "model_type": "llama"}"#),
        Entry::file("chat_template.jinja", b"{{ ''.__class__.__mro__ }}"),
        Entry::file("run.sh", b"#!/bin/sh\nid\n"),
        Entry::file("readme.md", b"words"),
    ];
    reports.push(scan::scan(&Artefact::new(entries), &rules, &Selection::default(), &|_| {}));
    let words = ["SCAN-PKL-001=known".to_owned()];
    let ignoring = Selection::new(&rules, &[], &words).unwrap();
    let one = Artefact::new(vec![Entry::file("a.pkl", &bytes)]);
    reports.push(scan::scan(&one, &rules, &ignoring, &|_| {}));
    reports
}

#[track_caller]
fn valid(validator: &jsonschema::Validator, document: &Value) {
    let faults: Vec<String> =
        validator.iter_errors(document).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert_eq!(faults, [""; 0], "{document:#}");
}

#[test]
fn sarif_is_what_its_schema_allows() {
    let Some(mut schema) = sample("serde-sarif", "schema.json") else { return };
    // The standard's pattern of a language has a bracket too many, which strict readers of patterns refuse.
    for of in ["run", "toolComponent"] {
        let pattern = format!("/definitions/{of}/properties/language/pattern");
        *schema.pointer_mut(&pattern).unwrap() = json!("^[a-zA-Z]{2}");
    }
    let validator = jsonschema::validator_for(&schema).unwrap();
    let rules = Rules::built_in().unwrap();
    for report in reports() {
        let document = render::sarif::log(&report, &rules, "1.2.3");
        valid(&validator, &document);
        let mut other = document;
        other["runs"][0]["tool"]["driver"]["name"] = json!(4);
        assert!(!validator.is_valid(&other));
    }
}

#[test]
fn cyclonedx_is_what_its_schema_allows() {
    let package = "cyclonedx-python-lib";
    let Some(schema) = sample(package, "bom-1.6.SNAPSHOT.schema.json") else { return };
    let mut registry = jsonschema::Registry::new();
    for file in ["spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json"] {
        let Some(other) = sample(package, file) else { return };
        registry = registry.add(format!("http://cyclonedx.org/schema/{file}"), other).unwrap();
    }
    let registry = registry.prepare().unwrap();
    let validator = jsonschema::options().with_registry(&registry).build(&schema).unwrap();
    let text = |text: &str| text.to_owned();
    let licences =
        BTreeMap::from([(text(""), text("apache-2.0")), (text("a b"), text("Our Community \"Licence\" v2"))]);
    let digests = BTreeMap::from([(text("model.safetensors"), "ab".repeat(32))]);
    for report in reports() {
        let document = render::cyclonedx::bill(&report, &licences, &digests, "1.2.3");
        valid(&validator, &document);
        let mut other = document;
        other["specVersion"] = json!(4);
        assert!(!validator.is_valid(&other));
    }
}
