//! A realm with a change to examine, its request, and the findings that come back. All bytes are determined.

use std::collections::{BTreeMap, BTreeSet};

use audit::Context;
use audit::fixture::{Plan, Realm, SCOPE_FILE, Who};
use statement::kind::{EvidenceKind, Finding};
use statement::{Bytes, ChangeId, Digest, KeyId, StatementId, Tracking};

use crate::{
    About, BundleError, Desk, Direction, Findings, Head, Header, Known, Reader, Request, Section,
    SectionKind, SignedHeader, Station, Unsigned, Whole, accept_findings, accept_request,
};

pub(super) const HOUR_MS: u64 = 3_600_000;

/// The machine that examines: Ben's key.
pub(super) const EXAMINER: Who = Who::Ben;
/// Who sends changes there.
pub(super) const SENDER: Who = Who::Automation;

pub(super) struct Scene {
    pub(super) realm: Realm,
    pub(super) plan: Plan<'static>,
}

/// Parts of a bundle before it is signed.
pub(super) struct Draft {
    pub(super) header: Header,
    pub(super) sections: Vec<(SectionKind, Vec<u8>)>,
}

impl Draft {
    /// Signs for what is there, in order.
    pub(super) fn signed(mut self, who: Who) -> Vec<u8> {
        self.list();
        let (signed, body) = self.sealed(who);
        [signed.opening(), body].concat()
    }

    /// Sorts the sections and lists them in the header.
    pub(super) fn list(&mut self) {
        let key = |(kind, bytes): &(SectionKind, Vec<u8>)| (*kind, Digest::of(bytes));
        self.sections.sort_by_key(key);
        self.header.sections = self
            .sections
            .iter()
            .map(|(kind, bytes)| Section {
                bytes: bytes.len() as u64,
                kind: *kind,
                sha256: Digest::of(bytes),
            })
            .collect();
    }

    pub(super) fn sealed(self, who: Who) -> (SignedHeader, Vec<u8>) {
        let unsigned = Unsigned::new(self.header).unwrap();
        let signature = who.sign(&unsigned.message()).sig.into_vec();
        let signed = unsigned.finish(who.public_key(), signature).unwrap();
        (signed, self.sections.into_iter().flat_map(|(_, bytes)| bytes).collect())
    }
}

impl Scene {
    pub(super) fn new() -> Self {
        let mut realm = Realm::new();
        let plan = Plan::tuning("crossing");
        realm.propose(plan);
        Self { realm, plan }
    }

    pub(super) fn change(&self) -> ChangeId {
        self.plan.change()
    }

    pub(super) fn root(&self) -> StatementId {
        *self.realm.ledger().world().roots().first().unwrap()
    }

    fn about(&self) -> About {
        let change = self.change();
        let proposal = self.realm.dossier(&change).proposal.id;
        About { change, proposal }
    }

    pub(super) fn head(&self) -> Head {
        let size = self.realm.entries().len() as u64;
        let root = *self.realm.checkpoint(size, 0).claims().root();
        Head { root: Digest::from_bytes(*root.as_bytes()), size }
    }

    /// The content that the fixture's adapter is the digest of.
    pub(super) fn adapter(&self) -> Vec<u8> {
        let content = format!("adapter {} {}", self.plan.slot, self.plan.label).into_bytes();
        assert_eq!(Digest::of(&content), self.plan.adapter());
        content
    }

    pub(super) fn draft(&self) -> Draft {
        let now_ms = self.realm.now_ms();
        let header = Header {
            about: Some(self.about()),
            answers: None,
            created_ms: now_ms,
            direction: Direction::Request,
            expires_ms: now_ms + 24 * HOUR_MS,
            from: SENDER.key_id(),
            head: Some(self.head()),
            leaf: None,
            nonce: Bytes::new(vec![7; 16]),
            realm: self.realm.id().clone(),
            refused: None,
            root: self.root(),
            sections: Vec::new(),
            to: EXAMINER.key_id(),
        };
        let sections = vec![
            (SectionKind::Record, self.realm.export()),
            (SectionKind::Content, self.adapter()),
            (SectionKind::Content, SCOPE_FILE.to_vec()),
        ];
        Draft { header, sections }
    }

    pub(super) fn request(&self) -> Vec<u8> {
        self.draft().signed(SENDER)
    }

    /// What Ben found, signed by `who`.
    pub(super) fn finding(&self) -> Finding {
        let finding = self.realm.finding(&self.change(), EvidenceKind::Scope);
        let report = Digest::of(REPORT);
        Finding { attachments: BTreeSet::from([report]), measures: BTreeMap::new(), ..finding }
    }

