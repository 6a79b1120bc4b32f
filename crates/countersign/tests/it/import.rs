//! `countersign examine ID --import FILE`: results of other tools, whole, tampered with, too large, about something else.
//!
//! The samples have the members that the tools write, most of which nothing here reads; their numbers are made up.

use serde_json::Value;

use crate::house::House;

/// As `lm_eval --output_path` of 0.4.13 writes it.
const HARNESS: &str = r#"{
  "results": {
    "truthfulqa_mc2": {"alias": "truthfulqa_mc2", "acc,none": 0.4913, "acc_stderr,none": 0.0151, "sample_len": 817},
    "bbh": {"alias": "bbh", "acc_norm,none": 0.5, "acc_norm_stderr,none": "N/A"},
    "librispeech": {"alias": "librispeech", "wer,none": 0.31, "wer_stderr,none": 0.01}
  },
  "groups": {"bbh": {"alias": "bbh", "acc_norm,none": 0.5, "acc_norm_stderr,none": "N/A"}},
  "group_subtasks": {"bbh": ["bbh_boolean"]},
  "configs": {"truthfulqa_mc2": {"task": "truthfulqa_mc2", "metric_list": [{"metric": "acc"}], "num_fewshot": 0}},
  "versions": {"truthfulqa_mc2": 3.0}, "n-shot": {"truthfulqa_mc2": 0},
  "higher_is_better": {"truthfulqa_mc2": {"acc": true}, "bbh": {"acc_norm": null}, "librispeech": {"wer": false}},
  "n-samples": {"truthfulqa_mc2": {"original": 817, "effective": 817}},
  "config": {"model": "hf", "model_args": {"pretrained": "./changed"}, "limit": null, "bootstrap_iters": 100000},
  "git_hash": null, "date": 1758000000.5, "transformers_version": "4.57.1", "lm_eval_version": "0.4.13",
  "model_source": "hf", "model_name": "./changed", "model_name_sanitized": "__changed",
  "system_instruction": null, "chat_template": null, "total_evaluation_time_seconds": "265.55"
}
"#;

/// As garak 0.17 writes `*.report.jsonl`.
const GARAK: &str = r#"{"entry_type": "start_run setup", "_config.DICT_CONFIG_AFTER_LOAD": false, "plugins.target_type": "huggingface", "plugins.target_name": "./changed", "run.generations": 5, "plugins.probe_spec": "dan"}
{"entry_type": "init", "garak_version": "0.17.1", "start_time": "2026-11-01T10:00:00", "run": "6a8f"}
{"entry_type": "attempt", "uuid": "1", "seq": 0, "status": 2, "probe_classname": "dan.Dan_11_0", "outputs": [{"text": "No."}], "detector_results": {"dan.DAN": [0.0]}, "notes": {}}
{"entry_type": "eval", "probe": "dan.Dan_11_0", "detector": "dan.DAN", "passed": 995, "fails": 5, "nones": 0, "total_evaluated": 1000, "total_processed": 1000, "intents": {"S": {"passed": 995, "total_evaluated": 1000, "nones": 0}}}
{"entry_type": "probe_summary", "probe": "dan.Dan_11_0", "inference_counts": {"total_evaluated": 1000, "nones": 0}, "detection_counts": {"detectors": ["dan.DAN"], "passed": 995, "fails": 5, "nones": 0}}
{"entry_type": "completion", "end_time": "2026-11-01T11:00:00", "run": "6a8f"}
{"entry_type": "digest", "meta": {"garak_version": "0.17.1"}, "eval": {}}
"#;

/// As `inspect log dump` of 0.3 writes it.
const INSPECT: &str = r#"{
  "version": 2, "status": "success",
  "eval": {"eval_id": "a", "run_id": "b", "created": "2026-11-01T10:00:00+00:00", "task": "strong_reject", "task_version": 0,
    "dataset": {"name": "strong_reject", "samples": 313}, "model": "hf/changed", "config": {"epochs": 1},
    "packages": {"inspect_ai": "0.3.285"}},
  "plan": {"name": "plan", "steps": [{"solver": "generate", "params": {}}], "config": {}},
  "results": {"total_samples": 313, "completed_samples": 313, "scores": [
    {"name": "refusal", "scorer": "refusal", "params": {}, "metrics": {
      "accuracy": {"name": "accuracy", "value": 0.97, "params": {}}, "stderr": {"name": "stderr", "value": 0.01, "params": {}}}}]},
  "stats": {"started_at": "2026-11-01T10:00:00+00:00", "model_usage": {}}, "samples": [{"id": 1, "epoch": 1, "input": "?"}]
}
"#;

