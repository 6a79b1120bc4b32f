use super::*;

const HARNESS: &str = r#"{"results":{"truthful":{"alias":"truthful","acc,none":0.61,"acc_stderr,none":0.01,
  "bleu,none":"N/A"}},"n-samples":{"truthful":{"original":817,"effective":817}},"lm_eval_version":"0.4.13",
  "model_name":"changed","configs":{"anything":[1,{"more":null}]}}"#;

const GARAK: &str = r#"{"entry_type":"start_run setup","plugins.target_name":"changed"}
{"entry_type":"init","garak_version":"0.17.1"}
{"entry_type":"attempt","uuid":"1","notes":{}}
{"entry_type":"eval","probe":"dan.Dan_11_0","detector":"mitigation.MitigationBypass","passed":99,"fails":1,"nones":0,"total_evaluated":100,"total_processed":100}
{"entry_type":"eval","probe":"old.Form","detector":"always.Pass","passed":5,"total":5}
{"entry_type":"completion","end_time":"now"}
"#;

const INSPECT: &str = r#"{"version":2,"status":"success","eval":{"task":"agieval","model":"changed","packages":{"inspect_ai":"0.3.285"}},
  "results":{"total_samples":10,"completed_samples":10,"scores":[{"name":"choice","scorer":"choice",
  "metrics":{"accuracy":{"name":"accuracy","value":0.8},"stderr":{"name":"stderr","value":0.1}}}]}}"#;

#[track_caller]
fn read(format: Format, text: &str) -> Imported {
    Imported::read(format, text.as_bytes()).unwrap()
}

#[track_caller]
fn outcome(imported: &Imported, limits: &[&str]) -> Outcome {
    let limits: Vec<Limit> = limits.iter().map(|limit| limit.parse().unwrap()).collect();
    imported.held(&limits).outcome
}

#[test]
fn figures_of_each_tool_are_read() {
    let harness = read(Format::LmEval, HARNESS);
    assert_eq!(harness.figures.len(), 1, "aliases, errors and what was not computed are no figures");
    assert_eq!(harness.figures[0].name, "truthful/acc,none");
    assert_eq!(harness.version.as_deref(), Some("0.4.13"));
    let garak = read(Format::Garak, GARAK);
    assert_eq!(garak.figures[0].counts, Some((99, 100)));
    assert_eq!(garak.figures[1].counts, Some((5, 5)));
    assert_eq!((garak.version.as_deref(), garak.about.as_deref()), (Some("0.17.1"), Some("changed")));
    assert_eq!(garak.gaps, Vec::<String>::new());
    let inspect = read(Format::Inspect, INSPECT);
    assert_eq!(inspect.figures[0].name, "agieval/choice/accuracy");
    assert_eq!(inspect.version.as_deref(), Some("0.3.285"));
}

type Lie = fn(&mut Imported);

#[test]
fn what_cannot_have_been_read_is_told_apart() {
    for (format, text) in [(Format::LmEval, HARNESS), (Format::Garak, GARAK), (Format::Inspect, INSPECT)] {
        assert_eq!(read(format, text).check(format), Ok(()));
    }
    let lies: [(&str, Lie); 9] = [
        ("another tool", |imported| imported.tool = Format::Inspect),
        ("no figures", |imported| imported.figures.clear()),
        ("no number", |imported| imported.figures[0].value = f64::NAN),
        ("more right than asked", |imported| imported.figures[0].counts = Some((101, 100))),
        ("a share that is not its counts'", |imported| imported.figures[0].value = 1.0),
        ("a name without end", |imported| imported.figures[0].name = "x".repeat(NAME_MAX + 1)),
        ("a version without end", |imported| imported.version = Some("x".repeat(201))),
        ("a name that does not show", |imported| imported.about = Some("\u{1b}[2J".to_owned())),
        ("gaps without end", |imported| imported.gaps = vec!["one".to_owned(); GAPS_MAX + 2]),
    ];
    for (what, lie) in lies {
        let mut told = read(Format::Garak, GARAK);
        lie(&mut told);
        assert!(told.check(Format::Garak).is_err(), "{what}");
    }
}

