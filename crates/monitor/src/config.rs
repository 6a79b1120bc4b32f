//! What a monitor is told: one strict JSON file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use gateway::{LogPlace, Realm};
use serde::Deserialize;
use statement::{KeyId, SlotId, json};
use watch::watcher::Answers;

use crate::Error;

/// Bytes of a configuration at most.
const BYTES_MAX: usize = 1 << 20;

/// A monitor's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How long a cycle is.
    #[serde(default = "second")]
    pub cycle_ms: u64,
    /// How many monitors may lie or be dead.
    pub faults: usize,
    /// The gateway that is watched.
    pub gateway: Watched,
    /// An unsealed key file whose key has the role `monitor`.
    pub key: PathBuf,
    /// Seconds with traffic that are learnt before anything is judged.
    #[serde(default = "minute")]
    pub learn_seconds: u64,
    /// Where the log is read.
    pub log: LogPlace,
    /// Where incidents are posted to as they are signed.
    #[serde(default)]
    pub notices: Option<String>,
    /// The keys of all monitors, this one's too.
    pub panel: BTreeSet<KeyId>,
    /// The realm that is believed.
    pub realm: Realm,
    /// The table of responses; `policies/response.json` where none is named.
    #[serde(default)]
    pub response: Option<PathBuf>,
    /// What is watched, and whether its answers are meant to stay as they are.
    pub slots: BTreeMap<SlotId, Answers>,
    /// The monitor's own folder.
    pub state: PathBuf,
    /// Seconds that are looked at together.
    #[serde(default = "ten")]
    pub window_seconds: u64,
}

/// The gateway that is watched.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    /// A file with the monitor's token.
    pub token_file: PathBuf,
    /// Its address, without a path.
    pub url: String,
}

const fn second() -> u64 {
    1_000
}

const fn minute() -> u64 {
    60
}

const fn ten() -> u64 {
    10
}

impl Config {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// [`Error::Config`] names the part.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |what: &'static str, reason: String| Error::Config { what, reason };
        let value = json::parse(bytes, json::Limits::signed(BYTES_MAX));
        let value = value.map_err(|error| wrong("text", error.to_string()))?;
        let config: Self = json::from_value(&value).map_err(|error| wrong("text", error.to_string()))?;
        if config.slots.is_empty() {
            return Err(wrong("slots", "there is none to watch".to_owned()));
        }
        for (what, value, most) in [
            ("cycle_ms", config.cycle_ms, 60_000),
            ("learn_seconds", config.learn_seconds, 86_400),
            ("window_seconds", config.window_seconds, 100),
        ] {
            if !(1..=most).contains(&value) {
                return Err(wrong(what, format!("it is {value}, outside 1 to {most}")));
            }
        }
        Ok(config)
    }
}
