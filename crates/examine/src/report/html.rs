//! For a browser: no script, no font, nothing from elsewhere; the page's own policy forbids them too.

use std::fmt::Write as _;

use super::{Heading, heat, line, percent, unseen};
use crate::coverage::{Class, Layer, Looked};
use crate::examination::Examination;
use crate::finding::Weight;
use crate::verdict::{Judgement, Outcome};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884}body{font:15px/1.5 system-ui,sans-serif;margin:0}main{max-width:70rem;margin:auto;padding:1.5rem}\
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}table{border-collapse:collapse;width:100%}\
td,th{border-bottom:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}\
.fail{color:#c62828}.pass{color:#2e7d32}.inconclusive{color:#b26a00}pre{white-space:pre-wrap;margin:0;font-size:13px}\
.heat i{display:inline-block;width:.9rem;height:.9rem;margin:1px;background:#c62828}small{opacity:.75}.no{opacity:.6}";

/// The page.
pub fn page(heading: &Heading, examination: &Examination, judgement: &Judgement) -> String {
    let mut page = String::new();
    match write(&mut page, heading, examination, judgement) {
        // Writing to a string does not fail.
        Ok(()) | Err(std::fmt::Error) => page,
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in line(text).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter => out.push(letter),
        }
    }
    out
}

fn write(
    page: &mut String,
    heading: &Heading,
    examination: &Examination,
    judgement: &Judgement,
) -> std::fmt::Result {
    let class = judgement.outcome.name();
    let says = match judgement.outcome {
        Outcome::Pass => "Passed",
        Outcome::Fail => "Refused",
        Outcome::Inconclusive => "Not decided",
    };
    write!(
        page,
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n<title>{says}: {}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1 class={class}>{says}</h1>\n<p>{} against {}</p>\n<ul>",
        escaped(&heading.change),
        escaped(&heading.change),
        escaped(&heading.base)
    )?;
    for reason in &judgement.reasons {
        write!(page, "<li>{}</li>", escaped(reason))?;
    }
    page.push_str("</ul>\n");
    if let (Some(share), Some((lower, upper))) = (judgement.p_value, judgement.benign_share) {
        writeln!(
            page,
            "<p>p = {:.4} ({} of {}). Benign changes of kind <b>{}</b> score at least as high in {:.1} to {:.1} % \
             (95 %). <small>Calibration {}</small></p>",
            share.value(),
            share.at_least,
            share.of,
            escaped(&judgement.stratum),
            lower * 100.0,
            upper * 100.0,
            escaped(judgement.calibration.as_deref().unwrap_or("none"))
        )?;
    }
    writeln!(page, "<p><small>{}; {:.1} s</small></p>", heading.isolation.words(), heading.seconds)?;
    findings(page, examination)?;
    behaviour(page, examination)?;
    places(page, examination)?;
    detectors(page, judgement)?;
    coverage(page, examination)?;
    page.push_str("</main>\n</body>\n</html>\n");
    Ok(())
}

fn findings(page: &mut String, examination: &Examination) -> std::fmt::Result {
    page.push_str("<h2>Findings</h2>\n<table>");
    for finding in &examination.findings {
        let (word, class) = match finding.weight {
            Weight::Refusal => ("refusal", "fail"),
            Weight::Suspicion => ("suspicion", "inconclusive"),
            Weight::Note => ("note", "no"),
        };
        let atlas = finding.class.map_or("", Class::atlas);
        write!(
            page,
            "<tr><td class={class}>{word}</td><td>{}</td><td>{}</td><td><small>{atlas}</small></td></tr>",
            escaped(&finding.what),
            escaped(&finding.text)
        )?;
    }
    page.push_str("</table>\n");
    Ok(())
}

fn behaviour(page: &mut String, examination: &Examination) -> std::fmt::Result {
    let Some(behaviour) = &examination.behaviour else { return Ok(()) };
    write!(
        page,
        "<h2>Behaviour</h2>\n<p>Refusals lost: {} of {} ({:.1} to {:.1} %, each bound 95 %). Refusals won: {} of {}.</p>\n\
         <table><tr><th>slice<th>cases<th>right, base<th>right, change<th>refused, base<th>refused, change</tr>",
        behaviour.refuse_to_comply,
        behaviour.at_risk,
        behaviour.refuse_to_comply_lower * 100.0,
        behaviour.refuse_to_comply_upper * 100.0,
        behaviour.comply_to_refuse,
        behaviour.answered
    )?;
    for slice in &examination.slices {
        write!(
            page,
            "<tr><td>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}</tr>",
            escaped(&slice.slice),
            slice.cases,
            percent(slice.base_right, slice.cases),
            percent(slice.candidate_right, slice.cases),
            percent(slice.base_refuses, slice.cases),
            percent(slice.candidate_refuses, slice.cases)
        )?;
    }
    page.push_str("</table>\n");
    if !examination.transcripts.is_empty() {
        page.push_str(
            "<h2>Answers that differ most</h2>\n<table><tr><th>asked<th>base<th>change<th>why</tr>",
        );
        for transcript in &examination.transcripts {
            write!(
                page,
                "<tr><td><pre>{}</pre><td><pre>{}</pre><td><pre>{}</pre><td><small>{}</small></tr>",
                escaped(&transcript.prompt),
                escaped(&transcript.base),
                escaped(&transcript.candidate),
                escaped(&transcript.why)
            )?;
        }
        page.push_str("</table>\n");
    }
    Ok(())
}

fn places(page: &mut String, examination: &Examination) -> std::fmt::Result {
    let most = examination.heat.iter().map(|place| place.relative).fold(0.0, f64::max);
    if most <= 0.0 {
        return Ok(());
    }
    write!(
        page,
        "<h2>Where</h2>\n<p>Relative change by kind of module; one square a layer; the darkest is {most:.2e}.</p>\n<table class=heat>"
    )?;
    for (family, places) in heat(examination) {
        write!(page, "<tr><td>{}<td>", escaped(family))?;
        for place in places {
            let layer = place.layer.map_or_else(|| "no layer".to_owned(), |layer| format!("layer {layer}"));
            let share = 0.08 + 0.92 * (place.relative / most).clamp(0.0, 1.0);
            write!(page, "<i style=\"opacity:{share:.2}\" title=\"{layer}: {:.2e}\"></i>", place.relative)?;
        }
        page.push_str("</tr>");
    }
    page.push_str("</table>\n");
    Ok(())
}

fn detectors(page: &mut String, judgement: &Judgement) -> std::fmt::Result {
    if judgement.detectors.is_empty() {
        return Ok(());
    }
    page.push_str("<h2>Detectors</h2>\n<p>Each by itself; the verdict goes by the fused score.</p>\n<table>");
    for (name, value, share) in &judgement.detectors {
        write!(
            page,
            "<tr><td>{}<td class=n>{value:.4}<td class=n>p = {:.4}</tr>",
            escaped(name),
            share.value()
        )?;
    }
    page.push_str("</table>\n");
    Ok(())
}

fn coverage(page: &mut String, examination: &Examination) -> std::fmt::Result {
    page.push_str("<h2>What was looked for</h2>\n<table><tr><th>class<th>ATLAS");
    for layer in Layer::ALL {
        write!(page, "<th>{}", layer.name())?;
    }
    page.push_str("</tr>");
    for class in Class::ALL {
        write!(page, "<tr><td>{}<td><small>{}</small>", class.name(), class.atlas())?;
        for cell in examination.coverage.cells.iter().filter(|cell| cell.class == class) {
            match &cell.looked {
                Looked::For { by } => write!(page, "<td>{}", escaped(&by.join(", ")))?,
                Looked::NotExamined { why } => {
                    write!(page, "<td class=no><small>not examined: {}</small>", escaped(why))?;
                }
            }
        }
        page.push_str("</tr>");
    }
    page.push_str("</table>\n<h2>What could not be measured</h2>\n<ul>");
    for missed in unseen(examination) {
        write!(page, "<li>{}</li>", escaped(&missed))?;
    }
    for gap in &examination.gaps {
        write!(page, "<li>{}: {}</li>", escaped(&gap.examiner), escaped(&gap.why))?;
    }
    page.push_str("</ul>\n");
    Ok(())
}
