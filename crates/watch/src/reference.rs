//! What a monitor has learnt of a slot that is as it should be: a file of integers, whose digest it signs.

use serde::{Deserialize, Serialize};
use statement::{SlotId, json};

use crate::Error;
use crate::baseline::{Baseline, Learn};
use crate::text::VECTOR;
use crate::window::{Window, dimension};

/// Examples of answers and of seconds at most; later ones take the place of earlier ones.
const EXAMPLES_MAX: usize = 256;
/// Bytes of a file at most.
pub const BYTES_MAX: usize = 8 << 20;
/// Requests that a second needs to be an example.
pub(crate) const REQUESTS_MIN: u64 = 4;

/// What was learnt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// What is usual at each hour.
    pub baseline: Baseline,
    /// Seconds as an isolation forest takes them, in thousandths.
    pub seconds: Vec<Vec<i64>>,
    /// The slot.
    pub slot: SlotId,
    /// Seconds that were learnt.
    pub seen: u64,
    /// Vectors of answers.
    pub vectors: Vec<Vec<i32>>,
    /// Version of the format: 1.
    pub version: u32,
}

impl Reference {
    /// Which knows nothing.
    pub fn new(slot: SlotId) -> Self {
        let baseline = Baseline::default();
        Self { baseline, seconds: Vec::new(), slot, seen: 0, vectors: Vec::new(), version: 1 }
    }

    /// Learns a second.
    pub fn learn(&mut self, window: &Window) -> Result<(), Error> {
        self.baseline.learn(&window.counts, window.second.saturating_mul(1000), Learn::Yes)?;
        let at = usize::try_from(self.seen % EXAMPLES_MAX as u64).unwrap_or(0);
        if let Some(behaviour) = behaviour(window) {
            put(&mut self.seconds, at, behaviour);
        }
        for (offset, vector) in window.vectors.iter().filter(|vector| vector.len() == VECTOR).enumerate() {
            // Places far apart, so that one second does not take those of the next.
            put(&mut self.vectors, (at * 8 + offset) % EXAMPLES_MAX, vector.clone());
        }
        self.seen = self.seen.saturating_add(1);
        Ok(())
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        json::to_canonical(self).map_err(|error| Error::Reference { reason: error.to_string() })
    }

    /// Reads and checks a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Reference { reason };
        let limits = json::Limits::signed(BYTES_MAX);
        let value = json::parse(bytes, limits).map_err(|error| refuse(error.to_string()))?;
        let found: Self = json::from_value(&value).map_err(|error| refuse(error.to_string()))?;
        let sound = found.version == 1
            && found.seconds.len().max(found.vectors.len()) <= EXAMPLES_MAX
            && found.vectors.iter().all(|vector| vector.len() == VECTOR)
            && found.seconds.iter().all(|second| second.len() == BEHAVIOUR);
        if sound {
            Ok(found)
        } else {
            Err(refuse("it is of another version, or its examples are".to_owned()))
        }
    }
}

fn put<T>(list: &mut Vec<T>, at: usize, value: T) {
    match list.get_mut(at) {
        Some(place) => *place = value,
        None => list.push(value),
    }
}

/// Numbers of a second's behaviour.
const BEHAVIOUR: usize = 6;

/// A window as a point: shares of errors, refusals and ends, and the logarithms of sizes, in thousandths. None where it has
/// too few requests.
pub(crate) fn behaviour(window: &Window) -> Option<Vec<i64>> {
    use crate::fingerprint::Dimension;
    let of = |name: &str| window.counts.dimension(&name.parse().ok()?).cloned();
    let share = |name: &str| match of(name) {
        Some(Dimension::Events { yes, of }) if of > 0 => {
            (yes.min(of).saturating_mul(1000) / of).cast_signed()
        }
        _ => 0,
    };
    let log = |name: &str, ppm: u32| match of(name) {
        Some(Dimension::Sizes(sizes)) => {
            let value = sizes.quantile_ppm(ppm).unwrap_or(0);
            libm::round(libm::log1p(value as f64) * 1000.0) as i64
        }
        _ => 0,
    };
    let stops = match of(dimension::FINISH) {
        Some(Dimension::Categories(counts)) => {
            let all: u64 = counts.iter().sum();
            counts
                .first()
                .copied()
                .unwrap_or(0)
                .saturating_mul(1000)
                .checked_div(all)
                .unwrap_or(0)
                .cast_signed()
        }
        _ => 0,
    };
    let requests = of(dimension::ERRORS).map_or(0, |errors| errors.count());
    let point = vec![
        share(dimension::ERRORS),
        share(dimension::REFUSALS),
        stops,
        log(dimension::LATENCY, 500_000),
        log(dimension::TEXT, 500_000),
        log(dimension::TEXT, 990_000),
    ];
    (requests >= REQUESTS_MIN).then_some(point)
}
