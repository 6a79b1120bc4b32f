//! The authority: the one process that has the log. One thread decides and writes; it waits for nobody but its disk and its
//! witnesses. Whoever examines is asked by threads of their own ([`super::asking`]), from what was published.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use bundle::{Direction, Header};
use dossier::{Code, Refusal};
use statement::kind::Finding;
use statement::{Body, ChangeId, Content, KeyId, Tracking};

use super::ServeArgs;
use super::asking::{Apart, Bench, Here, keep_asking};
use super::channel::{Arrived, Receipt, Receipts, ended};
use super::door::{self, Came};
use crate::act;
use crate::command::Setting;
use crate::command::bundle::take;
use crate::command::change::conclude;
use crate::failure::{Done, Failure};
use crate::keys::id;
use crate::realm::{AUTOMATION_KEY, Realm};
use crate::served::{announce, announce_nothing};
use crate::worker::Worker;

/// Whose submissions are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// The intake's.
    FromIntake,
    /// Everybody's: there is no intake.
    FromAnybody,
}

/// What a thread of this process has measured, for the one that decides.
pub(super) struct Measured {
    pub(super) change: ChangeId,
    pub(super) finding: Finding,
    /// The name of the key that examines.
    pub(super) by: String,
    /// Hears when it is published, or refused.
    pub(super) done: SyncSender<Done>,
}

