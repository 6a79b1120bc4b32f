//! Threads that see to it that changes are examined: by another process that is asked, or in this one.
//!
//! What is to be done is no queue that could be full or lost: it is worked out from the published log each time, as the
//! proposals that wait for evidence and have no finding of this examiner. So nothing is forgotten when a request cannot be
//! brought, and nothing when this process or the other one is started again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use dossier::{Dossier, Ledger, State};
use signer::FileKey;
use statement::{ChangeId, KeyId, StatementId};

use super::authority::Measured;
use super::channel::send;
use super::door::Came;
use super::patience::{ABSENT, FAILED, Patience};
use super::{Manner, declined};
use crate::act;
use crate::command::Setting;
use crate::command::bundle::out;
use crate::failure::{Done, Failure};
use crate::home::Home;
use crate::keys::{Keys, PassphraseSource};
use crate::realm::Published;
use crate::worker::Worker;

/// For how many days an examiner may take a request.
const REQUEST_DAYS: u64 = 1;
/// How often the published log is looked at where nothing has happened: requests lapse.
const LOOK_AGAIN: Duration = Duration::from_hours(1);

/// Where the published log is read.
#[derive(Clone)]
pub(super) struct Bench {
    home: Home,
    passphrase: PassphraseSource,
}

impl Bench {
    pub(super) fn of(setting: &Setting) -> Self {
        Self { home: setting.home.clone(), passphrase: setting.passphrase.clone() }
    }

    fn published(&self) -> Done<Published> {
        let keys = Keys::new(&self.home, self.passphrase.clone());
        Published::open(self.home.clone(), keys, translog::system_clock())
    }
}

/// Who is asked for a finding.
pub(super) trait Examiner {
    /// The key that signs the findings.
    fn key(&self) -> KeyId;

    /// Whether the proposal is with them already.
    fn has(&self, proposal: &StatementId, now_ms: u64) -> bool;

    /// Brings a change to them.
    fn ask(&mut self, published: &Published, wanted: &Wanted) -> Result<(), Unasked>;
}

/// Why a change could not be brought.
pub(super) enum Unasked {
    /// Nobody is there: so it is with every other change.
    Absent(Failure),
    /// This one was not taken.
    Refused(Failure),
}

/// A proposal that waits for a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) change: ChangeId,
    pub(super) proposal: StatementId,
}

/// The proposals that wait for evidence and have no finding under this key, oldest first. One that somebody has approved
/// waits no more: a new finding would undo what they have signed.
pub(super) fn lacking(ledger: &Ledger, examiner: &KeyId) -> Vec<Wanted> {
    let waits = |dossier: &&Dossier| match dossier.state {
        State::Proposed => true,
        State::Examined { .. } => dossier.approvals.is_empty(),
        State::Ordered { .. }
        | State::Serving { .. }
        | State::Succeeded { .. }
        | State::RolledBack { .. }
        | State::Rejected
        | State::Retired { .. } => false,
    };
    let found = |dossier: &Dossier| {
        dossier.findings.values().any(|finding| finding.signers.iter().any(|signer| signer.key == *examiner))
    };
    let mut wanted: Vec<_> = ledger.dossiers().filter(waits).filter(|dossier| !found(dossier)).collect();
    wanted.sort_by_key(|dossier| dossier.proposal.index);
    let wanted = wanted.into_iter();
    wanted.map(|dossier| Wanted { change: dossier.change.clone(), proposal: dossier.proposal.id }).collect()
}

/// Nobody in particular: the examiner.
const ALL: Option<StatementId> = None;

