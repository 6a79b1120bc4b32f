//! One of several monitors of a gateway.
//!
//! * [`Config`]: which gateway, which realm, which other monitors.
//! * [`Monitor`]: reads its own tap of the gateway once a second, computes every detector itself (crate `watch`), signs what it
//!   sees as an observation, reads what the others have signed, and signs what follows by the table of responses: an incident
//!   of its own, and with the others the order to roll back.
//!
//! Invariant: it speaks for one key and acts on nothing. What happens is what a quorum of such keys has signed, and the gateway
//! counts.
//!
//! What this crate does not do: see texts (the tap has counts), judge by one detector or one monitor alone, go forward.

mod config;
mod error;
mod eyes;
mod notices;
mod voice;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gateway::Log;
use signer::{FileKey, KeyFile, Signer as _};
use statement::kind::{Response, Role};
use statement::{Envelope, KeyId, SlotId};
use watch::response::Table;
use watch::vote::Panel;
use watch::window::{Said, Tapped};

pub use config::{Config, Mail, MailTls, Notice, Watched};
pub use error::Error;

use self::eyes::Eyes;
use self::notices::Notices;

/// Tells the time, in milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How long the gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of an answer of the tap at most.
const TAP_BYTES_MAX: u64 = 64 << 20;
/// Bytes of small files at most.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// How long a vote counts.
const VOTE_MS: u64 = 5_000;
/// Statements in one message at most: as many as a gateway takes.
const SAID_MAX: usize = 32;

/// A monitor.
pub struct Monitor {
    config: Config,
    key: FileKey,
    token: String,
    clock: Clock,
    agent: ureq::Agent,
    notices: Notices,
    log: Log,
    table: Table,
    eyes: BTreeMap<SlotId, Eyes>,
    /// The last second that was read.
    after: u64,
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token stays out of it.
        f.debug_struct("Monitor")
            .field("config", &self.config)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}

/// What a cycle gave, for people and scripts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// When.
    pub at_ms: u64,
    /// By slot.
    pub slots: BTreeMap<SlotId, Sight>,
}

/// What a monitor makes of a slot.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Sight {
    /// Whether it still learns what is usual, and casts no vote.
    pub learning: bool,
    /// What its own detectors agree on.
    pub level: String,
    /// What the monitors agree on.
    pub agreed: String,
    /// What is to be done by the table, if anything is.
    pub response: Option<Response>,
    /// What each detector found.
    pub detectors: BTreeMap<String, Option<String>>,
    /// What is strange about the requests.
    pub notices: Vec<String>,
    /// Requests in the window.
    pub requests: u64,
}

impl Monitor {
    /// Opens a monitor: reads its key, what it has learnt and what it kept of the log.
    ///
    /// # Errors
    /// Whatever cannot be used, by name.
    pub fn open(config: Config, clock: Clock) -> Result<Self, Error> {
        let key = KeyFile::read(&config.key)?.open_unsealed()?;
        let token = read(&config.gateway.token_file)?;
        let table = match &config.response {
            None => Table::standard()?,
            Some(path) => Table::parse(read(path)?.as_bytes())?,
        };
        let own = key.public_key().id();
        if !config.panel.contains(&own) {
            return Err(Error::Config {
                what: "panel",
                reason: format!("it does not name this monitor's key `{own}`"),
            });
        }
        let log = Log::open(&config.realm, &config.log, &config.state)?;
        let mut eyes = BTreeMap::new();
        for slot in config.slots.keys() {
            let names = config.panel.iter().filter_map(|key| key.to_string().parse().ok());
            let panel = Panel::new(names, config.faults, VOTE_MS)?;
            eyes.insert(slot.clone(), Eyes::open(&config, slot, panel, &key)?);
        }
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .build()
            .into();
        let token = format!("Bearer {}", token.trim());
        let notices = Notices::new(&config.notices)?;
        Ok(Self { config, key, token, clock, agent, notices, log, table, eyes, after: 0 })
    }

