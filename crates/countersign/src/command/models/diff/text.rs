//! The report on a terminal.

use std::io::IsTerminal as _;

use tensor::delta::Rank;
use tensor::scope::Verdict;

use super::heat::Heat;
use super::put;
use super::report::{Report, ReportKind, Row, counted, digits, percent, ppm_text, ratio, shown};
use crate::text::line;

/// Blocks of rising height.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Colours of the 256 that rise with the blocks: from blue over green to red.
const COLOURS: [u8; 8] = [24, 31, 37, 71, 142, 178, 172, 160];
/// Most names listed of what was added, removed and so on.
const LISTED_MAX: usize = 8;

/// Whether colours are used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Coloured,
}

impl Paint {
    /// As standard output and `NO_COLOR` ask for.
    pub(super) fn of_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if std::io::stdout().is_terminal() && !refused { Self::Coloured } else { Self::Plain }
    }
}

/// The whole report.
pub(super) fn page(report: &Report, top: usize, paint: Paint) -> String {
    let mut text = String::new();
    line(&mut text, &format!("{}.", report.summary()));
    text.push('\n');
    head(&mut text, report);
    if !report.rows.is_empty() {
        heat(&mut text, report, paint);
        table(&mut text, report, top);
    }
    lists(&mut text, report);
    verdict(&mut text, report);
    text
}

fn head(text: &mut String, report: &Report) {
    line(text, &format!("  {:<11} {}", report.base_word(), shown(&report.base)));
    if let Some(candidate) = &report.candidate {
        line(text, &format!("  candidate   {}", shown(candidate)));
    }
    let what = match report.kind {
        ReportKind::Weights => "tensor",
        ReportKind::Adapter | ReportKind::Alone | ReportKind::Adapters => "module",
    };
    let mut counts =
        format!("  compared    {}: {} changed", counted(report.compared, what), report.rows.len());
    for (count, word) in [(report.identical, "identical"), (report.same_values, "of the same values")] {
        if count > 0 {
            put(&mut counts, format_args!(", {count} {word}"));
        }
    }
    line(text, &counts);
    if let Some((elements, changed)) = report.elements {
        line(text, &format!("  weights     {elements}: {changed} changed ({})", percent(changed, elements)));
    }
    if report.kind == ReportKind::Alone {
        line(
            text,
            "  without the base, sizes are absolute; name the base model first to see them relative to it",
        );
    }
}

fn heat(text: &mut String, report: &Report, paint: Paint) {
    let heat = Heat::of(report);
    let width = heat.rows.iter().map(|row| shown(&row.label).chars().count()).max().unwrap_or(0);
    let what = if report.is_relative() { "relative change" } else { "change by Frobenius norm" };
    line(text, &format!("\n{what}, by kind of module and layer"));
    let mut ruler = format!("  {:width$} ", "");
    for column in &heat.columns {
        ruler.push(match column {
            Some((first, _)) if first % 10 == 0 || heat.columns.len() == 1 => {
                char::from_digit(u32::try_from(first / 10 % 10).unwrap_or_default(), 10).unwrap_or(' ')
            }
            Some(_) => ' ',
            None => '-',
        });
    }
    if let (Some(Some((first, _))), Some(Some((_, last)))) =
        (heat.columns.first(), heat.columns.iter().rev().find(|column| column.is_some()))
    {
        put(&mut ruler, format_args!("   layers {first} to {last}"));
    }
    line(text, ruler.trim_end());
    for row in &heat.rows {
        put(text, format_args!("  {:<width$} ", shown(&row.label)));
        for cell in &row.cells {
            match cell {
                None => text.push('·'),
                Some(value) => block(text, heat.level(*value), paint),
            }
        }
        text.push('\n');
    }
    if let Some((least, most)) = heat.range {
        let of = |value: f64| if report.is_relative() { ratio(value) } else { digits(value) };
        let mut legend = format!("  {:width$} ", "");
        for (at, _) in BLOCKS.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "one of eight")]
            block(&mut legend, at as f64 / 7.0, paint);
        }
        line(text, &format!("{legend}   {} to {}, logarithmic", of(least), of(most)));
    }
    if heat.left_out > 0 {
        line(text, &format!("  {} that changed less not shown", counted(heat.left_out, "kind of module")));
    }
}

