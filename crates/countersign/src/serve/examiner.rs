//! The examiner: a station whose medium is a channel. It has no log and no vault but its own; what it says is a finding
//! under its own key.

use std::path::Path;
use std::sync::Arc;

use bundle::{Direction, Header};
use statement::KeyId;

use super::channel::{ended, listen, send};
use super::{ServeArgs, declined, wanted};
use crate::command::Setting;
use crate::command::bundle::{find, out, take};
use crate::failure::{Done, Failure};
use crate::station::Station;
use crate::worker::Worker;

/// For how many days the authority may take the findings.
const FINDINGS_DAYS: u64 = 1;

/// Runs until it is ended.
pub(super) fn run(setting: &Setting, args: &ServeArgs) -> Done {
    let worker = Worker::find(setting.worker.as_deref())?;
    let authority = wanted(args.authority.as_deref(), "--authority")?;
    let authority_key = wanted(args.authority_key, "--authority-key")?;
    let station = Station::open(&setting.home, setting.passphrase.clone())?;
    let key = station.keys.open(&station.setup.key_name)?;
    let may_bring = Arc::new(move |header: &Header| {
        header.direction == Direction::Request && header.from == authority_key
    });
    let arrivals = listen(&args.listen, &setting.home.path().join("spool"), &(may_bring as _))?;
    for arrived in arrivals {
        // Opened for each: what was taken before belongs to what is known now.
        let station = Station::open(&setting.home, setting.passphrase.clone())?;
        let accepted = take::accept(&station, &arrived.whole, &arrived.file, Path::new("the channel"));
        let change = arrived.whole.signed().header().about.change.clone();
        let code = accepted.as_ref().err().map(|failure| failure.code.clone());
        arrived.answer(&key, station.now_ms(), code.as_deref());
        let done =
            accepted.and_then(|_| report(setting, &worker, (authority, authority_key), change.as_str()));
        if let Err(failure) = done {
            tracing::warn!(code = %failure.code, %change, "{}", failure.message);
        }
    }
    Err(ended(&args.listen))
}

/// Examines the change in the box and brings the findings to the authority.
fn report(setting: &Setting, worker: &Worker, authority: (&Path, KeyId), change: &str) -> Done {
    let station = Station::open(&setting.home, setting.passphrase.clone())?;
    let request = station.request(change)?;
    find(&station, worker, &request.header().about.change, &station.setup.key_name, None)?;
    let folder = crate::home::private_folder()?;
    let path = folder.path().join("findings.bundle");
    let (signed, _) = out::write_findings(&station, &request, FINDINGS_DAYS, &path)?;
    let mut file = std::fs::File::open(&path).map_err(|error| Failure::file(&path, &error))?;
    match send(authority.0, &signed, &mut file, authority.1)? {
        None => {
            crate::text::print(&format!("examined {change}\n"));
            Ok(())
        }
        Some(code) => Err(declined(&code)),
    }
}
