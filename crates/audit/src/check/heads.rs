//! The checkpoints: whose they are, who has witnessed them, whether they go together.

use dossier::{Checked, Ledger};
use merkle::{
    Hash, MerkleError, ProofError, SignedCheckpoint, SplitCause, SplitView, VerifiedCheckpoint, VerifierKey,
    WitnessPolicy, WitnessSeen, fork, root_at,
};
use statement::kind::TrustRoot;
use statement::{Body, Bytes, Content, StatementId};

use crate::error::AuditError;
use crate::export::{Export, Nodes, Section};

/// The checkpoints, opened.
pub(crate) struct Heads {
    /// Where the population ends.
    pub(crate) checkpoint: VerifiedCheckpoint,
    /// The trust root's witnesses who have cosigned it.
    pub(crate) seen: Vec<WitnessSeen>,
    /// Where the population begins, if not with the first leaf.
    pub(crate) from: Option<VerifiedCheckpoint>,
    /// The present trust root's witnesses who have cosigned that.
    pub(crate) from_seen: Vec<WitnessSeen>,
}

/// Reads a checkpoint whose signatures nobody has checked yet.
pub(super) fn read(export: &Export<'_>, section: Section) -> Result<SignedCheckpoint, AuditError> {
    SignedCheckpoint::parse(export.required(section)?)
        .map_err(|source| AuditError::CheckpointForm { section, source: Box::new(source) })
}

/// Opens the checkpoints with the keys of the trust root in force.
pub(super) fn open(
    export: &Export<'_>,
    head: SignedCheckpoint,
    ledger: &Ledger,
    leaves: &[Checked],
    nodes: &Nodes,
) -> Result<Heads, AuditError> {
    let root = ledger.world().root().ok_or(AuditError::NoTrustRoot)?;
    let key = log_key(root.id, &root.body)?;
    let origin = &root.body.log.origin;
    let text = head.note().text().to_owned();
    let checkpoint = open_one(Section::Checkpoint, head, origin, std::slice::from_ref(&key))?;
    let witnesses = witnesses(root.id, &root.body)?;
    let seen = witnesses
        .seen(&checkpoint)
        .map_err(|source| AuditError::Cosignature { source: Box::new(source), checkpoint: text })?;
    let (mut from, mut from_seen) = (None, Vec::new());
    if export.section(Section::FromCheckpoint).is_some() {
        // The log's key may have been another one then.
        let keys = every_log_key(ledger, leaves)?;
        let signed = read(export, Section::FromCheckpoint)?;
        let earlier = open_one(Section::FromCheckpoint, signed, origin, &keys)?;
        let proof = consistency(export.required(Section::Consistency)?)?;
        connect(&checkpoint, &earlier, proof, nodes)?;
        from_seen = witnesses.seen(&earlier).map_err(|source| AuditError::Cosignature {
            source: Box::new(source),
            checkpoint: String::from_utf8_lossy(&earlier.to_bytes()).into_owned(),
        })?;
        from = Some(earlier);
    }
    Ok(Heads { checkpoint, seen, from, from_seen })
}

/// Whether the export holds what checkpoints that the auditor knows from elsewhere held, and no less: one that was cut
/// back to an earlier head is sound by itself.
pub(super) fn check_known(
    known: &[Vec<u8>],
    head: &VerifiedCheckpoint,
    ledger: &Ledger,
    leaves: &[Checked],
    nodes: &Nodes,
) -> Result<(), AuditError> {
    if known.is_empty() {
        return Ok(());
    }
    let keys = every_log_key(ledger, leaves)?;
    for (number, bytes) in (1..).zip(known) {
        let refuse = |source| AuditError::KnownCheckpoint { number, source: Box::new(source) };
        let known = VerifiedCheckpoint::open(bytes, head.origin(), &keys).map_err(refuse)?;
        if known.size() > head.size() {
            let text = |head: &VerifiedCheckpoint| String::from_utf8_lossy(&head.to_bytes()).into_owned();
            let (known_size, size) = (known.size(), head.size());
            return Err(AuditError::CutBack { known_size, size, known: text(&known), ours: text(head) });
        }
        // The proof that the leaves themselves give; an empty tree has none and needs none.
        let proof = merkle::consistency_proof(nodes, known.size(), head.size()).unwrap_or_default();
        connect(head, &known, proof, nodes)?;
    }
    Ok(())
}

