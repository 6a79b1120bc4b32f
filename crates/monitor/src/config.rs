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
/// Places that notices go to at most.
const NOTICES_MAX: usize = 16;

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
    /// Where incidents go as they are signed.
    #[serde(default)]
    pub notices: Vec<Notice>,
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

/// Where a signed incident goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Notice {
    /// It is posted to an `http://` or `https://` address.
    Url(String),
    /// It is sent to people.
    Mail(Mail),
}

/// How people get mail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Certificates in PEM that are believed besides the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The sender.
    pub from: String,
    /// A file with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The mail server: `HOST:PORT`.
    pub server: String,
    /// Whether what is sent is encrypted on the way to the server.
    #[serde(default = "required")]
    pub tls: MailTls,
    /// The receivers.
    pub to: Vec<String>,
    /// Who the server knows the monitor as.
    #[serde(default)]
    pub user: Option<String>,
}

/// Whether mail is encrypted on the way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailTls {
    /// By `STARTTLS`, and nothing is sent without.
    Required,
    /// From the first byte.
    Wrapped,
    /// It is not.
    None,
}

const fn required() -> MailTls {
    MailTls::Required
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
        if config.notices.len() > NOTICES_MAX {
            return Err(wrong("notices", format!("there are more than {NOTICES_MAX}")));
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
