//! Statements about a change: they go into its dossier and move its lifecycle.

use std::collections::BTreeSet;

use statement::kind::{
    Approval, Capacity, EngineBinding, EvidenceKind, Finding, GateDecision, Incident, Outcome, Proposal,
    Rejection, ReleaseOrder, Retirement, Role, RollbackOrder, ServedState, SignOff, StageReport, Verdict,
};
use statement::{Body, ChangeId, Digest, SlotId, StateId, StatementId};

use super::{Act, Judge, Ledger};
use crate::change::Recorded;
use crate::change::{Dossier, digests};
use crate::lifecycle::{Effect, Event, State, step};
use crate::refusal::{Code, Refusal};
use crate::world::Fail;

impl Ledger {
    /// Carries out a statement that its signers may make.
    pub(super) fn perform(&mut self, act: &Act<'_>, judge: &dyn Judge) -> Result<(), Refusal> {
        match &act.statement.body {
            Body::TrustRoot(body) => self.trust_root(act, body),
            Body::DirectoryEntry(body) => self.directory_entry(act, body)?,
            Body::Policy(body) => self.policy(act, body, judge)?,
            Body::Slot(body) => self.slot(act, body)?,
            Body::Grant(body) => self.grant(act, body, judge)?,
            Body::Revocation(body) => self.revocation(act, body)?,
            Body::CapabilityLevel(body) => self.capability_level(body)?,
            Body::Freeze(body) => self.freeze(act, body, judge)?,
            Body::Hold(body) => self.hold(body)?,
            Body::Purge(body) => self.purge(act, body, judge)?,
            Body::ServedState(body) => self.served_state(act, body)?,
            Body::Proposal(body) => self.proposal(act, body)?,
            Body::Finding(body) => self.finding(act, body)?,
            Body::Verdict(body) => self.verdict(act, body, judge)?,
            Body::Approval(body) => self.approval(act, body, judge)?,
            Body::Rejection(body) => self.rejection(act, body)?,
            Body::ReleaseOrder(body) => self.release_order(act, body, judge)?,
            Body::EngineBinding(body) => self.engine_binding(act, body)?,
            Body::StageReport(body) => self.stage_report(act, body)?,
            Body::SignOff(body) => self.sign_off(act, body)?,
            Body::Incident(body) => self.incident(act, body)?,
            Body::RollbackOrder(body) => self.rollback(act, body)?,
            Body::Retirement(body) => self.retirement(act, body)?,
            // Facts without effect on what may happen next.
            Body::Observation(_) | Body::BreakGlass(_) | Body::Attempt(_) => {}
        }
        Ok(())
    }

    fn served_state(&mut self, act: &Act<'_>, body: &ServedState) -> Result<(), Refusal> {
        let id = body.manifest.id().map_err(|_| Refusal::new(Code::Malformed, "manifest"))?;
        if let Some(parent) = body.parents.iter().find(|parent| !self.world.states.contains_key(*parent)) {
            return Err(Refusal::new(Code::StateUnknown, parent));
        }
        if self.world.states.contains_key(&id) {
            return Err(Refusal::new(Code::Repeated, id));
        }
        let components = &body.manifest.components;
        let digests: BTreeSet<_> = components.iter().map(|component| component.digest).collect();
        let places: BTreeSet<_> =
            components.iter().map(|component| (component.role, &component.name)).collect();
        // Components apply in order, so the same one twice is another model than the one that was measured.
        if components.is_empty() || digests.len() != components.len() || places.len() != components.len() {
            return Err(Refusal::new(Code::ManifestInvalid, id));
        }
        if body.made_by.as_ref() != act.statement.header.change.change() {
            return Err(Refusal::new(Code::ManifestInvalid, id));
        }
        self.world.states.insert(id, act.record(body.clone()));
        Ok(())
    }

