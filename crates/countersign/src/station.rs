//! A machine without a network that examines: what it was set up with, what it has taken, what it has found.
//!
//! ```text
//! station.json       which realm, which trust root, which key
//! record.export      the newest record it has taken
//! taken/ID.header    the signed headers of the requests it has taken
//! taken/ID.answered  which of them a process that serves has answered
//! findings/ID.json   what it has found, signed
//! keys/, vault/, vault-keys/, vault.master    as a realm has them
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use audit::{Context, Expectations, Export, Section};
use bundle::{Head, Known, SignedHeader};
use dossier::{Dossier, Ledger};
use serde::{Deserialize, Serialize};
use signer::{FileScheme, Signer as _};
use statement::kind::Assurance;
use statement::{Digest, Envelope, KeyId, RealmId, StatementId, json};
use vault::Tenant;
use vault::blocking::BlockingVault;

use crate::failure::{Done, Failure};
use crate::home::{Home, read_bounded, replace};
use crate::keys::{Keys, PassphraseSource};
use crate::realm::{Published, open_vault, write_master_key};
use crate::served::Exported;
use crate::shelf::Shelf;

/// The longest record that is taken: it is folded in memory.
pub(crate) const RECORD_BYTES_MAX: u64 = 4 << 30;

/// What the machine was set up with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    /// The id of its key.
    pub(crate) key: KeyId,
    /// The key's name.
    pub(crate) key_name: String,
    /// The realm.
    pub(crate) realm: RealmId,
    /// The realm's first trust root.
    pub(crate) root: StatementId,
}

/// A machine without a network, opened.
pub(crate) struct Station {
    pub(crate) home: Home,
    pub(crate) setup: Setup,
    pub(crate) keys: Keys,
    vault: BlockingVault,
    tenant: Tenant,
    context: Option<Context>,
    /// What stands for the record before any was taken.
    nothing: Ledger,
}

impl Shelf for Station {
    fn parts(&self) -> (&Ledger, &BlockingVault, &Tenant) {
        (self.context.as_ref().map_or(&self.nothing, Context::ledger), &self.vault, &self.tenant)
    }
}

impl Station {
    /// Whether such a machine lives in the folder.
    pub(crate) fn is_in(home: &Home) -> bool {
        setup_path(home).exists()
    }

    /// Sets a machine up in a folder that is empty or absent.
    pub(crate) fn create(
        home: &Home,
        source: PassphraseSource,
        realm: RealmId,
        root: StatementId,
        key_name: &str,
        assurance: Assurance,
    ) -> Done<Self> {
        home.vacant()?;
        let keys = Keys::new(home, source);
        let generated = keys.generate(key_name, FileScheme::Ed25519, assurance)?;
        let unfinished = home.create()?;
        for folder in [taken(home), findings(home)] {
            fs::create_dir_all(&folder).map_err(|error| Failure::file(&folder, &error))?;
        }
        let key = keys.keep(generated)?;
        write_master_key(home)?;
        let vault = open_vault(home)?;
        let tenant: Tenant = "realm".parse()?;
        vault.create_tenant(&tenant)?;
        let setup = Setup { key: key.public_key().id(), key_name: key_name.to_owned(), realm, root };
        let mut bytes = json::to_canonical(&setup)?;
        bytes.push(b'\n');
        replace(&setup_path(home), &bytes)?;
        unfinished.keep();
        Ok(Self { home: home.clone(), setup, keys, vault, tenant, context: None, nothing: Ledger::new() })
    }

    /// Opens the machine and checks its record again, from the pinned trust root.
    pub(crate) fn open(home: &Home, source: PassphraseSource) -> Done<Self> {
        let path = setup_path(home);
        if !path.exists() {
            let message = format!("no station lives in `{}`", home.path().display());
            let hint = "`countersign bundle station` makes one; --home names its folder";
            return Err(Failure::new("CS-CLI-063", message, hint));
        }
        let bytes = read_bounded(&path, 16 << 10)?;
        let not_a = |error: &dyn std::fmt::Display| Failure::not_a("station's settings", &path, error);
        let value = json::parse(&bytes, json::Limits::signed(16 << 10)).map_err(|error| not_a(&error))?;
        let setup: Setup = json::from_value(&value).map_err(|error| not_a(&error))?;
        let vault = open_vault(home)?;
        let tenant: Tenant = "realm".parse()?;
        let mut station = Self {
            home: home.clone(),
            setup,
            keys: Keys::new(home, source),
            vault,
            tenant,
            context: None,
            nothing: Ledger::new(),
        };
        if station.record_path().exists() {
            station.context = Some(station.check(&read_record(&station.record_path())?)?);
        }
        Ok(station)
    }

    /// Checks a record from the pinned trust root.
    pub(crate) fn check(&self, record: &[u8]) -> Done<Context> {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let expectations = Expectations { root: Some(self.setup.root), threads, ..Expectations::none() };
        Ok(audit::context(record, &expectations)?)
    }

    pub(crate) fn record_path(&self) -> PathBuf {
        self.home.path().join("record.export")
    }

