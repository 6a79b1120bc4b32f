//! What is asked of a model, and what it says while it answers.

use model::{Finish, Sampling};
use serde::{Deserialize, Serialize};

use crate::Token;

/// Who asks, as a number. What a model has read for one is not used for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Caller(pub u64);

/// Something that is said in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Who says it.
    pub role: String,
    /// What is said.
    pub content: String,
}

/// What is to be continued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Prompt {
    /// A conversation, through the model's chat template.
    Chat(Vec<Turn>),
    /// Text as it stands.
    Text(String),
    /// Tokens.
    Tokens(Vec<u32>),
}

/// What the answer's text holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Echo {
    /// What was generated.
    Answer,
    /// The prompt, too.
    PromptToo,
}

/// What is to be generated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// What to continue.
    pub prompt: Prompt,
    /// Most tokens of the answer; nothing for what the context holds.
    pub tokens_max: Option<usize>,
    /// How tokens are chosen.
    #[serde(with = "sampling")]
    pub sampling: Sampling,
    /// Texts at which the generation ends.
    pub stop: Vec<String>,
    /// How many of the likeliest tokens are told at each place; nothing where no log-probabilities are told.
    pub top: Option<usize>,
    /// What the answer's text holds.
    pub echo: Echo,
    /// The name of an adapter.
    pub adapter: Option<String>,
}

/// How likely a token was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Likely {
    /// The token.
    pub token: Token,
    /// Nothing for the first token of a prompt.
    #[serde(with = "some_bits")]
    pub logprob: Option<f32>,
    /// The likeliest tokens, likeliest first.
    #[serde(with = "top_tokens")]
    pub top: Vec<(Token, f32)>,
    /// Characters of the answer's text before it.
    pub offset: usize,
}

/// What a generation says: `Begun`, `Reused`, any number of `Step` and `Text`, and `Ended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The prompt is read as so many tokens.
    Begun {
        /// Tokens of the prompt.
        prompt: usize,
    },
    /// So many tokens of the prompt need not be read again.
    Reused {
        /// Tokens.
        tokens: usize,
    },
    /// A token was generated.
    Step,
    /// More of the text, whole characters, with the tokens that begin in it.
    Text {
        /// The text.
        text: String,
        /// The tokens.
        tokens: Vec<Likely>,
    },
    /// The end.
    Ended {
        /// Why.
        #[serde(with = "finish")]
        finish: Finish,
        /// Tokens generated.
        generated: usize,
    },
}

/// Whose fault something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Who asked.
    Client,
    /// Who runs the model.
    Server,
}

/// Why a model does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Broken {
    /// The prompt is not what it must be.
    Prompt {
        /// What it must be.
        expected: String,
    },
    /// The prompt is longer than the context.
    TooLong {
        /// Tokens.
        tokens: usize,
        /// The limit.
        limit: usize,
    },
    /// The model cannot be run on it.
    Model {
        /// The model's own code.
        code: String,
        /// What happened.
        message: String,
        /// What to do.
        hint: String,
        /// Whose fault it is.
        fault: Fault,
    },
    /// It was stopped, as was asked.
    Stopped,
    /// It ended without a word.
    Failed,
    /// The worker ended, or was ended.
    Gone {
        /// What was seen.
        why: String,
    },
}

impl From<model::Error> for Broken {
    fn from(error: model::Error) -> Self {
        use model::Error as E;
        let fault = match &error {
            E::Template { .. }
            | E::TemplateBounds { .. }
            | E::Context { .. }
            | E::Token { .. }
            | E::Tokenizer { .. }
            | E::Capability { .. }
            | E::Purpose { .. }
            | E::Request { .. } => Fault::Client,
            _ => Fault::Server,
        };
        Self::Model {
            code: error.code().to_owned(),
            message: error.to_string(),
            hint: error.hint().to_owned(),
            fault,
        }
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Prompt { expected } => write!(f, "the prompt must be {expected}"),
            Self::TooLong { tokens, limit } => {
                write!(f, "the prompt has {tokens} tokens, and the context {limit}")
            }
            Self::Model { message, .. } => f.write_str(message),
            Self::Stopped => f.write_str("it was stopped"),
            Self::Failed => f.write_str("it ended without a word"),
            Self::Gone { why } => write!(f, "the worker is gone: {why}"),
        }
    }
}

