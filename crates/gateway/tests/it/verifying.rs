//! What a gateway believes, and what it does when it cannot: every case with the fixture's real signatures.

use audit::fixture::{DAY_MS, Plan as Change, Realm, SLOT, Who};
use gateway::{ControlRequest, Error};
use merkle::{Checkpoint, NoteSigner as _};
use serde_json::{Value, json};
use statement::kind::{Freeze, FreezeAction, FreezeTarget, Revocation, RevocationTarget, RollbackOrder};
use statement::{ChangeId, Tracking};

use crate::engine::Played;
use crate::house::{House, publish};

/// Engines for the first state and for what a change labelled `one` leads to, and a gateway that serves both.
struct Two {
    house: House,
    old: Played,
    new: Played,
}

impl Two {
    fn new() -> Self {
        let mut two = Self {
            house: House::new(),
            old: Played::saying(r#"{"v":"old"}"#),
            new: Played::saying(r#"{"v":"new"}"#),
        };
        two.open();
        two
    }

    fn open(&mut self) {
        let first = self.house.first_state();
        let next = self.house.realm.target_state(Change::tuning("one")).manifest.id().unwrap();
        // After the order the slot's state is the target, and what would follow it is another.
        let next = self
            .house
            .realm
            .ledger()
            .dossier(&Change::tuning("one").change())
            .map_or(next, |dossier| dossier.proposal.body.target_state);
        let config = self.house.config(
            &[(first, &[self.old.url()]), (next, &[self.new.url()])],
            &json!({}),
            &json!({}),
        );
        self.house.open(config);
    }

    /// What a new session is answered by.
    #[track_caller]
    fn serves(&self, session: &str, version: &str) {
        let answer = self.house.chat(&format!("x-session-id: {session}\r\n"), &json!({}));
        assert_eq!((answer.status, answer.json()["v"].as_str()), (200, Some(version)), "{}", answer.text());
    }

    #[track_caller]
    fn reason(&mut self, code: &str) {
        let status = self.house.ask(&ControlRequest::Status).unwrap();
        let reasons = status["slots"][0]["reasons"].as_array().unwrap();
        assert!(reasons.iter().any(|reason| reason["code"] == code), "{status}");
    }

    #[track_caller]
    fn trouble(&mut self, code: &str) {
        let status = self.house.ask(&ControlRequest::Status).unwrap();
        assert!(status["log"]["trouble"].to_string().contains(code), "{status}");
    }

    fn order(&mut self) -> ChangeId {
        let change = self.house.order("one");
        self.house.look();
        change
    }
}

#[test]
fn an_order_is_served_once_it_was_verified_and_says_which_change_it_is() {
    let mut two = Two::new();
    two.serves("a", "old");
    let change = two.order();
    two.serves("b", "new");
    let answer = two.house.chat("x-session-id: b\r\n", &json!({}));
    assert_eq!(answer.header("x-countersign-change"), Some(change.as_str()));
    assert_eq!(answer.header("x-countersign-state"), Some(two.house.state_of(&change).to_string().as_str()));
    // A session that had begun stays where it began.
    two.serves("a", "old");
}

#[test]
fn nothing_is_served_before_anything_was_verified() {
    let mut two = Two { house: House::new(), old: Played::saying("{}"), new: Played::saying("{}") };
    std::fs::remove_file(two.house.tiles().join("checkpoint")).unwrap();
    two.open();
    let answer = two.house.chat("", &json!({}));
    assert_eq!((answer.status, answer.code().as_str()), (503, "CS-GWY-055"));
    assert_eq!(two.house.get("/healthz").status, 503);
    two.reason("CS-GWY-022");
    two.trouble("CS-GWY-010");
}

#[test]
fn a_forged_order_changes_nothing() {
    let mut two = Two::new();
    let change = Change::tuning("one");
    two.house.realm.propose(change);
    two.house.realm.examine(&change.change(), 2_000);
    two.house.realm.verdict(&change.change());
    // Without approvals; by the right person and by a stranger.
    let order = two.house.realm.order_body(&change.change());
    for who in [Who::Lea, Who::Stranger, Who::Fay] {
        two.house.realm.say(&Tracking::Change(change.change()), order.clone(), &[who]);
    }
    two.house.look();
    two.serves("a", "old");
}

#[test]
fn an_order_that_cannot_be_admitted_any_more_is_not() {
    let mut two = Two::new();
    two.house.order("one");
    two.house.pass(DAY_MS + 1);
    two.house.look();
    two.serves("a", "old");
    two.reason("CS-GATE-043");
}

#[test]
fn what_was_admitted_is_served_after_a_restart_with_everything_else_down() {
    let mut two = Two::new();
    two.order();
    two.serves("a", "new");
    two.house.close();
    std::fs::remove_dir_all(two.house.tiles()).unwrap();
    // Too late to be admitted, if it were not known that it was: the checkpoint is fresh enough all the same.
    two.house.pass(300_000);
    two.open();
    two.serves("b", "new");
    two.trouble("CS-GWY-010");
    // Past the checkpoint's age everything ends in the fallback.
    two.house.pass(400_000);
    two.house.gate().warden.tick();
    two.serves("c", "old");
    two.reason("CS-GATE-035");
}

#[test]
fn kept_leaves_that_were_changed_are_refused_at_the_start() {
    let mut two = Two::new();
    two.order();
    two.house.close();
    let path = two.house.folder.path().join("gateway/leaves");
    let good = std::fs::read(&path).unwrap();
    for at in [10, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let config = two.house.config(&[], &json!({}), &json!({}));
        let error = gateway::Warden::open(config, std::sync::Arc::new(|| 0)).unwrap_err();
        assert!(["CS-GWY-014", "CS-GWY-005"].contains(&error.code()), "{error}");
    }
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    let config = two.house.config(&[], &json!({}), &json!({}));
    assert_eq!(gateway::Warden::open(config, std::sync::Arc::new(|| 0)).unwrap_err().code(), "CS-GWY-005");
}

#[test]
fn a_log_that_was_rolled_back_is_not_believed() {
    let mut two = Two::new();
    two.order();
    let size = two.house.realm.entries().len() as u64;
    let tiles = two.house.tiles();
    publish(&tiles, &two.house.realm.entries()[..20], &two.house.realm.checkpoint(20, 2).to_bytes());
    two.house.gate().warden.tick();
    two.trouble("CS-GWY-013");
    two.serves("a", "new");
    let evidence = std::fs::read_dir(two.house.folder.path().join("gateway/evidence")).unwrap().count();
    assert_eq!(evidence, 1);
    let status = two.house.ask(&ControlRequest::Status).unwrap();
    assert_eq!(status["log"]["size"], size);
}

#[test]
fn a_log_that_says_something_else_than_before_is_not_believed() {
    let mut two = Two::new();
    two.order();
    // The same log key, and another history of the same length and longer.
    let mut other = Realm::new();
    while other.entries().len() < two.house.realm.entries().len() + 3 {
        other.grant_automation(&[SLOT]);
        other.advance_ms(1);
    }
    let size = other.entries().len() as u64;
    publish(&two.house.tiles(), other.entries(), &other.checkpoint(size, 2).to_bytes());
    two.house.gate().warden.tick();
    two.trouble("CS-GWY-014");
    two.serves("a", "new");
}

#[test]
fn a_checkpoint_by_another_key_is_not_believed() {
    let mut two = Two::new();
    two.house.order("one");
    two.house.publish();
    let size = two.house.realm.entries().len() as u64;
    let good = two.house.realm.checkpoint(size, 2);
    let stranger = merkle::Ed25519NoteSigner::from_seed(&two.house.realm.origin(), &[7; 32]).unwrap();
    assert_eq!(stranger.name(), two.house.realm.origin());
    let claims = Checkpoint::new(&two.house.realm.origin(), size, *good.claims().root()).unwrap();
    let forged = claims.sign(&[&stranger]).unwrap();
    std::fs::write(two.house.tiles().join("checkpoint"), forged.to_bytes()).unwrap();
    two.house.gate().warden.tick();
    two.trouble("CS-GWY-012");
    two.serves("a", "old");
}

#[test]
fn another_realm_s_log_is_not_believed() {
    let mut two = Two { house: House::new(), old: Played::saying("{}"), new: Played::saying("{}") };
    let first = two.house.first_state();
    let root = statement::Digest::of(b"another root");
    let realm = json!({ "realm": { "log_key": two.house.realm.log_signer().verifier().to_string(), "name": two.house.realm.id(),
                                   "origin": two.house.realm.origin(), "root": root } });
    let config = two.house.config(&[(first, &[two.old.url()])], &realm, &json!({}));
    two.house.open(config);
    two.trouble("CS-GWY-015");
    assert_eq!(two.house.chat("", &json!({})).status, 503);
}

#[test]
fn an_order_is_not_admitted_by_an_unwitnessed_checkpoint() {
    let mut two = Two::new();
    two.house.order("one");
    let size = two.house.realm.entries().len() as u64;
    publish(&two.house.tiles(), two.house.realm.entries(), &two.house.realm.checkpoint(size, 0).to_bytes());
    two.house.gate().warden.tick();
    two.serves("a", "old");
    two.trouble("CS-GWY-023");
    // The same leaves under a cosigned checkpoint.
    two.house.look();
    two.serves("b", "new");
}

#[test]
fn a_tile_that_was_changed_is_not_believed() {
    let mut two = Two::new();
    two.house.order("one");
    two.house.publish();
    let tiles = two.house.tiles().join("tile/entries");
    let newest = std::fs::read_dir(tiles.join("000.p")).unwrap().map(|entry| entry.unwrap().path());
    let newest = newest
        .max_by_key(|path| path.file_name().unwrap().to_str().unwrap().parse::<u32>().unwrap())
        .unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    two.house.gate().warden.tick();
    two.trouble("CS-GWY-014");
    two.serves("a", "old");
}

#[test]
fn what_is_revoked_ends_in_its_fallback() {
    let mut two = Two::new();
    let change = two.order();
    two.serves("a", "new");
    let order = two.house.realm.dossier(&change).order.as_ref().unwrap().id;
    let revocation = Revocation { reason: "test".parse().unwrap(), target: RevocationTarget::Order(order) };
    two.house.realm.establish(&Tracking::Realm, revocation, &[Who::Lea]);
    two.house.look();
    // At once, sessions that are under way among them.
    two.serves("a", "old");
    two.reason("CS-GATE-033");
}

#[test]
fn a_clock_that_goes_back_ends_in_the_fallback() {
    let mut two = Two::new();
    two.order();
    two.house.pass(60_000);
    two.house.look();
    two.serves("a", "new");
    two.house.clock.fetch_sub(60_000, std::sync::atomic::Ordering::Relaxed);
    two.house.gate().warden.tick();
    two.serves("b", "old");
    two.reason("CS-GATE-040");
    two.house.clock.fetch_add(60_000, std::sync::atomic::Ordering::Relaxed);
    two.house.gate().warden.tick();
    two.serves("c", "new");
}

fn handed(
    two: &mut Two,
    body: impl Into<statement::Body>,
    about: &Tracking,
    by: Who,
) -> Result<Value, Error> {
    let envelope = two.house.realm.sign(about, body, &[by]);
    let envelope = String::from_utf8(envelope.to_bytes().unwrap()).unwrap();
    two.house.ask(&ControlRequest::Statement { envelope })
}

#[test]
fn a_rollback_acts_at_once_and_is_logged_after() {
    let mut two = Two::new();
    let change = two.order();
    two.serves("a", "new");
    let order = two.house.realm.dossier(&change).order.clone().unwrap();
    let rollback = RollbackOrder {
        from_state: order.body.to_state,
        incident: None,
        order: order.id,
        reason: "test".parse().unwrap(),
        slot: order.body.slot.clone(),
        to_state: order.body.from_state,
    };
    let about = Tracking::Change(change);
    // Not by anybody.
    let error = handed(&mut two, rollback.clone(), &about, Who::Stranger).unwrap_err();
    assert_eq!(error.code(), "CS-GWY-016");
    let error = handed(&mut two, rollback.clone(), &about, Who::Fay).unwrap_err();
    assert_eq!(error.code(), "CS-GWY-016");
    two.serves("a", "new");
    std::fs::remove_file(two.house.tiles().join("checkpoint")).unwrap();
    let status = handed(&mut two, rollback.clone(), &about, Who::Lea).unwrap();
    assert_eq!(status["log"]["pending"], 1);
    two.serves("a", "old");
    // A restart does not forget it.
    two.house.close();
    two.open();
    two.serves("a", "old");
    two.house.realm.establish(&about, rollback, &[Who::Lea]);
    two.house.look();
    let status = two.house.ask(&ControlRequest::Status).unwrap();
    assert_eq!((&status["log"]["pending"], &status["slots"][0]["order"]), (&json!(0), &Value::Null));
    two.serves("b", "old");
}

#[test]
fn what_goes_forward_is_not_taken_from_an_operator() {
    let mut two = Two::new();
    let change = two.house.order("one");
    let order = two.house.realm.dossier(&change).order.clone().unwrap().body;
    let error = handed(&mut two, order, &Tracking::Change(change.clone()), Who::Lea).unwrap_err();
    assert_eq!(error.code(), "CS-GWY-017");
    let target = FreezeTarget::Slot(SLOT.parse().unwrap());
    let end = Freeze { action: FreezeAction::End, reason: "test".parse().unwrap(), target };
    assert_eq!(handed(&mut two, end, &Tracking::Realm, Who::PolicyOne).unwrap_err().code(), "CS-GWY-017");
    two.serves("a", "old");
}

#[test]
fn what_is_frozen_is_not_admitted() {
    let mut two = Two::new();
    let target = FreezeTarget::Slot(SLOT.parse().unwrap());
    let freeze = Freeze { action: FreezeAction::Begin, reason: "test".parse().unwrap(), target };
    handed(&mut two, freeze, &Tracking::Realm, Who::Lea).unwrap();
    two.order();
    two.serves("a", "old");
    two.reason("CS-GATE-020");
}

#[test]
fn a_head_that_waits_for_its_witnesses_takes_nothing_away() {
    let mut two = Two::new();
    two.order();
    two.serves("a", "new");
    two.house.realm.grant_automation(&[SLOT]);
    let size = two.house.realm.entries().len() as u64;
    let unwitnessed = two.house.realm.checkpoint(size, 0).to_bytes();
    publish(&two.house.tiles(), two.house.realm.entries(), &unwitnessed);
    two.house.gate().warden.tick();
    two.trouble("CS-GWY-023");
    two.serves("b", "new");
}

#[test]
fn an_order_that_was_said_before_is_not_obeyed_again() {
    let mut two = Two::new();
    let change = two.order();
    two.serves("a", "new");
    let order = two.house.realm.dossier(&change).order.as_ref().unwrap().index;
    two.house.realm.roll_back(&change);
    two.house.look();
    two.serves("a", "old");
    let entry = two.house.realm.entries()[usize::try_from(order).unwrap()].clone();
    let (envelope, _) = statement::leaf::split(&entry).unwrap();
    two.house.realm.log(statement::leaf::stamp(envelope, two.house.realm.now_ms()));
    two.house.look();
    two.serves("b", "old");
    let status = two.house.ask(&ControlRequest::Status).unwrap();
    assert_eq!(status["log"]["size"], two.house.realm.entries().len() as u64);
    assert!(status["slots"][0]["order"].is_null());
}

#[test]
fn a_disk_that_is_full_costs_a_restart_and_nothing_before_it() {
    let mut two = Two::new();
    let leaves = two.house.folder.path().join("gateway/leaves");
    let moved = two.house.folder.path().join("leaves");
    std::fs::rename(&leaves, &moved).unwrap();
    // What cannot be written, for whoever runs this.
    std::fs::create_dir(&leaves).unwrap();
    two.order();
    two.trouble("CS-GWY-004");
    two.serves("a", "new");
    std::fs::remove_dir(&leaves).unwrap();
    std::fs::rename(&moved, &leaves).unwrap();
    two.house.look();
    let status = two.house.ask(&ControlRequest::Status).unwrap();
    assert!(status["log"]["trouble"].is_null(), "{status}");
    two.house.close();
    std::fs::remove_dir_all(two.house.tiles()).unwrap();
    two.open();
    two.serves("a", "new");
}
