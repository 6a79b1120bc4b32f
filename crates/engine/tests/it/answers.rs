//! What is answered, whole and in streams.

use engine::Limits;
use model::executor::{Executor, Local, Prompt, Remote, RemoteSettings, Request};
use model::template::Message;
use model::{Model, Sampling, Source, Tokenizer};
use serde_json::{Value, json};

use crate::house::{House, with};

fn content(answer: &Value) -> &str {
    answer["choices"][0]["message"]["content"].as_str().unwrap()
}

fn streamed(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
}

/// The same model, run here.
fn local() -> Local {
    let engine::ModelFiles::Folder { config, tokenizer, tokenizer_config, weights, .. } =
        engine::sample::model(7).unwrap()
    else {
        panic!("the made model is a folder")
    };
    let source = Source::from_safetensors(&[weights[0].bytes.clone()]).unwrap();
    let model = Model::load(model::Config::from_json(&config.bytes).unwrap(), &source).unwrap();
    let settings = tokenizer_config.unwrap().bytes;
    let mut local =
        Local::new(model, Tokenizer::from_json(&tokenizer.bytes, Some(&settings)).unwrap()).unwrap();
    let adapter = engine::sample::adapter(8).unwrap();
    local.model_mut().load_adapter("other", &adapter.config.bytes, &adapter.weights.bytes).unwrap();
    local
}

