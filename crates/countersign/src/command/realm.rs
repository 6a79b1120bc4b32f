//! Commands on the realm.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use signer::{Signer as _, public_pem};
use statement::kind::{Assurance, FreezeAction, FreezeTarget};
use statement::{Name, PublicKey, SlotId};

use super::{Output, Setting};
use crate::act::{self, EnrolledKey, word, words};
use crate::cli::{FreezeArgs, GrantArgs, InitArgs, KeyCommand, LevelArgs, PolicyCommand, SlotCommand};
use crate::failure::{Done, Failure};
use crate::home::read_bounded;
use crate::keys::{Keys, scheme};
use crate::text::{line, print, word as said};

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
            for name in keys.names()? {
                let (public, assurance) = keys.public(&name)?;
                line(&mut text, &format!("{name:<16} {} {}", public.id(), said(&assurance)));
                rows.push(json!({ "name": name, "key": public.id(), "assurance": assurance }));
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
            let request = act::Enrolment {
                key: match &args.public {
                    None => EnrolledKey::Here(args.name.clone()),
                    Some(path) => EnrolledKey::Elsewhere(public_half(path)?),
                },
                person: args.person.parse()?,
                roles: words("role", &args.roles)?,
                capacities: words("capacity", &args.capacities)?,
                clearance: word("tier", &args.clearance)?,
                days: args.days,
                by: args.by,
            };
            let id = setting.act(|realm| act::enrol(realm, request))?;
            setting.said(&format!("{} is enrolled as {}", args.name, args.person), id);
            Ok(())
        }
        KeyCommand::Revoke { key, since, reason, by } => {
            let reason: Name = reason.parse()?;
            let id = setting.act(|realm| {
                let key = act::key_id(realm, &key)?;
                act::revoke_key(realm, key, since, reason, &by)
            })?;
            setting.said(&format!("key {key} is revoked"), id);
            Ok(())
        }
    }
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

/// `countersign policy`.
pub(super) fn policy(setting: &Setting, command: PolicyCommand) -> Done {
    match command {
        PolicyCommand::Show => {
            let realm = setting.open()?;
            let Some(policy) = realm.ledger().world().policy() else {
                return Err(dossier::Refusal::new(dossier::Code::NoPolicy, "policy").into());
            };
            let rules = serde_json::to_string_pretty(&policy.body.rules)
                .map_err(|error| Failure::outside(error, "report this as a defect"))?;
            let text = format!("policy {}\n\n{}\n\n{rules}\n", policy.id, policy.body.cedar);
            setting.print(&json!({ "statement": policy.id, "policy": policy.body }), &text);
            Ok(())
        }
        PolicyCommand::Check { file, rules } => {
            let cedar = text_file(&file)?;
            let duties = ::policy::duties::Duties::load(&cedar, &::policy::duties::schema_digest())?;
            if let Some(rules) = rules {
                ::policy::rules::validate(&rules_file(&rules)?)?;
            }
            let count = duties.controls().len();
            setting
                .print(&json!({ "policies": count, "valid": true }), &format!("valid: {count} policies\n"));
            Ok(())
        }
        PolicyCommand::Replace { file, rules, by } => {
            let cedar = file.as_deref().map(text_file).transpose()?;
            let rules = rules.as_deref().map(rules_file).transpose()?;
            let id = setting.act(|realm| {
                let present = realm.ledger().world().policy();
                let present = present.ok_or_else(|| Failure::missing("policy", "in force"))?;
                let cedar = cedar.unwrap_or_else(|| present.body.cedar.clone());
                let rules = rules.unwrap_or_else(|| present.body.rules.clone());
                act::replace_policy(realm, cedar, rules, &by)
            })?;
            setting.said("the policy is replaced", id);
            Ok(())
        }
    }
}

fn text_file(path: &std::path::Path) -> Done<String> {
    String::from_utf8(read_bounded(path, 1 << 20)?)
        .map_err(|_| Failure::usage(format!("`{}` is not UTF-8", path.display())))
}

fn rules_file(path: &std::path::Path) -> Done<statement::kind::PolicyRules> {
    let bytes = read_bounded(path, 1 << 20)?;
    let value = statement::json::parse(&bytes, statement::json::Limits::signed(1 << 20))?;
    Ok(statement::json::from_value(&value)?)
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
    setting.said(&format!("granted to {} for {} days", args.to, args.days), id);
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
    let what = if action == FreezeAction::Begin { "changes are frozen" } else { "the freeze has ended" };
    setting.said(what, id);
    if setting.output == Output::Text && action == FreezeAction::Begin {
        print("  going back stays open; the policy officers end it\n");
    }
    Ok(())
}
