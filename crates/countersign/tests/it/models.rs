//! `fingerprint`, `sign` and `verify`, as a person uses them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tensor::safetensors::{Dtype, SafeTensors, write};

use crate::house::House;

/// A folder with a model in two shards, and a key that OpenSSL made.
fn house() -> Option<House> {
    let house = House::empty();
    let values: Vec<u8> = (0..200_000_u32)
        .flat_map(|number| (f32::from(u16::try_from(number % 60_000).unwrap()) / 1024.0).to_le_bytes())
        .collect();
    let shape = [200, 1000];
    let row = |name, from: usize| (name, Dtype::F32, &shape[1..], &values[from..from + 4000]);
    let big = ("model.layers.0.mlp.up_proj.weight", Dtype::F32, shape.as_slice(), values.as_slice());
    let bias = row("model.layers.0.mlp.up_proj.bias", 0);
    let norm = row("model.norm.weight", 8000);
    house.write("m/a.safetensors", &write(&[big, bias]).unwrap());
    house.write("m/b.safetensors", &write(&[norm]).unwrap());
    house.write("m/config.json", b"{}\n");
    house.write("one/model.safetensors", &write(&[norm, bias, big]).unwrap());
    let openssl = |arguments: &str| {
        Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(house.path("."))
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let made = openssl("ecparam -name prime256v1 -genkey -noout -out key.pem")
        && openssl("ec -in key.pem -pubout -out pub.pem")
        && openssl("ecparam -name secp384r1 -genkey -noout -out other.pem")
        && openssl("ec -in other.pem -pubout -out other-pub.pem");
    if !made {
        eprintln!("SKIPPED signing by the command line: no openssl");
        return None;
    }
    Some(house)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[track_caller]
fn refused(house: &House, line: &str, code: &str) -> String {
    let run = house.run(line);
    assert_eq!(run.code, 1, "`{line}`: {}{}", run.out, run.err);
    assert!(run.err.contains(&format!("refused [{code}]")), "`{line}`: {}", run.err);
    run.err
}

#[test]
fn one_model_has_one_seal_in_shards_and_in_one_file() {
    let Some(house) = house() else { return };
    let sharded = json(&house.ok("fingerprint m --rule exact --rule 4-bit --rule mixed --json"));
    // The index of the shards stands for them.
    for part in ["a", "b"] {
        let name = format!("{part}.safetensors");
        house.write(&format!("i/{name}"), &fs::read(house.path(&format!("m/{name}"))).unwrap());
    }
    let (up, norm) = ("model.layers.0.mlp.up_proj", "model.norm.weight");
    let map = serde_json::json!({ format!("{up}.weight"): "a.safetensors", format!("{up}.bias"): "a.safetensors",
                                  norm: "b.safetensors" });
    let index = serde_json::json!({ "metadata": {}, "weight_map": map }).to_string();
    house.write("i/model.safetensors.index.json", index.as_bytes());
    for path in ["i", "i/model.safetensors.index.json"] {
        let by_index =
            json(&house.ok(&format!("fingerprint {path} --rule exact --rule 4-bit --rule mixed --json")));
        assert_eq!(by_index["seals"], sharded["seals"], "{path}");
    }
    let whole =
        json(&house.ok("fingerprint one/model.safetensors --rule exact --rule 4-bit --rule mixed --json"));
    assert_eq!(sharded, whole);
    assert_eq!(sharded["seals"][0]["tensors"], 3);
    let text = house.ok("fingerprint m --rule 2-bit");
    assert!(text.contains("smaller changes need the `exact` seal"), "{text}");
}

#[test]
fn a_changed_weight_is_named_and_its_difference_composes() {
    let Some(house) = house() else { return };
    house.ok("fingerprint m --out base.seal");
    house.ok("fingerprint one --against base.seal");
    let bytes = fs::read(house.path("one/model.safetensors")).unwrap();
    let file = SafeTensors::read(&bytes).unwrap();
    let at = file.view("model.layers.0.mlp.up_proj.weight").unwrap().data.as_ptr() as usize
        - bytes.as_ptr() as usize;
    let mut changed = bytes.clone();
    // The lowest bit of one weight in the last block.
    changed[at + 4 * 199_999] ^= 1;
    house.write("one/model.safetensors", &changed);
    let told = refused(&house, "fingerprint one --against base.seal", "CS-SEL-015");
    assert!(told.contains("block 3 of tensor `model.layers.0.mlp.up_proj.weight`"), "{told}");
    let difference = json(&house.ok("fingerprint one --base base.seal --out change.seal --json"));
    assert_eq!(difference["changes"].as_array().unwrap().len(), 1);
    assert_eq!(difference["changes"][0]["blocks"], 1);
    let size = |name: &str| fs::metadata(house.path(name)).unwrap().len();
    assert!(size("change.seal") < size("base.seal"));
    // Far below what four bits resolve.
    let low = |path: &str| {
        json(&house.ok(&format!("fingerprint {path} --rule 4-bit --json")))["seals"][0]["root"].clone()
    };
    assert_eq!(low("one"), low("m"));
}

#[test]
fn a_rule_file_counts_only_as_it_was_signed() {
    let Some(house) = house() else { return };
    let rule = house.ok("fingerprint --print-rule mixed");
    house.write("rule.json", rule.as_bytes());
    house.ok("sign rule.json --key key.pem --out rule.sig");
    let signed = "fingerprint m --rule rule.json --rule-signature rule.sig --public-key pub.pem";
    let told = house.ok(signed);
    assert!(told.contains("mixed-8-4"), "{told}");
    refused(&house, &signed.replace("pub.pem", "other-pub.pem"), "CS-SEL-025");
    house.write("rule.json", rule.replace("bits-4", "bits-2").as_bytes());
    refused(&house, signed, "CS-SEL-033");
}

#[test]
fn a_running_process_is_checked_by_what_it_has_mapped() {
    let Some(house) = house() else { return };
    house.ok("fingerprint one --out base.seal");
    let line = |process: u32| {
        format!("fingerprint one/model.safetensors --against base.seal --running {process} --blocks 3")
    };
    let told = refused(&house, &line(std::process::id()), "CS-CLI-022");
    assert!(told.contains("has not mapped"), "{told}");
    let script = "import mmap, sys\n\
        file = open(sys.argv[1], 'rb')\n\
        held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)\n\
        print('mapped', flush=True)\n\
        sys.stdin.read()\n";
    let child = Command::new("python3")
        .args(["-c", script])
        .arg(house.path("one/model.safetensors"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("SKIPPED spot check of a running process: no python3");
        return;
    };
    let mut said = [0; 7];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
    let told = json(&house.ok(&format!("{} --json", line(child.id()))));
    assert_eq!((told["checked"].clone(), told["blocks"].clone()), (Value::from(3), Value::from(6)));
    // A weight of the file that is served changes where it lies.
    let all = line(child.id()).replace("--blocks 3", "--blocks 6");
    let path = house.path("one/model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let last = bytes.len() as u64 - 1;
    std::os::unix::fs::FileExt::write_at(&file, &[bytes[bytes.len() - 1] ^ 1], last).unwrap();
    refused(&house, &all, "CS-SEL-015");
    // The good file is put in its place, and the process still has the other.
    house.write("good", &bytes);
    fs::rename(house.path("good"), &path).unwrap();
    refused(&house, &all, "CS-CLI-022");
    // Its input ends, and so does it.
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn what_is_signed_verifies_and_what_differs_does_not() {
    let Some(house) = house() else { return };
    for method in ["files", "shards"] {
        for hash in ["sha256", "blake2b", "blake3"] {
            house.ok(&format!("sign m --key key.pem --method {method} --hash {hash} --out m/model.sig"));
            house.ok("verify m --signature m/model.sig --public-key pub.pem");
        }
    }
    house.ok("sign m --key key.pem --out m.sig");
    let verify = "verify m --signature m.sig --public-key pub.pem";
    let told = refused(&house, "sign m --key pub.pem --out x.sig", "CS-CLI-015");
    assert!(told.contains("no unencrypted private key"), "{told}");
    house.ok(verify);
    let told = json(&house.ok(&format!("{verify} --json")));
    assert_eq!(
        (told["verified"].clone(), told["names_signed"].clone()),
        (Value::Bool(true), Value::Bool(true))
    );
    refused(&house, &verify.replace("pub.pem", "other-pub.pem"), "CS-SEL-025");
    house.write("m/extra.py", b"import os\n");
    refused(&house, verify, "CS-SEL-032");
    house.ok(&format!("{verify} --ignore extra.py"));
    fs::remove_file(house.path("m/extra.py")).unwrap();
    fs::rename(house.path("m/config.json"), house.path("m/config2.json")).unwrap();
    refused(&house, verify, "CS-SEL-032");
    fs::rename(house.path("m/config2.json"), house.path("m/config.json")).unwrap();
    house.write("m/config.json", b"{ }");
    refused(&house, verify, "CS-SEL-033");
    fs::remove_file(house.path("m/config.json")).unwrap();
    refused(&house, verify, "CS-SEL-031");
    std::os::unix::fs::symlink(house.path("pub.pem"), house.path("m/config.json")).unwrap();
    refused(&house, verify, "CS-SEL-034");
    // A folder that leads into itself: the system gives up on it.
    std::os::unix::fs::symlink(house.path("m"), house.path("m/again")).unwrap();
    refused(&house, "sign m --key key.pem --out x.sig", "CS-SEL-034");
    refused(&house, "sign m --key key.pem --out x.sig --allow-symlinks", "CS-CLI-003");
    fs::remove_file(house.path("m/again")).unwrap();
    house.ok("sign m --key key.pem --out x.sig --allow-symlinks");
    house.ok("verify m --signature x.sig --public-key pub.pem");
    house.write("m.sig", b"{}");
    refused(&house, verify, "CS-SEL-020");
}

#[test]
fn a_sealed_key_of_countersign_signs_models_too() {
    let Some(house) = house() else { return };
    house.ok("init --name acme --officer ada --officer ben");
    house.ok("key new signer --scheme ecdsa-p256-sha256");
    house.ok("sign m --key realm/keys/signer.key --out m.sig");
}

/// Python with the packages of `cargo xtask test`.
fn peer() -> Option<std::path::PathBuf> {
    let python =
        std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-venv/bin/python3"));
    let output = Command::new(&python).args(["-c", "import model_signing, OpenSSL"]).output();
    if output.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!("SKIPPED model_signing beside sign and verify: no Python with model-signing");
    None
}

#[test]
fn model_signing_verifies_ours_and_we_verify_its_own() {
    let (Some(house), Some(python)) = (house(), peer()) else { return };
    let peer = |arguments: &str| {
        let output = Command::new(&python)
            .args(["-m", "model_signing"])
            .args(arguments.split_whitespace())
            .current_dir(house.path("."))
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    house.ok("sign m --key key.pem --out m/model.sig");
    let verify = "verify key m --signature m/model.sig --public_key pub.pem";
    assert_eq!(peer(verify), (true, String::new()));
    let changed = fs::read(house.path("m/config.json")).unwrap();
    house.write("m/config.json", b"{ }");
    assert!(!peer(verify).0);
    house.write("m/config.json", &changed);
    let (signed, said) = peer("sign key m --signature m/model.sig --private_key other.pem");
    assert!(signed, "{said}");
    let told = house.ok("verify m --signature m/model.sig --public-key other-pub.pem");
    assert!(told.contains("ECDSA P-384") && told.contains("leaves out the files' names"), "{told}");
    // What its command does not read, its library does.
    house.ok("sign m --key key.pem --hash blake3 --out m/model.sig");
    let library = "import sys, model_signing\n\
        config = model_signing.verifying.Config().use_elliptic_key_verifier(public_key='pub.pem')\n\
        config.verify('m', 'm/model.sig')\n";
    let output = Command::new(&python).args(["-c", library]).current_dir(house.path(".")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_certificate_is_judged_now_or_at_the_time_given() {
    let (Some(house), Some(python)) = (house(), peer()) else { return };
    house.write("leaf.ext", b"keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n");
    let run = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(house.path(".")).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let openssl = |line: &str| run(Path::new("openssl"), &line.split_whitespace().collect::<Vec<_>>());
    let authority = "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -subj /CN=root -days 30 -out ca.pem \
        -addext keyUsage=critical,keyCertSign";
    openssl(authority);
    openssl("req -new -key key.pem -subj /CN=signer -out leaf.csr");
    openssl(
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile leaf.ext -out leaf.pem",
    );
    openssl(&authority.replace("ca.", "other-ca."));
    let sign = "-m model_signing sign certificate m --signature m.sig --private_key key.pem \
        --signing_certificate leaf.pem --certificate_chain ca.pem";
    run(&python, &sign.split_whitespace().collect::<Vec<_>>());
    let verify = "verify m --signature m.sig --certificate-chain ca.pem";
    let told = house.ok(verify);
    assert!(told.contains("certificate: "), "{told}");
    // Years after it expired, when the peer still takes it.
    let told = refused(&house, &format!("{verify} --at 1999999999"), "CS-SEL-030");
    assert!(told.contains("nothing shows that it was signed in time"), "{told}");
    refused(&house, &verify.replace("ca.pem", "other-ca.pem"), "CS-SEL-029");
    refused(&house, "verify m --signature m.sig --public-key pub.pem", "CS-SEL-027");
}
