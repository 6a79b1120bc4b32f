//! The check of a prompt.
//!
//! Sections are found by bytes alone: a line begins after `\n` or at the start of the text, and a line that begins
//! with `## ` begins a section. Since a model, or a person, may see a heading where this rule does not (`# Title`,
//! an indented `## Safety`, a line underlined with dashes), changed sections may not introduce such lines; nor
//! characters that a person would not see.

use std::collections::{BTreeMap, BTreeSet};

use super::report::{Gathered, Rule, ScopeReport};
use super::{PromptScope, Scope};

/// Checks a new prompt against the old one.
///
/// The texts of sections that may change are not judged: that an allowed section does not contradict a fixed one
/// is for the examiners.
pub fn check_prompt(scope: &Scope, old: &str, new: &str) -> ScopeReport {
    let mut gathered = Gathered::default();
    gathered.count("length_bytes", new.len() as u64);
    let Some(allowed) = &scope.prompt else {
        gathered.violate(Rule::KindNotInScope, "prompt", 1, 0);
        return gathered.report();
    };
    if new.len() as u64 > allowed.length_max_bytes {
        gathered.violate(Rule::PromptTooLong, "", new.len() as u64, allowed.length_max_bytes);
    }
    let (old, new) = (sections(old), sections(new));
    let (old_by_name, new_by_name) = (by_name(&old, &mut gathered), by_name(&new, &mut gathered));
    let names: BTreeSet<&str> = old_by_name.keys().chain(new_by_name.keys()).copied().collect();
    let may_change = |name: &str| {
        let named = |list: &[String]| list.iter().any(|listed| listed == name);
        named(&allowed.sections) && !named(&allowed.sections_fixed)
    };
    gathered.count("sections", new.len() as u64);
    gathered.count("sections_changed", 0);
    for name in names {
        let (before, after) = (old_by_name.get(name), new_by_name.get(name));
        if before == after {
            continue;
        }
        gathered.count("sections_changed", 1);
        if !may_change(name) {
            let rule = match (before, after) {
                (None, _) => Rule::SectionAdded,
                (_, None) => Rule::SectionRemoved,
                _ => Rule::SectionChanged,
            };
            gathered.violate(rule, name, 1, 0);
        }
        if let Some(after) = after {
            check_new_text(name, before.copied().unwrap_or_default(), after, &mut gathered);
        }
    }
    check_order(&old, &new, &may_change, &mut gathered);
    check_fixed(allowed, &old_by_name, &new_by_name, &mut gathered);
    gathered.report()
}

/// A section: its name, and its text, heading included, without what parts it from the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Section<'a> {
    name: &'a str,
    text: &'a str,
}

fn sections(prompt: &str) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    let (mut begin, mut at, mut name) = (0, 0, "");
    for line in prompt.split_inclusive('\n') {
        if let Some(heading) = line.strip_prefix("## ") {
            if at > begin {
                sections.push(Section { name, text: settled(prompt.get(begin..at).unwrap_or_default()) });
            }
            begin = at;
            name = heading.trim_matches([' ', '\t', '\r', '\n']);
        }
        at += line.len();
    }
    if at > begin {
        sections.push(Section { name, text: settled(prompt.get(begin..at).unwrap_or_default()) });
    }
    sections
}

/// A section's text without the end of its last line and one blank line after it: these part it from the next heading,
/// and come and go with that. Further blank lines are the section's own.
fn settled(text: &str) -> &str {
    let less_one = |text: &str| -> Option<usize> {
        let rest = text.strip_suffix('\n')?;
        Some(rest.strip_suffix('\r').unwrap_or(rest).len())
    };
    let mut settled = text;
    for _ in 0..2 {
        settled = less_one(settled).and_then(|end| settled.get(..end)).unwrap_or(settled);
    }
    settled
}

fn by_name<'a>(sections: &[Section<'a>], gathered: &mut Gathered) -> BTreeMap<&'a str, &'a str> {
    let mut map = BTreeMap::new();
    for section in sections {
        if map.insert(section.name, section.text).is_some() {
            gathered.violate(Rule::SectionTwice, section.name, 2, 1);
        }
    }
    map
}

