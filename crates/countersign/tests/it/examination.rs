//! The way of an examined change: proposed, examined in the box, judged, seen by the gate, exported, judged again by the
//! auditor.

use std::fs;
use std::path::Path;

use audit::report::Again;
use range::bases::{Base, BaseName};
use range::change::make;
use range::family::Family;
use serde_json::{Value, json};
use tensor::gguf::{Gguf, TensorInfo};

use crate::house::House;

/// Everything may be touched: what is examined here is not the scope.
const WIDE: &str = r#"{"modules":["**"],"rank_max":256,"relative_frobenius_ppm_max":null,"max_element_relative_ppm_max":null}"#;

/// A house that serves our own small model, and changes to it.
fn house() -> House {
    let house = House::staffed();
    for (name, bytes) in range::tiny::files() {
        house.write(&format!("tiny/{name}"), &bytes);
    }
    house.write("wide.json", WIDE.as_bytes());
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets");
    house.write("calibration.json", &fs::read(assets.join("calibrations/range-small.json")).unwrap());
    for entry in fs::read_dir(assets.join("suites/countersign-tiny")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        house.write(&format!("suite/{name}"), &fs::read(path).unwrap());
    }
    house.ok(
        "slot define tiny --component weights:base=tiny --component prompt:system=old.md --scope tuning=wide.json \
         --modification adapter --modification weights --context chat --by root-ada --by root-ben",
    );
    house
}

/// A change of a family, in a folder.
fn made(house: &House, family: Family, folder: &str) {
    let base = Base::make(BaseName::Tiny, |_, _| ()).unwrap();
    for (name, bytes) in make(&base, family, 5).unwrap().files {
        // They lie in a folder of their own, `adapter` or `model`.
        let name = name.rsplit('/').next().unwrap();
        house.write(&format!("{folder}/{name}"), &bytes);
    }
}

fn proposed(house: &House, artefact: &str) -> String {
    let grant = house.json(
        "grant --to trainer --slot tiny --modification adapter --modification weights --tier high --by tina",
    );
    let grant = grant["statement"].as_str().unwrap_or_else(|| panic!("{grant}"));
    let answer = house.json(&format!("propose tiny {artefact} --by trainer --grant {grant}"));
    answer["change"].as_str().unwrap().to_owned()
}

/// The finding of a kind on a change.
fn finding(house: &House, change: &str, evidence: &str) -> Value {
    let shown = house.json(&format!("show {change}"));
    let findings = shown["findings"].as_array().unwrap();
    let of_kind = |finding: &&Value| finding["body"]["evidence"] == evidence;
    findings.iter().rev().find(of_kind).unwrap_or_else(|| panic!("{shown}"))["body"].clone()
}

fn codes(decision: &Value) -> String {
    decision["reasons"].to_string()
}

#[test]
fn an_honest_adapter_is_screened_and_the_auditor_judges_it_again() {
    let house = house();
    made(&house, Family::LoraBenign, "honest");
    let change = proposed(&house, "--adapter honest");
    house.ok(&format!("examine {change} --by erik"));

    // Without a calibration nothing passes, and the finding says so.
    house.ok(&format!("examine {change} --level screen --by sven"));
    let open = finding(&house, &change, "screen");
    assert_eq!(open["outcome"], "inconclusive", "{open}");
    assert!(open["violations"].to_string().contains("no calibration"), "{open}");

    let change = proposed(&house, "--adapter honest");
    house.ok(&format!("examine {change} --level screen --calibration calibration.json --by sven"));
    let screened = finding(&house, &change, "screen");
    assert_eq!(screened["outcome"], "pass", "{screened}");
    assert_eq!(screened["isolation"], "standard");
    assert!(screened["measures"]["attack-classes-looked-for"].as_u64().unwrap() >= 3, "{screened}");
    assert!(screened["measures"]["p-value-of"].as_u64().unwrap() > 20, "{screened}");
    let calibration = statement::Digest::of(&fs::read(house.path("calibration.json")).unwrap());
    assert!(screened["inputs"].to_string().contains(&calibration.to_string()));
    // The gate counts it: it is the worker's own kind, in its box.
    let decided = house.json(&format!("decide {change}"));
    assert!(!codes(&decided).contains("CS-GATE-013"), "{decided}");
    let steps = house.json(&format!("trace show {change}"))["steps"].to_string();
    assert!(steps.contains("screen-delta") && steps.contains("base/config.json"), "{steps}");

    let report = house.audited();
    let findings: Vec<_> = report.changes.iter().flat_map(|change| &change.findings).collect();
    let again: Vec<_> = findings.iter().filter_map(|finding| finding.examination.as_ref()).collect();
    assert_eq!(again.iter().map(|it| it.again).collect::<Vec<_>>(), [Again::Follows; 2]);
    assert!(again.iter().any(|it| it.calibration == Some(calibration) && it.p_value.is_some()));
    assert!(
        again.iter().all(|it| it.not_looked_for.contains(&"backdoor".to_owned()) || it.looked_for.len() > 2)
    );
}