    fn proposal(&mut self, act: &Act<'_>, body: &Proposal) -> Result<(), Refusal> {
        let change = change_of(act)?;
        if act.signers.iter().any(|signer| signer.person != *body.proposer.person()) {
            return Err(Refusal::new(Code::OtherProposer, body.proposer.person()));
        }
        if !self.world.slots.contains_key(&body.slot) {
            return Err(Refusal::new(Code::UnknownSlot, &body.slot));
        }
        for state in [body.base_state, body.target_state] {
            if !self.world.states.contains_key(&state) {
                return Err(Refusal::new(Code::StateUnknown, state));
            }
        }
        let record = act.record(body.clone());
        match (self.dossiers.get_mut(&change), body.replaces) {
            (None, None) => {
                self.dossiers.insert(change.clone(), Dossier::open(change, record));
                Ok(())
            }
            (Some(dossier), Some(replaced)) if dossier.proposal.id == replaced => {
                let same_person = dossier.proposal.body.proposer.person() == body.proposer.person();
                if !same_person || dossier.proposal.body.slot != body.slot {
                    return Err(Refusal::new(Code::OtherProposer, body.proposer.person()));
                }
                if dossier.was_refused(&digests(body)) {
                    return Err(Refusal::new(Code::RefusedBefore, &change));
                }
                let (state, _) = step(dossier.state, &Event::Rebased)?;
                dossier.state = state;
                dossier.rebase(record);
                dossier.leaves.push(act.at.index);
                Ok(())
            }
            (Some(_), _) => Err(Refusal::new(Code::ChangeExists, change)),
            (None, Some(replaced)) => Err(Refusal::new(Code::UnknownProposal, replaced)),
        }
    }

    fn finding(&mut self, act: &Act<'_>, body: &Finding) -> Result<(), Refusal> {
        let review = body.evidence == EvidenceKind::ComplianceReview;
        let role = if review { Role::Compliance } else { Role::Examiner };
        if !act.signers.iter().all(|signer| signer.roles.contains(&role)) {
            return Err(Refusal::new(Code::EvidenceRole, format!("{}", body.evidence)));
        }
        let passes = body.outcome == Outcome::Pass;
        if passes && (!body.violations.is_empty() || body.violations_left_out > 0) {
            return Err(Refusal::new(Code::FindingContradicts, "it passes with violations"));
        }
        if body.trace.is_some_and(|trace| !body.attachments.contains(&trace.attachment)) {
            return Err(Refusal::new(Code::FindingContradicts, "its trace is not attached"));
        }
        let of_nothing = body.worker.is_none() && (body.attested.is_some() || !body.boundaries.is_empty());
        if of_nothing {
            return Err(Refusal::new(Code::FindingContradicts, "it tells of a box, and no worker ran"));
        }
        if body.attested.as_ref().is_some_and(|attested| !body.attachments.contains(&attested.attachment)) {
            return Err(Refusal::new(Code::FindingContradicts, "its attestation is not attached"));
        }
        let record = act.record(body.clone());
        let dossier = self.about(act, body.proposal)?;
        advance(dossier, act, &Event::Found)?;
        dossier.verdict = None;
        let against = (body.outcome == Outcome::Fail).then(|| {
            let proposal = &dossier.proposal.body;
            let about: BTreeSet<Digest> =
                digests(proposal).into_iter().chain([*proposal.target_state.digest()]).collect();
            (Fail::new(dossier, &record), about)
        });
        dossier.findings.insert(act.at.id, record);
        if let Some((fail, about)) = against {
            for digest in about {
                self.world.fails.entry(digest).or_default().insert(act.at.id, fail.clone());
            }
        }
        Ok(())
    }

    fn verdict(&mut self, act: &Act<'_>, body: &Verdict, judge: &dyn Judge) -> Result<(), Refusal> {
        let record = act.record(body.clone());
        let change = change_of(act)?;
        let dossier = self.about(act, body.proposal)?;
        let event = Event::Decided { verdict: act.at.id, outcome: body.outcome };
        step(dossier.state, &event)?;
        if let Some(dossier) = self.dossiers.get(&change) {
            judge.verdict(&self.world, dossier, &record)?;
        }
        let dossier = self.about(act, body.proposal)?;
        advance(dossier, act, &event)?;
        dossier.verdict = Some(record);
        Ok(())
    }

