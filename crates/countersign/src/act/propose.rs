//! Proposing: store the artefact, name the state it leads to, ask for it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dossier::Dossier;
use statement::kind::{
    Artefact, Component, ComponentRole, Level, Manifest, ModificationKind, Proposal, Proposer, ServedState,
};
use statement::{ChangeId, Digest, Name, SlotId, StateId, StatementId, Tracking};

use super::Warning;
use crate::busy::while_busy;
use crate::cli::Isolation;
use crate::failure::{Done, Failure, in_file};
use crate::keys::id;
use crate::realm::Realm;
use crate::shelf::{self, Shelf};
use crate::stored::{self, Opened};

/// The largest prompt or file of settings: what the worker reads.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// What is proposed.
pub(crate) struct ArtefactSource {
    /// What part of the state it is.
    pub(crate) role: ComponentRole,
    /// What kind of change that makes.
    pub(crate) modification: ModificationKind,
    /// The file or folder.
    pub(crate) path: PathBuf,
    /// The component's name; by default that of the state's component of the role.
    pub(crate) name: Option<Name>,
}

/// A change to propose.
pub(crate) struct ProposalRequest<'a> {
    pub(crate) slot: SlotId,
    pub(crate) source: ArtefactSource,
    pub(crate) by: &'a str,
    /// The proposer is the model that the slot serves, the key's person its sponsor.
    pub(crate) as_model: AsModel,
    pub(crate) level: Level,
    pub(crate) grant: Option<StatementId>,
    pub(crate) contexts: BTreeSet<Name>,
    pub(crate) summary: Option<&'a str>,
    pub(crate) rebase: Option<ChangeId>,
    /// Where the files are looked into.
    pub(crate) isolation: Isolation,
}

/// Whether a person or a model proposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AsModel {
    Person,
    Model,
}

/// What was stored.
pub(crate) struct Stored {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
}

/// Stores a file or folder in the vault.
pub(crate) fn store(realm: &Realm, path: &Path) -> Done<Stored> {
    // One that never ends would fill the vault, and one that nobody writes would keep the log locked.
    let opened = stored::open("component", path)?;
    while_busy(&format!("storing {}", path.display()), || match opened {
        Opened::Folder => {
            let (manifest, stored) = realm.vault.put_directory(&realm.tenant, path)?;
            Ok(Stored { digest: stored.digest, bytes: manifest.total() })
        }
        Opened::File(file) => {
            let put = realm.vault.vault().put_reader(&realm.tenant, file);
            let stored = realm.vault.block_on(put).map_err(in_file(path))?;
            Ok(Stored { digest: stored.digest, bytes: stored.length })
        }
    })
}

/// Looks whether a file is at all what it is proposed as, before it is stored for good. The examiner looks closely;
/// this is for whoever mixed up two paths.
fn look_at(source: &ArtefactSource) -> Done {
    let path = &source.path;
    match source.modification {
        ModificationKind::Adapter => {
            for file in ["adapter_config.json", "adapter_model.safetensors"] {
                if !path.join(file).is_file() {
                    return Err(Failure::not_a("adapter's folder", path, format!("`{file}` is not in it")));
                }
            }
            Ok(())
        }
        ModificationKind::Prompt => text(path, "prompt"),
        ModificationKind::Settings => text(path, "file of settings"),
        _ => match stored::open("file of weights", path)? {
            Opened::File(_) => Ok(()),
            Opened::Folder => Err(Failure::not_a("file of weights", path, "it is no regular file")),
        },
    }
}

fn text(path: &Path, what: &str) -> Done {
    match String::from_utf8(stored::read(what, path, TEXT_BYTES_MAX)?) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::not_a(what, path, error.utf8_error())),
    }
}

/// A change that was proposed, and what will stand against it.
pub(crate) struct Proposed {
    pub(crate) change: ChangeId,
    /// What was signed.
    pub(crate) statement: StatementId,
    /// The state that would be served.
    pub(crate) target_state: StateId,
    /// What was stored.
    pub(crate) artefact: Artefact,
    pub(crate) warnings: Vec<Warning>,
}

/// The longest summary: it is shown whole to everybody who looks at the change.
const SUMMARY_BYTES_MAX: usize = 4096;

