use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use super::*;
use crate::sampling::Sampling;
use crate::template::Message;

/// Answers one request with what is given; tells the request's path and body.
fn engine(answer: Vec<u8>) -> (String, std::thread::JoinHandle<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(socket.try_clone().unwrap());
        let (mut line, mut path, mut length) = (String::new(), String::new(), 0);
        while reader.read_line(&mut line).unwrap() > 2 {
            if let Some(rest) = line.strip_prefix("POST ") {
                path = rest.split(' ').next().unwrap().to_owned();
            }
            if let Some(rest) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = rest.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        // A reader that has seen enough may hang up.
        socket.write_all(&answer).ok();
        (path, serde_json::from_slice(&body).unwrap())
    });
    (url, thread)
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn request(prompt: Prompt) -> Request {
    let sampling = Sampling { temperature: 0.5, top_k: Some(7), top_p: 0.9, seed: 3 };
    let (stop, adapter) = (vec!["\n".to_owned()], None);
    Request { prompt, tokens_max: 9, sampling, stop, top: 2, adapter, now_s: 0 }
}

#[test]
fn completions_are_asked_for_and_read() {
    let body = r#"{"choices":[{"text":" Paris","finish_reason":"stop","logprobs":{"tokens":[" Paris"],
        "token_logprobs":[-0.25],"top_logprobs":[{" Lyon":-3.0," Paris":-0.25}],"text_offset":[0]}}],
        "usage":{"prompt_tokens":5,"completion_tokens":1}}"#;
    let (url, thread) = engine(http("200 OK", body));
    let remote = Remote::new(RemoteSettings::new(&url, "m")).unwrap();
    assert_eq!(remote.capabilities().taps, Ability::Unable);
    let mut heard = String::new();
    let answer = remote
        .generate(&request(Prompt::Text("The capital".into())), &mut |text| {
            heard.push_str(text);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((answer.text.as_str(), heard.as_str(), answer.usage), (" Paris", " Paris", Some((5, 1))));
    assert_eq!(answer.finish, Some(Finish::End));
    assert_eq!(answer.pieces[0].logprob, Some(-0.25));
    assert_eq!(answer.pieces[0].top, [(" Paris".to_owned(), -0.25), (" Lyon".to_owned(), -3.0)]);
    let (path, sent) = thread.join().unwrap();
    assert_eq!(path, "/v1/completions");
    assert_eq!(
        (&sent["prompt"], &sent["top_k"], &sent["seed"]),
        (&json!("The capital"), &json!(7), &json!(3))
    );
}

#[test]
fn chats_are_asked_for_and_read() {
    let body = r#"{"choices":[{"message":{"role":"assistant","content":"Hi"},"finish_reason":"length",
        "logprobs":{"content":[{"token":"Hi","logprob":-1.5,"top_logprobs":[{"token":"Hi","logprob":-1.5}]}]}}]}"#;
    let (url, thread) = engine(http("200 OK", body));
    let remote = Remote::new(RemoteSettings::new(&url, "m")).unwrap();
    let messages = vec![Message { role: "user".into(), content: "Hello".into() }];
    let answer =
        remote.generate(&request(Prompt::Chat(messages)), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((answer.text.as_str(), answer.finish, answer.usage), ("Hi", Some(Finish::Length), None));
    assert_eq!(answer.pieces[0].logprob, Some(-1.5));
    let (path, sent) = thread.join().unwrap();
    assert_eq!((path.as_str(), &sent["messages"][0]["content"]), ("/v1/chat/completions", &json!("Hello")));
}

#[test]
fn given_text_is_scored_through_the_echo() {
    let body = r#"{"choices":[{"text":"","logprobs":{"tokens":["A"," b"," c","!"],
        "token_logprobs":[null,-1.0,-2.0,-9.0],"text_offset":[0,1,3,5]}}]}"#;
    let (url, thread) = engine(http("200 OK", body));
    let remote = Remote::new(RemoteSettings::new(&url, "m")).unwrap();
    let scores = remote.score(&[("A".into(), " b c".into())], None).unwrap();
    assert_eq!(scores[0].iter().map(|piece| piece.logprob.unwrap()).collect::<Vec<_>>(), [-1.0, -2.0]);
    assert_eq!(thread.join().unwrap().1["echo"], json!(true));
}

#[test]
fn what_cannot_be_used_is_refused() {
    let ask = |answer: Vec<u8>, bytes: u64| {
        let (url, thread) = engine(answer);
        let settings = RemoteSettings { answer_bytes: bytes, ..RemoteSettings::new(&url, "m") };
        let remote = Remote::new(settings).unwrap();
        let error = remote
            .generate(&request(Prompt::Text("x".into())), &mut |_| ControlFlow::Continue(()))
            .unwrap_err();
        thread.join().unwrap();
        error.code()
    };
    assert_eq!(ask(http("500 Oops", "no\u{1b}[2J"), 1000), "CS-MDL-019");
    assert_eq!(ask(http("302 Found", ""), 1000), "CS-MDL-019");
    assert_eq!(ask(http("200 OK", "{"), 1000), "CS-MDL-020");
    assert_eq!(ask(http("200 OK", "{\"choices\":[]}"), 1000), "CS-MDL-020");
    assert_eq!(ask(http("200 OK", &" ".repeat(5000)), 1000), "CS-MDL-020");
    assert_eq!(ask(b"nonsense\r\n\r\n".to_vec(), 1000), "CS-MDL-018");
    let url = RemoteSettings::new("https://example.org/v1", "m");
    assert_eq!(Remote::new(url).unwrap_err().code(), "CS-MDL-017");
}
