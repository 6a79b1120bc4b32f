//! How the vectors of a text's tokens become the vector of the text, as sentence-transformers writes it into a folder.
//!
//! Source: UKPLab/sentence-transformers, `models/Pooling.py`, `models/Normalize.py`, `SentenceTransformer.py` (`modules.json`)
//! and `models/Transformer.py` (`sentence_bert_config.json`).
//!
//! What this module does not do: layers after the pooling, and poolings that weigh tokens by their place. A folder that asks
//! for them is refused, since its vectors would be others.

use serde_json::Value;

use crate::Error;

/// Which vector stands for those of all tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// That of the first token.
    First,
    /// Their mean.
    Mean,
    /// Their sum, divided by the root of their number.
    MeanRoot,
    /// The largest value at each place.
    Max,
}

/// Whether a text's vector is brought to length one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// It is.
    One,
    /// It is left as it is.
    AsItIs,
}

/// In which letters a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    /// As they are.
    AsTheyAre,
    /// In small ones.
    Small,
}

/// How a text becomes a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pooling {
    /// Which vector stands for those of all tokens.
    pub pool: Pool,
    /// Whether it is brought to length one.
    pub length: Length,
    /// Most tokens of a text, where the folder names fewer than the model has positions.
    pub tokens_max: Option<usize>,
    /// In which letters it is read.
    pub letters: Letters,
}

/// Most modules that are read.
const MODULES_MAX: usize = 16;

/// The poolings by their names: of the newer form, and as a member of its own in the older.
const POOLS: [(&str, &str, Option<Pool>); 6] = [
    ("cls", "pooling_mode_cls_token", Some(Pool::First)),
    ("mean", "pooling_mode_mean_tokens", Some(Pool::Mean)),
    ("mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", Some(Pool::MeanRoot)),
    ("max", "pooling_mode_max_tokens", Some(Pool::Max)),
    ("weightedmean", "pooling_mode_weightedmean_tokens", None),
    ("lasttoken", "pooling_mode_lasttoken", None),
];

fn setting(member: &str, expected: &'static str) -> Error {
    Error::Setting { member: member.to_owned(), expected }
}

fn parsed(name: &'static str, json: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(json).map_err(|_| setting(name, "JSON"))
}

impl Pooling {
    /// What sentence-transformers does with a model that says nothing: the mean of all tokens.
    pub const MEAN: Self =
        Self { pool: Pool::Mean, length: Length::AsItIs, tokens_max: None, letters: Letters::AsTheyAre };

    /// Reads `modules.json`, `1_Pooling/config.json` and `sentence_bert_config.json`, where they are. `hidden` is the width of
    /// the model.
    ///
    /// # Errors
    /// [`Error::Setting`] for what is damaged, for modules other than a transformer, a pooling and a normalisation, and for
    /// poolings that are not computed.
    pub fn from_json(
        modules: Option<&[u8]>,
        pooling: Option<&[u8]>,
        sentence: Option<&[u8]>,
        hidden: usize,
    ) -> Result<Self, Error> {
        let mut read = Self::MEAN;
        if let Some(json) = modules {
            read.length = length(&parsed("modules.json", json)?)?;
            if pooling.is_none() {
                return Err(setting("modules.json", "beside a `1_Pooling/config.json`"));
            }
        }
        if let Some(json) = pooling {
            let value = parsed("1_Pooling/config.json", json)?;
            read.pool = pool(&value)?;
            let widths = ["word_embedding_dimension", "embedding_dimension"];
            let width = widths.iter().find_map(|member| value.get(member)).and_then(Value::as_u64);
            if width.is_some_and(|width| usize::try_from(width) != Ok(hidden)) {
                return Err(setting("word_embedding_dimension", "the width of the model"));
            }
        }
        if let Some(json) = sentence {
            let value = parsed("sentence_bert_config.json", json)?;
            if let Some(most) = value.get("max_seq_length").filter(|most| !most.is_null()) {
                let most =
                    most.as_u64().and_then(|most| usize::try_from(most).ok()).filter(|most| *most >= 3);
                read.tokens_max = Some(most.ok_or_else(|| setting("max_seq_length", "at least 3"))?);
            }
            if value.get("do_lower_case").and_then(Value::as_bool) == Some(true) {
                read.letters = Letters::Small;
            }
        }
        Ok(read)
    }

    /// The vector of a text from those of its tokens; `rows` has at least one of `hidden` values.
    pub(crate) fn apply<'a>(&self, rows: impl Iterator<Item = &'a [f32]>, hidden: usize) -> Vec<f32> {
        let mut pooled = vec![0.0_f32; hidden];
        let mut count = 0_usize;
        for row in rows {
            let first = count == 0;
            count += 1;
            for (pooled, x) in pooled.iter_mut().zip(row) {
                match self.pool {
                    Pool::First if first => *pooled = *x,
                    Pool::First => {}
                    Pool::Mean | Pool::MeanRoot => *pooled += x,
                    Pool::Max => *pooled = if first { *x } else { pooled.max(*x) },
                }
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "texts have fewer tokens than single precision counts")]
        let count = count.max(1) as f32;
        let divisor = match self.pool {
            Pool::First | Pool::Max => 1.0,
            Pool::Mean => count,
            Pool::MeanRoot => count.sqrt(),
        };
        for x in &mut pooled {
            *x /= divisor;
        }
        pooled
    }
}

/// Whether the modules end with a normalisation. Any other than those known is refused.
fn length(modules: &Value) -> Result<Length, Error> {
    let wrong =
        || setting("modules.json", "a Transformer, a Pooling in `1_Pooling`, and perhaps a Normalize");
    let list = modules.as_array().filter(|list| list.len() <= MODULES_MAX).ok_or_else(wrong)?;
    let kinds = list.iter().map(|module| {
        let text = |member: &str| module.get(member).and_then(Value::as_str);
        let kind = text("type").and_then(|kind| kind.rsplit('.').next())?;
        Some((kind, text("path").unwrap_or_default()))
    });
    let kinds: Option<Vec<(&str, &str)>> = kinds.collect();
    match kinds.ok_or_else(wrong)?.as_slice() {
        [("Transformer", ""), ("Pooling", "1_Pooling")] => Ok(Length::AsItIs),
        [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", _)] => Ok(Length::One),
        _ => Err(wrong()),
    }
}

fn pool(value: &Value) -> Result<Pool, Error> {
    let unknown = || setting("pooling_mode", "one of `cls`, `mean`, `max` and `mean_sqrt_len_tokens`");
    if let Some(name) = value.get("pooling_mode") {
        let known = POOLS.iter().find(|(pool, ..)| name.as_str() == Some(*pool));
        return known.and_then(|(.., pool)| *pool).ok_or_else(unknown);
    }
    let mut asked =
        POOLS.iter().filter(|(_, member, _)| value.get(*member).and_then(Value::as_bool) == Some(true));
    match (asked.next(), asked.next()) {
        (Some((.., Some(pool))), None) => Ok(*pool),
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests;