    /// The realm as an export of it has it, checked from the pinned trust root: a file's, or that of the record that was
    /// taken last.
    pub(crate) fn published(self, record: Option<&Path>) -> Done<Published> {
        let path = record.map_or_else(|| self.record_path(), Path::to_owned);
        if record.is_none() && !path.exists() {
            let hint = "give --record: an export of the realm, as `countersign export` writes it";
            return Err(Failure::new("CS-SRV-013", "this folder has no record of the realm yet", hint));
        }
        let bytes = read_record(&path)?;
        let context = self.check(&bytes)?;
        let (seen, needed) = (context.witnesses(), context.witnesses_needed());
        if seen < needed {
            return Err(bundle::BundleError::Unwitnessed { seen, needed }.into());
        }
        let export = Export::parse(&bytes)?;
        let section = export.section(Section::Entries).unwrap_or_default();
        let entries = audit::export::entries(section)?.into_iter().map(<[u8]>::to_vec).collect();
        Published::exported(self, Exported { context, entries }, translog::system_clock())
    }

    /// Its folder, keys and vault, for a record that is not its own.
    pub(crate) fn into_shelf(self) -> (Home, Keys, BlockingVault, Tenant) {
        (self.home, self.keys, self.vault, self.tenant)
    }

    /// The newest record that was taken.
    pub(crate) fn known(&self) -> Option<Known> {
        let context = self.context.as_ref()?;
        let checkpoint = context.checkpoint();
        let root = Digest::from_bytes(*checkpoint.root().as_bytes());
        let head = Head { root, size: checkpoint.size() };
        Some(Known { head, stamp_ms: context.ledger().world().stamp_ms() })
    }

    /// The present moment: the clock's, or that of the record where the clock is behind it.
    pub(crate) fn now_ms(&self) -> u64 {
        let clock = translog::system_clock();
        clock().max(self.ledger().world().stamp_ms())
    }

    /// The requests that were taken.
    pub(crate) fn requests(&self) -> Done<Vec<SignedHeader>> {
        let mut requests = Vec::new();
        for path in files(&taken(&self.home))? {
            requests.push(SignedHeader::parse(&read_bounded(&path, bundle::HEADER_BYTES_MAX)?)?);
        }
        Ok(requests)
    }

    /// The ids of the requests that were taken.
    pub(crate) fn taken(&self) -> Done<BTreeSet<Digest>> {
        Ok(self.requests()?.iter().map(|request| *request.id()).collect())
    }

    /// Remembers a request, so that it is not taken twice. Written last: until then taking it again changes nothing.
    pub(crate) fn remember(&self, request: &SignedHeader) -> Done {
        replace(&taken(&self.home).join(format!("{}.header", request.id())), request.as_bytes())
    }

    /// The requests that have no answer yet and may still be answered, oldest first.
    pub(crate) fn unanswered(&self) -> Done<Vec<SignedHeader>> {
        let now_ms = self.now_ms();
        let mut requests = self.requests()?;
        requests.retain(|request| {
            now_ms < request.header().expires_ms && !answered(&self.home, request.id()).exists()
        });
        requests.sort_by_key(|request| request.header().created_ms);
        Ok(requests)
    }

    /// Remembers that a request was answered.
    pub(crate) fn answered(&self, request: &SignedHeader) -> Done {
        replace(&answered(&self.home, request.id()), b"")
    }

    /// The newest request about a change, by its tracking id or an unambiguous beginning of it.
    pub(crate) fn request(&self, name: &str) -> Done<SignedHeader> {
        let dossier = self.dossier(name)?;
        let about = |request: &SignedHeader| {
            let about = request.header().about.as_ref();
            about.is_some_and(|about| about.change == dossier.change && about.proposal == dossier.proposal.id)
        };
        let requests = self.requests()?.into_iter().filter(about);
        let newest = requests.max_by_key(|request| request.header().created_ms);
        newest.ok_or_else(|| Failure::missing("request about change", name))
    }

    fn dossier(&self, name: &str) -> Done<&Dossier> {
        let wanted = if name.starts_with("chg-") { name.to_owned() } else { format!("chg-{name}") };
        let mut found =
            self.ledger().dossiers().filter(|dossier| dossier.change.as_str().starts_with(&wanted));
        match (found.next(), found.next()) {
            (Some(dossier), None) => Ok(dossier),
            (Some(_), Some(_)) => Err(Failure::usage(format!("`{name}` begins more than one change's id"))),
            (None, _) => Err(Failure::missing("change", name)),
        }
    }

    /// Keeps a signed finding until it is carried back.
    pub(crate) fn keep(&self, envelope: &Envelope) -> Done {
        replace(&findings(&self.home).join(format!("{}.json", envelope.id())), &envelope.to_bytes()?)
    }

    /// The findings that were kept.
    pub(crate) fn findings(&self) -> Done<Vec<Envelope>> {
        let mut envelopes = Vec::new();
        for path in files(&findings(&self.home))? {
            let bytes = read_bounded(&path, statement::envelope::ENVELOPE_BYTES_MAX)?;
            envelopes.push(Envelope::parse(&bytes)?);
        }
        Ok(envelopes)
    }
}

fn read_record(path: &Path) -> Done<Vec<u8>> {
    read_bounded(path, usize::try_from(RECORD_BYTES_MAX).unwrap_or(usize::MAX))
}

fn setup_path(home: &Home) -> PathBuf {
    home.path().join("station.json")
}

fn taken(home: &Home) -> PathBuf {
    home.path().join("taken")
}

fn answered(home: &Home, request: &Digest) -> PathBuf {
    taken(home).join(format!("{request}.answered"))
}

fn findings(home: &Home) -> PathBuf {
    home.path().join("findings")
}

/// The files of a folder, sorted by name; what a write left behind when it was cut off has no ending of ours.
fn files(folder: &Path) -> Done<Vec<PathBuf>> {
    let failed = |error: std::io::Error| Failure::file(folder, &error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == "header" || ending == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
