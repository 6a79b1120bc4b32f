//! Arguments of the commands on model files: they need no realm.

use std::path::PathBuf;

use clap::Args;
use sandbox::Level;

/// What is around the worker that opens files or runs a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Isolation {
    /// The box that any Linux since 5.13 has; what this host does not enforce is told.
    Standard,
    /// Every boundary but control groups, or a refusal; tried from inside before a file is opened.
    Deep,
    /// The deep box but for Landlock, where this program itself runs inside gVisor, or a refusal.
    Gvisor,
    /// No box: this program does it itself.
    None,
}

impl Isolation {
    /// The level of the box; none where none is wanted.
    pub(crate) const fn level(self) -> Option<Level> {
        match self {
            Self::Standard => Some(Level::Standard),
            Self::Deep => Some(Level::Deep),
            Self::Gvisor => Some(Level::Gvisor),
            Self::None => None,
        }
    }
}

/// What is scanned, and how the answer is given.
#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    /// Files, and folders with everything in them.
    #[arg(required_unless_present = "list_rules")]
    pub(crate) paths: Vec<PathBuf>,
    /// The least severity that fails (exit code 1): info, warning or error.
    #[arg(long, default_value = "warning")]
    pub(crate) fail_on: String,
    /// Only this rule; may be given several times.
    #[arg(long)]
    pub(crate) rule: Vec<String>,
    /// Do not count this rule's findings: `RULE=REASON`. The reason stands in the report.
    #[arg(long, value_name = "RULE=REASON")]
    pub(crate) ignore: Vec<String>,
    /// Write the findings as SARIF 2.1.0, for code hosts and editors.
    #[arg(long, value_name = "FILE")]
    pub(crate) sarif: Option<PathBuf>,
    /// Write a bill of materials (CycloneDX 1.6) with the SHA-256 of every file.
    #[arg(long, value_name = "FILE")]
    pub(crate) bom: Option<PathBuf>,
    /// What is around the worker that opens the files.
    #[arg(long, value_enum, default_value_t = Isolation::Standard)]
    pub(crate) isolation: Isolation,
    /// Print every rule: what it finds, what it does not see, where it comes from.
    #[arg(long)]
    pub(crate) list_rules: bool,
}

/// What is sealed, under which rule, and what the seal is compared with.
#[derive(Debug, Args)]
pub(crate) struct FingerprintArgs {
    /// A .safetensors or .gguf file, or a folder with a model in .safetensors files.
    #[arg(required_unless_present = "print_rule")]
    pub(crate) path: Option<PathBuf>,
    /// `exact`, `8-bit`, `4-bit`, `2-bit`, `mixed`, or a rule file. May be given several times.
    #[arg(long, value_name = "RULE")]
    pub(crate) rule: Vec<String>,
    /// The bundle that signs the rule file; it is refused unless this is by `--public-key`.
    #[arg(long, value_name = "FILE", requires_all = ["public_key", "rule"])]
    pub(crate) rule_signature: Option<PathBuf>,
    /// The key that the rule must be signed by.
    #[arg(long, value_name = "PEM")]
    pub(crate) public_key: Option<PathBuf>,
    /// Write the seal with the hash of every block, for proofs, comparisons and spot checks.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Compare with this seal, under its rule; what differs is refused by name.
    #[arg(long, value_name = "SEAL", conflicts_with_all = ["rule", "base"])]
    pub(crate) against: Option<PathBuf>,
    /// Say what differs from this seal, under its rule; `--out` then writes the differential seal.
    #[arg(long, value_name = "SEAL", conflicts_with = "rule")]
    pub(crate) base: Option<PathBuf>,
    /// Check so many blocks of the file that this process has mapped, chosen at random, instead of all.
    #[arg(long, value_name = "PID", requires = "against")]
    pub(crate) running: Option<u32>,
    /// How many blocks a check of a running process looks at.
    #[arg(long, default_value_t = 64, requires = "running", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) blocks: u64,
    /// What is around the worker that opens the files.
    #[arg(long, value_enum, default_value_t = Isolation::Standard)]
    pub(crate) isolation: Isolation,
    /// Print the rule as the canonical JSON that is signed, and do nothing else.
    #[arg(long, value_name = "RULE")]
    pub(crate) print_rule: Option<String>,
}

/// What has a digest of its own in a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SignMethod {
    /// Each file.
    Files,
    /// Each gigabyte of each file.
    Shards,
}

/// How files are hashed for a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SignHash {
    /// Read by every verifier.
    Sha256,
    /// Read by `model_signing` in bundles of its library only.
    Blake2b,
    /// The fastest; `model_signing verify` reads it through its library, not through its command.
    Blake3,
}

