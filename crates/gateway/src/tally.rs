//! Counting a stage: every unit once, from real answers.
//!
//! The first request that a unit sends in a stage is the one it is judged by, whatever becomes of it: picking another
//! would pick by outcome. Rows are taken out once a second.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rollout::gate::{Cell, Row};
use rollout::plan::Plan;

use crate::answers::{Finish, Reading};

/// Units are kept apart in so many sets, so that requests rarely wait for each other.
const SHARDS: usize = 64;

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
    units: Vec<Mutex<HashSet<u64>>>,
    room: AtomicUsize,
    counts: Mutex<Counts>,
}

/// What was counted since the last row.
#[derive(Debug)]
struct Counts {
    /// For each metric, by level: the candidate's and the control's.
    levels: Vec<[Vec<u64>; 2]>,
    /// Units newly assigned to control and candidate.
    assigned: [u64; 2],
}

/// What an answer is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) failed: bool,
    pub(crate) finish: Finish,
    pub(crate) latency_us: i64,
    pub(crate) refused: bool,
}

impl Tally {
    /// For a plan whose metrics [`check_plan`](crate::config::check_plan) has looked at; `units` at most.
    pub(crate) fn new(plan: &Arc<Plan>, units: usize) -> Self {
        Self {
            plan: Arc::clone(plan),
            units: (0..SHARDS).map(|_| Mutex::default()).collect(),
            room: AtomicUsize::new(units),
            counts: Mutex::new(Counts::new(plan)),
        }
    }

    /// Takes a unit's request as the one it is judged by, unless it had one in this stage, or there are too many.
    pub(crate) fn claim(self: &Arc<Self>, unit: u64, side: Side) -> Option<Sample> {
        let shard = self.units.get(usize::try_from(unit % SHARDS as u64).unwrap_or(0))?;
        {
            let mut known = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if known.contains(&unit) {
                return None;
            }
            let less = |room: usize| room.checked_sub(1);
            self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok()?;
            known.insert(unit);
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let [control, candidate] = &mut counts.assigned;
        *(if side == Side::Control { control } else { candidate }) += 1;
        drop(counts);
        Some(Sample {
            tally: Arc::clone(self),
            side,
            began: Instant::now(),
            reading: Reading::new(),
            failed: false,
        })
    }

    fn settle(&self, side: Side, outcome: Outcome) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (metric, levels) in self.plan.metrics.iter().zip(&mut counts.levels) {
            let value = match metric.name.as_str() {
                "errors" => i64::from(outcome.failed),
                "finish-reason" => outcome.finish as i64,
                "latency-p99" => outcome.latency_us,
                "refusals" => i64::from(outcome.refused),
                // Such plans are refused when they are read.
                _ => continue,
            };
            // What the plan has no category for is counted with its last one, the same way for both.
            let level = metric.level(value).unwrap_or(metric.levels().saturating_sub(1));
            let [candidate, control] = levels;
            let of_side = if side == Side::Candidate { candidate } else { control };
            if let Some(count) = of_side.get_mut(level) {
                *count += 1;
            }
        }
    }

    /// The row of what was counted since the last one.
    pub(crate) fn take(&self, at_ms: u64) -> Row {
        let fresh = Counts::new(&self.plan);
        let counts =
            std::mem::replace(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner), fresh);
        let cell = |[candidate, control]: [Vec<u64>; 2]| Cell::Arms { candidate, control };
        Row { at_ms, cells: counts.levels.into_iter().map(cell).collect(), assigned: Some(counts.assigned) }
    }
}

impl Counts {
    fn new(plan: &Plan) -> Self {
        let levels = plan.metrics.iter().map(|metric| [vec![0; metric.levels()], vec![0; metric.levels()]]);
        Self { levels: levels.collect(), assigned: [0, 0] }
    }
}

/// The request that a unit is judged by. It settles when dropped: a client that leaves is counted too, since clients
/// leave what is slow.
#[derive(Debug)]
pub(crate) struct Sample {
    tally: Arc<Tally>,
    side: Side,
    began: Instant,
    reading: Reading,
    failed: bool,
}

impl Sample {
    /// Looks at a piece of the answer.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        self.reading.feed(piece);
    }

    /// The engine has failed.
    pub(crate) const fn fail(&mut self) {
        self.failed = true;
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        let finish = self.reading.end();
        let latency_us = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX);
        let failed = self.failed || self.reading.failed;
        let refused = self.reading.refused;
        self.tally.settle(self.side, Outcome { failed, finish, latency_us, refused });
    }
}

#[cfg(test)]
mod tests;
