//! Commands on the realm.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::json;
use signer::{Signer as _, public_pem};
use statement::kind::{Assurance, FreezeAction, FreezeTarget, RevocationTarget};
use statement::{KeyId, Name, PublicKey, SlotId};

use super::{Output, Setting};
use crate::act::{self, EnrolledKey, word, words};
use crate::cli::{
    FreezeArgs, GrantArgs, InitArgs, KeyCommand, LevelArgs, RevokeCommand, RootCommand, SlotCommand,
};
use crate::failure::{Done, Failure};
use crate::home::read_bounded;
use crate::keys::{Keys, scheme};
use crate::realm::{Published, Realm};
use crate::text::{date, line, print, word as said};

/// `countersign init`.
pub(super) fn init(setting: &Setting, args: &InitArgs) -> Done {
    if setting.home.exists() {
        let message = format!("a realm lives in `{}` already", setting.home.path().display());
        return Err(Failure::new("CS-CLI-005", message, "give a new folder with --home"));
    }
    let founding = act::Founding {
        name: &args.name,
        officers: &args.officers,
        days: args.days,
        monitor_quorum: args.monitor_quorum,
        worker: setting.worker.as_deref(),
    };
    let realm = act::found(&setting.home, setting.passphrase.clone(), &founding, translog::system_clock())?;
    let settings = &realm.settings;
    let value = json!({ "realm": settings.realm, "root": settings.root, "log_key": settings.log_key });
    let text = format!(
        "realm {} is founded in {}\n  trust root {}  (outsiders pin this)\n  log key    {}\n  \
         officers' keys: {}\n  the witness is on this machine: it shows how witnessing works, and proves nothing \
         against whoever owns the machine\n",
        settings.realm,
        setting.home.path().display(),
        settings.root,
        settings.log_key,
        args.officers.iter().map(|officer| format!("root-{officer}")).collect::<Vec<_>>().join(", "),
    );
    setting.print(&value, &text);
    Ok(())
}

/// `countersign root`.
pub(super) fn root(setting: &Setting, command: &RootCommand) -> Done {
    match command {
        RootCommand::Show => {
            let realm = setting.read()?;
            let root = realm.ledger().world().root();
            let root = root.ok_or_else(|| Failure::missing("trust root", "in force"))?;
            let value = json!({ "id": root.id, "first": realm.settings.root, "body": root.body });
            setting.print(&value, &crate::show::root(root, realm.now_ms()));
            Ok(())
        }
        RootCommand::Rotate(args) => {
            let pair = |text: &String| match text.split_once('=') {
                Some((person, key)) => Ok((person.to_owned(), key.to_owned())),
                None => Err(Failure::usage(format!("`--witness {text}` is not PERSON=KEY"))),
            };
            let witnesses = args.witnesses.iter().map(pair).collect::<Done<Vec<_>>>()?;
            let rotation = act::Rotation {
                add: &args.add,
                remove: &args.remove,
                days: args.days,
                witnesses: &witnesses,
                without_witnesses: &args.without_witnesses,
                witness_threshold: args.witness_threshold,
                monitor_quorum: args.monitor_quorum,
                by: &args.by,
            };
            let id = setting.act(|realm| act::rotate(realm, &rotation))?;
            setting.said("the next trust root is in force; outsiders go on pinning the first", id);
            Ok(())
        }
    }
}

