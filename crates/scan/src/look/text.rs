//! Texts: letters that nobody sees.

use super::notes::{Notes, shown};
use crate::finding::{Place, is_invisible};
use crate::report::Examined;

/// Reads a text.
pub(super) fn look(bytes: &[u8], notes: &mut Notes<'_>) -> Examined {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            invisible(text, notes, |_, line| Place::Line(line));
            Examined::Whole
        }
        Err(error) => {
            notes.find(
                "SCAN-FIL-009",
                Place::Byte(error.valid_up_to() as u64),
                "the text is not UTF-8".to_owned(),
                [],
            );
            notes.unexamined("what follows the bytes that are not UTF-8");
            Examined::Part
        }
    }
}

/// Looks for runs of letters that draw nothing. Single ones are ordinary: a mark at the file's beginning, a joiner in
/// an emoji or in a script that needs them.
pub(super) fn invisible(text: &str, notes: &mut Notes<'_>, place: impl Fn(usize, u64) -> Place) {
    // Every such letter begins with one of these bytes in UTF-8, and most texts have none of them.
    if text.is_ascii() {
        return;
    }
    let least = notes.rules.parameter("SCAN-FIL-010", "run_min");
    let (mut run, mut begin, mut line, mut hidden) = (0.0_f64, 0, 1_u64, String::new());
    let mut found = Vec::new();
    for (at, letter) in text.char_indices().chain([(text.len(), '\n')]) {
        if is_invisible(letter) {
            if run == 0.0 {
                begin = at;
            }
            run += 1.0;
            hidden.push(letter);
            continue;
        }
        let turns =
            hidden.contains(|letter| matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
        if run >= least || turns {
            found.push((begin, line, std::mem::take(&mut hidden)));
        }
        run = 0.0;
        hidden.clear();
        line += u64::from(letter == '\n');
    }
    for (at, line, hidden) in found {
        let mut evidence = vec![format!("byte {at}"), shown(&hidden)];
        // Tag letters repeat ASCII out of sight.
        let spelt: String = hidden
            .chars()
            .filter_map(|letter| char::from_u32(u32::from(letter).checked_sub(0xe_0000)?))
            .filter(|letter| matches!(letter, ' '..='~'))
            .collect();
        if !spelt.is_empty() {
            evidence.push(format!("spelt in tag letters: {}", shown(&spelt)));
        }
        let count = hidden.chars().count();
        notes.find(
            "SCAN-FIL-010",
            place(at, line),
            format!("{count} letters that nobody sees, or that turn the text around them"),
            evidence,
        );
    }
}
