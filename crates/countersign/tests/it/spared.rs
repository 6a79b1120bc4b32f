//! What a command reads is not written over, and no folder is taken for one model by one command and for another by the next.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::house::House;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/models/countersign-tiny");
const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/suites/countersign-tiny");

/// A copy of our own model, in a folder of its own.
fn copy(house: &House, name: &str) {
    let folder = house.path(name);
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(MODEL).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
}

#[track_caller]
fn refused(house: &House, line: &str, code: &str) {
    let run = house.run(line);
    assert_ne!(run.code, 0, "`{line}`: {}{}", run.out, run.err);
    assert!(run.err.contains(&format!("[{code}]")), "`{line}`: {}", run.err);
}

#[test]
fn no_output_is_put_over_what_a_command_reads() {
    let house = House::empty();
    copy(&house, "model");
    let made = Command::new("openssl")
        .args("ecparam -name prime256v1 -genkey -noout -out key.pem".split(' '))
        .current_dir(house.path("."))
        .status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED outputs over inputs: no openssl");
        return;
    }
    fs::hard_link(house.path("key.pem"), house.path("same.pem")).unwrap();
    let made = house.run("quantize model --to Q8_0 --out model.gguf");
    assert_eq!(made.code, 0, "{}", made.err);
    let watched = ["key.pem", "model.gguf", "model/model.safetensors", "model/README.md"];
    let contents = || watched.map(|name| fs::read(house.path(name)).unwrap());
    let before = contents();
    for line in [
        "sign model --key key.pem --out key.pem",
        "sign model --key key.pem --out same.pem",
        "sign model --key key.pem --out model/README.md",
        "quantize model --to Q8_0 --out model/model.safetensors",
        "quantize model.gguf --to Q4_0 --requantize --out model.gguf",
        "diff model model --html model/model.safetensors",
        "fingerprint model --out model/model.safetensors",
        "scan model --sarif model/model.safetensors",
        &format!("examine model --base model --suite {SUITE} --html model/model.safetensors"),
    ] {
        let run = house.run(line);
        assert!(run.code != 0 && run.err.contains("[CS-CLI-090]"), "`{line}`: {}{}", run.out, run.err);
        assert!(before == contents(), "`{line}` wrote over its input");
    }
    // A signature is made anew in its place, and a report too.
    for _ in 0..2 {
        let run = house.run("sign model --key key.pem --out model/model.sig");
        assert_eq!(run.code, 0, "{}", run.err);
        assert_eq!(house.run("diff model model --html report.html").code, 0);
        // Reports in the folder that they are about are read, and written anew.
        for line in [
            "fingerprint model --out model/seal.json",
            "scan model --sarif model/report.sarif --bom model/bom.json",
            "diff model model --html model/report.html",
        ] {
            let run = house.run(line);
            assert_eq!(run.code, 0, "`{line}`: {}{}", run.out, run.err);
        }
    }
    refused(&house, "fingerprint model --out model/config.json", "CS-CLI-090");
    refused(&house, "sign model --key key.pem --out model.sig --ignore model/README.md", "CS-CLI-001");
    assert_eq!(house.run("sign model --key key.pem --out model.sig --ignore README.md").code, 0);
}

#[test]
fn a_folder_of_two_models_is_taken_for_none() {
    let house = House::empty();
    copy(&house, "model");
    copy(&house, "two");
    let index = r#"{"metadata": {}, "weight_map": {"a": "a.safetensors"}}"#;
    fs::write(house.path("two/model.safetensors.index.json"), index).unwrap();
    copy(&house, "hidden");
    fs::write(house.path("hidden/adapter_config.json"), "{}").unwrap();
    fs::copy(Path::new(MODEL).join("model.safetensors"), house.path("hidden/adapter_model.safetensors"))
        .unwrap();
    for folder in ["two", "hidden"] {
        for line in [
            format!("diff model {folder}"),
            format!("fingerprint {folder}"),
            format!("quantize {folder} --to Q8_0 --out out.gguf"),
            format!("engine --model {folder} --listen 127.0.0.1:0"),
        ] {
            refused(&house, &line, "CS-CLI-089");
        }
        let scanned = house.run(&format!("scan {folder}"));
        assert!(scanned.out.contains("SCAN-FIL-011") && scanned.code == 1, "{}", scanned.out);
    }
    assert!(!house.path("out.gguf").exists());
}

#[test]
fn a_comparison_that_measured_nothing_does_not_end_well() {
    let house = House::empty();
    copy(&house, "model");
    assert_eq!(house.run("diff model model").code, 0);
    // The same weights under other names.
    let bytes = fs::read(house.path("model/model.safetensors")).unwrap();
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
    fs::create_dir(house.path("other")).unwrap();
    let renamed = header.replace("model.", "modem.");
    assert_eq!(renamed.len(), header.len());
    let other = [&bytes[..8], renamed.as_bytes(), &bytes[8 + length..]].concat();
    fs::write(house.path("other/model.safetensors"), other).unwrap();
    let run = house.run("diff model other");
    assert_eq!(run.code, 2, "{}{}", run.out, run.err);
}
