//! The detectors of one monitor, and what they find about a version.
//!
//! Each looks in its own way: how far counts are from what is usual (`drift`), whether events have become more frequent,
//! looked at every second with a stated run length (`e-detector`), how far counts are from those of the versions that
//! answer at the same time (`beside`), whether answers' vectors are those of another distribution (`mmd`), whether the
//! window as a whole is unlike the seconds that were learnt (`forest`). What is serious takes two of them.
//!
//! Changes are made to change answers. So what an answer says is compared with what this version has said since its
//! release began, unless the setting says that answers stay the same; how it fails, refuses, ends and how long it takes is
//! compared with what was served before.

mod content;
mod events;

use std::collections::{BTreeMap, VecDeque};

use statement::StateId;
use statement::id::Name;
use stats::forest::{Forest, Growth};

use self::content::Content;
use self::events::Events;
use crate::Error;
use crate::drift::{self, Drift, Level, Limits};
use crate::ensemble::{Finding, consensus};
use crate::fingerprint::{Dimension, Fingerprint};
use crate::reference::{Reference, behaviour};
use crate::window::{Window, dimension};

/// Versions that are watched at a time.
const STATES_MAX: usize = 16;
/// Detectors that have to agree on what is serious.
const QUORUM: usize = 2;
/// Dimensions of requests: they say nothing about a version.
const OF_REQUESTS: [&str; 4] =
    [dimension::PROMPT, dimension::INJECTION, dimension::PROBING, dimension::CALLERS];
/// Dimensions of what answers say.
const OF_CONTENT: [&str; 2] = [dimension::TEXT, dimension::NGRAMS];

/// Whether what answers say is meant to stay as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answers {
    /// A change may change them.
    MayChange,
    /// They stay: as where builds, quantisations or machines are changed.
    StaySame,
}

/// How a watcher looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// What is meant of answers.
    pub answers: Answers,
    /// Seconds that are looked at together.
    pub window_s: u64,
    /// Seconds of a version that are learnt before what it says is compared with itself.
    pub learn_s: u64,
    /// Looks between false alarms of each e-detector, on average at least.
    pub run_length: u64,
    /// When an effect is large.
    pub limits: Limits,
}

impl Settings {
    /// Windows of ten seconds, and a month of seconds between false alarms of each e-detector.
    pub const ORDINARY: Self = Self {
        answers: Answers::MayChange,
        window_s: 10,
        learn_s: 60,
        run_length: 2_592_000,
        limits: Limits { count_min: 40, notable_ppm: 300_000, serious_ppm: 450_000, critical_ppm: 650_000 },
    };
}

/// What the detectors find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The level that they agree on.
    pub level: Level,
    /// How many could not look.
    pub blind: usize,
    /// What each found.
    pub findings: Vec<Finding>,
    /// Effect sizes by dimension, in parts per million.
    pub effects: BTreeMap<Name, u64>,
    /// Requests in the window.
    pub requests: u64,
    /// What is strange about the requests: no fault of a version's, and no reason to take one back.
    pub notices: Vec<Name>,
}

/// One monitor's eyes on a slot.
#[derive(Debug)]
pub struct Watcher {
    settings: Settings,
    reference: Reference,
    usual: Fingerprint,
    forest: Option<(Forest, f64)>,
    recent: BTreeMap<StateId, VecDeque<Window>>,
    events: BTreeMap<StateId, Events>,
    content: BTreeMap<StateId, Content>,
}

