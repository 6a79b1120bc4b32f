//! The authority: the one process that has the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle::{Direction, Header};
use dossier::{Code, Refusal};
use signer::FileKey;
use statement::{Body, ChangeId, Content, KeyId, Tracking};

use super::channel::{Arrived, ended, listen, send};
use super::{ServeArgs, declined};
use crate::act;
use crate::command::Setting;
use crate::command::bundle::{out, take};
use crate::command::change::conclude;
use crate::failure::{Done, Failure};
use crate::keys::id;
use crate::realm::{AUTOMATION_KEY, Realm};
use crate::worker::Worker;

/// For how many days an examiner may take a request.
const REQUEST_DAYS: u64 = 1;

/// Whose submissions are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// The intake's.
    FromIntake,
    /// Everybody's: there is no intake.
    FromAnybody,
}

/// Who examines.
enum Examiners {
    /// Other processes, by key and socket.
    Apart(Vec<(KeyId, PathBuf)>),
    /// This process, with a key of the realm's folder.
    Here(Worker, String),
    /// Nobody, until somebody runs `countersign examine`.
    None,
}

/// Runs until it is ended.
pub(super) fn run(setting: &Setting, args: &ServeArgs, takes: Takes) -> Done {
    let mut realm = setting.open()?;
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
    let examiners = match &args.examine_by {
        Some(by) => Examiners::Here(Worker::find(setting.worker.as_deref())?, by.clone()),
        None if apart.is_empty() => Examiners::None,
        None => Examiners::Apart(apart),
    };
    let arrivals = listen(&args.listen, &setting.home.path().join("spool"), &(may_bring as _))?;
    for arrived in arrivals {
        let done = take_in(&mut realm, &key, &arrived);
        // What is acknowledged is published first.
        let published = realm.publish();
        let (code, proposed) = match (done, published) {
            (Ok(proposed), Ok(_)) => (None, proposed),
            (Err(failure), _) | (Ok(_), Err(failure)) => {
                tracing::warn!(code = %failure.code, "{}", failure.message);
                (Some(failure.code), Vec::new())
            }
        };
        arrived.answer(&key, realm.now_ms(), code.as_deref());
        for change in proposed {
            if let Err(failure) = examine(&mut realm, &key, &examiners, &change) {
                tracing::warn!(code = %failure.code, %change, "not examined: {}", failure.message);
            }
        }
    }
    Err(ended(&args.listen))
}

fn examiner(text: &str) -> Done<(KeyId, PathBuf)> {
    let parts = text.split_once('=').and_then(|(key, socket)| Some((key.parse().ok()?, socket.into())));
    parts.ok_or_else(|| Failure::usage(format!("`{text}` is not KEY-ID=SOCKET")))
}

/// Takes what arrived into the log, if it may be; answers the changes that were proposed.
fn take_in(realm: &mut Realm, key: &FileKey, arrived: &Arrived) -> Done<Vec<ChangeId>> {
    let (whole, file) = (&arrived.whole, &arrived.file);
    let header = whole.signed().header();
    let done = if header.direction == Direction::Findings {
        take::admit(realm, whole, file, Path::new("the channel"))
            .and_then(|()| conclude(realm, &header.about.change).map(|_| Vec::new()))
    } else {
        submissions(realm, key, arrived)
    };
    if let Err(failure) = &done {
        take::note(realm, whole, failure)?;
    }
    done
}

fn submissions(realm: &mut Realm, key: &FileKey, arrived: &Arrived) -> Done<Vec<ChangeId>> {
    let here = (&realm.settings.realm, realm.settings.root, id(key));
    let submission = take::submission(&arrived.whole, &arrived.file, here, realm.now_ms())?;
    // Nobody fills the vault whom nobody has enrolled.
    if realm.ledger().world().actor(&submission.author()).is_none() {
        let about = arrived.whole.signed().header().about.change.clone();
        let refusal = Refusal::new(Code::UnknownSigner, submission.author());
        let request = Some(*arrived.whole.signed().id());
        let codes = [Code::UnknownSigner.as_str()];
        let known = realm.ledger().dossier(&about).is_some();
        let tracking = if known { Tracking::Change(about) } else { Tracking::Realm };
        realm.attempt("submit", tracking, Some(submission.author()), &codes, request)?;
        return Err(refusal.into());
    }
    take::store(realm, &arrived.whole, &arrived.file)?;
    let mut proposed = Vec::new();
    for envelope in submission.envelopes() {
        realm.submit(envelope)?;
        if let Content::Known(statement) = Content::parse(envelope.payload.as_slice())?
            && matches!(statement.body, Body::Proposal(_))
            && let Tracking::Change(change) = statement.header.change
        {
            proposed.push(change);
        }
    }
    Ok(proposed)
}

/// Has a change examined: by other processes, or here.
fn examine(realm: &mut Realm, key: &FileKey, examiners: &Examiners, change: &ChangeId) -> Done {
    match examiners {
        Examiners::None => Ok(()),
        Examiners::Here(worker, by) => {
            act::examine(realm, worker, change, by, None)?;
            conclude(realm, change)?;
            realm.publish().map(drop)
        }
        Examiners::Apart(examiners) => {
            for (examiner, socket) in examiners {
                let folder = crate::home::private_folder()?;
                let path = folder.path().join("request.bundle");
                let (signed, _) = out::write_request(realm, key, change, (*examiner, REQUEST_DAYS), &path)?;
                let mut file = std::fs::File::open(&path).map_err(|error| Failure::file(&path, &error))?;
                if let Some(code) = send(socket, &signed, &mut file, *examiner)? {
                    return Err(declined(&code));
                }
            }
            Ok(())
        }
    }
}
