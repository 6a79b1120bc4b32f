//! Arguments of the commands about attestation. They need no realm.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What is done about attestation.
#[derive(Debug, Subcommand)]
pub(crate) enum AttestCommand {
    /// Ask this host for evidence of itself, bound to one run of a worker.
    #[command(
        after_help = "Example: countersign attest quote --worker-digest SHA256 --inputs SHA256 --trace-root SHA256 --nonce 6e6f6e63652d3031 --out run.attestation"
    )]
    Quote(AttestQuoteArgs),
    /// Verify an attestation: signatures, roots, status, and that it is about what it says.
    #[command(
        after_help = "Example: countersign attest verify run.attestation --nonce 6e6f6e63652d3031 --policy attestation-policy.json --tier high"
    )]
    Verify(AttestVerifyArgs),
    /// Print the name of this host's attestation key, which a policy enrols.
    #[command(after_help = "Example: countersign attest key --tpm device:/dev/tpmrm0")]
    Key(AttestKeyArgs),
}

/// Which TPM, and which key in it.
#[derive(Debug, Args)]
pub(crate) struct AttestKeyArgs {
    /// The way to a TPM: `device:/dev/tpmrm0`, `swtpm:path=SOCKET` or `swtpm:host=HOST,port=PORT`.
    #[arg(long, value_name = "TCTI")]
    pub(crate) tpm: Option<String>,
    /// The persistent handle of the attestation key, such as 0x81010002; one is made otherwise.
    #[arg(long, value_name = "HANDLE")]
    pub(crate) tpm_key: Option<String>,
}

/// What ran, and what the host is to say.
#[derive(Debug, Args)]
pub(crate) struct AttestQuoteArgs {
    /// SHA-256 of the worker's code.
    #[arg(long, value_name = "SHA256")]
    pub(crate) worker_digest: String,
    /// The digest of an input; may be given several times.
    #[arg(long = "input", value_name = "SHA256", required_unless_present = "inputs")]
    pub(crate) input: Vec<String>,
    /// The digest over all inputs, where that is known already.
    #[arg(long, value_name = "SHA256", conflicts_with = "input")]
    pub(crate) inputs: Option<String>,
    /// The root of the execution trace.
    #[arg(long, value_name = "SHA256")]
    pub(crate) trace_root: String,
    /// What whoever asks chose: 8 to 64 bytes in hexadecimal digits.
    #[arg(long, value_name = "HEX")]
    pub(crate) nonce: String,
    #[command(flatten)]
    pub(crate) key: AttestKeyArgs,
    /// A register that the TPM quotes (default: 0 to 7); may be given several times.
    #[arg(long, value_name = "INDEX")]
    pub(crate) pcr: Vec<u8>,
    /// Certificates of the TPM's key in PEM, its own first.
    #[arg(long, value_name = "PEM")]
    pub(crate) certificates: Option<PathBuf>,
    /// Where the attestation is written (default: the answer).
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// A kind of evidence that is given by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RawKind {
    /// A quote of Intel TDX.
    Tdx,
    /// A quote of Intel SGX.
    Sgx,
    /// A report of AMD SEV-SNP.
    SevSnp,
    /// A report of an NVIDIA GPU.
    NvidiaGpu,
}

/// What is verified, against what.
#[derive(Debug, Args)]
pub(crate) struct AttestVerifyArgs {
    /// The attestation.
    pub(crate) file: PathBuf,
    /// The nonce that was asked for.
    #[arg(long, value_name = "HEX")]
    pub(crate) nonce: Option<String>,
    /// The worker that was to run.
    #[arg(long, value_name = "SHA256")]
    pub(crate) worker_digest: Option<String>,
    /// The root of the execution trace.
    #[arg(long, value_name = "SHA256")]
    pub(crate) trace_root: Option<String>,
    /// Which hosts count (default: none is required, and what is there must be sound and up to date).
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// The tier whose requirements in the policy are to be met: minimal, low, medium or high.
    #[arg(long)]
    pub(crate) tier: Option<String>,
    /// When it is judged, in Unix seconds (default: now).
    #[arg(long, value_name = "SECONDS")]
    pub(crate) at: Option<i64>,
    /// What Intel says about the platform of a TDX or SGX quote, as `dcap-qvl` writes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) collateral: Option<PathBuf>,
    /// Certificates in PEM for evidence that has none: the key's own first.
    #[arg(long, value_name = "PEM")]
    pub(crate) certificates: Option<PathBuf>,
    /// The file is a quote or report by itself, of this kind, and no attestation of Countersign's.
    #[arg(long, value_name = "KIND", requires = "data", conflicts_with_all = ["nonce", "worker_digest", "trace_root", "tier"])]
    pub(crate) raw: Option<RawKind>,
    /// The data that a quote or report by itself must be bound to.
    #[arg(long, value_name = "HEX", requires = "raw")]
    pub(crate) data: Option<String>,
}
