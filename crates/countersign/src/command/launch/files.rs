//! The components of a served state as files for an engine.
//!
//! ```text
//! model/          weights, tokenizer and template of a model in a folder
//! model.gguf      weights in one file of GGUF
//! adapters/NAME/  adapters
//! prompts/NAME    prompts
//! parts/NAME      everything else
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use ::launch::Placed;
use statement::kind::{Component, ComponentRole};
use statement::{Digest, StateId};
use vault::Manifest;

use crate::failure::{Done, Failure};
use crate::realm::{Heads, Record};
use crate::shelf::{Shelf as _, copy};

/// How a file of GGUF begins.
const GGUF: &[u8] = b"GGUF";

/// The files of a state.
pub(super) struct Laid {
    pub(super) placed: Placed,
    /// Paths by placeholder.
    pub(super) places: BTreeMap<String, String>,
    components: Vec<Component>,
}

impl Laid {
    /// Whether our own engine serves such a state as it is approved: what it does not know it would leave out.
    pub(super) fn for_own_engine(&self) -> Done {
        use ComponentRole::{
            Adapter, Engine, Index, Prompt, Quantisation, Sampling, Template, Tokenizer, Weights,
        };
        let unknown = self.components.iter().find(|component| match component.role {
            Weights | Adapter | Tokenizer | Template | Prompt => false,
            Quantisation | Index | Sampling | Engine => true,
        });
        if let Some(component) = unknown {
            return Err(not_served(component, "it is of a role that our own engine does not serve"));
        }
        let of = |role| self.components.iter().filter(move |component| component.role == role);
        match (of(Prompt).nth(1), of(Adapter).nth(1)) {
            (Some(second), _) => Err(not_served(second, "it is a second prompt")),
            (_, Some(second)) => Err(not_served(second, "it is a second adapter")),
            (None, None) => Ok(()),
        }
    }

    /// The name of the adapter's component.
    pub(super) fn adapter(&self) -> Done<Option<&str>> {
        let adapter = self.components.iter().find(|component| component.role == ComponentRole::Adapter);
        let Some(adapter) = adapter else { return Ok(None) };
        let folder = self.placed.folder().join("adapters").join(adapter.name.as_str());
        if folder.join("adapter_config.json").is_file() {
            Ok(Some(adapter.name.as_str()))
        } else {
            Err(not_served(adapter, "it is no folder with an adapter_config.json"))
        }
    }
}

fn not_served(component: &Component, why: &str) -> Failure {
    let message = format!("component `{}` of the state cannot be served: {why}", component.name);
    Failure::new("CS-CLI-079", message, "name an engine that serves it, as a command after `--`")
}

/// Takes a state's components out of the vault.
pub(super) fn lay(realm: &Record<impl Heads>, state: StateId, within: Option<&Path>) -> Done<Laid> {
    let recorded = realm.ledger().world().state(&state).ok_or_else(|| Failure::missing("state", state))?;
    let components = recorded.body.manifest.components.clone();
    let mut placed = Placed::new(within)?;
    let mut places = BTreeMap::new();
    for component in &components {
        let at = part(realm, &mut placed, component)?;
        let path = placed.folder().join(&at).display().to_string();
        places.insert(format!("component:{}", component.name), path.clone());
        match component.role {
            ComponentRole::Prompt => {
                places.entry("prompt".to_owned()).or_insert(path);
            }
            ComponentRole::Weights => {
                let model =
                    if at.starts_with("model/") { placed.folder().join("model") } else { path.into() };
                places.entry("model".to_owned()).or_insert_with(|| model.display().to_string());
            }
            _ => {}
        }
    }
    Ok(Laid { placed, places, components })
}

/// Places one component; where it is, in the folder.
fn part(realm: &Record<impl Heads>, placed: &mut Placed, component: &Component) -> Done<String> {
    let name = component.name.as_str();
    let (folder, own_name) = match component.role {
        ComponentRole::Weights => ("model".to_owned(), "model.safetensors"),
        ComponentRole::Tokenizer => ("model".to_owned(), "tokenizer.json"),
        ComponentRole::Template => ("model".to_owned(), "chat_template.jinja"),
        ComponentRole::Adapter => (format!("adapters/{name}"), "adapter_model.safetensors"),
        ComponentRole::Prompt => {
            let at = format!("prompts/{name}");
            return file(realm, placed, &at, &component.digest).map(|()| at);
        }
        ComponentRole::Quantisation
        | ComponentRole::Index
        | ComponentRole::Sampling
        | ComponentRole::Engine => ("parts".to_owned(), name),
    };
    if let Some(manifest) = folder_of(realm, &component.digest) {
        let folder = if folder == "parts" { format!("parts/{name}") } else { folder };
        for entry in manifest.entries() {
            file(realm, placed, &format!("{folder}/{}", entry.path.as_str()), &entry.digest)?;
        }
        // With its end, so that a folder of a model is told from a file.
        return Ok(format!("{folder}/"));
    }
    let at = if component.role == ComponentRole::Weights && begins_as_gguf(realm, &component.digest)? {
        "model.gguf".to_owned()
    } else if name.contains('.') {
        format!("{folder}/{name}")
    } else {
        format!("{folder}/{own_name}")
    };
    file(realm, placed, &at, &component.digest)?;
    Ok(at)
}

fn file(realm: &Record<impl Heads>, placed: &mut Placed, at: &str, digest: &Digest) -> Done {
    placed.file(at, digest, |to, path| copy(realm, digest, to, path).map(drop)).map(drop)
}

/// The manifest of a folder; none where the content is a file.
fn folder_of(realm: &Record<impl Heads>, digest: &Digest) -> Option<Manifest> {
    let vault = realm.vault();
    vault.block_on(vault.vault().manifest(realm.tenant(), digest)).ok()
}

fn begins_as_gguf(realm: &Record<impl Heads>, digest: &Digest) -> Done<bool> {
    let vault = realm.vault();
    let artefact = vault.block_on(vault.vault().open(realm.tenant(), digest))?;
    if artefact.length() < GGUF.len() as u64 {
        return Ok(false);
    }
    Ok(vault.block_on(artefact.read_range(0..GGUF.len() as u64))? == GGUF)
}
