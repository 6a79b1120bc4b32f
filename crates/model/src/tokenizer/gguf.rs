//! Tokenizers from what GGUF files hold: a vocabulary with types, and merges or scores; or a whole `tokenizer.json`
//! where there is no such vocabulary.
//!
//! Sources: ggml-org/llama.cpp, `src/llama-vocab.cpp` (how texts are split for each `tokenizer.ggml.pre`, and how
//! scores decide merges), and huggingface/transformers, `convert_slow_tokenizer.py` (merges from scores).

use std::collections::HashMap;

use serde_json::{Value, json};
use tensor::gguf::Gguf;

use super::{JSON_MAX, TURN_ENDS, Tokenizer, parsed};
use crate::Error;
use crate::error::shown;

/// Tokens in a vocabulary that are believed.
const TOKENS_MAX: u64 = 1 << 22;

/// How Llama 3 splits a text; Qwen2 does the same with single digits.
pub(crate) const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
pub(crate) const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl Tokenizer {
    /// The tokenizer that a GGUF file holds.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] where there is none or it is of a kind that is not known.
    pub fn from_gguf(file: &Gguf<'_>) -> Result<Self, Error> {
        let kind = text(file, "tokenizer.ggml.model").unwrap_or_default();
        let written = |document: Result<Value, Error>| {
            serde_json::to_vec(&document?).map_err(|cause| reason(&cause.to_string()))
        };
        let bytes = match kind {
            "gpt2" => written(Vocabulary::read(file)?.byte_level(file))?,
            "llama" => written(Vocabulary::read(file)?.scored(file))?,
            // Without a vocabulary in llama.cpp's form, the one that the file may hold as it was published.
            "" | "none" | "no_vocab" => whole(file)?,
            other => return refused(&format!("its kind `{}` is not known", shown(other))),
        };
        let inner = parsed(&bytes)?;
        let number = |key: &str| {
            let value = file.value(key).and_then(tensor::gguf::Value::as_unsigned);
            value.and_then(|value| u32::try_from(value).ok())
        };
        let mut ends: Vec<u32> = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"]
            .into_iter()
            .filter_map(number)
            .collect();
        ends.extend(TURN_ENDS.iter().filter_map(|name| inner.token_to_id(name)));
        ends.sort_unstable();
        ends.dedup();
        let adds_begin = match file.value("tokenizer.ggml.add_bos_token") {
            Some(tensor::gguf::Value::Bool(adds)) => *adds,
            _ => kind == "llama",
        };
        let template = text(file, "tokenizer.chat_template").map(str::to_owned);
        let (begin, end) = (number("tokenizer.ggml.bos_token_id"), number("tokenizer.ggml.eos_token_id"));
        Ok(Self::new(inner, ends, end, begin, adds_begin, template))
    }
}

/// The `tokenizer.json` that a file holds whole.
fn whole(file: &Gguf<'_>) -> Result<Vec<u8>, Error> {
    match text(file, "tokenizer.huggingface.json") {
        Some(json) if json.len() > JSON_MAX => refused("it has more than 64 MiB"),
        Some(json) => Ok(json.as_bytes().to_vec()),
        None => refused("the file holds no vocabulary"),
    }
}

fn reason(reason: &str) -> Error {
    Error::Tokenizer { reason: reason.to_owned() }
}

fn refused<T>(text: &str) -> Result<T, Error> {
    Err(reason(text))
}

fn text<'a>(file: &'a Gguf<'_>, key: &str) -> Option<&'a str> {
    file.value(key).and_then(|value| value.as_text())
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Byte,
}

struct Vocabulary {
    tokens: Vec<String>,
    types: Vec<Type>,
}

impl Vocabulary {
    fn read(file: &Gguf<'_>) -> Result<Self, Error> {
        let array = |key: &str| file.value(key).and_then(|value| value.as_array());
        let tokens = array("tokenizer.ggml.tokens").ok_or_else(|| reason("the file holds no vocabulary"))?;
        if tokens.len() > TOKENS_MAX {
            return refused("its vocabulary has more than 4,194,304 tokens");
        }
        let tokens: Vec<String> = tokens.texts().map(str::to_owned).collect();
        let mut types: Vec<Type> = array("tokenizer.ggml.token_type")
            .into_iter()
            .flat_map(tensor::gguf::Array::values)
            .map(|value| match value.as_unsigned() {
                Some(2) => Type::Unknown,
                Some(3) => Type::Control,
                Some(4) => Type::UserDefined,
                Some(6) => Type::Byte,
                _ => Type::Normal,
            })
            .take(tokens.len())
            .collect();
        types.resize(tokens.len(), Type::Normal);
        Ok(Self { tokens, types })
    }

