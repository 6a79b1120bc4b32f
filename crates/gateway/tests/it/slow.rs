//! Clients and engines that are slow, endless or too large.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::engine::{Act, EVENTS, Played, chunk};
use crate::house::{House, KEY, chat};

#[test]
fn a_client_that_never_ends_its_head_is_cut() {
    let mut house = House::new();
    let engine = Played::saying("{}");
    house.with_limits(&[engine.url()], &json!({ "head_ms": 50 }));
    let mut connection = house.connect();
    connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow:");
    assert!(!String::from_utf8(connection.rest()).unwrap().starts_with("HTTP/1.1 2"));
    assert_eq!(engine.count(), 0);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let mut house = House::new();
    let engine = Played::saying("{}");
    house.with_limits(&[engine.url()], &json!({ "body_ms": 50 }));
    let mut connection = house.connect();
    let request = House::request("", &chat(&json!({})));
    connection.send(&request[..request.len() - 5]);
    let answer = connection.answer();
    assert_eq!((answer.status, answer.code().as_str()), (408, "CS-GWY-046"));
    assert_eq!((connection.rest(), engine.count()), (Vec::new(), 0));
}

#[test]
fn a_body_that_is_too_long_is_refused_before_it_is_read() {
    let mut house = House::new();
    let engine = Played::saying("{}");
    house.with_limits(&[engine.url()], &json!({ "body_bytes": 1000 }));
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
    );
    for length in ["1001", "99999999999", "18446744073709551615"] {
        let mut connection = house.connect();
        connection.send(format!("{head}content-length: {length}\r\n\r\n").as_bytes());
        let answer = connection.head();
        assert!([413, 431].contains(&answer.status), "{length}: {answer:?}");
    }
    let answer = house.chat("", &json!({ "x": "a".repeat(1000) }));
    assert_eq!((answer.status, answer.code().as_str()), (413, "CS-GWY-045"));
    assert_eq!(engine.count(), 0);
}

#[test]
fn an_engine_that_says_nothing_is_not_waited_for() {
    let mut house = House::new();
    let (_go, wait) = channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let engine = Played::new(move |_| vec![Act::Wait(Arc::clone(&wait))]);
    house.with_limits(&[engine.url()], &json!({ "first_byte_ms": 50 }));
    let answer = house.chat("", &json!({}));
    assert_eq!((answer.status, answer.code().as_str()), (504, "CS-GWY-058"));
}

#[test]
fn an_engine_that_falls_silent_ends_its_stream_with_an_error() {
    let mut house = House::new();
    let (_go, wait) = channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let engine = Played::new(move |_| {
        vec![
            Act::Say(format!("{EVENTS}{}", chunk("data: {\"half\"")).into_bytes()),
            Act::Wait(Arc::clone(&wait)),
        ]
    });
    house.with_limits(&[engine.url()], &json!({ "between_ms": 50 }));
    let text = house.chat("", &json!({ "stream": true })).text();
    let events: Vec<&str> = text.split("\n\n").collect();
    assert_eq!(events[0], "data: {\"half\"");
    let error: serde_json::Value = serde_json::from_str(events[1].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "CS-GWY-060");
}

#[test]
fn an_engine_that_never_ends_is_ended() {
    for limits in [json!({ "request_ms": 100 }), json!({ "answer_bytes": 10_000 })] {
        let mut house = House::new();
        let event = chunk("data: {\"x\":1}\n\n").into_bytes();
        let engine = Played::new(move |_| vec![Act::Say(EVENTS.into()), Act::Repeat(event.clone())]);
        house.with_limits(&[engine.url()], &limits);
        let text = house.chat("", &json!({ "stream": true })).text();
        assert!(text.ends_with("\n\n") && text.contains("CS-GWY-060"), "{limits}");
        house.until(
            r#"countersign_gateway_requests_total{model="support",arm="all",outcome="CS-GWY-060"}"#,
            1.0,
        );
    }
}

#[test]
fn a_json_answer_that_breaks_off_cuts_the_connection() {
    let mut house = House::new();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"half\"";
    let engine = Played::new(move |_| vec![Act::Say(head.into()), Act::Close]);
    house.simple(&[engine.url()]);
    let mut connection = house.connect();
    connection.send(&House::request("", &chat(&json!({}))));
    assert_eq!(connection.head().header("content-length"), Some("100"));
    assert_eq!(connection.rest(), b"{\"half\"");
}

#[test]
fn a_client_that_takes_nothing_is_cut_and_its_engine_freed() {
    let mut house = House::new();
    let event = chunk(&format!("data: {}\n\n", "x".repeat(60_000))).into_bytes();
    let engine = Played::new(move |_| vec![Act::Say(EVENTS.into()), Act::Repeat(event.clone())]);
    house.with_limits(&[engine.url()], &json!({ "reader_ms": 100 }));
    let mut stream = TcpStream::connect(house.gate().address).unwrap();
    stream.write_all(&House::request("", &chat(&json!({ "stream": true })))).unwrap();
    let mut first = [0; 10];
    stream.read_exact(&mut first).unwrap();
    // Nothing more is read: the request is given up and counted.
    house.until(r#"countersign_gateway_requests_total{model="support",arm="all",outcome="cancelled"}"#, 1.0);
    house.until("countersign_gateway_requests_under_way", 0.0);
}

#[test]
fn a_key_has_so_many_requests_under_way() {
    let mut house = House::new();
    let (go, wait) = channel();
    let wait = Arc::new(Mutex::new(wait));
    let engine = Played::new(move |_| {
        let mut acts = vec![Act::Wait(Arc::clone(&wait))];
        acts.extend(crate::engine::json("200 OK", "{}"));
        acts
    });
    let first = house.first_state();
    let keys = json!({ "keys": [{ "concurrent": 1, "context": "non-critical", "name": "app", "per_minute": 100,
                                  "sha256": statement::Digest::of(KEY.as_bytes()) }] });
    let config = house.config(&[(first, &[engine.url()])], &keys, &json!({}));
    house.open(config);
    let mut connection = house.connect();
    connection.send(&House::request("", &chat(&json!({}))));
    house.until("countersign_gateway_requests_under_way", 1.0);
    while engine.count() == 0 {
        std::thread::yield_now();
    }
    let answer = house.chat("", &json!({}));
    assert_eq!((answer.status, answer.code().as_str()), (429, "CS-GWY-053"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    go.send(()).unwrap();
    assert_eq!(connection.answer().status, 200);
}
