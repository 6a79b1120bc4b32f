//! An open realm: its log, its vault, and what the log folds to.
//!
//! A realm is open for writing in one process at a time ([`Realm`]), and for reading in any number beside it
//! ([`Published`]): those take no lock and write nothing, so that they work from a read-only copy, too. While a process
//! serves, others write by bringing it what they have signed ([`crate::served`]).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use dossier::{Applied, Checked, Dossier, KeyBook, Ledger, replay};
use merkle::{Hash, VerifiedCheckpoint};
use policy::gate::{Bench, Rules};
use signer::{FileKey, LogKey, sign_statement};
use statement::kind::Attempt;
use statement::{
    Body, ChangeId, Content, Digest, Envelope, KeyId, Leaf, Name, Statement, StatementError, StatementId,
    Tracking,
};
use translog::{
    AdmissionRefusal, Clock, Config, Disk, Log, LogError, MissingCheckpoint, Publishing, ReadLog, TileCheck,
};
use vault::blocking::BlockingVault;
use vault::{FileKeyRing, MasterKey, Options, Protection, Quota, Tenant, Vault};
use zeroize::Zeroizing;

use crate::failure::{Done, Failure};
use crate::home::{Home, Settings, read_bounded};
use crate::keys::{Keys, id};
use crate::served::{Exported, Journal, Source};
use crate::shelf::{self, Shelf};
use crate::station::Station;
use crate::witness::Unwitnessed;

/// The key that stamps the log.
pub(crate) const LOG_KEY: &str = "log";
/// The key of the witness on this machine.
pub(crate) const WITNESS_KEY: &str = "witness";
/// The key that signs verdicts and attempts.
pub(crate) const AUTOMATION_KEY: &str = "automation";

/// How many attempts of keys that nobody has enrolled are logged in [`STRANGERS_MS`]. Anybody can make such a key, and a
/// log never forgets: beyond this, strangers are refused without a leaf. That somebody knocked is in the record; how often
/// is in the output of the process that was knocked at, because a number that only this machine knows proves nothing.
const STRANGERS_MAX: usize = 8;
/// An hour, by the log's stamps.
const STRANGERS_MS: u64 = 60 * 60 * 1000;

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

impl Realm {
    /// A statement of this realm, made now, as these keys are to sign it.
    pub(crate) fn statement(&self, change: Tracking, body: impl Into<Body>, by: &[KeyId]) -> Statement {
        Statement::new(self.settings.realm.clone(), change, self.now_ms(), body).signed_by(by)
    }

    /// Signs with a key of this machine and submits.
    pub(crate) fn say(
        &mut self,
        key: &FileKey,
        change: Tracking,
        body: impl Into<Body>,
    ) -> Done<StatementId> {
        let statement = self.statement(change, body, &[id(key)]);
        let envelope = sign_statement(key, &statement)?;
        self.submit(&envelope)
    }

    /// As [`Realm::statement`], of one key of this machine.
    pub(crate) fn statement_of(&self, key: &FileKey, about: &Tracking, body: impl Into<Body>) -> Statement {
        self.statement(about.clone(), body, &[id(key)])
    }

    /// The record as it would be with these statements by the key, which are not submitted; none if one has no effect.
    pub(crate) fn trial(&self, key: &FileKey, statements: &[Statement]) -> Done<Option<Ledger>> {
        let (mut ledger, mut book) = (self.ledger.clone(), self.book.clone());
        for (index, statement) in (self.log.size()..).zip(statements) {
            let bytes = sign_statement(key, statement)?.to_bytes()?;
            let stamp_ms = self.now_ms().max(ledger.world().stamp_ms());
            let checked = Checked::read(index, &statement::stamp(&bytes, stamp_ms), &mut book);
            if let Applied::NoOp(_) = ledger.apply(&checked, &self.bench)? {
                return Ok(None);
            }
        }
        Ok(Some(ledger))
    }

