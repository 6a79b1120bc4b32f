//! Policies of the duties that stand in one text alone, or under the same id in other words.
//!
//! Two changes are known to refuse more, whatever they say: another forbid, and a permit that is gone. Of all others the
//! questions tell what they can, and a change for the better that they find shows nothing about the rest of the words.

use std::collections::BTreeMap;

use statement::Name;

use super::{Permission, Shift};
use crate::duties::{Action, Decision, Duties, Written};

/// How the words of a policy changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wording {
    /// It is gone.
    Removed,
    /// It was not there.
    Added,
    /// Other words under the same id.
    Reworded,
}

impl Wording {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Added => "added",
            Self::Reworded => "reworded",
        }
    }
}

/// A policy whose words differ. The words are parsed and printed: blanks, comments and order are no difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Its id.
    pub id: Name,
    /// How.
    pub wording: Wording,
    /// The policy in force's words.
    pub then: Option<String>,
    /// The other's.
    pub now: Option<String>,
    /// Which way it moves what is allowed.
    pub shift: Shift,
    /// Whether a question tells something that it allows or refuses.
    pub is_explained: bool,
}

/// The policies of two texts.
pub(super) struct Texts {
    then: BTreeMap<Name, Written>,
    now: BTreeMap<Name, Written>,
}

impl Texts {
    pub(super) fn of(then: &Duties, now: &Duties) -> Self {
        Self { then: then.written(), now: now.written() }
    }

    /// Every policy of both.
    pub(super) fn all(&self) -> impl Iterator<Item = &Written> {
        self.then.values().chain(self.now.values())
    }

    /// The policies whose words differ, as they stand in both texts.
    pub(super) fn changed(&self) -> impl Iterator<Item = (&Name, Option<&Written>, Option<&Written>)> {
        let added = self.now.keys().filter(|id| !self.then.contains_key(*id));
        let pairs = self.then.keys().chain(added).map(|id| (id, self.then.get(id), self.now.get(id)));
        pairs.filter(|(_, then, now)| then.map(|it| &it.text) != now.map(|it| &it.text))
    }

    /// What differs, and which way by the answers to the questions.
    pub(super) fn told(&self, differing: &[Permission]) -> Vec<Text> {
        let told = self.changed().map(|(id, then, now)| {
            let mut answers = differing.iter().filter(|found| is_about(found, id));
            let is_looser = differing.iter().any(|it| is_about(it, id) && it.shift() == Shift::Looser);
            let shift = if is_looser {
                Shift::Looser
            } else if refuses_more(then, now) {
                Shift::Tighter
            } else {
                Shift::Unclear
            };
            Text {
                id: id.clone(),
                wording: match (then, now) {
                    (_, None) => Wording::Removed,
                    (None, _) => Wording::Added,
                    (Some(_), Some(_)) => Wording::Reworded,
                },
                then: then.map(|it| it.text.clone()),
                now: now.map(|it| it.text.clone()),
                shift,
                is_explained: answers.any(|found| found.then.is_permit() != found.now.is_permit()),
            }
        });
        told.collect()
    }
}

/// Whether the policy is among those that an answer rests on.
fn is_about(found: &Permission, id: &Name) -> bool {
    [&found.then, &found.now].into_iter().any(|decision| {
        let (Decision::Permit { policies } | Decision::Deny { policies, .. }) = decision;
        policies.contains(id)
    })
}

/// A forbid more, or a permit less. Where that could keep somebody from stopping or going back, it is not the safer.
fn refuses_more(then: Option<&Written>, now: Option<&Written>) -> bool {
    let (it, is_more) = match (then, now) {
        (None, Some(added)) => (added, added.forbids),
        (Some(removed), None) => (removed, !removed.forbids),
        (None, None) | (Some(_), Some(_)) => return false,
    };
    is_more && !it.actions.iter().any(|action| stops(*action))
}

/// Whether an act stops or goes back: to refuse it is not the safe side.
pub(super) const fn stops(action: Action) -> bool {
    matches!(action, Action::Rollback | Action::Freeze)
}
