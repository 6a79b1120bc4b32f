//! A `tokenizer.json` in llama.cpp's form: for byte-level byte-pair encodings that this form says exactly.
//!
//! The form has a name for how texts are split, tokens with types, and merges; it has no place for anything else. So what is
//! not one of the pipelines below to the letter is left to be written whole, and nothing is written nearly.
//!
//! Sources: ggml-org/llama.cpp, `src/llama-vocab.cpp` (what is done for each `tokenizer.ggml.pre`) and
//! `convert_hf_to_gguf.py` (types of tokens, names of numbers that have no token).

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value as Json};
use tensor::gguf::{Array, Value, ValueType};

use super::Pairs;
use crate::tokenizer::Tokenizer;
use crate::tokenizer::gguf::{LLAMA3, QWEN2};

/// `LLAMA_TOKEN_TYPE_NORMAL` and its like.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// Members of a byte-pair model that change how texts are cut, and that the form has no place for. As these values they
/// change nothing.
const PLAIN: [&str; 3] = ["dropout", "continuing_subword_prefix", "end_of_word_suffix"];

/// The vocabulary in llama.cpp's form, for a table of `rows` tokens; nothing where the form does not say the same.
pub(super) fn pairs<'a>(json: &str, tokenizer: &Tokenizer, rows: usize) -> Option<Pairs<'a>> {
    let document: Json = serde_json::from_str(json).ok()?;
    for member in ["normalizer", "padding", "truncation"] {
        nothing(document.get(member))?;
    }
    let decoder = document.get("decoder")?;
    (kind(decoder)? == "ByteLevel").then_some(())?;
    let model = document.get("model")?;
    let splitter = splitter(document.get("pre_tokenizer")?, flag(model, "ignore_merges", false)?)?;
    let adds_begin = adds_begin(document.get("post_processor"), tokenizer)?;
    let (tokens, types) = tokens(&document, model, tokenizer, rows)?;
    let merges = merges(model)?;
    let text = |value: &'static str| Value::Text(Cow::Borrowed(value));
    let types: Vec<Value<'_>> = types.into_iter().map(Value::I32).collect();
    Some(
        [
            ("model", text("gpt2")),
            ("pre", text(splitter)),
            ("tokens", Value::Array(Array::of_texts(tokens.iter().map(String::as_str)))),
            ("token_type", Value::Array(Array::of(ValueType::I32, &types).ok()?)),
            ("merges", Value::Array(Array::of_texts(merges.iter().map(String::as_str)))),
            ("add_bos_token", Value::Bool(adds_begin)),
        ]
        .into_iter()
        .map(|(key, value)| (format!("tokenizer.ggml.{key}"), value))
        .collect(),
    )
}

/// Whether nothing stands there.
fn nothing(value: Option<&Json>) -> Option<()> {
    value.is_none_or(Json::is_null).then_some(())
}

fn kind(part: &Json) -> Option<&str> {
    part.get("type")?.as_str()
}

/// A member that is true or false, `otherwise` where it does not stand; nothing where it is anything else.
fn flag(part: &Json, member: &str, otherwise: bool) -> Option<bool> {
    match part.get(member) {
        None => Some(otherwise),
        Some(value) => value.as_bool(),
    }
}

