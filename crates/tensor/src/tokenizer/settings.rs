//! `tokenizer_config.json` and `special_tokens_map.json`.

use super::Added;
use super::error::Error;
use super::read::{added, bounded, member, text};
use crate::json::Value;

const DOCUMENT: &str = "tokenizer configuration";

/// A chat template of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatTemplate {
    /// Its name, `default` where there is one template only.
    pub name: String,
    /// Its source.
    pub source: String,
}

/// Tokens by what they are for: `bos_token`, `eos_token`, `additional_special_tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpecialTokens {
    /// What it is for, and its text.
    pub tokens: Vec<(String, String)>,
}

impl SpecialTokens {
    /// Reads a `special_tokens_map.json`.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::Json`], [`Error::Form`] if it is no object.
    pub fn read(file: &[u8]) -> Result<Self, Error> {
        Ok(Self::of(&document(file)?))
    }

    fn of(value: &Value) -> Self {
        let mut tokens = Vec::new();
        let Value::Object(members) = value else { return Self { tokens } };
        for (name, value) in members {
            let list = name == "additional_special_tokens" || name == "extra_special_tokens";
            if !list && !name.ends_with("_token") {
                continue;
            }
            let items: Vec<&Value> = match value {
                Value::List(items) => items.iter().collect(),
                Value::Object(members) if list => members.iter().map(|(_, value)| value).collect(),
                value => vec![value],
            };
            for item in items {
                let content = match item {
                    Value::Text(content) => Some(content.as_str()),
                    item => text(item, "content"),
                };
                tokens.extend(content.map(|content| (name.clone(), content.to_owned())));
            }
        }
        Self { tokens }
    }

    /// The text of the token that is for this.
    pub fn token(&self, purpose: &str) -> Option<&str> {
        self.tokens.iter().find(|(name, _)| name == purpose).map(|(_, text)| text.as_str())
    }
}

/// A `tokenizer_config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// The class that reads the tokenizer.
    pub class: Option<String>,
    /// Python code that comes with the model and is run by whoever trusts it: what for, and where it is.
    pub remote_code: Vec<(String, String)>,
    /// Chat templates.
    pub templates: Vec<ChatTemplate>,
    /// Special tokens.
    pub special: SpecialTokens,
    /// Tokens beside the model's own (`added_tokens_decoder`).
    pub added: Vec<Added>,
    /// The names of all members.
    pub members: Vec<String>,
}

impl Settings {
    /// Reads a `tokenizer_config.json`.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn read(file: &[u8]) -> Result<Self, Error> {
        let value = document(file)?;
        let Value::Object(members) = &value else { return Ok(Self::default()) };
        let mut added_tokens = Vec::new();
        if let Some(Value::Object(entries)) = member(&value, "added_tokens_decoder") {
            for (id, token) in entries {
                let form = Error::Form {
                    document: DOCUMENT,
                    member: "added_tokens_decoder",
                    expected: "an object of tokens by number",
                };
                let id: u64 = id.parse().map_err(|_| form.clone())?;
                added_tokens.push(added(token, Some(id)).map_err(|_| form)?);
            }
        }
        Ok(Self {
            class: text(&value, "tokenizer_class").map(str::to_owned),
            remote_code: member(&value, "auto_map").map(remote_code).unwrap_or_default(),
            templates: templates(&value)?,
            special: SpecialTokens::of(&value),
            added: added_tokens,
            members: members.iter().map(|(name, _)| name.clone()).collect(),
        })
    }
}

fn document(file: &[u8]) -> Result<Value, Error> {
    bounded(DOCUMENT, file)?;
    match Value::read(file) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Error::Form { document: DOCUMENT, member: "the whole", expected: "an object" }),
        Err(fault) => Err(Error::Json { document: DOCUMENT, fault }),
    }
}

/// Every text below `auto_map`, whatever its form: each names code.
fn remote_code(map: &Value) -> Vec<(String, String)> {
    let texts = |value: &Value| -> Vec<String> {
        match value {
            Value::Text(text) => vec![text.clone()],
            Value::List(items) => items
                .iter()
                .filter_map(|item| match item {
                    Value::Text(text) => Some(text.clone()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    };
    match map {
        Value::Object(members) => members
            .iter()
            .flat_map(|(class, value)| texts(value).into_iter().map(move |text| (class.clone(), text)))
            .collect(),
        value => texts(value).into_iter().map(|text| ("AutoTokenizer".to_owned(), text)).collect(),
    }
}

fn templates(value: &Value) -> Result<Vec<ChatTemplate>, Error> {
    let form = || Error::Form {
        document: DOCUMENT,
        member: "chat_template",
        expected: "text, or a list of objects with `name` and `template`",
    };
    let one = |name: &str, source: &str| ChatTemplate { name: name.to_owned(), source: source.to_owned() };
    match member(value, "chat_template") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Text(source)) => Ok(vec![one("default", source)]),
        Some(Value::List(items)) => items
            .iter()
            .map(|item| match (text(item, "name"), text(item, "template")) {
                (Some(name), Some(source)) => Ok(one(name, source)),
                _ => Err(form()),
            })
            .collect(),
        Some(Value::Object(members)) => members
            .iter()
            .map(|(name, source)| match source {
                Value::Text(source) => Ok(one(name, source)),
                _ => Err(form()),
            })
            .collect(),
        Some(_) => Err(form()),
    }
}
