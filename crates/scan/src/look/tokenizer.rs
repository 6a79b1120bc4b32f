//! `tokenizer.json` and `tokenizer_config.json`: edits that change what the model reads or says without touching a
//! weight.

use std::collections::{BTreeMap, BTreeSet};

use tensor::json::Value;

use super::json::{each, items, member, string, whole};
use super::notes::{Notes, shown};
use crate::artefact::{Artefact, Entry};
use crate::finding::Place;

/// Looks at a tokenizer.
pub(super) fn tokenizer(value: &Value, notes: &mut Notes<'_>) {
    let model = member(value, "model").unwrap_or(&Value::Null);
    let vocabulary = vocabulary(model);
    rewriting(value, notes);
    repeated_ids(&vocabulary, notes);
    added(value, &vocabulary, notes);
    merges(model, &vocabulary, notes);
    addresses(&vocabulary, notes);
    post_processor(value, notes);
}

/// Token and number, as the model's vocabulary has them: an object, or a list of pairs with scores (Unigram).
fn vocabulary(model: &Value) -> Vec<(&str, u64)> {
    match member(model, "vocab") {
        Some(Value::Object(members)) => members
            .iter()
            .filter_map(|(token, id)| match id {
                Value::Integer(id) => Some((token.as_str(), u64::try_from(*id).ok()?)),
                _ => None,
            })
            .collect(),
        Some(Value::List(pairs)) => (0..)
            .zip(pairs)
            .filter_map(|(id, pair)| match pair {
                Value::List(pair) => match pair.first() {
                    Some(Value::Text(token)) => Some((token.as_str(), id)),
                    _ => None,
                },
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Replacements of words, on the way in or out. Tokenizers replace spaces, marks and quotes; they do not replace words.
fn rewriting(value: &Value, notes: &mut Notes<'_>) {
    for part in ["normalizer", "pre_tokenizer", "decoder"] {
        let Some(part_value) = member(value, part) else { continue };
        let mut pointer = format!("/{part}");
        each(part_value, &mut pointer, &mut |pointer, _, step| {
            if string(step, "type") != Some("Replace") {
                return;
            }
            let pattern = member(step, "pattern");
            let text =
                pattern.and_then(|pattern| string(pattern, "String").or_else(|| string(pattern, "Regex")));
            let content = string(step, "content").unwrap_or_default();
            let pattern = text.unwrap_or_default();
            // `\s`, `\p{L}` and the like are no words.
            let is_regex = pattern.contains(['\\', '[', '{', '(']);
            if has_word(content) || !is_regex && has_word(pattern) {
                let message = format!("the {part} replaces `{}` by `{}`", shown(pattern), shown(content));
                notes.find("SCAN-TOK-001", Place::Pointer(pointer.to_owned()), message, []);
            }
        });
    }
}

/// Three letters in a row.
fn has_word(text: &str) -> bool {
    let mut run = 0;
    text.chars().any(|letter| {
        run = if letter.is_alphabetic() { run + 1 } else { 0 };
        run >= 3
    })
}

/// Two tokens with one number: what the model says as one is read as the other.
fn repeated_ids(vocabulary: &[(&str, u64)], notes: &mut Notes<'_>) {
    let mut by_id: Vec<(u64, &str)> = vocabulary.iter().map(|(token, id)| (*id, *token)).collect();
    by_id.sort_unstable();
    for pair in by_id.windows(2) {
        if let [(first_id, first), (second_id, second)] = pair
            && first_id == second_id
        {
            let message =
                format!("the tokens `{}` and `{}` have the number {first_id}", shown(first), shown(second));
            notes.find("SCAN-TOK-002", Place::Pointer("/model/vocab".to_owned()), message, []);
        }
    }
}

/// Added tokens that take the number of another token, or read as ordinary words.
fn added(value: &Value, vocabulary: &[(&str, u64)], notes: &mut Notes<'_>) {
    let by_id: BTreeMap<u64, &str> = vocabulary.iter().map(|(token, id)| (*id, *token)).collect();
    let mut numbers: BTreeMap<u64, &str> = BTreeMap::new();
    for (at, token) in items(value, "added_tokens").iter().enumerate() {
        let (Some(id), Some(content)) = (whole(token, "id"), string(token, "content")) else { continue };
        let place = || Place::Pointer(format!("/added_tokens/{at}"));
        if let Some(other) = by_id.get(&id).filter(|other| **other != content) {
            let message =
                format!("the added token `{}` takes the number {id} of `{}`", shown(content), shown(other));
            notes.find("SCAN-TOK-003", place(), message, []);
        }
        if let Some(other) = numbers.insert(id, content) {
            let message =
                format!("the added tokens `{}` and `{}` have the number {id}", shown(content), shown(other));
            notes.find("SCAN-TOK-002", place(), message, []);
        }
        let most = notes.rules.parameter("SCAN-TOK-004", "characters_max");
        let length = content.chars().count();
        #[expect(clippy::cast_precision_loss, reason = "a threshold")]
        let long = length as f64 > most && content.chars().any(char::is_alphanumeric);
        let spoken = content.split_whitespace().filter(|word| has_word(word)).count() > 2;
        if long || spoken || content.contains("://") {
            let message = format!("the added token `{}` is a text, not a mark", shown(content));
            notes.find("SCAN-TOK-004", place(), message, []);
        }
    }
}

/// Merges that make a token that there is not. Then the pieces are what the reader falls back to, or it fails.
fn merges(model: &Value, vocabulary: &[(&str, u64)], notes: &mut Notes<'_>) {
    let merges = items(model, "merges");
    if merges.is_empty() {
        return;
    }
    let tokens: BTreeSet<&str> = vocabulary.iter().map(|(token, _)| *token).collect();
    for (at, merge) in merges.iter().enumerate() {
        let pair = match merge {
            Value::Text(pair) => pair.split_once(' '),
            Value::List(pair) => match pair.as_slice() {
                [Value::Text(first), Value::Text(second)] => Some((first.as_str(), second.as_str())),
                _ => None,
            },
            _ => None,
        };
        let broken = pair.is_none_or(|(first, second)| {
            !tokens.contains(first)
                || !tokens.contains(second)
                || !tokens.contains(format!("{first}{second}").as_str())
        });
        if broken {
            let message = match pair {
                Some((first, second)) => {
                    format!(
                        "the merge of `{}` and `{}` uses or makes a token that there is not",
                        shown(first),
                        shown(second)
                    )
                }
                None => "a merge is no pair of tokens".to_owned(),
            };
            notes.find("SCAN-TOK-005", Place::Pointer(format!("/model/merges/{at}")), message, []);
        }
    }
}

/// Tokens that are whole addresses: one number, and the model sends its reader somewhere.
fn addresses(vocabulary: &[(&str, u64)], notes: &mut Notes<'_>) {
    let known = notes.rules.list("SCAN-TOK-006", "known");
    for (token, id) in vocabulary.iter().filter(|(token, _)| token.contains("://")) {
        let after = token.split_once("://").map_or("", |(_, after)| after);
        let host = after.split(['/', '?', '"', '\'']).next().unwrap_or_default();
        let named = host
            .rsplit_once('.')
            .is_some_and(|(name, end)| !name.is_empty() && end.len() >= 2 && name != "www");
        if named && !known.iter().any(|known| host.ends_with(known.as_str())) {
            let message = format!("token {id} is the address `{}`", shown(token));
            notes.find("SCAN-TOK-006", Place::Pointer("/model/vocab".to_owned()), message, []);
        }
    }
}

/// Tokens put around every text: marks of begin and end, and no more than a few.
fn post_processor(value: &Value, notes: &mut Notes<'_>) {
    let Some(processor) = member(value, "post_processor") else { return };
    let most = notes.rules.parameter("SCAN-TOK-007", "tokens_max");
    each(processor, &mut "/post_processor".to_owned(), &mut |pointer, key, value| {
        if key != "single" || !matches!(value, Value::List(_)) {
            return;
        }
        let Value::List(pieces) = value else { return };
        let specials: Vec<String> = pieces
            .iter()
            .filter_map(|piece| string(member(piece, "SpecialToken")?, "id"))
            .map(shown)
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "a threshold")]
        if specials.len() as f64 > most {
            let message = format!("{} tokens are put around every text", specials.len());
            notes.find("SCAN-TOK-007", Place::Pointer(pointer.to_owned()), message, specials);
        }
    });
}

/// Looks at the tokenizer's settings, with the tokenizer beside them.
pub(super) fn settings(artefact: &Artefact<'_>, entry: &Entry<'_>, value: &Value, notes: &mut Notes<'_>) {
    let Some(Value::Object(decoder)) = member(value, "added_tokens_decoder") else { return };
    let Some(bytes) = artefact.beside(entry.folder(), "tokenizer.json").and_then(Entry::bytes) else {
        return;
    };
    // What is wrong with that file is found when it is its turn.
    let Ok(tokenizer) = Value::read(bytes) else { return };
    let added: BTreeMap<u64, &str> = items(&tokenizer, "added_tokens")
        .iter()
        .filter_map(|token| Some((whole(token, "id")?, string(token, "content")?)))
        .collect();
    for (id, token) in decoder {
        let (Ok(number), Some(content)) = (id.parse::<u64>(), string(token, "content")) else { continue };
        if let Some(other) = added.get(&number).filter(|other| **other != content) {
            let message =
                format!("token {id} is `{}` here and `{}` in `tokenizer.json`", shown(content), shown(other));
            notes.find("SCAN-TOK-008", Place::Pointer(format!("/added_tokens_decoder/{id}")), message, []);
        }
    }
}
