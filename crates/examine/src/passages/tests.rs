use bytes::Bytes;

use super::*;

fn index(lines: &str, settings: Option<&str>) -> Result<Passages, String> {
    let mut files = vec![("part.jsonl".to_owned(), Bytes::from(lines.to_owned()))];
    files.extend(settings.map(|text| ("retrieval.json".to_owned(), Bytes::from(text.to_owned()))));
    Passages::read(&Files::new(files))
}

fn ids<'p>(index: &'p Passages, question: &str) -> Vec<&'p str> {
    index.found(question).into_iter().map(|passage| passage.id.as_str()).collect()
}

#[test]
fn passages_with_the_questions_rare_words_come_first() {
    let lines = r#"{"id": "a", "text": "The harbour opens at six, the office at eight."}
{"id": 2, "page_content": "The office sells tickets."}

{"id": "c", "text": "Tickets for the night ferry, the ferry of the harbour.", "metadata": {"source": "x"}}
"#;
    let index = index(lines, Some(r#"{"top": 2}"#)).unwrap();
    assert_eq!(ids(&index, "When does a FERRY leave?"), ["c"]);
    assert_eq!(ids(&index, "tickets"), ["2", "c"], "the shorter one says more of it");
    assert_eq!(ids(&index, "nothing that stands there"), [] as [&str; 0]);
    assert_eq!(index.before("xyz"), "");
    assert_eq!(index.before("ferry"), "Tickets for the night ferry, the ferry of the harbour.\n\n");
}

fn json(id: u32, text: &str) -> String {
    serde_json::json!({ "id": id, "text": text }).to_string()
}

/// Scores by the formula's own terms, computed apart: two passages of 2 and 4 words, a word that one of them has twice.
#[test]
fn the_ranking_is_that_of_bm25() {
    let text = |first: &str, second: &str| format!("{}\n{}", json(1, first), json(2, second));
    // k1 + 1 = 2.2, mean length 3: 2.2 / (1 + 1.2 (0.25 + 0.75 2/3)) = 1.158 against 4.4 / (2 + 1.2 (0.25 + 0.75 4/3)) = 1.257.
    assert_eq!(ids(&index(&text("oak elm", "oak oak ash fir"), None).unwrap(), "oak"), ["2", "1"]);
    // Once in four words: 2.2 / (1 + 1.5) = 0.88.
    assert_eq!(ids(&index(&text("oak elm", "oak yew ash fir"), None).unwrap(), "oak"), ["1", "2"]);
}

#[test]
fn what_is_no_index_is_refused_with_its_line() {
    let refused = |lines: &str, settings: Option<&str>| index(lines, settings).unwrap_err();
    assert_eq!(refused("\n \n", None), "there is no passage in it");
    assert!(
        refused("{\"id\": \"a\", \"text\": \"b\"}\n{\"id\": [], \"text\": \"c\"}", None)
            .starts_with("part.jsonl:2: ")
    );
    assert!(refused("{\"id\": \"a\"}", None).starts_with("part.jsonl:1: missing field"));
    assert!(
        refused("{\"id\": 1, \"text\": \"b\", \"embedding\": [1e999]}", None).starts_with("part.jsonl:1:")
    );
    assert!(refused("x", Some(r#"{"top": 0}"#)).starts_with("retrieval.json: `top`"));
    assert!(refused("x", Some(r#"{"top": 3, "tops": 1}"#)).starts_with("retrieval.json: unknown field"));
    let long = format!("{{\"id\": 1, \"text\": \"{}\"}}", "x".repeat(LINE_BYTES_MAX));
    assert!(refused(&long, None).contains("more than a MiB"));
}

#[test]
fn identifiers_that_stand_twice_and_lengths_of_embeddings_are_known() {
    let lines = "{\"id\": 1, \"text\": \"b\", \"embedding\": [1, 2]}\n{\"id\": \"1\", \"text\": \"c\", \"vector\": [1]}";
    let index = index(lines, None).unwrap();
    assert_eq!(index.twice.iter().collect::<Vec<_>>(), ["1"]);
    assert_eq!(index.dimensions.iter().copied().collect::<Vec<_>>(), [1, 2]);
}
