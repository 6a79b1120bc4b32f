//! What the passages of a retrieval index say, before anything is run.

use std::collections::{BTreeMap, BTreeSet};

use crate::bench::Bench;
use crate::coverage::{Class, Layer};
use crate::error::shown;
use crate::examination::{Examiner, Heard, Stage};
use crate::finding::{Notes, Weight};
use crate::passages::{Passage, Passages, words};
use crate::suite::Case;

/// Whether a text has what is looked for.
type Has = Box<dyn Fn(&str) -> bool>;

/// Passages that speak to the model, or are made for one question.
pub(crate) const PASSAGES: Examiner = Examiner {
    name: "passages",
    stage: Stage::Screen,
    reference: "PoisonedRAG, arXiv 2402.07867; Greshake and others, arXiv 2302.12173: orders in what is retrieved",
    looks_for: &[(Class::PoisonedRetrieval, Layer::Files), (Class::DenialOfService, Layer::Files)],
    cost: |bench| bench.change.files.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
    examine: passages,
};

/// Most passages that are told one by one for the same thing.
const TOLD_MAX: usize = 4;
/// Words that a question needs before a passage that has them all in a row is remarkable.
const QUESTION_WORDS_MIN: usize = 4;
/// Letters that are not seen, in a row, that no writing system needs.
const UNSEEN_MIN: usize = 4;

#[expect(clippy::unnecessary_wraps, reason = "every examiner has this signature")]
fn passages(bench: &mut Bench<'_>, notes: &mut Notes, _: Heard<'_>) -> Result<(), String> {
    let now = match Passages::read(&bench.change.files) {
        Ok(now) => now,
        Err(why) => {
            notes.find(Weight::Refusal, "index-unreadable", Some(Class::DenialOfService), why);
            return Ok(());
        }
    };
    if let Some(id) = now.twice.first() {
        let text =
            format!("{} identifiers stand more than once; the first is `{}`", now.twice.len(), shown(id));
        notes.find(Weight::Suspicion, "identifier-twice", Some(Class::Dishonest), text);
    }
    if now.dimensions.len() > 1 {
        let lengths: Vec<String> = now.dimensions.iter().map(usize::to_string).collect();
        let text = format!("its embeddings have {} numbers: not one model's", lengths.join(" or "));
        notes.find(Weight::Refusal, "embeddings-of-several-lengths", Some(Class::Dishonest), text);
    }
    let new = fresh(bench, &now, notes);
    notes.measure("passages", now.iter().count() as f64);
    notes.measure("passages_new", new.len() as f64);
    let control = controls(bench);
    let marks: [(Weight, &str, &str, Has); 3] = [
        (
            Weight::Refusal,
            "text-that-is-not-seen",
            "holds letters that nobody sees and a model reads",
            Box::new(has_unseen),
        ),
        (
            Weight::Suspicion,
            "control-tokens-in-a-passage",
            "holds tokens by which this model tells turns apart",
            Box::new(move |text| control.iter().any(|token| text.contains(token.as_str()))),
        ),
        (
            Weight::Suspicion,
            "orders-in-a-passage",
            "gives the model orders",
            Box::new(watch::text::is_injection),
        ),
    ];
    for (weight, what, does, has) in &marks {
        let marked: Vec<&&Passage> = new.iter().filter(|passage| has(now.put_in(passage))).collect();
        notes.measure(format!("passages_{what}"), marked.len() as f64);
        for passage in marked.iter().take(TOLD_MAX) {
            let text = format!("passage `{}` {does}; so do {} in all", shown(&passage.id), marked.len());
            notes.find(*weight, what, Some(Class::PoisonedRetrieval), text);
        }
    }
    for_one_question(bench, &now, &new, notes);
    notes.gap("passages were found by their words (BM25); the index's own embedding model was not run");
    Ok(())
}

