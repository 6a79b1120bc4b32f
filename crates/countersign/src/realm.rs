//! An open realm: its log, its vault, and what the log folds to.
//!
//! A realm is open for writing in one process at a time ([`Realm`]), and for reading in any number beside it
//! ([`Published`]): those take no lock and write nothing, so that they work from a read-only copy, too. While a process
//! serves, others write by bringing it what they have signed ([`crate::served`]).

mod content;
#[cfg(test)]
mod tests;
mod writing;

use std::path::Path;
use std::sync::Arc;

use dossier::{Checked, Dossier, KeyBook, Ledger, replay};
use merkle::{Hash, VerifiedCheckpoint};
use policy::gate::{Bench, Rules};
use signer::LogKey;
use statement::{Content, Digest, Envelope, StatementError, StatementId};
use translog::{
    AdmissionRefusal, Clock, Config, Disk, Log, LogError, MissingCheckpoint, Publishing, ReadLog, TileCheck,
};
use vault::Tenant;
use vault::blocking::BlockingVault;

use crate::failure::{Done, Failure};
use crate::home::{Home, Settings};
use crate::keys::Keys;
use crate::served::{Exported, Journal, Source};
use crate::shelf::{self, Shelf};
use crate::station::Station;

pub(crate) use self::content::{open_vault, write_master_key};

/// The key that stamps the log.
pub(crate) const LOG_KEY: &str = "log";
/// The key of the witness on this machine.
pub(crate) const WITNESS_KEY: &str = "witness";
/// The key that signs verdicts and attempts.
pub(crate) const AUTOMATION_KEY: &str = "automation";

/// What became of a text in the vault.
pub(crate) enum Attached {
    /// It is there.
    Text(String),
    /// It was destroyed on purpose.
    Purged,
    /// It should be there and cannot be read.
    Unreadable(Failure),
}

/// A realm, opened for writing: one process at a time has its log, others bring it what they say.
pub(crate) type Realm = Record<Journal>;

/// A realm as it was published last and cosigned by a witness, opened for reading.
pub(crate) type Published = Record<Source>;

/// A log, however it was opened, as far as it has been published.
pub(crate) trait Heads {
    /// How many entries there are.
    fn size(&self) -> u64;

    /// The entry with this index, as it is stored.
    fn entry(&self, index: u64) -> Result<Vec<u8>, LogError>;

    /// The root of the tree of the first `size` entries.
    fn root(&self, size: u64) -> Result<Hash, LogError>;

    /// The checkpoint that was published last.
    fn checkpoint(&self) -> Vec<u8>;
}

impl Heads for Log {
    fn size(&self) -> u64 {
        self.size()
    }

    fn entry(&self, index: u64) -> Result<Vec<u8>, LogError> {
        self.entry(index)
    }

    fn root(&self, size: u64) -> Result<Hash, LogError> {
        self.root(size)
    }

    fn checkpoint(&self) -> Vec<u8> {
        self.checkpoint()
    }
}

impl Heads for ReadLog {
    fn size(&self) -> u64 {
        self.size()
    }

    fn entry(&self, index: u64) -> Result<Vec<u8>, LogError> {
        self.entry(index)
    }

    fn root(&self, size: u64) -> Result<Hash, LogError> {
        self.root(size)
    }

    fn checkpoint(&self) -> Vec<u8> {
        self.checkpoint().to_bytes()
    }
}

/// A realm, and what its log folds to.
pub(crate) struct Record<L> {
    pub(crate) home: Home,
    pub(crate) settings: Settings,
    pub(crate) keys: Keys,
    pub(crate) vault: BlockingVault,
    pub(crate) tenant: Tenant,
    log: L,
    clock: Clock,
    book: KeyBook,
    entries: Vec<Checked>,
    ledger: Ledger,
    bench: Bench,
}

impl Realm {
    /// Makes the log and vault of a new realm, in a folder that [`Home::create`] has made.
    pub(crate) fn create(home: Home, settings: Settings, keys: Keys, clock: Clock) -> Done<Self> {
        write_master_key(&home)?;
        let vault = open_vault(&home)?;
        let tenant: Tenant = "realm".parse()?;
        vault.create_tenant(&tenant)?;
        let log =
            Log::create(Arc::new(disk(&home.log())?), log_config(&settings, &keys, Arc::clone(&clock))?)?;
        home.write_settings(&settings)?;
        let (book, bench) = (KeyBook::new(), Bench::new());
        let (ledger, log) = (Ledger::new(), Journal::Own(Box::new(log)));
        Ok(Self { home, settings, keys, vault, tenant, log, clock, book, entries: Vec::new(), ledger, bench })
    }

    /// Opens a realm: recovers the log, folds it.
    pub(crate) fn open(home: Home, keys: Keys, clock: Clock) -> Done<Self> {
        let settings = home.settings()?;
        let config = log_config(&settings, &keys, Arc::clone(&clock))?;
        Self::open_log(home, settings, keys, clock, config)
    }

