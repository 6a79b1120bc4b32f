//! What a gateway is told: which realm it believes, who may ask, what runs where. One strict JSON file.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use hyper::http::uri::Authority;
use merkle::VerifierKey;
use rollout::plan::Plan;
use serde::Deserialize;
use statement::kind::{Role, Stage};
use statement::{Kind, RealmId, SlotId, StateId, StatementId, json};

use crate::{Error, Limits};

/// Bytes of a configuration at most.
const BYTES_MAX: usize = 4 << 20;
/// Keys, slots and engines of a state at most.
const KEYS_MAX: usize = 65_536;
const SLOTS_MAX: usize = 1024;
const ENGINES_MAX: usize = 256;
const MONITORS_MAX: usize = 64;

/// A gateway's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who may ask.
    pub keys: Vec<KeyEntry>,
    /// The bounds.
    #[serde(default = "ordinary")]
    pub limits: Limits,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the log is read.
    pub log: LogPlace,
    /// Who may read the tap, and say what follows from it. Without one nothing is counted for monitors.
    #[serde(default)]
    pub monitors: Vec<MonitorEntry>,
    /// The realm that is believed.
    pub realm: Realm,
    /// An unsealed key file whose key has the role `rollout`; needed where a slot is released in stages.
    #[serde(default)]
    pub rollout_key: Option<PathBuf>,
    /// What is served.
    pub slots: Vec<SlotEntry>,
    /// The gateway's own folder.
    pub state: PathBuf,
    /// Where traces of requests go; without it there are none.
    #[serde(default)]
    pub traces: Option<Traces>,
    /// TLS with clients; without it requests come in the clear.
    #[serde(default)]
    pub tls: Option<Tls>,
}

/// What TLS with clients needs. Both files are read at the start.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate and those between it and its root, in PEM, the own one first.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// Where traces go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// Of a thousand thousand requests, so many are traced; of those that a caller traces, or says that it does not, all
    /// or none.
    #[serde(default = "all")]
    pub share_ppm: u32,
    /// The address of a collector that takes OTLP over HTTP: `http://HOST:PORT`.
    pub url: String,
}

const fn all() -> u32 {
    1_000_000
}

impl Traces {
    /// What is wrong with it.
    fn wrong(&self) -> Option<&'static str> {
        let at = self.url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/').parse::<Authority>());
        let is_address = matches!(at, Some(Ok(at)) if at.port_u16().is_some() && !at.as_str().contains('@'));
        let too_many = (self.share_ppm > all()).then_some("`share_ppm` is more than a million");
        if is_address { too_many } else { Some("`url` is not `http://HOST:PORT`") }
    }
}

const fn ordinary() -> Limits {
    Limits::ORDINARY
}

/// A key that may ask: only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// Requests under way at the same time.
    pub concurrent: u32,
    /// Whether somebody's safety depends on what is answered: early stages leave critical contexts out.
    pub context: Context,
    /// Its name in metrics.
    pub name: String,
    /// Requests in a minute; a tenth of them may come at once.
    pub per_minute: u32,
    /// SHA-256 of the key, in hexadecimal.
    pub sha256: statement::Digest,
}

/// A monitor that may read the tap: only the hash of its token is kept. Whose word counts is told by the record's keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonitorEntry {
    /// Its name, for people.
    pub name: String,
    /// SHA-256 of its token, in hexadecimal.
    pub sha256: statement::Digest,
}

/// What depends on an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Context {
    /// Somebody's safety may.
    Critical,
    /// Nobody's does.
    NonCritical,
}

/// Where a log is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LogPlace {
    /// The folder with `checkpoint` and `tile/`: a realm's `log/tiles`.
    Folder(PathBuf),
    /// The address of `countersign log serve`, or of any other that serves the tiles.
    Url(String),
}

/// The realm that is believed: what an outsider pins.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Realm {
    /// The log's verifier key.
    pub log_key: String,
    /// The realm's name.
    pub name: RealmId,
    /// The log's origin.
    pub origin: String,
    /// The first trust root.
    pub root: StatementId,
}

/// A slot that is served.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotEntry {
    /// The name of the model that clients ask for.
    pub model: String,
    /// Made-up requests with what is expected of the answers, one JSON object a line; needed where a plan has a
    /// `synthetic` stage.
    #[serde(default)]
    pub probes: Option<PathBuf>,
    /// How an order is brought to users.
    pub release: Release,
    /// The slot.
    pub slot: SlotId,
    /// Which engines serve which state.
    pub states: Vec<StateEntry>,
    /// Whether clients may send system prompts.
    pub system_prompts: SystemPrompts,
    /// What a user is, from the first that a request has. The key comes last in any case.
    pub unit: Vec<Unit>,
}

/// How an order is brought to users.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Release {
    /// To all at once, as soon as it is admitted.
    AtOnce,
    /// In the stages of a plan, as soon as it is admitted.
    Stages(PathBuf),
    /// In the stages of a plan, when an operator says so.
    StagesByHand(PathBuf),
}

/// Whether clients may send system prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemPrompts {
    /// They may.
    Allowed,
    /// The approved prompt is the only one.
    Refused,
}

/// What stays the same from request to request of one user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Unit {
    /// The value of a header.
    Header(String),
    /// The member `user`.
    User,
}

/// The engines that serve a state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateEntry {
    /// Addresses: `channel://HOST:PORT` where `countersign launch` stands, `http://HOST:PORT` where the operator's word
    /// is all that says what an engine serves.
    pub engines: Vec<String>,
    /// A file with the key that the engines ask for.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// The name of the model at the engines.
    pub model: String,
    /// The state.
    pub state: StateId,
}

