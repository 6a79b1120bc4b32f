//! The report: one page for a terminal, and one for a browser that needs nothing else.
//!
//! Names and answers come from strangers; what would draw nothing or turn text around is escaped, and markup after that.

pub mod html;
pub mod text;

use crate::coverage::Looked;
use crate::examination::{Examination, Place};

/// How the examination was kept from the rest of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// In the program itself.
    Unboxed,
    /// In a worker's box.
    Boxed,
}

impl Isolation {
    const fn words(self) -> &'static str {
        match self {
            Self::Unboxed => {
                "the change was read and run unboxed, inside the program, because that was asked for"
            }
            Self::Boxed => "the change was read and run in a worker's box",
        }
    }
}

/// What stands over a report.
#[derive(Debug, Clone)]
pub struct Heading {
    /// The change.
    pub change: String,
    /// Its base.
    pub base: String,
    /// How it was kept apart.
    pub isolation: Isolation,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Strangers' text in one line.
fn line(text: &str) -> String {
    const SHOWN_MAX: usize = 400;
    let mut out = String::new();
    for letter in text.chars().take(SHOWN_MAX) {
        match letter {
            '\n' => out.push_str("\\n"),
            letter if letter.is_control() || is_turning(letter) => out.extend(letter.escape_unicode()),
            letter => out.push(letter),
        }
    }
    if text.chars().nth(SHOWN_MAX).is_some() {
        out.push('\u{2026}');
    }
    out
}

const fn is_turning(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn percent(part: u64, of: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / of.max(1) as f64)
}

/// The parts of the model by kind of module, each with its layers in order.
fn heat(examination: &Examination) -> Vec<(&str, Vec<&Place>)> {
    let mut rows: Vec<(&str, Vec<&Place>)> = Vec::new();
    for place in &examination.heat {
        match rows.iter_mut().find(|(family, _)| *family == place.family) {
            Some((_, places)) => places.push(place),
            None => rows.push((&place.family, vec![place])),
        }
    }
    for (_, places) in &mut rows {
        places.sort_by_key(|place| place.layer);
    }
    rows
}

/// What was not looked for anywhere, with why.
fn unseen(examination: &Examination) -> Vec<String> {
    let mut lines = Vec::new();
    for class in crate::coverage::Class::ALL {
        if examination.coverage.looked_for(class) {
            continue;
        }
        let why = examination.coverage.cells.iter().find_map(|cell| match &cell.looked {
            Looked::NotExamined { why } if cell.class == class && why.contains(": ") => Some(why.as_str()),
            _ => None,
        });
        let why = why.unwrap_or("no examiner looks for it");
        lines.push(format!("{} ({}): {}", class.name(), class.atlas(), line(why)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examination::Transcript;
    use crate::finding::{Finding, Gap, Weight};
    use crate::verdict::judge;

    #[test]
    fn nothing_that_a_worker_says_draws_on_the_terminal() {
        const CLEAR: &str = "\u{1b}[2Jcleared\u{202e}";
        let said = || CLEAR.to_owned();
        let examination = Examination {
            findings: vec![Finding {
                examiner: "files".to_owned(),
                what: said(),
                weight: Weight::Refusal,
                class: None,
                text: said(),
            }],
            gaps: vec![Gap { examiner: "suite".to_owned(), why: said() }],
            transcripts: vec![Transcript {
                case: said(),
                why: said(),
                prompt: said(),
                base: said(),
                candidate: said(),
                base_logprob: 0.0,
            }],
            ..Examination::default()
        };
        let judgement = judge(&examination, None, 0.01);
        let heading = Heading { change: said(), base: said(), isolation: Isolation::Boxed, seconds: 1.0 };
        for page in
            [text::page(&heading, &examination, &judgement), html::page(&heading, &examination, &judgement)]
        {
            assert!(page.contains("cleared"));
            assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'), "{page}");
        }
    }
}