impl Watcher {
    /// Which knows what was learnt.
    pub fn new(settings: Settings, reference: Reference) -> Result<Self, Error> {
        settings.limits.check()?;
        let usual = reference.baseline.usual_at_all()?;
        let forest = forest(&reference)?;
        let (recent, events, content) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Self { settings, reference, usual, forest, recent, events, content })
    }

    /// Takes a second of a version's traffic, each once and in order.
    pub fn take(&mut self, window: Window) -> Result<(), Error> {
        let state = window.state;
        if !self.recent.contains_key(&state) && self.recent.len() >= STATES_MAX {
            // The one that was heard of least recently makes room.
            let last = |seen: &VecDeque<Window>| seen.back().map_or(0, |window| window.second);
            let oldest = self.recent.iter().min_by_key(|(_, seen)| last(seen)).map(|(state, _)| *state);
            if let Some(oldest) = oldest {
                self.forget(oldest);
            }
        }
        if !self.events.contains_key(&state) {
            self.events.insert(state, Events::new(&self.usual, self.settings.run_length)?);
        }
        if let Some(events) = self.events.get_mut(&state) {
            events.look(&window)?;
        }
        let (slot, settings) = (self.reference.slot.clone(), self.settings);
        self.content.entry(state).or_insert_with(|| Content::new(slot)).take(&window, settings.window_s);
        let seen = self.recent.entry(state).or_default();
        let from = window.second.saturating_sub(settings.window_s);
        seen.push_back(window);
        while seen.front().is_some_and(|first| first.second <= from) {
            seen.pop_front();
        }
        Ok(())
    }

    /// Forgets a version.
    pub fn forget(&mut self, state: StateId) {
        self.recent.remove(&state);
        self.events.remove(&state);
        self.content.remove(&state);
    }

    /// What there is of a version in the window that ends with `second`.
    fn window(&self, state: StateId, second: u64) -> Result<Fingerprint, Error> {
        let mut counted = Fingerprint::default();
        let from = second.saturating_sub(self.settings.window_s);
        let seen = self.recent.get(&state).into_iter().flatten();
        seen.filter(|window| window.second > from).try_for_each(|window| counted.merge(&window.counts))?;
        Ok(counted)
    }

    /// What the detectors find about a version, in the window that ends with `second`.
    pub fn judge(&mut self, state: StateId, second: u64) -> Result<Judged, Error> {
        let counted = self.window(state, second)?;
        let (plain, said) = parted(&counted, &OF_CONTENT)?;
        let mut effects = BTreeMap::new();
        let own = self.own(state);
        let against = match (&own, self.settings.answers) {
            (_, Answers::StaySame) | (None, Answers::MayChange) => self.usual.clone(),
            (Some(own), Answers::MayChange) => own.baseline.usual_at_all()?,
        };
        // What a version says is no news before it is known what it usually says.
        let most = match (&own, self.settings.answers) {
            (None, Answers::MayChange) => Level::Notable,
            _ => Level::Critical,
        };
        let behaves = self.compared(&self.usual, &plain, Level::Critical, &mut effects)?;
        let speaks = self.compared(&against, &said, most, &mut effects)?;
        let others = self.others(state, second)?;
        let beside =
            self.compared(&parted(&others, &OF_CONTENT)?.0, &plain, Level::Critical, &mut BTreeMap::new())?;
        let limits = self.settings.limits;
        let events = self.events.get(&state).and_then(|events| events.level(&counted, limits));
        let vectors = match (&own, self.settings.answers) {
            (_, Answers::StaySame) => Some(&self.reference.vectors),
            (Some(own), Answers::MayChange) => Some(&own.vectors),
            (None, Answers::MayChange) => None,
        };
        let vectors = vectors.cloned();
        let content = self.content.get_mut(&state);
        let mmd = match (content, vectors) {
            (Some(content), Some(vectors)) => {
                content.discrepancy(&vectors, second, self.settings.window_s)?
            }
            _ => None,
        };
        let found = [
            ("drift", behaves.max(speaks)),
            ("e-detector", events),
            ("beside", beside),
            ("mmd", mmd),
            ("forest", self.isolation(state, &counted, second)?),
        ];
        let findings: Vec<Finding> = found
            .into_iter()
            .filter_map(|(detector, level)| Some(Finding { detector: detector.parse().ok()?, level }))
            .collect();
        let agreed = consensus(&findings, QUORUM);
        let requests = dimension_of(&counted, dimension::ERRORS).map_or(0, Dimension::count);
        self.learn_own(state, agreed.level)?;
        Ok(Judged {
            level: agreed.level,
            blind: agreed.blind,
            findings,
            effects,
            requests,
            notices: self.notices(second)?,
        })
    }

    /// What was learnt of the version itself, once it is enough.
    fn own(&self, state: StateId) -> Option<Reference> {
        let content = self.content.get(&state)?;
        (content.own.seen >= self.settings.learn_s).then(|| content.own.clone())
    }

    fn learn_own(&mut self, state: StateId, level: Level) -> Result<(), Error> {
        let learn_s = self.settings.learn_s;
        match self.content.get_mut(&state) {
            Some(content) => content.learn(level, learn_s),
            None => Ok(()),
        }
    }

    /// The highest level of the dimensions, at most `most`; none where nothing could be compared.
    fn compared(
        &self,
        usual: &Fingerprint,
        counted: &Fingerprint,
        most: Level,
        effects: &mut BTreeMap<Name, u64>,
    ) -> Result<Option<Level>, Error> {
        let mut highest = None;
        for drift in drift::compare(usual, counted, self.settings.limits)? {
            let Some(effect) = drift.effect_ppm else { continue };
            let level = level_of(&drift).min(most);
            effects.insert(drift.dimension, effect);
            highest = highest.max(Some(level));
        }
        Ok(highest)
    }

    /// What the other versions did in the same seconds.
    fn others(&self, state: StateId, second: u64) -> Result<Fingerprint, Error> {
        let mut all = Fingerprint::default();
        for other in self.recent.keys().filter(|other| **other != state) {
            all.merge(&self.window(*other, second)?)?;
        }
        Ok(all)
    }

    /// Whether the window as a whole is unlike what was learnt.
    fn isolation(&self, state: StateId, counted: &Fingerprint, second: u64) -> Result<Option<Level>, Error> {
        let Some((forest, limit)) = &self.forest else { return Ok(None) };
        let whole = Window {
            arm: String::new(),
            counts: counted.clone(),
            second,
            slot: self.reference.slot.clone(),
            state,
            vectors: Vec::new(),
        };
        let Some(point) = behaviour(&whole) else { return Ok(None) };
        let failed = |source| Error::Statistics { dimension: whole_name(), source };
        let score = forest.score(&floats(&point)).map_err(failed)?;
        Ok(Some(if score > *limit { Level::Serious } else { Level::Quiet }))
    }

    /// What is strange about all requests of the window.
    fn notices(&self, second: u64) -> Result<Vec<Name>, Error> {
        let mut all = Fingerprint::default();
        for state in self.recent.keys() {
            all.merge(&self.window(*state, second)?)?;
        }
        let (_, asked) = parted(&all, &OF_REQUESTS)?;
        let (_, usual) = parted(&self.usual, &OF_REQUESTS)?;
        let drifts = drift::compare(&usual, &asked, self.settings.limits)?;
        let strange = |drift: &&Drift| drift.level > Level::Quiet;
        let mut notices: Vec<Name> =
            drifts.iter().filter(strange).map(|drift| drift.dimension.clone()).collect();
        if let Some(Dimension::Events { yes, .. }) = dimension_of(&asked, dimension::INJECTION)
            && *yes > 0
            && let Ok(name) = dimension::INJECTION.parse()
            && !notices.contains(&name)
        {
            notices.push(name);
        }
        Ok(notices)
    }
}

