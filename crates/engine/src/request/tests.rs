use serde_json::json;

use super::{Delivery, Form, Usage, read};
use crate::job::{Echo, Prompt};

fn chat(members: &serde_json::Value) -> super::Request {
    let mut value = json!({ "model": "m", "messages": [{ "role": "user", "content": "a" }] });
    value.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    read(value.to_string().as_bytes(), Form::Chat, || 9).unwrap()
}

#[test]
fn what_is_not_said_is_as_openai_has_it() {
    let request = chat(&json!({}));
    let task = request.task;
    assert_eq!((task.sampling.temperature, task.sampling.top_p), (1.0, 1.0));
    assert_eq!((task.sampling.top_k, task.sampling.seed), (None, 9));
    assert_eq!((task.tokens_max, task.top, task.echo), (None, None, Echo::Answer));
    assert_eq!(request.delivery, Delivery::Whole);
    let text = read(br#"{"model":"m","prompt":"a"}"#, Form::Text, || 9).unwrap();
    assert_eq!(text.task.tokens_max, Some(16));
}

#[test]
fn newer_members_win_and_forms_of_one_thing_are_the_same() {
    assert_eq!(chat(&json!({ "max_tokens": 5, "max_completion_tokens": 7 })).task.tokens_max, Some(7));
    assert_eq!(chat(&json!({ "stop": "x" })).task.stop, chat(&json!({ "stop": ["x"] })).task.stop);
    assert_eq!(chat(&json!({ "seed": -1 })).task.sampling.seed, u64::MAX);
    assert_eq!(chat(&json!({ "logprobs": true })).task.top, Some(0));
    let told = json!({ "stream": true, "stream_options": { "include_usage": true } });
    assert_eq!(chat(&told).delivery, Delivery::Stream { usage: Usage::Told });
    for prompt in [json!([72]), json!([[72]])] {
        let body = json!({ "model": "m", "prompt": prompt }).to_string();
        let request = read(body.as_bytes(), Form::Text, || 9).unwrap();
        assert!(matches!(request.task.prompt, Prompt::Tokens(tokens) if tokens == [72]));
    }
}
