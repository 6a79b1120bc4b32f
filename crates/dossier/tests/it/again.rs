//! Folding again, however many revocations reach back: the same as beginning again at each, and in few folds.

use std::cell::Cell;

use audit::fixture::{Plan, Realm, Who};
use dossier::{
    Applied, Checked, Dossier, Judge, KeyBook, Ledger, RealmAct, Recorded, Refusal, World, replay,
};
use proptest::prelude::*;
use statement::kind::{
    Approval, Assurance, Capacity, ReleaseOrder, Revocation, RevocationTarget, Role, RootKey, Verdict,
};
use statement::{Body, KeyId, Kind, Tracking, example, leaf};

use crate::keys::{Key, OFFICERS, ROOTS, issued};
use crate::properties::same;
use crate::roots::next_root;

/// The fold as it is meant: at every revocation that reaches back the reader begins again at the first leaf, knowing it.
fn naive(leaves: &[Checked], realm: &Realm) -> Ledger {
    let mut ledger = Ledger::new();
    'again: loop {
        for entry in leaves {
            if ledger.apply(entry, realm.bench()).unwrap() == Applied::Refold {
                ledger = ledger.begin_again();
                continue 'again;
            }
        }
        return ledger;
    }
}

fn revocation(key: KeyId, compromised_since: u64) -> Revocation {
    Revocation { reason: "stolen".parse().unwrap(), target: RevocationTarget::Key { compromised_since, key } }
}

/// A key that is enrolled by one pair of officers or another.
fn key(label: u8) -> Key {
    Key::new(&format!("key {label}"))
}

/// Persons who are put into the trust root and taken out of it, so that what they sign as officers can be undone later.
const SWINGERS: [Who; 3] = [Who::Kay, Who::Ivy, Who::Jon];

/// A step about keys.
#[derive(Debug, Clone, Copy)]
enum Move {
    /// The next trust root, with the person as a directory officer or without.
    Swing(usize),
    Enrol(u8, usize, usize),
    Revoke(u8, u8, usize, usize),
    RevokeSwinger(usize, u8, usize, usize),
    /// A key says something that has an effect or none.
    Speak(u8),
    Release(u8),
}

/// Officers who sign: the two of the root, or a swinger beside or instead.
fn officers(one: usize, two: usize) -> Vec<Who> {
    let all = [Who::OfficerOne, Who::OfficerTwo, Who::Kay, Who::Ivy, Who::Jon];
    let (one, two) = (all[one % all.len()], all[two % all.len()]);
    if one == two { vec![one] } else { vec![one, two] }
}

fn say_jointly(realm: &mut Realm, body: impl Into<Body>, by: &[Who]) {
    realm.say(&Tracking::Realm, body, by);
}

fn make(realm: &mut Realm, step: Move) {
    let since = |realm: &Realm, share: u8| realm.ledger().world().size() * u64::from(share) / 255;
    match step {
        Move::Swing(which) => {
            let who = SWINGERS[which % SWINGERS.len()];
            let mut root = next_root(realm);
            let rule = root.roles.get_mut(&Role::DirectoryOfficer).unwrap();
            if rule.keys.remove(&who.key_id()) {
                root.keys.remove(&who.key_id());
            } else {
                rule.keys.insert(who.key_id());
                let entry =
                    RootKey { assurance: Assurance::Hardware, key: who.public_key(), person: who.person() };
                root.keys.insert(who.key_id(), entry);
            }
            say_jointly(realm, root, &ROOTS);
        }
        Move::Enrol(label, one, two) => {
            let entry = key(label).entry(&format!("person-{label}"), &[Role::Monitor, Role::Approver]);
            say_jointly(realm, entry, &officers(one, two));
        }
        Move::Revoke(label, share, one, two) => {
            let body = revocation(key(label).id(), since(realm, share));
            say_jointly(realm, body, &officers(one, two));
        }
        Move::RevokeSwinger(which, share, one, two) => {
            let body = revocation(SWINGERS[which % SWINGERS.len()].key_id(), since(realm, share));
            say_jointly(realm, body, &officers(one, two));
        }
        Move::Speak(label) => {
            let seen = example::body(Kind::Observation);
            let envelope = issued(realm, &Tracking::Realm, seen, realm.now_ms(), &[], &[&key(label)]);
            realm.submit(&envelope);
        }
        Move::Release(label) => {
            let name = format!("plan {label}");
            let plan = Plan::tuning(&name);
            let about = Tracking::Change(plan.change());
            let (state, proposal) = (realm.target_state(plan), realm.proposal(plan));
            realm.say(&about, state, &[Who::Ada]);
            realm.say(&about, proposal, &[Who::Ada]);
            if realm.ledger().dossier(&plan.change()).is_some_and(|dossier| dossier.verdict.is_some()) {
                let approval = realm.approval(&plan.change(), Capacity::Technical);
                realm.say(&about, approval, &[Who::Jon]);
            }
        }
    }
    realm.advance_ms(1_000);
}

