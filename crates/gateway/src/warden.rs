//! The one thread that decides: it follows the log, asks the gate, drives rollouts, and publishes routes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use dossier::{Applied, Checked, Ledger};
use policy::gate::CheckpointView;
use rollout::assign::{Salt, Share};
use rollout::plan::{Contexts, Plan};
use serde_json::{Value, json};
use signer::{FileKey, KeyFile, Signer as _, sign_statement};
use statement::kind::{FreezeAction, RevocationTarget};
use statement::{Body, Content, Envelope, SlotId, StateId, Statement, Tracking, leaf};
use tokio::sync::watch;

use crate::callers::Callers;
use crate::config::{Config, LogPlace, Release, SlotEntry, check_plan};
use crate::control::{self, Asked};
use crate::decide::{Moment, Standing, decide};
use crate::engines::{Engines, client};
use crate::follow::Follower;
use crate::keep::{self, Keep, Kept};
use crate::live::{Drive, Forward, Reported, full};
use crate::metrics::Metrics;
use crate::plane::{Health, Plane};
use crate::routes::{Candidate, Lane, Routes, Target};
use crate::sessions::Sessions;
use crate::{Error, FolderSource, HttpSource, Server, Source};

/// Tells the time, in milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How long one resource of the log may take to come.
const LOG_PATIENCE: Duration = Duration::from_secs(2);
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
    source: SourceBox,
    left_out: u32,
    trouble: Option<String>,
    engines: BTreeMap<(SlotId, StateId), Arc<Engines>>,
    plans: BTreeMap<SlotId, Arc<Plan>>,
    drives: BTreeMap<SlotId, Drive>,
    standings: BTreeMap<SlotId, Standing>,
    pending: Vec<Envelope>,
    key: Option<FileKey>,
    /// Reports that were signed since the start.
    reports: u32,
}

/// A source, which has nothing to show.
struct SourceBox(Box<dyn Source>);

impl std::fmt::Debug for SourceBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

