//! The fold: leaves in, world and dossiers out.

mod again;
mod authority;
mod change;
mod realm;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use statement::kind::{Approval, FreezeTarget, Grant, Policy, Purge, ReleaseOrder, Verdict};
use statement::{Body, ChangeId, Content, KeyId, Leaf, RealmId, Statement, StatementError, StatementId};

use crate::actor::Actor;
use crate::change::{Dossier, Recorded};
use crate::keybook::Checked;
use crate::refusal::{Code, Refusal};
use crate::world::World;

pub use again::replay;

/// A point of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// How many leaves there are.
    pub size: u64,
    /// The stamp or time it is judged at, milliseconds since the Unix epoch.
    pub now_ms: u64,
}

/// An act on the realm that duties speak about.
#[derive(Debug, Clone, Copy)]
pub enum RealmAct<'a> {
    /// Putting a policy in force: one that cannot be used, or would lock the realm, must not be. The answer follows from
    /// the trust root, the directory and the policies alone, since [`replay`] looks ahead through these.
    Policy(&'a Policy),
    /// Giving an authorisation.
    Grant(&'a Grant),
    /// Destroying content.
    Purge(&'a Purge),
    /// Ending a freeze.
    Unfreeze(&'a FreezeTarget),
}

/// Decides again what the record says was decided. Implemented by crate `policy`.
pub trait Judge {
    /// Whether the verdict follows from the record.
    fn verdict(&self, world: &World, dossier: &Dossier, verdict: &Recorded<Verdict>) -> Result<(), Refusal>;
    /// Whether the approver may approve, and approves what stands there.
    fn approval(
        &self,
        world: &World,
        dossier: &Dossier,
        approval: &Recorded<Approval>,
    ) -> Result<(), Refusal>;
    /// Whether the signers may do this in the realm. The fold's own rules on role, threshold and form are checked beside
    /// it; a judge without duties about the realm adds nothing to them.
    fn realm(
        &self,
        _world: &World,
        _act: RealmAct<'_>,
        _signers: &[Actor],
        _at_ms: u64,
    ) -> Result<(), Refusal> {
        Ok(())
    }
    /// Whether the order may be given.
    fn order(&self, world: &World, dossier: &Dossier, order: &Recorded<ReleaseOrder>) -> Result<(), Refusal>;
}

/// What became of a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It applies.
    Effective,
    /// It changes nothing, for these reasons.
    NoOp(Refusal),
    /// It applies, and changes what earlier leaves mean: [`replay`] the log.
    Refold,
}

/// Why a reader must stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// A leaf of an unknown kind that is marked critical and signed by the root quorum.
    #[error("leaf {index}: `{kind}` is unknown to this version and marked critical")]
    UnknownCritical {
        /// Its place.
        index: u64,
        /// Its predicate type.
        kind: String,
    },
    /// Leaves are not given in order.
    #[error("leaf {index} was given where leaf {expected} comes next")]
    OutOfOrder {
        /// What was given.
        index: u64,
        /// What comes next.
        expected: u64,
    },
    /// A stamp lies before the one before it.
    #[error("leaf {index} is stamped before the leaf before it")]
    StampDecreases {
        /// Its place.
        index: u64,
    },
}

impl Stop {
    /// A stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownCritical { .. } => "CS-STOP-001",
            Self::OutOfOrder { .. } => "CS-STOP-002",
            Self::StampDecreases { .. } => "CS-STOP-003",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::UnknownCritical { .. } => "read this log with a later version of Countersign",
            Self::OutOfOrder { .. } | Self::StampDecreases { .. } => {
                "the log is damaged; run `countersign log fsck`"
            }
        }
    }
}

/// The state of a realm after some leaves.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    pub(crate) realm: Option<RealmId>,
    pub(crate) world: World,
    pub(crate) dossiers: BTreeMap<ChangeId, Dossier>,
    /// Keys whose signatures do not count from a leaf on: known beforehand in a replay.
    pub(crate) compromised: BTreeMap<KeyId, u64>,
    /// The leaf that first revoked each of them.
    pub(crate) revoked: BTreeMap<KeyId, u64>,
    /// The last leaf that bears a good signature of each key.
    signed: BTreeMap<KeyId, u64>,
    /// Whether the leaf that is being taken in revokes a key from before one of the leaves it signed.
    reaches_back: bool,
    applied: BTreeSet<StatementId>,
    noops: BTreeMap<u64, Refusal>,
    effective: u64,
}

impl Ledger {
    /// A ledger before the first leaf.
    pub fn new() -> Self {
        Self::default()
    }

    /// The realm; none before the trust root.
    pub const fn realm(&self) -> Option<&RealmId> {
        self.realm.as_ref()
    }

    /// The world.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// The dossier of a change.
    pub fn dossier(&self, change: &ChangeId) -> Option<&Dossier> {
        self.dossiers.get(change)
    }

    /// Every dossier.
    pub fn dossiers(&self) -> impl Iterator<Item = &Dossier> {
        self.dossiers.values()
    }

    /// Leaves that changed nothing, and why.
    pub const fn noops(&self) -> &BTreeMap<u64, Refusal> {
        &self.noops
    }

    /// How many leaves had effect.
    pub const fn effective(&self) -> u64 {
        self.effective
    }

    /// Whether the statement has had effect.
    pub fn has_applied(&self, id: &StatementId) -> bool {
        self.applied.contains(id)
    }

