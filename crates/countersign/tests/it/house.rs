//! A folder with a realm in it, and the program run on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tensor::sample;

/// The passphrase of every sealed key of the tests.
const PASSPHRASE: &str = "only for these tests";

/// The prompt that slots start with.
pub(crate) const OLD_PROMPT: &str =
    "Screen advertisements.\n\n## Safety\nNever guess.\n\n## Style\nAt length.\n";
/// A prompt within the scope.
pub(crate) const NEW_PROMPT: &str =
    "Screen advertisements.\n\n## Safety\nNever guess.\n\n## Style\nIn two lines.\n";

/// 5 % of the base, attention alone, the prompt's style, the length of answers.
pub(crate) const SCOPE: &str = r#"{
  "modules": ["**.self_attn.q_proj", "**.self_attn.v_proj"],
  "rank_max": 256,
  "relative_frobenius_ppm_max": 50000,
  "max_element_relative_ppm_max": 50000,
  "prompt": { "sections": ["Style"], "sections_fixed": ["Safety"], "length_max_bytes": 4096 },
  "settings": { "keys": { "max_tokens": { "integer": { "min": 1, "max": 512 } } } }
}
"#;

/// What a run of the program gave.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A folder, with a realm in `realm/` and the files of changes beside it.
pub(crate) struct House {
    folder: tempfile::TempDir,
    worker: PathBuf,
}

impl House {
    /// Without a realm.
    pub(crate) fn empty() -> Self {
        let house = Self { folder: folder(), worker: worker() };
        let sample = sample::base_and_adapter(7).unwrap();
        for (name, tensors) in [("within", &sample.within), ("outside", &sample.outside)] {
            house.write(&format!("{name}/adapter_config.json"), sample.config.as_bytes());
            house.write(&format!("{name}/adapter_model.safetensors"), tensors);
        }
        house.write("model.safetensors", &sample.base);
        house.write("scope.json", SCOPE.as_bytes());
        house.write("old.md", OLD_PROMPT.as_bytes());
        house.write("new.md", NEW_PROMPT.as_bytes());
        house.write("old.json", b"{\"max_tokens\": 256}\n");
        house.write("new.json", b"{\"max_tokens\": 300}\n");
        house.write("report.md", b"Looked at; nothing stands out.\n");
        house
    }

    /// With a realm of two officers.
    pub(crate) fn founded() -> Self {
        let house = Self::empty();
        house.ok("init --name acme --officer ada --officer ben");
        house
    }

    /// With persons, a slot and a grant to propose for it.
    pub(crate) fn staffed() -> Self {
        let house = Self::founded();
        let persons = [
            ("trainer", "--role proposer", "--service"),
            ("erik", "--role examiner", ""),
            ("sven", "--role examiner", ""),
            ("clara", "--role compliance", ""),
            ("tina", "--role approver --capacity technical", ""),
            ("emil", "--role approver --capacity ethics", ""),
            ("sora", "--role approver --capacity security", ""),
            ("olga", "--role operator", ""),
        ];
        for (name, rest, service) in persons {
            house.ok(&format!("key new {name} {service}"));
            house.ok(&format!(
                "key enrol {name} --person {name} {rest} --clearance high --by root-ada --by root-ben"
            ));
        }
        house.ok(SLOT);
        house.ok(
            "grant --to trainer --slot support --modification adapter --modification prompt --modification settings \
             --modification weights --tier high --by tina",
        );
        house
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file beside the realm.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// The program with the arguments, not started: words, parted by spaces.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            .env_clear()
            .env("COUNTERSIGN_HOME", "realm")
            .env("COUNTERSIGN_PASSPHRASE", PASSPHRASE)
            .env("COUNTERSIGN_WORKER", &self.worker)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Run {
        run(&mut self.command(line))
    }

    /// Runs what must work, and answers what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> String {
        let run = self.run(line);
        assert_eq!(run.code, 0, "`{line}`: {}{}", run.out, run.err);
        run.out
    }

