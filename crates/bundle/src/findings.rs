//! Taking findings back, where the log is.

use std::collections::BTreeSet;

use dossier::Ledger;
use statement::kind::Finding;
use statement::{Body, Content, Digest, Envelope, KeyId, RealmId, StatementId, Tracking};

use crate::error::BundleError;
use crate::header::{Direction, Header, SignedHeader};
use crate::reader::Whole;
use crate::request::may_examine;

/// What the receiver of findings knows: the realm's own state, and nothing beside it.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The realm.
    pub realm: &'a RealmId,
    /// Its first trust root.
    pub root: StatementId,
    /// The fold of the log.
    pub ledger: &'a Ledger,
    /// The keys of this machine.
    pub keys: &'a BTreeSet<KeyId>,
    /// The present moment, milliseconds since the Unix epoch.
    pub now_ms: u64,
}

/// Token: findings that answer a request of this realm and may be submitted to the log. Only [`accept_findings`] makes
/// one.
#[derive(Debug)]
pub struct Findings {
    envelopes: Vec<Envelope>,
    attachments: BTreeSet<Digest>,
}

impl Findings {
    /// The signed findings.
    pub fn envelopes(&self) -> &[Envelope] {
        &self.envelopes
    }

    /// The contents that they name as evidence.
    pub const fn attachments(&self) -> &BTreeSet<Digest> {
        &self.attachments
    }
}

/// Whether findings may be submitted. `request` and `envelopes` are the bytes of the bundle's sections.
///
/// Nothing is remembered beside the log: the request that comes back carries this realm's own signature. Findings that
/// are in the log already are left out; a bundle of nothing else is a replay.
///
/// # Errors
/// The first reason against it: another direction, realm, trust root or receiver, expired, a request that this realm did
/// not make or that another bundle answers, a sender who is no examiner, a finding that is none, is about another change,
/// is not the sender's own or read what it was not sent; that all of them were taken before.
pub fn accept_findings(
    whole: &Whole,
    request: &[u8],
    envelopes: &[Vec<u8>],
    desk: &Desk<'_>,
) -> Result<Findings, BundleError> {
    let header = whole.signed().header();
    header.goes(Direction::Findings)?;
    header.same_realm(desk.realm, desk.root)?;
    if !desk.keys.contains(&header.to) {
        return Err(BundleError::Recipient { to: header.to });
    }
    let now_ms = desk.now_ms.max(desk.ledger.world().stamp_ms());
    header.not_expired(now_ms)?;
    let request = SignedHeader::parse(request)?;
    check_request(header, &request, now_ms)?;
    if !may_examine(desk.ledger, &header.from, now_ms) {
        return Err(BundleError::NoExaminer { key: header.from });
    }
    let about = header.about()?;
    let proposal = desk.ledger.dossier(&about.change).map(|dossier| dossier.proposal.id);
    if proposal != Some(about.proposal) {
        return Err(BundleError::NoSuchProposal { change: about.change.clone() });
    }
    let sent: BTreeSet<&Digest> = request.header().contents().collect();
    let mut findings = Findings { envelopes: Vec::new(), attachments: BTreeSet::new() };
    for (number, bytes) in envelopes.iter().enumerate() {
        let (envelope, finding) = read(number, bytes, header, whole.signed())?;
        if let Some(unsent) = finding.inputs.iter().find(|digest| !sent.contains(digest)) {
            return Err(BundleError::InputForeign { number, digest: *unsent });
        }
        findings.attachments.extend(finding.attachments.iter().copied());
        // Who has found something more sends all of it, and whoever was ended half-way takes the rest.
        if !desk.ledger.has_applied(&envelope.id()) {
            findings.envelopes.push(envelope);
        }
    }
    if findings.envelopes.is_empty() {
        return Err(BundleError::Replayed { id: *whole.signed().id() });
    }
    let carried: BTreeSet<Digest> = header.contents().copied().collect();
    if let Some(lacking) = findings.attachments.difference(&carried).next() {
        return Err(BundleError::ContentMissing { digest: *lacking });
    }
    match carried.difference(&findings.attachments).next() {
        Some(foreign) => Err(BundleError::ContentForeign { digest: *foreign }),
        None => Ok(findings),
    }
}

/// The request is one of ours, and the one that is answered.
fn check_request(header: &Header, request: &SignedHeader, now_ms: u64) -> Result<(), BundleError> {
    let asked = request.header();
    let ours = asked.direction == Direction::Request
        && asked.realm == header.realm
        && asked.root == header.root
        && asked.from == header.to
        && asked.to == header.from
        && header.answers == Some(*request.id());
    if !ours {
        return Err(BundleError::NotAsked { id: *request.id() });
    }
    if asked.about != header.about {
        return Err(BundleError::OtherChange {
            asked: asked.about()?.change.clone(),
            found: header.about()?.change.clone(),
        });
    }
    asked.not_expired(now_ms)
}

/// One finding: a statement of the sender's alone, about this change and proposal.
fn read(
    number: usize,
    bytes: &[u8],
    header: &Header,
    sender: &SignedHeader,
) -> Result<(Envelope, Finding), BundleError> {
    let statement = |source| BundleError::FindingForm { number, source };
    let envelope = Envelope::parse(bytes).map_err(statement)?;
    let content = Content::parse(envelope.payload.as_slice()).map_err(statement)?;
    let Content::Known(known) = content else {
        return Err(BundleError::NoFinding { number });
    };
    let said = *known;
    let Body::Finding(finding) = said.body else {
        return Err(BundleError::NoFinding { number });
    };
    let about = header.about()?;
    let of_this_change = said.header.change == Tracking::Change(about.change.clone());
    if said.header.realm != header.realm || !of_this_change || finding.proposal != about.proposal {
        return Err(BundleError::OtherFinding { number, change: about.change.clone() });
    }
    if is_own(&envelope, sender) {
        Ok((envelope, *finding))
    } else {
        Err(BundleError::FindingSigner { number, key: header.from })
    }
}

/// Whether the envelope has one signature, that of the header's sender, and a good one.
fn is_own(envelope: &Envelope, sender: &SignedHeader) -> bool {
    match envelope.signatures.as_slice() {
        [signature] if signature.keyid == sender.header().from => {
            sender.key().verify(&envelope.message(), signature.sig.as_slice()).is_ok()
        }
        _ => false,
    }
}