    pub(super) fn envelope(&self, finding: Finding, who: Who) -> Vec<u8> {
        let about = Tracking::Change(self.change());
        self.realm.sign(&about, finding, &[who]).to_bytes().unwrap()
    }

    pub(super) fn answer(&self, request: &[u8]) -> Draft {
        let whole = read(request).unwrap();
        let now_ms = self.realm.now_ms() + HOUR_MS;
        let header = Header {
            about: Some(self.about()),
            answers: Some(*whole.signed().id()),
            created_ms: now_ms,
            direction: Direction::Findings,
            expires_ms: now_ms + 24 * HOUR_MS,
            from: EXAMINER.key_id(),
            head: None,
            leaf: None,
            nonce: Bytes::new(vec![9; 16]),
            realm: self.realm.id().clone(),
            refused: None,
            root: self.root(),
            sections: Vec::new(),
            to: SENDER.key_id(),
        };
        let sections = vec![
            (SectionKind::Request, whole.signed().as_bytes().to_vec()),
            (SectionKind::Finding, self.envelope(self.finding(), EXAMINER)),
            (SectionKind::Content, REPORT.to_vec()),
        ];
        Draft { header, sections }
    }

    /// Takes a request on a machine that knows nothing but what it was set up with.
    pub(super) fn take(&self, bytes: &[u8]) -> Result<Request, BundleError> {
        self.take_knowing(bytes, None, &BTreeSet::new(), 0)
    }

    /// Takes a request on a machine that knows more. Its clock stands `later_ms` after the realm's.
    pub(super) fn take_knowing(
        &self,
        bytes: &[u8],
        known: Option<Known>,
        taken: &BTreeSet<Digest>,
        later_ms: u64,
    ) -> Result<Request, BundleError> {
        let whole = read(bytes)?;
        let station = Station {
            realm: self.realm.id(),
            root: self.root(),
            key: EXAMINER.key_id(),
            known,
            taken,
            now_ms: self.realm.now_ms() + later_ms,
        };
        station.check_header(&whole)?;
        let context = context(&self.realm, &whole, bytes);
        accept_request(&whole, &context, &BTreeSet::new(), &station)
    }

    pub(super) fn take_findings(&self, bytes: &[u8]) -> Result<Findings, BundleError> {
        self.take_findings_at(bytes, 2 * HOUR_MS)
    }

    pub(super) fn take_findings_at(&self, bytes: &[u8], later_ms: u64) -> Result<Findings, BundleError> {
        let whole = read(bytes)?;
        let keys = BTreeSet::from([SENDER.key_id()]);
        let desk = self.desk(&keys, later_ms);
        let parts = |kind| -> Vec<Vec<u8>> { sections(&whole, bytes, kind) };
        let request = parts(SectionKind::Request).pop().unwrap_or_default();
        accept_findings(&whole, &request, &parts(SectionKind::Finding), &desk)
    }

    fn desk<'a>(&'a self, keys: &'a BTreeSet<KeyId>, later_ms: u64) -> Desk<'a> {
        Desk {
            realm: self.realm.id(),
            root: self.root(),
            ledger: self.realm.ledger(),
            keys,
            now_ms: self.realm.now_ms() + later_ms,
        }
    }
}

/// A report that the findings name as evidence.
pub(super) const REPORT: &[u8] = b"nothing against it";

/// Reads a whole file at once.
pub(super) fn read(bytes: &[u8]) -> Result<Whole, BundleError> {
    let mut reader = Reader::new();
    reader.feed(bytes)?;
    reader.finish()
}

/// The bytes of the sections of a kind.
pub(super) fn sections(whole: &Whole, bytes: &[u8], kind: SectionKind) -> Vec<Vec<u8>> {
    let of_kind = whole.places().iter().filter(|place| place.section.kind == kind);
    of_kind
        .map(|place| {
            let at = usize::try_from(place.at).unwrap();
            bytes[at..at + usize::try_from(place.section.bytes).unwrap()].to_vec()
        })
        .collect()
}

fn context(realm: &Realm, whole: &Whole, bytes: &[u8]) -> Context {
    let record = sections(whole, bytes, SectionKind::Record).pop().unwrap();
    audit::context(&record, &realm.expectations()).unwrap()
}

#[track_caller]
pub(super) fn refused<T: std::fmt::Debug>(result: Result<T, BundleError>, code: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.hint().is_empty());
}