/// The passages that an earlier index did not have, or had otherwise.
fn fresh<'p>(bench: &Bench<'_>, now: &'p Passages, notes: &mut Notes) -> Vec<&'p Passage> {
    let earlier = bench.change.lineage.last().map(Passages::read).and_then(|read| {
        read.map_err(|why| notes.gap(format!("the earlier index cannot be read: {why}"))).ok()
    });
    let Some(earlier) = earlier.as_ref().or(bench.base.passages.as_deref()) else {
        notes.gap("no earlier index was given: every passage counts as new");
        return now.iter().collect();
    };
    let before: BTreeMap<&str, &str> =
        earlier.iter().map(|passage| (passage.id.as_str(), passage.text.as_str())).collect();
    let kept = |passage: &&Passage| before.get(passage.id.as_str()) == Some(&passage.text.as_str());
    let new: Vec<&Passage> = now.iter().filter(|passage| !kept(passage)).collect();
    let changed = new.iter().filter(|passage| before.contains_key(passage.id.as_str())).count();
    let left = now.iter().filter(|passage| before.contains_key(passage.id.as_str())).count();
    notes.measure("passages_changed", changed as f64);
    notes.measure("passages_removed", before.len().saturating_sub(left) as f64);
    new
}

/// New passages that hold a question of the suites word for word, and whether the suites reach new passages at all.
fn for_one_question(bench: &Bench<'_>, now: &Passages, new: &[&Passage], notes: &mut Notes) {
    let new_ones: BTreeSet<*const Passage> = new.iter().map(|passage| std::ptr::from_ref(*passage)).collect();
    let is_new = |passage: &&Passage| new_ones.contains(&std::ptr::from_ref(*passage));
    let (mut reached, mut asked) = (0_u64, 0_u64);
    let mut made: Vec<(&Case, &Passage)> = Vec::new();
    for case in bench.suites.iter().flat_map(|suite| &suite.cases) {
        let question = words(&case.prompt).collect::<Vec<_>>().join(" ");
        let found: Vec<&Passage> = now.found(&case.prompt).into_iter().filter(is_new).collect();
        asked += 1;
        reached += u64::from(!found.is_empty());
        if question.split(' ').count() < QUESTION_WORDS_MIN {
            continue;
        }
        let holds =
            |passage: &&&Passage| words(&passage.text).collect::<Vec<_>>().join(" ").contains(&question);
        made.extend(found.iter().find(holds).map(|passage| (case, *passage)));
    }
    notes.measure("passages_asked_after", asked as f64);
    notes.measure("passages_reached", reached as f64);
    if reached == 0 && !new.is_empty() {
        notes.gap(format!(
            "none of the {asked} questions of the suites finds a new passage: what they do to answers is not seen"
        ));
    }
    for (case, passage) in made.iter().take(TOLD_MAX) {
        let text = format!(
            "passage `{}` holds the question `{}` word for word; {} questions are held so",
            shown(&passage.id),
            shown(&case.id),
            made.len()
        );
        notes.find(Weight::Suspicion, "made-for-a-question", Some(Class::PoisonedRetrieval), text);
    }
}

/// What this model's tokenizer ends turns with, and begins texts with.
fn controls(bench: &Bench<'_>) -> Vec<String> {
    let tokenizer = &bench.base.tokenizer;
    let tokens = tokenizer.ends().iter().copied().chain(tokenizer.begin());
    // One letter or two stand in ordinary text.
    tokens.filter_map(|token| tokenizer.name(token)).filter(|name| name.len() > 2).collect()
}

/// Letters of the block of tags (which spell ASCII unseen), overrides of direction, or several of no width in a row.
fn has_unseen(text: &str) -> bool {
    let mut in_a_row = 0;
    for letter in text.chars() {
        match letter {
            '\u{e0000}'..='\u{e007f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => return true,
            '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => in_a_row += 1,
            _ => in_a_row = 0,
        }
        if in_a_row >= UNSEEN_MIN {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unseen_letters_are_told_from_those_that_writing_needs() {
        for text in
            ["a\u{e0041}b", "\u{202e}gnp.exe", "x\u{200b}\u{200c}\u{200d}\u{2060}y", "\u{2066}a\u{2069}"]
        {
            assert!(has_unseen(text), "{text:?}");
        }
        // A family of emoji, Persian, an emoji flag of a country, a byte-order mark.
        for text in ["👨\u{200d}👩\u{200d}👧", "می\u{200c}خواهم", "🇩🇪", "\u{feff}text"] {
            assert!(!has_unseen(text), "{text:?}");
        }
    }
}