impl Warden {
    /// Opens a gateway: reads what it kept, and listens. Nothing is routed before the first [`Warden::tick`].
    ///
    /// # Errors
    /// Whatever of the configuration cannot be used, and kept files that are not what was kept.
    pub fn open(config: Config, clock: Clock) -> Result<(Self, Server), Error> {
        let source: Box<dyn Source> = match &config.log {
            LogPlace::Folder(folder) => Box::new(FolderSource::new(folder.clone())),
            LogPlace::Url(url) => Box::new(HttpSource::new(url, LOG_PATIENCE)),
        };
        Self::with_source(config, clock, source)
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
        let keep = Keep::open(&config.state)?;
        let kept = keep.kept()?;
        let follower = Follower::open(&config.realm, &keep)?;
        let pending = keep.pending()?;
        let (mut engines, mut plans) = (BTreeMap::new(), BTreeMap::new());
        for slot in &config.slots {
            for state in &slot.states {
                engines.insert((slot.slot.clone(), state.state), Arc::new(Engines::new(state)?));
            }
            if let Release::Stages(path) | Release::StagesByHand(path) = &slot.release {
                plans.insert(slot.slot.clone(), Arc::new(read_plan(&slot.slot, path)?));
            }
        }
        let key = config.rollout_key.as_ref().map(|path| KeyFile::read(path)?.open_unsealed()).transpose()?;
        let plane = Arc::new(Plane {
            routes: ArcSwap::default(),
            callers: Callers::new(&config.keys),
            sessions: Sessions::new(&config.limits),
            client: client(&config.limits),
            limits: config.limits,
            metrics: Metrics::new(),
            clock,
            started: Instant::now(),
            health: ArcSwap::default(),
            under_way: watch::Sender::new(0),
        });
        let server = Server::bind(Arc::clone(&plane), config.listen)?;
        let saved = kept.clone();
        let warden = Self {
            config,
            plane,
            keep,
            kept,
            saved,
            follower,
            source: SourceBox(source),
            left_out: 0,
            trouble: None,
            engines,
            plans,
            drives: BTreeMap::new(),
            standings: BTreeMap::new(),
            pending,
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
        let asked = control::listen(&self.config.state)?;
        let every = Duration::from_millis(self.config.limits.poll_ms);
        let mut next = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            match asked.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(waiting) => {
                    let answer = self.ask(&waiting.asked).unwrap_or_else(|error| control::refused(&error));
                    // Who has gone does not hear it.
                    drop(waiting.answer.send(answer));
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.tick();
                    next = Instant::now() + every;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    /// One turn: rollouts are judged by what was counted, the log is looked at, and routes are published.
    pub fn tick(&mut self) {
        // Going back must not wait for a log that does not answer.
        self.decide();
        self.look();
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
        match self.follower.look(&*self.source.0, &self.keep) {
            Ok(_) => self.trouble = None,
            Err(error) => {
                self.plane.metrics.log_failures.inc();
                self.left_out = LOOKS_LEFT_OUT;
                let told = control::told(&error);
                if self.trouble.is_none() {
                    tracing::warn!(code = error.code(), "the log cannot be followed: {told}");
                }
                self.trouble = Some(format!("{}: {told}", error.code()));
            }
        }
        if let Some(view) = self.follower.view() {
            let metrics = &self.plane.metrics;
            metrics.log_size.set(i64::try_from(view.size).unwrap_or(i64::MAX));
            metrics.checkpoint.set(std::time::Duration::from_millis(view.witnessed_ms).as_secs_f64());
        }
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
        let mut standings = BTreeMap::new();
        if let Some((ledger, view)) = self.present(now_ms) {
            let moment = Moment { now_ms, floor_ms, view };
            for slot in &slots {
                standings.insert(slot.slot.clone(), decide(&ledger, &slot.slot, &kept, moment));
            }
            let stamp_ms = ledger.world().stamp_ms();
            let own_ms = now_ms.min(view.witnessed_ms.saturating_add(FLOOR_AHEAD_MAX_MS));
            let floor = floor_ms.max(stamp_ms).max(own_ms);
            if floor >= floor_ms + FLOOR_STEP_MS {
                self.kept.floor_ms = floor;
            }
        }
        let mut routes = Routes { decided: Some(Instant::now()), ..Routes::default() };
        for slot in &slots {
            let standing = standings.remove(&slot.slot).unwrap_or_else(unverified);
            let lane = self.lane(slot, &standing, now_ms);
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

    /// The lane of a slot, after its rollout has been judged.
    fn lane(&mut self, slot: &SlotEntry, standing: &Standing, now_ms: u64) -> Lane {
        if let Some((order, admission)) = &standing.admitted {
            tracing::info!(%order, state = %admission.state, slot = %slot.slot, "an order is admitted");
            self.kept.admitted.insert(*order, admission.clone());
        }
        let mut reasons = standing.reasons.clone();
        let released = match self.release(slot, standing, now_ms) {
            Ok(released) => released,
            Err(error) => {
                tracing::error!(code = error.code(), %error, slot = %slot.slot, "a rollout cannot go on");
                reasons.push((error.code().to_owned(), error.to_string()));
                None
            }
        };
        let mut target = |state: StateId| {
            let Some(engines) = self.engines.get(&(slot.slot.clone(), state)) else {
                let error = Error::NoEngineDeclared { state };
                reasons.push((error.code().to_owned(), error.to_string()));
                return None;
            };
            let made_by =
                self.follower.ledger().world().state(&state).and_then(|state| state.body.made_by.clone());
            Some(Arc::new(Target::new(state, made_by.as_ref(), Arc::clone(engines))))
        };
        let base = standing.base.and_then(&mut target);
        let candidate = match (&standing.order, released) {
            (Some(order), Some((share, contexts, tally))) if share > Share::NONE => {
                target(order.state).map(|target| Candidate {
                    target,
                    share,
                    contexts,
                    salt: Salt::of(*order.order.digest()),
                    epoch: order
                        .order
                        .digest()
                        .as_bytes()
                        .first_chunk()
                        .map_or(1, |head| u64::from_le_bytes(*head) | 1),
                    tally,
                })
            }
            _ => None,
        };
        let mut codes: Vec<String> = reasons.into_iter().map(|(code, _)| code).collect();
        codes.dedup();
        Lane {
            slot: slot.slot.clone(),
            unit: slot.unit.clone(),
            system_prompts: slot.system_prompts,
            base,
            candidate,
            reasons: codes,
        }
    }

    /// The share of what is being released, after judging it by what was counted.
    #[allow(clippy::type_complexity, reason = "it is taken apart at once")]
    fn release(
        &mut self,
        slot: &SlotEntry,
        standing: &Standing,
        now_ms: u64,
    ) -> Result<Option<(Share, Contexts, Option<Arc<crate::tally::Tally>>)>, Error> {
        let Some(order) = &standing.order else {
            // Taken back, revoked or run out: what is left of a rollout ends with it.
            if let Some(mut drive) = self.drives.remove(&slot.slot) {
                if drive.abort(now_ms).is_ok() {
                    self.plane.metrics.rollbacks.get_or_create(&[("model", slot.model.clone())]).inc();
                }
                self.kept.rollouts.insert(drive.order, drive.kept());
            }
            return Ok(None);
        };
        let Some(plan) = self.plans.get(&slot.slot) else { return Ok(Some((full(), Contexts::All, None))) };
        if self.drives.get(&slot.slot).is_none_or(|drive| drive.order != order.order) {
            let units = self.config.limits.units;
            let mut drive = Drive::new(Arc::clone(plan), order.order, order.change.clone(), units)?;
            if let Some(kept) = self.kept.rollouts.get(&order.order) {
                drive.resume(kept, now_ms)?;
            }
            self.drives.insert(slot.slot.clone(), drive);
        }
        let Some(drive) = self.drives.get_mut(&slot.slot) else { return Ok(None) };
        let forward = if order.frozen.is_some() { Forward::Barred } else { Forward::Open };
        if drive.waits()
            && forward == Forward::Open
            && matches!(slot.release, Release::Stages(_))
            && !order.serving
        {
            drive.start(now_ms)?;
        }
        let judged = drive.tick(now_ms, forward);
        let (is_back, released, kept) = (drive.is_back(), drive.share(), drive.kept());
        let change = drive.change.clone();
        if is_back && self.kept.rollouts.get(&order.order).is_none_or(|before| before.state != kept.state) {
            self.plane.metrics.rollbacks.get_or_create(&[("model", slot.model.clone())]).inc();
            tracing::warn!(%change, slot = %slot.slot, "the release is taken back");
        }
        self.kept.rollouts.insert(order.order, kept);
        match judged {
            Ok(None) => {}
            Ok(Some(reported)) => {
                if let Err(error) = self.report(&change, &reported, now_ms) {
                    tracing::error!(code = error.code(), %error, "a stage report could not be written");
                }
            }
            Err(error) => return Err(error),
        }
        if is_back {
            return Ok(None);
        }
        // The record says that everybody has it: this gateway may have begun after that.
        Ok(Some(if order.serving { (full(), Contexts::All, None) } else { released }))
    }

    fn report(
        &mut self,
        change: &statement::ChangeId,
        reported: &Reported,
        now_ms: u64,
    ) -> Result<(), Error> {
        let Some(key) = &self.key else { return Ok(()) };
        let about = Tracking::Change(change.clone());
        let realm = self.config.realm.name.clone();
        let statement =
            Statement::new(realm, about, now_ms, reported.report.clone()).signed_by(&[key.public_key().id()]);
        let envelope = sign_statement(key, &statement)?;
        self.reports = self.reports.wrapping_add(1);
        self.keep.report((now_ms, self.reports), &envelope, &[&reported.data, &reported.plan])
    }

    /// Does what an operator asks.
    ///
    /// # Errors
    /// Whatever does not apply, with its code.
    pub fn ask(&mut self, asked: &Asked) -> Result<Value, Error> {
        let now_ms = self.now_ms();
        match asked {
            Asked::Status => return Ok(self.status()),
            Asked::Start { change } => self.drive(change)?.start(now_ms)?,
            Asked::Pause { change } => self.drive(change)?.pause(now_ms)?,
            Asked::Resume { change } => self.drive(change)?.resume_from_pause(now_ms)?,
            Asked::Abort { change } => self.drive(change)?.abort(now_ms)?,
            Asked::Statement { envelope } => self.act_by(&Envelope::parse(envelope.as_bytes())?, now_ms)?,
        }
        self.decide();
        Ok(self.status())
    }

    /// Acts by a statement that stops or takes back.
    fn act_by(&mut self, envelope: &Envelope, now_ms: u64) -> Result<(), Error> {
        let content = Content::parse(envelope.payload.as_slice())?;
        let takes_away = match &content {
            Content::Known(statement) => match &statement.body {
                Body::RollbackOrder(_) => true,
                Body::Freeze(freeze) => freeze.action == FreezeAction::Begin,
                Body::Revocation(revocation) => matches!(revocation.target, RevocationTarget::Order(_)),
                _ => false,
            },
            Content::Opaque(_) => false,
        };
        if !takes_away {
            return Err(Error::GoesForward { kind: content.header().kind.to_string() });
        }
        let Some((ledger, _)) = self.present(now_ms) else {
            return Err(Error::GoesForward { kind: content.header().kind.to_string() });
        };
        let mut ledger = ledger.into_owned();
        self.try_out(&mut ledger, envelope, now_ms)?;
        // It acts even where it cannot be kept.
        self.pending.push(envelope.clone());
        self.keep.add_pending(envelope)
    }

    fn drive(&mut self, name: &str) -> Result<&mut Drive, Error> {
        let wanted = if name.starts_with("chg-") { name.to_owned() } else { format!("chg-{name}") };
        let mut found = self.drives.values_mut().filter(|drive| drive.change.as_str().starts_with(&wanted));
        match (found.next(), found.next()) {
            (Some(drive), None) => Ok(drive),
            _ => Err(Error::NoRollout { name: name.to_owned() }),
        }
    }

    /// How everything stands.
    pub fn status(&self) -> Value {
        let slot = |slot: &SlotEntry| {
            let standing = self.standings.get(&slot.slot);
            let reasons: Vec<_> = standing
                .iter()
                .flat_map(|standing| &standing.reasons)
                .map(|(code, about)| json!({ "code": code, "about": about }))
                .collect();
            json!({
                "slot": slot.slot, "model": slot.model, "binding": "declared",
                "base": standing.and_then(|standing| standing.base),
                "order": standing.and_then(|standing| standing.order.as_ref()).map(|order| json!({
                    "order": order.order, "change": order.change, "state": order.state, "serving": order.serving, "frozen": order.frozen,
                })),
                "reasons": reasons,
                "rollout": self.drives.get(&slot.slot).map(Drive::status),
            })
        };
        let view = self.follower.view();
        json!({
            "slots": self.config.slots.iter().map(slot).collect::<Vec<_>>(),
            "log": {
                "size": view.map(|view| view.size), "witnessed_ms": view.map(|view| view.witnessed_ms),
                "witnesses": view.map(|view| view.witnesses), "trouble": self.trouble, "pending": self.pending.len(),
            },
            "floor_ms": self.kept.floor_ms,
        })
    }
}

fn unverified() -> Standing {
    let reasons = vec![(Error::Unverified.code().to_owned(), Error::Unverified.to_string())];
    Standing { reasons, ..Standing::default() }
}

fn shown_lane(lane: &Lane) -> Value {
    json!({
        "base": lane.base.as_ref().map(|target| target.state),
        "candidate": lane.candidate.as_ref().map(|candidate| candidate.target.state),
        "share_ppm": lane.candidate.as_ref().map(|candidate| candidate.share.ppm()),
        "binding": "declared",
        "reasons": lane.reasons,
    })
}

fn read_plan(slot: &SlotId, path: &Path) -> Result<Plan, Error> {
    let absent = || Error::Config {
        what: format!("plan of slot `{slot}`"),
        reason: "there is no such file".to_owned(),
    };
    let bytes = keep::read(path, PLAN_BYTES_MAX)?.ok_or_else(absent)?;
    let plan = Plan::parse(&bytes)?;
    check_plan(slot, &plan)?;
    Ok(plan)
}
