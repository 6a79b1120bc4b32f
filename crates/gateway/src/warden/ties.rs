//! How strongly engines are tied to their states: launchers are asked which key they hold, and the record what that means.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dossier::Ledger;
use serde_json::{Value, json};
use statement::{Digest, PublicKey, SlotId, StateId};

use super::Warden;
use crate::binding::{Bound, judge as judge_key, shown};
use crate::config::SlotEntry;
use crate::decide;
use crate::engines::{Engine, Engines};
use crate::knock::{Found, Knocker};
use crate::{Error, Limits};

/// How long a turn waits for launchers to answer. What takes longer is taken in a later turn.
const PATIENCE: Duration = Duration::from_millis(500);

/// All engines, as the configuration has them.
type All = BTreeMap<(SlotId, StateId), Arc<Engines>>;
/// Which engine: its slot, its state and its place in the configuration.
type Place = (SlotId, StateId, usize);
/// Why engines are not believed, or not reached.
pub(super) type Troubles = BTreeMap<Place, Trouble>;

/// Why an engine is not believed, or not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    at: String,
    /// The key that was proven, where the record does not know it.
    unknown: Option<PublicKey>,
    code: String,
    about: String,
}

/// Who knocks where.
#[derive(Debug)]
pub(super) struct Ties {
    knockers: BTreeMap<String, Knocker>,
    boot: Option<Digest>,
    troubles: Troubles,
}

impl Ties {
    /// Begins a thread for each launcher's address.
    pub(super) fn begin(all: &All) -> Result<Self, Error> {
        let mut knockers = BTreeMap::new();
        for engine in all.values().flat_map(|engines| engines.all()).filter(|engine| engine.is_channel()) {
            let at = engine.at.to_string();
            if !knockers.contains_key(&at) {
                knockers.insert(at.clone(), Knocker::begin(at)?);
            }
        }
        // Where the system does not say which start it is, a channel's key says enough: it ends with its process.
        Ok(Self { knockers, boot: channel::boot().ok(), troubles: Troubles::new() })
    }

    /// Asks every launcher, and waits a moment for the answers.
    pub(super) fn knock(&mut self) {
        for knocker in self.knockers.values_mut() {
            knocker.ask();
        }
        let until = Instant::now() + PATIENCE;
        for knocker in self.knockers.values_mut() {
            knocker.take(until);
        }
    }

    /// What was found last, by address.
    pub(super) fn found(&self) -> BTreeMap<String, Found> {
        let last = |(at, knocker): (&String, &Knocker)| Some((at.clone(), knocker.last()?.clone()));
        self.knockers.iter().filter_map(last).collect()
    }

    /// Which start of this machine it is.
    pub(super) const fn boot(&self) -> Option<Digest> {
        self.boot
    }
}

/// Believes of every launcher what the record says about the key that it proved, and nothing else.
pub(super) fn judge(
    all: &All,
    found: &BTreeMap<String, Found>,
    ledger: &Ledger,
    boot: Option<Digest>,
    limits: &Limits,
) -> Troubles {
    let mut troubles = Troubles::new();
    for ((slot, state), engines) in all {
        for (place, engine) in engines.all().iter().enumerate().filter(|(_, engine)| engine.is_channel()) {
            let place = (slot.clone(), *state, place);
            let found = found.get(engine.at.as_str());
            let at = engine.at.to_string();
            if let Some(Err((code, about))) = found {
                let (code, about) = (code.clone(), about.clone());
                troubles.insert(place.clone(), Trouble { at: at.clone(), unknown: None, code, about });
            }
            // Where it was not reached, what was proven before stands as far as the record goes: whether the key is still
            // held is asked by every connection.
            let key = match found {
                Some(Ok(key)) => Some(key.clone()),
                Some(Err(_)) | None => engine.key(),
            };
            let Some(key) = key else { continue };
            if let Err(error) = one(engine, *state, &key, ledger, boot, limits) {
                if let Some(Bound { binding, .. }) = engine.forget() {
                    tracing::warn!(%binding, %at, code = error.code(), "an engine is not believed any more: {error}");
                }
                let unknown = matches!(error, Error::UnknownChannel { .. }).then_some(key);
                let (code, about) = (error.code().to_owned(), error.to_string());
                troubles.insert(place, Trouble { at, unknown, code, about });
            }
        }
    }
    troubles
}