/// What llama.cpp calls this way of splitting; `whole` says whether words that are tokens are taken whole.
fn splitter(part: &Json, whole: bool) -> Option<&'static str> {
    /// A byte-level step that adds no space; whether it splits with GPT-2's pattern.
    fn bytes(part: &Json) -> Option<bool> {
        (kind(part)? == "ByteLevel" && !flag(part, "add_prefix_space", true)?).then_some(())?;
        flag(part, "use_regex", true)
    }
    if kind(part)? == "ByteLevel" {
        return (bytes(part)? && !whole).then_some("gpt-2");
    }
    (kind(part)? == "Sequence").then_some(())?;
    let [first, last] = part.get("pretokenizers")?.as_array()?.as_slice() else { return None };
    let by_regex = bytes(last)?;
    match kind(first)? {
        "Digits" => (flag(first, "individual_digits", false)? && by_regex && !whole).then_some("smollm"),
        "Split" => {
            let isolated = first.get("behavior")?.as_str()? == "Isolated" && !flag(first, "invert", false)?;
            (isolated && !by_regex).then_some(())?;
            let pattern = first.get("pattern")?.get("Regex")?.as_str()?;
            match (pattern, whole) {
                (LLAMA3, true) => Some("llama-bpe"),
                (QWEN2, false) => Some("qwen2"),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether the token at the beginning is added to every text, and nothing else is.
fn adds_begin(part: Option<&Json>, tokenizer: &Tokenizer) -> Option<bool> {
    let Some(part) = part.filter(|part| !part.is_null()) else { return Some(false) };
    match kind(part)? {
        // It moves offsets only.
        "ByteLevel" => Some(false),
        "Sequence" => {
            let each: Option<Vec<bool>> = part
                .get("processors")?
                .as_array()?
                .iter()
                .map(|part| adds_begin(Some(part), tokenizer))
                .collect();
            let count = each?.into_iter().filter(|adds| *adds).count();
            (count < 2).then_some(count == 1)
        }
        "TemplateProcessing" => match part.get("single")?.as_array()?.as_slice() {
            [_text] => part.get("single")?.get(0)?.get("Sequence").map(|_| false),
            [begin, text] => {
                text.get("Sequence")?;
                let name = begin.get("SpecialToken")?.get("id")?.as_str()?;
                let ids = part.get("special_tokens")?.get(name)?.get("ids")?.as_array()?;
                let [id] = ids.as_slice() else { return None };
                (id.as_u64()? == u64::from(tokenizer.begin()?)).then_some(true)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Every token by its number, and what it is for. Numbers without a token get a name that no text holds.
fn tokens(
    document: &Json,
    model: &Json,
    tokenizer: &Tokenizer,
    rows: usize,
) -> Option<(Vec<String>, Vec<i32>)> {
    let mut tokens: Vec<Option<String>> = vec![None; rows];
    let mut types = vec![NORMAL; rows];
    for (token, id) in model.get("vocab")?.as_object()? {
        let place = tokens.get_mut(usize::try_from(id.as_u64()?).ok()?)?;
        place.replace(token.clone()).is_none().then_some(())?;
    }
    for added in document.get("added_tokens").and_then(Json::as_array).into_iter().flatten() {
        for member in ["lstrip", "rstrip", "single_word"] {
            (!flag(added, member, false)?).then_some(())?;
        }
        let id = added.get("id")?.as_u64()?;
        let content = added.get("content")?.as_str()?;
        // Its reader numbers added tokens itself, and passes over a number that leaves a gap.
        (tokenizer.token(content).map(u64::from) == Some(id)).then_some(())?;
        let id = usize::try_from(id).ok()?;
        let place = tokens.get_mut(id)?;
        (!content.is_empty() && place.as_deref().is_none_or(|token| token == content)).then_some(())?;
        *place = Some(content.to_owned());
        *types.get_mut(id)? = if flag(added, "special", false)? { CONTROL } else { USER_DEFINED };
    }
    for (id, (token, kind)) in tokens.iter_mut().zip(&mut types).enumerate() {
        if token.is_none() {
            *token = Some(format!("[PAD{id}]"));
            *kind = UNUSED;
        }
    }
    let tokens: Vec<String> = tokens.into_iter().flatten().collect();
    let different: HashSet<&str> = tokens.iter().map(String::as_str).collect();
    (different.len() == tokens.len()).then_some(())?;
    Some((tokens, types))
}

/// Pairs in the order in which they are merged, each written with a space between.
fn merges(model: &Json) -> Option<Vec<String>> {
    (kind(model).is_none_or(|kind| kind == "BPE")).then_some(())?;
    for member in PLAIN {
        // An empty prefix or suffix is none.
        model.get(member).is_none_or(|value| value.is_null() || value.as_str() == Some("")).then_some(())?;
    }
    let vocabulary = model.get("vocab")?.as_object()?;
    // An unknown letter never comes up where every byte is a token; elsewhere llama.cpp knows no such token.
    (model.get("unk_token").is_none_or(Json::is_null) || has_every_byte(vocabulary)).then_some(())?;
    for member in ["fuse_unk", "byte_fallback"] {
        (!flag(model, member, false)?).then_some(())?;
    }
    let pair = |merge: &Json| {
        let (left, right) = match merge {
            Json::String(merge) => merge.split_once(' ')?,
            Json::Array(pair) => match pair.as_slice() {
                [left, right] => (left.as_str()?, right.as_str()?),
                _ => return None,
            },
            _ => return None,
        };
        let is_word = |part: &str| !part.is_empty() && !part.contains(' ');
        (is_word(left) && is_word(right)).then(|| format!("{left} {right}"))
    };
    model.get("merges")?.as_array()?.iter().map(pair).collect()
}

/// Whether each of the 256 letters that stand for bytes is a token.
fn has_every_byte(vocabulary: &Map<String, Json>) -> bool {
    let printable = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..256).filter(|byte| !printable(*byte)).count();
    let letters = (0..256).filter(|byte| printable(*byte)).chain((256..).take(others));
    letters.filter_map(char::from_u32).all(|letter| vocabulary.contains_key(letter.encode_utf8(&mut [0; 4])))
}

#[cfg(test)]
mod tests;
