//! Monitors of the gateway that is measured: five, whose keys the made realm knows, as processes of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use audit::fixture::{Realm, SLOT, Who};
use monitor::{Config, Monitor};
use serde_json::{Value, json};
use signer::{FileScheme, KeyFile, Protection, Signer as _};
use statement::kind::{Assurance, DirectoryEntry, Role, TrustRoot};
use statement::{Digest, KeyId, Tracking};

use super::Outcome;
use super::proxies::{self, Running};

/// How many there are, and how many of them are needed.
const MONITORS: usize = 5;
const QUORUM: u32 = 3;
/// Seconds that they learn, so that they judge while anything counts.
pub(crate) const LEARN_SECONDS: u64 = 10;

/// The monitors before the gateway has an address.
pub(crate) struct Panel {
    folder: PathBuf,
    keys: Vec<KeyId>,
}

impl Panel {
    /// Makes keys in a folder, and has the realm know them.
    pub(crate) fn enrol(realm: &mut Realm, folder: &Path) -> Outcome<Self> {
        let root = realm.ledger().world().root().ok_or("no trust root")?;
        let mut body: TrustRoot = root.body.clone();
        (body.epoch, body.previous) = (body.epoch + 1, Some(root.id));
        body.roles.get_mut(&Role::Monitor).ok_or("no monitors")?.threshold = QUORUM;
        realm.establish(&Tracking::Realm, body, &[Who::RootOne, Who::RootTwo]);
        let mut keys = Vec::new();
        for number in 0..MONITORS {
            let (file, key) = KeyFile::generate(FileScheme::Ed25519, Protection::Unsealed)?;
            file.write_new(&folder.join(format!("{number}.key")))?;
            let entry = DirectoryEntry {
                assurance: Assurance::Unsealed,
                key: key.public_key().clone(),
                person: format!("p-monitor-{number}").parse()?,
                roles: [Role::Monitor].into(),
                ..Who::Monitor.entry()
            };
            realm.establish(&Tracking::Realm, entry, &[Who::OfficerOne, Who::OfficerTwo]);
            keys.push(key.public_key().id());
        }
        Ok(Self { folder: folder.to_owned(), keys })
    }

    /// Writes what each is started with. `ahead_ms` is how far the realm's clock is ahead of the system's.
    pub(crate) fn write(&self, gateway: &str, log: &Path, realm: &Value, ahead_ms: i64) -> Outcome<()> {
        for number in 0..MONITORS {
            let at = |end: &str| self.folder.join(format!("{number}.{end}"));
            std::fs::write(at("token"), token(number))?;
            let config = json!({
                "faults": MONITORS - usize::try_from(QUORUM)?,
                "gateway": { "token_file": at("token"), "url": format!("http://{gateway}") },
                "key": at("key"),
                "learn_seconds": LEARN_SECONDS,
                "log": { "folder": log },
                "panel": self.keys,
                "realm": realm,
                "slots": { SLOT: "may-change" },
                "state": at("state"),
            });
            std::fs::write(at("json"), json!({ "ahead_ms": ahead_ms, "config": config }).to_string())?;
        }
        Ok(())
    }
}

/// The gateway's word for them.
pub(crate) fn entries() -> Value {
    (0..MONITORS)
        .map(|number| json!({ "name": format!("m{number}"), "sha256": Digest::of(token(number).as_bytes()) }))
        .collect()
}

fn token(number: usize) -> String {
    format!("a-token-of-monitor-{number}")
}

/// Starts those whose files are in a folder.
pub(crate) fn start(folder: &Path) -> Outcome<Vec<Running>> {
    let one = |number: usize| {
        let file = folder.join(format!("{number}.json"));
        proxies::spawn(&["monitor", file.to_str().ok_or("no text")?])
    };
    (0..MONITORS).map(one).collect()
}

/// What a monitor is started with.
#[derive(serde::Deserialize)]
struct Start {
    ahead_ms: i64,
    config: Config,
}

/// Watches until it is ended.
pub(crate) fn watch(file: &str) -> Outcome<()> {
    let Start { ahead_ms, config } = serde_json::from_slice(&std::fs::read(file)?)?;
    let clock = move || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or(0).saturating_add_signed(ahead_ms)
    };
    let mut monitor = Monitor::open(config, Arc::new(clock))?;
    // One that cannot look would spend too little: it ends, and the measurement with it.
    loop {
        let began = Instant::now();
        monitor.cycle()?;
        std::thread::sleep(monitor.every().saturating_sub(began.elapsed()));
    }
}
