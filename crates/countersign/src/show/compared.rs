//! What differs between two policies, for the officers who are to sign one.

use policy::compare::{Comparison, Difference, Permission, Shift, Text, Wording};
use policy::duties::Decision;
use policy::gate::{Retried, Ruling};
use statement::StatementId;

use crate::text::{line, word};

/// Most lines of each part; `--json` has all.
const LINES_MAX: usize = 60;

/// The page.
pub(crate) fn compared(in_force: StatementId, compared: &Comparison) -> String {
    let mut text = format!("compared with the policy in force, {in_force}\n");
    let tables = compared.tables.iter().map(table);
    part(&mut text, &format!("tables: {}", differ(compared.tables.len())), tables);

    let permissions = &compared.permissions;
    let of = |shift| permissions.differing.iter().filter(|found| found.shift() == shift).count();
    let head = format!(
        "who may do what: {} questions, {} looser, {} unclear, {} tighter, {} decided by other policies",
        permissions.asked,
        of(Shift::Looser),
        of(Shift::Unclear),
        of(Shift::Tighter),
        of(Shift::Otherwise),
    );
    let words = permissions.texts.iter().flat_map(words);
    part(&mut text, &head, words.chain(permissions.differing.iter().map(permission)));

    let mut moved: Vec<&Retried> =
        compared.decisions.iter().filter(|retried| retried.shift() != Shift::Same).collect();
    moved.sort_by_key(|retried| (retried.shift(), retried.leaf));
    let of = |shift| moved.iter().filter(|retried| retried.shift() == shift).count();
    let head = format!(
        "past decisions: {} asked again, {} looser, {} tighter, {} otherwise",
        compared.decisions.len(),
        of(Shift::Looser),
        of(Shift::Tighter),
        of(Shift::Otherwise),
    );
    part(&mut text, &head, moved.into_iter().map(decision));
    let (verdict, hint) = verdict(compared.shift());
    line(&mut text, &format!("\n{verdict}"));
    line(&mut text, &format!("  {hint}"));
    text
}

/// What comes of it, and what that means.
const fn verdict(shift: Shift) -> (&'static str, &'static str) {
    match shift {
        Shift::Looser => (
            "LOOSER: it allows what is refused now, or asks for less",
            "what is marked so was found; others could be asked than the questions counted above",
        ),
        Shift::Unclear => (
            "CANNOT TELL: it may allow what is refused now",
            "nothing is known to be looser, and what is marked `unclear` is not known not to be: read it",
        ),
        Shift::Tighter | Shift::Otherwise => (
            "not looser: what differs asks for as much as now, or for more",
            "asked were the questions counted above; that is no proof for those that were not",
        ),
        Shift::Same => {
            ("the same: nothing differs", "blanks, comments and the order of policies are no difference")
        }
    }
}

/// A policy whose words differ; the words themselves where somebody must read them.
fn words(found: &Text) -> Vec<String> {
    let read = match (found.shift, found.is_explained) {
        (Shift::Unclear, false) => ": changed, and no question tells how: read it",
        (Shift::Unclear, true) => ": changed, and questions tell only a part: read it",
        _ => "",
    };
    let wording = match found.wording {
        Wording::Removed => "without",
        Wording::Added => "with",
        Wording::Reworded => "reworded",
    };
    let mut lines = vec![format!("{:<9} {wording} {}{read}", found.shift.name(), found.id)];
    if found.shift == Shift::Unclear {
        let shown = |is: &str, text: &Option<String>| {
            let text = text.as_ref()?;
            // The words alone: the id stands above, and controls are in `--json`.
            let words: Vec<&str> = text.lines().filter(|line| !line.starts_with('@')).collect();
            Some(format!("          {is} {}", words.join(" ")))
        };
        lines.extend(shown("-", &found.then));
        lines.extend(shown("+", &found.now));
    }
    lines
}

fn part(text: &mut String, head: &str, lines: impl Iterator<Item = String>) {
    line(text, &format!("\n{head}"));
    let lines: Vec<String> = lines.collect();
    for shown in lines.iter().take(LINES_MAX) {
        line(text, &format!("  {shown}"));
    }
    if let Some(more) = lines.len().checked_sub(LINES_MAX).filter(|more| *more > 0) {
        line(text, &format!("  … and {more} more; `--json` has all"));
    }
}

fn differ(count: usize) -> String {
    match count {
        0 => "the same".to_owned(),
        1 => "1 member differs".to_owned(),
        _ => format!("{count} members differ"),
    }
}

fn table(found: &Difference) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    format!("{:<9} {}: {} -> {}", found.shift.name(), found.place, shown(&found.then), shown(&found.now))
}

fn permission(found: &Permission) -> String {
    let roles: Vec<String> = found.roles.iter().map(word).collect();
    let tiers: Vec<String> = found.tiers.iter().map(word).collect();
    let answer = |decision: &Decision| {
        let (Decision::Permit { policies } | Decision::Deny { policies, .. }) = decision;
        let policies: Vec<String> = policies.iter().map(ToString::to_string).collect();
        let word = if decision.is_permit() { "allowed" } else { "refused" };
        format!("{word} ({})", policies.join(", "))
    };
    format!(
        "{:<9} {} by {}, {}, tier {}: {} -> {}",
        found.shift().name(),
        found.action.name(),
        roles.join("+"),
        found.circumstance,
        tiers.join("/"),
        answer(&found.then),
        answer(&found.now),
    )
}

fn decision(retried: &Retried) -> String {
    format!(
        "{:<9} leaf {:<6} {:<8} of {}: {} -> {}",
        retried.shift().name(),
        retried.leaf,
        retried.decided.name(),
        retried.change,
        ruling(&retried.then),
        ruling(&retried.now),
    )
}

fn ruling(ruling: &Ruling) -> String {
    let said = match (&ruling.outcome, ruling.allows) {
        (Some(outcome), _) => word(outcome),
        (None, true) => "counts".to_owned(),
        (None, false) => "refused".to_owned(),
    };
    let tier = ruling.tier.map(|tier| format!(", tier {}", word(&tier))).unwrap_or_default();
    let reasons: Vec<String> =
        ruling.reasons.iter().map(|reason| format!("{} `{}`", reason.code.as_str(), reason.about)).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) };
    let risk = ruling.risk.map(|risk| format!(", risk {risk}")).unwrap_or_default();
    format!("{said}{tier}{risk}{reasons}")
}
