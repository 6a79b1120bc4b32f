//! Where requests go: a table that is read by every request and replaced as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::HeaderValue;
use rollout::assign::{self, Arm, Salt, Share};
use rollout::plan::Contexts;
use statement::kind::BindingLevel;
use statement::{ChangeId, Digest, SlotId, StateId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::{Context, SystemPrompts, Unit};
use crate::engines::Engines;
use crate::limits::Limits;
use crate::sessions::{Found, Offer, Sessions, Version};
use crate::tally::{Sample, Side, Tally};

/// How long a table is good: far longer than a turn of the warden takes.
const DECIDED_AGO_MAX: Duration = Duration::from_mins(1);

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// By the model's name.
    pub(crate) lanes: BTreeMap<String, Lane>,
    /// When it was decided.
    pub(crate) decided: Option<Instant>,
}

/// What becomes of requests for a model.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) slot: SlotId,
    pub(crate) unit: Vec<Unit>,
    pub(crate) system_prompts: SystemPrompts,
    /// What was served before, or is served where nothing is released.
    pub(crate) base: Option<Arc<Target>>,
    /// What was served before that, for the sessions that are still on it.
    pub(crate) former: Option<Arc<Target>>,
    /// What is being released.
    pub(crate) candidate: Option<Candidate>,
    /// What is tried beside what is served, and answers nobody.
    pub(crate) shadow: Option<Shadow>,
    /// Codes of why something is not served.
    pub(crate) reasons: Vec<String>,
}

/// A state that gets copies of requests.
#[derive(Debug)]
pub(crate) struct Shadow {
    pub(crate) target: Arc<Target>,
    pub(crate) contexts: Contexts,
    pub(crate) tally: Arc<Tally>,
    /// Room for copies that are under way. Where there is none, a request is not copied.
    pub(crate) room: Arc<Semaphore>,
}

/// A copy of a request that is about to be sent.
#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) target: Arc<Target>,
    pub(crate) sample: Sample,
    pub(crate) place: OwnedSemaphorePermit,
}

/// A state that may be served, and its engines.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) state: StateId,
    pub(crate) engines: Arc<Engines>,
    /// The least tie that an engine must have to be asked.
    pub(crate) needed: BindingLevel,
    pub(crate) change_header: HeaderValue,
    pub(crate) state_header: HeaderValue,
}

/// A state that is being released.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) target: Arc<Target>,
    pub(crate) share: Share,
    pub(crate) contexts: Contexts,
    pub(crate) salt: Salt,
    /// Tells this release from others.
    pub(crate) epoch: u64,
    /// Counts where the stage compares.
    pub(crate) tally: Option<Arc<Tally>>,
}

/// Where one request goes.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) target: Arc<Target>,
    /// What takes its place if it cannot answer: what is served to everybody else.
    pub(crate) spare: Option<Arc<Target>>,
    pub(crate) sample: Option<Sample>,
    /// A copy that goes to what is tried.
    pub(crate) mirror: Option<Mirror>,
    pub(crate) arm: &'static str,
}

impl Target {
    pub(crate) fn new(
        state: StateId,
        change: Option<&ChangeId>,
        engines: Arc<Engines>,
        needed: BindingLevel,
    ) -> Self {
        let header = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-"));
        let change_header =
            change.map_or(HeaderValue::from_static("baseline"), |change| header(change.as_str()));
        Self { state, engines, needed, change_header, state_header: header(&state.to_string()) }
    }
}

impl Routes {
    /// Whether it is still good. Where nobody decides any more, nothing is served any more.
    pub(crate) fn is_good(&self, limits: &Limits) -> bool {
        let patience = DECIDED_AGO_MAX.max(Duration::from_millis(limits.poll_ms.saturating_mul(10)));
        self.decided.is_some_and(|decided| decided.elapsed() <= patience)
    }
}

impl Choice {
    /// The chosen version is at fault, whoever answers in its place.
    pub(crate) fn fail(&mut self) {
        if let Some(sample) = &mut self.sample {
            sample.fail();
        }
    }
}

impl Shadow {
    /// The copy and the sample of the request itself, where there is room and the unit had none in this stage.
    fn copy(&self, unit: u64) -> Option<(Mirror, Sample)> {
        let place = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let [sample, served] = self.tally.claim_pair(unit)?;
        Some((Mirror { target: Arc::clone(&self.target), sample, place }, served))
    }
}

impl Lane {
    /// Where a unit's request goes.
    pub(crate) fn choose(
        &self,
        unit: &Digest,
        context: Context,
        now_ms: u64,
        sessions: &Sessions,
    ) -> Option<Choice> {
        let key = unit.as_bytes().first_chunk().map_or(0, |head| u64::from_le_bytes(*head));
        let takes_part = |contexts: Contexts| contexts == Contexts::All || context == Context::NonCritical;
        let base = self.base.as_ref().map(|base| version(base.state));
        let former = self.former.as_ref().map(|former| version(former.state));
        let Some(candidate) = &self.candidate else {
            // Remembered, so that a release that begins does not move it.
            let offer = Offer { epoch: 0, fresh: (base?, Arm::Rest), served: [base, former, None] };
            let found = sessions.find(key, now_ms, offer);
            if let Some(choice) = self.former(found) {
                return Some(choice);
            }
            let target = Arc::clone(self.base.as_ref()?);
            let shadow = self.shadow.as_ref().filter(|shadow| takes_part(shadow.contexts));
            let (mirror, sample) = shadow.and_then(|shadow| shadow.copy(key)).unzip();
            return Some(Choice { target, spare: None, sample, mirror, arm: "all" });
        };
        let own = version(candidate.target.state);
        let bucket = assign::bucket(&candidate.salt, unit.as_bytes());
        let arm = if takes_part(candidate.contexts) {
            assign::arm_of_bucket(bucket, candidate.share)
        } else {
            Arm::Rest
        };
        let on = if arm == Arm::Candidate { own } else { base.unwrap_or(own) };
        let offer = Offer { epoch: candidate.epoch, fresh: (on, arm), served: [base, former, Some(own)] };
        let found = sessions.find(key, now_ms, offer);
        if let Some(choice) = self.former(found) {
            return Some(choice);
        }
        let claim = |side| candidate.tally.as_ref().filter(|_| found.compared)?.claim(key, side);
        let is_own = found.on == own;
        match (&self.base, is_own, arm) {
            (Some(base), false, Arm::Control) => {
                let (target, sample) = (Arc::clone(base), claim(Side::Control));
                Some(Choice { target, spare: None, sample, mirror: None, arm: "control" })
            }
            (Some(base), false, _) => {
                let target = Arc::clone(base);
                Some(Choice { target, spare: None, sample: None, mirror: None, arm: "rest" })
            }
            (base, _, _) => {
                let target = Arc::clone(&candidate.target);
                // Where everybody has it, there is nothing that everybody else has.
                let spare = base.clone().filter(|_| candidate.share.ppm() < assign::BUCKETS);
                let sample = claim(Side::Candidate);
                Some(Choice { target, spare, sample, mirror: None, arm: "candidate" })
            }
        }
    }
}

impl Lane {
    /// The way of a session that began before what is served was served.
    fn former(&self, found: Found) -> Option<Choice> {
        let former = self.former.as_ref().filter(|former| version(former.state) == found.on)?;
        Some(Choice {
            target: Arc::clone(former),
            spare: self.base.clone(),
            sample: None,
            mirror: None,
            arm: "former",
        })
    }
}

fn version(state: StateId) -> Version {
    Version(state.digest().as_bytes().first_chunk().map_or(0, |head| u64::from_le_bytes(*head)))
}
