//! Why an attestation does not hold, each with a stable code.

use statement::kind::Tier;

use crate::host::HostKind;
use crate::status::Status;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A document that is not strict JSON of the right members.
    #[error("the {document} cannot be read: {reason}")]
    Json {
        /// Which document.
        document: &'static str,
        /// What the reader says.
        reason: String,
    },
    /// A document of another form.
    #[error("the {document} is not of the form `{wanted}`")]
    Format {
        /// Which document.
        document: &'static str,
        /// The form there should be.
        wanted: &'static str,
    },
    /// A member with a value that it must not have.
    #[error("`{member}` cannot be used: {reason}")]
    Member {
        /// Which member.
        member: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// Too many hosts, or two of one kind.
    #[error("there are more than four hosts, or two of one kind")]
    Hosts,
    /// Evidence that is not well-formed.
    #[error("{kind}: `{place}` cannot be read: {reason}")]
    Form {
        /// Of which host.
        kind: HostKind,
        /// Where.
        place: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// Evidence that is not about these claims.
    #[error("{kind}: the evidence is bound to `{found}` and the claims are `{wanted}`")]
    Binding {
        /// Of which host.
        kind: HostKind,
        /// What the claims give.
        wanted: String,
        /// What the evidence carries.
        found: String,
    },
    /// A signature that is not by the key.
    #[error("{kind}: the signature is not by the key that is said to have made it")]
    Signature {
        /// Of which host.
        kind: HostKind,
    },
    /// A key that could sign what the host never said.
    #[error("{kind}: the key does not vouch for the host: {reason}")]
    Key {
        /// Of which host.
        kind: HostKind,
        /// Why.
        reason: &'static str,
    },
    /// A certificate that is not believed.
    #[error("{kind}: the certificates do not lead to a pinned root")]
    Chain {
        /// Of which host.
        kind: HostKind,
        /// Which, and why.
        #[source]
        fault: x509::ChainFault,
    },
    /// Values that are not those that were signed, or parts that contradict one another.
    #[error("{kind}: {what}")]
    Contradiction {
        /// Of which host.
        kind: HostKind,
        /// What contradicts what.
        what: &'static str,
    },
    /// A host whose memory can be looked into.
    #[error("{kind}: it runs in debug mode, or lets itself be debugged")]
    Debug {
        /// Of which host.
        kind: HostKind,
    },
    /// A status that the policy does not list.
    #[error("{kind}: the status is `{status}`{}", advised(advisories))]
    NotAllowed {
        /// Of which host.
        kind: HostKind,
        /// The status.
        status: Status,
        /// The vendor's advisories.
        advisories: Vec<String>,
    },
    /// A measurement that the policy does not list.
    #[error("{kind}: `{what}` is `{found}`, which the policy does not list")]
    Measurement {
        /// Of which host.
        kind: HostKind,
        /// Which.
        what: String,
        /// Its value.
        found: String,
    },
    /// A simulated host.
    #[error("{kind}: it is simulated and proves nothing about hardware")]
    Simulated {
        /// Of which host.
        kind: HostKind,
    },
    /// No collateral, or none that can be used.
    #[error("{kind}: the collateral cannot be used: {reason}")]
    Collateral {
        /// Of which host.
        kind: HostKind,
        /// Why.
        reason: String,
    },
    /// A quote that Intel's rules refuse.
    #[error("{kind}: the quote is refused: {reason}")]
    Quote {
        /// Of which host.
        kind: HostKind,
        /// What the verifier says.
        reason: String,
    },
    /// A kind that this program was built without.
    #[error("{kind}: this program was built without the verifier for it")]
    NotBuilt {
        /// Of which host.
        kind: HostKind,
    },
    /// A nonce that is not the one that was asked for.
    #[error("the nonce is not the one that was asked for")]
    Nonce,
    /// A claim that is not the one that was expected.
    #[error("the claim `{claim}` is `{found}` and should be `{wanted}`")]
    Claim {
        /// Which claim.
        claim: &'static str,
        /// What it should be.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// No evidence of a kind that the tier requires.
    #[error("tier `{tier}` requires evidence of one of {}, and there is none", named(kinds))]
    HostRequired {
        /// The tier.
        tier: Tier,
        /// The kinds of which one suffices.
        kinds: Vec<HostKind>,
    },
}

fn advised(advisories: &[String]) -> String {
    if advisories.is_empty() { String::new() } else { format!(" ({})", advisories.join(", ")) }
}

fn named(kinds: &[HostKind]) -> String {
    kinds.iter().map(|kind| format!("`{}`", kind.name())).collect::<Vec<_>>().join(", ")
}

impl Error {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } => "CS-EVI-001",
            Self::Format { .. } => "CS-EVI-002",
            Self::Member { .. } => "CS-EVI-003",
            Self::Hosts => "CS-EVI-004",
            Self::Form { .. } => "CS-EVI-010",
            Self::Binding { .. } => "CS-EVI-011",
            Self::Signature { .. } => "CS-EVI-012",
            Self::Key { .. } => "CS-EVI-013",
            Self::Chain { .. } => "CS-EVI-014",
            Self::Contradiction { .. } => "CS-EVI-015",
            Self::Debug { .. } => "CS-EVI-016",
            Self::NotAllowed { .. } => "CS-EVI-017",
            Self::Measurement { .. } => "CS-EVI-018",
            Self::Simulated { .. } => "CS-EVI-019",
            Self::Collateral { .. } => "CS-EVI-020",
            Self::Quote { .. } => "CS-EVI-021",
            Self::NotBuilt { .. } => "CS-EVI-022",
            Self::Nonce => "CS-EVI-030",
            Self::Claim { .. } => "CS-EVI-031",
            Self::HostRequired { .. } => "CS-EVI-032",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Json { .. } | Self::Format { .. } | Self::Member { .. } | Self::Hosts => {
                "docs/attest.md shows the form of attestations and of their policy"
            }
            Self::Form { .. } => "the evidence is damaged or of another kind; have it collected again",
            Self::Binding { .. } => {
                "this evidence is about another run: have the host quote the digest of these claims"
            }
            Self::Signature { .. } | Self::Contradiction { .. } => {
                "the evidence was altered after the host made it: do not use it"
            }
            Self::Key { .. } => "have the quote made with a restricted signing key that never left its TPM",
            Self::Chain { .. } => {
                "give the vendor's whole chain, or name your own root in the policy; look at the time it is judged at"
            }
            Self::Debug { .. } => "start the host without debugging",
            Self::NotAllowed { .. } => {
                "update the platform, enrol its key, or name the status under `allow_statuses` if you accept it"
            }
            Self::Measurement { .. } => {
                "find out what booted there; list the value in the policy only if you know it"
            }
            Self::Simulated { .. } => "use a real host; `allow_simulated` is for trials",
            Self::Collateral { .. } => {
                "fetch the collateral for this quote again and give it with `--collateral`"
            }
            Self::Quote { .. } => {
                "look at the platform's patch level, and at the time the quote is judged at"
            }
            Self::NotBuilt { .. } => "use `countersign attest verify`, or build with the feature `dcap`",
            Self::Nonce => "this may be an old attestation shown again: ask for a new one",
            Self::Claim { .. } => "this attestation is about another run: ask for the right one",
            Self::HostRequired { .. } => {
                "examine on a host of one of these kinds, or lower what the tier requires"
            }
        }
    }
}