    /// Opens a realm whose served files were lost or damaged, and writes them anew from the write-ahead log; the
    /// checkpoint, too, where neither the log's own witnessed one nor the witness on this machine speaks against it.
    /// Answers what was written.
    pub(crate) fn rebuild(home: Home, keys: Keys, clock: Clock) -> Done<(Self, Vec<String>)> {
        let settings = home.settings()?;
        let mut config = log_config(&settings, &keys, Arc::clone(&clock))?;
        config.tile_check = TileCheck::Contents;
        config.missing_checkpoint = MissingCheckpoint::Republish;
        let realm = Self::open_log(home, settings, keys, clock, config)?;
        let repaired = realm.own_log()?.recovery().repaired.clone();
        Ok((realm, repaired))
    }

    fn open_log(home: Home, settings: Settings, keys: Keys, clock: Clock, config: Config) -> Done<Self> {
        let seen = crate::witness::last_cosigned(&home, &settings)?;
        let at = |failure: Failure| failure.at(&home.log());
        let log = Log::open(Arc::new(disk(&home.log())?), config).map_err(|error| at(error.into()))?;
        let log = Journal::Own(Box::new(log));
        let opened = Opened { home, settings, keys, clock, log };
        opened.fold(seen.as_ref())
    }
}

impl Published {
    /// Reads a realm up to its last witnessed checkpoint and folds that. Takes no lock and writes nothing.
    pub(crate) fn open(home: Home, keys: Keys, clock: Clock) -> Done<Self> {
        let settings = home.settings()?;
        // The witness first: it cosigns only what is published, so that what is published now holds that, too.
        let seen = crate::witness::last_cosigned(&home, &settings)?;
        let path = home.log();
        let disk = Disk::open_existing(&path).map_err(|error| Failure::file(&path, &error))?;
        let log = ReadLog::open_cosigned(Arc::new(disk), &settings.origin, &[settings.log_key.parse()?])?;
        let log = Source::Tiles(Box::new(log));
        Opened { home, settings, keys, clock, log }.fold(seen.as_ref())
    }

    /// A realm as it was exported, with the keys and the vault of a folder of its own.
    pub(crate) fn exported(station: Station, export: Exported, clock: Clock) -> Done<Self> {
        let root = export.context.ledger().world().root();
        let root = root.ok_or_else(|| Failure::missing("trust root", "in force"))?;
        let settings = Settings {
            log_key: root.body.log.key.clone(),
            local_witness: String::new(),
            origin: root.body.log.origin.clone(),
            realm: station.setup.realm.clone(),
            root: station.setup.root,
            witnesses: Vec::new(),
        };
        let mut book = KeyBook::new();
        let read = |(index, entry): (u64, &Vec<u8>)| Checked::read(index, entry, &mut book);
        let entries: Vec<Checked> = (0..).zip(&export.entries).map(read).collect();
        let bench = Bench::new();
        let ledger = replay(&entries, &bench)?;
        let log = Source::Export(Box::new(export));
        let (home, keys, vault, tenant) = station.into_shelf();
        Ok(Self { home, settings, keys, vault, tenant, log, clock, book, entries, ledger, bench })
    }

    /// Whether the log holds more than was published and cosigned: somebody is writing, or was ended while doing so.
    pub(crate) fn is_behind(&self) -> bool {
        match &self.log {
            Source::Tiles(log) => log.unpublished() > 0,
            Source::Export(_) => false,
        }
    }
}

/// A realm whose log was opened and not yet folded.
struct Opened<L> {
    home: Home,
    settings: Settings,
    keys: Keys,
    clock: Clock,
    log: L,
}

impl<L: Heads> Opened<L> {
    /// Compares the log with what the witness on this machine has cosigned, and folds it.
    fn fold(self, seen: Option<&VerifiedCheckpoint>) -> Done<Record<L>> {
        let Self { home, settings, keys, clock, log } = self;
        let size = log.size();
        crate::witness::compare(&home, seen, size, |size| log.root(size), &log.checkpoint())?;
        let vault = open_vault(&home)?;
        let mut book = KeyBook::new();
        let mut entries = Vec::new();
        for index in 0..size {
            entries.push(Checked::read(index, &log.entry(index)?, &mut book));
        }
        let bench = Bench::new();
        let ledger = replay(&entries, &bench)?;
        if size > 0 && ledger.world().roots().first() != Some(&settings.root) {
            let message = format!("the log does not begin with trust root `{}`", settings.root);
            return Err(Failure::new("CS-CLI-020", message, "this is another log, or it was tampered with"));
        }
        let tenant: Tenant = "realm".parse()?;
        Ok(Record { home, settings, keys, vault, tenant, log, clock, book, entries, ledger, bench })
    }
}

impl<L> Record<L> {
    pub(crate) fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    /// The time of what is made here for the log: this machine's, and no earlier than the log's last stamp. A clock
    /// that was fast once has set that ahead for good, and what names an earlier time than it would be refused.
    pub(crate) fn log_time_ms(&self) -> u64 {
        self.now_ms().max(self.ledger.world().stamp_ms())
    }

