//! What a version says: vectors that have come since the last test, and what it has said since it began.

use statement::SlotId;
use stats::mmd;

use crate::Error;
use crate::drift::Level;
use crate::reference::Reference;
use crate::window::Window;

/// Vectors of each side at least and at most.
const VECTORS_MIN: usize = 24;
const VECTORS_MAX: usize = 64;
/// Permutations of a test, and the significance of one: a test is of one window, and takes no vector twice.
const PERMUTATIONS: u32 = 1_999;
const SIGNIFICANCE: f64 = 0.001;
/// Seconds that wait to be learnt.
const WAITING_MAX: usize = 64;

/// What is known of a version's answers.
#[derive(Debug)]
pub(super) struct Content {
    /// What it said when it was believed to be well.
    pub(super) own: Reference,
    waiting: Vec<Window>,
    fresh: Vec<Vec<i32>>,
    tested: Option<u64>,
    last: Option<Level>,
}

impl Content {
    pub(super) fn new(slot: SlotId) -> Self {
        Self { own: Reference::new(slot), waiting: Vec::new(), fresh: Vec::new(), tested: None, last: None }
    }

    /// Takes a second.
    pub(super) fn take(&mut self, window: &Window, window_s: u64) {
        let room = VECTORS_MAX.saturating_sub(self.fresh.len());
        self.fresh.extend(window.vectors.iter().take(room).cloned());
        if self.tested.is_none() {
            self.tested = Some(window.second.saturating_sub(window_s / 2));
        }
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push(window.clone());
        }
    }

    /// Learns what has waited, where nothing is wrong, as long as there is something to learn.
    pub(super) fn learn(&mut self, level: Level, learn_s: u64) -> Result<(), Error> {
        let waiting = std::mem::take(&mut self.waiting);
        if level > Level::Notable || self.own.seen >= learn_s {
            return Ok(());
        }
        waiting.iter().try_for_each(|window| self.own.learn(window))
    }

    /// Whether what has come since the last test is of another distribution: once a window, with vectors that no test has
    /// seen. Between tests what the last one said.
    pub(super) fn discrepancy(
        &mut self,
        usual: &[Vec<i32>],
        second: u64,
        window_s: u64,
    ) -> Result<Option<Level>, Error> {
        let due = self.tested.is_none_or(|tested| second.saturating_sub(tested) >= window_s)
            || self.fresh.len() >= VECTORS_MAX;
        if !due || self.fresh.len() < VECTORS_MIN || usual.len() < VECTORS_MIN {
            return Ok(self.last);
        }
        let fresh: Vec<Vec<f64>> =
            std::mem::take(&mut self.fresh).iter().map(|vector| scaled(vector)).collect();
        let step = usual.len().div_ceil(VECTORS_MAX).max(1);
        let usual: Vec<Vec<f64>> = usual.iter().step_by(step).map(|vector| scaled(vector)).collect();
        let failed = |source| Error::Statistics { dimension: super::whole_name(), source };
        let found = mmd::test(&usual, &fresh, PERMUTATIONS, second).map_err(failed)?;
        self.tested = Some(second);
        self.last = Some(if found.p_value <= SIGNIFICANCE { Level::Serious } else { Level::Quiet });
        Ok(self.last)
    }
}

fn scaled(vector: &[i32]) -> Vec<f64> {
    vector.iter().map(|value| f64::from(*value) / 1000.0).collect()
}