    fn approval(&mut self, act: &Act<'_>, body: &Approval, judge: &dyn Judge) -> Result<(), Refusal> {
        let record = act.record(body.clone());
        let change = change_of(act)?;
        let dossier = self.about(act, body.proposal)?;
        step(dossier.state, &Event::Approved)?;
        if let Some(dossier) = self.dossiers.get(&change) {
            judge.approval(&self.world, dossier, &record)?;
        }
        let dossier = self.about(act, body.proposal)?;
        advance(dossier, act, &Event::Approved)?;
        dossier.approvals.insert(act.at.id, record);
        Ok(())
    }

    fn rejection(&mut self, act: &Act<'_>, body: &Rejection) -> Result<(), Refusal> {
        let record = act.record(body.clone());
        let dossier = self.about(act, body.proposal)?;
        advance(dossier, act, &Event::Rejected)?;
        dossier.rejection = Some(record);
        Ok(())
    }

    fn release_order(
        &mut self,
        act: &Act<'_>,
        body: &ReleaseOrder,
        judge: &dyn Judge,
    ) -> Result<(), Refusal> {
        let record = act.record(body.clone());
        let change = change_of(act)?;
        let dossier = self.about(act, body.proposal)?;
        let event = Event::Ordered { order: act.at.id, from: body.from_state, to: body.to_state };
        step(dossier.state, &event)?;
        if let Some(dossier) = self.dossiers.get(&change) {
            judge.order(&self.world, dossier, &record)?;
        }
        let displaced = self.replace_present(&body.slot)?;
        self.use_grants(&change, body, act.at.stamp_ms);
        self.count_drift(&change, body);
        let dossier = self.about(act, body.proposal)?;
        let effects = advance(dossier, act, &event)?;
        dossier.order = Some(record);
        dossier.displaced = displaced;
        self.carry_out(&change, Some(act.at.id), act.at.index, &effects);
        Ok(())
    }

    /// The change now in the slot gives way to another.
    fn replace_present(&mut self, slot: &SlotId) -> Result<Option<(ChangeId, StatementId)>, Refusal> {
        let Some((present, order)) = self.world.slots.get(slot).and_then(|record| record.order.clone())
        else {
            return Ok(None);
        };
        let Some(dossier) = self.dossiers.get_mut(&present) else { return Ok(None) };
        if !matches!(dossier.state, State::Ordered { .. } | State::Serving { .. }) {
            return Ok(None);
        }
        // That it was replaced moves and counts nothing.
        (dossier.state, _) = step(dossier.state, &Event::Replaced)?;
        Ok(Some((present, order)))
    }

    /// The change whose place a rolled-back one had taken has its slot again, if the slot goes back to its state.
    fn reinstate(&mut self, slot: &SlotId, displaced: Option<(ChangeId, StatementId)>, to: StateId) {
        let Some((change, order)) = displaced else { return };
        let Some(dossier) = self.dossiers.get_mut(&change) else { return };
        let leads_there =
            |recorded: &Recorded<ReleaseOrder>| recorded.id == order && recorded.body.to_state == to;
        if !dossier.order.as_ref().is_some_and(leads_there) {
            return;
        }
        let Ok((state, _)) = step(dossier.state, &Event::Reinstated) else { return };
        dossier.state = state;
        if let Some(record) = self.world.slots.get_mut(slot) {
            record.order = Some((change, order));
        }
    }

    /// Charges the proposer's grant and the automation's, or the renewals under which they stand.
    fn use_grants(&mut self, change: &ChangeId, order: &ReleaseOrder, at_ms: u64) {
        let Some(dossier) = self.dossiers.get(change) else { return };
        let approvals = dossier.approvals.iter().filter(|(id, _)| order.approvals.contains(*id));
        let grants =
            approvals.filter_map(|(_, approval)| approval.body.grant).chain(dossier.proposal.body.grant);
        for named in grants.collect::<Vec<_>>() {
            let grant =
                self.world.grant_in_force(&named, change, at_ms).map_or(named, |record| record.grant.id);
            if let Some(record) = self.world.grants.get_mut(&grant) {
                record.used_by.insert(change.clone());
            }
        }
    }

