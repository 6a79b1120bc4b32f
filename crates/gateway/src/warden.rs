//! The one thread that decides: it follows the log, asks the gate, drives rollouts, and publishes routes.

mod former;
mod operator;
mod panel;
mod release;
mod ties;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use dossier::{Applied, Checked, Ledger};
use policy::gate::CheckpointView;
use rollout::plan::Plan;
use serde_json::{Value, json};
use signer::{FileKey, KeyFile};
use statement::{Envelope, SlotId, StateId, leaf};
use tokio::sync::{Semaphore, watch};

use self::former::Formers;
use self::panel::Panel;
use self::ties::Ties;
use crate::callers::Callers;
use crate::config::{Config, LogPlace, Release, SlotEntry, check_plan};
use crate::control::{self, Call};
use crate::decide::{Moment, Standing, decide};
use crate::engines::{Client, Engines};
use crate::follow::Follower;
use crate::keep::{self, Keep, Kept};
use crate::live::Drive;
use crate::metrics::Metrics;
use crate::plane::{Health, Plane};
use crate::probes::Probers;
use crate::reader::Reader;
use crate::routes::{Lane, Routes, Target};
use crate::sessions::Sessions;
use crate::tap::Tap;
use crate::traces::Tracing;
use crate::{Error, FolderSource, HttpSource, Server, Source, binding, tls};

/// Tells the time, in milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How long one resource of the log may take to come.
const LOG_PATIENCE: Duration = Duration::from_secs(2);
/// How long a turn waits for what is read of the log. What takes longer is taken in a later turn.
const LOOK_PATIENCE: Duration = Duration::from_secs(1);
/// After a look that failed, so many are left out.
const LOOKS_LEFT_OUT: u32 = 4;
/// The own clock raises the time floor no further than this beyond what witnesses have said: a clock that runs far ahead
/// once must not bar the gateway for ever.
const FLOOR_AHEAD_MAX_MS: u64 = 7 * 86_400_000;
/// How much the floor rises before it is written again.
const FLOOR_STEP_MS: u64 = 10_000;
/// Bytes of a plan at most.
const PLAN_BYTES_MAX: usize = 256 << 10;

/// The deciding part of a gateway.
#[derive(Debug)]
pub struct Warden {
    config: Config,
    plane: Arc<Plane>,
    keep: Keep,
    kept: Kept,
    saved: Kept,
    follower: Follower,
    reader: Reader,
    left_out: u32,
    trouble: Option<String>,
    engines: BTreeMap<(SlotId, StateId), Arc<Engines>>,
    ties: Ties,
    plans: BTreeMap<SlotId, Arc<Plan>>,
    drives: BTreeMap<SlotId, Drive>,
    probers: Probers,
    standings: BTreeMap<SlotId, Standing>,
    pending: Vec<Envelope>,
    panel: Panel,
    formers: Formers,
    key: Option<FileKey>,
    /// Reports that were signed since the start.
    reports: u32,
}

impl Warden {
    /// Opens a gateway: reads what it kept, and listens. Nothing is routed before the first [`Warden::tick`].
    ///
    /// # Errors
    /// Whatever of the configuration cannot be used, and kept files that are not what was kept.
    pub fn open(config: Config, clock: Clock) -> Result<(Self, Server), Error> {
        let source = source(&config.log);
        Self::with_source(config, clock, source)
    }

    /// As [`Warden::open`], on a socket that listens already and that somebody else keeps: what comes while the gateway
    /// is started anew waits in it.
    ///
    /// # Errors
    /// As [`Warden::open`].
    pub fn open_on(config: Config, clock: Clock, listener: TcpListener) -> Result<(Self, Server), Error> {
        let source = source(&config.log);
        Self::assemble(config, clock, source, Some(listener))
    }

