//! Attestations under findings: where an examiner's code ran, verified from the bytes that the export carries.
//!
//! An attestation is an attachment of its finding. It must be about that finding: its worker, its inputs, and the
//! proposal's id as the nonce. It is judged at the time of the finding's leaf, under the policy that the auditor gives,
//! or the default, which requires none and enrols no keys.

use std::collections::BTreeMap;

use dossier::Recorded;
use evidence::{Attestation, Error, Expected, HostKind, Policy, inputs_digest};
use schemars::JsonSchema;
use serde::Serialize;
use statement::Digest;
use statement::kind::Finding;

use crate::export::Attachment;

/// What an attestation shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Attested {
    /// Its evidence holds, and is about the finding. Which hosts vouch for it stands beside.
    Holds,
    /// It is sound as far as it could be looked at, and does not count under the auditor's policy.
    NotAccepted,
    /// It contradicts itself or the finding.
    Contradicts,
}

/// A host that vouches for a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AttestedHost {
    /// What kind of host it is: `tpm2`, `tdx`, `sev-snp`, `sgx` or `nvidia-gpu`.
    pub kind: String,
    /// How current it is, or who vouches for its key.
    pub status: String,
    /// Whether it is a simulation, which proves nothing about hardware.
    pub simulated: bool,
}

/// An attestation under a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AttestationReport {
    /// The attachment.
    pub digest: Digest,
    /// What it shows.
    pub outcome: Attested,
    /// The hosts that vouch; none where it does not hold, or where no host said anything.
    pub hosts: Vec<AttestedHost>,
    /// Why it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The attestations that the export carries, and by what they are judged.
pub(super) struct Attestations<'a> {
    carried: BTreeMap<Digest, &'a [u8]>,
    policy: Policy,
}

impl<'a> Attestations<'a> {
    pub(super) fn new(attachments: &'a [(Digest, Attachment<'a>)], policy: Option<&Policy>) -> Self {
        let carried = attachments.iter().map(|(digest, attachment)| (*digest, attachment.content));
        Self {
            carried: carried.filter(|(_, content)| Attestation::is_meant(content)).collect(),
            policy: policy.cloned().unwrap_or_else(Policy::none_required),
        }
    }

    /// What the attestations of a finding show, by digest.
    pub(super) fn of(&self, finding: &Recorded<Finding>) -> Vec<AttestationReport> {
        let carried = finding.body.attachments.iter();
        let carried = carried.filter_map(|digest| Some((*digest, *self.carried.get(digest)?)));
        carried.map(|(digest, content)| self.report(digest, content, finding)).collect()
    }

    fn report(&self, digest: Digest, content: &[u8], finding: &Recorded<Finding>) -> AttestationReport {
        let body = &finding.body;
        let expected = Expected {
            nonce: Some(evidence::Hex::new(body.proposal.digest().as_bytes().to_vec())),
            worker: body.worker,
            inputs: Some(inputs_digest(&body.inputs)),
            trace_root: body.trace.map(|trace| trace.root),
            tier: None,
        };
        let at = i64::try_from(finding.stamp_ms / 1000).unwrap_or(i64::MAX);
        let verified = Attestation::parse(content).and_then(|attestation| {
            says(body, digest, &attestation)?;
            evidence::verify(&attestation, &expected, &self.policy, at)
        });
        match verified {
            Ok(verified) => {
                let host = |facts: &evidence::Facts| AttestedHost {
                    kind: facts.kind.name().to_owned(),
                    status: facts.status.name().to_owned(),
                    simulated: facts.simulated,
                };
                let hosts = verified.hosts().iter().map(host).collect();
                AttestationReport { digest, outcome: Attested::Holds, hosts, code: None, text: None }
            }
            Err(error) => AttestationReport {
                digest,
                outcome: weight(&error),
                hosts: Vec::new(),
                code: Some(error.code().to_owned()),
                text: Some(error.to_string()),
            },
        }
    }
}

/// Whether the evidence comes from every host that the finding says attests it: gates have counted those.
fn says(finding: &Finding, digest: Digest, attestation: &Attestation) -> Result<(), Error> {
    let Some(said) = finding.attested.as_ref().filter(|said| said.attachment == digest) else {
        return Ok(());
    };
    let are = attestation.attesting();
    let mut claimed = HostKind::ALL.into_iter().filter(|kind| said.hosts.contains(&kind.attesting()));
    match claimed.find(|kind| !are.contains(&kind.attesting())) {
        None => Ok(()),
        Some(kind) => Err(Error::Contradiction {
            kind,
            what: "the finding names it, and the evidence is not from such a one",
        }),
    }
}

/// Whether a refusal is about the record, or about what the auditor knows and accepts.
const fn weight(error: &Error) -> Attested {
    match error {
        Error::NotAllowed { .. }
        | Error::Measurement { .. }
        | Error::Simulated { .. }
        | Error::Collateral { .. }
        | Error::Quote { .. }
        | Error::NotBuilt { .. }
        | Error::Chain { .. }
        | Error::HostRequired { .. } => Attested::NotAccepted,
        Error::Json { .. }
        | Error::Format { .. }
        | Error::Member { .. }
        | Error::Hosts
        | Error::Form { .. }
        | Error::Binding { .. }
        | Error::Signature { .. }
        | Error::Key { .. }
        | Error::Contradiction { .. }
        | Error::Debug { .. }
        | Error::Nonce
        | Error::Claim { .. } => Attested::Contradicts,
    }
}
