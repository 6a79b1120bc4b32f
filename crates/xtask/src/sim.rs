//! `cargo xtask sim`: the log on a simulated disk, seed after seed, on all cores.
//!
//! This crate is built before anything else can be run, so it does not contain the log: it calls itself again, built
//! with the feature `sim`, which does.

use anyhow::Result;

/// Which seeds.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Seeds {
    /// How many seeds to run.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub seeds: u64,
    /// The first seed.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub from: u64,
}

/// Runs the seeds. The error names the smallest one that failed.
#[cfg(not(feature = "sim"))]
pub fn run(seeds: Seeds) -> Result<()> {
    let mut again = crate::process::cargo();
    again.args(["run", "--package", "xtask", "--features", "sim", "--", "sim"]);
    again.args(["--seeds", &seeds.seeds.to_string(), "--from", &seeds.from.to_string()]);
    crate::process::run(&mut again)
}

/// Runs the seeds. The error names the smallest one that failed.
#[cfg(feature = "sim")]
pub fn run(seeds: Seeds) -> Result<()> {
    with_log::run(seeds)
}

#[cfg(feature = "sim")]
mod with_log {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::Duration;

    use anyhow::{Context as _, Result, bail};
    use indicatif::{ProgressBar, ProgressStyle};
    use translog::sim::{SimFailure, SimReport, run_seed};

    use super::Seeds;

    pub(super) fn run(Seeds { seeds, from }: Seeds) -> Result<()> {
        let end = from.checked_add(seeds).context("there are no such seeds")?;
        let shared = Shared {
            next: AtomicU64::new(from),
            end,
            stop: AtomicBool::new(false),
            bar: bar(seeds),
            total: Mutex::new(Total::default()),
        };
        let failures = std::thread::scope(|scope| -> Result<Vec<SimFailure>> {
            let cores = std::thread::available_parallelism()?.get();
            let workers: Vec<_> = (0..cores).map(|_| scope.spawn(|| shared.work())).collect();
            let joined = workers.into_iter().map(std::thread::ScopedJoinHandle::join);
            let found = joined.map(|result| result.map_err(|_| anyhow::anyhow!("a simulation panicked")));
            Ok(found.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
        })?;
        shared.bar.finish_and_clear();
        // Seeds are handed out in order, so the smallest that failed is among these.
        if let Some(failure) = failures.iter().min_by_key(|failure| failure.seed) {
            bail!("{failure}\nrun it again with `cargo xtask sim --seeds 1 --from {}`", failure.seed);
        }
        let total = shared.total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        println!(
            "{seeds} seeds from {from}: {} power cuts, {} failed operations, {} entries acknowledged, none lost",
            total.power_cuts, total.errors, total.acknowledged
        );
        Ok(())
    }

    #[derive(Default)]
    struct Total {
        power_cuts: u64,
        errors: u64,
        acknowledged: u64,
    }

    impl Total {
        fn add(&mut self, report: &SimReport) {
            self.power_cuts += report.power_cuts;
            self.errors += report.errors;
            self.acknowledged += report.acknowledged;
        }
    }

    struct Shared {
        next: AtomicU64,
        end: u64,
        stop: AtomicBool,
        bar: ProgressBar,
        total: Mutex<Total>,
    }

    impl Shared {
        /// Takes seeds until there are no more, or one has failed.
        fn work(&self) -> Option<SimFailure> {
            while !self.stop.load(Ordering::Relaxed) {
                let seed = self.next.fetch_add(1, Ordering::Relaxed);
                if seed >= self.end {
                    return None;
                }
                match run_seed(seed) {
                    Ok(report) => {
                        self.total.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(&report);
                    }
                    Err(failure) => {
                        self.stop.store(true, Ordering::Relaxed);
                        return Some(failure);
                    }
                }
                self.bar.inc(1);
            }
            None
        }
    }

    fn bar(seeds: u64) -> ProgressBar {
        let bar = ProgressBar::new(seeds);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {eta} left") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}