/// Runs until it is ended.
pub(super) fn run(setting: &Setting, args: &ServeArgs, takes: Takes) -> Done {
    let mut realm = setting.open()?;
    // What a process that was ended had logged and not published: whoever asks reads what is published.
    realm.publish()?;
    let key = realm.keys.open(AUTOMATION_KEY)?;
    let apart = args.examiners.iter().map(|text| examiner(text)).collect::<Done<Vec<_>>>()?;
    if takes == Takes::FromIntake && args.intake_key.is_none() {
        return Err(Failure::usage("the authority needs --intake-key"));
    }
    let (intake, known) = (args.intake_key, apart.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    let may_bring = Arc::new(move |header: &Header| match header.direction {
        Direction::Submission => takes == Takes::FromAnybody || intake == Some(header.from),
        Direction::Findings => known.contains(&header.from),
        Direction::Request | Direction::Receipt => false,
    });
    let receipts = Receipts::new(&key);
    let spool = setting.home.path().join("spool");
    let here = here(setting, &realm, args)?;
    let opened = door::open(&args.listen, &spool, may_bring, receipts.clone())?;
    let bench = Bench::of(setting);
    let mut asking = Vec::new();
    if let Some((worker, by)) = here {
        let to = opened.tell.clone();
        let examiner = id(realm.keys.open(&by)?.as_ref());
        asking.push(wake(|woken| {
            let here = Here { worker, by, examiner, to };
            std::thread::spawn(move || keep_asking(&bench, here, &woken));
        }));
    } else {
        for (examiner, socket) in apart {
            let (bench, key) = (bench.clone(), Arc::clone(&key));
            asking.push(wake(|woken| {
                let apart = Apart::new(examiner, socket, key);
                std::thread::spawn(move || keep_asking(&bench, apart, &woken));
            }));
        }
    }
    drop(opened.tell);
    // Whoever works in the realm's folder brings what they sign to where it is taken.
    match (takes, args.intake_key, &args.intake_socket) {
        (Takes::FromAnybody, _, _) => announce(&setting.home, &args.listen, receipts.key())?,
        (Takes::FromIntake, Some(intake), Some(socket)) => announce(&setting.home, socket, intake)?,
        (Takes::FromIntake, _, _) => announce_nothing(&setting.home)?,
    }
    door::told(&args.listen);
    for came in opened.comes {
        match came {
            Came::Bundle(arrived) => {
                let done = take_in(&mut realm, &receipts, &arrived);
                // What is acknowledged is published first.
                let published = realm.publish();
                let receipt = done.and_then(|leaf| published.map(|_| Receipt::taken(leaf)));
                arrived.answer(&receipts, &receipt.unwrap_or_else(Receipt::refusal));
            }
            Came::Told(measured) => found(&mut realm, measured),
            Came::Ended => break,
        }
        for wake in &asking {
            // One that is full will be awake anyway, and then reads what is published.
            if let Err(TrySendError::Disconnected(())) = wake.try_send(()) {
                return Err(Failure::outside(
                    "a thread that asks examiners has ended",
                    "report this as a defect",
                ));
            }
        }
    }
    Err(ended(&args.listen))
}

/// Starts a thread that can be woken; it begins awake.
fn wake(start: impl FnOnce(std::sync::mpsc::Receiver<()>)) -> SyncSender<()> {
    let (wake, woken) = sync_channel(1);
    start(woken);
    wake
}

/// Who examines in this process.
fn here(setting: &Setting, realm: &Realm, args: &ServeArgs) -> Done<Option<(Worker, String)>> {
    let Some(by) = &args.examine_by else { return Ok(None) };
    // Whoever has to be asked for a passphrase is asked now.
    realm.keys.open(by)?;
    Ok(Some((Worker::find(setting.worker.as_deref())?, by.clone())))
}

fn examiner(text: &str) -> Done<(KeyId, PathBuf)> {
    let parts = text.split_once('=').and_then(|(key, socket)| Some((key.parse().ok()?, socket.into())));
    parts.ok_or_else(|| Failure::usage(format!("`{text}` is not KEY-ID=SOCKET")))
}

/// Signs and logs what this process has measured, and decides if that suffices.
fn found(realm: &mut Realm, measured: Measured) {
    let Measured { change, finding, by, done } = measured;
    let logged = realm
        .keys
        .open(&by)
        .and_then(|key| act::found_out(realm, &key, &change, finding))
        .and_then(|_| conclude(realm, &change));
    let published = realm.publish();
    let outcome = logged.map(drop).and(published.map(drop));
    if outcome.is_ok() {
        crate::text::print(&format!("examined {change}\n"));
    }
    // That nobody waits any more is no matter: it is in the log.
    drop(done.send(outcome));
}

/// Takes what arrived into the log, if it may be; answers the leaf of the last statement.
fn take_in(realm: &mut Realm, receipts: &Receipts, arrived: &Arrived) -> Done<Option<u64>> {
    let (whole, file) = (&arrived.whole, &arrived.file);
    let header = whole.signed().header();
    let done = if header.direction == Direction::Findings {
        take::admit(realm, whole, file, Path::new("the channel"))
            .and_then(|()| conclude(realm, &header.about()?.change).map(|_| None))
    } else {
        submissions(realm, receipts.key(), arrived)
    };
    if let Err(failure) = &done {
        take::note(realm, whole, failure)?;
    }
    done
}

fn submissions(realm: &mut Realm, key: KeyId, arrived: &Arrived) -> Done<Option<u64>> {
    let here = (&realm.settings.realm, realm.settings.root, key);
    let submission = take::submission(&arrived.whole, &arrived.file, here, realm.now_ms())?;
    // Nobody fills the vault whom nobody has enrolled.
    if realm.ledger().world().actor(&submission.author()).is_none() {
        let refusal = Refusal::new(Code::UnknownSigner, submission.author());
        let request = Some(*arrived.whole.signed().id());
        let codes = [Code::UnknownSigner.as_str()];
        let tracking = take::tracking(realm, &arrived.whole);
        realm.attempt("submit", tracking, Some(submission.author()), &codes, request)?;
        return Err(refusal.into());
    }
    take::store(realm, &arrived.whole, &arrived.file)?;
    let mut leaf = None;
    for envelope in submission.envelopes() {
        let id = realm.submit(envelope)?;
        leaf = realm.leaf_of(&id);
        // A person's finding may be the one that was lacking.
        if let Content::Known(known) = Content::parse(envelope.payload.as_slice())?
            && matches!(known.body, Body::Finding(_))
            && let Tracking::Change(change) = &known.header.change
        {
            conclude(realm, change)?;
        }
    }
    Ok(leaf)
}