fn a_move() -> impl Strategy<Value = Move> {
    let officer = || 0..5_usize;
    prop_oneof![
        2 => (0..3_usize).prop_map(Move::Swing),
        3 => (0..4_u8, officer(), officer()).prop_map(|(l, a, b)| Move::Enrol(l, a, b)),
        3 => (0..4_u8, any::<u8>(), officer(), officer()).prop_map(|(l, s, a, b)| Move::Revoke(l, s, a, b)),
        3 => (0..3_usize, any::<u8>(), officer(), officer()).prop_map(|(w, s, a, b)| Move::RevokeSwinger(w, s, a, b)),
        2 => (0..4_u8).prop_map(Move::Speak),
        1 => (0..2_u8).prop_map(Move::Release),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Also where officers come from the directory and go back to it, so that revoking one of them undoes enrolments, and
    /// with these other revocations.
    #[test]
    fn folding_once_is_the_same_as_beginning_again_at_every_revocation(
        moves in prop::collection::vec(a_move(), 4..40),
    ) {
        let mut realm = Realm::new();
        for step in moves {
            make(&mut realm, step);
        }
        let expected = naive(realm.leaves(), &realm);
        same(&expected, &replay(realm.leaves(), realm.bench()).unwrap());
        same(&expected, realm.ledger());
    }
}

/// Counts how often a proposal's verdict is judged: once in each fold that comes to it.
struct Counting<'a> {
    bench: &'a dyn Judge,
    folds: Cell<usize>,
}

impl Judge for Counting<'_> {
    fn verdict(&self, world: &World, dossier: &Dossier, verdict: &Recorded<Verdict>) -> Result<(), Refusal> {
        self.folds.set(self.folds.get() + 1);
        self.bench.verdict(world, dossier, verdict)
    }

    fn approval(&self, world: &World, dossier: &Dossier, it: &Recorded<Approval>) -> Result<(), Refusal> {
        self.bench.approval(world, dossier, it)
    }

    fn realm(
        &self,
        world: &World,
        act: RealmAct<'_>,
        signers: &[dossier::Actor],
        at_ms: u64,
    ) -> Result<(), Refusal> {
        self.bench.realm(world, act, signers, at_ms)
    }

    fn order(&self, world: &World, dossier: &Dossier, order: &Recorded<ReleaseOrder>) -> Result<(), Refusal> {
        self.bench.order(world, dossier, order)
    }
}

#[test]
fn five_thousand_revocations_that_reach_back_take_two_folds() {
    const KEYS: usize = 5_000;
    let mut realm = Realm::new();
    let change = realm.propose(Plan::tuning("x"));
    realm.examine(&change, 1_000);
    realm.verdict(&change);
    let begin = realm.entries().len() as u64;
    let keys: Vec<Key> = (0..KEYS).map(|number| Key::new(&format!("many {number}"))).collect();
    let (now_ms, about) = (realm.now_ms(), Tracking::Realm);
    let enrolled = keys.iter().enumerate().map(|(number, key)| {
        let entry = key.entry(&format!("many-{number}"), &[Role::Monitor]);
        issued(&realm, &about, entry, now_ms, &OFFICERS, &[])
    });
    let seen = || example::body(Kind::Observation);
    let spoken = keys.iter().map(|key| issued(&realm, &about, seen(), now_ms, &[], &[key]));
    // Each from before everything that any of them said.
    let revoked =
        keys.iter().map(|key| issued(&realm, &about, revocation(key.id(), begin), now_ms, &OFFICERS, &[]));
    let more: Vec<Vec<u8>> = enrolled
        .chain(spoken)
        .chain(revoked)
        .map(|envelope| leaf::stamp(&envelope.to_bytes().unwrap(), now_ms))
        .collect();
    let mut book = KeyBook::new();
    let entries = realm.entries().iter().chain(&more);
    let leaves: Vec<Checked> =
        (0..).zip(entries).map(|(index, entry)| Checked::read(index, entry, &mut book)).collect();
    let judge = Counting { bench: realm.bench(), folds: Cell::new(0) };
    let ledger = replay(&leaves, &judge).unwrap();
    assert_eq!(ledger.compromised().len(), KEYS);
    let spoken = begin + KEYS as u64..begin + 2 * KEYS as u64;
    assert!(spoken.clone().all(|index| ledger.noops()[&index].has(dossier::Code::KeyCompromised)));
    // Up to the first revocation, and once for good.
    assert_eq!(judge.folds.get(), 2);
}