fn block(text: &mut String, level: f64, paint: Paint) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
    let at = (level * 7.0).round().clamp(0.0, 7.0) as usize;
    let block = BLOCKS.get(at).copied().unwrap_or('█');
    match (paint, COLOURS.get(at)) {
        (Paint::Coloured, Some(colour)) => {
            put(text, format_args!("\u{1b}[38;5;{colour}m{block}\u{1b}[0m"));
        }
        (Paint::Plain, _) | (_, None) => text.push(block),
    }
}

fn table(text: &mut String, report: &Report, top: usize) {
    line(text, "\n  relative       changed    rank      max|ΔW|  shape, type, tensor");
    for row in report.rows.iter().take(top) {
        let size = match (row.relative_ppm, row.relative) {
            (Some((ppm, _)), _) => ppm_text(ppm),
            (None, Some(relative)) => ratio(relative),
            (None, None) => format!("‖ΔW‖ {}", digits(row.frobenius)),
        };
        let changed = row.changed.map_or("-".to_owned(), |(all, changed)| percent(changed, all));
        let element = row.element.map_or("-".to_owned(), digits);
        let shape = row.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
        line(
            text,
            &format!(
                "  {size:<14} {changed:<10} {:<9} {element:<8}  {shape} {} {}",
                rank(row),
                row.types,
                shown(&row.name)
            ),
        );
    }
    if report.rows.len() > top {
        line(
            text,
            &format!("  and {} more; --top N shows more, --json and --html all", report.rows.len() - top),
        );
    }
}

/// The rank of a change, against what it could be.
pub(super) fn rank(row: &Row) -> String {
    match &row.spectrum {
        None => "-".to_owned(),
        Some(spectrum) => match spectrum.rank {
            Rank::Of(rank) => format!("{rank}/{}", spectrum.side),
            Rank::AtLeast(rank) => format!("≥{rank}/{}", spectrum.side),
        },
    }
}

fn lists(text: &mut String, report: &Report) {
    let dims = |shape: &[usize]| shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
    let plain = |names: &[String]| names.iter().map(|name| shown(name)).collect::<Vec<_>>();
    list(text, "added", &plain(&report.added));
    list(text, "removed", &plain(&report.removed));
    list(
        text,
        "of another shape",
        &report
            .reshaped
            .iter()
            .map(|(name, old, new)| format!("{} {} → {}", shown(name), dims(old), dims(new)))
            .collect::<Vec<_>>(),
    );
    list(
        text,
        "of another type",
        &report
            .retyped
            .iter()
            .map(|(name, old, new)| format!("{} {old} → {new}", shown(name)))
            .collect::<Vec<_>>(),
    );
    list(
        text,
        "not measured",
        &report
            .unmeasured
            .iter()
            .map(|(name, code, why)| format!("[{code}] {}: {}", shown(name), shown(why)))
            .collect::<Vec<_>>(),
    );
}

fn list(text: &mut String, what: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    line(text, &format!("\n{what}: {}", lines.len()));
    for entry in lines.iter().take(LISTED_MAX) {
        line(text, &format!("  {entry}"));
    }
    if lines.len() > LISTED_MAX {
        line(text, &format!("  and {} more", lines.len() - LISTED_MAX));
    }
}

fn verdict(text: &mut String, report: &Report) {
    let Some(scope) = &report.scope else { return };
    line(text, &format!("\nscope: {}", verdict_word(scope.within)));
    for violation in &scope.violations {
        line(text, &format!("  {violation}"));
    }
}

pub(super) const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Within => "within",
        Verdict::Outside => "outside",
        Verdict::Undecided => "undecided",
    }
}