#[test]
fn a_chat_is_answered_in_openai_s_form() {
    let house = House::new();
    let answer = house.chat(&json!({}));
    assert_eq!(answer.status, 200);
    let value = answer.json();
    assert_eq!(value["object"], "chat.completion");
    assert_eq!(value["model"], "made");
    assert!(value["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(value["created"].as_u64().unwrap() > 1_700_000_000);
    let choice = &value["choices"][0];
    assert_eq!((choice["index"].as_u64(), &choice["logprobs"]), (Some(0), &Value::Null));
    assert_eq!(choice["message"]["role"], "assistant");
    assert_eq!(choice["finish_reason"], "length");
    let prompt = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n";
    let controls = 3 * ("<|im_start|>".len() - 1) - 2;
    assert_eq!(value["usage"]["prompt_tokens"], prompt.len() - controls);
    assert_eq!(value["usage"]["completion_tokens"], 24);
    assert_eq!(value["usage"]["total_tokens"], 24 + prompt.len() - controls);
    // The same again: what is remembered changes nothing.
    assert_eq!(content(&house.chat(&json!({})).json()), content(&value));
    assert!(house.metric("countersign_engine_reused_tokens_total") > 0.0);
}

#[test]
fn a_stream_says_the_same_as_a_whole_answer() {
    let house = House::new();
    for seed in 0..8 {
        let asked = json!({ "temperature": 1.3, "seed": seed, "max_tokens": 60 });
        let whole = house.chat(&asked).json();
        let stream = house.chat(&with(
            asked.clone(),
            &json!({ "stream": true, "stream_options": { "include_usage": true } }),
        ));
        let events = stream.events();
        assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(events[0]["object"], "chat.completion.chunk");
        assert_eq!(streamed(&events, "/choices/0/delta/content"), content(&whole));
        let (counts, before) = events.split_last().unwrap();
        assert_eq!(counts["choices"], json!([]));
        assert_eq!(counts["usage"], whole["usage"]);
        assert!(before.iter().all(|event| event["usage"].is_null() && event["id"] == counts["id"]));
        let finish = &before.last().unwrap()["choices"][0]["finish_reason"];
        assert_eq!(finish, &whole["choices"][0]["finish_reason"]);

        let text = house.completion(&asked).json();
        let events = house.completion(&with(asked, &json!({ "stream": true }))).events();
        assert_eq!(streamed(&events, "/choices/0/text"), text["choices"][0]["text"].as_str().unwrap());
        assert!(events.iter().all(|event| event.get("usage").is_none()));
    }
}

#[test]
fn seeds_decide_and_without_one_answers_differ() {
    let house = House::new();
    let text = |members: &Value| house.completion(members).json()["choices"][0]["text"].clone();
    let seeded = |seed: i64| text(&json!({ "temperature": 1, "seed": seed, "max_tokens": 40 }));
    assert_eq!(seeded(1), seeded(1));
    assert_eq!(seeded(-1), seeded(-1));
    assert_ne!(seeded(1), seeded(2));
    let free = json!({ "temperature": 1.5, "max_tokens": 60 });
    assert_ne!(text(&free), text(&free));
    // Of one candidate there is nothing to choose.
    let greedy = text(&json!({}));
    assert_eq!(text(&json!({ "temperature": 2, "top_k": 1 })), greedy);
    assert_eq!(text(&json!({ "temperature": 2, "top_p": 0 })), greedy);
}

#[test]
fn stop_texts_never_leak() {
    let house = House::new();
    let asked = json!({ "temperature": 1, "seed": 3, "max_tokens": 80 });
    let whole = house.completion(&asked).json();
    let text = whole["choices"][0]["text"].as_str().unwrap();
    let characters: Vec<char> = text.chars().collect();
    for (from, len) in [(5, 1), (9, 3), (20, 6), (0, 2)] {
        let stop: String = characters[from..from + len].iter().collect();
        let expected = text.split(&stop).next().unwrap();
        let members = with(asked.clone(), &json!({ "stop": [stop, "not in it"], "logprobs": 2 }));
        let stopped = house.completion(&members).json();
        let choice = &stopped["choices"][0];
        assert_eq!(choice["text"].as_str(), Some(expected));
        assert_eq!(choice["finish_reason"], "stop");
        let tokens = choice["logprobs"]["tokens"].as_array().unwrap();
        let told: usize = tokens.iter().map(|token| token.as_str().unwrap().len()).sum();
        // Single bytes may be told as `bytes:\x..`; nothing of the stop is told.
        assert!(told >= expected.len() && tokens.len() <= expected.len(), "{choice}");
        let events = house.completion(&with(members, &json!({ "stream": true }))).events();
        assert_eq!(streamed(&events, "/choices/0/text"), expected);
        let streamed_tokens: Vec<&Value> = events
            .iter()
            .filter_map(|event| event.pointer("/choices/0/logprobs/tokens")?.as_array())
            .flatten()
            .collect();
        assert_eq!(streamed_tokens, tokens.iter().collect::<Vec<_>>());
    }
    let one = house.completion(&with(asked, &json!({ "stop": characters[3].to_string() }))).json();
    assert_eq!(one["choices"][0]["text"].as_str(), text.split(characters[3]).next());
}

#[test]
fn logprobs_tell_every_byte_of_the_answer() {
    let house = House::new();
    let asked =
        json!({ "temperature": 1.2, "seed": 11, "logprobs": true, "top_logprobs": 4, "max_tokens": 50 });
    let value = house.chat(&asked).json();
    let entries = value["choices"][0]["logprobs"]["content"].as_array().unwrap();
    let mut bytes = Vec::new();
    for entry in entries {
        if !entry["token"].as_str().unwrap().starts_with("<|im_") {
            bytes.extend(
                entry["bytes"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap()),
            );
        }
        let top = entry["top_logprobs"].as_array().unwrap();
        assert_eq!(top.len(), 4);
        let logprobs: Vec<f64> = top.iter().map(|other| other["logprob"].as_f64().unwrap()).collect();
        assert!(logprobs.is_sorted_by(|a, b| a >= b) && logprobs[0] < 0.0);
        let same = top.iter().find(|other| other["token"] == entry["token"]);
        assert!(same.is_none_or(|same| same["logprob"] == entry["logprob"]));
    }
    // Bytes that are no text come as replacement characters, one or more for each run.
    let characters = |text: &str| text.replace('\u{fffd}', "");
    assert_eq!(characters(&String::from_utf8_lossy(&bytes)), characters(content(&value)));
    let events = house.chat(&with(asked, &json!({ "stream": true }))).events();
    let streamed: Vec<&Value> = events
        .iter()
        .filter_map(|event| event.pointer("/choices/0/logprobs/content")?.as_array())
        .flatten()
        .collect();
    assert_eq!(streamed, entries.iter().collect::<Vec<_>>());
}

#[test]
fn echo_gives_the_prompt_and_how_likely_it_was() {
    let house = House::new();
    let value =
        house.completion(&json!({ "echo": true, "logprobs": 3, "max_tokens": 5, "prompt": "Grüße" })).json();
    let choice = &value["choices"][0];
    assert!(choice["text"].as_str().unwrap().starts_with("Grüße"));
    let logprobs = &choice["logprobs"];
    assert_eq!(logprobs["tokens"].as_array().unwrap().len(), 7 + 5);
    assert_eq!(logprobs["tokens"][2], "bytes:\\xc3");
    assert_eq!(logprobs["token_logprobs"][0], Value::Null);
    assert_eq!(logprobs["top_logprobs"][0], Value::Null);
    assert!(logprobs["token_logprobs"][1].as_f64().unwrap() < 0.0);
    // Offsets count characters.
    let offsets: Vec<u64> =
        logprobs["text_offset"].as_array().unwrap().iter().map(|offset| offset.as_u64().unwrap()).collect();
    assert_eq!(offsets[0], 0);
    assert_eq!(offsets[6], 4);
    assert_eq!(offsets[7], 5);
    assert!(offsets.is_sorted());
    // Nothing but the prompt.
    let value = house
        .completion(&json!({ "echo": true, "logprobs": 0, "max_tokens": 0, "prompt": [72, 105] }))
        .json();
    assert_eq!(value["choices"][0]["text"], "Hi");
    assert_eq!(value["usage"]["completion_tokens"], 0);
}

#[test]
fn the_executor_elsewhere_and_the_one_here_agree() {
    let house = House::new();
    let settings = RemoteSettings::new(&format!("http://{}/v1", house.address), "made");
    let remote = Remote::new(settings).unwrap();
    let local = local();
    let message = Message { role: "user".into(), content: "Tell me".into() };
    for adapter in [None, Some("other".to_owned())] {
        for prompt in [Prompt::Text("abc".into()), Prompt::Chat(vec![message.clone()])] {
            let request = Request {
                prompt,
                tokens_max: 20,
                sampling: Sampling { temperature: 0.9, top_k: Some(40), top_p: 0.9, seed: 5 },
                stop: vec!["\n".into()],
                top: 2,
                adapter: adapter.clone(),
                now_s: 0,
            };
            let ask = |executor: &dyn Executor| {
                executor.generate(&request, &mut |_| std::ops::ControlFlow::Continue(())).unwrap()
            };
            let (there, here) = (ask(&remote), ask(&local));
            assert_eq!(there.text, here.text);
            assert_eq!(there.usage, here.usage);
            for (there, here) in there.pieces.iter().zip(&here.pieces) {
                assert_eq!(there.logprob, here.logprob);
            }
        }
        let texts = [("The sky".to_owned(), " is blue".to_owned())];
        let there = remote.score(&texts, adapter.as_deref()).unwrap();
        let here = local.score(&texts, adapter.as_deref()).unwrap();
        let logprobs = |pieces: &[model::executor::Piece]| -> Vec<Option<f32>> {
            pieces.iter().map(|piece| piece.logprob).collect()
        };
        assert_eq!(logprobs(&there[0]), logprobs(&here[0]));
    }
}

#[test]
fn adapters_are_asked_for_by_name_and_listed() {
    let house = House::new();
    let text = |name: &str| house.completion(&json!({ "model": name })).json()["choices"][0]["text"].clone();
    assert_ne!(text("made"), text("other"));
    // Memories are not mixed up.
    assert_eq!((text("made"), text("other")), (text("made"), text("other")));
    let list = house.get("/v1/models").json();
    assert_eq!(list["object"], "list");
    assert_eq!(list["data"][0]["id"], "made");
    assert_eq!(list["data"][0]["parent"], Value::Null);
    assert_eq!(list["data"][1]["id"], "other");
    assert_eq!(list["data"][1]["parent"], "made");
    assert_eq!(house.get("/v1/models/other").json(), list["data"][1]);
    assert_eq!(house.get("/v1/models/absent").status, 404);
}

#[test]
fn members_that_change_nothing_are_taken() {
    let house = House::new();
    let plain = house.chat(&json!({})).json();
    let full = house.chat(&json!({
        "n": 1, "tools": [], "tool_choice": "none", "presence_penalty": 0, "frequency_penalty": 0.0,
        "logit_bias": {}, "response_format": { "type": "text" }, "modalities": ["text"], "user": "u",
        "metadata": { "a": 1 }, "seed": null, "stop": null, "never_heard_of": [1, { "a": null }],
        "store": false, "top_k": -1, "parallel_tool_calls": true,
        "messages": [{ "role": "user", "name": "x", "content": [{ "type": "text", "text": "Hel" }, { "type": "text", "text": "lo" }] }],
    }));
    assert_eq!(content(&full.json()), content(&plain));
    let system = |role: &str| {
        let messages = json!([{ "role": role, "content": "Be brief" }, { "role": "user", "content": "Hi" }]);
        house.chat(&json!({ "messages": messages })).json()["usage"].clone()
    };
    assert_eq!(system("developer"), system("system"));
}

#[test]
fn an_answer_ends_where_the_context_does() {
    let house = House::with(Limits { context: 64, ..Limits::ORDINARY }, None);
    let value = house.completion(&json!({ "prompt": "a".repeat(60), "max_tokens": 100 })).json();
    assert_eq!(value["choices"][0]["finish_reason"], "length");
    assert_eq!(value["usage"]["completion_tokens"], 5);
    let refused = house.completion(&json!({ "prompt": "a".repeat(65) }));
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"]["code"], "CS-ENG-025");
    assert_eq!(house.get("/v1/models").json()["data"][0]["max_model_len"], 64);
}

#[test]
fn several_answers_are_generated_at_once() {
    let house = House::with(Limits { generations: 3, threads: 2, ..Limits::ORDINARY }, None);
    let alone = house.completion(&json!({})).json()["choices"][0]["text"].clone();
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| house.completion(&json!({})).json()["choices"][0]["text"].clone()))
            .collect();
        for answer in asked {
            assert_eq!(answer.join().unwrap(), alone);
        }
    });
}

#[test]
fn metrics_count_what_was_done() {
    let house = House::new();
    house.completion(&json!({ "max_tokens": 10 }));
    house.completion(&json!({ "model": "absent" }));
    // The tally is closed when the answer has been sent, which is after it was read.
    house.until("countersign_engine_requests_total{endpoint=\"completions\",outcome=\"ok\"}", 1.0);
    house.until("countersign_engine_requests_total{endpoint=\"completions\",outcome=\"CS-ENG-023\"}", 1.0);
    assert!((house.metric("countersign_engine_generated_tokens_total") - 10.0).abs() < 0.1);
    assert!((house.metric("countersign_engine_prompt_tokens_total") - 16.0).abs() < 0.1);
    assert!((house.metric("countersign_engine_time_to_first_token_seconds_count") - 1.0).abs() < 0.1);
    assert!((house.metric("countersign_engine_time_per_output_token_seconds_count") - 9.0).abs() < 0.1);
    assert!(house.metric("countersign_engine_queue_length").abs() < 0.1);
    let metrics = house.get("/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(metrics.text().ends_with("# EOF\n"));
}