/// What is measured of an answer, and so what a plan may compare.
pub(crate) const METRICS: [&str; 5] = ["errors", "finish-reason", "latency-p99", "length", "refusals"];

/// Who may sign a stage off.
const SIGN_OFF: &[Role] = Kind::SignOff.signers();

impl Config {
    /// Reads and checks a configuration. Paths in it are taken as they stand.
    ///
    /// # Errors
    /// [`Error::Config`] names the part; [`Error::Unauthenticated`] where nobody has a key.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let whole = |reason: String| Error::Config { what: "text".to_owned(), reason };
        let value =
            json::parse(bytes, json::Limits::signed(BYTES_MAX)).map_err(|error| whole(error.to_string()))?;
        let config: Self = json::from_value(&value).map_err(|error| whole(error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |what: String, reason: &str| Err(Error::Config { what, reason: reason.to_owned() });
        if self.keys.is_empty() {
            return Err(Error::Unauthenticated);
        }
        if self.keys.len() > KEYS_MAX {
            return wrong("keys".to_owned(), "there are more than 65,536");
        }
        let (mut names, mut hashes) = (BTreeSet::new(), BTreeSet::new());
        for key in &self.keys {
            if key.name.is_empty() || key.name.len() > 64 || !names.insert(&key.name) {
                return wrong(format!("key `{}`", key.name), "names are of 1 to 64 bytes, each once");
            }
            if !hashes.insert(key.sha256) {
                return wrong(format!("key `{}`", key.name), "another has the same hash");
            }
            if key.concurrent == 0 || key.per_minute == 0 {
                return wrong(format!("key `{}`", key.name), "it could never ask");
            }
        }
        let tokens: BTreeSet<_> = self.monitors.iter().map(|monitor| monitor.sha256).collect();
        if tokens.len() != self.monitors.len() || tokens.len() > MONITORS_MAX {
            return wrong("monitors".to_owned(), "there are at most 64, each with a token of its own");
        }
        if tokens.iter().any(|token| hashes.contains(token)) {
            return wrong("monitors".to_owned(), "a monitor's token is also a client's key");
        }
        if let Some(reason) = self.traces.as_ref().and_then(Traces::wrong) {
            return wrong("traces".to_owned(), reason);
        }
        if let Some(limit) = self.limits.wrong() {
            return wrong(
                format!("limit `{limit}`"),
                "it leaves nothing to work with, or is more than a day",
            );
        }
        if let Err(error) = VerifierKey::parse(self.realm.log_key.as_bytes()) {
            return wrong("realm.log_key".to_owned(), &error.to_string());
        }
        if self.slots.is_empty() || self.slots.len() > SLOTS_MAX {
            return wrong("slots".to_owned(), "there are 1 to 1,024");
        }
        let (mut slots, mut models) = (BTreeSet::new(), BTreeSet::new());
        for slot in &self.slots {
            if !slots.insert(&slot.slot) || !models.insert(&slot.model) || slot.model.is_empty() {
                return wrong(format!("slot `{}`", slot.slot), "slots and models are there once each");
            }
            self.check_slot(slot)?;
        }
        Ok(())
    }

    fn check_slot(&self, slot: &SlotEntry) -> Result<(), Error> {
        let wrong = |reason: &str| {
            Err(Error::Config { what: format!("slot `{}`", slot.slot), reason: reason.to_owned() })
        };
        if slot.release != Release::AtOnce && self.rollout_key.is_none() {
            return wrong("stages are reported on, so `rollout_key` is needed");
        }
        let mut states = BTreeSet::new();
        for state in &slot.states {
            if !states.insert(state.state) {
                return wrong("a state is there twice");
            }
            if state.engines.is_empty() || state.engines.len() > ENGINES_MAX {
                return wrong("a state has 1 to 256 engines");
            }
        }
        for unit in &slot.unit {
            if let Unit::Header(name) = unit
                && hyper::header::HeaderName::from_bytes(name.as_bytes()).is_err()
            {
                return wrong("a unit's header has a name that no header can have");
            }
        }
        Ok(())
    }
}

/// Whether this gateway can carry out a plan: it measures five things, and has so many made-up requests.
pub(crate) fn check_plan(slot: &SlotId, plan: &Plan, probes: usize) -> Result<(), Error> {
    let refuse = |what: String| Err(Error::Plan { slot: slot.to_string(), what });
    for metric in &plan.metrics {
        if !METRICS.contains(&metric.name.as_str()) {
            return refuse(format!("metric `{}`", metric.name));
        }
        if metric.request_margin_milli.is_some() {
            return refuse(format!("the mean over all requests of metric `{}`", metric.name));
        }
    }
    let synthetic = plan.stages.iter().filter(|stage| stage.stage == Stage::Synthetic);
    if let Some(needed) = synthetic.map(|stage| stage.units_min).max()
        && needed > probes as u64
    {
        // Each is asked once: the same request twice is not two units.
        return refuse(format!("{needed} made-up requests, where `probes` has {probes}"));
    }
    let signs_off =
        |holder: &&statement::Name| SIGN_OFF.iter().any(|role| role.to_string() == holder.as_str());
    match plan.stages.iter().filter_map(|stage| stage.hold_point.as_ref()).find(|holder| !signs_off(holder)) {
        Some(holder) => refuse(format!("a sign-off by `{holder}`")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
