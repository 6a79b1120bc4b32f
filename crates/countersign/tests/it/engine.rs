//! `engine`, as a person uses it: the made model in a folder, served until the program is told to stop.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use engine::{ModelFiles, sample};
use serde_json::{Value, json};
use statement::Digest;

use crate::house::House;

/// The made model in `model/`, its adapter in `other/`.
fn house() -> House {
    let house = House::empty();
    let files = sample::model(7).unwrap();
    for file in files.all() {
        house.write(&format!("model/{}", file.name), &file.bytes);
    }
    let adapter = sample::adapter(8).unwrap();
    for file in [&adapter.config, &adapter.weights] {
        house.write(&format!("other/{}", file.name), &file.bytes);
    }
    house
}

#[test]
fn a_folder_is_served_until_the_program_is_told_to_stop() {
    let house = house();
    let ModelFiles::Folder { weights, .. } = sample::model(7).unwrap() else { panic!("a folder") };
    house.write("keys", b"a-key-for-these-tests\n");
    house.write("prompt.md", b"Be brief.");
    let line = "engine --model model --name made --adapter other=other --listen 127.0.0.1:0 --threads 1 \
                --api-key-file keys --context 500 --system prompt.md --json";
    let mut program = house.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(program.stdout.take().unwrap());
    let mut told = String::new();
    out.read_line(&mut told).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap_or_else(|_| panic!("`{told}`"));
    assert_eq!((&told["model"], &told["adapters"]), (&json!("made"), &json!(["other"])));
    assert_eq!(told["context"], 500);
    let files = told["files"].as_array().unwrap();
    let file = files.iter().find(|file| file["name"] == "model/model.safetensors").unwrap();
    assert_eq!(file["sha256"], Digest::of(&weights[0].bytes).to_string());
    let prompt = files.iter().find(|file| file["name"] == "prompt.md").unwrap();
    assert_eq!(prompt["sha256"], Digest::of(b"Be brief.").to_string());
    assert_eq!(files.len(), 7);
    let url = told["listening"].as_str().unwrap();
    let body = json!({ "model": "other", "prompt": "Hello", "max_tokens": 5, "temperature": 0 }).to_string();
    let mut answer = ureq::post(format!("{url}/completions"))
        .header("authorization", "Bearer a-key-for-these-tests")
        .header("content-type", "application/json")
        .send(body)
        .unwrap();
    let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    assert_eq!(answer["usage"]["completion_tokens"], 5);
    // A conversation without a system message begins with the file's; one that has its own keeps it.
    let chat = |messages: &Value| {
        let body =
            json!({ "model": "made", "messages": messages, "max_tokens": 4, "temperature": 0 }).to_string();
        let mut answer = ureq::post(format!("{url}/chat/completions"))
            .header("authorization", "Bearer a-key-for-these-tests")
            .header("content-type", "application/json")
            .send(body)
            .unwrap();
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        (answer["usage"]["prompt_tokens"].clone(), answer["choices"][0]["message"]["content"].clone())
    };
    let (user, system) = (
        json!({ "role": "user", "content": "Hello" }),
        |text: &str| json!({ "role": "system", "content": text }),
    );
    let without = chat(&json!([user]));
    assert_eq!(without, chat(&json!([system("Be brief."), user])));
    assert_ne!(without.0, chat(&json!([system("Be very, very brief."), user])).0);
    let stopped = Command::new("kill").args(["-TERM", &program.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    let mut err = String::new();
    program.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(program.wait().unwrap().success(), "{err}");
    assert_eq!(err, "");
}

#[test]
fn what_cannot_be_served_is_refused_by_name() {
    let house = house();
    house.write("empty/config.json", b"{}");
    house.write("short", b"short\n");
    for (line, code) in [
        ("engine --model absent", "CS-CLI-003"),
        ("engine --model empty", "CS-CLI-015"),
        ("engine --model keys.gguf", "CS-CLI-003"),
        ("engine --model model --adapter other=absent", "CS-CLI-003"),
        ("engine --model model --name other --adapter other=other", "CS-ENG-006"),
        ("engine --model model --listen 0.0.0.0:0", "CS-ENG-001"),
        ("engine --model model --api-key-file short", "CS-ENG-003"),
        ("engine --model short", "CS-ENG-004"),
        ("engine --model model --context 0", "CS-ENG-007"),
    ] {
        let run = house.run(line);
        assert_eq!(run.code, 1, "`{line}`: {}{}", run.out, run.err);
        assert!(run.err.contains(&format!("refused [{code}]")), "`{line}`: {}", run.err);
    }
    assert_eq!(house.run("engine --model model --adapter other").code, 2);
}

/// Weights in blocks and with rows in the container's own order are compared in the engine's memory too.
#[test]
fn a_running_engine_is_checked_by_all_of_its_weights() {
    let house = house();
    house.ok("quantize model --to Q8_0 --out model.gguf");
    house.ok("fingerprint model.gguf --out model.seal");
    // A folder in which it is alone is the same model.
    house.write("alone/model.gguf", &std::fs::read(house.path("model.gguf")).unwrap());
    house.ok("fingerprint alone --against model.seal");
    let line = "engine --model model.gguf --listen 127.0.0.1:0 --threads 1 --json";
    let mut program = house.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut told).unwrap();
    let line =
        format!("fingerprint model.gguf --against model.seal --running {} --blocks 64 --json", program.id());
    let told: Value = serde_json::from_str(&house.ok(&line)).unwrap();
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(told["checked"].as_u64().is_some_and(|checked| checked > 1), "{told}");
    assert_eq!(told["in_memory"], told["checked"], "{told}");
}
