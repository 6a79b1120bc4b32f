//! A checked record to go on from: who may say what, how every change stands, and at which size of the log.
//!
//! For a reader who gets a realm's record as an export instead of following its log: a machine without a network. It
//! asks for the same checks as an audit; what it does not do is make a report.

use dossier::Ledger;
use merkle::{Hash, VerifiedCheckpoint, root_at};

use crate::check::{self, Expectations};
use crate::error::AuditError;
use crate::export::Nodes;

/// Token: a realm's record that was checked from its first leaf to its cosigned checkpoint. Only [`context`] makes one.
#[derive(Debug)]
pub struct Context {
    ledger: Ledger,
    checkpoint: VerifiedCheckpoint,
    witnesses: usize,
    nodes: Nodes,
}

/// Checks a whole export as [`audit`](crate::audit) does, and answers what it folds to.
///
/// # Errors
/// As [`audit`](crate::audit).
pub fn context(file: &[u8], expectations: &Expectations) -> Result<Context, AuditError> {
    let (record, nodes) = check::record(file, expectations)?;
    Ok(Context {
        ledger: record.ledger,
        witnesses: record.heads.seen.len(),
        checkpoint: record.heads.checkpoint,
        nodes,
    })
}

impl Context {
    /// Who may say what, and how every change stands.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The signed head of the log.
    pub const fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.checkpoint
    }

    /// How many of the trust root's witnesses have cosigned the head.
    pub const fn witnesses(&self) -> usize {
        self.witnesses
    }

    /// How many witnesses the trust root in force asks for.
    pub fn witnesses_needed(&self) -> usize {
        let threshold = self.ledger.world().root().map(|root| root.body.witnesses.threshold);
        threshold.and_then(|threshold| usize::try_from(threshold).ok()).unwrap_or(usize::MAX)
    }

    /// The root of the first `size` leaves; none where the record has fewer.
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        if size > self.checkpoint.size() {
            return None;
        }
        root_at(&self.nodes, size).ok()
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::Realm;

    #[test]
    fn a_checked_record_answers_its_world_and_every_earlier_root() {
        let realm = Realm::new();
        let file = realm.export();
        let context = super::context(&file, &realm.expectations()).unwrap();
        let size = context.checkpoint().size();
        assert_eq!(context.ledger().world().size(), size);
        assert_eq!(context.root_at(size), Some(*context.checkpoint().root()));
        assert_eq!(context.root_at(3), Some(*realm.checkpoint(3, 0).claims().root()));
        assert_eq!(context.root_at(size + 1), None);
        assert_eq!(context.witnesses(), 2);
        assert!(context.witnesses_needed() <= 2);
    }

    #[test]
    fn an_altered_record_is_no_context() {
        let realm = Realm::new();
        let mut file = realm.export();
        let last = file.len() - 1;
        file[last] ^= 1;
        assert!(super::context(&file, &realm.expectations()).is_err());
    }
}
