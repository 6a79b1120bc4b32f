//! Statements on a channel between processes: who may bring them, and the receipt that goes back.
//!
//! What a channel carries is signed by whoever sends it and, where it was forwarded, by whoever wrote it. It gives
//! nobody a right: whether a statement has effect is the log's and the fold's matter. A statement that needs several
//! signatures is brought by one of those who have signed it; whether the others' are good, the fold tells. What monitors sign may
//! be brought by a gateway, which has heard it first: [`Submission::carried`].

use std::collections::BTreeSet;

use statement::{Body, Content, Digest, Envelope, KeyId, RealmId, StatementId};

use crate::error::BundleError;
use crate::header::{Direction, Header, SectionKind, SignedHeader};
use crate::reader::Whole;

/// Token: statements that are their author's own, and contents that they name. Only [`accept_submission`] makes one.
#[derive(Debug)]
pub struct Submission {
    author: KeyId,
    envelopes: Vec<Envelope>,
    carried: Option<usize>,
}

impl Submission {
    /// Who has signed the statements.
    pub const fn author(&self) -> KeyId {
        self.author
    }

    /// The number of the first statement that the author has not signed: one of monitors', which a gateway brings. Whether the
    /// author may bring such is the record's to say; the signatures are the fold's.
    pub const fn carried(&self) -> Option<usize> {
        self.carried
    }

    /// The statements, states before the proposals that lead to them.
    pub fn envelopes(&self) -> &[Envelope] {
        &self.envelopes
    }
}

/// Whether one of the envelope's signatures is the sender's, and good.
fn has_signed(envelope: &Envelope, sender: &SignedHeader) -> bool {
    let mut own = envelope.signatures.iter().filter(|signature| signature.keyid == sender.header().from);
    own.next()
        .is_some_and(|signature| sender.key().verify(&envelope.message(), signature.sig.as_slice()).is_ok())
}

/// Whether a statement is of the kinds that monitors sign, which a gateway brings for them.
const fn is_carried(content: &Content) -> bool {
    match content {
        Content::Known(known) => {
            matches!(
                known.body,
                Body::Observation(_) | Body::Incident(_) | Body::RollbackOrder(_) | Body::Freeze(_)
            )
        }
        Content::Opaque(_) => false,
    }
}

/// The contents that a statement names: files and folders, scopes, attachments. Who brings the statement may bring them.
pub fn named(body: &Body) -> BTreeSet<Digest> {
    match body {
        Body::Proposal(proposal) => {
            proposal.artefacts.iter().map(|artefact| artefact.digest).chain(proposal.summary).collect()
        }
        Body::ServedState(state) => {
            state.manifest.components.iter().map(|component| component.digest).collect()
        }
        Body::Slot(slot) => slot.scopes.values().copied().collect(),
        Body::Finding(finding) => finding.attachments.clone(),
        Body::Approval(approval) => approval.note.into_iter().collect(),
        Body::Rejection(rejection) => rejection.note.into_iter().collect(),
        Body::DirectoryEntry(entry) => entry.profile.into_iter().collect(),
        Body::Incident(incident) => incident.summary.into_iter().collect(),
        _ => BTreeSet::new(),
    }
}

/// Whether statements may be looked at. `forwarded` is the author's own signed header where another has sent them on;
/// `files` are the digests that the folders among the contents name.
///
/// # Errors
/// The first reason against it: another direction, realm, trust root or receiver, expired, forwarded by another than the
/// author gave it to or with other sections, a statement that is none, of another realm or not signed by its author, a
/// content that no statement names.
pub fn accept_submission(
    whole: &Whole,
    forwarded: Option<&[u8]>,
    statements: &[Vec<u8>],
    files: &BTreeSet<Digest>,
    here: (&RealmId, StatementId, KeyId),
    now_ms: u64,
) -> Result<Submission, BundleError> {
    let header = whole.signed().header();
    let (realm, root, key) = here;
    check(header, realm, root, now_ms)?;
    if header.to != key {
        return Err(BundleError::Recipient { to: header.to });
    }
    let inner = forwarded.map(SignedHeader::parse).transpose()?;
    if let Some(inner) = &inner {
        check(inner.header(), realm, root, now_ms)?;
        same_parts(header, inner)?;
    }
    let author = inner.as_ref().unwrap_or_else(|| whole.signed());
    let mut contents = files.clone();
    let (mut envelopes, mut carried) = (Vec::new(), None);
    for (number, bytes) in statements.iter().enumerate() {
        let wrong = |source| BundleError::FindingForm { number, source };
        let envelope = Envelope::parse(bytes).map_err(wrong)?;
        let content = Content::parse(envelope.payload.as_slice()).map_err(wrong)?;
        if !has_signed(&envelope, author) {
            let is_own = envelope.signatures.iter().any(|signature| signature.keyid == author.header().from);
            if is_own || envelope.signatures.is_empty() || !is_carried(&content) {
                return Err(BundleError::FindingSigner { number, key: author.header().from });
            }
            carried = carried.or(Some(number));
        }
        if content.header().realm != *realm {
            return Err(BundleError::Realm {
                found: content.header().realm.clone(),
                expected: realm.clone(),
            });
        }
        let mut place = 1;
        if let Content::Known(known) = &content {
            contents.extend(named(&known.body));
            if matches!(known.body, Body::ServedState(_)) {
                place = 0;
            }
        }
        envelopes.push((place, envelope));
    }
    if let Some(foreign) = header.contents().find(|digest| !contents.contains(*digest)) {
        return Err(BundleError::ContentForeign { digest: *foreign });
    }
    envelopes.sort_by_key(|(place, _)| *place);
    let envelopes = envelopes.into_iter().map(|(_, envelope)| envelope).collect();
    Ok(Submission { author: author.header().from, envelopes, carried })
}

fn check(header: &Header, realm: &RealmId, root: StatementId, now_ms: u64) -> Result<(), BundleError> {
    header.goes(Direction::Submission)?;
    header.same_realm(realm, root)?;
    header.not_expired(now_ms)
}

/// What was forwarded is what the author gave, to whom the author gave it.
fn same_parts(header: &Header, inner: &SignedHeader) -> Result<(), BundleError> {
    let given = inner.header();
    let parts = header.sections.iter().filter(|section| section.kind != SectionKind::Request);
    let same = given.to == header.from
        && given.about == header.about
        && header.answers == Some(*inner.id())
        && parts.eq(given.sections.iter());
    if same { Ok(()) } else { Err(BundleError::NotAsked { id: *inner.id() }) }
}

/// Whether a receipt is the answer of `from` to what this key has sent; answers the code of the refusal, if it is one.
///
/// # Errors
/// Another direction, another sender or receiver than were spoken to, an answer to something else.
pub fn accept_receipt<'a>(
    whole: &'a Whole,
    sent: &SignedHeader,
    from: KeyId,
) -> Result<Option<&'a str>, BundleError> {
    let header = whole.signed().header();
    header.goes(Direction::Receipt)?;
    header.same_realm(&sent.header().realm, sent.header().root)?;
    if header.from != from || header.to != sent.header().from || header.answers != Some(*sent.id()) {
        return Err(BundleError::NotAsked { id: *sent.id() });
    }
    Ok(header.refused.as_ref().map(statement::Name::as_str))
}
