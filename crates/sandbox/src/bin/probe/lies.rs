//! A worker that was taken over: it does what the name of an input tells it to, `lie-...`.
#![allow(
    clippy::indexing_slicing,
    reason = "members of JSON that is made here; a worker that lies may also end"
)]

use std::io;

use sandbox::inside::Inside;
use serde_json::{Value, json};

/// Tells the lie that the job's files are named after.
pub(crate) fn lie(mut inside: Inside) -> io::Result<()> {
    let job: Value = serde_json::from_slice(&inside.job)?;
    if job.get("scan").is_some() {
        let path = job["scan"]["entries"][0]["path"].as_str().unwrap_or_default().to_owned();
        scan(&mut inside, &path)
    } else if job.get("measure").is_some() {
        measure(&mut inside)
    } else {
        model(inside)
    }
}

fn say(inside: &mut Inside, said: &Value) -> io::Result<()> {
    inside.answers.message(said.to_string().as_bytes())
}

fn scan(inside: &mut Inside, path: &str) -> io::Result<()> {
    let bytes = inside.inputs.first().map_or(Ok(0), |(_, file)| file.metadata().map(|file| file.len()))?;
    let looked = |path: &str, bytes: u64| {
        json!({
            "seen": [{ "path": path, "kind": "text", "bytes": bytes, "examined": "whole" }],
            "findings": [], "more": [], "unexamined": [],
        })
    };
    let truth = json!({ "looked": { "entry": 0, "looked": looked(path, bytes) } });
    let lie = path.rsplit('/').next().unwrap_or(path);
    if lie != "lie-turn" && lie != "lie-silent" {
        say(inside, &json!({ "begun": 0 }))?;
    }
    match lie {
        "lie-killed" => std::process::abort(),
        "lie-silent" | "lie-half" => Ok(()),
        "lie-long" => inside.answers.message(&vec![b' '; 40 << 20]),
        "lie-form" => inside.answers.frame(b"no message"),
        "lie-unknown" => {
            let mut said = truth;
            said["looked"]["clean"] = json!(true);
            say(inside, &said)
        }
        "lie-other" => say(inside, &json!({ "looked": { "entry": 0, "looked": looked("other", bytes) } })),
        "lie-length" => say(inside, &json!({ "looked": { "entry": 0, "looked": looked(path, bytes + 1) } })),
        "lie-entry" => say(inside, &json!({ "looked": { "entry": 1, "looked": looked(path, bytes) } })),
        "lie-twice" => {
            say(inside, &truth)?;
            say(inside, &truth)
        }
        _ => say(inside, &truth),
    }
}

fn measure(inside: &mut Inside) -> io::Result<()> {
    let mut text = String::new();
    for (name, file) in &mut inside.inputs {
        if name == "candidate" {
            io::Read::read_to_string(file, &mut text)?;
        }
    }
    let nothing = "0".repeat(64);
    let mut answer = json!({
        "inputs": [], "measures": {}, "outcome": "pass", "violations": [], "violations_left_out": 0, "steps": [],
    });
    let step = json!({ "input": { "bytes": 1, "digest": nothing, "name": "candidate" } });
    if text.contains("lie-digest") {
        answer["inputs"] = json!([nothing]);
        answer["steps"] = json!([step]);
    } else if text.contains("lie-steps") {
        answer["steps"] = json!([step]);
    } else if text.contains("lie-box") {
        answer["steps"] = json!([{ "output": { "digest": nothing } }]);
    } else if text.contains("lie-unknown") {
        answer["approved"] = json!(true);
    }
    inside.answer(answer.to_string().as_bytes())
}

fn model(inside: Inside) -> io::Result<()> {
    let named = |lie: &str| inside.inputs.iter().any(|(name, _)| name.contains(lie));
    let opened = if named("lie-context") {
        json!({ "opened": { "context": 1_u64 << 40, "vocabulary": 258, "purpose": "texts" } })
    } else if named("lie-opened") {
        json!({ "opened": { "context": 64, "vocabulary": 258, "purpose": "texts", "safe": true } })
    } else {
        json!({ "opened": { "context": 64, "vocabulary": 258, "purpose": "texts" } })
    };
    let (killed, stalls, other) = (named("lie-killed"), named("lie-stall"), named("lie-job"));
    let Inside { mut answers, mut requests, .. } = inside;
    answers.message(opened.to_string().as_bytes())?;
    while let Some(asked) = requests.wait()? {
        let asked: Value = serde_json::from_slice(&asked)?;
        let job = ["generate", "score", "tokens"].iter().find_map(|kind| asked[*kind]["job"].as_u64());
        let Some(job) = job else { continue };
        if killed {
            std::process::abort();
        }
        let said = if stalls {
            // Neither an answer nor an end.
            continue;
        } else if other {
            json!({ "event": { "job": job + 1, "event": { "begun": { "prompt": 1 } } } })
        } else {
            // More tokens than anybody asked for.
            json!({ "event": { "job": job, "event": { "begun": { "prompt": 1_u64 << 40 } } } })
        };
        answers.message(said.to_string().as_bytes())?;
    }
    Ok(())
}
