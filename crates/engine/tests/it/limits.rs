//! Bounds: queues, bodies, slow clients and clients that go.

use std::time::Duration;

use engine::Limits;
use serde_json::{Value, json};

use crate::house::House;

/// More than any test waits for, and more than the buffers between two programs hold.
pub(crate) fn endless() -> Value {
    json!({
        "model": "made", "prompt": "a", "messages": [{ "role": "user", "content": "a" }], "max_tokens": 60_000,
        "stream": true, "temperature": 0, "echo": false,
    })
}

#[test]
fn a_client_that_goes_ends_its_generation() {
    let house = House::new();
    for path in ["/v1/completions", "/v1/chat/completions"] {
        let endpoint = path.rsplit_once("/v1/").unwrap().1.split('/').next().unwrap();
        let line =
            format!("countersign_engine_requests_total{{endpoint=\"{endpoint}\",outcome=\"cancelled\"}}");
        let mut body = endless();
        // In the middle of a stream.
        let mut connection = house.connect();
        connection.post(path, "", body.to_string().as_bytes());
        assert_eq!(connection.head().status, 200);
        connection.chunk();
        drop(connection);
        house.until(&line, 1.0);
        // The request is counted before its generation has looked up; the next is told by its own.
        house.until("countersign_engine_running", 0.0);
        // While a whole answer is made.
        body["stream"] = json!(false);
        let mut connection = house.connect();
        connection.post(path, "", body.to_string().as_bytes());
        house.until("countersign_engine_running", 1.0);
        drop(connection);
        house.until(&line, 2.0);
        house.until("countersign_engine_running", 0.0);
    }
    assert!(house.metric("countersign_engine_generated_tokens_total") < 3.9 * 60_000.0);
}

#[test]
fn too_many_requests_are_refused_and_those_that_wait_are_answered() {
    let house = House::with(Limits { queue: 2, ..Limits::ORDINARY }, None);
    let mut running = house.connect();
    running.post("/v1/completions", "", endless().to_string().as_bytes());
    assert_eq!(running.head().status, 200);
    let short = json!({ "model": "made", "prompt": "b", "max_tokens": 2 }).to_string();
    let mut waiting: Vec<_> = (1..=2)
        .map(|count| {
            let mut connection = house.connect();
            connection.post("/v1/completions", "", short.as_bytes());
            house.until("countersign_engine_queue_length", f64::from(count));
            connection
        })
        .collect();
    let refused = house.completion(&json!({}));
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("1"));
    let error = &refused.json()["error"];
    assert_eq!((&error["code"], &error["type"]), (&json!("CS-ENG-026"), &json!("rate_limit_error")));
    // One that waits goes and makes room.
    drop(waiting.pop());
    house.until("countersign_engine_requests_total{endpoint=\"completions\",outcome=\"cancelled\"}", 1.0);
    let mut next = house.connect();
    next.post("/v1/completions", "", short.as_bytes());
    house.until("countersign_engine_queue_length", 2.0);
    drop(running);
    assert_eq!(waiting[0].answer().status, 200);
    assert_eq!(next.answer().status, 200);
}

#[test]
fn waiting_has_an_end() {
    let house = House::with(Limits { queue_wait: Duration::from_millis(300), ..Limits::ORDINARY }, None);
    let mut running = house.connect();
    running.post("/v1/completions", "", endless().to_string().as_bytes());
    assert_eq!(running.head().status, 200);
    let refused = house.completion(&json!({}));
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert_eq!(refused.json()["error"]["code"], "CS-ENG-027");
}

#[test]
fn an_answer_has_an_end() {
    let house = House::with(Limits { request: Duration::from_millis(40), ..Limits::ORDINARY }, None);
    let mut body = endless();
    body["stream"] = json!(false);
    let refused = house.post("/v1/completions", &body);
    assert_eq!(refused.status, 504);
    assert_eq!(refused.json()["error"]["code"], "CS-ENG-036");
    // A stream that has begun says so in its last event, and is not `[DONE]`.
    let mut connection = house.connect();
    connection.post("/v1/completions", "", endless().to_string().as_bytes());
    let text = connection.answer().text();
    assert!(text.trim_end().lines().last().unwrap().contains("CS-ENG-036"), "{text}");
    assert!(!text.contains("[DONE]"));
}

#[test]
fn huge_bodies_are_refused() {
    let house = House::with(Limits { body_bytes: 10_000, ..Limits::ORDINARY }, None);
    let prompt = "a".repeat(20_000);
    let refused = house.completion(&json!({ "prompt": prompt }));
    assert_eq!(refused.status, 413);
    assert_eq!(refused.json()["error"]["code"], "CS-ENG-024");
    // Without a length, and without an end: it is cut off.
    let mut connection = house.connect();
    connection.send(b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n");
    for _ in 0..30 {
        connection.send(b"2000\r\n");
        connection.send(&[b' '; 0x2000]);
        connection.send(b"\r\n");
    }
    let answer = String::from_utf8(connection.rest()).unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(house.completion(&json!({})).status, 200);
    // A length that is a lie allocates nothing.
    let limits = Limits { body: Duration::from_millis(50), ..Limits::ORDINARY };
    let house = House::with(limits, None);
    let mut connection = house.connect();
    connection.send(b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9000000000000000000\r\n\r\n{");
    assert_eq!(connection.answer().status, 408);
}

#[test]
fn slow_heads_and_bodies_are_cut_off() {
    let short = Duration::from_millis(50);
    let house = House::with(Limits { head: short, body: short, ..Limits::ORDINARY }, None);
    let mut connection = house.connect();
    connection.send(b"POST /v1/completions HTTP/1.1\r\nhost: local");
    let answer = String::from_utf8(connection.rest()).unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    let mut connection = house.connect();
    connection.send(b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{");
    let answer = connection.answer();
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (408, Some("CS-ENG-034")));
    // Heads without end.
    let mut connection = house.connect();
    connection.send(b"GET /health HTTP/1.1\r\n");
    for number in 0..200 {
        connection.send(format!("x-{number}: 1\r\n").as_bytes());
    }
    connection.send(b"\r\n");
    let answer = String::from_utf8(connection.rest()).unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(house.get("/health").status, 200);
}

#[test]
fn connections_are_bounded() {
    let house = House::with(Limits { connections: 2, ..Limits::ORDINARY }, None);
    let mut first = house.connect();
    let mut second = house.connect();
    let ask = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    first.send(ask);
    second.send(ask);
    assert_eq!((first.answer().status, second.answer().status), (200, 200));
    // The third is served when one of the others goes.
    let mut third = house.connect();
    third.send(ask);
    drop(first);
    assert_eq!(third.answer().status, 200);
}

#[test]
fn a_client_that_does_not_read_holds_nobody_up() {
    let house = House::with(Limits { reader: Duration::from_millis(50), ..Limits::ORDINARY }, None);
    let mut stalled = house.connect();
    let mut body = endless();
    (body["logprobs"], body["top_logprobs"]) = (json!(true), json!(20));
    stalled.post("/v1/chat/completions", "", body.to_string().as_bytes());
    assert_eq!(stalled.head().status, 200);
    assert_eq!(house.completion(&json!({})).status, 200);
    assert!(house.metric("countersign_engine_generated_tokens_total") < 60_000.0);
}
