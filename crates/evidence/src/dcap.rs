//! Quotes of Intel SGX and TDX, verified with `dcap-qvl` under Intel's production root, which that crate carries.
//!
//! What Intel says about the platform (TCB info, the identity of the quoting enclave, revocation lists) is given as
//! collateral and judged at the time given; nothing is fetched. The status counts only where it is listed: `Ok` of the
//! underlying verifier says that signatures hold, not that the platform is up to date.

use std::collections::BTreeMap;

use dcap_qvl::QuoteCollateralV3;
use dcap_qvl::quote::Report;
use dcap_qvl::tcb_info::TcbStatus;
use dcap_qvl::verify::QuoteVerifier;
use statement::Digest;

use crate::error::Error;
use crate::hex::Hex;
use crate::host::{HostKind, Intel};
use crate::policy::Policy;
use crate::status::Status;
use crate::verify::Facts;

/// Largest quote, in bytes.
pub const QUOTE_BYTES_MAX: usize = 64 << 10;

/// Verifies a quote of the kind (TDX or SGX) at the time `at` (Unix seconds).
///
/// # Errors
/// The first thing that does not hold.
pub fn verify(kind: HostKind, evidence: &Intel, policy: &Policy, at: i64) -> Result<Facts, Error> {
    let quote = evidence.quote.as_slice();
    if quote.len() > QUOTE_BYTES_MAX {
        return Err(Error::Form { kind, place: "quote", reason: "it is larger than 64 KiB" });
    }
    let collateral = collateral(kind, evidence)?;
    let now =
        u64::try_from(at).map_err(|_| Error::Member { member: "at", reason: "the time is before 1970" })?;
    let refuse = |error: &dyn std::fmt::Display| Error::Quote { kind, reason: plain(&error.to_string()) };
    let report = QuoteVerifier::new_prod()
        .verify(quote, &collateral, now)
        .map_err(|error| refuse(&format!("{error:#}")))?;
    let named = report.status.as_str();
    let status = status(named).ok_or_else(|| refuse(&format!("the status `{named}` is not known here")))?;
    if !policy.allows(status) || status == Status::Revoked {
        return Err(Error::NotAllowed { kind, status, advisories: report.advisory_ids });
    }
    let (data, shown, measured) = match (&report.report, kind) {
        (Report::SgxEnclave(enclave), HostKind::Sgx) => {
            let enclave_digest = Digest::from_bytes(enclave.mr_enclave);
            let signer = Digest::from_bytes(enclave.mr_signer);
            listed(kind, "mr_enclave", &enclave_digest, &policy.sgx.enclaves)?;
            listed(kind, "mr_signer", &signer, &policy.sgx.signers)?;
            let shown = BTreeMap::from([
                ("isv_prod_id".to_owned(), enclave.isv_prod_id.to_string()),
                ("isv_svn".to_owned(), enclave.isv_svn.to_string()),
                ("mr_enclave".to_owned(), enclave_digest.to_string()),
                ("mr_signer".to_owned(), signer.to_string()),
            ]);
            let measured = !policy.sgx.enclaves.is_empty() || !policy.sgx.signers.is_empty();
            (enclave.report_data, shown, measured)
        }
        (domain, HostKind::Tdx) => {
            let Some(domain) = domain.as_td10() else { return Err(other(kind)) };
            let hex = |bytes: &[u8]| Hex::new(bytes.to_vec());
            listed(kind, "mr_td", &hex(&domain.mr_td), &policy.tdx.measurements)?;
            let shown = BTreeMap::from([
                ("mr_td".to_owned(), hex(&domain.mr_td).to_string()),
                ("rt_mr0".to_owned(), hex(&domain.rt_mr0).to_string()),
                ("rt_mr1".to_owned(), hex(&domain.rt_mr1).to_string()),
                ("rt_mr2".to_owned(), hex(&domain.rt_mr2).to_string()),
                ("rt_mr3".to_owned(), hex(&domain.rt_mr3).to_string()),
                ("td_attributes".to_owned(), hex(&domain.td_attributes).to_string()),
            ]);
            (domain.report_data, shown, !policy.tdx.measurements.is_empty())
        }
        _ => return Err(other(kind)),
    };
    Ok(Facts {
        kind,
        data: data.to_vec(),
        status,
        advisories: report.advisory_ids,
        simulated: false,
        measured,
        shown,
    })
}

fn collateral(kind: HostKind, evidence: &Intel) -> Result<QuoteCollateralV3, Error> {
    let refuse = |reason: String| Error::Collateral { kind, reason };
    let Some(bytes) = &evidence.collateral else {
        return Err(refuse("there is none".to_owned()));
    };
    if bytes.as_slice().len() > crate::ATTESTATION_BYTES_MAX {
        return Err(refuse("it is larger than 1 MiB".to_owned()));
    }
    serde_json::from_slice(bytes.as_slice()).map_err(|error| refuse(plain(&error.to_string())))
}

/// What another program's words may show of a stranger's bytes, escaped and shortened.
fn plain(text: &str) -> String {
    const SHOWN_MAX: usize = 300;
    text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect()
}

const fn other(kind: HostKind) -> Error {
    Error::Contradiction { kind, what: "the quote is of another kind of host" }
}

/// An empty list compares nothing.
fn listed<T: Ord + std::fmt::Display>(
    kind: HostKind,
    what: &str,
    found: &T,
    list: &std::collections::BTreeSet<T>,
) -> Result<(), Error> {
    if list.is_empty() || list.contains(found) {
        return Ok(());
    }
    Err(Error::Measurement { kind, what: what.to_owned(), found: found.to_string() })
}

/// Intel's names for what the collateral can say.
fn status(named: &str) -> Option<Status> {
    let all = [
        (TcbStatus::UpToDate, Status::UpToDate),
        (TcbStatus::SWHardeningNeeded, Status::SwHardeningNeeded),
        (TcbStatus::ConfigurationNeeded, Status::ConfigurationNeeded),
        (TcbStatus::ConfigurationAndSWHardeningNeeded, Status::ConfigurationAndSwHardeningNeeded),
        (TcbStatus::OutOfDate, Status::OutOfDate),
        (TcbStatus::OutOfDateConfigurationNeeded, Status::OutOfDateConfigurationNeeded),
        (TcbStatus::TDRelaunchAdvised, Status::TdRelaunchAdvised),
        (TcbStatus::TDRelaunchAdvisedConfigurationNeeded, Status::TdRelaunchAdvisedConfigurationNeeded),
        (TcbStatus::Revoked, Status::Revoked),
    ];
    all.into_iter().find(|(theirs, _)| theirs.to_string() == named).map(|(_, ours)| ours)
}
