//! `tokenizer.json`. Vocabulary and merges are read straight into lists, since they are nearly all of the file.

use super::error::Error;
use super::{Added, BYTES_MAX, Pattern, Stage, Step, Tokenizer};
use crate::json::{Fault, FaultKind, Reader, Value, repeated};

const DOCUMENT: &str = "tokenizer";

pub(super) fn bounded(document: &'static str, file: &[u8]) -> Result<(), Error> {
    if file.len() > BYTES_MAX {
        return Err(Error::TooLong { document, length: file.len(), limit: BYTES_MAX });
    }
    Ok(())
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Json { document: DOCUMENT, fault }
    }
}

fn form<T>(member: &'static str, expected: &'static str) -> Result<T, Error> {
    Err(Error::Form { document: DOCUMENT, member, expected })
}

pub(super) fn tokenizer(file: &[u8]) -> Result<Tokenizer, Error> {
    bounded(DOCUMENT, file)?;
    let mut tokenizer = Tokenizer {
        model: String::new(),
        vocabulary: Vec::new(),
        merges: Vec::new(),
        added: Vec::new(),
        steps: Vec::new(),
        byte_fallback: false,
    };
    let mut reader = Reader::new(file)?;
    let mut names = Vec::new();
    let mut has_model = false;
    reader.members(|reader, name| {
        match &*name {
            "model" => {
                has_model = true;
                model(reader, &mut tokenizer)?;
            }
            "added_tokens" => {
                let Value::List(items) = reader.value(1)? else { return form("added_tokens", "a list") };
                for item in &items {
                    tokenizer.added.push(added(item, None)?);
                }
            }
            "normalizer" => steps(&reader.value(1)?, Stage::Normalizer, &mut tokenizer.steps),
            "pre_tokenizer" => steps(&reader.value(1)?, Stage::PreTokenizer, &mut tokenizer.steps),
            "post_processor" => steps(&reader.value(1)?, Stage::PostProcessor, &mut tokenizer.steps),
            "decoder" => steps(&reader.value(1)?, Stage::Decoder, &mut tokenizer.steps),
            _ => drop(reader.value(1)?),
        }
        names.push(name.into_owned());
        Ok::<(), Error>(())
    })?;
    reader.end()?;
    refuse_repeated(&names)?;
    if !has_model {
        return form("model", "there");
    }
    Ok(tokenizer)
}

fn refuse_repeated(names: &[String]) -> Result<(), Error> {
    match repeated(names.iter().map(String::as_str)) {
        Some(name) => Err(Fault { at: 0, kind: FaultKind::Repeated(name.to_owned()) }.into()),
        None => Ok(()),
    }
}

fn model(reader: &mut Reader<'_>, tokenizer: &mut Tokenizer) -> Result<(), Error> {
    let mut names = Vec::new();
    reader.members(|reader, name| {
        match &*name {
            "type" => {
                let Value::Text(kind) = reader.value(2)? else { return form("model.type", "text") };
                tokenizer.model = kind;
            }
            "byte_fallback" => tokenizer.byte_fallback = reader.value(2)? == Value::Bool(true),
            "vocab" => vocabulary(reader, tokenizer)?,
            "merges" => reader.items(|reader| merge(reader, tokenizer))?,
            _ => drop(reader.value(2)?),
        }
        names.push(name.into_owned());
        Ok::<(), Error>(())
    })?;
    refuse_repeated(&names)
}

/// An object of numbers by token, or a list of tokens with scores.
fn vocabulary(reader: &mut Reader<'_>, tokenizer: &mut Tokenizer) -> Result<(), Error> {
    if reader.begins_with(b'[') {
        return reader.items(|reader| {
            let id = u64::try_from(tokenizer.vocabulary.len()).unwrap_or(u64::MAX);
            let Value::List(pair) = reader.value(3)? else { return form("model.vocab", "a list of pairs") };
            let [Value::Text(token), Value::Integer(_) | Value::Number(_)] = pair.as_slice() else {
                return form("model.vocab", "a list of tokens with scores");
            };
            tokenizer.vocabulary.push((token.clone(), id));
            Ok(())
        });
    }
    reader.members(|reader, token| {
        let id = reader.unsigned()?;
        tokenizer.vocabulary.push((token.into_owned(), id));
        Ok(())
    })
}

/// `"a b"`, or since version 0.20 `["a", "b"]`.
fn merge(reader: &mut Reader<'_>, tokenizer: &mut Tokenizer) -> Result<(), Error> {
    let pair = match reader.value(3)? {
        Value::Text(text) => match text.split_once(' ') {
            Some((left, right)) => (left.to_owned(), right.to_owned()),
            None => return form("model.merges", "a list of pairs"),
        },
        Value::List(items) => match items.as_slice() {
            [Value::Text(left), Value::Text(right)] => (left.clone(), right.clone()),
            _ => return form("model.merges", "a list of pairs"),
        },
        _ => return form("model.merges", "a list of pairs"),
    };
    tokenizer.merges.push(pair);
    Ok(())
}

pub(super) fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(members) => members.iter().find(|(known, _)| known == name).map(|(_, value)| value),
        _ => None,
    }
}

pub(super) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    match member(value, name) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

/// An added token; its number stands inside, or is the key it stands under.
pub(super) fn added(value: &Value, key: Option<u64>) -> Result<Added, Error> {
    let flag = |name: &str| member(value, name) == Some(&Value::Bool(true));
    let id = match member(value, "id") {
        Some(Value::Integer(id)) => u64::try_from(*id).ok(),
        _ => key,
    };
    let (Some(id), Some(content)) = (id, text(value, "content")) else {
        return form("added_tokens", "a list of tokens with `id` and `content`");
    };
    Ok(Added {
        id,
        content: content.to_owned(),
        special: flag("special"),
        normalized: flag("normalized"),
        strips: (flag("lstrip"), flag("rstrip")),
        single_word: flag("single_word"),
    })
}

/// Lays out a step and the steps inside it. Depth is that of the JSON, which its reader bounds.
fn steps(value: &Value, stage: Stage, found: &mut Vec<Step>) {
    let Some(kind) = text(value, "type") else { return };
    for list in ["normalizers", "pretokenizers", "processors", "decoders"] {
        if let Some(Value::List(items)) = member(value, list) {
            for item in items {
                steps(item, stage, found);
            }
        }
    }
    if kind == "Sequence" {
        return;
    }
    let pattern = member(value, "pattern").and_then(|pattern| match pattern {
        Value::Text(text) => Some(Pattern::Text(text.clone())),
        pattern => text(pattern, "String")
            .map(|text| Pattern::Text(text.to_owned()))
            .or_else(|| text(pattern, "Regex").map(|regex| Pattern::Regex(regex.to_owned()))),
    });
    let content = ["content", "prepend", "replacement"].into_iter().find_map(|name| text(value, name));
    found.push(Step { stage, kind: kind.to_owned(), pattern, content: content.map(str::to_owned) });
}
