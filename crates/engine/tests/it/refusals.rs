//! What is refused, and how.

use engine::{Error, Limits, Server, sample};
use serde_json::{Value, json};

use crate::house::{House, engine};

#[track_caller]
fn check(house: &House, path: &str, body: &Value, code: &str, param: Option<&str>) {
    let answer = house.post(path, body);
    let error = &answer.json()["error"];
    assert_eq!(error["code"], code, "{error}");
    assert_eq!(error["param"].as_str(), param, "{error}");
    assert_eq!(error["type"], "invalid_request_error");
    assert!(error["message"].as_str().unwrap().contains("; "));
    let expected = if code == "CS-ENG-023" { 404 } else { 400 };
    assert_eq!(answer.status, expected);
}

#[test]
fn wrong_members_are_refused_by_name() {
    let house = House::new();
    let chat = |members: &Value, code: &str, param: &str| {
        let messages = json!([{ "role": "user", "content": "Hello" }]);
        let base = json!({ "model": "made", "messages": messages, "max_tokens": 2 });
        check(&house, "/v1/chat/completions", &crate::house::with(base, members), code, Some(param));
    };
    let text = |members: &Value, code: &str, param: &str| {
        let base = json!({ "model": "made", "prompt": "Hello", "max_tokens": 2 });
        check(&house, "/v1/completions", &crate::house::with(base, members), code, Some(param));
    };
    let wrong = "CS-ENG-021";
    chat(&json!({ "model": null }), wrong, "model");
    chat(&json!({ "model": 7 }), wrong, "model");
    chat(&json!({ "model": "absent" }), "CS-ENG-023", "model");
    chat(&json!({ "messages": null }), wrong, "messages");
    chat(&json!({ "messages": [] }), wrong, "messages");
    chat(&json!({ "messages": ["Hello"] }), wrong, "messages[0].role");
    chat(&json!({ "messages": [{ "role": "king", "content": "" }] }), wrong, "messages[0].role");
    chat(&json!({ "messages": [{ "role": "user" }] }), wrong, "messages[0].content");
    chat(&json!({ "messages": [{ "role": "user", "content": [{}] }] }), wrong, "messages[0].content[0].type");
    chat(&json!({ "temperature": -0.1 }), wrong, "temperature");
    chat(&json!({ "temperature": "hot" }), wrong, "temperature");
    chat(&json!({ "top_p": 1.1 }), wrong, "top_p");
    chat(&json!({ "top_k": -2 }), wrong, "top_k");
    chat(&json!({ "max_tokens": 0 }), wrong, "max_tokens");
    chat(&json!({ "max_completion_tokens": 1.5 }), wrong, "max_completion_tokens");
    chat(&json!({ "seed": 0.5 }), wrong, "seed");
    chat(&json!({ "stream": "yes" }), wrong, "stream");
    chat(&json!({ "stream": true, "stream_options": 1 }), wrong, "stream_options");
    chat(&json!({ "top_logprobs": 2 }), wrong, "logprobs");
    chat(&json!({ "logprobs": true, "top_logprobs": 21 }), wrong, "top_logprobs");
    text(&json!({ "stop": "" }), wrong, "stop");
    text(&json!({ "stop": [1] }), wrong, "stop");
    text(&json!({ "stop": vec!["a"; 17] }), wrong, "stop");
    text(&json!({ "stop": "a".repeat(1025) }), wrong, "stop");
    text(&json!({ "prompt": null }), wrong, "prompt");
    text(&json!({ "prompt": [] }), wrong, "prompt");
    text(&json!({ "prompt": "" }), wrong, "prompt");
    text(&json!({ "prompt": [-1] }), wrong, "prompt");
    text(&json!({ "prompt": [258] }), wrong, "prompt");
    text(&json!({ "logprobs": 21 }), wrong, "logprobs");
    text(&json!({ "logprobs": true }), wrong, "logprobs");
    text(&json!({ "echo": 1 }), wrong, "echo");
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let house = House::new();
    let tool = json!([{ "type": "function", "function": { "name": "f" } }]);
    for (member, value) in [
        ("n", json!(2)),
        ("best_of", json!(3)),
        ("tools", tool.clone()),
        ("functions", tool),
        ("tool_choice", json!("auto")),
        ("response_format", json!({ "type": "json_object" })),
        ("logit_bias", json!({ "5": 1 })),
        ("presence_penalty", json!(0.5)),
        ("frequency_penalty", json!(-0.5)),
        ("repetition_penalty", json!(1.1)),
        ("min_p", json!(0.1)),
        ("suffix", json!("end")),
        ("modalities", json!(["text", "audio"])),
        ("audio", json!({ "voice": "x" })),
        ("store", json!(true)),
    ] {
        let body =
            json!({ "model": "made", "messages": [{ "role": "user", "content": "a" }], member: value });
        check(&house, "/v1/chat/completions", &body, "CS-ENG-022", Some(member));
    }
    let image =
        json!([{ "type": "text", "text": "a" }, { "type": "image_url", "image_url": { "url": "data:" } }]);
    for (message, param) in [
        (json!({ "role": "user", "content": image }), "messages[0].content[1].type"),
        (json!({ "role": "tool", "content": "4", "tool_call_id": "1" }), "messages[0].role"),
        (json!({ "role": "assistant", "tool_calls": [{}] }), "messages[0].tool_calls"),
    ] {
        let body = json!({ "model": "made", "messages": [message] });
        check(&house, "/v1/chat/completions", &body, "CS-ENG-022", Some(param));
    }
    let body = json!({ "model": "made", "prompt": ["a", "b"] });
    check(&house, "/v1/completions", &body, "CS-ENG-022", Some("prompt"));
}