/// Asks for what is lacking, now and whenever this thread is woken, until nobody can wake it any more.
pub(super) fn keep_asking(bench: &Bench, mut examiner: impl Examiner, woken: &Receiver<()>) {
    let mut patience = Patience::new();
    loop {
        let now = Instant::now();
        // Where the examiner is not there, nothing else is tried.
        if patience.is_ripe(&ALL, now) {
            match round(bench, &mut examiner, &mut patience) {
                Ok(()) => patience.forget(&ALL),
                Err(failure) => {
                    patience.failed(&ALL, Instant::now(), ABSENT);
                    tracing::warn!(code = %failure.code, examiner = %examiner.key(), "not asked: {}", failure.message);
                }
            }
        }
        let now = Instant::now();
        let wait = patience.wait_for(&ALL, now).or_else(|| patience.wait(now)).unwrap_or(LOOK_AGAIN);
        match woken.recv_timeout(wait) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Asks for everything that is lacking now. Fails where nobody can be asked.
fn round(bench: &Bench, examiner: &mut impl Examiner, patience: &mut Patience<Option<StatementId>>) -> Done {
    let published = bench.published()?;
    let wanted = lacking(published.ledger(), &examiner.key());
    let proposals: BTreeSet<StatementId> = wanted.iter().map(|wanted| wanted.proposal).collect();
    patience.keep(|thing| thing.is_none_or(|proposal| proposals.contains(&proposal)));
    for wanted in wanted {
        let proposal = Some(wanted.proposal);
        if examiner.has(&wanted.proposal, published.now_ms()) {
            patience.forget(&proposal);
            continue;
        }
        if !patience.is_ripe(&proposal, Instant::now()) {
            continue;
        }
        match examiner.ask(&published, &wanted) {
            Ok(()) => patience.forget(&proposal),
            Err(Unasked::Refused(failure)) => {
                patience.failed(&proposal, Instant::now(), FAILED);
                tracing::warn!(code = %failure.code, change = %wanted.change, "not examined: {}", failure.message);
            }
            Err(Unasked::Absent(failure)) => return Err(failure),
        }
    }
    Ok(())
}

/// Another process that examines.
pub(super) struct Apart {
    examiner: KeyId,
    socket: PathBuf,
    key: Arc<FileKey>,
    /// Which proposals it has taken, and until when it may work on them.
    asked: BTreeMap<StatementId, u64>,
}

impl Apart {
    pub(super) const fn new(examiner: KeyId, socket: PathBuf, key: Arc<FileKey>) -> Self {
        Self { examiner, socket, key, asked: BTreeMap::new() }
    }
}

impl Examiner for Apart {
    fn key(&self) -> KeyId {
        self.examiner
    }

    fn has(&self, proposal: &StatementId, now_ms: u64) -> bool {
        self.asked.get(proposal).is_some_and(|until_ms| now_ms < *until_ms)
    }

    fn ask(&mut self, published: &Published, wanted: &Wanted) -> Result<(), Unasked> {
        let written = || -> Done<_> {
            let folder = crate::home::private_folder()?;
            let path = folder.path().join("request.bundle");
            let days = (self.examiner, REQUEST_DAYS);
            let (signed, _) = out::write_request(published, &self.key, &wanted.change, days, &path)?;
            let file = std::fs::File::open(&path).map_err(|error| Failure::file(&path, &error))?;
            Ok((signed, file))
        };
        let (signed, mut file) = written().map_err(Unasked::Refused)?;
        let receipt = send(&self.socket, &signed, &mut file, self.examiner).map_err(Unasked::Absent)?;
        if let Some(code) = receipt.refused {
            return Err(Unasked::Refused(declined(&code)));
        }
        let now_ms = published.now_ms();
        self.asked.retain(|_, until_ms| now_ms < *until_ms);
        self.asked.insert(wanted.proposal, signed.header().expires_ms);
        Ok(())
    }
}

/// This process, with a key of the realm's folder.
pub(super) struct Here {
    pub(super) worker: Worker,
    pub(super) manner: Manner,
    pub(super) by: String,
    pub(super) examiner: KeyId,
    pub(super) to: SyncSender<Came<Measured>>,
}

impl Examiner for Here {
    fn key(&self) -> KeyId {
        self.examiner
    }

    fn has(&self, _: &StatementId, _: u64) -> bool {
        false
    }

    fn ask(&mut self, published: &Published, wanted: &Wanted) -> Result<(), Unasked> {
        let measured = act::measured(
            published,
            &self.worker,
            &wanted.change,
            self.manner.level,
            self.manner.sources.as_ref(),
        );
        let finding = measured.map_err(Unasked::Refused)?;
        let (done, heard) = sync_channel(1);
        let (change, by) = (wanted.change.clone(), self.by.clone());
        let ended = || Unasked::Absent(Failure::outside("the process ends", "start it again"));
        self.to.send(Came::Told(Measured { change, finding, by, done })).map_err(|_| ended())?;
        heard.recv().map_err(|_| ended())?.map_err(Unasked::Refused)
    }
}