/// What is signed, and by which key.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The model: a file, or a folder with everything in it.
    pub(crate) path: PathBuf,
    /// An ECDSA key on P-256, P-384 or P-521 in PEM (PKCS#8 or SEC1), or a key file of Countersign with P-256.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Where the bundle is written.
    #[arg(long, value_name = "FILE", default_value = "model.sig")]
    pub(crate) out: PathBuf,
    /// What has a digest of its own.
    #[arg(long, value_enum, default_value_t = SignMethod::Files)]
    pub(crate) method: SignMethod,
    /// How files are hashed.
    #[arg(long, value_enum, default_value_t = SignHash::Sha256)]
    pub(crate) hash: SignHash,
    /// A path in the folder that is left out, and recorded as left out; may be given several times.
    #[arg(long, value_name = "PATH")]
    pub(crate) ignore: Vec<String>,
    /// Sign `.git`, `.github`, `.gitignore` and `.gitattributes` too.
    #[arg(long)]
    pub(crate) with_git: bool,
    /// Follow symbolic links, and sign what they lead to.
    #[arg(long)]
    pub(crate) allow_symlinks: bool,
}

/// What is verified, and by what.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The model: a file, or a folder with everything in it.
    pub(crate) path: PathBuf,
    /// The bundle.
    #[arg(long, value_name = "FILE")]
    pub(crate) signature: PathBuf,
    /// The public key it must be signed by, in PEM.
    #[arg(long, value_name = "PEM", required_unless_present = "certificate_chain")]
    pub(crate) public_key: Option<PathBuf>,
    /// The root certificates that its chain must lead to, in PEM.
    #[arg(long, value_name = "PEM", conflicts_with = "public_key")]
    pub(crate) certificate_chain: Option<PathBuf>,
    /// Judge certificates at this time, Unix seconds, instead of now.
    #[arg(long, value_name = "SECONDS", requires = "certificate_chain")]
    pub(crate) at: Option<i64>,
    /// A path in the folder that may be there without being signed; may be given several times.
    #[arg(long, value_name = "PATH")]
    pub(crate) ignore: Vec<String>,
    /// A tlog-proof of the bundle; certificates are then judged at the time that the log's witnesses saw it.
    #[arg(long, value_name = "FILE", requires_all = ["log", "witness"])]
    pub(crate) inclusion: Option<PathBuf>,
    /// The log's verifier key.
    #[arg(long, value_name = "VKEY")]
    pub(crate) log: Option<String>,
    /// A witness's verifier key; each that is given must have cosigned.
    #[arg(long, value_name = "VKEY")]
    pub(crate) witness: Vec<String>,
}

/// How ggml's kinds are spread over the tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum QuantizeChoice {
    /// As llama.cpp's mixture of that name has it.
    Mixture,
    /// The same for every weight that is quantised.
    Pure,
}

/// Whose rule decides between neighbouring levels of NF4 and FP4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum QuantizeBackend {
    /// The default back end of bitsandbytes 0.50.
    Midpoints,
    /// The default back end of bitsandbytes 0.48.
    Argmin,
    /// The decision trees of its CUDA kernels.
    Cuda,
}

/// What is quantised, to what, and where to.
#[derive(Debug, Args)]
pub(crate) struct QuantizeArgs {
    /// A .gguf or .safetensors file with weights in F32, F16 or BF16, or a folder with a model in such files.
    pub(crate) path: PathBuf,
    /// To a GGUF file: a mixture (`Q4_K_M`, `Q4_K_S`, `Q2_K`, `Q6_K`, `Q4_0`, `Q4_1`, `Q5_0`, `Q5_1`, `Q8_0`, `IQ4_NL`,
    /// `IQ4_XS`, ...) or `MXFP4`. To a .safetensors file as bitsandbytes keeps them: `NF4`, `FP4`, `INT8`.
    #[arg(long, value_name = "KIND")]
    pub(crate) to: String,
    /// Where the file is written.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// An importance matrix, as `llama-imatrix` writes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) imatrix: Option<PathBuf>,
    /// The same kind for every weight, not the mixture of that name.
    #[arg(long)]
    pub(crate) pure: bool,
    /// Turn back weights that are quantised already; the result is called derived.
    #[arg(long)]
    pub(crate) requantize: bool,
    /// Which back end of bitsandbytes is repeated for `NF4` and `FP4`.
    #[arg(long, value_enum, default_value_t = QuantizeBackend::Midpoints)]
    pub(crate) backend: QuantizeBackend,
    /// Weights that share a scale in `NF4` and `FP4`.
    #[arg(long, default_value_t = 64)]
    pub(crate) blocksize: usize,
    /// What is around the worker that opens the files.
    #[arg(long, value_enum, default_value_t = Isolation::Standard)]
    pub(crate) isolation: Isolation,
}

