//! A realm whose log another process has: read as it was published last, written by bringing signed statements to that
//! process. What is brought here has no other standing than what anybody brings: the process that serves decides.
//!
//! Where the record comes from: the published log itself, in the realm's folder, or an export of it that was checked from
//! the pinned trust root. What this does not do: keep anything. What was not taken is not said.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use audit::Context;
use bundle::About;
use dossier::{Applied, Checked, Refusal, replay};
use merkle::Hash;
use serde::{Deserialize, Serialize};
use statement::{Body, Content, Digest, Envelope, KeyId, StatementId, Tracking, json};
use translog::{Log, LogError, ReadLog};

use crate::command::bundle::out;
use crate::failure::{Done, Failure};
use crate::home::{Home, read_bounded, replace};
use crate::realm::{Heads, Published, Realm};
use crate::serve::{Receipt, declined, send_file};
use crate::shelf;

/// What a realm's statements go into.
pub(crate) enum Journal {
    /// The log, of which this process has the lock.
    Own(Box<Log>),
    /// A process that serves.
    Served(Box<Courier>),
}

impl Heads for Journal {
    fn size(&self) -> u64 {
        match self {
            Self::Own(log) => log.size(),
            Self::Served(courier) => courier.source.size(),
        }
    }

    fn entry(&self, index: u64) -> Result<Vec<u8>, LogError> {
        match self {
            Self::Own(log) => Heads::entry(log.as_ref(), index),
            Self::Served(courier) => courier.source.entry(index),
        }
    }

    fn root(&self, size: u64) -> Result<Hash, LogError> {
        match self {
            Self::Own(log) => Heads::root(log.as_ref(), size),
            Self::Served(courier) => courier.source.root(size),
        }
    }

    fn checkpoint(&self) -> Vec<u8> {
        match self {
            Self::Own(log) => Heads::checkpoint(log.as_ref()),
            Self::Served(courier) => courier.source.checkpoint(),
        }
    }
}

/// A log that is only read.
pub(crate) enum Source {
    /// As it was published.
    Tiles(Box<ReadLog>),
    /// As it was exported.
    Export(Box<Exported>),
}

/// A checked export.
pub(crate) struct Exported {
    pub(crate) context: Context,
    pub(crate) entries: Vec<Vec<u8>>,
}

impl Heads for Source {
    fn size(&self) -> u64 {
        match self {
            Self::Tiles(log) => log.size(),
            Self::Export(export) => export.context.checkpoint().size(),
        }
    }

    fn entry(&self, index: u64) -> Result<Vec<u8>, LogError> {
        match self {
            Self::Tiles(log) => Heads::entry(log.as_ref(), index),
            Self::Export(export) => {
                let entry = usize::try_from(index).ok().and_then(|index| export.entries.get(index));
                entry.cloned().ok_or_else(|| LogError::OutOfRange { wanted: index, size: self.size() })
            }
        }
    }

    fn root(&self, size: u64) -> Result<Hash, LogError> {
        match self {
            Self::Tiles(log) => Heads::root(log.as_ref(), size),
            Self::Export(export) => {
                let root = export.context.root_at(size);
                root.ok_or_else(|| LogError::OutOfRange { wanted: size, size: self.size() })
            }
        }
    }

    fn checkpoint(&self) -> Vec<u8> {
        match self {
            Self::Tiles(log) => Heads::checkpoint(log.as_ref()),
            Self::Export(export) => export.context.checkpoint().to_bytes(),
        }
    }
}

/// Where statements are brought to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) socket: PathBuf,
    /// The key that must sign the receipt.
    pub(crate) receiver: KeyId,
}

/// Whether contents go along with the statements that name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Both processes have the realm's vault.
    AreThere,
    /// They are in the vault of this folder alone.
    GoAlong,
}

/// What was signed and is to be brought.
pub(crate) struct Courier {
    source: Source,
    route: Route,
    contents: Contents,
    envelopes: Vec<Envelope>,
    /// What the contents of the record are named by.
    known: BTreeSet<Digest>,
    /// What the record that is known here has against them. The receiver's may be newer.
    doubt: Option<Refusal>,
    /// The key that brings what none who has signed it has a key here for.
    brings: Option<KeyId>,
}

/// What a process that serves says of itself, in the realm's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Announcement {
    process: u32,
    receiver: KeyId,
    socket: String,
}

