//! Why something does not pass: stable codes with hints, and values that carry them.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $code:literal $text:literal $hint:literal,)+) => {
        /// What stands against a statement, a change or an order. Codes are stable; compliance packs map controls to them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $text] $variant,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable code.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// What it means, in a sentence without an end.
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

codes! {
    // The leaf itself.
    Malformed "CS-FLD-001" "the leaf is no statement"
        "an entry that admission would have refused; run `countersign log fsck`",
    OtherRealm "CS-FLD-002" "the statement is of another realm"
        "sign it for this realm",
    Repeated "CS-FLD-003" "the statement already applies"
        "nothing to do: saying it again changes nothing",
    NoRoot "CS-FLD-004" "there is no trust root yet"
        "the first statement of a log is its trust root",
    UnknownSigner "CS-FLD-005" "no valid signature by a key that the trust root or directory knows"
        "enrol the key first, and sign with the key that was enrolled",
    WrongRole "CS-FLD-006" "the signers do not have the role this kind needs"
        "docs/statements/README.md lists who may sign what",
    Threshold "CS-FLD-007" "too few distinct persons signed"
        "collect the missing signatures and submit the statement again",
    RootExpired "CS-FLD-008" "the trust root has expired"
        "`countersign root rotate`; until then only stops and rollbacks apply",
    RootRotation "CS-FLD-009" "the new trust root does not follow from the old one"
        "raise the epoch by one, name the present root, and sign with the quorum of both",
    RootInvalid "CS-FLD-010" "the trust root contradicts itself"
        "list every role's keys, and make each threshold, the witnesses' too, one that distinct persons with keys of their own can reach",
    ClockSkew "CS-FLD-011" "the signer's clock is too far from the log's stamp"
        "set the clock, or sign again: the policy says how far is too far",
    KeyExpired "CS-FLD-012" "the key's time is over"
        "enrol a new key",
    KeyCompromised "CS-FLD-013" "the key was revoked from this point of the log on"
        "sign again with a key that is not revoked",
    RoleNotDelegable "CS-FLD-014" "the directory cannot give this role"
        "put the key into the trust root instead",
    BadKey "CS-FLD-015" "the key's bytes are no key of its scheme"
        "export the public key again",
    NotNext "CS-FLD-016" "it does not take the place of the present one"
        "name the statement in force in `supersedes`, and sign again",
    UnknownSlot "CS-FLD-017" "there is no such slot"
        "`countersign list` shows the slots",
    UnknownProposal "CS-FLD-018" "it is about a proposal that is not the change's present one"
        "look at the change with `countersign show` and sign for the present proposal",
    ChangeExists "CS-FLD-019" "the change already has a proposal"
        "name it in `replaces` to rebase, or start a new change",
    NoChange "CS-FLD-020" "the statement belongs to a change, and names none"
        "put the change's tracking id into the header",
    OtherProposer "CS-FLD-021" "the proposer is not the person behind the signing key"
        "propose in your own name; a model's key names its human sponsor",
    OneSigner "CS-FLD-022" "the statement names its signer, and must be signed by that key alone"
        "each signer makes a statement of their own",
    OtherSigner "CS-FLD-035" "the statement names another signer than the key that signed it"
        "sign with the key that the header names, or make a statement of your own",
    KindNotIntroduced "CS-FLD-036" "the kind is unknown to this version, and the root quorum did not sign what marks it critical"
        "nothing to do: only a quorum of the root role introduces kinds",
    GrantInvalid "CS-FLD-023" "the grant is not in order"
        "a person grants to another, for a time within the policy's limit, and renews only their like",
    RevocationInvalid "CS-FLD-024" "there is nothing such to revoke, or the signers may not revoke it"
        "directory officers revoke keys, approvers grants, operators orders",
    FreezeEnd "CS-FLD-025" "there is no such freeze to end"
        "`countersign list` shows what is frozen",
    WrongState "CS-FLD-026" "the change is not at the point where this can happen"
        "look at the change with `countersign show`",
    OrderUnknown "CS-FLD-027" "there is no such order in force"
        "look at the slot with `countersign show`",
    RollbackTarget "CS-FLD-028" "a rollback goes to the state before the order, or to its fallback"
        "name one of the two",
    Held "CS-FLD-029" "the content is under legal hold"
        "lift the hold first",
    StateUnknown "CS-FLD-030" "the served state's manifest is not in the log"
        "submit the served-state statement first",
    OpaqueKind "CS-FLD-031" "the kind is unknown to this version and not critical"
        "read the log with a later version to see what it says",
    ManifestInvalid "CS-FLD-033" "the manifest is not in order"
        "list each component once, by its own place and digest, and name the change that makes the state",
    InForce "CS-FLD-034" "a slot rests on the content now"
        "change the slot first; what is in force is not purged",
    EvidenceRole "CS-FLD-032" "the signer's role cannot give this evidence"
        "compliance reviews come from compliance, all else from examiners",

    OtherThanOrder "CS-FLD-037" "it names another state or slot than the order it is under"
        "look at the order with `countersign show`, and name its state and slot",
    KeyRevoked "CS-FLD-038" "the key was revoked, and cannot come back"
        "make a new key and enrol that",
    HoldUnknown "CS-FLD-039" "there is no such hold to lift"
        "`countersign list` shows what is held, and for which matter",
    RefusedBefore "CS-FLD-040" "a person has found against these very artefacts in this change"
        "change the artefact; a finding is not undone by proposing again",
    FindingContradicts "CS-FLD-041" "the finding contradicts itself"
        "what passes has no violation, and a trace is one of the attachments",

    // What gates say.
    NoPolicy "CS-GATE-001" "there is no policy in force"
        "sign and submit a policy",
    PolicyInvalid "CS-GATE-002" "the policy in force cannot be used"
        "`countersign policy check` says what is wrong with it",
    SlotMoved "CS-GATE-003" "the slot has moved on from the state the change starts from"
        "rebase the change on the slot's present state and examine it again",
    KindNotOpen "CS-GATE-004" "the slot does not take this kind of modification at this level"
        "the slot's definition lists modifications and a scope for each open level",
    ContextNotOpen "CS-GATE-005" "the change asks for a context the slot does not have"
        "propose for the slot's contexts or fewer",
    OtherScope "CS-GATE-006" "the change promises another scope than the slot's for its level"
        "propose with the slot's scope file",
    ManifestMismatch "CS-GATE-007" "the target state differs from the base state by other things than the change's artefacts"
        "declare every changed component, and nothing else, as an artefact in its place; `countersign propose` does so",
    EvidenceMissing "CS-GATE-008" "required evidence is missing"
        "have it examined: `countersign examine`, or the reviewers named by the policy",
    EvidenceFailed "CS-GATE-009" "an examiner's finding is against the change"
        "see the finding's violations; change the artefact and propose again",
    EvidenceInconclusive "CS-GATE-010" "required evidence is inconclusive, which never counts as passed"
        "give the examiner what it lacked, and examine again",
    EvidenceStale "CS-GATE-011" "required evidence is too old"
        "examine again",
    EvidencePurged "CS-GATE-012" "required evidence was purged, which never counts as passed"
        "examine again",
    WorkerUnlisted "CS-GATE-013" "the finding comes from code that the policy does not list"
        "examine with a listed worker, or have the policy officers list this one",
    InputsMismatch "CS-GATE-014" "the finding is about other bytes than the change's artefacts"
        "examine the artefacts of the proposal",
    ExaminersTooFew "CS-GATE-015" "too few independent examiners"
        "have another examiner, who is another person, sign a finding",
    NotAuthorised "CS-GATE-016" "the proposer has neither a level nor a grant that covers the change"
        "ask an approver for a grant: `countersign grant`",
    GrantExpired "CS-GATE-017" "the grant has expired or not begun"
        "have it renewed: `countersign grant --renews`; what names the old grant then stands under the renewal",
    GrantExhausted "CS-GATE-018" "the grant is used up"
        "ask for a new one",
    GrantRevoked "CS-GATE-019" "the grant was revoked"
        "ask for a new one",
    Frozen "CS-GATE-020" "changes are frozen"
        "the policy officers end a freeze",
    Rejected "CS-GATE-021" "the change was rejected"
        "propose anew",
    NoVerdict "CS-GATE-022" "there is no verdict on the present proposal and evidence"
        "give the evidence named beside it: `countersign examine`, `countersign review`; where none is, `countersign decide` records a verdict",
    VerdictDiffers "CS-GATE-023" "the verdict does not follow from the record"
        "decide again with the policy and findings in force",
    VerdictNegative "CS-GATE-024" "the verdict is not a pass"
        "see its reasons",
    ApprovalOtherEvidence "CS-GATE-025" "the approval is of other evidence, artefacts, policy, tier or score than are in force"
        "look at the change again and approve what is there now",
    ApprovalExpired "CS-GATE-026" "the approval has expired"
        "approve again",
    DutyForbids "CS-GATE-027" "a duty forbids it"
        "the policy named says why; another person must do it",
    ApprovalsTooFew "CS-GATE-028" "too few approvals by persons who count"
        "nobody counts twice, or beside a person they enrolled, or for a change they proposed or examined",
    CapacityMissing "CS-GATE-029" "a required sign-off is missing"
        "have a person who holds that capacity approve in it",
    CapacityNotHeld "CS-GATE-030" "the approver does not hold the capacity"
        "approve in a capacity that the directory gives",
    OrderMismatch "CS-GATE-031" "the order says otherwise than the record"
        "make the order with `countersign order`",
    WorkerCannotReview "CS-GATE-044" "a worker cannot give evidence that a person gives by looking"
        "reviews, audits and verifications come from persons, with a report",
    WorkerKindUnlisted "CS-GATE-046" "the policy does not list the worker for this kind of evidence"
        "have a person or a worker listed for it give it, or have the policy officers list it for that kind",
    FailedElsewhere "CS-GATE-047" "a finding on another proposal is against the same artefact or state"
        "change the artefact; or have who found against it, or two others, review it: `countersign review --overturns`",
    WorkerNotBoxed "CS-GATE-045" "the worker ran outside its box"
        "examine in the box: `countersign examine`",
    WorkerBoxTooOpen "CS-GATE-048" "the worker's box lacks what the tier asks for"
        "examine with `--isolation deep`, or on a host that enforces the boundary; `countersign doctor` tells",
    WorkerUnattested "CS-GATE-049" "no host of a kind that the tier asks for attests where the worker ran"
        "examine with `--attest` on such a host; a simulated one does not count",
    FamiliesTooFew "CS-GATE-050" "too few families of examination, each by another person"
        "have another examiner add evidence of another family: bytes, behaviour, proof or a review",
    CalibrationUnlisted "CS-GATE-051" "the examination was judged by no calibration that the policy lists"
        "examine with a listed calibration: `countersign examine --level … --calibration FILE`",
    OrderedAlready "CS-GATE-053" "the change is ordered already, and its slot is at its state"
        "nothing to do: `countersign admit` tells whether it may be served; to go back, `countersign rollback`",
    ArtefactServed "CS-GATE-052" "the artefact is part of the state that the change starts from, and would change nothing"
        "propose a file that differs from what the slot serves; `countersign show SLOT` names that by digest",
    AdmissionOver "CS-GATE-043" "the time in which the order's state could begin to be served is over"
        "a gateway that serves it already goes on; for another, propose the change again and have it ordered for longer",
    OrderExpired "CS-GATE-032" "the order's time is over"
        "take the change back with `countersign rollback`, propose it again and have it ordered for longer",
    OrderRevoked "CS-GATE-033" "the order was revoked"
        "take the change back with `countersign rollback`; if it is right after all, propose it again",
    OrderWindow "CS-GATE-034" "the order's times are outside the policy's limits"
        "shorten them",
    CheckpointStale "CS-GATE-035" "the checkpoint is older than the order allows"
        "fetch a newer checkpoint; until then nothing new is admitted",
    CheckpointUnwitnessed "CS-GATE-036" "too few witnesses have cosigned the checkpoint"
        "wait for the witnesses, or find out why they refuse",
    NotInForce "CS-GATE-037" "the order is not the one in force for its slot"
        "another order, a rollback or a retirement has taken its place",
    DriftBudget "CS-GATE-038" "automatic changes have used up the drift that persons allowed"
        "have persons approve, which sets a new baseline",
    TierNotGranted "CS-GATE-039" "the automation's grant does not reach up to the change's tier"
        "have persons approve, or ask for a grant up to that tier, where the policy automates it",
    TimeBackwards "CS-GATE-040" "the time given is before the time floor"
        "set the clock; a gateway's time never runs back",
    ReportMissing "CS-GATE-042" "a finding made by a person has no report attached"
        "attach the report: `countersign review --report FILE`",
    RootStale "CS-GATE-041" "the trust root has expired"
        "rotate the trust root",
}

