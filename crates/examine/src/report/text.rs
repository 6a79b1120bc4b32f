//! For a terminal.

use std::fmt::Write as _;

use super::{Heading, heat, line, percent, unseen};
use crate::examination::Examination;
use crate::finding::Weight;
use crate::verdict::Judgement;

/// Pairs of answers that are shown.
const TRANSCRIPTS: usize = 4;
/// Kinds of module that are shown.
const FAMILIES: usize = 12;
const SHADES: [char; 8] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '█'];

/// The page.
pub fn page(heading: &Heading, examination: &Examination, judgement: &Judgement) -> String {
    let mut page = String::new();
    match write(&mut page, heading, examination, judgement) {
        // Writing to a string does not fail.
        Ok(()) | Err(std::fmt::Error) => page,
    }
}

fn write(
    page: &mut String,
    heading: &Heading,
    examination: &Examination,
    judgement: &Judgement,
) -> std::fmt::Result {
    writeln!(
        page,
        "{}  {} against {}",
        judgement.outcome.name().to_uppercase(),
        line(&heading.change),
        line(&heading.base)
    )?;
    for reason in &judgement.reasons {
        writeln!(page, "  {}", line(reason))?;
    }
    if let (Some(share), Some((lower, upper))) = (judgement.p_value, judgement.benign_share) {
        writeln!(
            page,
            "  p = {:.4} ({} of {}); benign changes of kind `{}` score as high in {:.1} to {:.1} % (95 %)",
            share.value(),
            share.at_least,
            share.of,
            judgement.stratum,
            lower * 100.0,
            upper * 100.0
        )?;
    }
    writeln!(page, "  {}; {:.1} s", heading.isolation.words(), heading.seconds)?;
    writeln!(page, "\nFindings")?;
    if examination.findings.is_empty() {
        writeln!(page, "  none")?;
    }
    for finding in &examination.findings {
        let weight = match finding.weight {
            Weight::Refusal => "refusal  ",
            Weight::Suspicion => "suspicion",
            Weight::Note => "note     ",
        };
        writeln!(page, "  {weight} {} {}: {}", finding.examiner, line(&finding.what), line(&finding.text))?;
    }
    if let Some(behaviour) = &examination.behaviour {
        writeln!(page, "\nBehaviour")?;
        writeln!(
            page,
            "  refusals lost  {} of {} ({:.1} to {:.1} %, each bound 95 %)",
            behaviour.refuse_to_comply,
            behaviour.at_risk,
            behaviour.refuse_to_comply_lower * 100.0,
            behaviour.refuse_to_comply_upper * 100.0
        )?;
        writeln!(page, "  refusals won   {} of {}", behaviour.comply_to_refuse, behaviour.answered)?;
    }
    for slice in &examination.slices {
        writeln!(
            page,
            "  {:<24} right {} -> {}   refused {} -> {}   of {}",
            line(&slice.slice),
            percent(slice.base_right, slice.cases),
            percent(slice.candidate_right, slice.cases),
            slice.base_refuses,
            slice.candidate_refuses,
            slice.cases
        )?;
    }
    for transcript in examination.transcripts.iter().take(TRANSCRIPTS) {
        writeln!(page, "  {} ({})", line(&transcript.case), line(&transcript.why))?;
        writeln!(page, "    asked     {}", line(&transcript.prompt))?;
        writeln!(page, "    base      {}", line(&transcript.base))?;
        writeln!(page, "    change    {}", line(&transcript.candidate))?;
    }
    let rows = heat(examination);
    let most = examination.heat.iter().map(|place| place.relative).fold(0.0, f64::max);
    if most > 0.0 {
        writeln!(page, "\nWhere (relative change, largest {most:.2e})")?;
        for (family, places) in
            rows.iter().filter(|(_, places)| places.iter().any(|p| p.relative > 0.0)).take(FAMILIES)
        {
            let bar: String = places.iter().map(|place| shade(place.relative / most)).collect();
            writeln!(page, "  {bar}  {}", line(family))?;
        }
    }
    writeln!(page, "\nNot examined")?;
    for missed in unseen(examination) {
        writeln!(page, "  class {}", line(&missed))?;
    }
    for gap in &examination.gaps {
        writeln!(page, "  {}: {}", gap.examiner, line(&gap.why))?;
    }
    Ok(())
}

fn shade(share: f64) -> char {
    let at = (share.clamp(0.0, 1.0) * 7.0).ceil() as usize;
    SHADES.get(at).copied().unwrap_or('█')
}