fn announcement(home: &Home) -> PathBuf {
    home.path().join("serving.json")
}

/// Says in the realm's folder where statements are brought to while this process has the log.
pub(crate) fn announce(home: &Home, socket: &Path, receiver: KeyId) -> Done {
    let socket = std::path::absolute(socket).map_err(|error| Failure::file(socket, &error))?;
    let socket = socket.to_str().ok_or_else(|| {
        Failure::usage(format!("`{}` cannot be announced: it is not UTF-8", socket.display()))
    })?;
    let said = Announcement { process: std::process::id(), receiver, socket: socket.to_owned() };
    replace(&announcement(home), &json::to_canonical(&said)?)
}

/// Takes back what another process has announced here: this one takes no statements, or at another place.
pub(crate) fn announce_nothing(home: &Home) -> Done {
    let path = announcement(home);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::file(&path, &error)),
        _ => Ok(()),
    }
}

/// Where the process takes statements that has the log, as the failure to get it names that process.
pub(crate) fn announced(home: &Home, locked: &Failure) -> Option<Route> {
    let path = announcement(home);
    let bytes = read_bounded(&path, 1 << 16).ok()?;
    let value = json::parse(&bytes, json::Limits::signed(1 << 16)).ok()?;
    let said: Announcement = json::from_value(&value).ok()?;
    // What an ended process has left behind says nothing about the one that runs.
    let is_its = locked.message.contains(&format!("process `{}`", said.process));
    is_its.then(|| Route { socket: said.socket.into(), receiver: said.receiver })
}

impl Published {
    /// The realm, to write into by bringing what was signed.
    pub(crate) fn served(self, route: Route, contents: Contents) -> Realm {
        let known = match contents {
            Contents::AreThere => BTreeSet::new(),
            Contents::GoAlong => {
                let leaves = self.entries().iter().filter_map(|entry| entry.leaf().ok());
                leaves.flat_map(|leaf| named(&leaf.content)).collect()
            }
        };
        self.with_log(|source| {
            let envelopes = Vec::new();
            Journal::Served(Box::new(Courier {
                source,
                route,
                contents,
                envelopes,
                known,
                doubt: None,
                brings: None,
            }))
        })
    }
}

fn named(content: &Content) -> BTreeSet<Digest> {
    match content {
        Content::Known(statement) => bundle::named(&statement.body),
        Content::Opaque(_) => BTreeSet::new(),
    }
}

/// Statements of one author about one thing.
struct Parcel {
    author: KeyId,
    tracking: Tracking,
    envelopes: Vec<Envelope>,
}

impl Realm {
    /// Whether another process has the log.
    pub(crate) const fn is_served(&self) -> bool {
        matches!(self.log(), Journal::Served(_))
    }

    /// Where another process has the log: whether contents go along with what is brought to it.
    pub(crate) fn contents(&self) -> Option<Contents> {
        match self.log() {
            Journal::Own(_) => None,
            Journal::Served(courier) => Some(courier.contents),
        }
    }

    /// The log, of which this process must have the lock.
    pub(crate) fn own_log(&self) -> Done<&Log> {
        match self.log() {
            Journal::Own(log) => Ok(log),
            Journal::Served(_) => Err(Failure::new(
                "CS-SRV-011",
                "this needs the log itself, which another process has",
                "end the process that serves, and run this again",
            )),
        }
    }

    /// Has a key that is held bring what others have signed. Whether it may is the receiver's to say.
    pub(crate) fn brought_by(&mut self, key: KeyId) {
        if let Journal::Served(courier) = self.log_mut() {
            courier.brings = Some(key);
        }
    }

    /// Keeps a signed statement to be brought, and goes on as if it had been taken.
    pub(crate) fn lay_out(&mut self, envelope: &Envelope) -> Done<StatementId> {
        let entry = statement::stamp(&envelope.to_bytes()?, self.log_time_ms());
        let doubt = self.foresee(&entry)?;
        if let Journal::Served(courier) = self.log_mut() {
            courier.envelopes.push(envelope.clone());
            // The receiver knows better, should its record be newer than what is known here.
            courier.doubt = courier.doubt.take().or(doubt);
        }
        Ok(envelope.id())
    }

