//! Words of statements as people give them on the command line: a role, a tier, a kind.
//!
//! What this module does not do: know the words. Their types do.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Error, IntoDeserializer as _};

use crate::failure::{Done, Failure};

/// Why a text is no such word, for people.
#[derive(Debug)]
struct NoWord(String);

impl fmt::Display for NoWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoWord {}

impl Error for NoWord {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        let words: Vec<String> = expected.iter().map(|word| format!("`{word}`")).collect();
        match words.split_last() {
            Some((last, [])) => Self(format!("the only one is {last}")),
            Some((last, others)) => Self(format!("it is one of {} and {last}", others.join(", "))),
            None => Self("there is none".to_owned()),
        }
    }
}

/// A word of a statement (a role, a tier, a kind) by the name it has in statements.
pub(crate) fn word<T: DeserializeOwned>(what: &str, text: &str) -> Done<T> {
    let source: StrDeserializer<'_, NoWord> = text.into_deserializer();
    T::deserialize(source)
        .map_err(|why| Failure::usage(format!("`{}` is no {what}: {why}", text.escape_default())))
}

/// Words of a statement.
pub(crate) fn words<T: DeserializeOwned + Ord>(what: &str, texts: &[String]) -> Done<BTreeSet<T>> {
    texts.iter().map(|text| word(what, text)).collect()
}

#[cfg(test)]
mod tests {
    use statement::Name;
    use statement::kind::{Capacity, Level};

    #[test]
    fn what_is_no_word_is_told_with_those_there_are() {
        let wrong = super::word::<Level>("level", "tunning").unwrap_err();
        assert_eq!(
            wrong.message,
            "`tunning` is no level: it is one of `tuning`, `knowledge`, `architecture` and `mechanism`"
        );
        assert_eq!(wrong.code, "CS-CLI-001");
        assert_eq!(super::word::<Capacity>("capacity", "ethics").unwrap(), Capacity::Ethics);
        let name = super::word::<Name>("context", "Chat Room").unwrap_err();
        assert!(name.message.starts_with("`Chat Room` is no context: "), "{}", name.message);
    }
}