/// Sections in both prompts follow each other as they did. A section that may change may also be moved by itself.
fn check_order(
    old: &[Section<'_>],
    new: &[Section<'_>],
    may_change: &impl Fn(&str) -> bool,
    gathered: &mut Gathered,
) {
    let in_new: BTreeSet<&str> = new.iter().map(|section| section.name).collect();
    let in_old: BTreeSet<&str> = old.iter().map(|section| section.name).collect();
    let stay = |section: &&Section<'_>, other: &BTreeSet<&str>| {
        !may_change(section.name) && other.contains(section.name)
    };
    let before = old.iter().filter(|section| stay(section, &in_new)).map(|section| section.name);
    let after = new.iter().filter(|section| stay(section, &in_old)).map(|section| section.name);
    if let Some((_, moved)) = before.zip(after).find(|(before, after)| before != after) {
        gathered.violate(Rule::SectionsMoved, moved, 1, 0);
    }
}

fn check_fixed(
    allowed: &PromptScope,
    old: &BTreeMap<&str, &str>,
    new: &BTreeMap<&str, &str>,
    gathered: &mut Gathered,
) {
    for name in &allowed.sections_fixed {
        // Changed and removed ones are violations already; what is left is one that never stood.
        if !old.contains_key(name.as_str()) || !new.contains_key(name.as_str()) {
            gathered.violate(Rule::SectionFixedMissing, name, 0, 1);
        }
    }
}

/// A changed section may not bring in lines that look like headings, nor hidden characters.
fn check_new_text(name: &str, before: &str, after: &str, gathered: &mut Gathered) {
    let known: BTreeSet<&str> = lookalikes(before).collect();
    let lookalikes = lookalikes(after).filter(|line| !known.contains(line)).count();
    if lookalikes > 0 {
        gathered.violate(Rule::LookalikeHeading, name, lookalikes as u64, 0);
    }
    let known: BTreeSet<char> = hidden(before).collect();
    let hidden = hidden(after).filter(|character| !known.contains(character)).count();
    if hidden > 0 {
        gathered.violate(Rule::HiddenCharacter, name, hidden as u64, 0);
    }
}

/// Lines that Markdown, HTML or a person may read as a heading of the first or second level, other than those
/// that begin a section: `#` or `##` after or before other white space than a section's heading has, full-width
/// number signs, an underline of `=` or `-`, `<h1>` and `<h2>`.
fn lookalikes(text: &str) -> impl Iterator<Item = &str> {
    let mut previous_is_text = false;
    text.lines().filter(move |line| {
        let bare = line.trim();
        let underline = previous_is_text
            && !bare.is_empty()
            && (bare.bytes().all(|byte| byte == b'=') || bare.bytes().all(|byte| byte == b'-'));
        previous_is_text = !bare.is_empty();
        let bare = bare.trim_start_matches(['>', '-', '*', '+', ' ', '\t']);
        let after_signs = bare.trim_start_matches(['#', '\u{FF03}', '\u{FE5F}']);
        let signs = bare.chars().count() - after_signs.chars().count();
        let heading = (1..=2).contains(&signs) && !line.starts_with("## ");
        let lower = bare.get(..3).map(str::to_ascii_lowercase);
        underline || heading || matches!(lower.as_deref(), Some("<h1" | "<h2"))
    })
}

/// Characters that are not seen, or change how others are shown: controls other than tab and line ends, zero-width
/// and direction marks, line and paragraph separators, variation selectors and tags.
fn hidden(text: &str) -> impl Iterator<Item = char> {
    let mut characters = text.chars().peekable();
    std::iter::from_fn(move || {
        let character = characters.next()?;
        Some((character, characters.peek().copied()))
    })
    .filter(|&(character, next)| match character {
        '\n' | '\t' => false,
        '\r' => next != Some('\n'),
        '\u{AD}'
        | '\u{34F}'
        | '\u{61C}'
        | '\u{115F}'
        | '\u{1160}'
        | '\u{17B4}'
        | '\u{17B5}'
        | '\u{3164}'
        | '\u{FEFF}'
        | '\u{FFA0}'
        | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}' => true,
        other => other.is_control(),
    })
    .map(|(character, _)| character)
}