fn one(
    engine: &Engine,
    state: StateId,
    key: &PublicKey,
    ledger: &Ledger,
    boot: Option<Digest>,
    limits: &Limits,
) -> Result<(), Error> {
    let boot = boot.filter(|_| engine.is_here());
    let bound = judge_key(ledger, state, engine.at.as_str(), key, boot)?;
    engine.believe(key, bound, limits)
}

/// The strongest tie of each state of a slot.
pub(super) fn of_slot(all: &All, slot: &SlotId) -> decide::Ties {
    let own = all.iter().filter(|((of, _), _)| of == slot);
    own.map(|((_, state), engines)| (*state, engines.level())).collect()
}

impl Warden {
    /// Keeps why engines are not believed, and tells it once.
    pub(super) fn tell_ties(&mut self, mut troubles: Troubles) {
        for trouble in troubles.values_mut() {
            let Some(key) = &trouble.unknown else { continue };
            let Some((leaf, refusal)) = self.follower.void_binding(key) else { continue };
            let error = Error::VoidBinding { at: trouble.at.clone(), leaf, refusal };
            (trouble.code, trouble.about) = (error.code().to_owned(), crate::control::told(&error));
        }
        for (place, trouble) in &troubles {
            if self.ties.troubles.get(place) != Some(trouble) {
                let ((slot, state, _), Trouble { code, about, .. }) = (place, trouble);
                tracing::info!(%slot, %state, code, "an engine is not believed, or not reached: {about}");
            }
        }
        self.ties.troubles = troubles;
        for entry in &self.config.slots {
            for state in &entry.states {
                let Some(engines) = self.engines.get(&(entry.slot.clone(), state.state)) else { continue };
                for engine in engines.all() {
                    let labels = [
                        ("model", entry.model.clone()),
                        ("state", state.state.to_string()),
                        ("engine", engine.at.to_string()),
                    ];
                    let level = engine.level().map_or(0, |level| 1 + i64::from(level as u8));
                    self.plane.metrics.binding.get_or_create(&labels).set(level);
                }
            }
        }
    }

    /// Why engines of a slot are not believed.
    pub(super) fn untied(&self, slot: &SlotEntry) -> Vec<(String, String)> {
        let own = self.ties.troubles.iter().filter(|((of, _, _), _)| *of == slot.slot);
        own.map(|(_, trouble)| (trouble.code.clone(), trouble.about.clone())).collect()
    }

    /// How strongly the engines of a state are tied to it.
    pub(super) fn shown_level(&self, slot: &SlotEntry, state: StateId) -> &'static str {
        let engines = self.engines.get(&(slot.slot.clone(), state));
        shown(engines.and_then(|engines| engines.level()))
    }

    /// Every engine of a slot, and how strongly it is tied.
    pub(super) fn shown_engines(&self, slot: &SlotEntry) -> Vec<Value> {
        let mut listed = Vec::new();
        for state in &slot.states {
            let Some(engines) = self.engines.get(&(slot.slot.clone(), state.state)) else { continue };
            for (place, engine) in engines.all().iter().enumerate() {
                let trouble = self.ties.troubles.get(&(slot.slot.clone(), state.state, place));
                listed.push(json!({
                    "state": state.state, "at": engine.at.as_str(), "channel": engine.is_channel(),
                    "level": shown(engine.level()), "binding": engine.bound().map(|bound| bound.binding),
                    "trouble": trouble.map(|told| json!({ "code": told.code, "about": told.about })),
                }));
            }
        }
        listed
    }
}