impl QuantizeArgs {
    /// How kinds are spread.
    pub(crate) const fn choice(&self) -> QuantizeChoice {
        if self.pure { QuantizeChoice::Pure } else { QuantizeChoice::Mixture }
    }
}

/// Which model is served, and where.
#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
    /// A .gguf file, or a folder with config.json, tokenizer.json and .safetensors files.
    #[arg(long, value_name = "PATH")]
    pub(crate) model: PathBuf,
    /// The name that clients ask for (default: the file's or folder's).
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A LoRA adapter that clients ask for by name; may be given several times.
    #[arg(long, value_name = "NAME=FOLDER")]
    pub(crate) adapter: Vec<String>,
    /// A file with the system prompt: what every conversation begins with that has no system message of its own.
    #[arg(long, value_name = "FILE")]
    pub(crate) system: Option<PathBuf>,
    /// Where to listen. Addresses that other machines reach need --api-key-file.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) listen: std::net::SocketAddr,
    /// Listen on a Unix socket instead, which is made at this path for its owner alone.
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    pub(crate) listen_socket: Option<PathBuf>,
    /// End as on SIGTERM where standard input ends: an engine does not outlive who started it.
    #[arg(long)]
    pub(crate) end_with_stdin: bool,
    /// Keys that clients must send, one a line, or `sha256:` and a key's hash.
    #[arg(long, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Threads that compute for one answer (default: as many as there are cores).
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Answers that are generated at the same time.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) parallel: usize,
    /// Requests that may wait; further ones are refused.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) queue: usize,
    /// Most tokens of a prompt and its answer (default: the model's context).
    #[arg(long, value_name = "N")]
    pub(crate) context: Option<usize>,
    /// What is around the worker that runs the model.
    #[arg(long, value_enum, default_value_t = Isolation::Standard)]
    pub(crate) isolation: Isolation,
    /// How long answers that have begun may go on after SIGTERM or SIGINT.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) drain_seconds: u64,
}

/// What is compared.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The model to start from: a safetensors or GGUF file, an index, or a folder. An adapter's folder to compare two
    /// adapters, or to look at one by itself.
    pub(crate) base: PathBuf,
    /// What it is compared with: a model or an adapter.
    pub(crate) candidate: Option<PathBuf>,
    /// Check the change against this scope: 0 within, 1 outside, 2 undecided.
    #[arg(long, value_name = "FILE")]
    pub(crate) scope: Option<PathBuf>,
    /// Write the report as a page that needs nothing else.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// What is around the worker that opens the files.
    #[arg(long, value_enum, default_value_t = Isolation::Standard)]
    pub(crate) isolation: Isolation,
    /// How many of the changed tensors are listed on the terminal.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) top: usize,
}

/// What is merged, how, and what it is tested with.
#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// The base of all parents: a model's folder with safetensors.
    #[arg(long)]
    pub(crate) base: PathBuf,
    /// A parent: a model's folder. They join in the order given.
    #[arg(long = "parent", required = true)]
    pub(crate) parents: Vec<PathBuf>,
    /// How much of each parent's difference from the base; as many as parents (default: one part in as many).
    #[arg(long = "coefficient", allow_negative_numbers = true)]
    pub(crate) coefficients: Vec<f32>,
    /// weighted, ties, dare, slerp.
    #[arg(long, default_value = "weighted")]
    pub(crate) method: String,
    /// The share of elements that TIES and DARE keep.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) density: f32,
    /// What DARE draws from.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Merge only tensors of that name: `model.layers.*.mlp.**`. The others stay the base's.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) only: Vec<String>,
    /// Protect the direction of refusal: what the merge writes along it is what the base writes.
    #[arg(long)]
    pub(crate) protect: bool,
    /// Give parents that keep more of the base's refusals more weight.
    #[arg(long)]
    pub(crate) align: bool,
    /// The shares of its coefficient by which a parent joins, the last of them 1.
    #[arg(long, value_delimiter = ',', default_value = "0.5,1")]
    pub(crate) shares: Vec<f32>,
    /// A folder of questions with expected answers, asked after every step.
    #[arg(long = "suite", required = true)]
    pub(crate) suites: Vec<PathBuf>,
    /// The folder that the merge is written to, which is not there yet.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// How deep each parent is examined, in place of policies/examination.json.
    #[arg(long)]
    pub(crate) depth: Option<PathBuf>,
    /// Scores of benign changes to judge parents by.
    #[arg(long)]
    pub(crate) calibration: Option<PathBuf>,
    /// What is around the worker that reads, runs and merges the models.
    #[arg(long, value_enum, default_value_t = Isolation::Standard, conflicts_with = "unboxed")]
    pub(crate) isolation: Isolation,
    /// Read and run base and parents inside this program, with every right of its user: `--isolation none`.
    #[arg(long)]
    pub(crate) unboxed: bool,
}
