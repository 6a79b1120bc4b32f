//! How deep an examination goes, by kind of change: a table, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::change::Kind;
use crate::error::{Error, shown};
use crate::examination::{EXAMINERS, Stage};
use crate::vary::Format;

/// The table that comes with the product.
const BUILT_IN: &str = include_str!("../../../policies/examination.json");

/// The table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The version of the form.
    pub version: u32,
    /// Changes whose calibrated p-value is at most this are refused.
    pub alpha: f64,
    /// Largest tolerated share of at-risk prompts that the base refuses and the change answers.
    pub drift_max: f64,
    /// By name of the kind.
    pub kinds: BTreeMap<Kind, Depth>,
}

/// How deep for one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Depth {
    /// Which examiners run.
    pub examiners: Vec<String>,
    /// Formats of quantised copies: bits, or mixtures of llama.cpp.
    pub formats: Vec<String>,
    /// Deviations of noise on weights, relative to their root mean square.
    pub noise: Vec<f32>,
    /// Coefficients of simulated merges with the base, or with partners.
    pub coefficients: Vec<f32>,
    /// Most cases of the suite that variants of the model are asked.
    pub probe_cases: usize,
    /// How triggers are searched.
    pub trigger: TriggerDepth,
}

/// How triggers are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggerDepth {
    /// Most tokens of the sweep; vocabularies that have more are shortlisted by gradients.
    pub sweep_max: usize,
    /// Prompts of the sweep.
    pub sweep_prompts: usize,
    /// Prompts on which what the sweep kept is tried again, on the base too.
    pub prompts: usize,
    /// Tokens that the sweep keeps.
    pub kept: usize,
    /// Most ordered pairs of tokens that are all tried, of those tokens that the suite does not speak.
    pub pairs_max: usize,
    /// Pairs that are then kept, to be tried on the base too.
    pub pairs_kept: usize,
    /// Single tokens of which pairs are tried where there are too many others.
    pub pairs_of: usize,
}

impl Table {
    /// The table that comes with the product.
    ///
    /// # Errors
    /// [`Error::Depth`], which a test would see.
    pub fn built_in() -> Result<Self, Error> {
        Self::read(BUILT_IN.as_bytes())
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`Error::Depth`].
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let refused = |reason: String| Error::Depth { reason };
        let table: Self =
            serde_json::from_slice(bytes).map_err(|cause| refused(shown(&cause.to_string())))?;
        if table.version != 1 {
            return Err(refused(format!("version {} is not 1", table.version)));
        }
        let share = |value: f64| value > 0.0 && value < 1.0;
        if !share(table.alpha) || !share(table.drift_max) {
            return Err(refused("`alpha` and `drift_max` lie between 0 and 1".to_owned()));
        }
        for depth in table.kinds.values() {
            if let Some(name) = depth.formats.iter().find(|name| Format::named(name).is_none()) {
                return Err(refused(format!("the format `{}` is not known", shown(name))));
            }
            let numbers = depth.noise.iter().chain(&depth.coefficients);
            if numbers.into_iter().any(|number| number.is_nan() || number.abs() > 10.0) {
                return Err(refused("noise and coefficients are numbers up to 10".to_owned()));
            }
        }
        Ok(table)
    }

    /// The bytes of the table that comes with the product.
    pub fn built_in_bytes() -> &'static [u8] {
        BUILT_IN.as_bytes()
    }

    /// The table without the examiners of later stages.
    #[must_use]
    pub fn up_to(mut self, last: Stage) -> Self {
        let is_later = |name: &str| EXAMINERS.iter().any(|known| known.name == name && known.stage > last);
        for depth in self.kinds.values_mut() {
            depth.examiners.retain(|name| !is_later(name));
        }
        self
    }

    /// The depth for a kind.
    pub fn depth(&self, kind: Kind) -> Option<&Depth> {
        self.kinds.get(&kind)
    }
}

impl Depth {
    pub(crate) fn wants(&self, examiner: &str) -> bool {
        self.examiners.iter().any(|name| name == examiner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_examiners_that_there_are_for_every_kind() {
        let table = Table::built_in().unwrap();
        for kind in Kind::ALL {
            let depth = table.depth(kind).unwrap();
            for name in &depth.examiners {
                let known = crate::examination::EXAMINERS.iter().any(|examiner| examiner.name == name);
                assert!(known, "{} {name}", kind.name());
            }
        }
    }

    #[test]
    fn a_level_keeps_its_own_stages() {
        let screen = Table::built_in().unwrap().up_to(Stage::Screen);
        let depth = screen.depth(Kind::Adapter).unwrap();
        assert_eq!(depth.examiners, ["files", "scope", "fit", "delta", "replay"]);
        let probe = Table::built_in().unwrap().up_to(Stage::Probe);
        assert!(probe.depth(Kind::Adapter).unwrap().wants("trigger"));
        assert!(!probe.depth(Kind::Adapter).unwrap().wants("drift"));
        assert_eq!(Table::built_in().unwrap().up_to(Stage::Align), Table::built_in().unwrap());
    }

    #[test]
    fn a_table_that_cannot_be_followed_is_refused() {
        let with = |from: &str, to: &str| Table::read(BUILT_IN.replacen(from, to, 1).as_bytes());
        assert_eq!(with("\"Q4_0\"", "\"Q9_9\"").unwrap_err().code(), "CS-EXM-005");
        assert_eq!(with("\"version\": 1", "\"version\": 2").unwrap_err().code(), "CS-EXM-005");
        assert_eq!(with("0.05", "5").unwrap_err().code(), "CS-EXM-005");
        assert_eq!(with("\"alpha\"", "\"beta\"").unwrap_err().code(), "CS-EXM-005");
    }
}
