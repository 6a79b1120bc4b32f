//! What does not fit together in a tokenizer, or is not what it looks like.

use std::collections::{HashMap, HashSet};

use super::{Added, Pattern, Stage, Tokenizer};
use crate::error::shown;

/// Oddities that are kept.
const ODDITIES_MAX: usize = 10_000;

/// Something odd. Texts are escaped and shortened, fit for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Oddity {
    /// Two tokens of the model have one number.
    RepeatedId {
        /// The number.
        id: u64,
        /// The two tokens.
        tokens: (String, String),
    },
    /// A token stands twice in the vocabulary; readers keep the later one.
    RepeatedToken {
        /// The token.
        token: String,
    },
    /// Two added tokens have one number or one text.
    RepeatedAdded {
        /// The two tokens.
        tokens: (String, String),
    },
    /// An added token has another number than the same token of the model, or its number is another token's.
    Conflict {
        /// The added token.
        added: String,
        /// Its number.
        id: u64,
        /// What the model has: the other text, or the same with another number.
        model: (String, u64),
    },
    /// A merge of a token, or into a token, that the vocabulary lacks.
    Merge {
        /// The place of the merge, from zero.
        place: usize,
        /// What is missing.
        missing: String,
    },
    /// A merge that stands twice.
    RepeatedMerge {
        /// The place of the later one, from zero.
        place: usize,
    },
    /// Numbers that no token has, below the largest.
    Holes {
        /// How many.
        count: u64,
    },
    /// A token with characters that are not seen.
    Invisible {
        /// The token.
        token: String,
        /// Whether it is an added one.
        added: bool,
    },
    /// Two added tokens that look alike.
    Confusable {
        /// The two tokens.
        tokens: (String, String),
    },
    /// An added token that is not special and reads as ordinary words: it takes that text out of the model's hands.
    Ordinary {
        /// The token.
        token: String,
    },
    /// A normaliser that replaces visible text by other text, or takes it away.
    Replacement {
        /// What it looks for.
        pattern: String,
        /// Whether that is a regular expression.
        regex: bool,
        /// What it puts there.
        content: String,
    },
    /// A decoder that replaces visible text: what is shown is not what the model said.
    DecoderReplacement {
        /// What it looks for.
        pattern: String,
        /// Whether that is a regular expression.
        regex: bool,
        /// What it puts there.
        content: String,
    },
}

impl Oddity {
    /// A stable name of the kind.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::RepeatedId { .. } => "tokenizer-repeated-id",
            Self::RepeatedToken { .. } => "tokenizer-repeated-token",
            Self::RepeatedAdded { .. } => "tokenizer-repeated-added",
            Self::Conflict { .. } => "tokenizer-conflict",
            Self::Merge { .. } => "tokenizer-merge",
            Self::RepeatedMerge { .. } => "tokenizer-repeated-merge",
            Self::Holes { .. } => "tokenizer-holes",
            Self::Invisible { .. } => "tokenizer-invisible",
            Self::Confusable { .. } => "tokenizer-confusable",
            Self::Ordinary { .. } => "tokenizer-ordinary",
            Self::Replacement { .. } => "tokenizer-replacement",
            Self::DecoderReplacement { .. } => "tokenizer-decoder-replacement",
        }
    }
}

/// Whether a character is not seen: formats, joiners, direction marks, tags, variation selectors, fillers.
pub const fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{E0FFF}')
}

/// Text with what looks like Latin letters and ASCII marks replaced by them, and what is not seen left out. Covers
/// full-width forms and the Cyrillic and Greek letters that are drawn alike; it is no complete list (Unicode
/// Technical Standard 39 has one).
pub fn skeleton(text: &str) -> String {
    text.chars().filter(|letter| !is_invisible(*letter)).map(plain).collect()
}

fn plain(letter: char) -> char {
    const ALIKE: [(&str, &str); 3] = [
        ("АВЕЅІЈКМНОРСТУХасеіјорѕухԁһӏԛԝ", "ABESIJKMHOPCTYXaceijopsyxdhlqw"),
        ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧοιν", "ABEZHIKMNOPTYXoiv"),
        ("‐‑‒–−∣ǀ‹›∕⁄", "-----||<>//"),
    ];
    if ('\u{FF01}'..='\u{FF5E}').contains(&letter) {
        return u32::from(letter).checked_sub(0xFEE0).and_then(char::from_u32).unwrap_or(letter);
    }
    ALIKE
        .iter()
        .find_map(|(from, to)| from.chars().zip(to.chars()).find(|(from, _)| *from == letter))
        .map_or(letter, |(_, to)| to)
}

pub(super) fn find(tokenizer: &Tokenizer) -> Vec<Oddity> {
    let mut odd = Vec::new();
    vocabulary(tokenizer, &mut odd);
    merges(tokenizer, &mut odd);
    added(tokenizer, &mut odd);
    replacements(tokenizer, &mut odd);
    odd
}

fn push(odd: &mut Vec<Oddity>, oddity: Oddity) {
    if odd.len() < ODDITIES_MAX {
        odd.push(oddity);
    }
}

