//! The authority: the one process that has the log. One thread decides and writes; it waits for nobody but its disk and its
//! witnesses. Whoever examines is asked by threads of their own ([`super::asking`]), from what was published.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use bundle::{BundleError, Direction, Header};
use dossier::{Code, Dossier, Refusal, State};
use statement::kind::{Finding, Role};
use statement::{Body, ChangeId, Content, Envelope, KeyId, Tracking};

use super::asking::{Apart, Bench, Here, keep_asking};
use super::channel::{Arrived, Receipt, Receipts, ended};
use super::door::{self, Came};
use super::{Manner, ServeArgs};
use crate::act;
use crate::command::Setting;
use crate::command::bundle::take;
use crate::command::change::conclude;
use crate::failure::{Done, Failure};
use crate::intact::Intact;
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

/// A log that has stopped takes nothing any more, and what it had in memory is believed no more.
const LOG_STOPPED: &str = "CS-LOG-003";

/// Runs until it is ended, or the log has stopped.
pub(super) fn run(setting: &Setting, args: &ServeArgs, takes: Takes) -> Done {
    let listen = args.listen()?;
    if takes == Takes::FromIntake && args.examine_by.is_some() {
        return Err(Failure::usage("--examine-by is for `all`; an authority is told of --examiner"));
    }
    let mut realm = setting.open()?;
    conclude_what_stands(&mut realm);
    // Also what a process that was ended had logged and not published: whoever asks reads what is published.
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
    let opened = door::open(listen, &spool, may_bring, receipts.clone())?;
    let bench = Bench::of(setting);
    let mut asking = Vec::new();
    if let Some((worker, manner, by)) = here {
        let to = opened.tell.clone();
        let examiner = id(realm.keys.open(&by)?.as_ref());
        asking.push(wake(|woken| {
            let here = Here { worker, manner, by, examiner, to };
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
        (Takes::FromAnybody, _, _) => announce(&setting.home, listen, receipts.key())?,
        (Takes::FromIntake, Some(intake), Some(socket)) => announce(&setting.home, socket, intake)?,
        (Takes::FromIntake, _, _) => announce_nothing(&setting.home)?,
    }
    door::told(listen);
    for came in opened.comes {
        let published = match came {
            Came::Bundle(arrived) => {
                let done = take_in(&mut realm, &receipts, &arrived);
                // What is acknowledged is published first.
                let published = realm.publish().map(drop);
                let receipt = done.and_then(|leaf| published.clone().map(|()| Receipt::taken(leaf)));
                arrived.answer(&receipts, &receipt.unwrap_or_else(Receipt::refusal));
                published
            }
            Came::Told(measured) => found(&mut realm, measured),
            Came::Ended => break,
        };
        if published.is_err() {
            // Whatever was told above: a log that has stopped says so to whoever asks again.
            has_not_stopped(&realm)?;
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
    Err(ended(listen))
}

/// Starts a thread that can be woken; it begins awake.
fn wake(start: impl FnOnce(std::sync::mpsc::Receiver<()>)) -> SyncSender<()> {
    let (wake, woken) = sync_channel(1);
    start(woken);
    wake
}

/// Who examines in this process.
fn here(setting: &Setting, realm: &Realm, args: &ServeArgs) -> Done<Option<(Worker, Manner, String)>> {
    let Some(by) = &args.examine_by else { return Ok(None) };
    // Whoever has to be asked for a passphrase is asked now.
    realm.keys.open(by)?;
    let worker = Worker::find(setting.worker.as_deref())?;
    let manner = Manner::of(args, &worker)?;
    Ok(Some((worker, manner, by.clone())))
}

fn examiner(text: &str) -> Done<(KeyId, PathBuf)> {
    let parts = text.split_once('=').and_then(|(key, socket)| Some((key.parse().ok()?, socket.into())));
    parts.ok_or_else(|| Failure::usage(format!("`{text}` is not KEY-ID=SOCKET")))
}

/// Decides about changes of which everything was found and nothing decided: whoever did that before was ended between
/// the two.
fn conclude_what_stands(realm: &mut Realm) {
    let is_open = |dossier: &&Dossier| {
        matches!(dossier.state, State::Proposed) && dossier.verdict.is_none() && !dossier.findings.is_empty()
    };
    let open: Vec<ChangeId> =
        realm.ledger().dossiers().filter(is_open).map(|dossier| dossier.change.clone()).collect();
    for change in open {
        if let Err(failure) = conclude(realm, &change) {
            tracing::warn!(code = %failure.code, %change, "not decided: {}", failure.message);
        }
    }
}

/// Whether the log can still be written.
fn has_not_stopped(realm: &Realm) -> Done {
    match realm.own_log()?.publish().map_err(Failure::from) {
        Err(failure) if failure.is(LOG_STOPPED) => Err(failure),
        _ => Ok(()),
    }
}

/// Signs and logs what this process has measured, and decides if that suffices. Answers whether it was published.
fn found(realm: &mut Realm, measured: Measured) -> Done {
    let Measured { change, finding, by, done } = measured;
    let logged = realm
        .keys
        .open(&by)
        .and_then(|key| act::found_out(realm, &key, &change, finding))
        .and_then(|_| conclude(realm, &change));
    let published = realm.publish().map(drop);
    let outcome = logged.map(drop).and(published.clone());
    if outcome.is_ok() {
        crate::text::print(&format!("examined {change}\n"));
    }
    // That nobody waits any more is no matter: it is in the log.
    drop(done.send(outcome));
    published
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
    // What others have signed is a gateway's to bring: it has heard them first.
    if let Some(number) = submission.carried() {
        let brings = realm.ledger().world().actor(&submission.author());
        if !brings.is_some_and(|actor| actor.has_any(&[Role::Rollout])) {
            return Err(BundleError::FindingSigner { number, key: submission.author() }.into());
        }
    }
    take::store(realm, &arrived.whole, &arrived.file)?;
    let mut leaf = None;
    for envelope in rest(realm, submission.envelopes()) {
        whole_if_ordered(realm, envelope)?;
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

/// An order is taken only while the artefacts are whole: whoever signed it may have no vault to look into.
fn whole_if_ordered(realm: &Realm, envelope: &Envelope) -> Done {
    if let Content::Known(known) = Content::parse(envelope.payload.as_slice())?
        && matches!(known.body, Body::ReleaseOrder(_))
        && let Tracking::Change(change) = &known.header.change
        && let Some(dossier) = realm.ledger().dossier(change)
    {
        Intact::of(realm, dossier)?;
    }
    Ok(())
}

/// The statements of a submission that the record does not have: a process that was ended may have taken half of it. Of
/// one that was taken whole, all of them, so that it is refused.
fn rest<'a>(realm: &Realm, envelopes: &'a [Envelope]) -> &'a [Envelope] {
    let is_new = |envelope: &Envelope| !realm.ledger().has_applied(&envelope.id());
    envelopes.iter().position(is_new).and_then(|at| envelopes.get(at..)).unwrap_or(envelopes)
}