    /// Sums what automatic releases change; persons' approval sets a new baseline.
    fn count_drift(&mut self, change: &ChangeId, order: &ReleaseOrder) {
        let Some(dossier) = self.dossiers.get(change) else { return };
        let automatic = dossier.approvals.iter().any(|(id, approval)| {
            order.approvals.contains(id) && approval.body.capacity == Capacity::Automation
        });
        let rules = self.world.policy.as_ref().map(|policy| &policy.body.rules);
        let moved = rules.map_or(1_000_000, |rules| dossier.drift_ppm(rules));
        if let Some(slot) = self.world.slots.get_mut(&order.slot) {
            slot.automatic_drift_ppm =
                if automatic { slot.automatic_drift_ppm.saturating_add(moved) } else { 0 };
        }
    }

    fn carry_out(&mut self, change: &ChangeId, order: Option<StatementId>, index: u64, effects: &[Effect]) {
        let Some(dossier) = self.dossiers.get(change) else { return };
        let modification = dossier.proposal.body.modification;
        let slot = dossier.proposal.body.slot.clone();
        for effect in effects {
            match effect {
                Effect::MoveSlot { to } => {
                    if let Some(record) = self.world.slots.get_mut(&slot) {
                        record.state = *to;
                        record.order = order.map(|order| (change.clone(), order));
                        record.history.push((index, *to));
                    }
                }
                Effect::CountSuccess => {
                    let class = self.world.classes.entry(modification).or_default();
                    class.successes = class.successes.saturating_add(1);
                }
                Effect::CountFailure => {
                    let class = self.world.classes.entry(modification).or_default();
                    class.failures = class.failures.saturating_add(1);
                }
            }
        }
    }

    fn engine_binding(&mut self, act: &Act<'_>, body: &EngineBinding) -> Result<(), Refusal> {
        let record = act.record(body.clone());
        let dossier = self.under(act, body.order)?;
        if dossier.order.as_ref().is_none_or(|order| order.body.to_state != body.state) {
            return Err(Refusal::new(Code::OtherThanOrder, body.state));
        }
        dossier.bindings.push(record);
        dossier.leaves.push(act.at.index);
        Ok(())
    }

    fn stage_report(&mut self, act: &Act<'_>, body: &StageReport) -> Result<(), Refusal> {
        let record = act.record(body.clone());
        let change = change_of(act)?;
        let event = Event::Staged { stage: body.stage, decision: body.decision };
        let dossier = self.under(act, body.order)?;
        let effects = advance(dossier, act, &event)?;
        dossier.stages.push(record);
        self.carry_out(&change, None, act.at.index, &effects);
        Ok(())
    }

    /// A sign-off is of a report that is in the record and says `promote`, by somebody who has the role that they speak
    /// as and did not propose the change.
    fn sign_off(&mut self, act: &Act<'_>, body: &SignOff) -> Result<(), Refusal> {
        let record = act.record(body.clone());
        let dossier = self.under(act, body.order)?;
        let is_signed = |report: &crate::change::Recorded<StageReport>| {
            report.id == body.report && report.body.decision == GateDecision::Promote
        };
        if !dossier.stages.iter().any(is_signed) {
            return Err(Refusal::new(Code::OtherThanOrder, body.report));
        }
        if !act.signers.iter().all(|signer| signer.roles.contains(&body.role)) {
            return Err(Refusal::new(Code::WrongRole, body.role));
        }
        let proposer = dossier.proposal.body.proposer.person();
        if act.signers.iter().any(|signer| signer.person == *proposer) {
            return Err(Refusal::new(Code::DutyForbids, "sign-off-by-proposer"));
        }
        dossier.sign_offs.push(record);
        dossier.leaves.push(act.at.index);
        Ok(())
    }