/// One thing that stands against, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason {
    /// What.
    pub code: Code,
    /// The thing: an id, a name, a place. Shown in backticks.
    pub about: String,
}

impl Reason {
    /// A reason about a thing.
    pub fn new(code: Code, about: impl fmt::Display) -> Self {
        Self { code, about: about.to_string() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (`{}`)", self.code.as_str(), self.code.text(), self.about)
    }
}

/// A no with its reasons; there is at least one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Refusal {
    first: Reason,
    rest: Vec<Reason>,
}

impl Refusal {
    /// A refusal for one reason.
    pub fn new(code: Code, about: impl fmt::Display) -> Self {
        Self { first: Reason::new(code, about), rest: Vec::new() }
    }

    /// A refusal for all the reasons, or a pass where there are none.
    pub fn from_reasons(reasons: impl IntoIterator<Item = Reason>) -> Result<(), Self> {
        let mut reasons = reasons.into_iter();
        match reasons.next() {
            None => Ok(()),
            Some(first) => Err(Self { first, rest: reasons.collect() }),
        }
    }

    /// The reasons.
    pub fn reasons(&self) -> impl Iterator<Item = &Reason> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// The reasons, owned.
    pub fn into_reasons(self) -> Vec<Reason> {
        let mut reasons = vec![self.first];
        reasons.extend(self.rest);
        reasons
    }

    /// Whether one of the reasons has the code.
    pub fn has(&self, code: Code) -> bool {
        self.reasons().any(|reason| reason.code == code)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, reason) in self.reasons().enumerate() {
            if position > 0 {
                f.write_str("; ")?;
            }
            reason.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

impl From<Reason> for Refusal {
    fn from(first: Reason) -> Self {
        Self { first, rest: Vec::new() }
    }
}
