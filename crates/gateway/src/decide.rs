//! What a slot's engines may serve, by what the log folds to: asked anew every second.
//!
//! The decision about an order is `policy::gate`'s; here stands only what follows from it: the order's state where it is
//! admitted, what was served before where it is not yet, the fallback where it may not be any longer.

use std::collections::BTreeMap;

use dossier::{Ledger, World};
use policy::gate::{self, CheckpointView};
use statement::kind::{BindingLevel, Slot};
use statement::{ChangeId, SlotId, StateId, StatementId};

use crate::Error;
use crate::binding::needed;
use crate::keep::{Admission, Kept};

/// What may be served for a slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What was served before, or is served where nothing is released. None: nothing is.
    pub(crate) base: Option<StateId>,
    /// The order that may be released.
    pub(crate) order: Option<Release>,
    /// What sessions from before the base may still be on, and nobody else.
    pub(crate) former: Option<StateId>,
    /// Codes and texts of why an order is not, or something else is served instead.
    pub(crate) reasons: Vec<(String, String)>,
    /// The order that the record has for the slot, whether or not it may be served now.
    pub(crate) in_record: Option<StatementId>,
    /// What is admitted for the first time.
    pub(crate) admitted: Option<(StatementId, Admission)>,
    /// The least tie that engines of states need.
    pub(crate) needed: BTreeMap<StateId, BindingLevel>,
}

/// An order that may be released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) order: StatementId,
    pub(crate) change: ChangeId,
    pub(crate) state: StateId,
    /// The record says that it serves all traffic.
    pub(crate) serving: bool,
    /// The statement that freezes it: it goes no further.
    pub(crate) frozen: Option<StatementId>,
}

impl Standing {
    fn because(&mut self, code: dossier::Code, about: String) {
        self.reasons.push((code.as_str().to_owned(), about));
    }
}

/// The moment of a decision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now_ms: u64,
    pub(crate) floor_ms: u64,
    pub(crate) view: CheckpointView,
}

/// The strongest tie that an engine of a state has now; a state that no engine is named for is not there.
pub(crate) type Ties = BTreeMap<StateId, Option<BindingLevel>>;

/// Decides about a slot.
pub(crate) fn decide(ledger: &Ledger, slot: &SlotId, kept: &Kept, ties: &Ties, at: Moment) -> Standing {
    let mut standing = stand(ledger, slot, kept, ties, at);
    let served = standing.base.into_iter().chain(standing.order.as_ref().map(|order| order.state));
    for state in served.collect::<Vec<_>>() {
        standing.needed.entry(state).or_insert_with(|| needed(ledger, kept, state));
    }
    standing
}

fn stand(ledger: &Ledger, slot: &SlotId, kept: &Kept, ties: &Ties, at: Moment) -> Standing {
    let world = ledger.world();
    let mut standing = Standing::default();
    let Some(record) = world.slot(slot) else {
        standing.because(dossier::Code::UnknownSlot, slot.to_string());
        return standing;
    };
    let definition = &record.definition.body;
    let Some((change, order)) = &record.order else {
        let stale = !is_fresh(definition, at);
        if stale {
            standing
                .because(dossier::Code::CheckpointStale, format!("witnessed at {}", at.view.witnessed_ms));
        }
        standing.base = Some(if stale {
            definition.fallback
        } else {
            lasting(world, record.state, definition.fallback, kept, at)
        });
        return standing;
    };
    standing.in_record = Some(*order);
    let dossier = ledger.dossier(change);
    let Some((dossier, body)) = dossier.and_then(|dossier| Some((dossier, &dossier.order.as_ref()?.body)))
    else {
        standing.because(dossier::Code::OrderUnknown, order.to_string());
        standing.base = Some(definition.fallback);
        return standing;
    };
    let known = kept.admitted.contains_key(order);
    let ask = if known { gate::serve } else { gate::admit };
    match ask(world, dossier, *order, at.view, at.now_ms, at.floor_ms) {
        Ok(admitted) => {
            let state = admitted.state();
            if !known {
                let rule = world.policy().and_then(|policy| policy.body.rules.tiers.get(&body.tier));
                let binding = rule.map_or(BindingLevel::Attested, |rule| rule.binding);
                if let Some(found) = ties.get(&state).copied().filter(|found| *found < Some(binding)) {
                    let error = Error::Unbound { state, needed: binding, found };
                    standing.reasons.push((error.code().to_owned(), error.to_string()));
                    standing.base = Some(lasting(world, body.from_state, body.fallback, kept, at));
                    return standing;
                }
                let admission = Admission {
                    at_ms: at.now_ms,
                    binding,
                    fallback: admitted.fallback(),
                    serve_until_ms: admitted.serve_until_ms(),
                    state,
                };
                standing.needed.insert(state, binding);
                standing.admitted = Some((*order, admission));
            }
            standing.base = Some(lasting(world, body.from_state, body.fallback, kept, at));
            standing.order = Some(Release {
                order: *order,
                change: change.clone(),
                state,
                serving: matches!(dossier.state, dossier::State::Serving { .. }),
                frozen: world.freeze(slot, change).map(|freeze| freeze.id),
            });
        }
        Err(refusal) => {
            for refused in refusal.reasons() {
                standing.because(refused.code, refused.about.clone());
            }
            let fresh = is_fresh(definition, at);
            // What was admitted ends in its fallback; what never was leaves what was there.
            standing.base = Some(if known || !fresh {
                body.fallback
            } else {
                lasting(world, body.from_state, definition.fallback, kept, at)
            });
        }
    }
    standing
}

/// Whether a state that was served before may still be, by its own order and by the age of the record.
pub(crate) fn lasts(ledger: &Ledger, slot: &SlotId, state: StateId, kept: &Kept, at: Moment) -> bool {
    let world = ledger.world();
    let none = StateId::from_digest(statement::Digest::of(b""));
    world.slot(slot).is_some_and(|record| is_fresh(&record.definition.body, at))
        && lasting(world, state, none, kept, at) == state
}

/// Whether the record is young enough for the slot, and the clock not behind what is known.
const fn is_fresh(slot: &Slot, at: Moment) -> bool {
    at.now_ms >= at.floor_ms && at.now_ms.saturating_sub(at.view.witnessed_ms) <= slot.checkpoint_age_max_ms
}

/// A state that was served before, or the fallback where its own order has run out or was revoked.
fn lasting(world: &World, state: StateId, fallback: StateId, kept: &Kept, at: Moment) -> StateId {
    let of_state = kept.admitted.iter().filter(|(_, admission)| admission.state == state);
    match of_state.max_by_key(|(_, admission)| admission.at_ms) {
        Some((order, admission))
            if at.now_ms >= admission.serve_until_ms || world.order_revoked_at(order).is_some() =>
        {
            if admission.fallback == state {
                fallback
            } else {
                admission.fallback
            }
        }
        _ => state,
    }
}