    /// The duties of the policy in force in a world of this realm.
    pub(crate) fn duties(&self, world: &dossier::World) -> Done<std::rc::Rc<policy::duties::Duties>> {
        Ok(self.bench.duties(world)?)
    }

    /// Submits a signed statement. What would change nothing is refused, and the attempt is logged in its place. Where
    /// another process has the log, the statement is kept to be brought.
    pub(crate) fn submit(&mut self, envelope: &Envelope) -> Done<StatementId> {
        if self.is_served() {
            return self.lay_out(envelope);
        }
        let bytes = envelope.to_bytes()?;
        let stamp_ms = self.now_ms().max(self.ledger.world().stamp_ms());
        let entry = statement::stamp(&bytes, stamp_ms);
        let mut trial = self.ledger.clone();
        let checked = Checked::read(self.log.size(), &entry, &mut self.book.clone());
        if let Applied::NoOp(refusal) = trial.apply(&checked, &self.bench)? {
            self.log_attempt(envelope, &refusal)?;
            return Err(refusal.into());
        }
        self.append(bytes)?;
        Ok(envelope.id())
    }

    /// Logs a statement as it is, without asking first whether it will have effect: what a hostile client could do.
    pub(crate) fn submit_unasked(&mut self, envelope: &Envelope) -> Done<Applied> {
        self.append(envelope.to_bytes()?)
    }

    fn append(&mut self, bytes: Vec<u8>) -> Done<Applied> {
        let log = self.own_log()?;
        let appended = log.submit(bytes)?.wait()?;
        if appended.duplicate {
            return Ok(Applied::Effective);
        }
        let entry = log.entry(appended.index)?;
        self.entries.push(Checked::read(appended.index, &entry, &mut self.book));
        let Some(last) = self.entries.last() else { return Ok(Applied::Effective) };
        let applied = self.ledger.apply(last, &self.bench)?;
        if applied == Applied::Refold {
            self.ledger = replay(&self.entries, &self.bench)?;
        }
        Ok(applied)
    }

    /// Records that something was asked for and refused, and by whom.
    fn log_attempt(&mut self, envelope: &Envelope, refusal: &dossier::Refusal) -> Done {
        let content = Content::parse(envelope.payload.as_slice())?;
        let requester = envelope.signatures.first().map(|signature| signature.keyid);
        let reasons: Vec<&str> = refusal.reasons().map(|reason| reason.code.as_str()).collect();
        self.attempt(
            content.header().kind.as_str(),
            content.header().change.clone(),
            requester,
            &reasons,
            Some(Digest::of(&envelope.to_bytes()?)),
        )
    }

    /// Records that something was asked for and refused.
    pub(crate) fn attempt(
        &mut self,
        action: &str,
        change: Tracking,
        requester: Option<KeyId>,
        reasons: &[&str],
        request: Option<Digest>,
    ) -> Done {
        // What is refused before it is brought was not asked of the log.
        if self.ledger.world().root().is_none() || self.is_served() {
            return Ok(());
        }
        if requester.is_none_or(|key| self.is_stranger(&key)) && self.strangers() >= STRANGERS_MAX {
            tracing::warn!(
                action,
                ?reasons,
                "an attempt of a stranger is not logged: there were enough this hour"
            );
            return Ok(());
        }
        let reasons = reasons.iter().map(|code| code.parse::<Name>()).collect::<Result<_, _>>()?;
        let body = Attempt { action: action.parse()?, reasons, request, requester, subject: None };
        let key = self.keys.open(AUTOMATION_KEY)?;
        let statement = self.statement(change, body, &[id(&key)]);
        let envelope = sign_statement(key.as_ref(), &statement)?;
        // Not through `submit`: an attempt that could not be logged must not be an attempt again.
        self.append(envelope.to_bytes()?).map(drop)
    }

    /// Whether nobody has enrolled the key.
    fn is_stranger(&self, key: &KeyId) -> bool {
        self.ledger.world().actor(key).is_none()
    }

