//! What an approver reads before signing: the reports under findings, and how the artefact differs from its base.
//!
//! What this module does not do: judge. Files are compared as `countersign diff` does it, in this program.

use dossier::{Dossier, Recorded};
use serde_json::{Value, json};
use statement::kind::{Finding, ModificationKind};

use super::{finding_line, printable};
use crate::act::{base_component, rebuild_artefact};
use crate::command::{Setting, diff_page};
use crate::failure::{Done, Failure};
use crate::home::read_bounded;
use crate::realm::{Attached, Published};
use crate::text::{line, word};

/// The largest text that is compared line by line.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Pairs of lines that are compared, at most; beyond, what differs is shown as a block.
const PAIRS_MAX: usize = 4_000_000;

/// `countersign show CHANGE --report KIND`.
pub(super) fn reports(setting: &Setting, realm: &Published, dossier: &Dossier, wanted: &str) -> Done {
    let is_meant = |finding: &&Recorded<Finding>| {
        word(&finding.body.evidence) == wanted
            || (wanted.len() >= 8 && finding.id.to_string().starts_with(wanted))
    };
    let found: Vec<&Recorded<Finding>> = dossier.findings.values().filter(is_meant).collect();
    if found.is_empty() {
        let kinds: Vec<String> = dossier.findings.values().map(|it| word(&it.body.evidence)).collect();
        let hint = "`countersign show CHANGE` lists its findings";
        let message =
            format!("no finding `{wanted}` on {}: there are [{}]", dossier.change, kinds.join(", "));
        return Err(Failure::new("CS-CLI-002", message, hint));
    }
    let (mut text, mut values) = (String::new(), Vec::new());
    for finding in found {
        let (told, value) = report(realm, finding);
        text.push_str(&told);
        values.push(value);
    }
    setting.print(&json!(values), &text);
    Ok(())
}

fn report(realm: &Published, finding: &Recorded<Finding>) -> (String, Value) {
    let body = &finding.body;
    let mut text = String::new();
    line(&mut text, &format!("finding {}", finding.id));
    line(&mut text, &format!("  {}", finding_line(realm.ledger().world(), finding)));
    for (name, value) in &body.measures {
        line(&mut text, &format!("  {name:<32} {value}"));
    }
    if body.worker.is_some() {
        line(
            &mut text,
            &format!("  made by a worker; its steps: countersign trace show {}", finding.id.short()),
        );
    }
    let mut reports = Vec::new();
    // What a worker attaches is for programs; what persons attach is text.
    for digest in body.attachments.iter().filter(|_| body.worker.is_none()) {
        let (told, kept) = match realm.attached(digest) {
            Attached::Text(told) => (Some(told), "present".to_owned()),
            Attached::Purged => (None, "purged".to_owned()),
            Attached::Unreadable(failure) => (None, failure.code),
        };
        line(&mut text, &format!("  report {digest} ({kept})"));
        for row in told.as_deref().unwrap_or_default().lines() {
            line(&mut text, &format!("  | {}", printable(row)));
        }
        reports.push(json!({ "digest": digest, "kept": kept, "text": told }));
    }
    let by: Vec<&str> = finding.signers.iter().map(|signer| signer.person.as_str()).collect();
    let value = json!({ "finding": finding.id, "evidence": body.evidence, "outcome": body.outcome, "by": by,
                        "measures": body.measures, "reports": reports });
    (text, value)
}

/// `countersign show CHANGE --diff`.
pub(super) fn diff(setting: &Setting, realm: &Published, dossier: &Dossier) -> Done {
    let proposal = &dossier.proposal.body;
    let artefact = proposal.artefacts.first().ok_or_else(|| Failure::missing("artefact", &dossier.change))?;
    let folder = crate::home::private_folder()?;
    let (candidate, base) = (folder.path().join("candidate"), folder.path().join("base"));
    rebuild_artefact(realm, &artefact.digest, &candidate)?;
    // The base may be held elsewhere, or not be there at all.
    let digest = base_component(realm, dossier);
    let base = digest.filter(|digest| rebuild_artefact(realm, digest, &base).is_ok()).map(|_| base);
    let text = match proposal.modification {
        ModificationKind::Prompt | ModificationKind::Settings => {
            let read = |path: &std::path::Path| -> Done<String> {
                Ok(String::from_utf8_lossy(&read_bounded(path, TEXT_BYTES_MAX)?).into_owned())
            };
            let old = base.as_deref().map(read).transpose()?.unwrap_or_default();
            lines(&old, &read(&candidate)?)
        }
        _ => diff_page(base.as_deref(), &candidate)?,
    };
    let value =
        json!({ "change": dossier.change, "artefact": artefact.digest, "base": digest, "diff": text });
    let told = if base.is_none() { "  (its base is not in the vault)\n" } else { "" };
    setting.print(&value, &format!("{} {}\n{told}{text}", artefact.name, artefact.digest));
    Ok(())
}

