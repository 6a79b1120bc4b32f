//! What a clock that was wrong for a while does to a realm.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use statement::kind::{Assurance, Role, Tier};
use zeroize::Zeroizing;

use crate::act::{EnrolledKey, Enrolment, Founding, Rotation, enrol, found, rotate};
use crate::failure::Done;
use crate::home::Home;
use crate::keys::PassphraseSource;
use crate::realm::Realm;

const DAY_MS: u64 = 24 * 3_600_000;

fn officers() -> Vec<String> {
    ["root-ada", "root-ben"].map(str::to_owned).to_vec()
}

/// Enrols a key of this machine for a person of the same name.
fn enrolled(realm: &mut Realm, name: &str) -> Done {
    realm.keys.create(name, signer::FileScheme::Ed25519, Assurance::Unsealed)?;
    let enrolment = Enrolment {
        key: EnrolledKey::Here(name.to_owned()),
        person: name.parse()?,
        roles: BTreeSet::from([Role::Approver]),
        capacities: BTreeSet::new(),
        clearance: Tier::Low,
        days: 365,
        by: officers(),
    };
    enrol(realm, enrolment).map(drop)
}

#[test]
fn a_clock_that_was_fast_ends_nothing_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let ahead_ms = Arc::new(AtomicU64::new(0));
    let clock: translog::Clock = {
        let (system, ahead_ms) = (translog::system_clock(), Arc::clone(&ahead_ms));
        Arc::new(move || system() + ahead_ms.load(Ordering::SeqCst))
    };
    let passphrase = PassphraseSource::Known(Arc::new(Zeroizing::new("only for this test".to_owned())));
    // Nothing is examined here: any program may stand for the worker.
    let worker = std::env::current_exe().unwrap();
    let people = ["ada".to_owned(), "ben".to_owned()];
    let founding =
        Founding { name: "acme", officers: &people, days: 365, monitor_quorum: 2, worker: Some(&worker) };
    let home = Home::new(&folder.path().join("realm"));
    let mut realm = found(&home, passphrase, &founding, clock).unwrap();
    ahead_ms.store(300 * DAY_MS, Ordering::SeqCst);
    enrolled(&mut realm, "carol").unwrap();
    // The clock is right again: 300 days before the log's last stamp.
    ahead_ms.store(0, Ordering::SeqCst);
    enrolled(&mut realm, "dora").unwrap();
    // Once more, beyond the trust root's end: it is rotated in the log's time.
    let by = officers();
    let rotation = Rotation {
        add: &[],
        remove: &[],
        days: 365,
        witnesses: &[],
        without_witnesses: &[],
        witness_threshold: None,
        monitor_quorum: None,
        by: &by,
    };
    ahead_ms.store(400 * DAY_MS, Ordering::SeqCst);
    rotate(&mut realm, &rotation).unwrap();
    ahead_ms.store(0, Ordering::SeqCst);
    rotate(&mut realm, &rotation).unwrap();
    enrolled(&mut realm, "emil").unwrap();
    let persons: BTreeSet<_> =
        realm.ledger().world().actors().map(|actor| actor.person.to_string()).collect();
    assert!(["carol", "dora", "emil"].iter().all(|name| persons.contains(*name)), "{persons:?}");
}