    fn incident(&mut self, act: &Act<'_>, body: &Incident) -> Result<(), Refusal> {
        let record = act.record(body.clone());
        let change = change_of(act)?;
        let dossier = self.under(act, body.order)?;
        if dossier.order.as_ref().is_none_or(|order| order.body.slot != body.slot) {
            return Err(Refusal::new(Code::OtherThanOrder, &body.slot));
        }
        let counted = dossier.has_failed();
        dossier.incidents.push(record);
        dossier.leaves.push(act.at.index);
        if !counted {
            self.carry_out(&change, None, act.at.index, &[Effect::CountFailure]);
        }
        Ok(())
    }

    fn rollback(&mut self, act: &Act<'_>, body: &RollbackOrder) -> Result<(), Refusal> {
        let change = change_of(act)?;
        let slot =
            self.world.slots.get(&body.slot).ok_or_else(|| Refusal::new(Code::UnknownSlot, &body.slot))?;
        if slot.state != body.from_state || slot.order != Some((change.clone(), body.order)) {
            return Err(Refusal::new(Code::OrderUnknown, body.order));
        }
        let record = act.record(body.clone());
        let dossier = self.under(act, body.order)?;
        let allowed = dossier
            .order
            .as_ref()
            .is_some_and(|order| [order.body.from_state, order.body.fallback].contains(&body.to_state));
        if !allowed {
            return Err(Refusal::new(Code::RollbackTarget, body.to_state));
        }
        let counted = dossier.has_failed();
        let mut effects = advance(dossier, act, &Event::RolledBack { to: body.to_state })?;
        if counted {
            effects.retain(|effect| *effect != Effect::CountFailure);
        }
        dossier.rollback = Some(record);
        let displaced = dossier.displaced.clone();
        self.carry_out(&change, None, act.at.index, &effects);
        self.reinstate(&body.slot, displaced, body.to_state);
        Ok(())
    }

    fn retirement(&mut self, act: &Act<'_>, body: &Retirement) -> Result<(), Refusal> {
        let change = change_of(act)?;
        let slot =
            self.world.slots.get(&body.slot).ok_or_else(|| Refusal::new(Code::UnknownSlot, &body.slot))?;
        let in_slot = slot.order.as_ref().is_some_and(|(present, _)| *present == change);
        if slot.state != body.state || !in_slot {
            return Err(Refusal::new(Code::SlotMoved, &body.slot));
        }
        let to = slot.definition.body.fallback;
        let dossier = self.dossiers.get_mut(&change).ok_or_else(|| Refusal::new(Code::NoChange, &change))?;
        let effects = advance(dossier, act, &Event::Retired { to })?;
        self.carry_out(&change, None, act.at.index, &effects);
        Ok(())
    }

    /// The dossier whose present proposal this is.
    fn about(&mut self, act: &Act<'_>, proposal: StatementId) -> Result<&mut Dossier, Refusal> {
        let change = change_of(act)?;
        match self.dossiers.get_mut(&change) {
            Some(dossier) if dossier.proposal.id == proposal => Ok(dossier),
            _ => Err(Refusal::new(Code::UnknownProposal, proposal)),
        }
    }

    /// The dossier whose order this is.
    fn under(&mut self, act: &Act<'_>, order: StatementId) -> Result<&mut Dossier, Refusal> {
        let change = change_of(act)?;
        match self.dossiers.get_mut(&change) {
            Some(dossier) if dossier.order.as_ref().is_some_and(|present| present.id == order) => Ok(dossier),
            _ => Err(Refusal::new(Code::OrderUnknown, order)),
        }
    }
}

fn change_of(act: &Act<'_>) -> Result<ChangeId, Refusal> {
    let tracking = &act.statement.header.change;
    tracking.change().cloned().ok_or_else(|| Refusal::new(Code::NoChange, act.at.id))
}

fn advance(dossier: &mut Dossier, act: &Act<'_>, event: &Event) -> Result<Vec<Effect>, Refusal> {
    let (state, effects) = step(dossier.state, event)?;
    dossier.state = state;
    dossier.leaves.push(act.at.index);
    Ok(effects)
}
