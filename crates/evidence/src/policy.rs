//! What a reader of attestations accepts, as a file.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use statement::Digest;
use statement::json::{self, Limits};
use statement::kind::Tier;

use crate::error::Error;
use crate::hex::Hex;
use crate::host::HostKind;
use crate::status::Status;

const BYTES_MAX: usize = 1 << 20;
const FORMAT: &str = "countersign-attestation-policy-1";

/// What is accepted. Lists of values that are empty compare nothing, and the answer says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    format: String,
    /// Simulated hosts count. For tests and trials alone.
    #[serde(default)]
    pub allow_simulated: bool,
    /// Statuses that count beside `up-to-date`, `key-pinned` and `key-rooted`; never `revoked`.
    #[serde(default)]
    pub allow_statuses: BTreeSet<Status>,
    /// For GPUs.
    #[serde(default)]
    pub nvidia_gpu: GpuPolicy,
    /// For AMD SEV-SNP.
    #[serde(default)]
    pub sev_snp: SnpPolicy,
    /// For Intel SGX.
    #[serde(default)]
    pub sgx: SgxPolicy,
    /// For Intel TDX.
    #[serde(default)]
    pub tdx: TdxPolicy,
    /// What each tier requires. A tier that is not listed requires none.
    #[serde(default)]
    pub tiers: Vec<TierRule>,
    /// For TPMs.
    #[serde(default)]
    pub tpm2: TpmPolicy,
}

/// What one tier requires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierRule {
    /// Kinds of host evidence, each of which suffices; none is required where it is empty.
    pub hosts: BTreeSet<HostKind>,
    /// The tier.
    pub tier: Tier,
}

/// Which TPMs count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TpmPolicy {
    /// SHA-256 of the TPMT_PUBLIC of each enrolled attestation key: its name without the two bytes of the algorithm.
    #[serde(default)]
    pub keys: BTreeSet<Digest>,
    /// Which values registers may have.
    #[serde(default)]
    pub pcrs: Vec<PcrRule>,
    /// SHA-256 of the root certificates of attestation keys.
    #[serde(default)]
    pub roots: BTreeSet<Digest>,
    /// As `keys`, of TPMs that are simulated. What they quote is simulated whatever the file says, which nobody signs.
    #[serde(default)]
    pub simulated_keys: BTreeSet<Digest>,
}

/// The values that a register may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcrRule {
    /// The register.
    pub index: u8,
    /// Its values.
    pub values: BTreeSet<Digest>,
}

/// Which guests count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnpPolicy {
    /// The least versions; without them the status is `not-compared`.
    #[serde(default)]
    pub least_tcb: Option<SnpTcb>,
    /// Launch measurements, 48 bytes each.
    #[serde(default)]
    pub measurements: BTreeSet<Hex>,
    /// SHA-256 of root certificates that count beside AMD's.
    #[serde(default)]
    pub roots: BTreeSet<Digest>,
}

/// Versions of what a guest has to trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnpTcb {
    /// The boot loader.
    pub boot_loader: u8,
    /// The microcode.
    pub microcode: u8,
    /// The SNP firmware.
    pub snp: u8,
    /// The trusted execution environment.
    pub tee: u8,
}

/// Which trust domains count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TdxPolicy {
    /// MRTD, 48 bytes each.
    #[serde(default)]
    pub measurements: BTreeSet<Hex>,
}

/// Which enclaves count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SgxPolicy {
    /// MRENCLAVE.
    #[serde(default)]
    pub enclaves: BTreeSet<Digest>,
    /// MRSIGNER.
    #[serde(default)]
    pub signers: BTreeSet<Digest>,
}

/// Which GPUs count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuPolicy {
    /// Versions of the driver.
    #[serde(default)]
    pub drivers: BTreeSet<String>,
    /// Reference measurements; without them the status is `not-compared`.
    #[serde(default)]
    pub measurements: Vec<MeasurementRule>,
    /// SHA-256 of root certificates that count beside NVIDIA's.
    #[serde(default)]
    pub roots: BTreeSet<Digest>,
}

/// The values that a measurement may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasurementRule {
    /// The measurement's index, from 1.
    pub index: u8,
    /// Its values.
    pub values: BTreeSet<Hex>,
}

impl Policy {
    /// The default: no tier requires host evidence; what is shown all the same must be sound and up to date.
    pub fn none_required() -> Self {
        Self {
            format: FORMAT.to_owned(),
            allow_simulated: false,
            allow_statuses: BTreeSet::new(),
            nvidia_gpu: GpuPolicy::default(),
            sev_snp: SnpPolicy::default(),
            sgx: SgxPolicy::default(),
            tdx: TdxPolicy::default(),
            tiers: Vec::new(),
            tpm2: TpmPolicy::default(),
        }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::Json`], [`Error::Format`], [`Error::Member`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let document = "attestation policy";
        let refuse = |reason: String| Error::Json { document, reason };
        let value =
            json::parse(bytes, Limits::signed(BYTES_MAX)).map_err(|error| refuse(error.to_string()))?;
        let policy: Self = json::from_value(&value).map_err(|error| refuse(error.to_string()))?;
        if policy.format != FORMAT {
            return Err(Error::Format { document, wanted: FORMAT });
        }
        policy.check()?;
        Ok(policy)
    }

    /// The kinds of which one is required for a tier; empty where none is.
    pub fn required(&self, tier: Tier) -> BTreeSet<HostKind> {
        let rules = self.tiers.iter().filter(|rule| rule.tier == tier);
        rules.flat_map(|rule| rule.hosts.iter().copied()).collect()
    }

    /// Whether a status counts.
    pub fn allows(&self, status: Status) -> bool {
        status.counts_by_itself() || self.allow_statuses.contains(&status)
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |member, reason| Err(Error::Member { member, reason });
        if self.allow_statuses.contains(&Status::Revoked) {
            return refuse("allow_statuses", "`revoked` cannot be allowed");
        }
        let tiers: BTreeSet<_> = self.tiers.iter().map(|rule| rule.tier).collect();
        if tiers.len() != self.tiers.len() {
            return refuse("tiers", "a tier is there twice");
        }
        if self.tpm2.pcrs.iter().any(|rule| rule.index > 23 || rule.values.is_empty()) {
            return refuse("tpm2.pcrs", "a register is from 0 to 23 and has at least one value");
        }
        let measurements = self.sev_snp.measurements.iter().chain(&self.tdx.measurements);
        if measurements.into_iter().any(|value| value.as_slice().len() != 48) {
            return refuse("measurements", "a measurement of SEV-SNP or TDX has 48 bytes");
        }
        if self.nvidia_gpu.measurements.iter().any(|rule| rule.index == 0 || rule.values.is_empty()) {
            return refuse("nvidia_gpu.measurements", "an index is from 1 and has at least one value");
        }
        Ok(())
    }
}