/// `countersign key`.
pub(super) fn key(setting: &Setting, command: KeyCommand) -> Done {
    match command {
        KeyCommand::New { name, scheme: wanted, service } => {
            setting.home.settings()?;
            let keys = Keys::new(&setting.home, setting.passphrase.clone());
            let assurance = if service { Assurance::Unsealed } else { Assurance::Sealed };
            let key = keys.create(&name, scheme(&wanted)?, assurance)?;
            let id = key.public_key().id();
            setting.print(&json!({ "key": id, "name": name }), &format!("key {name}: {id}\n"));
            Ok(())
        }
        KeyCommand::List => {
            setting.home.settings()?;
            let keys = Keys::new(&setting.home, setting.passphrase.clone());
            let mut rows = Vec::new();
            let mut text = String::new();
            let record = setting.read()?;
            for name in keys.names()? {
                let (public, assurance) = keys.public(&name)?;
                let (standing, told) = key_standing(&record, &public.id());
                line(&mut text, &format!("{name:<16} {} {}, {told}", public.id(), said(&assurance)));
                rows.push(
                    json!({ "name": name, "key": public.id(), "assurance": assurance, "standing": standing }),
                );
            }
            setting.print(&json!(rows), &text);
            Ok(())
        }
        KeyCommand::Show { name } => {
            setting.home.settings()?;
            let keys = Keys::new(&setting.home, setting.passphrase.clone());
            let (public, assurance) = keys.public(&name)?;
            let pem = public_pem(&public)?;
            let value = json!({ "name": name, "key": public.id(), "public": public, "pem": pem });
            setting.print(&value, &format!("{name}: {} ({})\n{pem}", public.id(), said(&assurance)));
            Ok(())
        }
        KeyCommand::Enrol(args) => {
            let public = args.public.as_deref().map(public_half).transpose()?;
            let request = act::Enrolment {
                key: match public.clone() {
                    None => EnrolledKey::Here(args.name.clone()),
                    Some(public) => EnrolledKey::Elsewhere(public, word("assurance", &args.assurance)?),
                },
                person: args.person.parse()?,
                roles: words("role", &args.roles)?,
                capacities: words("capacity", &args.capacities)?,
                clearance: word("tier", &args.clearance)?,
                days: args.days,
                by: args.by,
            };
            let id = setting.act(|realm| {
                let id = act::enrol(realm, request)?;
                if let Some(public) = &public {
                    realm.keys.remember(&args.name, public)?;
                }
                Ok(id)
            })?;
            setting.said(&format!("{} is enrolled as {}", args.name, args.person), id);
            Ok(())
        }
        KeyCommand::Revoke { key, since, reason, by } => {
            let reason: Name = reason.parse()?;
            let (id, undone) = setting.act(|realm| {
                let before = standings(realm);
                let id = act::key_id(realm, &key)?;
                let id = act::revoke_key(realm, id, since, reason, &by)?;
                let after = standings(realm);
                Ok((id, before.difference(&after).cloned().collect::<Vec<_>>()))
            })?;
            let mut text = format!("key {key} is revoked: statement {id}\n");
            for (what, was) in &undone {
                line(&mut text, &format!("  no longer: {what} {was}"));
            }
            let undone: Vec<_> =
                undone.iter().map(|(what, was)| json!({ "what": what, "was": was })).collect();
            setting.print(
                &json!({ "statement": id, "what": format!("key {key} is revoked"), "undone": undone }),
                &text,
            );
            Ok(())
        }
    }
}

/// How a key stands in the record: a word for scripts, and in words.
fn key_standing(record: &Published, key: &KeyId) -> (&'static str, String) {
    /// How long before its end a key is said to end.
    const ENDS_SOON_MS: u64 = 30 * act::DAY_MS;
    if let Some(since) = record.ledger().compromised().get(key) {
        return ("revoked", format!("REVOKED: does not count from leaf {since} on"));
    }
    let Some(actor) = record.ledger().world().actor(key) else {
        return ("not-enrolled", "not enrolled".to_owned());
    };
    let (person, end) = (&actor.person, date(actor.not_after_ms));
    match actor.not_after_ms.checked_sub(record.now_ms()) {
        None | Some(0) => ("expired", format!("EXPIRED on {end} ({person})")),
        Some(left) if left < ENDS_SOON_MS => ("ends-soon", format!("ENDS SOON, on {end} ({person})")),
        Some(_) => ("enrolled", format!("{person}, until {end}")),
    }
}

/// How changes and slots stand.
fn standings(realm: &Realm) -> BTreeSet<(String, String)> {
    let changes = realm.ledger().dossiers();
    let changes = changes.map(|dossier| (dossier.change.to_string(), dossier.state.name().to_owned()));
    let slots = realm.ledger().world().slots();
    let slots = slots.map(|slot| {
        (format!("slot {}", slot.definition.body.slot), format!("in state {}", slot.state.short()))
    });
    changes.chain(slots).collect()
}

/// `countersign revoke`.
pub(super) fn revoke(setting: &Setting, command: &RevokeCommand) -> Done {
    let (what, id) = match command {
        RevokeCommand::Grant { grant, reason, by } => {
            let reason: Name = reason.parse()?;
            let id = setting.act(|realm| {
                let grant = act::grant_id(realm, grant)?;
                act::revoke(realm, RevocationTarget::Grant(grant), reason, by)
            })?;
            (format!("grant {grant} is revoked"), id)
        }
        RevokeCommand::Order { change, reason, by } => {
            let reason: Name = reason.parse()?;
            let id = setting.act(|realm| {
                let order = realm.dossier(change)?.order.as_ref().map(|order| order.id);
                let order =
                    order.ok_or_else(|| dossier::Refusal::new(dossier::Code::OrderUnknown, change))?;
                act::revoke(realm, RevocationTarget::Order(order), reason, by)
            })?;
            (format!("the order of change {change} is revoked"), id)
        }
    };
    setting.said(&what, id);
    Ok(())
}

