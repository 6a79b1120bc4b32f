//! Counting a stage: every unit once, from real answers.
//!
//! The first request that a unit sends in a stage is the one it is judged by, whatever becomes of it: picking another
//! would pick by outcome. Rows are taken out once a second.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rollout::gate::{Cell, Row};
use rollout::plan::{Comparing, Metric, Plan};
use statement::Digest;

use crate::answers::{Finish, Reading, said};

/// Units are kept apart in so many sets, so that requests rarely wait for each other.
const SHARDS: usize = 64;
/// Bytes of an answer that are kept to read its text: what is longer is as long as this.
const KEPT_BYTES_MAX: usize = 256 << 10;
/// The metric that needs an answer's text.
const LENGTH: &str = "length";

/// Which of the two that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Candidate,
    Control,
}

/// The units and counts of a stage.
#[derive(Debug)]
pub(crate) struct Tally {
    plan: Arc<Plan>,
    comparing: Comparing,
    units: Vec<Mutex<HashSet<u64>>>,
    room: AtomicUsize,
    counts: Mutex<Counts>,
    intake: Mutex<Intake>,
    /// Pairs whose answers had the same text, and another. Nothing is decided by it: changes are made to change answers.
    alike: [AtomicU64; 2],
}

/// Whether units are taken, and how many samples have not settled.
#[derive(Debug, Default)]
struct Intake {
    closed: bool,
    unsettled: u64,
}

/// What was counted since the last row.
#[derive(Debug)]
struct Counts {
    /// For each metric.
    cells: Vec<Cell>,
    /// Units newly assigned to control and candidate.
    assigned: [u64; 2],
}

/// What an answer is judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) failed: bool,
    pub(crate) finish: Finish,
    pub(crate) latency_us: i64,
    pub(crate) refused: bool,
    /// Bytes of its text.
    pub(crate) length: i64,
    /// What it says, where that was kept.
    pub(crate) text: Option<Digest>,
}

impl Tally {
    /// For a plan whose metrics [`check_plan`](crate::config::check_plan) has looked at; `units` at most.
    pub(crate) fn new(plan: &Arc<Plan>, comparing: Comparing, units: usize) -> Self {
        Self {
            plan: Arc::clone(plan),
            comparing,
            units: (0..SHARDS).map(|_| Mutex::default()).collect(),
            room: AtomicUsize::new(units),
            counts: Mutex::new(Counts::new(plan, comparing)),
            intake: Mutex::default(),
            alike: [AtomicU64::new(0), AtomicU64::new(0)],
        }
    }

    /// Takes a unit's request as the one it is judged by, unless it had one in this stage, or there are too many.
    pub(crate) fn claim(self: &Arc<Self>, unit: u64, side: Side) -> Option<Sample> {
        self.take_unit(unit, 1)?;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let [control, candidate] = &mut counts.assigned;
        *(if side == Side::Control { control } else { candidate }) += 1;
        drop(counts);
        let keeps = self.plan.metrics.iter().any(|metric| metric.name.as_str() == LENGTH);
        Some(Sample::new(Counting::Arm(Arc::clone(self), side), keeps))
    }

    /// Takes a unit's request as the one that both are asked: the candidate's sample and the control's.
    pub(crate) fn claim_pair(self: &Arc<Self>, unit: u64) -> Option<[Sample; 2]> {
        self.take_unit(unit, 2)?;
        let pair = Arc::new(Pair { tally: Arc::clone(self), halves: Mutex::default() });
        let half = |side| Sample::new(Counting::Half(Arc::clone(&pair), side), true);
        Some([half(Side::Candidate), half(Side::Control)])
    }

    /// Takes no further units. Whether every one that was taken has settled: a stage that passed with some unsettled would be
    /// judged by those who were answered, and what hangs would pass by never being counted.
    pub(crate) fn close(&self) -> bool {
        let mut intake = self.intake();
        intake.closed = true;
        intake.unsettled == 0
    }