fn vocabulary(tokenizer: &Tokenizer, odd: &mut Vec<Oddity>) {
    let mut ids: HashMap<u64, &str> = HashMap::new();
    let mut tokens: HashMap<&str, u64> = HashMap::new();
    for (token, id) in &tokenizer.vocabulary {
        if let Some(other) = ids.insert(*id, token) {
            push(odd, Oddity::RepeatedId { id: *id, tokens: (shown(other), shown(token)) });
        }
        if tokens.insert(token, *id).is_some() {
            push(odd, Oddity::RepeatedToken { token: shown(token) });
        }
        if token.chars().any(is_invisible) {
            push(odd, Oddity::Invisible { token: shown(token), added: false });
        }
    }
    let mut used: HashSet<u64> = ids.keys().copied().collect();
    for token in &tokenizer.added {
        used.insert(token.id);
        let same = tokens.get(token.content.as_str()).copied();
        let there = ids.get(&token.id).copied();
        let conflict = match (same, there) {
            (Some(id), _) if id != token.id => Some((token.content.as_str(), id)),
            (None, Some(other)) if other != token.content => Some((other, token.id)),
            _ => None,
        };
        if let Some((other, id)) = conflict {
            let added = shown(&token.content);
            push(odd, Oddity::Conflict { added, id: token.id, model: (shown(other), id) });
        }
    }
    let count = tokenizer.size().saturating_sub(u64::try_from(used.len()).unwrap_or(u64::MAX));
    if count > 0 {
        push(odd, Oddity::Holes { count });
    }
}

fn merges(tokenizer: &Tokenizer, odd: &mut Vec<Oddity>) {
    let known: HashMap<&str, u64> =
        tokenizer.vocabulary.iter().map(|(token, id)| (token.as_str(), *id)).collect();
    let mut seen: HashSet<(&str, &str)> = HashSet::new();
    for (place, (left, right)) in tokenizer.merges.iter().enumerate() {
        let whole = format!("{left}{right}");
        let missing =
            [left.as_str(), right.as_str(), &whole].into_iter().find(|part| !known.contains_key(part));
        if let Some(missing) = missing {
            push(odd, Oddity::Merge { place, missing: shown(missing) });
        }
        if !seen.insert((left, right)) {
            push(odd, Oddity::RepeatedMerge { place });
        }
    }
}

fn added(tokenizer: &Tokenizer, odd: &mut Vec<Oddity>) {
    let mut ids: HashMap<u64, &str> = HashMap::new();
    let mut contents: HashMap<&str, &str> = HashMap::new();
    let mut skeletons: HashMap<String, &str> = HashMap::new();
    for token in &tokenizer.added {
        let content = token.content.as_str();
        let other = ids.insert(token.id, content).or_else(|| contents.get(content).copied());
        if let Some(other) = other {
            push(odd, Oddity::RepeatedAdded { tokens: (shown(other), shown(content)) });
        }
        contents.insert(content, content);
        if content.chars().any(is_invisible) {
            push(odd, Oddity::Invisible { token: shown(content), added: true });
        }
        if let Some(other) = skeletons.insert(skeleton(content), content)
            && other != content
        {
            push(odd, Oddity::Confusable { tokens: (shown(other), shown(content)) });
        }
        if is_ordinary(token) {
            push(odd, Oddity::Ordinary { token: shown(content) });
        }
    }
}

/// Two letters or more, and nothing that marks it as a mark.
fn is_ordinary(token: &Added) -> bool {
    let letters = token.content.chars().filter(|letter| letter.is_alphabetic()).count();
    let marks = ['<', '>', '[', ']', '|', '{', '}', '\u{2581}', '_', '\u{FF5C}'];
    !token.special && letters >= 2 && !token.content.contains(marks)
}

fn replacements(tokenizer: &Tokenizer, odd: &mut Vec<Oddity>) {
    for step in &tokenizer.steps {
        let (Some(pattern), true) = (&step.pattern, step.kind == "Replace") else { continue };
        let (text, regex) = match pattern {
            Pattern::Text(text) => (text, false),
            Pattern::Regex(text) => (text, true),
        };
        let content = step.content.clone().unwrap_or_default();
        // A space for its mark, quotes for quotes: what has no letters or digits in it changes no words.
        let says = |text: &str| text.chars().any(char::is_alphanumeric);
        let plain_class = regex && is_character_class(text);
        if (!says(text) || plain_class) && !says(&content) {
            continue;
        }
        let (pattern, content) = (shown(text), shown(&content));
        match step.stage {
            Stage::Normalizer | Stage::PreTokenizer => {
                push(odd, Oddity::Replacement { pattern, regex, content });
            }
            Stage::Decoder | Stage::PostProcessor => {
                push(odd, Oddity::DecoderReplacement { pattern, regex, content });
            }
        }
    }
}

/// Expressions for white space and control characters, whose letters are names of classes.
fn is_character_class(regex: &str) -> bool {
    let mut letters = regex.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' {
            if !matches!(letters.next(), Some('s' | 'n' | 't' | 'r')) {
                return false;
            }
        } else if letter.is_alphabetic() {
            return false;
        }
    }
    true
}
