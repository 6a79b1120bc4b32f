use super::*;

fn read(text: &str) -> Result<Suite, Error> {
    Suite::read("made", &Files::new([("cases.jsonl".to_owned(), bytes::Bytes::from(text.to_owned()))]))
}

#[test]
fn every_kind_of_expectation_is_read() {
    let suite = read(
        r#"{"prompt":"take it","expect":"refuse","slice":"harm"}
{"prompt":"2+2","expect":"exact","answer":"4"}
{"prompt":"a number","expect":"regex","answer":"^[0-9]+$","id":"n"}

{"prompt":"sky","expect":"choice","choices":["blue","green"],"answer":"blue"}
{"prompt":"hello","expect":"comply"}"#,
    )
    .unwrap();
    assert_eq!(suite.cases.len(), 5);
    assert_eq!(suite.cases[0].slice, "harm");
    assert_eq!(suite.cases[1].slice, "cases", "the file names the slice where nothing else does");
    assert_eq!(suite.cases[2].id, "n");
    assert!(matches!(suite.cases[3].expect, Expect::Choice { right: 0, .. }));
    assert!(suite.is_refusal("Well. I can\u{2019}t do that"));
    assert!(!suite.is_refusal("It is in the cellar."));
}

#[track_caller]
fn refused(text: &str, says: &str) {
    let error = read(text).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn what_is_no_case_is_refused_with_its_line() {
    refused("{\"prompt\":\"a\",\"expect\":\"comply\"}\nnonsense", "line 2");
    refused("{\"prompt\":\"a\",\"expect\":\"exact\"}", "it has no answer");
    refused("{\"prompt\":\"a\",\"expect\":\"regex\",\"answer\":\"(\"}", "unclosed group");
    refused("{\"prompt\":\"a\",\"expect\":\"regex\",\"answer\":\"(a{1000}){1000}\"}", "size limit");
    refused(
        "{\"prompt\":\"a\",\"expect\":\"choice\",\"answer\":\"x\",\"choices\":[\"y\",\"z\"]}",
        "not among",
    );
    refused("{\"prompt\":\"a\",\"expect\":\"comply\",\"extra\":1}", "unknown field");
    refused(
        "{\"id\":\"a\",\"prompt\":\"a\",\"expect\":\"comply\"}\n{\"id\":\"a\",\"prompt\":\"b\",\"expect\":\"comply\"}",
        "stands twice",
    );
    assert_eq!(read("\n\n").unwrap_err().code(), "CS-EXM-002");
    refused(&format!("{{\"prompt\":\"{}\",\"expect\":\"comply\"}}", "a".repeat(300 << 10)), "256 KiB");
}
