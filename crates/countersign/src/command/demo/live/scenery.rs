//! What the live scene plays in: the files of the model and of the prompts, the slot, the gateway's key and a grant.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use signer::FileScheme;
use statement::kind::{Assurance, ComponentRole, Level, Manifest, ModificationKind, Role, Tier};
use statement::{Digest, SlotId, StateId, StatementId};

use crate::act;
use crate::command::demo::cast::{officers, week_to_propose};
use crate::command::demo::material::SMALL_SCOPE;
use crate::failure::{Done, Failure};
use crate::home::read_bounded;
use crate::realm::Realm;

/// Two canary stages of two seconds and then everybody, looked at five times a second; in earnest they take hours.
const PLAN: &str = include_str!("plan.json");

/// The prompts: what is served, a good change of it, and one that is good on paper.
pub(super) struct Prompts {
    pub(super) old: PathBuf,
    pub(super) good: PathBuf,
    pub(super) bad: PathBuf,
}

/// The files of the model and of the prompts.
pub(super) fn write_files(folder: &Path) -> Done<Prompts> {
    let model = folder.join("model");
    std::fs::create_dir_all(&model).map_err(|error| Failure::file(&model, &error))?;
    let write = |path: PathBuf, bytes: &[u8]| -> Done<PathBuf> {
        std::fs::write(&path, bytes).map_err(|error| Failure::file(&path, &error))?;
        Ok(path)
    };
    for (name, bytes) in range::tiny::files() {
        write(model.join(name), &bytes)?;
    }
    write(folder.join("scope.json"), SMALL_SCOPE.as_bytes())?;
    write(folder.join("plan.json"), PLAN.as_bytes())?;
    let prompt = |style: &str| format!("serve staff\n\n## Safety\nstay calm\n\n## Style\n{style}\n");
    // Every line is harmless. Together they leave too little of the model's 128 tokens to whoever has a long history.
    let guide = "- speak plainly for staff now\n- be brief for us today\n".repeat(7);
    Ok(Prompts {
        old: write(folder.join("old.md"), prompt("speak plainly").as_bytes())?,
        good: write(folder.join("brief.md"), prompt("be brief").as_bytes())?,
        bad: write(folder.join("guide.md"), prompt(&guide).as_bytes())?,
    })
}

pub(super) fn define_slot(
    realm: &mut Realm,
    slot: &SlotId,
    model: &Path,
    prompts: &Prompts,
) -> Done<StateId> {
    let scope = prompts.old.with_file_name("scope.json");
    let request = act::SlotRequest {
        slot: slot.clone(),
        components: vec![
            (ComponentRole::Weights, "base".parse()?, model.to_owned()),
            (ComponentRole::Prompt, "system".parse()?, prompts.old.clone()),
        ],
        scopes: BTreeMap::from([(Level::Tuning, scope)]),
        modifications: BTreeSet::from([ModificationKind::Prompt]),
        contexts: BTreeSet::from(["screening".parse()?]),
        impact_milli: 4_000,
        checkpoint_age_ms: 3_600_000,
        by: officers(),
    };
    Ok(act::define_slot(realm, request)?.1)
}

/// Makes and enrols a key of a service: the gateway's, which signs stage reports, or the launcher's.
pub(super) fn enrol_service(realm: &mut Realm, name: &str, role: Role) -> Done {
    drop(realm.keys.create(name, FileScheme::Ed25519, Assurance::Unsealed)?);
    let enrolment = act::Enrolment {
        key: act::EnrolledKey::Here(name.to_owned()),
        person: name.parse()?,
        roles: BTreeSet::from([role]),
        capacities: BTreeSet::new(),
        clearance: Tier::High,
        days: 365,
        by: officers(),
    };
    act::enrol(realm, enrolment).map(drop)
}

pub(super) fn grant(realm: &mut Realm, slot: &SlotId) -> Done<StatementId> {
    let to = act::key_id(realm, "pia")?;
    let modifications = BTreeSet::from([ModificationKind::Prompt]);
    act::grant(realm, week_to_propose(to, BTreeSet::from([slot.clone()]), modifications))
}

/// The id of a state with another prompt.
pub(super) fn state_with(realm: &Realm, state: StateId, prompt: &Path) -> Done<StateId> {
    let base = realm.ledger().world().state(&state).ok_or_else(|| Failure::missing("state", state))?;
    let mut components = base.body.manifest.components.clone();
    let digest = Digest::of(&read_bounded(prompt, 1 << 20)?);
    for component in components.iter_mut().filter(|component| component.role == ComponentRole::Prompt) {
        component.digest = digest;
    }
    Ok(Manifest { components }.id()?)
}
