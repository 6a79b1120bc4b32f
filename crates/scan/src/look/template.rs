//! Chat templates (Jinja), parsed and never rendered: what leads out of the sandbox, and what is said behind the user's
//! back. The facts come from [`tensor::jinja`], which follows texts that are put together from parts.

use std::collections::BTreeSet;

use tensor::jinja::{Condition, Facts, Limits, Span, Subject, Template};

use super::notes::{Notes, shown};
use super::text;
use crate::finding::Place;

/// Looks at a template. `name` says which, where a file holds several.
pub(super) fn look(source: &str, name: &str, notes: &mut Notes<'_>) {
    text::invisible(source, notes, |_, line| Place::Line(line));
    let template = match Template::parse(source, &Limits::STANDARD) {
        Ok(template) => template,
        Err(error) => {
            let message = format!("the template `{}` cannot be read: {error}", shown(name));
            notes.find("SCAN-TPL-006", Place::File, message, []);
            notes.unexamined("a template that cannot be read");
            return;
        }
    };
    let facts = template.facts();
    let line = |span: Span| Place::Line(template.line(span.begin) as u64);
    ways_out(&facts, &line, notes);
    for load in &facts.loads {
        let what = load.template.as_deref().unwrap_or("a file whose name is computed");
        let message = format!("the template reads `{}` (`{}`)", shown(what), shown(&load.statement));
        notes.find("SCAN-TPL-002", line(load.span), message, []);
    }
    without_end(&facts, &line, notes);
    let mut told = BTreeSet::new();
    for (text, span) in facts
        .emissions
        .iter()
        .map(|emission| (&emission.text, emission.span))
        .chain(facts.texts.iter().map(|(text, span)| (text, *span)))
    {
        if told.insert(text) {
            spoken(text, line(span), notes);
        }
    }
    triggers(&facts, &line, notes);
    if facts.cut {
        notes.unexamined("a template with more parts than are kept");
    }
}

/// Hidden attributes, however their names are put together, and names through which Python's modules are reached.
fn ways_out(facts: &Facts, line: &dyn Fn(Span) -> Place, notes: &mut Notes<'_>) {
    let gadgets = notes.rules.list("SCAN-TPL-001", "names");
    let is_gadget = |name: &str| name.contains("__") || gadgets.iter().any(|gadget| gadget == name);
    let mut told: BTreeSet<(&str, usize)> = BTreeSet::new();
    for attribute in facts.attributes.iter().filter(|attribute| is_gadget(&attribute.name)) {
        if told.insert((&attribute.name, attribute.span.begin)) {
            let message =
                format!("the template reaches for `{}`, a way out of the sandbox", shown(&attribute.name));
            notes.find("SCAN-TPL-001", line(attribute.span), message, []);
        }
    }
    if let Some(span) = facts.filters.get("attr") {
        let message = "the template reaches an attribute by a text (`|attr`)".to_owned();
        notes.find("SCAN-TPL-001", line(*span), message, []);
    }
    for call in facts.calls.iter().filter(|call| is_gadget(&call.name)) {
        let message = format!("the template calls `{}`, a way out of the sandbox", shown(&call.name));
        notes.find("SCAN-TPL-001", line(call.span), message, []);
    }
    for input in facts.inputs.iter().filter(|input| is_gadget(input)) {
        let message = format!("the template uses `{}`, a way out of the sandbox", shown(input));
        notes.find("SCAN-TPL-001", Place::File, message, []);
    }
    for (text, span) in &facts.texts {
        let hidden = text
            .strip_prefix("__")
            .is_some_and(|rest| rest.starts_with(char::is_alphabetic) && rest.ends_with("__"));
        if hidden && !told.contains(&(text.as_str(), span.begin)) {
            let message = format!("the template spells `{}`, the name of a hidden attribute", shown(text));
            notes.find("SCAN-TPL-001", line(*span), message, []);
        }
    }
}

/// Rounds and copies beyond what a conversation needs, and macros that call themselves.
fn without_end(facts: &Facts, line: &dyn Fn(Span) -> Place, notes: &mut Notes<'_>) {
    let most = notes.rules.parameter("SCAN-TPL-003", "count_max");
    for each in &facts.loops {
        #[expect(clippy::cast_precision_loss, reason = "a threshold")]
        if let Some(rounds) = each.rounds.filter(|rounds| *rounds as f64 > most) {
            notes.find(
                "SCAN-TPL-003",
                line(each.span),
                format!("the template goes round {rounds} times"),
                [],
            );
        }
    }
    for span in &facts.large_numbers {
        notes.find("SCAN-TPL-003", line(*span), "the template counts beyond a million".to_owned(), []);
    }
    for name in &facts.recursive_macros {
        let message = format!("the macro `{}` calls itself", shown(name));
        notes.find("SCAN-TPL-008", Place::File, message, []);
    }
}

/// Text that is emitted: addresses, and instructions against the user.
fn spoken(text: &str, place: Place, notes: &mut Notes<'_>) {
    let lower = text.to_ascii_lowercase();
    if let Some(at) = ["http://", "https://"].iter().find_map(|scheme| lower.find(scheme)) {
        let address: String =
            text.get(at..).unwrap_or_default().split_whitespace().next().unwrap_or_default().to_owned();
        let message = format!("the template says the address `{}`", shown(&address));
        notes.find("SCAN-TPL-004", place.clone(), message, []);
    }
    let words: String = lower.split_whitespace().collect::<Vec<_>>().join(" ");
    let phrases = notes.rules.list("SCAN-TPL-005", "phrases");
    if let Some(phrase) = phrases.iter().find(|phrase| words.contains(phrase.as_str())) {
        let message = format!("the template tells the model: `{phrase}`");
        notes.find("SCAN-TPL-005", place, message, [shown(text.trim())]);
    }
}

/// Texts that are emitted only if the conversation holds certain words, or on certain days.
fn triggers(facts: &Facts, line: &dyn Fn(Span) -> Place, notes: &mut Notes<'_>) {
    let least = notes.rules.parameter("SCAN-TPL-007", "words_min");
    for emission in &facts.emissions {
        let Some(trigger) = facts.conditions_of(emission).find_map(trigger) else { continue };
        let letters = |word: &str| word.chars().filter(|letter| letter.is_alphabetic()).count();
        let words = emission.text.split_whitespace().filter(|word| letters(word) >= 2).count();
        #[expect(clippy::cast_precision_loss, reason = "a threshold")]
        if words as f64 >= least {
            let message = format!("the template says something of its own when {trigger}");
            notes.find("SCAN-TPL-007", line(emission.span), message, [shown(emission.text.trim())]);
        }
    }
}

/// What a condition looks for, if it is words of the conversation or the date.
fn trigger(condition: &Condition) -> Option<String> {
    // Marks such as `<think>` are what templates ordinarily look for.
    let sought = condition.constants.iter().find(|text| {
        !text.starts_with(['<', '[', '%', '{'])
            && !matches!(
                text.as_str(),
                "content" | "text" | "role" | "type" | "image" | "audio" | "video" | "string"
            )
            && text.chars().filter(|letter| letter.is_alphanumeric()).count() >= 3
    });
    let sought = sought.filter(|_| !condition.negated)?;
    if condition.subjects.contains(&Subject::Content) {
        Some(format!("a message holds `{}`", shown(sought)))
    } else if condition.subjects.contains(&Subject::Time) {
        Some(format!("the date is `{}`", shown(sought)))
    } else {
        None
    }
}