#[test]
fn a_template_may_refuse() {
    let house = House::new();
    let body = json!({ "model": "made", "messages": [{ "role": "assistant", "content": "I begin" }] });
    let answer = house.post("/v1/chat/completions", &body);
    assert_eq!(answer.status, 400);
    let error = &answer.json()["error"];
    assert!(error["code"].as_str().unwrap().starts_with("CS-MDL-"));
    assert!(error["message"].as_str().unwrap().contains("begins with the user"), "{error}");
}

#[test]
fn malformed_bodies_are_refused() {
    let house = House::new();
    let deep = "[".repeat(100_000);
    for body in
        ["", "{", "[]", "null", "\"a\"", "{\"model\":\"made\"}x", "\u{0}", deep.as_str(), "{\"a\":1e999}"]
    {
        let mut connection = house.connect();
        connection.post("/v1/completions", "", body.as_bytes());
        let answer = connection.answer();
        assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (400, Some("CS-ENG-020")));
    }
    let mut connection = house.connect();
    connection.post("/v1/completions", "", &[0xff, 0xfe, b'{', b'}']);
    assert_eq!(connection.answer().json()["error"]["code"], "CS-ENG-020");
    // Cut anywhere, nothing breaks and the next request on the connection is answered.
    let whole = json!({ "model": "made", "prompt": "a", "max_tokens": 1, "stop": ["x"] }).to_string();
    let mut connection = house.connect();
    for end in 0..whole.len() {
        connection.post("/v1/completions", "", &whole.as_bytes()[..end]);
        assert_eq!(connection.answer().status, 400);
    }
    connection.post("/v1/completions", "", whole.as_bytes());
    assert_eq!(connection.answer().status, 200);
}

#[test]
fn other_addresses_methods_types_and_hosts_are_refused() {
    let house = House::new();
    let code = |raw: &str| {
        let mut connection = house.connect();
        connection.send(raw.as_bytes());
        let answer = connection.answer();
        (answer.status, answer.json()["error"]["code"].as_str().unwrap().to_owned())
    };
    let check = |raw: &str, status: u16, expected: &str| assert_eq!(code(raw), (status, expected.to_owned()));
    check("GET /v2 HTTP/1.1\r\nhost: localhost\r\n\r\n", 404, "CS-ENG-030");
    check("GET /v1/completions HTTP/1.1\r\nhost: localhost\r\n\r\n", 405, "CS-ENG-031");
    // What a web page can send to this machine without being asked.
    let plain = "POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n{}";
    check(plain, 415, "CS-ENG-032");
    check("GET /v1/models HTTP/1.1\r\nhost: evil.example:8080\r\n\r\n", 421, "CS-ENG-033");
    check("GET /metrics HTTP/1.1\r\nhost: evil.example\r\n\r\n", 421, "CS-ENG-033");
}

#[test]
fn keys_are_asked_for() {
    let house = House::with(Limits::ORDINARY, Some("a-key-for-these-tests\nanother-key-for-them\n"));
    let ask = |headers: &str| {
        let mut connection = house.connect();
        connection.post("/v1/completions", headers, br#"{"model":"made","prompt":"a","max_tokens":1}"#);
        connection.answer()
    };
    for headers in ["", "authorization: Bearer wrong\r\n", "authorization: Basic a-key-for-these-tests\r\n"] {
        let answer = ask(headers);
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        let error = &answer.json()["error"];
        assert_eq!((&error["code"], &error["type"]), (&json!("CS-ENG-029"), &json!("authentication_error")));
    }
    assert_eq!(ask("authorization: Bearer a-key-for-these-tests\r\n").status, 200);
    assert_eq!(ask("authorization: bearer another-key-for-them\r\n").status, 200);
    for path in ["/v1/models", "/metrics", "/absent"] {
        assert_eq!(house.get(path).status, 401);
    }
    assert_eq!(house.get("/health").status, 200);
}

#[test]
fn engines_that_should_not_start_do_not() {
    let open = Server::bind(engine(Limits::ORDINARY), "0.0.0.0:0".parse().unwrap(), None).unwrap_err();
    assert_eq!(open.code(), "CS-ENG-001");
    let house = House::new();
    let taken = Server::bind(engine(Limits::ORDINARY), house.address, None).unwrap_err();
    assert_eq!(taken.code(), "CS-ENG-002");
    let load = |name: &str, adapters: &[(String, engine::AdapterFiles)], limits: Limits| {
        engine::Engine::load(name, &sample::model(7).unwrap(), adapters, limits, &|_| {}).unwrap_err()
    };
    let adapter = sample::adapter(8).unwrap();
    let twice = [("made".to_owned(), adapter.clone())];
    assert_eq!(load("made", &twice, Limits::ORDINARY).code(), "CS-ENG-006");
    assert_eq!(load("", &[], Limits::ORDINARY).code(), "CS-ENG-006");
    assert_eq!(load("a\nb", &[], Limits::ORDINARY).code(), "CS-ENG-006");
    assert_eq!(load("made", &[], Limits { threads: 0, ..Limits::ORDINARY }).code(), "CS-ENG-007");
    let broken = engine::Named { bytes: adapter.weights.bytes.slice(..100), ..adapter.weights.clone() };
    let broken = [("other".to_owned(), engine::AdapterFiles { weights: broken, ..adapter })];
    let error: Error = load("made", &broken, Limits::ORDINARY);
    assert_eq!(error.code(), "CS-ENG-005");
    let cut = engine::ModelFiles::Gguf(engine::Named { name: "x".into(), bytes: b"GGUF\x03"[..].into() });
    let error = engine::Engine::load("made", &cut, &[], Limits::ORDINARY, &|_| {}).unwrap_err();
    assert_eq!(error.code(), "CS-ENG-004");
}
