//! Attestations under findings: where an examiner's code ran, verified from the bytes that the export carries.
//!
//! An attestation is an attachment of its finding. It must be about that finding: its worker, its inputs, and the
//! proposal's id as the nonce. It is judged at the time of the finding's leaf, under the policy that the auditor gives,
//! or the default, which requires none and enrols no keys.

use std::collections::BTreeMap;

use dossier::Recorded;
use evidence::{Attestation, Error, Expected, Host, HostKind, Policy, Verified, inputs_digest};
use schemars::JsonSchema;
use serde::Serialize;
use statement::kind::Finding;
use statement::{Bytes, Digest};

use crate::check::Expectations;
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

/// What the export carries beside leaves, and by what attestations are judged.
pub(super) struct Attestations<'a> {
    carried: BTreeMap<Digest, &'a [u8]>,
    policy: Policy,
    collateral: &'a [Vec<u8>],
}

impl<'a> Attestations<'a> {
    pub(super) fn new(attachments: &'a [(Digest, Attachment<'a>)], expected: &'a Expectations) -> Self {
        let carried = attachments.iter().map(|(digest, attachment)| (*digest, attachment.content));
        Self {
            carried: carried.collect(),
            policy: expected.attestation.clone().unwrap_or_else(Policy::none_required),
            collateral: &expected.collateral,
        }
    }

    /// What the attestations of a finding show, by digest: what says that it is one, and what the finding says is one,
    /// whatever it is. Gates have counted the hosts of that.
    pub(super) fn of(&self, finding: &Recorded<Finding>) -> Vec<AttestationReport> {
        let carried = finding.body.attachments.iter();
        let carried = carried.filter_map(|digest| Some((*digest, *self.carried.get(digest)?)));
        let named = finding.body.attested.as_ref().map(|said| said.attachment);
        let carried =
            carried.filter(|(digest, content)| named == Some(*digest) || Attestation::is_meant(content));
        carried.map(|(digest, content)| self.report(digest, content, finding)).collect()
    }

    /// What holds of an attestation as it is carried, or with the collateral that the auditor has beside it.
    fn verified(&self, attestation: &Attestation, expected: &Expected, at: i64) -> Result<Verified, Error> {
        let as_it_is = evidence::verify(attestation, expected, &self.policy, at);
        if !matches!(as_it_is, Err(Error::Collateral { .. })) {
            return as_it_is;
        }
        let mut told = as_it_is;
        for collateral in self.collateral {
            let Some(completed) = completed(attestation, collateral) else { break };
            told = evidence::verify(&completed, expected, &self.policy, at);
            // One that is not this platform's, or not of this time, is not the last word; everything else is.
            if !matches!(told, Err(Error::Collateral { .. } | Error::Quote { .. })) {
                break;
            }
        }
        told
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
            self.verified(&attestation, &expected, at)
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

/// The attestation with this collateral, where a quote of Intel's carries none.
fn completed(attestation: &Attestation, collateral: &[u8]) -> Option<Attestation> {
    let mut completed = attestation.clone();
    let mut is_completed = false;
    for host in &mut completed.hosts {
        match host {
            Host::Tdx(intel) | Host::Sgx(intel) if intel.collateral.is_none() => {
                intel.collateral = Some(Bytes::new(collateral.to_vec()));
                is_completed = true;
            }
            Host::Tdx(_) | Host::Sgx(_) | Host::Tpm2(_) | Host::SevSnp(_) | Host::NvidiaGpu(_) => {}
        }
    }
    is_completed.then_some(completed)
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

#[cfg(all(test, feature = "dcap"))]
mod tests {
    use evidence::{Claims, Hex, Intel};

    use super::*;

    /// 1 July 2025, when the samples' collateral was in force.
    const SUMMER: i64 = 1_751_328_000;

    /// A quote of Intel's that carries no collateral, of a run that it is not about: without collateral nobody can look; with
    /// the platform's it is looked at, and found to be about something else.
    #[test]
    fn a_quote_is_looked_at_with_the_auditors_collateral() {
        let named = std::env::var_os("COUNTERSIGN_SAMPLES").map(std::path::PathBuf::from);
        let samples =
            named.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/samples").into());
        let read = |name: &str| std::fs::read(samples.join("dcap-qvl").join(name)).ok();
        let (Some(quote), Some(its), Some(other)) = (
            read("tdx_quote"),
            read("tdx_quote_collateral.json"),
            read("tdx_quote_outdated_collateral.json"),
        ) else {
            println!("SKIPPED attestation evidence of dcap-qvl: `tdx_quote` is absent");
            return;
        };
        let claims = Claims {
            inputs: Digest::of(b"inputs"),
            nonce: Hex::new(vec![7; 32]),
            trace_root: Digest::of(b"trace"),
            worker: Digest::of(b"worker"),
        };
        let expected = Expected { nonce: None, worker: None, inputs: None, trace_root: None, tier: None };
        let quote = |collateral: Option<Vec<u8>>| {
            let intel = Intel { collateral: collateral.map(Bytes::new), quote: Bytes::new(quote.clone()) };
            Attestation::new(claims.clone(), vec![Host::Tdx(intel)]).unwrap()
        };
        let code = |collateral: &[Vec<u8>], attestation: &Attestation, at: i64| {
            let (carried, policy) = (BTreeMap::new(), Policy::none_required());
            let attestations = Attestations { carried, policy, collateral };
            let error = attestations.verified(attestation, &expected, at).unwrap_err();
            (error.code(), weight(&error))
        };
        let (nobody_can_look, not_of_it) =
            (("CS-EVI-020", Attested::NotAccepted), ("CS-EVI-021", Attested::NotAccepted));
        let about_another = ("CS-EVI-011", Attested::Contradicts);
        let none = b"{}".to_vec();
        assert_eq!(code(&[], &quote(None), SUMMER), nobody_can_look);
        assert_eq!(code(std::slice::from_ref(&none), &quote(None), SUMMER), nobody_can_look);
        assert_eq!(code(std::slice::from_ref(&other), &quote(None), SUMMER), not_of_it);
        assert_eq!(code(std::slice::from_ref(&its), &quote(None), SUMMER), about_another);
        assert_eq!(code(&[none, other, its.clone()], &quote(None), SUMMER), about_another);
        // Of another time: what Intel said then says nothing any more.
        assert_eq!(code(std::slice::from_ref(&its), &quote(None), SUMMER * 2), not_of_it);
        // What an attestation carries is not put aside for what the auditor has.
        assert_eq!(code(std::slice::from_ref(&its), &quote(Some(b"{}".to_vec())), SUMMER), nobody_can_look);
    }
}