    /// How many attempts of strangers were logged in the last hour by the log's stamps.
    fn strangers(&self) -> usize {
        let since_ms = self.now_ms().max(self.ledger.world().stamp_ms()).saturating_sub(STRANGERS_MS);
        let leaves = self.entries.iter().rev().filter_map(|entry| entry.leaf().ok());
        let late = leaves.take_while(|leaf| leaf.stamp_ms > since_ms);
        let is_strange = |leaf: &&Leaf| match &leaf.content {
            Content::Known(known) => match &known.body {
                Body::Attempt(attempt) => attempt.requester.is_none_or(|key| self.is_stranger(&key)),
                _ => false,
            },
            Content::Opaque(_) => false,
        };
        late.filter(is_strange).count()
    }

    /// Publishes the log's head and has it witnessed. Answers the checkpoint.
    pub(crate) fn publish(&self) -> Done<Vec<u8>> {
        let log = self.own_log()?;
        log.publish()?;
        self.witness_locally(log)?;
        for witness in &self.settings.witnesses {
            match crate::witness::ask(log, witness, &self.settings.origin) {
                Ok(()) => {}
                // A stop or a rollback must not wait for a witness; gates count cosignatures themselves.
                Err(Unwitnessed::Absent(failure)) => eprintln!("not cosigned by a witness: {failure}"),
                Err(Unwitnessed::Refused(failure)) => return Err(failure),
            }
        }
        Ok(log.checkpoint())
    }

    fn witness_locally(&self, log: &Log) -> Done {
        let store = crate::witness::open_local(&self.home, &self.settings, &self.keys, &self.clock)?;
        let known = store.size(&self.settings.origin).unwrap_or(0);
        let response = store.add_checkpoint(&log.witness_request(known)?);
        crate::witness::take(&self.home, log, &response, &self.settings.local_witness)
    }

    /// A fresh tracking id.
    pub(crate) fn new_change() -> Done<ChangeId> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            Failure::outside(
                format!("the system gives no randomness: {error}"),
                "this machine cannot make ids",
            )
        })?;
        Ok(ChangeId::from_random(bytes))
    }
}

impl<L> Shelf for Record<L> {
    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn vault(&self) -> &BlockingVault {
        &self.vault
    }

    fn tenant(&self) -> &Tenant {
        &self.tenant
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

pub(crate) fn open_vault(home: &Home) -> Done<BlockingVault> {
    let ring = FileKeyRing::open(home.vault_keys(), read_master_key(home)?)?;
    let options = Options { protection: Protection::Encrypted, quota: Quota::Unlimited };
    Ok(BlockingVault::new(Vault::on_disk(&home.vault(), Arc::new(ring), options)?)?)
}

/// Makes the key under which the tenants' keys are sealed: a file of this machine, readable by its owner alone.
pub(crate) fn write_master_key(home: &Home) -> Done {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut()).map_err(|error| {
        Failure::outside(format!("the system gives no randomness: {error}"), "this machine cannot make keys")
    })?;
    let path = home.master_key();
    let failed = |error: std::io::Error| Failure::file(&path, &error);
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    file.write_all(bytes.as_ref()).and_then(|()| file.sync_all()).map_err(failed)
}

fn read_master_key(home: &Home) -> Done<MasterKey> {
    let path = home.master_key();
    let lost = |why: &str| {
        let message = format!("`{}` {why}", path.display());
        Failure::new("CS-CLI-009", message, "restore the vault's master key from its backup")
    };
    let mode = match fs::metadata(&path) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(lost("is missing")),
        Err(error) => return Err(Failure::file(&path, &error)),
    };
    if mode & 0o077 != 0 {
        let message =
            format!("`{}` has mode `{mode:04o}`, which lets others than its owner at it", path.display());
        return Err(Failure::new(
            "CS-CLI-016",
            message,
            "set its mode to 0600 and find out who could read it",
        ));
    }
    let bytes = Zeroizing::new(read_bounded(&path, 32)?);
    let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| lost("is not 32 bytes"))?;
    Ok(MasterKey::from_bytes(Zeroizing::new(key)))
}
