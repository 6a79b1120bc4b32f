//! The report as one page that needs nothing else: no script, no font, no picture from elsewhere.
//!
//! Names come from strangers' files. Every one is shortened, has its control and direction characters escaped, and then its
//! markup ([`escaped`]); the page's own policy forbids scripts and everything from outside as well.

use tensor::scope::Verdict;

use super::heat::Heat;
use super::put;
use super::report::{Report, ReportKind, counted, digits, percent, ppm_text, ratio, shown};
use super::svg;
use super::text::{rank, verdict_word};

/// Most rows of the table, and entries of a list.
const ROWS_MAX: usize = 1_000;

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n\
         <meta name=color-scheme content=\"light dark\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escaped(&title(report))
    );
    header(&mut page, report);
    figures(&mut page, report);
    if !report.rows.is_empty() {
        plots(&mut page, report);
        table(&mut page, report);
    }
    lists(&mut page, report);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn title(report: &Report) -> String {
    match &report.candidate {
        Some(candidate) => format!("{} against {}", shown(candidate), shown(&report.base)),
        None => shown(&report.base),
    }
}

fn header(page: &mut String, report: &Report) {
    let kind = match report.kind {
        ReportKind::Weights => "Two models",
        ReportKind::Adapter => "An adapter and its base",
        ReportKind::Alone => "An adapter by itself",
        ReportKind::Adapters => "Two adapters",
    };
    put(
        page,
        format_args!(
            "<header>\n<p class=kind>{kind}</p>\n<h1>{}.</h1>\n<dl class=sides>",
            escaped(&report.summary())
        ),
    );
    put(page, format_args!("<dt>{}</dt><dd>{}</dd>", report.base_word(), escaped(&shown(&report.base))));
    if let Some(candidate) = &report.candidate {
        put(page, format_args!("<dt>candidate</dt><dd>{}</dd>", escaped(&shown(candidate))));
    }
    page.push_str("</dl>\n");
    if let Some(scope) = &report.scope {
        let class = match scope.within {
            Verdict::Within => "good",
            Verdict::Undecided => "unsure",
            Verdict::Outside => "bad",
        };
        put(page, format_args!("<p class=\"verdict {class}\">Scope: {}</p>\n", verdict_word(scope.within)));
        if !scope.violations.is_empty() {
            page.push_str("<ul class=violations>");
            for violation in &scope.violations {
                put(page, format_args!("<li>{}</li>", escaped(&violation.to_string())));
            }
            page.push_str("</ul>\n");
        }
    }
    page.push_str("</header>\n");
}

fn figures(page: &mut String, report: &Report) {
    let what = if report.kind == ReportKind::Weights { "tensor" } else { "module" };
    let mut figures = vec![
        (counted(report.compared, what), "compared".to_owned()),
        (report.rows.len().to_string(), "changed".to_owned()),
        (report.identical.to_string(), "identical".to_owned()),
    ];
    if report.same_values > 0 {
        figures.push((report.same_values.to_string(), "same values, other type or encoding".to_owned()));
    }
    if let Some((all, changed)) = report.elements {
        figures.push((percent(changed, all), format!("of {all} weights changed")));
    }
    if let Some(first) = report.rows.first() {
        let (value, what) = match (first.relative_ppm, first.relative) {
            (Some((ppm, _)), _) => (ppm_text(ppm), "largest relative change"),
            (None, Some(relative)) => (ratio(relative), "largest relative change"),
            (None, None) => (digits(first.frobenius), "largest ‖ΔW‖, without a base to compare with"),
        };
        figures.push((value, what.to_owned()));
    }
    page.push_str("<section class=figures aria-label=\"Figures\">");
    for (value, what) in figures {
        put(page, format_args!("<div><b>{value}</b><span>{what}</span></div>"));
    }
    page.push_str("</section>\n");
}