    /// Keys that were revoked, and the leaf from which on they do not count.
    pub const fn compromised(&self) -> &BTreeMap<KeyId, u64> {
        &self.compromised
    }

    /// Takes in the next leaf.
    pub fn apply(&mut self, entry: &Checked, judge: &dyn Judge) -> Result<Applied, Stop> {
        let index = entry.index();
        if index != self.world.size {
            return Err(Stop::OutOfOrder { index, expected: self.world.size });
        }
        let leaf = match self.open(entry)? {
            Ok(leaf) => leaf,
            Err(refusal) => {
                self.world.size = index + 1;
                return Ok(self.note(index, refusal));
            }
        };
        let outcome = match &leaf.content {
            Content::Opaque(opaque) => Err(Refusal::new(Code::OpaqueKind, opaque.header.predicate_type())),
            Content::Known(statement) => self.take(entry, leaf.stamp_ms, leaf.id, statement),
        };
        let outcome = outcome.and_then(|act| self.perform(&act, judge));
        let reaches_back = self.close(entry, leaf);
        if let Err(refusal) = outcome {
            return Ok(self.note(index, refusal));
        }
        self.applied.insert(leaf.id);
        self.effective += 1;
        Ok(if reaches_back { Applied::Refold } else { Applied::Effective })
    }

    /// The leaf of an entry, or why it is none, or why the reader must stop at it.
    fn open<'a>(&self, entry: &'a Checked) -> Result<Result<&'a Leaf, Refusal>, Stop> {
        let index = entry.index();
        match entry.leaf() {
            Ok(leaf) if leaf.stamp_ms < self.world.stamp_ms => Err(Stop::StampDecreases { index }),
            Ok(leaf) => Ok(Ok(leaf)),
            Err(StatementError::UnknownCritical(header)) => match self.check_introduced(entry, header) {
                Err(refusal) => Ok(Err(refusal)),
                Ok(()) => Err(Stop::UnknownCritical { index, kind: header.predicate_type() }),
            },
            Err(error) => Ok(Err(Refusal::new(Code::Malformed, error.code()))),
        }
    }

    /// Moves past a leaf. Whether it revoked a key from before one of the leaves that the key signed.
    fn close(&mut self, entry: &Checked, leaf: &Leaf) -> bool {
        self.world.size = entry.index() + 1;
        self.world.stamp_ms = leaf.stamp_ms;
        for key in entry.good() {
            self.signed.insert(*key, entry.index());
        }
        std::mem::take(&mut self.reaches_back)
    }

    fn note(&mut self, index: u64, refusal: Refusal) -> Applied {
        self.noops.insert(index, refusal.clone());
        Applied::NoOp(refusal)
    }

    /// Checks realm, signers, role, threshold and clock; what remains is the kind's own rule.
    fn take<'a>(
        &self,
        entry: &Checked,
        stamp_ms: u64,
        id: StatementId,
        statement: &'a Statement,
    ) -> Result<Act<'a>, Refusal> {
        let header = &statement.header;
        if self.applied.contains(&id) {
            return Err(Refusal::new(Code::Repeated, id));
        }
        if let Some(realm) = &self.realm
            && *realm != header.realm
        {
            return Err(Refusal::new(Code::OtherRealm, &header.realm));
        }
        let at = At { index: entry.index(), stamp_ms, id };
        if let Body::TrustRoot(root) = &statement.body {
            self.check_root(entry, at, root)?;
            return Ok(Act { at, statement, signers: Vec::new() });
        }
        let Some(root) = &self.world.root else {
            return Err(Refusal::new(Code::NoRoot, &header.kind));
        };
        if stamp_ms >= root.body.expires_ms && !authority::stops(&statement.body) {
            return Err(Refusal::new(Code::RootExpired, root.id));
        }
        // What only stops is not kept out by a clock that stands wrong, here or there.
        if !authority::stops(&statement.body) {
            self.check_clock(stamp_ms, statement.issued_ms)?;
        }
        let signers = self.signers(entry, at, statement)?;
        Ok(Act { at, statement, signers })
    }

    fn check_clock(&self, stamp_ms: u64, issued_ms: u64) -> Result<(), Refusal> {
        let Some(policy) = &self.world.policy else { return Ok(()) };
        let limits = &policy.body.rules.limits;
        let ahead = issued_ms.saturating_sub(stamp_ms);
        let behind = stamp_ms.saturating_sub(issued_ms);
        if ahead > limits.clock_ahead_max_ms || behind > limits.clock_behind_max_ms {
            return Err(Refusal::new(Code::ClockSkew, format!("issued at {issued_ms}, stamped {stamp_ms}")));
        }
        Ok(())
    }
}

/// Where a leaf stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) index: u64,
    pub(crate) stamp_ms: u64,
    pub(crate) id: StatementId,
}

/// A statement whose signers may say such things.
pub(crate) struct Act<'a> {
    pub(crate) at: At,
    pub(crate) statement: &'a Statement,
    pub(crate) signers: Vec<Actor>,
}

impl Act<'_> {
    pub(crate) fn record<T>(&self, body: T) -> Recorded<T> {
        Recorded {
            id: self.at.id,
            index: self.at.index,
            stamp_ms: self.at.stamp_ms,
            signers: self.signers.clone(),
            body,
        }
    }
}
