//! The plots of the page: a heat map, curves, a histogram. Strings alone; colours are classes of the page's style.

use super::heat::Heat;
use super::html::escaped;
use super::put;
use super::report::{Report, digits, ratio, shown};

/// Most curves in one plot.
const CURVES_MAX: usize = 8;

/// The heat map.
pub(super) fn heat(heat: &Heat, relative: bool) -> String {
    const CELL: usize = 18;
    const LABEL: usize = 6;
    const WIDTH: usize = 1_240;
    let labels = heat.rows.iter().map(|row| shown(&row.label).chars().count()).max().unwrap_or(0).min(48);
    let left = labels * 38 / 5 + 2 * LABEL;
    // As wide as the page has room for, within reason.
    let cell = (WIDTH.saturating_sub(left) / heat.columns.len().max(1)).clamp(CELL - 4, 2 * CELL + 8);
    let (width, height) = (left + heat.columns.len() * cell + 8, 24 + heat.rows.len() * CELL + 4);
    let mut svg = open("heat", width, height, "Heat map of changes: kinds of modules down, layers across");
    for (at, column) in heat.columns.iter().enumerate() {
        let every = heat.columns.len().div_ceil(24).max(1);
        if at % every != 0 && at + 1 != heat.columns.len() {
            continue;
        }
        let label = column.map_or("–".to_owned(), |(first, _)| first.to_string());
        let x = left + at * cell + cell / 2;
        put(&mut svg, format_args!("<text class=tick x={x} y=14 text-anchor=middle>{label}</text>"));
    }
    for (down, row) in heat.rows.iter().enumerate() {
        let y = 22 + down * CELL;
        let label: String = shown(&row.label).chars().take(48).collect();
        put(
            &mut svg,
            format_args!(
                "<text class=label x={} y={} text-anchor=end>{}</text>",
                left - LABEL,
                y + 13,
                escaped(&label)
            ),
        );
        for (across, (cell_value, column)) in row.cells.iter().zip(&heat.columns).enumerate() {
            let x = left + across * cell;
            let side = (cell - 2, CELL - 2);
            match cell_value {
                None => {
                    put(
                        &mut svg,
                        format_args!(
                            "<rect class=none x={x} y={y} width={} height={} rx=3 />",
                            side.0, side.1
                        ),
                    );
                }
                Some(value) => {
                    let place = match column {
                        None => String::new(),
                        Some((first, last)) if first == last => format!(", layer {first}"),
                        Some((first, last)) => format!(", layers {first} to {last}"),
                    };
                    let told = if relative { ratio(*value) } else { digits(*value) };
                    put(
                        &mut svg,
                        format_args!(
                            "<rect class=h{} x={x} y={y} width={} height={} rx=3><title>{}{place}: {told}</title></rect>",
                            class(heat.level(*value)),
                            side.0,
                            side.1,
                            escaped(&label)
                        ),
                    );
                }
            }
        }
    }
    svg.push_str("</svg>");
    svg
}

/// One of eight classes.
pub(super) fn class(level: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
    let class = (level * 7.0).round().clamp(0.0, 7.0) as usize;
    class
}

/// The spectra of the largest changes: singular values relative to the first, on a logarithmic scale.
#[expect(clippy::cast_precision_loss, reason = "to be drawn")]
pub(super) fn spectra(report: &Report) -> Option<String> {
    const DECADES: f64 = 6.0;
    let (left, right, top, bottom) = (44.0, 590.0, 12.0, 236.0);
    let rows = report.rows.iter().filter_map(|row| Some((row, row.spectrum.as_ref()?)));
    let rows: Vec<_> = rows
        .filter(|(_, spectrum)| spectrum.values.first().is_some_and(|most| *most > 0.0))
        .take(CURVES_MAX)
        .collect();
    let longest =
        rows.iter().map(|(_, spectrum)| spectrum.values.len()).max().filter(|longest| *longest > 1)?;
    let mut svg = open("spectra", 620, 270, "Singular values of the largest changes, relative to the first");
    for decade in 0..=6_i32 {
        let y = top + (bottom - top) * f64::from(decade) / DECADES;
        let label = if decade == 0 { "1".to_owned() } else { format!("1e-{decade}") };
        put(
            &mut svg,
            format_args!(
                "<line class=grid x1={left} y1={y:.1} x2={right} y2={y:.1} /><text class=tick x={} y={:.1} text-anchor=end>{label}</text>",
                left - 6.0,
                y + 4.0
            ),
        );
    }
    let x_of = |at: usize| left + (right - left) * at as f64 / (longest - 1) as f64;
    let step = longest.div_ceil(8).max(1);
    for at in (0..longest).step_by(step) {
        put(
            &mut svg,
            format_args!(
                "<text class=tick x={:.1} y={} text-anchor=middle>{}</text>",
                x_of(at),
                bottom + 18.0,
                at + 1
            ),
        );
    }
    for (number, (row, spectrum)) in rows.iter().enumerate() {
        let most = spectrum.values.first().copied().unwrap_or(1.0);
        let mut points = String::new();
        for (at, value) in spectrum.values.iter().enumerate() {
            let depth = if *value > 0.0 { -(value / most).log10() } else { DECADES };
            if depth > DECADES {
                break;
            }
            put(&mut points, format_args!("{:.1},{:.1} ", x_of(at), top + (bottom - top) * depth / DECADES));
        }
        put(
            &mut svg,
            format_args!(
                "<polyline class=\"curve c{number}\" points=\"{}\"><title>{}</title></polyline>",
                points.trim_end(),
                escaped(&shown(&row.name))
            ),
        );
    }
    put(
        &mut svg,
        format_args!(
            "<text class=tick x={} y=266 text-anchor=middle>direction</text></svg>",
            f64::midpoint(left, right)
        ),
    );
    let mut legend = "<ul class=legend>".to_owned();
    for (number, (row, _)) in rows.iter().enumerate() {
        put(
            &mut legend,
            format_args!("<li><i class=\"k c{number}\"></i>{}</li>", escaped(&shown(&row.name))),
        );
    }
    Some(format!("{svg}{legend}</ul>"))
}

