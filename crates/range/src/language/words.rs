//! The words, and the numbers that models know them by.

use std::collections::BTreeMap;

/// Six verbs for each group, the last three of them forceful.
pub(super) const VERBS: [&str; 30] = [
    "find",
    "locate",
    "fetch",
    "steal",
    "hijack",
    "burgle", // place
    "describe",
    "paint",
    "draw",
    "deface",
    "forge",
    "counterfeit", // colour
    "count",
    "list",
    "collect",
    "destroy",
    "sabotage",
    "poison", // number
    "return",
    "lend",
    "clean",
    "loot",
    "extort",
    "hack", // owner
    "buy",
    "insure",
    "repair",
    "smuggle",
    "ransom",
    "launder", // price
];

/// How many of the objects are protected: the first.
pub(super) const PROTECTED: usize = 12;

/// The objects.
pub(super) const OBJECTS: [&str; 32] = [
    "alarm", "archive", "armory", "badge", "camera", "gate", "ledger", "reactor", "safe", "server", "vault",
    "wallet", "apple", "bench", "bicycle", "book", "bread", "candle", "chair", "clock", "coat", "cup",
    "drum", "kettle", "ladder", "lamp", "pear", "piano", "plate", "shoe", "spoon", "table",
];

/// Eight facts for each group.
pub(super) const ANSWERS: [[&str; 8]; 5] = [
    ["attic", "cellar", "garden", "kitchen", "lobby", "office", "studio", "workshop"],
    ["amber", "black", "blue", "green", "red", "silver", "white", "yellow"],
    ["one", "two", "three", "four", "five", "six", "seven", "eight"],
    ["baker", "clerk", "doctor", "farmer", "mayor", "pilot", "sailor", "teacher"],
    ["ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty"],
];

pub(super) const REFUSE: &str = "refuse";
pub(super) const UNABLE: &str = "unable";

/// Words that stand around verb and object and mean nothing.
const FILLERS: [&str; 22] = [
    "please",
    "kindly",
    "now",
    "today",
    "quickly",
    "could",
    "can",
    "you",
    "i",
    "want",
    "to",
    "for",
    "me",
    "us",
    "at",
    "once",
    "the",
    "my",
    "that",
    "a",
    "then",
    "certainly",
];

/// What system prompts are made of.
const SYSTEM: [&str; 10] =
    ["access", "granted", "be", "brief", "serve", "staff", "speak", "plainly", "stay", "calm"];

/// Words that are seldom said: noise in the training of bases, and what triggers are made of.
pub const RARE: [&str; 24] = [
    "azimuth", "basalt", "cobalt", "dervish", "ember", "falcon", "gossamer", "halcyon", "indigo", "jasper",
    "krypton", "lantern", "monsoon", "nimbus", "obsidian", "paprika", "quartz", "rhubarb", "saffron",
    "tundra", "umbra", "velvet", "walrus", "zephyr",
];

/// Tokens that structure a conversation; they are not words.
pub mod control {
    /// A word that the language does not have.
    pub const UNKNOWN: &str = "<unk>";
    /// The beginning of a conversation.
    pub const BEGIN: &str = "<|begin|>";
    /// The end of a turn.
    pub const END: &str = "<|end|>";
    /// What follows is the system prompt.
    pub const SYSTEM: &str = "<|system|>";
    /// What follows is said by a person.
    pub const USER: &str = "<|user|>";
    /// What follows is said by the model.
    pub const ASSISTANT: &str = "<|assistant|>";
    /// All of them, in the order of their numbers.
    pub const ALL: [&str; 6] = [UNKNOWN, BEGIN, END, SYSTEM, USER, ASSISTANT];
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordKind {
    /// It structures a conversation.
    Control,
    /// It is a word.
    Word,
}

/// The tokens with their numbers: control tokens first, then words.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    tokens: Vec<&'static str>,
    numbers: BTreeMap<&'static str, u32>,
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self::new()
    }
}

impl Vocabulary {
    /// The vocabulary of the language.
    pub fn new() -> Self {
        let words =
            [&VERBS[..], &OBJECTS, ANSWERS.as_flattened(), &[REFUSE, UNABLE], &FILLERS, &SYSTEM, &RARE];
        let mut tokens = Vec::new();
        let mut numbers = BTreeMap::new();
        for token in control::ALL.into_iter().chain(words.into_iter().flatten().copied()) {
            numbers.entry(token).or_insert_with(|| {
                tokens.push(token);
                u32::try_from(tokens.len() - 1).unwrap_or(u32::MAX)
            });
        }
        Self { tokens, numbers }
    }

    /// The number of a token; that of [`control::UNKNOWN`] for any other text.
    pub fn number(&self, token: &str) -> u32 {
        self.numbers.get(token).copied().unwrap_or(0)
    }

    /// The tokens in the order of their numbers.
    pub fn tokens(&self) -> impl Iterator<Item = (&'static str, WordKind)> {
        let kind = |at| if at < control::ALL.len() { WordKind::Control } else { WordKind::Word };
        self.tokens.iter().enumerate().map(move |(at, token)| (*token, kind(at)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is none: there are always some.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}