/// The lines that go and come, each change with what surrounds it left out (longest common subsequence).
fn lines(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let rest = |all: &[&str]| all.len().saturating_sub(head);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(one, other)| one == other).count();
    let tail = tail.min(rest(&old)).min(rest(&new));
    let middle = |all: &[&'_ str]| -> Vec<String> {
        all.iter().take(all.len() - tail).skip(head).map(|row| printable(row)).collect()
    };
    let (gone, come) = (middle(&old), middle(&new));
    let mut text = String::new();
    if gone.is_empty() && come.is_empty() {
        return "  no line differs\n".to_owned();
    }
    line(&mut text, &format!("@ line {}, after {head} equal lines", head + 1));
    let kept =
        if gone.len().saturating_mul(come.len()) > PAIRS_MAX { Vec::new() } else { common(&gone, &come) };
    let (mut at, mut to) = (0, 0);
    for (one, other) in kept.iter().copied().chain([(gone.len(), come.len())]) {
        for row in gone.iter().take(one).skip(at) {
            line(&mut text, &format!("- {row}"));
        }
        for row in come.iter().take(other).skip(to) {
            line(&mut text, &format!("+ {row}"));
        }
        if let Some(row) = gone.get(one) {
            line(&mut text, &format!("  {row}"));
        }
        (at, to) = (one + 1, other + 1);
    }
    line(&mut text, &format!("@ {tail} equal lines to the end"));
    text
}

/// The places of a longest common subsequence.
fn common(one: &[String], other: &[String]) -> Vec<(usize, usize)> {
    let width = other.len() + 1;
    let mut lengths = vec![0_u32; (one.len() + 1) * width];
    let get =
        |lengths: &[u32], row: usize, column: usize| lengths.get(row * width + column).copied().unwrap_or(0);
    for (row, left) in one.iter().enumerate().rev() {
        for (column, right) in other.iter().enumerate().rev() {
            let best = if left == right {
                get(&lengths, row + 1, column + 1) + 1
            } else {
                get(&lengths, row + 1, column).max(get(&lengths, row, column + 1))
            };
            if let Some(cell) = lengths.get_mut(row * width + column) {
                *cell = best;
            }
        }
    }
    let (mut row, mut column, mut found) = (0, 0, Vec::new());
    while let (Some(left), Some(right)) = (one.get(row), other.get(column)) {
        if left == right {
            found.push((row, column));
            (row, column) = (row + 1, column + 1);
        } else if get(&lengths, row + 1, column) >= get(&lengths, row, column + 1) {
            row += 1;
        } else {
            column += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn lines_that_differ_are_shown_and_no_others() {
        let old = "a\nb\nc\nd\ne\n";
        assert_eq!(lines(old, old), "  no line differs\n");
        assert_eq!(
            lines(old, "a\nb\nx\nd\ny\ne\n"),
            "@ line 3, after 2 equal lines\n- c\n+ x\n  d\n+ y\n@ 1 equal lines to the end\n"
        );
        assert_eq!(lines("", "a\n"), "@ line 1, after 0 equal lines\n+ a\n@ 0 equal lines to the end\n");
        assert_eq!(
            lines("a\na\n", "a\n"),
            "@ line 2, after 1 equal lines\n- a\n@ 0 equal lines to the end\n"
        );
        // What would move a cursor is spelt out.
        assert!(lines("", "\u{1b}[2J").contains("\\u{1b}[2J"));
    }
}