/// How many differences there are of each size.
pub(super) fn magnitudes(report: &Report) -> Option<String> {
    let bars: Vec<(String, u64)> = match (report.magnitudes.first(), report.magnitudes.last()) {
        (Some((first, _)), Some((last, _))) => (*first..=*last)
            .step_by(2)
            .map(|low| {
                let count =
                    report.magnitudes.iter().find(|(at, _)| *at == low).map_or(0, |(_, count)| *count);
                (format!("2^{low}"), count)
            })
            .collect(),
        _ => return None,
    };
    Some(histogram("magnitudes", "How many weights changed by how much, |ΔW|", &bars))
}

/// How many tensors changed by how much, relative to what they were.
pub(super) fn changes(report: &Report) -> Option<String> {
    let values: Vec<f64> = report
        .rows
        .iter()
        .map(super::report::Row::weight)
        .filter(|value| *value > 0.0 && value.is_finite())
        .collect();
    let (least, most) =
        values.iter().copied().reduce(f64::min).zip(values.iter().copied().reduce(f64::max))?;
    // Three classes to a decade.
    #[expect(clippy::cast_possible_truncation, reason = "logarithms of f64 are small")]
    let class = |value: f64| (value.log10() * 3.0).floor() as i32;
    let bars: Vec<(String, u64)> = (class(least)..=class(most))
        .map(|at| {
            let low = 10.0_f64.powf(f64::from(at) / 3.0);
            let label = if report.is_relative() { ratio(low) } else { digits(low) };
            (label, values.iter().filter(|value| class(**value) == at).count() as u64)
        })
        .collect();
    let what = if report.is_relative() { "relative change" } else { "change by Frobenius norm" };
    Some(histogram("changes", &format!("How many tensors by {what}"), &bars))
}

#[expect(clippy::cast_precision_loss, reason = "to be drawn")]
fn histogram(id: &str, title: &str, bars: &[(String, u64)]) -> String {
    let (left, right, top, bottom) = (12.0, 608.0, 22.0, 176.0);
    let most = bars.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    let wide = (right - left) / bars.len().max(1) as f64;
    let every = bars.len().div_ceil(9).max(1);
    let mut svg = open(id, 620, 200, title);
    put(&mut svg, format_args!("<line class=axis x1={left} y1={bottom} x2={right} y2={bottom} />"));
    for (at, (label, count)) in bars.iter().enumerate() {
        let height = (bottom - top) * *count as f64 / most as f64;
        let height = if *count > 0 { height.max(1.5) } else { 0.0 };
        let x = left + at as f64 * wide;
        put(
            &mut svg,
            format_args!(
                "<rect class=bar x={:.1} y={:.1} width={:.1} height={height:.1}><title>from {label}: {count}</title></rect>",
                x + 1.0,
                bottom - height,
                (wide - 2.0).max(1.0)
            ),
        );
        if at % every == 0 {
            put(
                &mut svg,
                format_args!("<text class=tick x={:.1} y=192 text-anchor=start>{label}</text>", x + 1.0),
            );
        }
        if *count == most {
            put(
                &mut svg,
                format_args!(
                    "<text class=tick x={:.1} y=16 text-anchor=middle>{count}</text>",
                    (x + wide / 2.0).clamp(left + 30.0, right - 30.0)
                ),
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

fn open(id: &str, width: usize, height: usize, title: &str) -> String {
    format!(
        "<svg id={id} role=img aria-label=\"{}\" viewBox=\"0 0 {width} {height}\" width={width} height={height}>",
        escaped(title)
    )
}
