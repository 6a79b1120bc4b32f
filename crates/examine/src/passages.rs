//! Passages of a retrieval index: read, found by words, put before what is asked.
//!
//! An index is a folder of `.jsonl` files, a passage a line (`id`, `text`; other members are left alone), and, where it is not
//! retrieved from as usual, a `retrieval.json`. Passages are found by Okapi BM25 over lower-case words (Robertson and Zaragoza,
//! "The Probabilistic Relevance Framework", 2009; k1 = 1.2, b = 0.75), equals in the order of the files. An index's own
//! embedding model is not run: whoever poisons it for that model has the question's words in the passage as a rule
//! (PoisonedRAG, arXiv 2402.07867), and those are found here.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::change::Files;
use crate::error::shown;

/// Most bytes of a line, embeddings included.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Most passages of an index.
const PASSAGES_MAX: usize = 1_000_000;
/// Most passages that are put before a question.
const TOP_MAX: usize = 64;
/// How much more often the same word counts, and how much a passage's length.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// Where passages are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Place {
    /// Before the user's words, in the same turn.
    #[default]
    User,
    /// After what the operator says.
    System,
}

/// `retrieval.json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// How many passages a question gets.
    top: usize,
    place: Place,
    /// What stands before, between and after them.
    before: String,
    between: String,
    after: String,
    /// Most letters of a passage that are put in.
    letters_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            top: 3,
            place: Place::User,
            before: String::new(),
            between: "\n\n".to_owned(),
            after: "\n\n".to_owned(),
            letters_max: 2000,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Line {
    id: serde_json::Value,
    #[serde(alias = "page_content", alias = "content", alias = "document")]
    text: String,
    #[serde(default, alias = "vector")]
    embedding: Option<Vec<f64>>,
}

/// A passage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passage {
    pub(crate) id: String,
    pub(crate) text: String,
}

/// An index that can be asked.
#[derive(Debug, Clone)]
pub(crate) struct Passages {
    all: Vec<Passage>,
    settings: Settings,
    /// Word to the passages that have it, with how often.
    holders: BTreeMap<String, Vec<(u32, u32)>>,
    /// Words of each passage.
    lengths: Vec<u32>,
    /// Words of a passage in the mean, at least one.
    mean: f64,
    /// Identifiers that stand more than once.
    pub(crate) twice: BTreeSet<String>,
    /// How many numbers the embeddings have, where there are any.
    pub(crate) dimensions: BTreeSet<usize>,
}

impl Passages {
    /// Reads an index.
    ///
    /// # Errors
    /// What is wrong with it, with file and line.
    pub(crate) fn read(files: &Files) -> Result<Self, String> {
        let settings = match files.bytes("retrieval.json") {
            None => Settings::default(),
            Some(bytes) => serde_json::from_slice(bytes)
                .map_err(|cause| format!("retrieval.json: {}", shown(&cause.to_string())))?,
        };
        if settings.top == 0 || settings.top > TOP_MAX {
            return Err(format!("retrieval.json: `top` is 1 to {TOP_MAX}"));
        }
        let mut read = Self {
            all: Vec::new(),
            settings,
            holders: BTreeMap::new(),
            lengths: Vec::new(),
            mean: 1.0,
            twice: BTreeSet::new(),
            dimensions: BTreeSet::new(),
        };
        let mut known = BTreeSet::new();
        for (file, bytes) in files.iter().filter(|(name, _)| is_passages(name)) {
            for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let refused = |why: &str| format!("{}:{}: {}", shown(file), at + 1, shown(why));
                if line.len() > LINE_BYTES_MAX {
                    return Err(refused("a passage has more than a MiB"));
                }
                if read.all.len() >= PASSAGES_MAX {
                    return Err(refused("there are more than 1,000,000 passages"));
                }
                let line: Line = serde_json::from_slice(line).map_err(|cause| refused(&cause.to_string()))?;
                let id = match line.id {
                    serde_json::Value::String(text) => text,
                    serde_json::Value::Number(number) => number.to_string(),
                    _ => return Err(refused("`id` is neither text nor a number")),
                };
                if !known.insert(id.clone()) {
                    read.twice.insert(id.clone());
                }
                read.dimensions.extend(line.embedding.map(|numbers| numbers.len()));
                read.add(Passage { id, text: line.text });
            }
        }
        if read.all.is_empty() {
            return Err("there is no passage in it".to_owned());
        }
        let words: f64 = read.lengths.iter().map(|length| f64::from(*length)).sum();
        read.mean = (words / read.lengths.len() as f64).max(1.0);
        Ok(read)
    }

    fn add(&mut self, passage: Passage) {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        let mut length = 0_u32;
        for word in words(&passage.text) {
            *counts.entry(word).or_default() += 1;
            length = length.saturating_add(1);
        }
        let number = self.all.len() as u32;
        for (word, count) in counts {
            self.holders.entry(word).or_default().push((number, count));
        }
        self.lengths.push(length);
        self.all.push(passage);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Passage> {
        self.all.iter()
    }

    pub(crate) const fn place(&self) -> Place {
        self.settings.place
    }

    /// The passages that a question gets, the best first; none where no word is found.
    pub(crate) fn found(&self, question: &str) -> Vec<&Passage> {
        let count = self.all.len() as f64;
        let mut scores: BTreeMap<u32, f64> = BTreeMap::new();
        for word in words(question).collect::<BTreeSet<_>>() {
            let Some(holders) = self.holders.get(&word) else { continue };
            let with = holders.len() as f64;
            let rarity = ((count - with + 0.5) / (with + 0.5) + 1.0).ln();
            for (number, times) in holders {
                let length = self.lengths.get(*number as usize).copied().unwrap_or(0);
                let times = f64::from(*times);
                let worn = times + K1 * (1.0 - B + B * f64::from(length) / self.mean);
                *scores.entry(*number).or_default() += rarity * times * (K1 + 1.0) / worn;
            }
        }
        let mut ranked: Vec<(u32, f64)> = scores.into_iter().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let best = ranked.into_iter().take(self.settings.top);
        best.filter_map(|(number, _)| self.all.get(number as usize)).collect()
    }

    /// What of a passage is put before a question.
    pub(crate) fn put_in<'p>(&self, passage: &'p Passage) -> &'p str {
        let end = passage.text.char_indices().nth(self.settings.letters_max).map(|(at, _)| at);
        end.and_then(|end| passage.text.get(..end)).unwrap_or(&passage.text)
    }

    /// What is put before a question; empty where nothing is found.
    pub(crate) fn before(&self, question: &str) -> String {
        let Settings { before, between, after, .. } = &self.settings;
        let found: Vec<&str> = self.found(question).into_iter().map(|passage| self.put_in(passage)).collect();
        if found.is_empty() { String::new() } else { format!("{before}{}{after}", found.join(between)) }
    }
}

/// Whether a file holds passages.
pub(crate) fn is_passages(name: &str) -> bool {
    matches!(name.rsplit_once('.'), Some((_, "jsonl")))
}

/// Words in lower case.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests;
