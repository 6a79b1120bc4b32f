//! What follows from an examination: by its findings, and by how unusual its scores are among benign changes. The
//! judgement itself is crate [`calibration`]'s, which auditors share; here an examination is put into its terms.

use calibration::{Cell, Figure, Looked, Missed, Number, Ran, Why};
pub use calibration::{FORM, Judgement, Level, Outcome, Scores, Share, Stratum, Table, Usual};

use crate::coverage;
use crate::examination::{Examination, REFUSED_ALREADY, Stage, is_not_given, not_part};
use crate::finding::Weight;

/// The scores of an examination.
pub fn scores(examination: &Examination) -> Scores {
    examination.scores.iter().map(|score| (score.detector.clone(), (score.value, score.grain))).collect()
}

/// Judges a whole examination by a calibration, at level of significance `alpha`.
pub fn judge(examination: &Examination, table: Option<&Table>, alpha: f64) -> Judgement {
    calibration::judge(&looked(examination), Level::Align, table, alpha)
}

/// The findings that say that the suite was too small.
const UNDECIDED: [&str; 2] = ["drift-undecided", "lineage-undecided"];

/// Longest reason that is kept, in characters.
const WHY_MAX: usize = 1_000;
/// Most of each that are kept: one decides as well as all.
const KEPT_MAX: usize = 100;

/// What an examination came to.
pub fn looked(examination: &Examination) -> Looked {
    let not_part = examination.change_kind().map(not_part);
    let ran = |ran: &crate::examination::Ran| Ran {
        examiner: ran.examiner.clone(),
        missed: ran.missed.as_deref().map(|why| match why {
            why if Some(why) == not_part.as_deref() => Missed::NotPart,
            REFUSED_ALREADY => Missed::RefusedAlready,
            why if is_not_given(&ran.examiner, why) => Missed::NotGiven,
            _ => Missed::Unable,
        }),
    };
    let found = |test: &dyn Fn(&crate::finding::Finding) -> bool| -> Vec<Why> {
        let found = examination.findings.iter().filter(|found| test(found));
        found.take(KEPT_MAX).map(|found| why(&found.what, &found.text)).collect()
    };
    let figure = |score: &crate::finding::Score| Figure {
        detector: score.detector.clone(),
        value: Number(score.value),
    };
    // Those of examiners that are no part of the examination say nothing.
    let gaps = examination.gaps.iter().filter(|gap| Some(&gap.why) != not_part.as_ref());
    Looked {
        kind: examination.kind.clone(),
        unable: None,
        examiners: examination.examiners.iter().map(ran).collect(),
        refusals: found(&|found| found.weight == Weight::Refusal),
        undecided: found(&|found| UNDECIDED.contains(&found.what.as_str())),
        gaps: gaps.take(KEPT_MAX).map(|gap| why(&gap.examiner, &gap.why)).collect(),
        scores: examination.scores.iter().map(figure).collect(),
        compared: examination.behaviour.is_some(),
    }
}

fn why(what: &str, why: &str) -> Why {
    let cut = |text: &str| text.chars().take(WHY_MAX).collect();
    Why { what: cut(what), why: cut(why) }
}

/// Who looked for which class of attack in which layer.
pub fn coverage(examination: &Examination) -> Vec<Cell> {
    let cell = |cell: &coverage::Cell| Cell {
        class: cell.class.name().to_owned(),
        layer: cell.layer.name().to_owned(),
        by: match &cell.looked {
            coverage::Looked::For { by } => by.clone(),
            coverage::Looked::NotExamined { .. } => Vec::new(),
        },
    };
    examination.coverage.cells.iter().map(cell).collect()
}

/// The last stage of a level.
pub const fn last_stage(level: Level) -> Stage {
    match level {
        Level::Screen => Stage::Screen,
        Level::Probe => Stage::Probe,
        Level::Align => Stage::Align,
    }
}

#[cfg(test)]
mod tests;