    /// Brings what was laid out, and waits for the receipts. Answers the leaf of the last statement, where it was told.
    pub(crate) fn settle(&mut self) -> Done<Option<u64>> {
        let Journal::Served(courier) = self.log_mut() else { return Ok(None) };
        let (route, contents) = (courier.route.clone(), courier.contents);
        let (envelopes, doubt) = (std::mem::take(&mut courier.envelopes), courier.doubt.take());
        let mut leaf = None;
        for parcel in self.parcels(envelopes)? {
            let receipt = self.bring(&parcel, &route, contents)?;
            if let Some(code) = receipt.refused {
                return Err(match doubt {
                    // What the receiver says by its code, this record can say in full.
                    Some(doubt) if doubt.reasons().any(|reason| reason.code.as_str() == code) => doubt.into(),
                    _ => declined(&code),
                });
            }
            leaf = receipt.leaf;
        }
        Ok(leaf)
    }

    /// What may go together: of one author, about one change, in the order in which it was said.
    fn parcels(&self, envelopes: Vec<Envelope>) -> Done<Vec<Parcel>> {
        let mut parcels: Vec<Parcel> = Vec::new();
        for envelope in envelopes {
            let mut signers = envelope.signatures.iter().map(|signature| signature.keyid);
            let brings = match self.log() {
                Journal::Own(_) => None,
                Journal::Served(courier) => courier.brings,
            };
            let author = signers.find(|key| self.keys.held(key).is_some()).or(brings);
            let author = author.ok_or_else(|| {
                let hint = "end the process that serves, and run this again; or have who signed it bring it";
                Failure::new(
                    "CS-SRV-012",
                    "none who has signed this has a key here, so it cannot be brought",
                    hint,
                )
            })?;
            let tracking = Content::parse(envelope.payload.as_slice())?.header().change.clone();
            match parcels.last_mut() {
                Some(last) if last.author == author && last.tracking == tracking => {
                    last.envelopes.push(envelope);
                }
                _ => parcels.push(Parcel { author, tracking, envelopes: vec![envelope] }),
            }
        }
        Ok(parcels)
    }

    fn bring(&self, parcel: &Parcel, route: &Route, contents: Contents) -> Done<Receipt> {
        let key = self.keys.held(&parcel.author);
        let key = key.ok_or_else(|| Failure::missing("key", parcel.author))?;
        let mut carried = BTreeSet::new();
        let mut proposal = None;
        for envelope in &parcel.envelopes {
            let content = Content::parse(envelope.payload.as_slice())?;
            carried.extend(named(&content));
            if let Content::Known(known) = &content
                && matches!(known.body, Body::Proposal(_))
            {
                proposal = Some(envelope.id());
            }
        }
        let about = match &parcel.tracking {
            Tracking::Realm => None,
            Tracking::Change(change) => {
                let stands = self.ledger().dossier(change).map(|dossier| dossier.proposal.id);
                proposal.or(stands).map(|proposal| About { change: change.clone(), proposal })
            }
        };
        let carried = match contents {
            Contents::AreThere => BTreeSet::new(),
            Contents::GoAlong => self.new_contents(&carried),
        };
        let folder = crate::home::private_folder()?;
        let path = folder.path().join("submission.bundle");
        out::write_submission(self, &key, about, route.receiver, &parcel.envelopes, &carried, &path)?;
        send_file(&route.socket, &path, route.receiver)
    }

    /// What the record does not name yet and this folder has, folders with their files.
    fn new_contents(&self, named: &BTreeSet<Digest>) -> BTreeSet<Digest> {
        let Journal::Served(courier) = self.log() else { return BTreeSet::new() };
        let mut carried = BTreeSet::new();
        for digest in named.difference(&courier.known) {
            if shelf::length(self, digest).is_ok() {
                carried.insert(*digest);
                carried.extend(shelf::files(self, digest));
            }
        }
        carried
    }

    /// What a leaf would do here. What has effect is folded in; what has none is answered with its reasons.
    fn foresee(&mut self, entry: &[u8]) -> Done<Option<Refusal>> {
        let (entries, book, ledger, bench) = self.folding();
        let index = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let mut read = book.clone();
        let checked = Checked::read(index, entry, &mut read);
        let mut trial = ledger.clone();
        let applied = trial.apply(&checked, bench)?;
        if let Applied::NoOp(refusal) = applied {
            return Ok(Some(refusal));
        }
        entries.push(checked);
        *book = read;
        *ledger = if applied == Applied::Refold { replay(entries, bench)? } else { trial };
        Ok(None)
    }
}