/// Tokens that are to be scored: how likely each is after those before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// The first that is scored, at least 1.
    pub from: usize,
    /// How many of the likeliest tokens are told at each place.
    pub top: usize,
    /// The name of an adapter.
    pub adapter: Option<String>,
}

/// How likely a token was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// The token.
    pub token: u32,
    /// The natural logarithm of its probability.
    #[serde(with = "bits")]
    pub logprob: f32,
    /// The likeliest tokens, likeliest first.
    #[serde(with = "top_numbers")]
    pub top: Vec<(u32, f32)>,
}

/// What a model is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Purpose {
    /// It continues texts.
    Texts,
    /// It turns texts into vectors.
    Vectors {
        /// Numbers of a vector.
        width: usize,
    },
}

/// A text as a vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// Tokens that the text was read as.
    pub tokens: usize,
    /// The vector.
    #[serde(with = "many_bits")]
    pub values: Vec<f32>,
}

/// Single-precision numbers by their bits: what comes out is what went in, infinities and all.
mod bits {
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is the library's")]
    pub(super) fn serialize<S: Serializer>(value: &f32, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u32(value.to_bits())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f32, D::Error> {
        u32::deserialize(from).map(f32::from_bits)
    }
}

mod some_bits {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[expect(
        clippy::ref_option,
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature is the library's"
    )]
    pub(super) fn serialize<S: Serializer>(value: &Option<f32>, out: S) -> Result<S::Ok, S::Error> {
        value.map(f32::to_bits).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f32>, D::Error> {
        Option::<u32>::deserialize(from).map(|bits| bits.map(f32::from_bits))
    }
}

mod many_bits {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f32], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(values.iter().map(|value| value.to_bits()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
        Ok(Vec::<u32>::deserialize(from)?.into_iter().map(f32::from_bits).collect())
    }
}

mod top_numbers {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &[(u32, f32)], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(value.iter().map(|(token, logprob)| (token, logprob.to_bits())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(u32, f32)>, D::Error> {
        let pairs = Vec::<(u32, u32)>::deserialize(from)?;
        Ok(pairs.into_iter().map(|(token, bits)| (token, f32::from_bits(bits))).collect())
    }
}

mod top_tokens {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::Token;

    pub(super) fn serialize<S: Serializer>(value: &[(Token, f32)], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(value.iter().map(|(token, logprob)| (token, logprob.to_bits())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(Token, f32)>, D::Error> {
        let pairs = Vec::<(Token, u32)>::deserialize(from)?;
        Ok(pairs.into_iter().map(|(token, bits)| (token, f32::from_bits(bits))).collect())
    }
}

mod sampling {
    use model::Sampling;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Form {
        #[serde(with = "super::bits")]
        temperature: f32,
        top_k: Option<usize>,
        #[serde(with = "super::bits")]
        top_p: f32,
        seed: u64,
    }

    pub(super) fn serialize<S: Serializer>(value: &Sampling, out: S) -> Result<S::Ok, S::Error> {
        let Sampling { temperature, top_k, top_p, seed } = *value;
        Form { temperature, top_k, top_p, seed }.serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Sampling, D::Error> {
        let Form { temperature, top_k, top_p, seed } = Form::deserialize(from)?;
        Ok(Sampling { temperature, top_k, top_p, seed })
    }
}

mod finish {
    use model::Finish;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Form {
        End,
        Stop,
        Length,
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is the library's")]
    pub(super) fn serialize<S: Serializer>(value: &Finish, out: S) -> Result<S::Ok, S::Error> {
        match value {
            Finish::End => Form::End,
            Finish::Stop => Form::Stop,
            Finish::Length => Form::Length,
        }
        .serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Finish, D::Error> {
        Ok(match Form::deserialize(from)? {
            Form::End => Finish::End,
            Form::Stop => Finish::Stop,
            Form::Length => Finish::Length,
        })
    }
}