/// Proposes a change: submits the state it leads to and the proposal. What could never be released is refused before
/// anything is submitted.
pub(crate) fn propose(realm: &mut Realm, request: ProposalRequest<'_>) -> Done<Proposed> {
    look_at(&request.source)?;
    if let Some(summary) = request.summary.filter(|summary| summary.len() > SUMMARY_BYTES_MAX) {
        let message = format!("the summary has {} bytes, more than {SUMMARY_BYTES_MAX}", summary.len());
        return Err(Failure::usage(message));
    }
    let key = realm.keys.open(request.by)?;
    let world = realm.ledger().world();
    let slot = world.slot(&request.slot).ok_or_else(|| Failure::missing("slot", &request.slot))?;
    let definition = &slot.definition.body;
    let base_state = slot.state;
    let scope = definition.scopes.get(&request.level).copied().ok_or_else(|| {
        Failure::from(dossier::Refusal::new(dossier::Code::KindNotOpen, crate::text::word(&request.level)))
    })?;
    let base = world.state(&base_state).ok_or_else(|| Failure::missing("state", base_state))?;
    let mut warnings = {
        let isolation = request.isolation;
        super::foresee::of_scope(realm, &request.source, &scope, &base.body.manifest, isolation)?
    };
    let mut components = base.body.manifest.components.clone();
    let stored = store(realm, &request.source.path)?;
    let name = place(&mut components, &request.source, stored.digest)?;
    let contexts =
        if request.contexts.is_empty() { definition.contexts.clone() } else { request.contexts.clone() };
    let actor = world
        .actor(&id(&key))
        .ok_or_else(|| Failure::from(dossier::Refusal::new(dossier::Code::UnknownSigner, request.by)))?;
    let proposer = match request.as_model {
        AsModel::Person => Proposer::Person(actor.person),
        AsModel::Model => Proposer::Model { sponsor: actor.person, state: base_state },
    };
    let (change, replaces) = match &request.rebase {
        None => (Realm::new_change()?, None),
        Some(change) => {
            let dossier = realm.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
            (change.clone(), Some(dossier.proposal.id))
        }
    };
    let manifest = Manifest { components };
    let target_state = manifest.id()?;
    let tracking = Tracking::Change(change.clone());
    let served =
        ServedState { manifest, parents: BTreeSet::from([base_state]), made_by: Some(change.clone()) };
    let served = realm.ledger().world().state(&target_state).is_none().then_some(served);
    let summary = request.summary.map(|text| realm.attach(text)).transpose()?;
    let artefact = Artefact { bytes: stored.bytes, digest: stored.digest, name };
    let proposal = Proposal {
        artefacts: BTreeSet::from([artefact.clone()]),
        base_state,
        contexts,
        grant: request.grant,
        level: request.level,
        modification: request.source.modification,
        proposer,
        replaces,
        scope,
        slot: request.slot,
        summary,
        target_state,
        training_data: BTreeSet::new(),
    };
    warnings.extend(super::foresee::of_gates(realm, &key, &tracking, served.as_ref(), &proposal)?);
    if let Some(served) = served {
        realm.say(&key, tracking.clone(), served)?;
    }
    let statement = realm.say(&key, tracking, proposal)?;
    Ok(Proposed { change, statement, target_state, artefact, warnings })
}

/// Puts the new component in the place of the one it replaces, or after all others.
fn place(components: &mut Vec<Component>, source: &ArtefactSource, digest: Digest) -> Done<Name> {
    let matches = |component: &&mut Component| {
        component.role == source.role && source.name.as_ref().is_none_or(|name| *name == component.name)
    };
    if let Some(component) = components.iter_mut().find(matches) {
        component.digest = digest;
        return Ok(component.name.clone());
    }
    let name = match &source.name {
        Some(name) => name.clone(),
        None => super::word::<Name>("name", &crate::text::word(&source.role))?,
    };
    components.push(Component { digest, name: name.clone(), role: source.role });
    Ok(name)
}

/// Writes the content of a digest, a file or a folder, to `path`, verified on the way.
pub(crate) fn rebuild_artefact(shelf: &impl Shelf, digest: &Digest, path: &Path) -> Done<BTreeSet<Digest>> {
    let (vault, tenant) = (shelf.vault().vault(), shelf.tenant());
    if let Ok(manifest) = shelf.vault().block_on(vault.manifest(tenant, digest)) {
        shelf.vault().block_on(vault.restore_directory(tenant, digest, path))?;
        return Ok(manifest.entries().iter().map(|entry| entry.digest).collect());
    }
    let mut file = std::fs::File::create(path).map_err(|error| Failure::file(path, &error))?;
    shelf::copy(shelf, digest, &mut file, path)?;
    Ok(BTreeSet::from([*digest]))
}

/// The files of a folder by their names, with their digests; none where the content is no folder.
pub(crate) fn files_of(shelf: &impl Shelf, digest: &Digest) -> Option<Vec<(String, Digest)>> {
    let (vault, tenant) = (shelf.vault().vault(), shelf.tenant());
    let manifest = shelf.vault().block_on(vault.manifest(tenant, digest)).ok()?;
    Some(manifest.entries().iter().map(|entry| (entry.path.to_string(), entry.digest)).collect())
}

/// The component that the change takes the place of or is applied to, for the examiner.
pub(crate) fn base_component(shelf: &impl Shelf, dossier: &Dossier) -> Option<Digest> {
    let proposal = &dossier.proposal.body;
    let role = match proposal.modification {
        ModificationKind::Adapter | ModificationKind::Weights => ComponentRole::Weights,
        ModificationKind::Prompt => ComponentRole::Prompt,
        ModificationKind::Settings => ComponentRole::Sampling,
        _ => return None,
    };
    let base = shelf.ledger().world().state(&proposal.base_state)?;
    let of_role = base.body.manifest.components.iter().filter(|component| component.role == role);
    // What the artefact replaces has its name; an adapter applies to the weights, where those are one component.
    let replaces =
        |component: &&Component| proposal.artefacts.iter().any(|artefact| artefact.name == component.name);
    let mut fitting: Vec<&Component> = match proposal.modification {
        ModificationKind::Adapter => of_role.collect(),
        _ => of_role.filter(replaces).collect(),
    };
    match (fitting.pop(), fitting.is_empty()) {
        (Some(component), true) => Some(component.digest),
        _ => None,
    }
}
