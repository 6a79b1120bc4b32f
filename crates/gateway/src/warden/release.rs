//! From what a slot may serve to where its requests go, with the rollout in between.

use std::sync::Arc;

use rollout::assign::{Salt, Share};
use rollout::plan::Contexts;
use signer::{Signer as _, sign_statement};
use statement::kind::{BindingLevel, Response, Stage};
use statement::{ChangeId, StateId, Statement, StatementId, Tracking};

use super::Warden;
use crate::Error;
use crate::config::{Release, SlotEntry};
use crate::decide::Standing;
use crate::live::{Drive, Forward, Reach, Reported};
use crate::probes::Probing;
use crate::routes::{Candidate, Lane, Shadow, Target};

impl Warden {
    /// The lane of a slot, after its rollout has been judged.
    pub(super) fn lane(&mut self, slot: &SlotEntry, standing: &mut Standing, now_ms: u64) -> Lane {
        if standing.order.is_some() && self.is_blind(&slot.slot, now_ms) {
            let error = Error::Unwatched;
            standing.reasons.push((error.code().to_owned(), error.to_string()));
        }
        if let Some((order, admission)) = &standing.admitted {
            tracing::info!(%order, state = %admission.state, slot = %slot.slot, "an order is admitted");
            self.kept.admitted.insert(*order, admission.clone());
        }
        let response = self.respond(&slot.slot, standing);
        let mut reasons = std::mem::take(&mut standing.reasons);
        let released = match self.release(slot, standing, now_ms) {
            Ok(released) => released,
            Err(error) => {
                tracing::debug!(code = error.code(), %error, slot = %slot.slot, "a rollout cannot go on");
                reasons.push((error.code().to_owned(), error.to_string()));
                None
            }
        };
        let released = released.map(|mut reach| {
            if response >= Some(Response::Restrict) {
                reach.contexts = Contexts::NonCritical;
            }
            reach
        });
        let needed = std::mem::take(&mut standing.needed);
        let mut target = |state: StateId| {
            let Some(engines) = self.engines.get(&(slot.slot.clone(), state)) else {
                let error = Error::NoEngineDeclared { state };
                reasons.push((error.code().to_owned(), error.to_string()));
                return None;
            };
            let needed = needed.get(&state).copied().unwrap_or(BindingLevel::Attested);
            let found = engines.level();
            if found < Some(needed) {
                // It may be served, and no engine may be asked: as where none answers.
                let error = Error::Unbound { state, needed, found };
                reasons.push((error.code().to_owned(), error.to_string()));
            }
            let made_by =
                self.follower.ledger().world().state(&state).and_then(|state| state.body.made_by.clone());
            Some(Arc::new(Target::new(state, made_by.as_ref(), Arc::clone(engines), needed)))
        };
        let base = standing.base.and_then(&mut target);
        let is_cut = |state: &StateId| self.plane.cut.borrow().contains(&(slot.slot.clone(), *state));
        let is_here = |state: &StateId| self.engines.contains_key(&(slot.slot.clone(), *state));
        let former = standing.former.filter(|state| base.is_some() && is_here(state) && !is_cut(state));
        let former = former.and_then(&mut target);
        let mut shadow = None;
        let mut probed = None;
        let candidate = match (&standing.order, released) {
            (Some(order), Some(reach)) if reach.share > Share::NONE => {
                target(order.state).map(|target| Candidate {
                    target,
                    share: reach.share,
                    contexts: reach.contexts,
                    salt: Salt::of(*order.order.digest()),
                    epoch: order
                        .order
                        .digest()
                        .as_bytes()
                        .first_chunk()
                        .map_or(1, |head| u64::from_le_bytes(*head) | 1),
                    tally: reach.tally,
                })
            }
            (Some(order), Some(Reach { tally: Some(tally), contexts, stage, .. })) => {
                match (target(order.state), stage) {
                    (Some(target), Stage::Shadow) => {
                        let room = Arc::clone(&self.plane.shadows);
                        shadow = Some(Shadow { target, contexts, tally, room });
                    }
                    (Some(target), Stage::Synthetic) => probed = Some((target, tally)),
                    _ => {}
                }
                None
            }
            _ => None,
        };
        let probed = probed.and_then(|(candidate, tally)| {
            Some(Probing { candidate, control: Arc::clone(base.as_ref()?), tally })
        });
        if let Err(error) = self.probers.keep(slot, probed, &self.config.limits) {
            tracing::error!(code = error.code(), %error, slot = %slot.slot, "made-up requests are not sent");
            reasons.push((error.code().to_owned(), error.to_string()));
        }
        reasons.extend(self.untied(slot));
        let mut codes: Vec<String> = reasons.iter().map(|(code, _)| code.clone()).collect();
        codes.dedup();
        standing.reasons = reasons;
        Lane {
            slot: slot.slot.clone(),
            unit: slot.unit.clone(),
            system_prompts: slot.system_prompts,
            base,
            former,
            candidate,
            shadow,
            reasons: codes,
        }
    }

