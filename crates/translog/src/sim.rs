//! The log on a simulated disk: torn writes, lost caches, failing syncs and power cuts, all from a seed.
//!
//! [`run_seed`] runs a random workload with faults at random places, recovers, and compares the log with what
//! it had promised. The same seed always does the same.

pub mod disk;
mod model;
mod rng;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use disk::{Fault, Restart, SimDisk};
use model::Model;
use rng::Rng;

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimReport {
    /// The seed.
    pub seed: u64,
    /// How many file operations the workload made.
    pub operations: u64,
    /// How often the power was cut.
    pub power_cuts: u64,
    /// How many operations failed.
    pub errors: u64,
    /// How many entries were acknowledged.
    pub acknowledged: u64,
    /// How many checkpoints were published.
    pub published: u64,
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimFailure {
    /// The seed that shows it.
    pub seed: u64,
    /// In which life of the log, counted from 0.
    pub life: u32,
    /// What was promised and what was found.
    pub what: String,
}

impl fmt::Display for SimFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed `{}`, life `{}`: {}", self.seed, self.life, self.what)
    }
}

impl std::error::Error for SimFailure {}

/// Runs the workload of this seed: several lives of one log, most of which end in a fault.
pub fn run_seed(seed: u64) -> Result<SimReport, SimFailure> {
    let mut rng = Rng::new(seed);
    let disk = SimDisk::new(rng.next());
    let mut model =
        Model::new(Arc::clone(&disk), rng.next()).map_err(|what| SimFailure { seed, life: 0, what })?;
    let (mut power_cuts, mut errors) = (0, 0);
    let lives = 2 + rng.below(4);
    for life in 0..lives {
        let fail = |what: String| SimFailure { seed, life: u32::try_from(life).unwrap_or(u32::MAX), what };
        let within = if rng.below(2) == 0 { 60 } else { 400 };
        let at = disk.operations() + 1 + rng.below(within);
        match rng.below(8) {
            0 => {}
            1 | 2 => disk.inject(Fault::Error, at),
            _ => disk.inject(Fault::PowerCut, at),
        }
        model.live(&mut rng).map_err(fail)?;
        let fault = disk.take_fault();
        // A process that has met an error may be started again on the same cache, or the power may go as well.
        let restart = if fault == Some(Fault::PowerCut) || rng.below(2) == 0 {
            Restart::PowerLoss
        } else {
            Restart::Process
        };
        power_cuts += u64::from(restart == Restart::PowerLoss);
        errors += u64::from(fault == Some(Fault::Error));
        disk.restart(restart);
        model.check().map_err(fail)?;
        // The check has opened the log and closed it again; now the power goes, and all must be there still.
        disk.restart(Restart::PowerLoss);
        model.check().map_err(fail)?;
    }
    Ok(SimReport {
        seed,
        operations: disk.operations(),
        power_cuts,
        errors,
        acknowledged: model.acknowledged(),
        published: model.published(),
    })
}