fn open_one(
    section: Section,
    signed: SignedCheckpoint,
    origin: &str,
    keys: &[VerifierKey],
) -> Result<VerifiedCheckpoint, AuditError> {
    let checkpoint = signed.note().text().to_owned();
    signed.open(origin, keys).map_err(|source| match source {
        MerkleError::OriginMismatch { expected, found } => AuditError::OtherLog { section, expected, found },
        source => {
            let key = keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            AuditError::LogSignature { section, key, source: Box::new(source), checkpoint }
        }
    })
}

fn log_key(root: StatementId, body: &TrustRoot) -> Result<VerifierKey, AuditError> {
    VerifierKey::parse(body.log.key.as_bytes())
        .map_err(|source| AuditError::TrustRootKeys { root, source: Box::new(source) })
}

/// The log keys of all the trust roots that took effect.
fn every_log_key(ledger: &Ledger, leaves: &[Checked]) -> Result<Vec<VerifierKey>, AuditError> {
    let mut keys = Vec::new();
    for leaf in leaves.iter().filter_map(|entry| entry.leaf().ok()) {
        if let Content::Known(statement) = &leaf.content
            && let Body::TrustRoot(body) = &statement.body
            && ledger.has_applied(&leaf.id)
        {
            let key = log_key(leaf.id, body)?;
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    Ok(keys)
}

fn witnesses(root: StatementId, body: &TrustRoot) -> Result<WitnessPolicy, AuditError> {
    let unusable = |source| AuditError::TrustRootKeys { root, source: Box::new(source) };
    let keys = body.witnesses.keys.iter().map(|witness| VerifierKey::parse(witness.key.as_bytes()));
    let keys = keys.collect::<Result<Vec<_>, _>>().map_err(unusable)?;
    let threshold = usize::try_from(body.witnesses.threshold).unwrap_or(usize::MAX);
    WitnessPolicy::new(keys, threshold).map_err(unusable)
}

fn consistency(bytes: &[u8]) -> Result<Vec<Hash>, AuditError> {
    let wrong = |reason| AuditError::ConsistencyForm { reason };
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?;
    let mut proof = Vec::new();
    for line in text.split_inclusive('\n') {
        let line = line.strip_suffix('\n').ok_or_else(|| wrong("the last line does not end"))?;
        let bytes = Bytes::from_base64(line).map_err(|_| wrong("a line is not base64"))?;
        let hash = bytes.as_slice().try_into().map_err(|_| wrong("a line is not a hash of 32 bytes"))?;
        proof.push(Hash::from_bytes(hash));
    }
    Ok(proof)
}

/// Whether the earlier checkpoint is of a beginning of this very log.
fn connect(
    later: &VerifiedCheckpoint,
    earlier: &VerifiedCheckpoint,
    proof: Vec<Hash>,
    nodes: &Nodes,
) -> Result<(), AuditError> {
    let split = |proof, error| {
        let cause = SplitCause::Unconnected { proof, error };
        AuditError::Inconsistent(Box::new(SplitView {
            ours: later.to_bytes(),
            theirs: earlier.to_bytes(),
            cause,
        }))
    };
    let (old, new) = (earlier.size(), later.size());
    if old > new {
        return Err(split(proof, ProofError::SizesReversed { old, new }));
    }
    fork::compare(later, earlier, &proof).map_err(AuditError::Inconsistent)?;
    // The proof says so already; the leaves themselves say it without any proof.
    match root_at(nodes, old) {
        Ok(computed) if computed == *earlier.root() => Ok(()),
        Ok(computed) => {
            let error = ProofError::OldRootMismatch { expected: *earlier.root(), computed };
            Err(split(proof, error))
        }
        Err(_) => Err(split(proof, ProofError::SizesReversed { old, new })),
    }
}