    /// The share of what is being released, after judging it by what was counted.
    fn release(
        &mut self,
        slot: &SlotEntry,
        standing: &Standing,
        now_ms: u64,
    ) -> Result<Option<Reach>, Error> {
        let Some(order) = &standing.order else {
            // An order that may not be served now may be again, as where the log was out of reach for too long: its
            // rollout stands still meanwhile. One that is no longer the slot's is over.
            let is_over =
                self.drives.get(&slot.slot).is_some_and(|drive| standing.in_record != Some(drive.order));
            if is_over && let Some(mut drive) = self.drives.remove(&slot.slot) {
                if drive.abort(now_ms).is_ok() {
                    self.plane.metrics.rollbacks.get_or_create(&[("model", slot.model.clone())]).inc();
                }
                self.kept.rollouts.insert(drive.order, drive.kept());
            }
            return Ok(None);
        };
        if !self.engines.contains_key(&(slot.slot.clone(), order.state)) {
            // Nothing to bring to anybody: the rollout waits for a configuration that says where the state runs.
            return Err(Error::NoEngineDeclared { state: order.state });
        }
        let Some(plan) = self.plans.get(&slot.slot) else { return Ok(Some(Reach::everybody())) };
        if self.drives.get(&slot.slot).is_none_or(|drive| drive.order != order.order) {
            let units = self.config.limits.units;
            let mut drive = Drive::new(Arc::clone(plan), order.order, order.change.clone(), units)?;
            if let Some(kept) = self.kept.rollouts.get(&order.order) {
                drive.resume(kept, now_ms)?;
            }
            self.drives.insert(slot.slot.clone(), drive);
        }
        let barred = order.frozen.is_some() || self.is_blind(&slot.slot, now_ms);
        let Some(drive) = self.drives.get_mut(&slot.slot) else { return Ok(None) };
        let forward = if barred { Forward::Barred } else { Forward::Open };
        if drive.waits()
            && forward == Forward::Open
            && matches!(slot.release, Release::Stages(_))
            && !order.serving
        {
            drive.start(now_ms)?;
        }
        if forward == Forward::Open
            && let Some((holder, report)) = drive.waits_for()
        {
            let holder = holder.clone();
            let dossier = self.follower.ledger().dossier(&order.change);
            let mut sign_offs =
                dossier.iter().flat_map(|dossier| &dossier.sign_offs).map(|signed| &signed.body);
            let is_given = sign_offs.any(|signed| {
                signed.order == order.order
                    && signed.report == report
                    && signed.role.to_string() == holder.as_str()
            });
            if is_given {
                drive.sign_off(holder, now_ms)?;
            }
        }
        let judged = drive.tick(now_ms, forward);
        let (is_back, released, kept) = (drive.is_back(), drive.reach(), drive.kept());
        let change = drive.change.clone();
        if is_back && self.kept.rollouts.get(&order.order).is_none_or(|before| before.state != kept.state) {
            self.plane.metrics.rollbacks.get_or_create(&[("model", slot.model.clone())]).inc();
            tracing::warn!(%change, slot = %slot.slot, "the release is taken back");
        }
        self.kept.rollouts.insert(order.order, kept);
        match judged {
            Ok(None) => {}
            Ok(Some(reported)) => match self.report(&change, &reported, now_ms) {
                Ok(Some(id)) => {
                    if let Some(drive) = self.drives.get_mut(&slot.slot) {
                        drive.reported(id);
                        self.kept.rollouts.insert(order.order, drive.kept());
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(code = error.code(), %error, "a stage report could not be written");
                }
            },
            Err(error) => return Err(error),
        }
        if is_back {
            return Ok(None);
        }
        // The record says that everybody has it: this gateway may have begun after that.
        Ok(Some(if order.serving { Reach::everybody() } else { released }))
    }

    /// Signs a report, and leaves it for the log.
    fn report(
        &mut self,
        change: &ChangeId,
        reported: &Reported,
        now_ms: u64,
    ) -> Result<Option<StatementId>, Error> {
        let Some(key) = &self.key else { return Ok(None) };
        let about = Tracking::Change(change.clone());
        let realm = self.config.realm.name.clone();
        let statement =
            Statement::new(realm, about, now_ms, reported.report.clone()).signed_by(&[key.public_key().id()]);
        let envelope = sign_statement(key, &statement)?;
        self.reports = self.reports.wrapping_add(1);
        self.keep.report((now_ms, self.reports), &envelope, &[&reported.data, &reported.plan])?;
        Ok(Some(envelope.id()))
    }
}
