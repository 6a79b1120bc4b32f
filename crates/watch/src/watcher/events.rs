//! Events that become more frequent, looked at every second: an e-detector for each kind.

use std::collections::BTreeMap;

use stats::detector::{Alarm, Detector};
use stats::exact::upper_bound;

use super::dimension_of;
use crate::Error;
use crate::drift::{Level, Limits};
use crate::fingerprint::{Dimension, Fingerprint};
use crate::window::{Window, dimension};

/// The events that are watched.
const WATCHED: [&str; 2] = [dimension::ERRORS, dimension::REFUSALS];
/// With which chance the usual share is above the bound that is taken for it.
const BOUND_ALPHA: f64 = 1e-4;
/// What is always tolerated beside what is usual.
const TOLERATED: f64 = 0.01;

/// The detectors of a version.
#[derive(Debug)]
pub(super) struct Events {
    by_name: BTreeMap<&'static str, Kept>,
}

#[derive(Debug)]
struct Kept {
    detector: Detector,
    baseline: f64,
    alarm: Alarm,
}

impl Events {
    /// Which take what was learnt as usual; where nothing was, none is there.
    pub(super) fn new(usual: &Fingerprint, run_length: u64) -> Result<Self, Error> {
        let mut by_name = BTreeMap::new();
        for name in WATCHED {
            let Some(Dimension::Events { yes, of }) = dimension_of(usual, name) else { continue };
            if *of == 0 {
                continue;
            }
            let failed = |source| Error::Statistics { dimension: super::whole_name(), source };
            let bound = upper_bound((*yes).min(*of), *of, BOUND_ALPHA).map_err(failed)?;
            let baseline = (bound + TOLERATED).clamp(0.001, 0.9);
            let detector = Detector::new(baseline, 2, run_length as f64).map_err(failed)?;
            by_name.insert(name, Kept { detector, baseline, alarm: Alarm::Quiet });
        }
        Ok(Self { by_name })
    }

    /// Looks at a second.
    pub(super) fn look(&mut self, window: &Window) -> Result<(), Error> {
        for (name, kept) in &mut self.by_name {
            let Some(Dimension::Events { yes, of }) = dimension_of(&window.counts, name) else { continue };
            let failed = |source| Error::Statistics { dimension: super::whole_name(), source };
            let look = kept.detector.look(&[of.saturating_sub(*yes), (*yes).min(*of)]).map_err(failed)?;
            // An alarm stays: who raised it is asked about by people, or is gone.
            if look.alarm == Alarm::Raised {
                kept.alarm = Alarm::Raised;
            }
        }
        Ok(())
    }

    /// What they say: serious where one has raised its alarm and the window still shows it, critical where it shows a lot.
    pub(super) fn level(&self, counted: &Fingerprint, limits: Limits) -> Option<Level> {
        let mut highest = None;
        for (name, kept) in &self.by_name {
            let Some(Dimension::Events { yes, of }) = dimension_of(counted, name) else { continue };
            let share = *yes as f64 / (*of).max(1) as f64;
            let more = ((share - kept.baseline).max(0.0) * 1e6) as u64;
            let level = match kept.alarm {
                Alarm::Quiet => Level::Quiet,
                Alarm::Raised if more >= limits.critical_ppm => Level::Critical,
                Alarm::Raised if more > 0 => Level::Serious,
                Alarm::Raised => Level::Notable,
            };
            highest = highest.max(Some(level));
        }
        highest
    }
}
