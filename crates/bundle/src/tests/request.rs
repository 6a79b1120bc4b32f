//! What the machine without a network takes, and what it does not.

use std::collections::BTreeSet;

use audit::fixture::{Plan, Who};
use statement::Digest;

use super::scene::{Draft, EXAMINER, HOUR_MS, SENDER, Scene, refused};
use crate::{Known, SectionKind};

#[test]
fn a_request_is_taken_and_says_what_is_known_now() {
    let scene = Scene::new();
    let request = scene.take(&scene.request()).unwrap();
    assert_eq!(request.about().change, scene.change());
    assert_eq!(request.known().head, scene.head());
    assert_eq!(request.known().stamp_ms, scene.realm.ledger().world().stamp_ms());
    let taken = BTreeSet::from([*request.id()]);
    refused(scene.take_knowing(&scene.request(), Some(request.known()), &taken, 0), "CS-BUN-012");
    // The same change in another bundle is no replay.
    let mut again = scene.draft();
    again.header.nonce = statement::Bytes::new(vec![8; 16]);
    scene.take_knowing(&again.signed(SENDER), Some(request.known()), &taken, 0).unwrap();
}

#[track_caller]
fn check(code: &str, change: impl FnOnce(&mut Draft)) {
    check_from(SENDER, code, change);
}

#[track_caller]
fn check_from(who: Who, code: &str, change: impl FnOnce(&mut Draft)) {
    let scene = Scene::new();
    let mut draft = scene.draft();
    draft.header.from = who.key_id();
    change(&mut draft);
    refused(scene.take(&draft.signed(who)), code);
}

#[test]
fn what_is_for_somebody_else_is_refused() {
    check("CS-BUN-010", |draft| draft.header.to = Who::Cas.key_id());
    check("CS-BUN-008", |draft| draft.header.realm = "other".parse().unwrap());
    check("CS-BUN-009", |draft| draft.header.root = draft.header.about.as_ref().unwrap().proposal);
    let scene = Scene::new();
    refused(scene.take_findings(&scene.request()), "CS-BUN-007");
}

#[test]
fn only_senders_of_the_record_are_believed() {
    for who in [Who::Stranger, Who::Ada, Who::Fay, EXAMINER, Who::RootOne] {
        check_from(who, "CS-BUN-017", |_| {});
    }
    for who in [Who::Lea, Who::Eve] {
        let scene = Scene::new();
        let mut draft = scene.draft();
        draft.header.from = who.key_id();
        scene.take(&draft.signed(who)).unwrap();
    }
}

#[test]
fn a_change_that_the_record_does_not_have_is_refused() {
    check("CS-BUN-019", |draft| draft.header.about.as_mut().unwrap().change = Plan::tuning("other").change());
    check("CS-BUN-019", |draft| draft.header.about.as_mut().unwrap().proposal = draft.header.root);
}

#[test]
fn contents_are_those_that_the_change_names() {
    check("CS-BUN-020", |draft| {
        draft
            .sections
            .retain(|(kind, bytes)| *kind != SectionKind::Content || bytes == audit::fixture::SCOPE_FILE);
    });
    check("CS-BUN-020", |draft| {
        draft.sections.retain(|(_, bytes)| bytes != audit::fixture::SCOPE_FILE);
    });
    check("CS-BUN-021", |draft| draft.sections.push((SectionKind::Content, b"beside".to_vec())));
    // A substitute in the artefact's place is both lacking and foreign.
    check("CS-BUN-020", |draft| draft.sections[1].1.push(0));
}

#[test]
fn an_expired_one_is_refused_by_the_clock_and_by_the_record() {
    let scene = Scene::new();
    let bytes = scene.request();
    let none = BTreeSet::new();
    scene.take_knowing(&bytes, None, &none, 24 * HOUR_MS - 1).unwrap();
    refused(scene.take_knowing(&bytes, None, &none, 24 * HOUR_MS), "CS-BUN-011");
    // A clock that was set back is overruled by what the machine has seen stamped.
    let known = Known { head: scene.head(), stamp_ms: scene.realm.now_ms() + 24 * HOUR_MS };
    refused(scene.take_knowing(&bytes, Some(known), &none, 0), "CS-BUN-011");
}

#[test]
fn a_record_does_not_go_back_and_does_not_fork() {
    let scene = Scene::new();
    let old = scene.request();
    let mut later = Scene::new();
    later.realm.propose(Plan::tuning("more"));
    let known = Known { head: later.head(), stamp_ms: 0 };
    refused(scene.take_knowing(&old, Some(known), &BTreeSet::new(), 0), "CS-BUN-013");
    // Going on from an older record is what is wanted.
    let known = Known { head: scene.head(), stamp_ms: 0 };
    later.take_knowing(&later.request(), Some(known), &BTreeSet::new(), 0).unwrap();
    // Another history of the same length.
    let mut forked = Known { head: scene.head(), stamp_ms: 0 };
    forked.head.root = Digest::of(b"another history");
    refused(scene.take_knowing(&old, Some(forked), &BTreeSet::new(), 0), "CS-BUN-014");
}

#[test]
fn a_record_needs_its_witnesses_and_is_the_one_that_was_named() {
    let scene = Scene::new();
    let size = scene.realm.entries().len() as u64;
    let unwitnessed = scene.realm.export_with(&scene.realm.checkpoint(size, 0), None).to_bytes();
    check("CS-BUN-016", |draft| draft.sections[0].1 = unwitnessed);
    check("CS-BUN-015", |draft| draft.header.head.as_mut().unwrap().size += 1);
}

#[test]
fn a_key_that_is_no_examiner_or_was_revoked_is_refused() {
    let scene = Scene::new();
    let bytes = scene.request();
    let whole = super::scene::read(&bytes).unwrap();
    let record = super::scene::sections(&whole, &bytes, SectionKind::Record).pop().unwrap();
    let context = audit::context(&record, &scene.realm.expectations()).unwrap();
    let ledger = context.ledger();
    let now_ms = scene.realm.now_ms();
    assert!(crate::may_examine(ledger, &EXAMINER.key_id(), now_ms));
    assert!(!crate::may_examine(ledger, &Who::Ada.key_id(), now_ms));
    let end = ledger.world().actor(&EXAMINER.key_id()).unwrap().not_after_ms;
    assert!(!crate::may_examine(ledger, &EXAMINER.key_id(), end));
}