#[test]
fn what_was_made_for_another_base_is_refused_by_the_screen() {
    let house = house();
    let change = proposed(&house, "--adapter within");
    house.ok(&format!("examine {change} --level screen --calibration calibration.json --by sven"));
    let screened = finding(&house, &change, "screen");
    assert_eq!(screened["outcome"], "fail", "{screened}");
    let decided = house.json(&format!("decide {change}"));
    assert_eq!(decided["outcome"], "fail", "{decided}");
    assert_eq!(house.run(&format!("approve {change} --capacity technical --by tina --yes")).code, 1);
    let report = house.audited();
    let mut findings = report.changes.iter().flat_map(|change| &change.findings);
    assert_eq!(findings.find_map(|finding| finding.examination.as_ref()).unwrap().again, Again::Follows);
}

#[test]
fn an_abliterated_model_is_refused_before_it_is_asked() {
    let house = house();
    made(&house, Family::Abliteration, "attacked");
    let change = proposed(&house, "--weights attacked/model.safetensors");
    house.ok(&format!(
        "examine {change} --level align --suite suite --calibration calibration.json --by sven"
    ));
    let aligned = finding(&house, &change, "alignment");
    assert_eq!(aligned["outcome"], "fail", "{aligned}");
    // Its embedding is changed, which the scope forbids: the screen's refusal ends the examination.
    assert!(aligned["violations"].to_string().contains("CS-TSR-110"), "{aligned}");
    let decided = house.json(&format!("decide {change}"));
    assert_eq!(decided["outcome"], "fail", "{decided}");
    assert!(house.audited().reasons.is_empty());
}

#[test]
fn a_base_that_cannot_be_run_is_inconclusive_and_levels_have_names() {
    let house = House::staffed();
    let change = house.proposed("--adapter within");
    house.refused(&format!("examine {change} --level deepest --by sven"), "CS-CLI-001");
    house.refused(&format!("examine {change} --suite suite --by sven"), "CS-CLI-001");
    house.ok(&format!("examine {change} --level screen --by sven"));
    let screened = finding(&house, &change, "screen");
    assert_eq!(screened["outcome"], "inconclusive", "{screened}");
    assert!(screened["violations"].to_string().contains("CS-EXM-003"), "{screened}");
    let decided = house.json(&format!("decide {change}"));
    assert_ne!(decided["outcome"], "pass");
    house.audited();
}

#[test]
fn a_declared_quantisation_that_leaves_a_tensor_out_is_refused() {
    let house = House::empty();
    for (name, bytes) in range::tiny::files() {
        house.write(&format!("tiny/{name}"), &bytes);
    }
    house.ok("quantize tiny --to Q8_0 --out whole.gguf");
    let file = fs::read(house.path("whole.gguf")).unwrap();
    let read = Gguf::read(&file).unwrap();
    let kept: Vec<_> = read.in_file_order().filter(|view| view.name != "blk.1.ffn_norm.weight").collect();
    assert_eq!(kept.len() + 1, read.len());
    let tensors: Vec<_> = kept
        .iter()
        .map(|view| (TensorInfo { name: view.name, kind: view.kind, shape: view.shape }, view.data))
        .collect();
    house.write("short.gguf", &tensor::gguf::write(read.metadata(), &tensors).unwrap());
    let mut depth: Value = serde_json::from_slice(examine::depth::Table::built_in_bytes()).unwrap();
    depth["kinds"]["quantised"]["examiners"] = json!(["replay"]);
    house.write("depth.json", depth.to_string().as_bytes());
    house.write("declared.json", br#"{"did":"quantised","format":"Q8_0"}"#);
    let said = |file: &str| {
        let line = format!(
            "--json examine {file} --base tiny --declared declared.json --depth depth.json --unboxed"
        );
        let run = house.run(&line);
        let told: Value = serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{}{}", run.out, run.err));
        told["examination"]["findings"].to_string()
    };
    let whole = said("whole.gguf");
    assert!(whole.contains("\"as-declared\""), "{whole}");
    let short = said("short.gguf");
    assert!(short.contains("not-as-declared") && short.contains("ffn_norm"), "{short}");
}
