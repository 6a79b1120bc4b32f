//! How a refused file, or what kept the program from auditing it, is told.

use std::error::Error;

use audit::AuditError;
use serde_json::json;

use crate::fault::Fault;

/// The refusal in words, with its causes, what to do, and the documents that show the fault.
pub(crate) fn render(error: &Fault, width: usize) -> String {
    let mut out = format!("REFUSED: {}: {}\n", error.code(), visible(&message(error)));
    for cause in causes(error) {
        out.push_str("  because ");
        out.push_str(&visible(&cause));
        out.push('\n');
    }
    out.extend(["  -> ", error.hint(), "\n"]);
    for (title, text) in error.evidence() {
        let rule = "-".repeat(width.clamp(60, 100).saturating_sub(title.len() + 5));
        let text = text.lines().map(visible).collect::<Vec<_>>().join("\n");
        out.extend(["\n--- ", title, " ", &rule, "\n", &text, "\n"]);
    }
    out
}

/// The refusal as JSON.
pub(crate) fn to_json(error: &Fault) -> String {
    let evidence: Vec<_> =
        error.evidence().into_iter().map(|(title, text)| json!({ "title": title, "text": text })).collect();
    let refusal = json!({
        "format": "countersign-audit-refusal/v1",
        "outcome": "refused",
        "code": error.code(),
        "message": message(error),
        "causes": causes(error),
        "hint": error.hint(),
        "evidence": evidence,
    });
    format!("{refusal:#}\n")
}

fn message(error: &Fault) -> String {
    match error {
        Fault::Refused(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn causes(error: &Fault) -> Vec<String> {
    // A split view's own text is its two checkpoints, which are shown as evidence.
    if let Fault::Refused(AuditError::Inconsistent(split)) = error {
        return split.to_string().lines().take(1).map(str::to_owned).collect();
    }
    let first = match error {
        Fault::Refused(error) => error.source(),
        other => other.source(),
    };
    std::iter::successors(first, |cause| (*cause).source()).map(ToString::to_string).collect()
}

/// Control characters made visible: what stands in a file must not move the cursor.
fn visible(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