    fn added(&self) -> Vec<Value> {
        let added = self.tokens.iter().zip(&self.types).enumerate();
        added
            .filter(|(_, (_, kind))| matches!(kind, Type::Control | Type::UserDefined | Type::Unknown))
            .map(|(id, (content, kind))| {
                json!({
                    "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": *kind != Type::UserDefined,
                })
            })
            .collect()
    }

    fn ids(&self) -> serde_json::Map<String, Value> {
        self.tokens.iter().enumerate().map(|(id, token)| (token.clone(), json!(id))).collect()
    }

    fn document(&self, normalizer: &Value, splitter: &Value, decoder: &Value, model: &Value) -> Value {
        json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": self.added(),
            "normalizer": normalizer, "pre_tokenizer": splitter, "post_processor": null,
            "decoder": decoder, "model": model,
        })
    }

    fn byte_level(&self, file: &Gguf<'_>) -> Result<Value, Error> {
        let bytes = |uses_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": uses_regex});
        let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        let sequence = |first: Value, uses_regex| json!({"type": "Sequence", "pretokenizers": [first, bytes(uses_regex)]});
        let name = text(file, "tokenizer.ggml.pre").unwrap_or("default");
        let (splitter, whole_words) = match name {
            "gpt-2" | "phi-2" | "mpt" | "olmo" | "jais" => (bytes(true), false),
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" => {
                (sequence(json!({"type": "Digits", "individual_digits": true}), true), false)
            }
            "llama-bpe" | "llama3" | "llama-v3" => (sequence(split(LLAMA3), false), true),
            "qwen2" | "deepseek-r1-qwen" => (sequence(split(QWEN2), false), false),
            other => return refused(&format!("its way of splitting, `{}`, is not known", shown(other))),
        };
        let merges = file.value("tokenizer.ggml.merges").and_then(|value| value.as_array());
        let merges = merges.ok_or_else(|| reason("the file holds no merges"))?;
        let pairs: Option<Vec<Value>> =
            merges.texts().map(|merge| merge.split_once(' ').map(|(a, b)| json!([a, b]))).collect();
        let pairs = pairs.ok_or_else(|| reason("a merge is not two tokens"))?;
        let model = json!({
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": whole_words, "vocab": self.ids(), "merges": pairs,
        });
        Ok(self.document(&Value::Null, &splitter, &bytes(true), &model))
    }

    /// SentencePiece's byte-pair encoding: of all pairs the one whose union has the best score is merged first.
    fn scored(&self, file: &Gguf<'_>) -> Result<Value, Error> {
        let scores = file.value("tokenizer.ggml.scores").and_then(|value| value.as_array());
        let scores: Vec<f64> = scores
            .into_iter()
            .flat_map(|scores| scores.values())
            .map(|value| value.as_float().unwrap_or(f64::NEG_INFINITY))
            .collect();
        if scores.len() != self.tokens.len() {
            return refused("there is not one score for each token");
        }
        let ids: HashMap<&str, usize> = self
            .tokens
            .iter()
            .enumerate()
            .filter(|(id, _)| self.types.get(*id) == Some(&Type::Normal))
            .map(|(id, token)| (token.as_str(), id))
            .collect();
        let mut merges: Vec<(f64, usize, usize)> = Vec::new();
        for (token, &id) in &ids {
            // A token longer than any known one would make the search quadratic in what a stranger chose.
            if token.len() > 256 {
                continue;
            }
            let score = scores.get(id).copied().unwrap_or(f64::NEG_INFINITY);
            for (at, _) in token.char_indices().skip(1) {
                let (left, right) = token.split_at(at);
                if let (Some(&left), Some(&right)) = (ids.get(left), ids.get(right)) {
                    merges.push((score, left, right));
                }
            }
        }
        merges.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let name = |id: usize| self.tokens.get(id).map_or("", String::as_str);
        let pairs: Vec<Value> =
            merges.iter().map(|&(_, left, right)| json!([name(left), name(right)])).collect();
        let unknown = self.types.iter().position(|&kind| kind == Type::Unknown).map(name);
        let model = json!({
            "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": self.types.contains(&Type::Byte),
            "ignore_merges": false, "vocab": self.ids(), "merges": pairs,
        });
        let space = json!({"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"});
        let prefix = match file.value("tokenizer.ggml.add_space_prefix") {
            Some(tensor::gguf::Value::Bool(adds)) => *adds,
            _ => true,
        };
        let mut decoders = vec![
            json!({"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        let normalizer = if prefix {
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
            json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u{2581}"}, space]})
        } else {
            space
        };
        let decoder = json!({"type": "Sequence", "decoders": decoders});
        Ok(self.document(&normalizer, &Value::Null, &decoder, &model))
    }
}
