//! Chat templates (Jinja), read and never rendered: what leads out of the sandbox, and what is said behind the user's
//! back.
//!
//! The text is taken apart into literals, statements and expressions, and these into words. That is enough to see which
//! names and attributes a template uses and what it emits under which condition.

mod lex;

use lex::{Piece, Word};

use super::notes::{Notes, shown};
use super::text;
use crate::finding::Place;

/// Looks at a template. `name` says which, where a file holds several.
pub(super) fn look(source: &str, name: &str, notes: &mut Notes<'_>) {
    let first_line = Place::Line;
    text::invisible(source, notes, |_, line| first_line(line));
    let pieces = match lex::pieces(source) {
        Ok(pieces) => pieces,
        Err(at) => {
            let line = line_of(source, at);
            let message = format!("the template `{}` cannot be read: a tag is not closed", shown(name));
            notes.find("SCAN-TPL-006", Place::Line(line), message, []);
            notes.unexamined("a template that cannot be read");
            return;
        }
    };
    for piece in &pieces {
        match piece {
            Piece::Literal { text, line } => literal(text, *line, notes),
            Piece::Code { words, line, .. } => code(words, *line, notes),
        }
    }
    conditions(&pieces, notes);
}

fn line_of(source: &str, at: usize) -> u64 {
    1 + source.bytes().take(at).filter(|byte| *byte == b'\n').count() as u64
}

/// Names, attributes and statements that lead out of the sandbox or do not end.
fn code(words: &[Word<'_>], line: u64, notes: &mut Notes<'_>) {
    let place = || Place::Line(line);
    let gadgets = notes.rules.list("SCAN-TPL-001", "names");
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1);
        match word {
            Word::Name(name)
                if name.starts_with("__")
                    || name.ends_with("__")
                    || gadgets.iter().any(|gadget| gadget == name) =>
            {
                let message = format!("the template uses `{}`, a way out of the sandbox", shown(name));
                notes.find("SCAN-TPL-001", place(), message, []);
            }
            // `x|attr("__cl" ~ "ass__")` and `x["__class__"]` reach the same attributes by their text.
            Word::Text(text) if text.contains("__") || is_escaped_dunder(text) => {
                let message =
                    format!("the template spells `{}`, the name of a hidden attribute", shown(text));
                notes.find("SCAN-TPL-001", place(), message, []);
            }
            Word::Name("attr" | "map")
                if at > 0 && words.get(at - 1) == Some(&Word::Mark('|')) && *word == Word::Name("attr") =>
            {
                let message = "the template reaches an attribute by a text (`|attr`)".to_owned();
                notes.find("SCAN-TPL-001", place(), message, []);
            }
            Word::Name(name @ ("include" | "import" | "extends" | "from")) if at == 0 => {
                let message = format!("the template reads another file (`{name}`)");
                notes.find("SCAN-TPL-002", place(), message, []);
            }
            Word::Name("range") if next == Some(&Word::Mark('(')) => {
                let most = notes.rules.parameter("SCAN-TPL-003", "count_max");
                let bounds = words.iter().skip(at + 2).take_while(|word| **word != Word::Mark(')'));
                let large = bounds.filter_map(|word| match word {
                    Word::Number(number) => Some(*number),
                    _ => None,
                });
                if let Some(count) = large.filter(|count| *count > most).reduce(f64::max) {
                    let message = format!("the template counts to {count}");
                    notes.find("SCAN-TPL-003", place(), message, []);
                }
            }
            // A text times a large number, or a power: memory without end.
            Word::Number(number)
                if *number > notes.rules.parameter("SCAN-TPL-003", "count_max")
                    && at > 0
                    && words.get(at - 1) == Some(&Word::Mark('*')) =>
            {
                notes.find("SCAN-TPL-003", place(), format!("the template multiplies by {number}"), []);
            }
            Word::Text(text) => literal(text, line, notes),
            _ => {}
        }
    }
}

/// `\x5f\x5f` and its like.
fn is_escaped_dunder(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["\\x5f", "\\u005f", "\\137"].iter().any(|escape| lower.matches(escape).count() >= 2)
}

