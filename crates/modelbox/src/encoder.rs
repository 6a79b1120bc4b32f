//! Texts to vectors, on an encoder that is at hand.

use model::{Controls, Encoder, Letters, Pooling, Tokenizer};

use crate::files::Named;
use crate::task::{Broken, Prompt, Vector};

/// An encoder with its tokenizer, opened.
#[derive(Debug)]
pub(crate) struct Sentences {
    encoder: Encoder,
    tokenizer: Tokenizer,
    pooling: Pooling,
    /// Most tokens of a text, its control tokens included.
    context: usize,
}

/// The files that say how a text's vector is made, where they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Making<'a> {
    pub(crate) modules: Option<&'a Named>,
    pub(crate) pooling: Option<&'a Named>,
    pub(crate) sentence: Option<&'a Named>,
}

impl Sentences {
    pub(crate) fn new(
        encoder: Encoder,
        tokenizer: &Tokenizer,
        making: Making<'_>,
    ) -> Result<Self, model::Error> {
        let config = encoder.config();
        if tokenizer.vocabulary() > config.vocabulary {
            return Err(model::Error::Tokenizer { reason: "it has more tokens than the model".to_owned() });
        }
        let bytes = |file: Option<&'_ Named>| file.map(|file| file.bytes.clone());
        let (modules, pooling, sentence) =
            (bytes(making.modules), bytes(making.pooling), bytes(making.sentence));
        let pooling =
            Pooling::from_json(modules.as_deref(), pooling.as_deref(), sentence.as_deref(), config.hidden)?;
        let context = pooling.tokens_max.unwrap_or(usize::MAX).min(config.context);
        Ok(Self { encoder, tokenizer: tokenizer.whole()?, pooling, context })
    }

    /// Lets texts be no longer than so.
    pub(crate) fn within(&mut self, context: usize) {
        self.context = self.context.min(context);
    }

    pub(crate) const fn context(&self) -> usize {
        self.context
    }

    pub(crate) const fn vocabulary(&self) -> usize {
        self.encoder.config().vocabulary
    }

    pub(crate) const fn width(&self) -> usize {
        self.encoder.config().hidden
    }

    /// A vector for each text. A text that is longer than the context is refused: cut off, it would be another.
    pub(crate) fn embed(&self, texts: &[Prompt]) -> Result<Vec<Vector>, Broken> {
        let tokens = texts.iter().map(|text| self.tokens(text)).collect::<Result<Vec<_>, _>>()?;
        let views: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
        let vectors = self.encoder.embed(&views, &self.pooling)?;
        let told = vectors.into_iter().zip(&tokens);
        Ok(told.map(|(values, tokens)| Vector { tokens: tokens.len(), values }).collect())
    }

    fn tokens(&self, text: &Prompt) -> Result<Vec<u32>, Broken> {
        let wrong = |expected: &str| Broken::Prompt { expected: expected.to_owned() };
        let tokens = match text {
            // Names of control tokens in a stranger's text are text.
            Prompt::Text(text) => match self.pooling.letters {
                Letters::AsTheyAre => self.tokenizer.encode(text, Controls::Text)?,
                Letters::Small => self.tokenizer.encode(&text.to_lowercase(), Controls::Text)?,
            },
            Prompt::Tokens(tokens) => tokens.clone(),
            Prompt::Chat(_) => return Err(wrong("a text or tokens, and no conversation")),
        };
        if tokens.is_empty() {
            return Err(wrong("at least one token"));
        }
        if tokens.len() > self.context {
            return Err(Broken::TooLong { tokens: tokens.len(), limit: self.context });
        }
        let vocabulary = self.vocabulary();
        if tokens.iter().any(|&token| usize::try_from(token).map_or(true, |token| token >= vocabulary)) {
            return Err(Broken::Prompt { expected: format!("of tokens below {vocabulary}") });
        }
        Ok(tokens)
    }
}