    /// The key it speaks by.
    pub fn key(&self) -> KeyId {
        self.key.public_key().id()
    }

    /// How long a cycle is.
    pub const fn every(&self) -> Duration {
        Duration::from_millis(self.config.cycle_ms)
    }

    /// One cycle: reads, looks, says.
    ///
    /// # Errors
    /// [`Error::Gateway`] where the tap cannot be read: then nothing is said, and the others count this one as silent.
    pub fn cycle(&mut self) -> Result<Report, Error> {
        if let Err(error) = self.log.look() {
            tracing::warn!(code = error.code(), %error, "the log cannot be followed");
        }
        let tapped = self.tapped()?;
        let now_ms = (self.clock)();
        self.take(&tapped)?;
        let votes = self.votes(&tapped.heard, now_ms);
        let (mut say, mut slots) = (Vec::new(), BTreeMap::new());
        for slot in self.config.slots.keys().cloned().collect::<Vec<_>>() {
            let (sight, said) = self.look(&slot, &votes, &tapped.heard, now_ms)?;
            say.extend(said);
            slots.insert(slot, sight);
        }
        for portion in say.chunks(SAID_MAX) {
            self.say(portion.to_vec())?;
        }
        Ok(Report { at_ms: now_ms, slots })
    }

    /// Takes what is new of the tap.
    fn take(&mut self, tapped: &Tapped) -> Result<(), Error> {
        let mut last = self.after;
        for window in &tapped.windows {
            // Once each, whatever the gateway sends again.
            if window.second <= self.after {
                continue;
            }
            last = last.max(window.second);
            if let Some(eyes) = self.eyes.get_mut(&window.slot) {
                let released = self.log.ledger().world().slot(&window.slot).is_some_and(|slot| {
                    // What is being released teaches nobody what is usual.
                    slot.order.is_some() && slot.state == window.state
                });
                eyes.take(window, released, &self.key, &self.config)?;
            }
        }
        self.after = last;
        Ok(())
    }

    fn tapped(&self) -> Result<Tapped, Error> {
        let url = format!("{}/tap?after={}", self.config.gateway.url.trim_end_matches('/'), self.after);
        let failed = |reason: String| Error::Gateway { url: url.clone(), reason };
        let request = self.agent.get(&url).header("authorization", &self.token);
        let mut response = request.call().map_err(|error| failed(error.to_string()))?;
        if response.status().as_u16() != 200 {
            return Err(failed(format!("status {}", response.status().as_u16())));
        }
        let bytes = response.body_mut().with_config().limit(TAP_BYTES_MAX).read_to_vec();
        let bytes = bytes.map_err(|error| failed(error.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))
    }

    fn say(&self, say: Vec<Envelope>) -> Result<(), Error> {
        if say.is_empty() {
            return Ok(());
        }
        let url = format!("{}/tap", self.config.gateway.url.trim_end_matches('/'));
        let failed = |reason: String| Error::Gateway { url: url.clone(), reason };
        let text = serde_json::to_string(&Said { say }).map_err(|error| failed(error.to_string()))?;
        let request = self
            .agent
            .post(&url)
            .header("authorization", &self.token)
            .header("content-type", "application/json");
        let response = request.send(text.as_bytes()).map_err(|error| failed(error.to_string()))?;
        match response.status().as_u16() {
            200 => Ok(()),
            status => Err(failed(format!("status {status}"))),
        }
    }

    /// Whether a statement is by monitors alone, and by whom.
    fn monitors(&self, envelope: &Envelope, now_ms: u64) -> Vec<KeyId> {
        let found = self.log.signers(envelope, Role::Monitor, now_ms);
        found.ok().flatten().map(|signers| signers.into_keys().collect()).unwrap_or_default()
    }
}

/// A small file's text.
fn read(path: &std::path::Path) -> Result<String, Error> {
    let failed = |source| Error::File { path: path.to_owned(), act: "read", source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        return Err(failed(std::io::Error::other("it is too long")));
    }
    std::fs::read_to_string(path).map_err(failed)
}
