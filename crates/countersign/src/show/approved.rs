//! What an approval moved. A count that did not rise is never told as one that did.

use crate::act::Approved;
use crate::text::{line, word};

/// What became of an approval.
pub(crate) fn approved(approved: &Approved) -> String {
    let Some((before, now)) = &approved.counted else {
        return format!("approved: statement {}\n", approved.statement);
    };
    let rose = now.signatures > before.signatures || now.missing.len() < before.missing.len();
    let again = if rose || approved.earlier.is_empty() { "approved" } else { "approved again" };
    let mut text = format!("{again}: statement {}\n", approved.statement);
    if !rose {
        let mut told = approved.earlier.iter().map(ToString::to_string);
        match told.next() {
            Some(earlier) => line(
                &mut text,
                &format!(
                    "  this person's approval is there already (statement {earlier}): nobody counts twice"
                ),
            ),
            None => line(&mut text, "  it adds no signature: nobody counts beside a person they enrolled"),
        }
    }
    let (signatures, needed) = (now.signatures, now.needed);
    let missing: Vec<String> = now.missing.iter().map(word).collect();
    let lacking =
        if missing.is_empty() { String::new() } else { format!(", missing: {}", missing.join(", ")) };
    let stays = if rose { "" } else { "still " };
    line(&mut text, &format!("  {stays}{signatures} of {needed} signatures{lacking}"));
    text
}
