//! Files that were cut or changed: refused, or read as another model, and never more than that.

use bytes::Bytes;
use model::template::{Context, Ending, Limits, Message, Template};
use model::{Config, EncoderConfig, Model, Tokenizer, Vocabulary};
use tensor::gguf::Gguf;

const LLAMA: &str = r#"{"model_type": "llama", "vocab_size": 8, "hidden_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "intermediate_size": 8, "rms_norm_eps": 1e-5,
    "max_position_embeddings": 16, "rope_theta": 10000.0, "tie_word_embeddings": true, "hidden_act": "silu"}"#;
const BERT: &str = r#"{"model_type": "bert", "vocab_size": 8, "hidden_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 8, "max_position_embeddings": 16, "type_vocab_size": 2,
    "layer_norm_eps": 1e-12, "hidden_act": "gelu"}"#;
const TOKENIZER: &str = r#"{"version": "1.0", "added_tokens": [], "normalizer": null,
    "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
    "model": {"type": "WordLevel", "unk_token": "a", "vocab": {"a": 0, "b": 1, "c": 2}}}"#;

/// Every beginning of the bytes, and the bytes with each in turn changed in three ways.
fn damaged(bytes: &[u8], upto: usize) -> impl Iterator<Item = Vec<u8>> {
    let cuts = (0..upto.min(bytes.len())).map(|end| bytes[..end].to_vec());
    let changes = (0..upto.min(bytes.len())).flat_map(move |at| {
        [0x01, 0x80, 0xff].map(|bits| {
            let mut other = bytes.to_vec();
            other[at] ^= bits;
            other
        })
    });
    cuts.chain(changes)
}

#[test]
fn configurations() {
    let mut read = 0;
    for json in [LLAMA, BERT] {
        for bytes in damaged(json.as_bytes(), json.len()) {
            if let Ok(config) = Config::from_json(&bytes) {
                // A few thousand weights, or a refusal.
                if config.hidden <= 64 && config.vocabulary <= 64 && config.inner <= 64 && config.layers <= 4
                {
                    read += usize::from(Model::untrained(config, 1).is_ok());
                }
            }
            drop(EncoderConfig::from_json(&bytes));
        }
    }
    assert!(read > 100, "{read}");
}

#[test]
fn files_of_models() {
    let tokenizer = Tokenizer::from_json(TOKENIZER.as_bytes(), None).unwrap();
    let model = Model::untrained(Config::from_json(LLAMA.as_bytes()).unwrap(), 3).unwrap();
    let vocabulary =
        Vocabulary { json: TOKENIZER, tokenizer: &tokenizer, template: Some("{{ messages|length }}") };
    let mut file = Vec::new();
    model.write_gguf(Some(vocabulary), |bytes| file.extend_from_slice(bytes)).unwrap();
    let (mut models, mut tokenizers) = (0, 0);
    // All but the weights themselves.
    let head = Gguf::read(&file).unwrap().views().map(|view| view.offset).min().unwrap();
    for bytes in damaged(&file, usize::try_from(head).unwrap()) {
        let bytes = Bytes::from(bytes);
        models += usize::from(Model::from_gguf(&bytes).is_ok());
        if let Ok(read) = Gguf::read(&bytes) {
            tokenizers += usize::from(Tokenizer::from_gguf(&read).is_ok());
        }
    }
    assert!(models > 0 && tokenizers > 0, "{models} {tokenizers}");
}

#[test]
fn tokenizers() {
    let mut read = 0;
    for bytes in damaged(TOKENIZER.as_bytes(), TOKENIZER.len()) {
        read += usize::from(Tokenizer::from_json(&bytes, Some(&bytes)).is_ok());
    }
    assert!(read > 0);
}

#[test]
fn templates() {
    let rows: Vec<(String, String)> = serde_json::from_str(include_str!("../golden/jinja.json")).unwrap();
    let messages = [Message { role: "user".into(), content: "a\u{301} <b>".into() }];
    let context = Context::default();
    let mut rendered = 0;
    for (source, _) in rows {
        for bytes in damaged(source.as_bytes(), source.len()) {
            let Ok(text) = String::from_utf8(bytes) else { continue };
            if let Ok(template) = Template::parse(&text, Limits::ORDINARY) {
                rendered += usize::from(template.render(&messages, Ending::Prompt, &context).is_ok());
            }
        }
    }
    assert!(rendered > 1000, "{rendered}");
}