/// Sizes that are compared across machines and loads, latencies, count by their percentiles: twice as long is notable, eight
/// times serious, thirty times critical.
fn level_of(drift: &Drift) -> Level {
    match drift.percentiles_ppm {
        Some([half, most]) if drift.dimension.as_str() == dimension::LATENCY => match half.min(most) {
            30_000_000.. => Level::Critical,
            8_000_000.. => Level::Serious,
            2_000_000.. => Level::Notable,
            _ => Level::Quiet,
        },
        _ => drift.level,
    }
}

/// The fingerprint without the dimensions of these and of requests, and that of these alone.
fn parted(counted: &Fingerprint, these: &[&str]) -> Result<(Fingerprint, Fingerprint), Error> {
    let (mut rest, mut taken) = (Fingerprint::default(), Fingerprint::default());
    for (name, dimension) in counted.dimensions() {
        if these.contains(&name.as_str()) {
            taken.add(name, dimension)?;
        } else if !OF_REQUESTS.contains(&name.as_str()) {
            rest.add(name, dimension)?;
        }
    }
    Ok((rest, taken))
}

pub(crate) fn dimension_of<'f>(counted: &'f Fingerprint, name: &str) -> Option<&'f Dimension> {
    counted.dimension(&name.parse().ok()?)
}

fn whole_name() -> Name {
    statement::Kind::Observation.to_name()
}

pub(crate) fn floats(point: &[i64]) -> Vec<f64> {
    point.iter().map(|value| *value as f64 / 1000.0).collect()
}

/// A forest on the seconds that were learnt, and the score above which nothing that was learnt lies.
fn forest(reference: &Reference) -> Result<Option<(Forest, f64)>, Error> {
    const SECONDS_MIN: usize = 20;
    const MARGIN: f64 = 0.05;
    if reference.seconds.len() < SECONDS_MIN {
        return Ok(None);
    }
    let points: Vec<Vec<f64>> = reference.seconds.iter().map(|second| floats(second)).collect();
    let failed = |source| Error::Statistics { dimension: whole_name(), source };
    let forest = Forest::grow(&points, Growth { trees: 100, subsample: 64, seed: 1 }).map_err(failed)?;
    let mut highest = 0.5_f64;
    for point in &points {
        highest = highest.max(forest.score(point).map_err(failed)?);
    }
    Ok(Some((forest, highest + MARGIN)))
}

#[cfg(test)]
mod tests;
