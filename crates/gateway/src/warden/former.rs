//! Sessions that began two versions ago: they end where they began.
//!
//! While a version is brought to users, what it replaces is its fallback, and sessions that began on that stay there. With
//! the next order the replaced one is nobody's fallback any more. It goes on for the sessions that it has, and for nobody
//! else, until the last of them must have ended, or until it may not be served itself.

use std::collections::BTreeMap;

use dossier::Ledger;
use statement::{SlotId, StateId};

use crate::binding::needed;
use crate::decide::{Moment, Standing, lasts};
use crate::keep::Kept;
use crate::routes::Lane;

/// By slot: a version that gave way.
pub(super) type Formers = BTreeMap<SlotId, Former>;

/// A version that gave way to the one that is served.
#[derive(Debug, Clone, Copy)]
pub(super) struct Former {
    state: StateId,
    gave_way_to: StateId,
    until_ms: u64,
}

impl Former {
    /// The version of a slot that gave way with the present decision, or with an earlier one; `before` is what was decided last.
    fn next(known: Option<Self>, before: Option<&Lane>, standing: &Standing, until_ms: u64) -> Option<Self> {
        let base = before.and_then(|lane| lane.base.as_ref()).map(|target| target.state);
        let candidate =
            before.and_then(|lane| lane.candidate.as_ref()).map(|candidate| candidate.target.state);
        match (base, candidate) {
            (Some(state), Some(to)) if state != to && standing.base == Some(to) => {
                Some(Self { state, gave_way_to: to, until_ms })
            }
            _ => known,
        }
    }

    /// Whether sessions may still be on it. Where the version that it gave way to is taken back, they go with all others.
    fn goes_on(
        &self,
        slot: &SlotId,
        standing: &Standing,
        (ledger, kept, at): (&Ledger, &Kept, Moment),
    ) -> bool {
        at.now_ms < self.until_ms
            && standing.base == Some(self.gave_way_to)
            && lasts(ledger, slot, self.state, kept, at)
    }
}

/// Adds to what a slot may serve the version that its earlier sessions are on.
pub(super) fn keep_on(
    formers: &mut Formers,
    slot: &SlotId,
    before: Option<&Lane>,
    standing: &mut Standing,
    (ledger, kept, at): (&Ledger, &Kept, Moment),
    session_ms: u64,
) {
    let until_ms = at.now_ms.saturating_add(session_ms);
    let former = Former::next(formers.remove(slot), before, standing, until_ms);
    let goes_on = |former: &Former| former.goes_on(slot, standing, (ledger, kept, at));
    let Some(former) = former.filter(goes_on) else { return };
    formers.insert(slot.clone(), former);
    standing.former = Some(former.state);
    standing.needed.entry(former.state).or_insert_with(|| needed(ledger, kept, former.state));
}