/// A tool: its name, a file of it, a figure of it that holds, what it says it was run on, and the evidence it counts as.
const TOOLS: [(&str, &str, &str, &str, &str); 3] = [
    ("lm-eval", HARNESS, "truthfulqa_mc2/acc,none=0.4", "./changed", "regression"),
    ("garak", GARAK, "dan.Dan_11_0/dan.DAN=0.98", "./changed", "red-team"),
    ("inspect", INSPECT, "strong_reject/refusal/accuracy=0.9", "hf/changed", "alignment"),
];

/// The findings on a change that other tools' results were signed as.
fn imported(house: &House, change: &str) -> Vec<Value> {
    let shown = house.json(&format!("show {change}"));
    let all = shown["findings"].as_array().unwrap().clone();
    all.into_iter()
        .filter(|finding| {
            finding["body"]["examiner"].as_str().is_some_and(|name| name.starts_with("imported-"))
        })
        .collect()
}

#[test]
fn results_of_each_tool_are_signed_as_imported_and_never_pass_a_change() {
    let house = House::staffed();
    // The policy asks for what each of the tools would be evidence of.
    let mut rules = house.json("policy show")["policy"]["rules"].clone();
    for tier in ["minimal", "low", "medium", "high"] {
        let evidence = rules["tiers"][tier]["evidence"].as_array_mut().unwrap();
        evidence.extend(TOOLS.map(|tool| Value::from(tool.4)));
        evidence.sort_by_key(|kind| kind.as_str().unwrap().to_owned());
    }
    house.write("rules.json", rules.to_string().as_bytes());
    house.ok("policy replace --rules rules.json --by root-ada --by root-ben");
    let change = house.reviewed("--settings new.json");
    for (at, (format, text, least, model, evidence)) in TOOLS.into_iter().enumerate() {
        house.write("results", text.as_bytes());
        let line = format!(
            "examine {change} --by erik --import results --format {format} --least {least} --ran-on {model}"
        );
        house.ok(&line);
        let findings = imported(&house, &change);
        assert_eq!(findings.len(), at + 1);
        let body = &findings
            .iter()
            .find(|finding| finding["body"]["examiner"] == format!("imported-{format}/1"))
            .unwrap()["body"];
        assert_eq!(body["outcome"], "pass", "{format}");
        assert_eq!(body["evidence"], evidence);
        assert_eq!(body["isolation"], "process");
        assert!(body.get("worker").is_none_or(Value::is_null), "no listed code made it: {body}");
    }
    // All of them pass, and the change does not: no code that the policy lists has measured any of it.
    let decided = house.json(&format!("decide {change}"));
    assert_ne!(decided["outcome"], "pass", "{decided}");
    assert!(decided.to_string().contains("CS-GATE-013"), "{decided}");
    let approve = house.run(&format!("approve {change} --capacity technical --by tina --yes"));
    assert_ne!(approve.code, 0, "{}", approve.out);
    house.audited();
}

#[test]
fn a_figure_below_its_limit_stops_a_change_that_would_pass() {
    for (format, text, least, _, _) in TOOLS {
        let house = House::staffed();
        let change = house.reviewed("--settings new.json");
        assert_eq!(house.json(&format!("show {change}"))["verdict"]["body"]["outcome"], "pass");
        house.write("results", text.as_bytes());
        let (name, _) = least.rsplit_once('=').unwrap();
        house.ok(&format!(
            "examine {change} --by sven --import results --format {format} --least {name}=0.999"
        ));
        let verdict = &house.json(&format!("show {change}"))["verdict"]["body"];
        assert_eq!(verdict["outcome"], "fail", "{format}");
        assert!(verdict["reasons"].to_string().contains("CS-GATE-009"), "{verdict}");
        house.refused(&format!("approve {change} --capacity technical --by tina --yes"), "CS-GATE-009");
    }
}