    pub(crate) const fn log(&self) -> &L {
        &self.log
    }

    pub(crate) const fn log_mut(&mut self) -> &mut L {
        &mut self.log
    }

    /// The same realm, of which the log is something else.
    pub(crate) fn with_log<M>(self, log: impl FnOnce(L) -> M) -> Record<M> {
        Record {
            home: self.home,
            settings: self.settings,
            keys: self.keys,
            vault: self.vault,
            tenant: self.tenant,
            log: log(self.log),
            clock: self.clock,
            book: self.book,
            entries: self.entries,
            ledger: self.ledger,
            bench: self.bench,
        }
    }

    /// What the record folds from and to.
    pub(crate) const fn folding(&mut self) -> (&mut Vec<Checked>, &mut KeyBook, &mut Ledger, &Bench) {
        (&mut self.entries, &mut self.book, &mut self.ledger, &self.bench)
    }

    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The place of a statement in the log.
    pub(crate) fn leaf_of(&self, id: &StatementId) -> Option<u64> {
        let mut leaves = self.entries.iter().rev().filter_map(|entry| entry.leaf().ok());
        leaves.find(|leaf| leaf.id == *id).map(|leaf| leaf.index)
    }

    /// Every leaf, as the fold read it.
    pub(crate) fn entries(&self) -> &[Checked] {
        &self.entries
    }

    /// The dossier of a change, by its tracking id or an unambiguous beginning of it.
    pub(crate) fn dossier(&self, name: &str) -> Done<&Dossier> {
        let wanted = if name.starts_with("chg-") { name.to_owned() } else { format!("chg-{name}") };
        let mut found = self.ledger.dossiers().filter(|dossier| dossier.change.as_str().starts_with(&wanted));
        match (found.next(), found.next()) {
            (Some(dossier), None) => Ok(dossier),
            (Some(_), Some(_)) => Err(Failure::usage(format!("`{name}` begins more than one change's id"))),
            (None, _) => Err(Failure::missing("change", name)),
        }
    }

    /// Asks the gates with the policy in force.
    pub(crate) fn with_rules<T>(&self, ask: impl FnOnce(&Rules<'_>) -> Done<T>) -> Done<T> {
        let duties = self.bench.duties(self.ledger.world())?;
        let rules = Rules::new(self.ledger.world(), &duties)?;
        ask(&rules)
    }

    /// Stores a text as a salted attachment; its digest goes into statements.
    pub(crate) fn attach(&self, text: &str) -> Done<Digest> {
        shelf::attach(self, text.as_bytes().to_vec())
    }

    /// Reads an attachment of at most so many bytes, which must be there.
    pub(crate) fn attachment(&self, digest: &Digest, limit: u64) -> Done<vault::Attachment> {
        Ok(self.vault.block_on(self.vault.vault().attachment(&self.tenant, digest, limit))?)
    }

    /// Reads the text of an attachment, or why there is none to read.
    pub(crate) fn attached(&self, digest: &Digest) -> Attached {
        if self.ledger.world().purged_at(digest).is_some() {
            return Attached::Purged;
        }
        let read = self.vault.vault().attachment(&self.tenant, digest, 1 << 20);
        match self.vault.block_on(read) {
            Ok(attachment) => Attached::Text(String::from_utf8_lossy(attachment.content()).into_owned()),
            Err(vault::Error::Purged { .. }) => Attached::Purged,
            Err(error) => Attached::Unreadable(error.into()),
        }
    }
}

impl<L> Shelf for Record<L> {
    fn parts(&self) -> (&Ledger, &BlockingVault, &Tenant) {
        (&self.ledger, &self.vault, &self.tenant)
    }
}

fn disk(path: &Path) -> Done<Disk> {
    Disk::open(path).map_err(|error| Failure::file(path, &error))
}

fn log_config(settings: &Settings, keys: &Keys, clock: Clock) -> Done<Config> {
    let key = keys.open(LOG_KEY)?;
    let signer = LogKey::new(&settings.origin, key)?;
    let verifier = signer.verifier().clone();
    let mut config = Config::new(&settings.origin, vec![Arc::new(signer)], vec![verifier], clock);
    config.stamper = Arc::new(statement::stamp);
    config.admission = Arc::new(admit);
    config.publishing = Publishing::OnRequest;
    config.segment_bytes = 4 << 20;
    Ok(config)
}

/// What the log takes: well-formed statements. Whether they have effect is the fold's matter.
fn admit(content: &[u8]) -> Result<(), AdmissionRefusal> {
    let parse = || -> Result<(), StatementError> {
        let envelope = Envelope::parse(content)?;
        Content::parse(envelope.payload.as_slice()).map(drop)
    };
    parse().map_err(|error| AdmissionRefusal { code: error.code().to_owned(), reason: error.to_string() })
}
