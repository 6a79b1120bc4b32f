//! What is said about a record that could be audited to its end.

use schemars::JsonSchema;
use serde::Serialize;

macro_rules! remarks {
    ($($variant:ident $code:literal $text:literal $hint:literal,)+) => {
        /// What an audit remarks. The codes are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
        pub enum RemarkCode {
            $(#[doc = $text] #[serde(rename = $code)] $variant,)+
        }

        impl RemarkCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable code.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// What it means.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// What to do about it.
            pub const fn hint(self) -> &'static str {
                match self {
                    $(Self::$variant => $hint,)+
                }
            }
        }
    };
}

remarks! {
    // Against the record.
    Unwitnessed "CS-AUD-040"
        "too few witnesses have cosigned the checkpoint"
        "ask the witnesses for their cosignatures: without them the log may have shown somebody else another history",
    StampAhead "CS-AUD-041"
        "the log stamped leaves later than witnesses say they saw them"
        "ask who sets the log's clock: its stamps decide about expiry",
    AttestationFalse "CS-AUD-042"
        "an attestation under a finding contradicts itself or the finding"
        "do not rely on the finding: ask where it was made, and who attached the attestation",
    AttestationMissing "CS-AUD-043"
        "no finding on a change was attested by a host that the auditor's policy requires of its tier"
        "ask for an examination on such a host, or look at the change yourself",

    TooOld "CS-AUD-044"
        "the checkpoint is older than the auditor accepts"
        "ask for a new export: what happened since is not in this one",

    ExaminationFalse "CS-AUD-045"
        "what an examination signed does not follow from its evidence"
        "do not rely on the finding: ask its examiner, and have the change examined again",

    // To be known.
    RootNotCompared "CS-AUD-050"
        "the trust root was not compared with one that you know"
        "get its id from the realm's owner by another way and audit again with `--root`",
    RootExpired "CS-AUD-051"
        "the trust root in force has expired"
        "nothing new is admitted until it is rotated",
    SchemasDiffer "CS-AUD-053"
        "the export's schemas are not this program's"
        "the export was made by another version of Countersign",
    Purged "CS-AUD-054"
        "content was destroyed; what rests on it is `purged`, not passed"
        "see the basis of each purge",
    PurgedCarried "CS-AUD-055"
        "the export carries content that the record says was destroyed"
        "ask where it still is",
    AttachmentUnnamed "CS-AUD-056"
        "the export carries content that no statement names"
        "do not rely on it",
    Emergency "CS-AUD-057"
        "there were acts outside the rules"
        "each is to be reviewed; ask for the review",
    Malformed "CS-AUD-058"
        "the log has leaves that are no statements"
        "they have no effect; ask how they came into the log",
    Unknown "CS-AUD-059"
        "the log has statements of kinds that this program does not know"
        "they have no effect here, and the root quorum introduced none of them as critical; a later version can read them",
    KeyRevoked "CS-AUD-060"
        "keys were revoked"
        "what they signed from the named leaf on does not count, and was decided again without it",
    AttestationNotAccepted "CS-AUD-061"
        "an attestation under a finding does not count under the auditor's policy"
        "give `--attestation-policy` with the keys, roots and statuses that you accept; see docs/attest.md",
    NotCarried "CS-AUD-062"
        "content that belongs into an export is not carried"
        "what workers did cannot be compared with what they signed: ask for the export again, whole",
    Old "CS-AUD-063"
        "the checkpoint is more than a day old"
        "what happened since is not in the record: ask for a new export, or say with `--max-age` how old it may be",
    BeginsLater "CS-AUD-064"
        "the population begins after the first leaf"
        "what lies before is checked and decided again, and counted in no population: audit an export of it as well",
    BeginUnwitnessed "CS-AUD-065"
        "too few witnesses have cosigned the checkpoint where the population begins"
        "nobody but the log says that the earlier population ended there: compare it with the end of an earlier audit",
    Unbound "CS-AUD-067"
        "a change reached users from engines that were tied to its state less than its tier asks for"
        "ask what its engines ran: only the operator says so; `countersign launch` ties an engine to its state in the record",
    WitnessesInside "CS-AUD-066"
        "every witness is run by somebody who acts in the realm"
        "whoever has both log and witnesses can set them back together: compare with a checkpoint that you kept (`--known-checkpoint`), and ask for a witness from outside",
}

/// A remark with what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Remark {
    /// Which.
    pub code: RemarkCode,
    /// In words.
    pub text: String,
}

impl Remark {
    pub(crate) const fn new(code: RemarkCode, text: String) -> Self {
        Self { code, text }
    }
}