#[test]
fn limits_decide_in_three_ways() {
    let harness = read(Format::LmEval, HARNESS);
    assert_eq!(outcome(&harness, &["truthful/acc,none=0.6"]), Outcome::Pass);
    assert_eq!(outcome(&harness, &["truthful/acc,none=0.62"]), Outcome::Fail);
    assert_eq!(outcome(&harness, &["other/acc,none=0.6"]), Outcome::Inconclusive);
    assert_eq!(outcome(&harness, &[]), Outcome::Inconclusive, "figures alone decide nothing");
    let garak = read(Format::Garak, GARAK);
    let name = "dan.Dan_11_0/mitigation.MitigationBypass";
    assert_eq!(outcome(&garak, &[&format!("{name}=0.95")]), Outcome::Pass);
    assert_eq!(
        outcome(&garak, &[&format!("{name}=0.98")]),
        Outcome::Inconclusive,
        "a hundred do not show it"
    );
    assert_eq!(outcome(&garak, &["old.Form/always.Pass=0.9"]), Outcome::Inconclusive, "nor do five");
    let bad = GARAK.replace("\"passed\":99,\"fails\":1", "\"passed\":50,\"fails\":50");
    assert_eq!(outcome(&read(Format::Garak, &bad), &[&format!("{name}=0.9")]), Outcome::Fail);
}

#[test]
fn what_is_better_the_lower_is_not_shown_by_a_least() {
    let wer = r#"{"results":{"speech":{"wer,none":0.9,"acc,none":0.9}},"higher_is_better":{"speech":{"wer":false,"acc":true}},
      "n-samples":{"speech":{"original":10,"effective":10}}}"#;
    let read = read(Format::LmEval, wer);
    assert_eq!(outcome(&read, &["speech/wer,none=0.5"]), Outcome::Inconclusive);
    assert_eq!(outcome(&read, &["speech/acc,none=0.5"]), Outcome::Pass);
}

#[test]
fn the_file_says_what_it_was_run_on() {
    for (format, text) in [(Format::LmEval, HARNESS), (Format::Garak, GARAK), (Format::Inspect, INSPECT)] {
        let imported = read(format, text);
        imported.ran_on("changed").unwrap();
        assert_eq!(imported.ran_on("other").unwrap_err().code(), "CS-EXM-009");
        let silent = Imported { about: None, ..imported };
        assert_eq!(silent.ran_on("changed").unwrap_err().code(), "CS-EXM-009");
    }
}

