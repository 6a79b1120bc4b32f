//! A model's folder in the form of the transformers library.

use std::collections::BTreeMap;

use half::f16;
use model::graph::NamedValues;
use serde_json::{Map, Value, json};
use tensor::safetensors::{Dtype, write};

use crate::error::Error;
use crate::language::{Vocabulary, WordKind, control};
use crate::shape::Shape;

/// The chat template: turns begin with the name of who speaks, and what the model says ends with a token.
pub const CHAT_TEMPLATE: &str = "{{ bos_token }}\
    {% for message in messages %}\
    {% if message.role == 'system' %} <|system|> {{ message.content }}\
    {% elif message.role == 'assistant' %} <|assistant|> {{ message.content }} <|end|>\
    {% else %} <|user|> {{ message.content }}{% endif %}\
    {% endfor %}\
    {% if add_generation_prompt %} <|assistant|>{% endif %}";

/// How weights are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Half precision, rounded to nearest.
    Half,
    /// Single precision.
    Single,
}

/// Tensors as a safetensors file.
///
/// # Errors
/// [`Error::Tensors`].
pub fn safetensors(tensors: &[NamedValues], precision: Precision) -> Result<Vec<u8>, Error> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| match precision {
            Precision::Half => values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect(),
            Precision::Single => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        })
        .collect();
    let dtype = match precision {
        Precision::Half => Dtype::F16,
        Precision::Single => Dtype::F32,
    };
    let entries: Vec<_> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| (name.as_str(), dtype, shape.as_slice(), bytes.as_slice()))
        .collect();
    write(&entries).map_err(|cause| Error::Tensors { file: "model.safetensors".to_owned(), cause })
}

/// The files of a model, by name.
///
/// # Errors
/// [`Error::Tensors`].
pub fn files(
    shape: Shape,
    tensors: &[NamedValues],
    precision: Precision,
) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let mut config = shape.config_json();
    if let (Precision::Single, Some(members)) = (precision, config.as_object_mut()) {
        members.insert("torch_dtype".to_owned(), json!("float32"));
    }
    let vocabulary = Vocabulary::new();
    let number = |token| vocabulary.number(token);
    let generation = json!({
        "bos_token_id": number(control::BEGIN),
        "eos_token_id": number(control::END),
        "do_sample": false,
        "max_new_tokens": 8,
    });
    let documents = [
        ("config.json", config),
        ("tokenizer.json", tokenizer(&vocabulary)),
        ("tokenizer_config.json", tokenizer_config()),
        ("generation_config.json", generation),
    ];
    let mut files: BTreeMap<String, Vec<u8>> =
        documents.into_iter().map(|(name, value)| (name.to_owned(), document(&value))).collect();
    files.insert("model.safetensors".to_owned(), safetensors(tensors, precision)?);
    Ok(files)
}

/// JSON that people can read too, the members of objects sorted by name.
pub fn document(value: &Value) -> Vec<u8> {
    format!("{:#}\n", sorted(value)).into_bytes()
}

/// Whether objects keep the order of insertion depends on what else is linked; what is inserted in order is in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let by_name: BTreeMap<&String, &Value> = members.iter().collect();
            let members = by_name.into_iter().map(|(name, value)| (name.clone(), sorted(value)));
            Value::Object(members.collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// `tokenizer.json`: words as they stand, in lower case.
fn tokenizer(vocabulary: &Vocabulary) -> Value {
    let mut words = Map::new();
    let mut added = Vec::new();
    for (token, kind) in vocabulary.tokens() {
        let number = vocabulary.number(token);
        words.insert(token.to_owned(), json!(number));
        if kind == WordKind::Control {
            added.push(json!({
                "id": number, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            }));
        }
    }
    let begin = json!({ "SpecialToken": { "id": control::BEGIN, "type_id": 0 } });
    let text = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": { "type": "Lowercase" },
        "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin.clone(), text("A")],
            "pair": [begin, text("A"), text("B")],
            "special_tokens": {
                control::BEGIN: {
                    "id": control::BEGIN,
                    "ids": [vocabulary.number(control::BEGIN)],
                    "tokens": [control::BEGIN],
                },
            },
        },
        "decoder": null,
        "model": { "type": "WordLevel", "vocab": words, "unk_token": control::UNKNOWN },
    })
}

fn tokenizer_config() -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": control::BEGIN,
        "eos_token": control::END,
        "unk_token": control::UNKNOWN,
        "model_max_length": 128,
        "clean_up_tokenization_spaces": false,
        "chat_template": CHAT_TEMPLATE,
    })
}