    /// As [`Warden::open`], with a log that is read elsewhere.
    ///
    /// # Errors
    /// As [`Warden::open`].
    pub fn with_source(
        config: Config,
        clock: Clock,
        source: Box<dyn Source>,
    ) -> Result<(Self, Server), Error> {
        Self::assemble(config, clock, source, None)
    }

    fn assemble(
        config: Config,
        clock: Clock,
        source: Box<dyn Source>,
        listener: Option<TcpListener>,
    ) -> Result<(Self, Server), Error> {
        let keep = Keep::open(&config.state)?;
        let kept = keep.kept()?;
        let follower = Follower::open(&config.realm, &keep)?;
        let pending = keep.pending()?;
        let (mut engines, mut plans) = (BTreeMap::new(), BTreeMap::new());
        let mut probers = Probers::default();
        for slot in &config.slots {
            for state in &slot.states {
                engines.insert((slot.slot.clone(), state.state), Arc::new(Engines::new(state)?));
            }
            if let Release::Stages(path) | Release::StagesByHand(path) = &slot.release {
                let probes = probers.read(slot)?;
                plans.insert(slot.slot.clone(), Arc::new(read_plan(&slot.slot, path, probes)?));
            }
        }
        let key = config.rollout_key.as_ref().map(|path| KeyFile::read(path)?.open_unsealed()).transpose()?;
        let metrics = Metrics::new();
        let plane = Arc::new(Plane {
            routes: ArcSwap::default(),
            callers: Callers::new(&config.keys),
            sessions: Sessions::new(&config.limits),
            client: Client::plain(&config.limits),
            limits: config.limits,
            traces: Tracing::new(config.traces.as_ref(), &metrics)?,
            metrics,
            clock,
            started: Instant::now(),
            health: ArcSwap::default(),
            under_way: watch::Sender::new(0),
            shadows: Arc::new(Semaphore::new(config.limits.shadows)),
            tap: Tap::new(&config.monitors),
            cut: watch::Sender::default(),
        });
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let server = match listener {
            Some(listener) => Server::on(Arc::clone(&plane), listener, tls)?,
            None => Server::bind(Arc::clone(&plane), config.listen, tls)?,
        };
        let saved = kept.clone();
        let warden = Self {
            config,
            plane,
            keep,
            kept,
            saved,
            follower,
            reader: Reader::begin(source)?,
            left_out: 0,
            trouble: None,
            ties: Ties::begin(&engines)?,
            engines,
            plans,
            drives: BTreeMap::new(),
            probers,
            standings: BTreeMap::new(),
            pending,
            panel: Panel::default(),
            formers: Formers::new(),
            key,
            reports: 0,
        };
        Ok((warden, server))
    }