fn plots(page: &mut String, report: &Report) {
    let heat = Heat::of(report);
    let relative = report.is_relative();
    let what = if relative { "relative change" } else { "change by Frobenius norm" };
    put(
        page,
        format_args!(
            "<section>\n<h2>Where</h2>\n<p>The {what} by kind of module and layer.</p>\n<div class=scroll>{}</div>\n",
            svg::heat(&heat, relative)
        ),
    );
    if let Some((least, most)) = heat.range {
        let of = |value: f64| if relative { ratio(value) } else { digits(value) };
        let scale = ["h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7"]
            .map(|class| format!("<i class=\"k {class}\"></i>"))
            .concat();
        put(
            page,
            format_args!(
                "<p class=scale>{} {scale} {} <small>logarithmic</small></p>\n",
                of(least),
                of(most)
            ),
        );
    }
    if heat.left_out > 0 {
        put(
            page,
            format_args!(
                "<p>{} that changed less are not drawn.</p>\n",
                counted(heat.left_out, "kind of module")
            ),
        );
    }
    page.push_str("</section>\n<div class=pair>\n");
    if let Some(spectra) = svg::spectra(report) {
        put(
            page,
            format_args!(
                "<section>\n<h2>Along how many directions</h2>\n<p>Singular values of the largest changes, relative to the \
             first. A merged low-rank adapter falls off a cliff after its rank.</p>\n<div class=scroll>{spectra}</div>\n</section>\n"
            ),
        );
    }
    page.push_str("<section>\n<h2>How far</h2>\n");
    let by_change = match report.kind {
        ReportKind::Weights => "Tensors, by how far they changed.",
        ReportKind::Adapter | ReportKind::Alone | ReportKind::Adapters => "Modules, by how far they change.",
    };
    for (caption, plot) in [(by_change, svg::changes(report)), ("Weights, by |ΔW|.", svg::magnitudes(report))]
    {
        if let Some(plot) = plot {
            put(page, format_args!("<p>{caption}</p>\n<div class=scroll>{plot}</div>\n"));
        }
    }
    page.push_str("</section>\n</div>\n");
}

fn table(page: &mut String, report: &Report) {
    let first = if report.is_relative() { "relative change" } else { "‖ΔW‖" };
    put(
        page,
        format_args!(
            "<section>\n<h2>What</h2>\n<div class=scroll><table>\n<caption>Changed tensors, the largest change first\
         </caption>\n<thead><tr><th scope=col>tensor<th scope=col class=n>{first}<th scope=col class=n>largest element\
         <th scope=col class=n>changed<th scope=col class=n>rank<th scope=col>shape<th scope=col>type</tr></thead>\n<tbody>\n"
        ),
    );
    for row in report.rows.iter().take(ROWS_MAX) {
        let size = match (row.relative_ppm, row.relative) {
            (Some((ppm, _)), _) => ppm_text(ppm),
            (None, Some(relative)) => ratio(relative),
            (None, None) => digits(row.frobenius),
        };
        let element = match (row.relative_ppm, row.element) {
            (Some((_, ppm)), _) => ppm_text(ppm),
            (None, Some(element)) => digits(element),
            (None, None) => "–".to_owned(),
        };
        let changed = row.changed.map_or("–".to_owned(), |(all, changed)| percent(changed, all));
        let shape = row.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ");
        put(
            page,
            format_args!(
                "<tr><th scope=row>{}<td class=n>{size}<td class=n>{element}<td class=n>{changed}<td class=n>{}<td>{shape}<td>{}</tr>\n",
                escaped(&shown(&row.name)),
                rank(row),
                escaped(&row.types)
            ),
        );
    }
    page.push_str("</tbody>\n</table></div>\n");
    if report.rows.len() > ROWS_MAX {
        put(page, format_args!("<p>{} more are not listed.</p>\n", report.rows.len() - ROWS_MAX));
    }
    page.push_str("</section>\n");
}

fn lists(page: &mut String, report: &Report) {
    let plain = |names: &[String]| names.iter().take(ROWS_MAX).map(|name| shown(name)).collect::<Vec<_>>();
    let lists = [
        ("Added", report.added.len(), plain(&report.added)),
        ("Removed", report.removed.len(), plain(&report.removed)),
        (
            "Of another shape",
            report.reshaped.len(),
            report
                .reshaped
                .iter()
                .take(ROWS_MAX)
                .map(|(name, old, new)| format!("{}: {old:?} → {new:?}", shown(name)))
                .collect(),
        ),
        (
            "Of another type",
            report.retyped.len(),
            report
                .retyped
                .iter()
                .take(ROWS_MAX)
                .map(|(name, old, new)| format!("{}: {old} → {new}", shown(name)))
                .collect(),
        ),
        (
            "Not measured",
            report.unmeasured.len(),
            report
                .unmeasured
                .iter()
                .take(ROWS_MAX)
                .map(|(name, code, why)| format!("[{code}] {}: {}", shown(name), shown(why)))
                .collect(),
        ),
    ];
    for (what, count, entries) in lists {
        if count == 0 {
            continue;
        }
        put(
            page,
            format_args!(
                "<section>\n<details{}><summary>{what}: {count}</summary>\n<ul>",
                if count <= 20 { " open" } else { "" }
            ),
        );
        for entry in &entries {
            put(page, format_args!("<li>{}</li>", escaped(entry)));
        }
        page.push_str("</ul>\n");
        if count > entries.len() {
            put(page, format_args!("<p>{} more are not listed.</p>\n", count - entries.len()));
        }
        page.push_str("</details>\n</section>\n");
    }
}

/// Text that stays text, between tags and in quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Light and dark, on screen and on paper. The eight colours of the heat map differ in lightness, so that they stay in order
/// for those who do not see colours, and in grey print.
const STYLE: &str = include_str!("page.css");
