//! Stopping: what has begun is finished, what is new is refused, and nothing takes for ever.

use std::time::Duration;

use engine::Limits;
use serde_json::json;

use crate::client::Connection;
use crate::house::House;

/// A stream of so many tokens that has begun.
fn begun(house: &House, tokens: usize) -> Connection {
    let mut connection = house.connect();
    let body = json!({
        "model": "made", "prompt": "a", "max_tokens": tokens, "stream": true, "temperature": 2, "seed": 1,
        "logprobs": 0,
    });
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
    let mut stream = begun(&house, 1500);
    let mut waiting = house.connect();
    waiting.post("/v1/completions", "", br#"{"model":"made","prompt":"a"}"#);
    house.until("countersign_engine_queue_length", 1.0);
    assert_eq!(house.get("/health").json()["status"], "ready");
    house.stop();
    // One that waited hears it, and so does one that is new.
    let refused = waiting.answer();
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert_eq!(refused.json()["error"]["code"], "CS-ENG-028");
    let health = house.get("/health");
    assert_eq!((health.status, health.json()["status"].as_str()), (503, Some("draining")));
    assert_eq!(house.completion(&json!({})).json()["error"]["code"], "CS-ENG-028");
    let text = rest(&mut stream);
    assert!(text.ends_with("data: [DONE]\n\n"));
    assert_eq!(text.matches("\"token_logprobs\":[-").count(), text.matches("\"token_logprobs\":[").count());
    house.stopped();
}

#[test]
fn draining_has_an_end() {
    let house = House::with(Limits { drain: Duration::from_millis(20), ..Limits::ORDINARY }, None);
    let mut stream = begun(&house, 4000);
    house.stop();
    let text = rest(&mut stream);
    assert!(text.contains("CS-ENG-028") && !text.contains("[DONE]"), "{text}");
    house.stopped();
}

#[test]
fn told_twice_it_stops_at_once() {
    let house = House::with(Limits { drain: Duration::from_hours(1), ..Limits::ORDINARY }, None);
    let mut stream = begun(&house, 4000);
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