/// The public half of a key, as `countersign --json key show` prints it.
fn public_half(path: &Path) -> Done<PublicKey> {
    let bytes = read_bounded(path, 16 << 10)?;
    let not_a = |why: String| Failure::not_a("public half of a key", path, why);
    let mut card: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&bytes).map_err(|error| not_a(error.to_string()))?;
    let public = card.remove("public").unwrap_or_default();
    let public: PublicKey = serde_json::from_value(public).map_err(|error| not_a(error.to_string()))?;
    public.check().map_err(|error| not_a(error.to_string()))?;
    Ok(public)
}

/// `countersign slot`.
pub(super) fn slot(setting: &Setting, command: SlotCommand) -> Done {
    let SlotCommand::Define(args) = command;
    let mut components = Vec::new();
    for text in &args.components {
        let parts = text.split_once('=').and_then(|(place, path)| Some((place.split_once(':')?, path)));
        let Some(((role, name), path)) = parts else {
            return Err(Failure::usage(format!("`{text}` is not ROLE:NAME=PATH")));
        };
        components.push((word("component role", role)?, name.parse()?, PathBuf::from(path)));
    }
    let mut scopes = BTreeMap::new();
    for text in &args.scopes {
        let Some((level, path)) = text.split_once('=') else {
            return Err(Failure::usage(format!("`{text}` is not LEVEL=FILE")));
        };
        scopes.insert(word("level", level)?, PathBuf::from(path));
    }
    let slot: SlotId = args.slot.parse()?;
    let request = act::SlotRequest {
        slot: slot.clone(),
        components,
        scopes,
        modifications: words("kind of modification", &args.modifications)?,
        contexts: words("context", &args.contexts)?,
        impact_milli: args.impact_milli,
        checkpoint_age_ms: args.checkpoint_age_s.saturating_mul(1000),
        by: args.by,
    };
    let (id, state) = setting.act(|realm| act::define_slot(realm, request))?;
    let value = json!({ "statement": id, "slot": slot, "state": state });
    setting.print(&value, &format!("slot {slot} is defined: statement {id}\n  its first state is {state}\n"));
    Ok(())
}

/// `countersign grant`.
pub(super) fn grant(setting: &Setting, args: &GrantArgs) -> Done {
    let id = setting.act(|realm| {
        let renews = args.renews.as_deref().map(|text| act::grant_id(realm, text)).transpose()?;
        let request = act::GrantRequest {
            to: act::key_id(realm, &args.to)?,
            purpose: word("purpose", &args.purpose)?,
            slots: args.slots.iter().map(|slot| slot.parse()).collect::<Result<_, _>>()?,
            modifications: words("kind of modification", &args.modifications)?,
            contexts: words("context", &args.contexts)?,
            level: word("level", &args.level)?,
            tier: word("tier", &args.tier)?,
            changes: args.changes,
            days: args.days,
            renews,
            by: args.by.clone(),
        };
        act::grant(realm, request)
    })?;
    let (to, days, tier) = (&args.to, args.days, &args.tier);
    setting.said(&format!("granted to {to} for {days} days, up to tier {tier}"), id);
    Ok(())
}

/// `countersign level`.
pub(super) fn level(setting: &Setting, args: &LevelArgs) -> Done {
    let level = if args.level == "none" { None } else { Some(word("level", &args.level)?) };
    let (slot, reason) = (args.slot.parse()?, args.reason.parse()?);
    let id = setting.act(|realm| {
        let key = act::key_id(realm, &args.key)?;
        act::set_level(realm, key, slot, level, reason, &args.by)
    })?;
    setting.said(&format!("{} has level {} in {}", args.key, args.level, args.slot), id);
    Ok(())
}

/// `countersign freeze`.
pub(super) fn freeze(setting: &Setting, args: &FreezeArgs) -> Done {
    let action: FreezeAction = word("action", &args.action)?;
    let reason: Name = args.reason.parse()?;
    let id = setting.act(|realm| {
        let target = match (&args.slot, &args.change) {
            (Some(slot), _) => FreezeTarget::Slot(slot.parse()?),
            (None, Some(change)) => FreezeTarget::Change(realm.dossier(change)?.change.clone()),
            (None, None) => FreezeTarget::Realm,
        };
        act::freeze(realm, action, target, reason, &args.by)
    })?;
    let of = match (&args.slot, &args.change) {
        (Some(slot), _) => format!("of slot {slot}"),
        (None, Some(change)) => format!("of change {change}"),
        (None, None) => "of the whole realm".to_owned(),
    };
    let what = if action == FreezeAction::Begin { "is frozen" } else { "is frozen no more" };
    setting.said(&format!("what would go forward {of} {what}"), id);
    if setting.output == Output::Text && action == FreezeAction::Begin {
        print("  going back stays open; the policy officers end it\n");
    }
    Ok(())
}