    /// Takes units again.
    pub(crate) fn open(&self) {
        self.intake().closed = false;
    }

    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a unit with so many samples, which [`Sample`] gives back once they have settled.
    fn take_unit(&self, unit: u64, samples: u64) -> Option<()> {
        {
            let mut intake = self.intake();
            if intake.closed {
                return None;
            }
            intake.unsettled += samples;
        }
        let taken = self.remember(unit);
        if taken.is_none() {
            self.intake().unsettled -= samples;
        }
        taken
    }

    fn remember(&self, unit: u64) -> Option<()> {
        let shard = self.units.get(usize::try_from(unit % SHARDS as u64).unwrap_or(0))?;
        let mut known = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&unit) {
            return None;
        }
        let less = |room: usize| room.checked_sub(1);
        self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok()?;
        known.insert(unit);
        Some(())
    }

    fn settle(&self, side: Side, outcome: &Outcome) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (metric, cell) in self.plan.metrics.iter().zip(&mut counts.cells) {
            let Cell::Arms { candidate, control } = cell else { continue };
            let of_side = if side == Side::Candidate { candidate } else { control };
            if let Some(count) = of_side.get_mut(level(metric, outcome)) {
                *count += 1;
            }
        }
    }

    /// Both have answered the same request. High is bad, in every metric: of categories, the later are the worse.
    fn settle_pair(&self, of_candidate: &Outcome, of_control: &Outcome) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (metric, cell) in self.plan.metrics.iter().zip(&mut counts.cells) {
            let Cell::Pairs { better, equal, worse } = cell else { continue };
            match level(metric, of_candidate).cmp(&level(metric, of_control)) {
                std::cmp::Ordering::Less => *better += 1,
                std::cmp::Ordering::Equal => *equal += 1,
                std::cmp::Ordering::Greater => *worse += 1,
            }
        }
        drop(counts);
        let [same, other] = &self.alike;
        let count = if of_candidate.text == of_control.text { same } else { other };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Pairs that said the same, and pairs that did not.
    pub(crate) fn alike(&self) -> [u64; 2] {
        self.alike.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// The row of what was counted since the last one, where units of both arms have settled: a row that has them of one alone
    /// moves no test, so that where few units come nothing would ever be shown.
    pub(crate) fn take_both(&self, at_ms: u64) -> Option<Row> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let has_both = counts.cells.iter().all(|cell| match cell {
            Cell::Arms { candidate, control } => {
                [candidate, control].iter().all(|counts| counts.iter().any(|count| *count > 0))
            }
            Cell::Pairs { .. } => true,
        });
        drop(counts);
        has_both.then(|| self.take(at_ms))
    }

    /// The row of everything that was counted since the last one.
    pub(crate) fn take(&self, at_ms: u64) -> Row {
        let fresh = Counts::new(&self.plan, self.comparing);
        let counts =
            std::mem::replace(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner), fresh);
        let assigned = (self.comparing == Comparing::Arms).then_some(counts.assigned);
        Row { at_ms, cells: counts.cells, assigned }
    }
}

/// At which level of a metric an answer counts.
fn level(metric: &Metric, outcome: &Outcome) -> usize {
    let last = metric.levels().saturating_sub(1);
    let value = match metric.name.as_str() {
        "errors" => i64::from(outcome.failed),
        "finish-reason" => outcome.finish as i64,
        "latency-p99" => outcome.latency_us,
        LENGTH => outcome.length,
        "refusals" => i64::from(outcome.refused),
        // Such plans are refused when they are read.
        _ => return last,
    };
    // What the plan has no category for is counted with its last one, the same way for both.
    metric.level(value).unwrap_or(last)
}

impl Counts {
    fn new(plan: &Plan, comparing: Comparing) -> Self {
        let cell = |metric: &Metric| match comparing {
            Comparing::Pairs => Cell::Pairs { better: 0, equal: 0, worse: 0 },
            Comparing::Arms | Comparing::Nothing => {
                let none = vec![0; metric.levels()];
                Cell::Arms { candidate: none.clone(), control: none }
            }
        };
        Self { cells: plan.metrics.iter().map(cell).collect(), assigned: [0, 0] }
    }
}

