//! `countersign bundle`: what crosses to a machine without a network and back.

pub(crate) mod out;
pub(crate) mod take;

use std::path::Path;

use attest::Sources;
use bundle::{Header, Unsigned, Whole};
use sandbox::Level;
use serde_json::{Value, json};
use signer::{FileKey, Signer as _, public_pem, sign_bundle, sign_statement};
use statement::kind::{Assurance, Outcome};
use statement::{Bytes, ChangeId, Statement, StatementId, Tracking};

use super::Setting;
use crate::act::{self, DAY_MS};
use crate::cli::{BundleCommand, ExamineArgs, StationArgs};
use crate::failure::{Done, Failure};
use crate::keys::id;
use crate::station::Station;
use crate::text::{date, line};
use crate::worker::Worker;

/// `countersign bundle`.
pub(super) fn run(setting: &Setting, command: BundleCommand) -> Done {
    match command {
        BundleCommand::Station(args) => station(setting, &args),
        BundleCommand::Out(args) if Station::is_in(&setting.home) => out::findings(setting, &args),
        BundleCommand::Out(args) => out::request(setting, &args),
        BundleCommand::In { file } if Station::is_in(&setting.home) => take::request(setting, &file),
        BundleCommand::In { file } => take::findings(setting, &file),
        BundleCommand::Show { file } => show(setting, &file),
    }
}

/// `countersign bundle station`.
fn station(setting: &Setting, args: &StationArgs) -> Done {
    let assurance = if args.service { Assurance::Unsealed } else { Assurance::Sealed };
    let station = Station::create(
        &setting.home,
        setting.passphrase.clone(),
        args.realm.parse()?,
        args.root.parse()?,
        &args.key,
        assurance,
    )?;
    let (public, _) = station.keys.public(&args.key)?;
    let card = json!({ "key": public.id(), "name": args.key, "pem": public_pem(&public)?, "public": public });
    let path = setting.home.path().join(format!("{}.public.json", args.key));
    crate::home::replace(&path, format!("{card}\n").as_bytes())?;
    let text = format!(
        "station for realm {}, trust root {}\n  key {}: {}\n  next, at the realm: countersign key enrol {} --public {} \
         --person PERSON --role examiner --by OFFICER --by OFFICER\n  an intake's key needs no right, and is enrolled nowhere\n",
        station.setup.realm,
        station.setup.root,
        args.key,
        station.setup.key,
        args.key,
        path.display(),
    );
    setting.print(&card, &text);
    Ok(())
}

/// `countersign bundle show`.
fn show(setting: &Setting, path: &Path) -> Done {
    let (whole, _) = take::whole(path)?;
    let header = whole.signed().header();
    let mut text = String::new();
    line(&mut text, &format!("bundle    {}", whole.signed().id()));
    let change = header.about.as_ref().map(|about| format!(": change {}", about.change)).unwrap_or_default();
    line(&mut text, &format!("brings    {}{change}", header.direction.brings()));
    line(&mut text, &format!("realm     {}, trust root {}", header.realm, header.root));
    line(&mut text, &format!("from      {}", header.from));
    line(&mut text, &format!("to        {}", header.to));
    line(&mut text, &format!("made      {}", date(header.created_ms)));
    line(&mut text, &format!("expires   {}", date(header.expires_ms)));
    for section in &header.sections {
        line(&mut text, &format!("{:<9} {} ({} bytes)", section.kind.name(), section.sha256, section.bytes));
    }
    line(
        &mut text,
        "Every byte is the one that the sender's key signed for. Whether that key counts, the record tells.",
    );
    setting.print(&told(&whole), &text);
    Ok(())
}

fn told(whole: &Whole) -> Value {
    json!({ "bundle": whole.signed().id(), "header": whole.signed().header() })
}

/// `countersign examine` at a station: measures in the box, signs, and keeps the finding until it is carried back.
pub(super) fn examine(
    setting: &Setting,
    worker: &Worker,
    args: &ExamineArgs,
    level: Level,
    host: Option<&Sources>,
) -> Done {
    let by = args.by.as_deref().ok_or_else(|| Failure::usage("give --by for a proposed change"))?;
    if args.level.is_some() {
        return Err(Failure::usage(
            "a station has no more than it was sent, and measures bytes against the scope: `--level` needs the realm",
        ));
    }
    let station = Station::open(&setting.home, setting.passphrase.clone())?;
    let request = station.request(&args.change)?;
    let change = &request.header().about()?.change;
    let (statement, outcome) = find(&station, worker, change, by, level, host)?;
    let value = json!({ "change": change, "statement": statement, "outcome": outcome });
    let text = format!(
        "found: {}, statement {statement}\n  next: countersign bundle out {} --out FILE, and carry it back\n",
        crate::text::word(&outcome),
        change.short(),
    );
    setting.print(&value, &text);
    Ok(())
}

/// Measures a change in the box, signs what was found, and keeps it.
pub(crate) fn find(
    station: &Station,
    worker: &Worker,
    change: &ChangeId,
    by: &str,
    level: Level,
    host: Option<&Sources>,
) -> Done<(StatementId, Outcome)> {
    let key = station.keys.open(by)?;
    let finding = act::measured(station, worker, change, level, host)?;
    let outcome = finding.outcome;
    let tracking = Tracking::Change(change.clone());
    let statement = Statement::new(station.setup.realm.clone(), tracking, station.now_ms(), finding)
        .signed_by(&[id(&key)]);
    let envelope = sign_statement(key.as_ref(), &statement)?;
    station.keep(&envelope)?;
    Ok((envelope.id(), outcome))
}

/// The header, signed, after a fresh nonce was put into it.
fn sign(key: &FileKey, mut header: Header) -> Done<bundle::SignedHeader> {
    let mut nonce = [0; bundle::NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| {
        Failure::outside(
            format!("the system gives no randomness: {error}"),
            "this machine cannot make bundles",
        )
    })?;
    header.nonce = Bytes::new(nonce.to_vec());
    header.from = key.public_key().id();
    Ok(sign_bundle(key, Unsigned::new(header)?)?)
}

/// When a bundle that is made now may no longer be taken.
fn expiry(now_ms: u64, days: u64) -> u64 {
    now_ms.saturating_add(days.saturating_mul(DAY_MS))
}