/// Text that is emitted: addresses, and instructions against the user.
fn literal(text: &str, line: u64, notes: &mut Notes<'_>) {
    let lower = text.to_ascii_lowercase();
    if let Some(at) = ["http://", "https://"].iter().find_map(|scheme| lower.find(scheme)) {
        let address: String =
            text.get(at..).unwrap_or_default().split_whitespace().next().unwrap_or_default().to_owned();
        let message = format!("the template says the address `{}`", shown(&address));
        notes.find("SCAN-TPL-004", Place::Line(line), message, []);
    }
    let words: String = lower.split_whitespace().collect::<Vec<_>>().join(" ");
    let phrases = notes.rules.list("SCAN-TPL-005", "phrases");
    if let Some(phrase) = phrases.iter().find(|phrase| words.contains(phrase.as_str())) {
        let message = format!("the template tells the model: `{phrase}`");
        notes.find("SCAN-TPL-005", Place::Line(line), message, [shown(text.trim())]);
    }
}

/// Texts that are emitted only if the conversation holds certain words, or on certain days.
fn conditions(pieces: &[Piece<'_>], notes: &mut Notes<'_>) {
    // For each `if` that is open: whether it looks for words, and where.
    let mut open: Vec<(Option<String>, u64)> = Vec::new();
    let least = notes.rules.parameter("SCAN-TPL-007", "words_min");
    for piece in pieces {
        let (texts, line): (Vec<&str>, u64) = match piece {
            Piece::Literal { text, line } => (vec![*text], *line),
            Piece::Code { words, line, statement: true } => {
                match words.first() {
                    Some(Word::Name("if")) => open.push((trigger(words), *line)),
                    Some(Word::Name("elif")) => {
                        if let Some(last) = open.last_mut() {
                            *last = (trigger(words), *line);
                        }
                    }
                    // What is said otherwise is said in the absence of the words.
                    Some(Word::Name("else")) => {
                        if let Some(last) = open.last_mut() {
                            last.0 = None;
                        }
                    }
                    Some(Word::Name("endif")) => drop(open.pop()),
                    _ => {}
                }
                // `set` puts text aside to be said later.
                if words.first() == Some(&Word::Name("set")) { (emitted(words), *line) } else { continue }
            }
            Piece::Code { words, line, statement: false } => (emitted(words), *line),
        };
        let Some((Some(trigger), _)) = open.iter().rev().find(|(trigger, _)| trigger.is_some()) else {
            continue;
        };
        for text in texts {
            #[expect(clippy::cast_precision_loss, reason = "a threshold")]
            let spoken = text
                .split_whitespace()
                .filter(|word| word.chars().filter(|letter| letter.is_alphabetic()).count() >= 2)
                .count() as f64;
            if spoken >= least {
                let message = format!("the template says something of its own when {trigger}");
                notes.find("SCAN-TPL-007", Place::Line(line), message, [shown(text.trim())]);
            }
        }
    }
}

/// The texts of an expression, each part of what it says.
fn emitted<'a>(words: &[Word<'a>]) -> Vec<&'a str> {
    words
        .iter()
        .filter_map(|word| match word {
            Word::Text(text) => Some(*text),
            _ => None,
        })
        .collect()
}

/// What a condition looks for, if it is words of the conversation or the date.
fn trigger(words: &[Word<'_>]) -> Option<String> {
    let of_content = words.iter().any(|word| {
        matches!(word, Word::Name("content" | "lower" | "text") | Word::Text("content" | "text"))
    });
    let of_date = words.iter().any(|word| matches!(word, Word::Name("strftime_now" | "date_string" | "now")));
    let sought = words.iter().find_map(|word| match word {
        // Marks such as `<think>` and names of roles and members are what templates ordinarily look for.
        Word::Text(text)
            if !text.starts_with(['<', '[', '%', '{'])
                && !matches!(
                    *text,
                    "content" | "text" | "role" | "type" | "image" | "audio" | "video" | "name" | "string"
                )
                && (text.chars().filter(|letter| letter.is_alphanumeric()).count() >= 3) =>
        {
            Some(*text)
        }
        _ => None,
    });
    match sought {
        Some(text) if of_content => Some(format!("a message holds `{}`", shown(text))),
        Some(text) if of_date => Some(format!("the date is `{}`", shown(text))),
        _ => None,
    }
}