/// Two answers to one request, of which one may still be on its way.
#[derive(Debug)]
struct Pair {
    tally: Arc<Tally>,
    /// The candidate's and the control's.
    halves: Mutex<[Option<Outcome>; 2]>,
}

impl Pair {
    fn settle(&self, side: Side, outcome: Outcome) {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let [candidate, control] = &mut *halves;
        *(if side == Side::Candidate { &mut *candidate } else { &mut *control }) = Some(outcome);
        if let (Some(candidate), Some(control)) = (candidate, control) {
            self.tally.settle_pair(candidate, control);
        }
    }
}

/// What an answer counts for.
#[derive(Debug)]
enum Counting {
    /// For an arm.
    Arm(Arc<Tally>, Side),
    /// For one half of a pair.
    Half(Arc<Pair>, Side),
}

/// The request that a unit is judged by. It settles when dropped. In an arm a client that leaves is counted too, since
/// clients leave what is slow; of a pair, an answer that the client did not wait for says nothing, and neither does
/// the pair.
#[derive(Debug)]
pub(crate) struct Sample {
    counting: Counting,
    began: Instant,
    reading: Reading,
    failed: bool,
    /// What the answer says of an error is the client's matter.
    excused: bool,
    is_whole: bool,
    kept: Option<Vec<u8>>,
}

impl Sample {
    fn new(counting: Counting, keeps: bool) -> Self {
        Self {
            counting,
            began: Instant::now(),
            reading: Reading::new(),
            failed: false,
            excused: false,
            is_whole: false,
            kept: keeps.then(Vec::new),
        }
    }

    /// It is sent now.
    pub(crate) fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// Looks at a piece of the answer.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        self.reading.feed(piece);
        if let Some(kept) = &mut self.kept {
            let room = KEPT_BYTES_MAX.saturating_sub(kept.len()).min(piece.len());
            kept.extend_from_slice(piece.get(..room).unwrap_or_default());
        }
    }

    /// The engine has failed.
    pub(crate) const fn fail(&mut self) {
        self.failed = true;
    }

    /// The answer is a refusal. In an arm it is one that both versions gave, and the client's mistake. Of a pair both halves
    /// are counted as they are: where both refuse they are alike, and where the candidate alone does, it is worse.
    pub(crate) const fn refuse(&mut self) {
        match self.counting {
            Counting::Arm(..) => self.excused = true,
            Counting::Half(..) => self.failed = true,
        }
    }

    /// The answer has come to its end.
    pub(crate) const fn complete(&mut self) {
        self.is_whole = true;
    }

    /// What it says so far.
    pub(crate) fn text(&self) -> String {
        self.kept.as_deref().map(said).unwrap_or_default()
    }

    /// Why it ended, as far as it has come.
    pub(crate) fn finish(&mut self) -> Finish {
        self.reading.end()
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        let latency_us = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX);
        let finish = self.reading.end();
        let text = self.kept.is_some().then(|| self.text());
        let outcome = Outcome {
            failed: self.failed || self.reading.failed && !self.excused,
            finish,
            latency_us,
            refused: self.reading.refused,
            length: text.as_ref().map_or(0, |text| i64::try_from(text.len()).unwrap_or(i64::MAX)),
            text: text.map(|text| Digest::of(text.as_bytes())),
        };
        match &self.counting {
            Counting::Arm(tally, side) => tally.settle(*side, &outcome),
            Counting::Half(pair, side) if self.is_whole || self.failed => pair.settle(*side, outcome),
            Counting::Half(..) => {}
        }
        let tally = match &self.counting {
            Counting::Arm(tally, _) => tally,
            Counting::Half(pair, _) => &pair.tally,
        };
        // After the counts, so that what is settled has been counted.
        let mut intake = tally.intake();
        intake.unsettled = intake.unsettled.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