#[test]
fn what_a_file_announces_is_bounded_in_memory() {
    // Short names, a million of them in objects that are each small.
    let metrics: Vec<String> = (0..1_000).map(|at| format!(r#""{at:x}":1"#)).collect();
    let metrics = metrics.join(",");
    let tasks: Vec<String> = (0..1_000).map(|at| format!(r#""t{at:x}":{{{metrics}}}"#)).collect();
    let many = format!(r#"{{"results":{{{}}}}}"#, tasks.join(","));
    let error = Imported::read(Format::LmEval, many.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("200,000"), "{error}");
    // What is no figure is passed over, whatever it holds.
    let other = HARNESS.replace("\"bleu,none\":\"N/A\"", &format!("\"other\":[{}0]", "0,".repeat(1 << 20)));
    assert_eq!(read(Format::LmEval, &other).figures.len(), 1);
    let cut = r#""t":{"original":2,"effective":1}"#;
    let cuts: Vec<String> = (0..5_000).map(|at| cut.replace("\"t\"", &format!("\"t{at}\""))).collect();
    let cuts = HARNESS.replace("\"n-samples\":{", &format!("\"n-samples\":{{{},", cuts.join(",")));
    assert_eq!(read(Format::LmEval, &cuts).gaps.len(), GAPS_MAX + 1);
}

#[test]
fn what_is_incomplete_never_passes() {
    let limited =
        read(Format::LmEval, &HARNESS.replace("\"configs\"", "\"config\":{\"limit\":100.0},\"configs\""));
    assert_eq!(outcome(&limited, &["truthful/acc,none=0.1"]), Outcome::Inconclusive);
    let cut = read(Format::LmEval, &HARNESS.replace("\"effective\":817", "\"effective\":100"));
    assert_eq!(outcome(&cut, &["truthful/acc,none=0.1"]), Outcome::Inconclusive);
    let cut = read(Format::Garak, &GARAK.replace("completion", "other"));
    assert_eq!(outcome(&cut, &["dan.Dan_11_0/mitigation.MitigationBypass=0.5"]), Outcome::Inconclusive);
    let unjudged = GARAK.replace("\"nones\":0", "\"nones\":3");
    assert_eq!(read(Format::Garak, &unjudged).gaps.len(), 1);
    let ended = read(Format::Inspect, &INSPECT.replace("\"status\":\"success\"", "\"status\":\"error\""));
    assert_eq!(outcome(&ended, &["agieval/choice/accuracy=0.5"]), Outcome::Inconclusive);
    let cut = read(Format::Inspect, &INSPECT.replace("\"completed_samples\":10", "\"completed_samples\":9"));
    assert_eq!(outcome(&cut, &["agieval/choice/accuracy=0.5"]), Outcome::Inconclusive);
}

#[test]
fn files_that_are_not_what_they_should_be_are_refused() {
    let refused = |format: Format, text: &str| {
        let error = Imported::read(format, text.as_bytes()).unwrap_err();
        assert_eq!(error.code(), "CS-EXM-009", "{text}");
    };
    for format in Format::ALL {
        for text in ["", "{}", "[]", "null", "{\"results\":{}}", "\u{feff}", "{\"results\":1}"] {
            refused(format, text);
        }
    }
    refused(Format::LmEval, &HARNESS.replace("0.61", "NaN"));
    refused(Format::LmEval, &HARNESS.replace("0.61", "1e999"));
    refused(Format::LmEval, &HARNESS.replace("\"bleu,none\":\"N/A\"", "\"acc,none\":1.0"));
    refused(Format::LmEval, &format!("{HARNESS}x"));
    refused(Format::Garak, &GARAK.replace("\"fails\":1", "\"fails\":2"));
    refused(Format::Garak, &GARAK.replace("\"passed\":5", "\"passed\":6"));
    refused(Format::Garak, &GARAK.replace("\"passed\":99", "\"passed\":-1"));
    refused(Format::Garak, &GARAK.replace(",\"total\":5", ""));
    refused(Format::Garak, &format!("{GARAK}{GARAK}"));
    refused(Format::Inspect, &INSPECT.replace("\"value\":0.8", "\"value\":\"0.8\""));
    refused(Format::Inspect, &INSPECT.replace("\"results\":{", "\"others\":{"));
    let long = HARNESS.replace("\"truthful\":{\"alias\"", &format!("\"{}\":{{\"alias\"", "t".repeat(1_000)));
    refused(Format::LmEval, &long);
    assert_eq!("=0.5".parse::<Limit>().unwrap_err().code(), "CS-EXM-009");
    assert_eq!("acc=NaN".parse::<Limit>().unwrap_err().code(), "CS-EXM-009");
}

#[test]
fn damaged_files_are_read_or_refused_and_nothing_else() {
    for (format, text) in [(Format::LmEval, HARNESS), (Format::Garak, GARAK), (Format::Inspect, INSPECT)] {
        let bytes = text.as_bytes();
        let tried = |damaged: &[u8]| match Imported::read(format, damaged) {
            Ok(imported) => assert!(imported.figures.iter().all(|figure| figure.value.is_finite())),
            Err(error) => assert_eq!(error.code(), "CS-EXM-009"),
        };
        for at in 0..bytes.len() {
            tried(&bytes[..at]);
            for other in [0, b'"', b'{', b'}', b'9', b'-', 0xff] {
                let mut damaged = bytes.to_vec();
                damaged[at] = other;
                tried(&damaged);
            }
        }
        let deep = format!("{{\"results\":{}", "[".repeat(100_000));
        tried(deep.as_bytes());
    }
}