    /// Runs what must work, and answers its JSON.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        let text = self.ok(&format!("--json {line}"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("`{line}` is no JSON: {error}: {text}"))
    }

    /// Runs what must be refused with the code, both for people and for scripts, and answers the message.
    #[track_caller]
    pub(crate) fn refused(&self, line: &str, code: &str) -> String {
        let run = self.run(line);
        check_refusal(line, &run, code);
        run.err
    }

    /// Proposes and examines; answers the change's id.
    #[track_caller]
    pub(crate) fn examined(&self, artefact: &str) -> String {
        let change = self.proposed(artefact);
        self.ok(&format!("examine {change} --by erik"));
        change
    }

    /// Proposes; answers the change's id.
    #[track_caller]
    pub(crate) fn proposed(&self, artefact: &str) -> String {
        let answer = self.json(&format!("propose support {artefact} --by trainer --grant {}", self.grant()));
        answer["change"].as_str().unwrap().to_owned()
    }

    /// Examined and reviewed by all that the policy asks for.
    #[track_caller]
    pub(crate) fn reviewed(&self, artefact: &str) -> String {
        let change = self.examined(artefact);
        for (evidence, by) in
            [("formal-verification", "erik"), ("security-review", "sven"), ("compliance-review", "clara")]
        {
            self.ok(&format!("review {change} --evidence {evidence} --report report.md --by {by}"));
        }
        change
    }

    #[track_caller]
    pub(crate) fn approved(&self, artefact: &str) -> String {
        let change = self.reviewed(artefact);
        for (by, capacity) in [("tina", "technical"), ("emil", "ethics"), ("sora", "security")] {
            self.ok(&format!("approve {change} --capacity {capacity} --by {by} --yes"));
        }
        change
    }

    /// A grant of the trainer, who alone proposes.
    #[track_caller]
    pub(crate) fn grant(&self) -> String {
        let list = self.json("list");
        let grants = list["grants"].as_array().unwrap();
        let found = grants.iter().find(|grant| grant["purpose"] == "propose").unwrap();
        found["grant"].as_str().unwrap().to_owned()
    }

    /// Exports and audits; answers the report.
    #[track_caller]
    pub(crate) fn audited(&self) -> audit::Report {
        let root = self.json("export --out record.export")["root"].as_str().unwrap().parse().unwrap();
        let bytes = fs::read(self.path("record.export")).unwrap();
        let expected = audit::Expectations { root: Some(root), ..audit::Expectations::none() };
        let report =
            audit::audit(&bytes, &expected).unwrap_or_else(|error| panic!("{}: {error}", error.code()));
        assert!(report.reasons.is_empty(), "{:?}", report.reasons);
        // The witness of these realms is run by one of their officers.
        assert!(
            report.warnings.iter().any(|warning| warning.code.as_str() == "CS-AUD-066"),
            "{:?}",
            report.warnings
        );
        report
    }
}

/// The slot that `staffed` defines.
pub(crate) const SLOT: &str = "slot define support --component weights:base=model.safetensors \
     --component prompt:system=old.md --component sampling:sampling=old.json --scope tuning=scope.json \
     --modification adapter --modification prompt --modification settings --modification weights --context chat \
     --by root-ada --by root-ben";

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A refusal has its code, a hint, the exit status that belongs to it, and no panic.
#[track_caller]
pub(crate) fn check_refusal(line: &str, run: &Run, code: &str) {
    let told = format!("`{line}`: {}{}", run.out, run.err);
    assert!(!run.err.contains("panicked"), "{told}");
    let status = if code == "CS-CLI-001" { 2 } else { 1 };
    assert_eq!(run.code, status, "{told}");
    assert!(run.err.contains(&format!("[{code}]")), "wanted {code}: {told}");
    assert!(run.err.contains("hint: "), "{told}");
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every file of a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A folder in memory where there is one: these tests end processes, not machines, and so need no disk to be synced.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// The worker beside the program; where only this crate was built, it is built now, of the same profile.
fn worker() -> PathBuf {
    built("countersign-worker", "countersign-worker", &[])
}

/// A worker that was taken over: it tells the lie that its input is named after.
pub(crate) fn liar() -> PathBuf {
    built("sandbox-probe", "sandbox", &["--features", "probe"])
}

/// A program of another package of the workspace, built if it is not there.
fn built(name: &str, package: &str, features: &[&str]) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_countersign"));
    let wanted = program.with_file_name(name);
    if !wanted.exists() {
        let folder = program.parent().unwrap();
        let profile = match folder.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            other => other,
        };
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", package, "--bin", name, "--profile", profile])
            .args(features)
            .arg("--target-dir")
            .arg(folder.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(status.success(), "`{name}` cannot be built");
    }
    wanted
}
