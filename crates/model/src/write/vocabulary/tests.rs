use serde_json::json;
use tensor::gguf::{Gguf, TensorInfo};

use super::*;
use crate::tokenizer::Controls;

/// The letter that stands for a byte.
fn letter(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|byte| !printable(*byte)).count() as u32;
    char::from_u32(256 + before).unwrap()
}

/// A small byte-level tokenizer: all bytes, some merges, two added tokens.
fn document(splitter: &Json, whole: bool) -> Json {
    let mut vocabulary: Map<String, Json> =
        (0..=255_u8).map(|byte| (letter(byte).to_string(), json!(byte))).collect();
    let pairs = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("1", "2"), ("12", "3"), ("Ġ", "Ġ"), ("'", "s")];
    for (at, (left, right)) in pairs.iter().enumerate() {
        vocabulary.insert(format!("{left}{right}"), json!(256 + at));
    }
    let pairs: Vec<Json> = pairs.iter().map(|(left, right)| json!([left, right])).collect();
    // A word that no merge makes: taken whole, or not.
    vocabulary.insert("whole".to_owned(), json!(263));
    let added = |id: u32, content: &str, special: bool| {
        json!({
            "id": id, "content": content, "special": special, "lstrip": false, "rstrip": false,
            "single_word": false, "normalized": false,
        })
    };
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "added_tokens": [added(264, "<|end|>", true), added(265, "<tool>", false)],
        "pre_tokenizer": splitter, "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": whole,
            "vocab": vocabulary, "merges": pairs,
        },
    })
}

fn bytes(uses_regex: bool) -> Json {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": uses_regex})
}

fn split(pattern: &str) -> Json {
    let split =
        json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    json!({"type": "Sequence", "pretokenizers": [split, bytes(false)]})
}

fn smollm() -> Json {
    let digits = json!({"type": "Digits", "individual_digits": true});
    json!({"type": "Sequence", "pretokenizers": [digits, bytes(true)]})
}

fn read(document: &Json) -> Tokenizer {
    let config = json!({"bos_token": "<|end|>", "eos_token": "<|end|>"}).to_string();
    Tokenizer::from_json(document.to_string().as_bytes(), Some(config.as_bytes())).unwrap()
}

fn written<'a>(document: &Json) -> Option<Pairs<'a>> {
    pairs(&document.to_string(), &read(document), 270)
}

/// The name of the way of splitting, and that a file with the pairs cuts texts as the document does.
#[track_caller]
fn check(document: &Json, name: &str) {
    let tokenizer = read(document);
    let mut pairs = written(document).unwrap();
    assert!(pairs.iter().any(|(key, value)| key == "tokenizer.ggml.pre" && value.as_text() == Some(name)));
    let begin = tokenizer.begin().unwrap();
    pairs.push(("tokenizer.ggml.bos_token_id".to_owned(), Value::U32(begin)));
    let pairs: Vec<(&str, Value<'_>)> =
        pairs.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    let none: [(TensorInfo<'_>, &[u8]); 0] = [];
    let file = tensor::gguf::write(&pairs, &none).unwrap();
    let again = Tokenizer::from_gguf(&Gguf::read(&file).unwrap()).unwrap();
    for text in [
        "",
        "the whole of the 123456 cats'  the\n\n  whole",
        "whole",
        "it's THE'S 12 a<|end|>b<tool>the 日本語 naïve\t🙂 \u{0}",
        "[PAD266]x",
    ] {
        for controls in [Controls::Parsed, Controls::Text] {
            let tokens = tokenizer.encode(text, controls).unwrap();
            assert_eq!(again.encode(text, controls).unwrap(), tokens, "{name}: {text}");
            assert_eq!(again.decode(&tokens).unwrap(), tokenizer.decode(&tokens).unwrap(), "{name}: {text}");
        }
    }
}

#[test]
fn texts_are_cut_the_same_from_either_form() {
    check(&document(&bytes(true), false), "gpt-2");
    check(&document(&smollm(), false), "smollm");
    check(&document(&split(LLAMA3), true), "llama-bpe");
    check(&document(&split(QWEN2), false), "qwen2");
}

#[test]
fn the_beginning_is_added_where_the_document_adds_it() {
    let mut document = document(&smollm(), false);
    let template = json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<|end|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<|end|>": {"id": "<|end|>", "ids": [264], "tokens": ["<|end|>"]}},
    });
    document["post_processor"] = json!({"type": "Sequence", "processors": [bytes(true), template]});
    assert_eq!(read(&document).encode("the", Controls::Text).unwrap(), [264, 257]);
    check(&document, "smollm");
    // Another token than the one that is named as the beginning.
    document["post_processor"]["processors"][1]["special_tokens"]["<|end|>"]["ids"] = json!([3]);
    assert!(written(&document).is_none());
}

#[test]
fn numbers_without_a_token_have_a_name_and_a_type() {
    let pairs = written(&document(&bytes(true), false)).unwrap();
    let array = |key: &str| {
        let (_, value) = pairs.iter().find(|(name, _)| name == key).unwrap();
        value.as_array().unwrap()
    };
    let tokens: Vec<&str> = array("tokenizer.ggml.tokens").texts().collect();
    let types: Vec<u64> =
        array("tokenizer.ggml.token_type").values().map(|value| value.as_unsigned().unwrap()).collect();
    assert_eq!((tokens.len(), types.len()), (270, 270));
    let expected =
        [("whole", 1), ("<|end|>", 3), ("<tool>", 4), ("[PAD266]", 5), ("[PAD267]", 5), ("[PAD268]", 5)];
    let found: Vec<_> = tokens.into_iter().zip(types).skip(263).take(6).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_the_form_has_no_place_for_is_not_written_in_it() {
    let ordinary = document(&bytes(true), false);
    assert!(written(&ordinary).is_some());
    let changed = |path: &str, value: Json| {
        let mut document = ordinary.clone();
        let (parent, member) = path.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[member] = value;
        document
    };
    for (path, value) in [
        ("/normalizer", json!({"type": "Lowercase"})),
        ("/decoder", json!({"type": "Fuse"})),
        ("/decoder", Json::Null),
        ("/pre_tokenizer", json!({"type": "Whitespace"})),
        ("/pre_tokenizer/add_prefix_space", json!(true)),
        ("/pre_tokenizer/use_regex", json!(false)),
        ("/pre_tokenizer", split("[a-z]+")),
        ("/pre_tokenizer", split(LLAMA3)),
        ("/model/dropout", json!(0.1)),
        ("/model/end_of_word_suffix", json!("</w>")),
        ("/model/byte_fallback", json!(true)),
        ("/model/ignore_merges", json!(true)),
        // A number that is not the next.
        ("/added_tokens/1/id", json!(266)),
        ("/added_tokens/0/lstrip", json!(true)),
        ("/added_tokens/0/single_word", json!(true)),
    ] {
        assert!(written(&changed(path, value)).is_none(), "{path}");
    }
    // A table that is smaller than the vocabulary.
    assert!(pairs(&ordinary.to_string(), &read(&ordinary), 265).is_none());
    // An unknown token is no hindrance where no letter is unknown.
    let mut document = ordinary.clone();
    document["model"]["unk_token"] = json!("<|end|>");
    let every = document.to_string();
    assert!(pairs(&every, &read(&ordinary), 270).is_some());
    document["model"]["vocab"].as_object_mut().unwrap().remove("!");
    assert!(pairs(&document.to_string(), &read(&ordinary), 270).is_none());
}