    /// Decides once a second until `stop`, and answers operators in between.
    ///
    /// # Errors
    /// [`Error::File`] where the control socket cannot be listened on.
    pub fn run(mut self, stop: &AtomicBool) -> Result<(), Error> {
        let (bell, asked) = control::listen(&self.config.state)?;
        self.plane.tap.wake(bell);
        let every = Duration::from_millis(self.config.limits.poll_ms);
        let mut next = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            // However much is asked and said, the log is looked at in its turn.
            if Instant::now() >= next {
                self.tick();
                next = Instant::now() + every;
            }
            match asked.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Call::Heard) => self.heed(),
                Ok(Call::Asked(waiting)) => {
                    let answer = self.ask(&waiting.asked).unwrap_or_else(|error| control::refused(&error));
                    // Who has gone does not hear it.
                    drop(waiting.answer.send(answer));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    /// One turn: rollouts are judged by what was counted, the log is looked at, and routes are published.
    pub fn tick(&mut self) {
        // Going back must not wait for a log that does not answer.
        self.heed();
        self.look();
        self.ties.knock();
        self.decide();
    }

    fn now_ms(&self) -> u64 {
        (self.plane.clock)()
    }

    fn look(&mut self) {
        if self.left_out > 0 {
            self.left_out -= 1;
            return;
        }
        match self.reader.look(|| self.follower.wanted(), LOOK_PATIENCE) {
            None => self.tell_trouble(&Error::Unreachable {
                place: "checkpoint".to_owned(),
                reason: "reading it takes longer than a look".to_owned(),
            }),
            Some(found) => match found.and_then(|found| self.follower.take_in(found, &self.keep)) {
                Ok(_) => self.trouble = None,
                Err(error) => {
                    self.left_out = LOOKS_LEFT_OUT;
                    self.tell_trouble(&error);
                }
            },
        }
        if let Some(view) = self.follower.view() {
            let metrics = &self.plane.metrics;
            metrics.log_size.set(i64::try_from(view.size).unwrap_or(i64::MAX));
            metrics.checkpoint.set(std::time::Duration::from_millis(view.witnessed_ms).as_secs_f64());
        }
    }

    fn tell_trouble(&mut self, error: &Error) {
        self.plane.metrics.log_failures.inc();
        let told = control::told(error);
        if self.trouble.is_none() {
            tracing::warn!(code = error.code(), "the log cannot be followed: {told}");
        }
        self.trouble = Some(format!("{}: {told}", error.code()));
    }

    /// The world with the statements that act before they are in the log, and the view it is judged by.
    fn present(&mut self, now_ms: u64) -> Option<(Cow<'_, Ledger>, CheckpointView)> {
        let ledger = self.follower.ledger();
        let gone: Vec<_> =
            self.pending.iter().map(Envelope::id).filter(|id| ledger.has_applied(id)).collect();
        for id in gone {
            self.pending.retain(|envelope| envelope.id() != id);
            if let Err(error) = self.keep.drop_pending(id) {
                tracing::warn!(%error, "a statement that is in the log by now is still kept");
            }
        }
        let mut view = self.follower.view()?;
        if self.pending.is_empty() {
            return Some((Cow::Borrowed(self.follower.ledger()), view));
        }
        let mut ledger = self.follower.ledger().clone();
        for envelope in &self.pending {
            if let Err(error) = self.try_out(&mut ledger, envelope, now_ms) {
                tracing::debug!(%error, "a statement has no effect any more");
            }
        }
        // These leaves are not in any checkpoint yet. They only ever take away.
        view.size = ledger.world().size();
        Some((Cow::Owned(ledger), view))
    }

    /// Folds a statement in as if it were the log's next leaf.
    fn try_out(&self, ledger: &mut Ledger, envelope: &Envelope, now_ms: u64) -> Result<(), Error> {
        let world = ledger.world();
        let entry = leaf::stamp(&envelope.to_bytes()?, now_ms.max(world.stamp_ms()));
        let checked = Checked::read(world.size(), &entry, &mut self.follower.book().clone());
        match ledger.apply(&checked, self.follower.bench())? {
            Applied::NoOp(refusal) => Err(refusal.into()),
            Applied::Effective | Applied::Refold => Ok(()),
        }
    }

    /// Decides about every slot, and publishes.
    fn decide(&mut self) {
        let now_ms = self.now_ms();
        let floor_ms = self.kept.floor_ms;
        let kept = self.kept.clone();
        let slots: Vec<SlotEntry> = self.config.slots.clone();
        let (engines, limits) = (self.engines.clone(), self.config.limits);
        let (found, boot) = (self.ties.found(), self.ties.boot());
        let (mut standings, mut troubles) = (BTreeMap::new(), ties::Troubles::new());
        let before = self.plane.routes.load_full();
        let mut formers = std::mem::take(&mut self.formers);
        if let Some((ledger, view)) = self.present(now_ms) {
            let moment = Moment { now_ms, floor_ms, view };
            let judged = ties::judge(&engines, &found, &ledger, boot, &limits);
            for slot in &slots {
                let ties = ties::of_slot(&engines, &slot.slot);
                let mut standing = decide(&ledger, &slot.slot, &kept, &ties, moment);
                let lane = before.lanes.get(&slot.model);
                let known = (&*ledger, &kept, moment);
                former::keep_on(&mut formers, &slot.slot, lane, &mut standing, known, limits.session_ms);
                standings.insert(slot.slot.clone(), standing);
            }
            let stamp_ms = ledger.world().stamp_ms();
            let own_ms = now_ms.min(view.witnessed_ms.saturating_add(FLOOR_AHEAD_MAX_MS));
            let floor = floor_ms.max(stamp_ms).max(own_ms);
            if floor >= floor_ms + FLOOR_STEP_MS {
                self.kept.floor_ms = floor;
            }
            troubles = judged;
        }
        self.formers = formers;
        self.tell_ties(troubles);
        let mut routes = Routes { decided: Some(Instant::now()), ..Routes::default() };
        for slot in &slots {
            let mut standing = standings.remove(&slot.slot).unwrap_or_else(unverified);
            let lane = self.lane(slot, &mut standing, now_ms);
            routes.lanes.insert(slot.model.clone(), lane);
            self.standings.insert(slot.slot.clone(), standing);
        }
        if self.kept != self.saved {
            match self.keep.keep(&self.kept) {
                Ok(()) => self.saved = self.kept.clone(),
                // What is lost by this is service after a restart, never a refusal.
                Err(error) => {
                    tracing::error!(code = error.code(), %error, "what was decided could not be kept");
                }
            }
        }
        self.publish(routes);
    }

    fn publish(&self, routes: Routes) {
        let ready = routes.lanes.values().all(|lane| lane.base.is_some() || lane.candidate.is_some());
        let models: BTreeMap<_, _> =
            routes.lanes.iter().map(|(name, lane)| (name, shown_lane(lane))).collect();
        let text = json!({
            "status": if ready { "ready" } else { "not-ready" },
            "models": models,
            "log": { "size": self.follower.view().map(|view| view.size), "trouble": self.trouble },
        });
        let draining = self.plane.health.load().draining;
        self.plane.health.store(Arc::new(Health { ready, draining, text: text.to_string() }));
        for (model, lane) in &routes.lanes {
            let share = lane.candidate.as_ref().map_or(0, |candidate| candidate.share.ppm());
            self.plane.metrics.share.get_or_create(&[("model", model.clone())]).set(i64::from(share));
        }
        self.plane.routes.store(Arc::new(routes));
    }
}

/// Where the configuration says that the log is.
pub(crate) fn source(place: &LogPlace) -> Box<dyn Source> {
    match place {
        LogPlace::Folder(folder) => Box::new(FolderSource::new(folder.clone())),
        LogPlace::Url(url) => Box::new(HttpSource::new(url, LOG_PATIENCE)),
    }
}

fn unverified() -> Standing {
    let reasons = vec![(Error::Unverified.code().to_owned(), Error::Unverified.to_string())];
    Standing { reasons, ..Standing::default() }
}

fn shown_lane(lane: &Lane) -> Value {
    let level = |target: &Arc<Target>| binding::shown(target.engines.level());
    let candidate = lane.candidate.as_ref().map(|candidate| &candidate.target);
    json!({
        "base": lane.base.as_ref().map(|target| target.state),
        "binding": lane.base.as_ref().map(level),
        "candidate": candidate.map(|target| target.state),
        "candidate_binding": candidate.map(level),
        "former": lane.former.as_ref().map(|target| target.state),
        "share_ppm": lane.candidate.as_ref().map(|candidate| candidate.share.ppm()),
        "reasons": lane.reasons,
    })
}

fn read_plan(slot: &SlotId, path: &Path, probes: usize) -> Result<Plan, Error> {
    let absent = || Error::Config {
        what: format!("plan of slot `{slot}`"),
        reason: "there is no such file".to_owned(),
    };
    let bytes = keep::read(path, PLAN_BYTES_MAX)?.ok_or_else(absent)?;
    let plan = Plan::parse(&bytes)?;
    check_plan(slot, &plan, probes)?;
    Ok(plan)
}
