//! Stopping: what has begun is finished, what is new is refused, and nothing takes for ever.

use std::time::Duration;

use engine::Limits;
use serde_json::{Value, json};

use crate::client::Connection;
use crate::house::{House, with};
use crate::limits::endless;

/// A stream that has begun.
fn begun(house: &House, body: &Value) -> Connection {
    let mut connection = house.connect();
    connection.post("/v1/completions", "", body.to_string().as_bytes());
    assert_eq!(connection.head().status, 200);
    connection
}

/// The rest of a stream, whose head has been read.
fn rest(connection: &mut Connection) -> String {
    let mut text = Vec::new();
    loop {
        let chunk = connection.chunk();
        if chunk.is_empty() {
            return String::from_utf8(text).unwrap();
        }
        text.extend(chunk);
    }
}

#[test]
fn what_has_begun_is_finished_and_what_is_new_is_refused() {
    let house = House::new();
    let mut stream = begun(&house, &with(endless(), &json!({ "max_tokens": 1500 })));
    // A request that is being sent keeps the engine from ending before this test has seen what it wants to see.
    let body = json!({ "model": "made", "prompt": "a" }).to_string();
    let mut holding = house.connect();
    let head = format!(
        "POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    holding.send(head.as_bytes());
    // The engine asks for the body when it reads it.
    assert_eq!(holding.head().status, 100);
    assert_eq!(house.get("/health").json()["status"], "ready");
    house.stop();
    while house.get("/health").status == 200 {
        std::thread::yield_now();
    }
    let health = house.get("/health");
    assert_eq!((health.status, health.json()["status"].as_str()), (503, Some("draining")));
    let refused = house.completion(&json!({}));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    assert_eq!(refused.json()["error"]["code"], "CS-ENG-028");
    let text = rest(&mut stream);
    assert!(text.ends_with("data: [DONE]\n\n"));
    assert_eq!(text.matches("\"finish_reason\":\"length\"").count(), 1);
    holding.send(body.as_bytes());
    assert_eq!(holding.answer().json()["error"]["code"], "CS-ENG-028");
    house.stopped();
}

#[test]
fn those_that_wait_hear_that_it_stops() {
    let house = House::new();
    let stream = begun(&house, &endless());
    let mut waiting = house.connect();
    waiting.post("/v1/completions", "", br#"{"model":"made","prompt":"a"}"#);
    house.until("countersign_engine_queue_length", 1.0);
    house.stop();
    let refused = waiting.answer();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    assert_eq!(refused.json()["error"]["code"], "CS-ENG-028");
    drop(stream);
    house.stopped();
}

#[test]
fn draining_has_an_end() {
    let house = House::with(Limits { drain: Duration::from_millis(20), ..Limits::ORDINARY }, None);
    let mut stream = begun(&house, &endless());
    house.stop();
    let text = rest(&mut stream);
    assert!(text.contains("CS-ENG-028") && !text.contains("[DONE]"), "{text}");
    house.stopped();
}

#[test]
fn told_twice_it_stops_at_once() {
    let house = House::with(Limits { drain: Duration::from_hours(1), ..Limits::ORDINARY }, None);
    let mut stream = begun(&house, &endless());
    house.stop();
    while house.get("/health").status == 200 {
        std::thread::yield_now();
    }
    house.stop();
    let text = rest(&mut stream);
    assert!(text.contains("CS-ENG-028") && !text.contains("[DONE]"));
    house.stopped();
}

#[test]
fn idle_connections_do_not_hold_it_up() {
    let house = House::new();
    let mut idle = house.connect();
    idle.send(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(idle.answer().status, 200);
    house.stop();
    assert!(idle.rest().is_empty());
    house.stopped();
}