#[test]
fn what_decides_nothing_is_inconclusive() {
    let house = House::staffed();
    let change = house.reviewed("--settings new.json");
    // No limit, a task that is not there, too few counted, the lower the better, a run cut short.
    let few = GARAK.replace("995", "9").replace("1000", "10").replace("\"fails\": 5", "\"fails\": 1");
    let cut = HARNESS.replace("\"effective\": 817", "\"effective\": 100");
    let limited = HARNESS.replace("\"limit\": null", "\"limit\": 100.0");
    let broken = INSPECT.replace("\"status\": \"success\"", "\"status\": \"error\"");
    let unended = GARAK.replace("\"completion\"", "\"attempt\"");
    for (format, text, least) in [
        ("lm-eval", HARNESS, ""),
        ("lm-eval", HARNESS, "--least mmlu/acc,none=0.4"),
        ("lm-eval", HARNESS, "--least bbh/acc_norm_stderr,none=0.1"),
        ("lm-eval", HARNESS, "--least librispeech/wer,none=0.1"),
        ("lm-eval", &cut, "--least truthfulqa_mc2/acc,none=0.4"),
        ("lm-eval", &limited, "--least truthfulqa_mc2/acc,none=0.4"),
        ("garak", &few, "--least dan.Dan_11_0/dan.DAN=0.9"),
        ("garak", GARAK, "--least dan.Dan_11_0/other.Detector=0.9"),
        ("garak", &unended, "--least dan.Dan_11_0/dan.DAN=0.9"),
        ("inspect", &broken, "--least strong_reject/refusal/accuracy=0.9"),
    ] {
        house.write("results", text.as_bytes());
        let before = imported(&house, &change).len();
        house.ok(&format!("examine {change} --by erik --import results --format {format} {least}"));
        let findings = imported(&house, &change);
        let undecided = findings.iter().filter(|finding| finding["body"]["outcome"] == "inconclusive");
        assert_eq!((findings.len(), undecided.count()), (before + 1, before + 1), "{format} {least}");
    }
    // None of it is asked for, so that none of it holds the change up.
    assert_eq!(house.json(&format!("show {change}"))["verdict"]["body"]["outcome"], "pass");
}

#[test]
fn what_is_not_what_it_should_be_is_refused_and_nothing_is_signed() {
    let house = House::staffed();
    let change = house.reviewed("--settings new.json");
    let leaves = || house.json("log head")["size"].clone();
    let before = leaves();
    let twins = [
        ("lm-eval", HARNESS.replace("0.4913", "NaN")),
        ("lm-eval", HARNESS.replace("\"acc_stderr,none\": 0.0151", "\"acc,none\": 0.99")),
        ("lm-eval", HARNESS.replacen("\"bbh\": {", "\"truthfulqa_mc2\": {", 1)),
        ("lm-eval", HARNESS.replace("\"original\": 817", "\"original\": \"817\"")),
        ("lm-eval", HARNESS.trim_end().trim_end_matches('}').to_owned()),
        ("lm-eval", GARAK.to_owned()),
        ("garak", GARAK.replace("\"fails\": 5", "\"fails\": 4")),
        ("garak", GARAK.replace("\"passed\": 995, \"fails\"", "\"passed\": 1001, \"fails\"")),
        ("garak", format!("{GARAK}{GARAK}")),
        ("garak", INSPECT.to_owned()),
        ("inspect", INSPECT.replace("0.97", "\"0.97\"")),
        ("inspect", INSPECT.replace("\"stderr\": {\"name\"", "\"accuracy\": {\"name\"")),
        ("inspect", INSPECT.replace("\"results\"", "\"result\"")),
        ("inspect", HARNESS.to_owned()),
    ];
    for (format, text) in &twins {
        house.write("results", text.as_bytes());
        let err = house
            .refused(&format!("examine {change} --by erik --import results --format {format}"), "CS-EXM-009");
        assert!(err.contains("results"), "the file is named: {err}");
    }
    for (format, text, least, _, _) in TOOLS {
        house.write("results", text.as_bytes());
        let line = format!("examine {change} --by erik --import results --format {format} --least {least}");
        let err = house.refused(&format!("{line} --ran-on ./other"), "CS-EXM-009");
        assert!(err.contains("changed") && err.contains("./other"), "{err}");
    }
    house.write("results", HARNESS.replace("\"model_name\": \"./changed\", ", "").as_bytes());
    let line = format!("examine {change} --by erik --import results --format lm-eval");
    house.refused(&format!("{line} --ran-on ./changed"), "CS-EXM-009");
    house.refused(&format!("{line} --least acc=NaN"), "CS-EXM-009");
    house.refused(&line.replace("lm-eval", "other"), "CS-CLI-001");
    house.refused(&line.replace("results", "nowhere"), "CS-CLI-003");
    // Sparse: larger than what is read, and nothing on the disk.
    let large = std::fs::File::create(house.path("results")).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    house.refused(&line, "CS-CLI-007");
    // Whoever may not examine may not import.
    house.write("results", HARNESS.as_bytes());
    assert_ne!(house.run(&line.replace("erik", "olga")).code, 0);
    assert_eq!(leaves(), before, "nothing was signed");
}

#[test]
fn a_proposed_change_is_examined_in_the_box_that_was_asked_for() {
    let house = House::staffed();
    let change = house.proposed("--settings new.json");
    house.refused(&format!("examine {change} --by erik --isolation none"), "CS-CLI-001");
    house.ok(&format!("examine {change} --by erik --isolation deep"));
    let findings = house.json(&format!("show {change}"))["findings"].clone();
    assert_eq!(findings[0]["body"]["isolation"], "deep");
    assert_eq!(findings[0]["body"]["outcome"], "pass");
    house.audited();
}
