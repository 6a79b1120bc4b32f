//! What is passed on, in both directions.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::engine::{Act, EVENTS, Played, chunk, json as says};
use crate::house::{House, KEY, chat};

const ANSWER: &str = r#"{"id":"x","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hi"}}]}"#;

#[test]
fn who_keeps_a_connection_is_answered_and_told_to_leave_when_the_gateway_stops() {
    let mut house = House::new();
    let engine = Played::saying(ANSWER);
    house.with_limits(&[engine.url()], &json!({ "leave_ms": 60_000 }));
    let mut connection = house.connect();
    let request = House::request("", &chat(&json!({})));
    connection.send(&request);
    assert_eq!(connection.answer().status, 200);
    house.gate().tell();
    // The server hears it on another thread.
    loop {
        connection.send(&request);
        let answer = connection.answer();
        assert_eq!(answer.status, 200);
        if answer.header("connection") == Some("close") {
            break;
        }
    }
}

#[test]
fn an_answer_comes_as_the_engine_wrote_it_and_says_what_it_is_of() {
    let mut house = House::new();
    let engine = Played::saying(ANSWER);
    house.simple(&[engine.url()]);
    let answer = house.chat(
        "x-request-id: 7\r\ncookie: a=b\r\nx-evil: 1\r\n",
        &json!({ "top_k": 3, "x_unknown": { "y": [1] } }),
    );
    assert_eq!((answer.status, answer.text().as_str()), (200, ANSWER));
    assert_eq!(answer.header("x-countersign-change"), Some("baseline"));
    assert_eq!(answer.header("x-countersign-state"), Some(house.first_state().to_string().as_str()));
    assert_eq!(answer.header("x-countersign-binding"), Some("declared"));
    let asked = engine.last();
    // The name at the engine, and every member as it came.
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(body["model"], "made");
    assert_eq!((&body["top_k"], &body["x_unknown"]), (&json!(3), &json!({ "y": [1] })));
    assert!(asked.head.starts_with("post /v1/chat/completions http/1.1"));
    assert!(asked.head.contains("x-request-id: 7"));
    for kept_back in [KEY, "authorization", "cookie", "x-evil"] {
        assert!(!asked.head.contains(kept_back), "{kept_back}: {}", asked.head);
    }
}

#[test]
fn every_interface_has_its_way() {
    let mut house = House::new();
    let engine = Played::saying("{}");
    house.simple(&[engine.url()]);
    for path in ["/v1/completions", "/v1/embeddings"] {
        let mut connection = house.connect();
        let request = String::from_utf8(House::request("", r#"{"model":"support","input":"x"}"#)).unwrap();
        connection.send(request.replace("/v1/chat/completions", path).as_bytes());
        assert_eq!(connection.answer().status, 200);
        assert!(engine.last().head.starts_with(&format!("post {path} ")));
    }
    let list = house.get("/v1/models").json();
    assert_eq!(list["data"][0]["id"], "support");
    assert_eq!(house.get("/v1/models/support").json()["object"], "model");
    let health = house.get("/healthz");
    assert_eq!((health.status, &health.json()["models"]["support"]["binding"]), (200, &json!("declared")));
    assert!(house.metric("countersign_gateway_overhead_seconds_count") > 1.0);
}

#[test]
fn a_stream_comes_event_by_event() {
    let mut house = House::new();
    let (go, wait) = channel();
    let wait = Arc::new(Mutex::new(wait));
    let engine = Played::new(move |_| {
        vec![
            Act::Say(format!("{EVENTS}{}", chunk("data: 1\n\n")).into_bytes()),
            Act::Wait(Arc::clone(&wait)),
            Act::Say(format!("{}0\r\n\r\n", chunk("data: [DONE]\n\n")).into_bytes()),
        ]
    });
    house.simple(&[engine.url()]);
    let mut connection = house.connect();
    connection.send(&House::request("", &crate::house::chat(&json!({ "stream": true }))));
    let head = connection.head();
    assert_eq!(head.header("content-type"), Some("text/event-stream; charset=utf-8"));
    // The engine says the second event only after the first has come all the way.
    assert_eq!(connection.chunk(), b"data: 1\n\n");
    go.send(()).unwrap();
    assert_eq!(connection.chunk(), b"data: [DONE]\n\n");
    assert_eq!(connection.chunk(), b"");
    house.until(r#"countersign_gateway_requests_total{model="support",arm="all",outcome="ok"}"#, 1.0);
}

#[test]
fn another_engine_is_asked_before_the_first_byte_and_never_after() {
    let mut house = House::new();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failing = Played::new(|_| says("503 Service Unavailable", "{}"));
    let engine = Played::saying(ANSWER);
    house.simple(&[format!("http://{gone}"), failing.url(), engine.url()]);
    for _ in 0..6 {
        assert_eq!(house.chat("", &json!({})).status, 200);
    }
    assert_eq!(engine.count(), 6);

    let mut house = House::new();
    let breaking =
        Played::new(|_| vec![Act::Say(format!("{EVENTS}{}", chunk("data: 1\n\n")).into_bytes()), Act::Close]);
    let other = Played::saying(ANSWER);
    house.simple(&[breaking.url(), other.url()]);
    let answer = house.chat("", &json!({ "stream": true }));
    let text = answer.text();
    assert!(text.starts_with("data: 1\n\n"), "{text}");
    assert!(text.contains("CS-GWY-060") && !text.contains("[DONE]"), "{text}");
    assert_eq!(other.count(), 0);
}

#[test]
fn what_engines_may_not_do_is_not_passed_on() {
    let evil = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nset-cookie: a=b\r\nx-countersign-change: chg-forged\r\naccess-control-allow-origin: *\r\ncontent-length: 2\r\n\r\n{}";
    let mut house = House::new();
    let engine = Played::new(move |_| vec![Act::Say(evil.as_bytes().to_vec())]);
    house.simple(&[engine.url()]);
    let answer = house.chat("", &json!({}));
    assert_eq!(answer.header("x-countersign-change"), Some("baseline"));
    assert_eq!((answer.header("set-cookie"), answer.header("access-control-allow-origin")), (None, None));
    for (head, code) in [
        ("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi", "CS-GWY-059"),
        ("HTTP/1.1 302 Found\r\nlocation: http://x/\r\ncontent-length: 0\r\n\r\n", "CS-GWY-059"),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx",
            "CS-GWY-059",
        ),
        ("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", "CS-GWY-057"),
        ("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", "CS-GWY-057"),
        ("nonsense\r\n\r\n", "CS-GWY-056"),
    ] {
        let mut house = House::new();
        let engine = Played::new(move |_| vec![Act::Say(head.as_bytes().to_vec()), Act::Close]);
        house.simple(&[engine.url()]);
        let answer = house.chat("", &json!({}));
        assert_eq!(answer.code(), code, "{head}");
        assert!(answer.status >= 500);
    }
}
