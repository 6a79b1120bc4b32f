//! What channels carry: submissions, forwarded ones, receipts.

use std::collections::BTreeSet;

use audit::fixture::{Plan, Who};
use statement::{Digest, Tracking};

use super::scene::{Draft, HOUR_MS, SENDER, Scene, read, refused, sections};
use crate::{BundleError, Direction, SectionKind, Submission, accept_receipt, accept_submission};

/// A client's submission to the intake: Ada's proposal, its state, its adapter.
fn draft(scene: &Scene, author: Who, to: Who) -> Draft {
    let plan = Plan::tuning("another");
    let about = Tracking::Change(plan.change());
    let state = scene.realm.sign(&about, scene.realm.target_state(plan), &[author]);
    let proposal = scene.realm.sign(&about, scene.realm.proposal(plan), &[author]);
    let mut draft = scene.draft();
    draft.header.about.as_mut().unwrap().change = plan.change();
    draft.header.about.as_mut().unwrap().proposal = proposal.id();
    draft.header.direction = Direction::Submission;
    draft.header.head = None;
    draft.header.from = author.key_id();
    draft.header.to = to.key_id();
    let content = format!("adapter {} {}", plan.slot, plan.label).into_bytes();
    draft.sections = vec![
        (SectionKind::Statement, state.to_bytes().unwrap()),
        (SectionKind::Statement, proposal.to_bytes().unwrap()),
        (SectionKind::Content, content),
    ];
    draft
}

/// The intake's own bundle around a client's.
fn forwarded(inner: &[u8], intake: Who, to: Who) -> Draft {
    let whole = read(inner).unwrap();
    let mut header = whole.signed().header().clone();
    header.answers = Some(*whole.signed().id());
    header.from = intake.key_id();
    header.to = to.key_id();
    header.nonce = statement::Bytes::new(vec![3; 16]);
    let mut parts = vec![(SectionKind::Request, whole.signed().as_bytes().to_vec())];
    for kind in [SectionKind::Statement, SectionKind::Content] {
        parts.extend(sections(&whole, inner, kind).into_iter().map(|bytes| (kind, bytes)));
    }
    Draft { header, sections: parts }
}

fn take(scene: &Scene, bytes: &[u8], to: Who, later_ms: u64) -> Result<Submission, BundleError> {
    let whole = read(bytes)?;
    let inner = sections(&whole, bytes, SectionKind::Request).pop();
    let statements = sections(&whole, bytes, SectionKind::Statement);
    let here = (scene.realm.id(), scene.root(), to.key_id());
    let now_ms = scene.realm.now_ms() + later_ms;
    accept_submission(&whole, inner.as_deref(), &statements, &BTreeSet::new(), here, now_ms)
}

/// Any key: the channel gives no rights.
const INTAKE: Who = Who::Rollout;

#[test]
fn a_submission_goes_through_the_intake_and_stays_its_author_s() {
    let scene = Scene::new();
    let inner = draft(&scene, Who::Ada, INTAKE).signed(Who::Ada);
    assert_eq!(take(&scene, &inner, INTAKE, 0).unwrap().author(), Who::Ada.key_id());
    let outer = forwarded(&inner, INTAKE, SENDER).signed(INTAKE);
    let submission = take(&scene, &outer, SENDER, 0).unwrap();
    assert_eq!(submission.author(), Who::Ada.key_id());
    assert_eq!(submission.envelopes().len(), 2);
    // The state comes before the proposal that leads to it, wherever they stand in the file.
    let mut realm = Scene::new().realm;
    for envelope in submission.envelopes() {
        realm.submit(envelope);
        assert!(realm.ledger().has_applied(&envelope.id()));
    }
    refused(take(&scene, &outer, INTAKE, 0), "CS-BUN-010");
    refused(take(&scene, &outer, SENDER, 24 * HOUR_MS), "CS-BUN-011");
    refused(take(&scene, &scene.request(), SENDER, 0), "CS-BUN-007");
}

#[test]
fn an_intake_can_neither_alter_nor_add_nor_redirect() {
    let scene = Scene::new();
    let inner = draft(&scene, Who::Ada, INTAKE).signed(Who::Ada);
    let check = |code: &str, change: &dyn Fn(&mut Draft)| {
        let mut draft = forwarded(&inner, INTAKE, SENDER);
        change(&mut draft);
        refused(take(&scene, &draft.signed(INTAKE), SENDER, 0), code);
    };
    check("CS-BUN-022", &|draft| draft.sections.truncate(2));
    check("CS-BUN-022", &|draft| draft.sections.push((SectionKind::Content, b"more".to_vec())));
    check("CS-BUN-022", &|draft| draft.header.answers = Some(Digest::of(b"another")));
    check("CS-BUN-022", &|draft| draft.header.about.as_mut().unwrap().change = scene.change());
    // Its own statement in the author's place.
    let own = draft(&scene, INTAKE, INTAKE);
    let mut mixed = draft(&scene, Who::Ada, INTAKE);
    mixed.sections[1].1.clone_from(&own.sections[1].1);
    refused(take(&scene, &mixed.signed(Who::Ada), INTAKE, 0), "CS-BUN-027");
    // Another intake than the author gave it to.
    let stolen = forwarded(&inner, Who::Monitor, SENDER).signed(Who::Monitor);
    refused(take(&scene, &stolen, SENDER, 0), "CS-BUN-022");
    // A content that no statement names.
    let mut more = draft(&scene, Who::Ada, INTAKE);
    more.sections.push((SectionKind::Content, b"more".to_vec()));
    refused(take(&scene, &more.signed(Who::Ada), INTAKE, 0), "CS-BUN-021");
}

#[test]
fn what_several_have_signed_is_brought_by_one_of_them_and_by_nobody_else() {
    let scene = Scene::new();
    let about = Tracking::Realm;
    let freeze = statement::kind::Freeze {
        action: statement::kind::FreezeAction::Begin,
        reason: "drill".parse().unwrap(),
        target: statement::kind::FreezeTarget::Realm,
    };
    let together = scene.realm.sign(&about, freeze, &[Who::Ada, Who::Fay]);
    let brought = |who: Who, bytes: Vec<u8>| {
        let mut draft = draft(&scene, who, INTAKE);
        // It is about the realm, and no change.
        draft.header.about = None;
        draft.sections = vec![(SectionKind::Statement, bytes)];
        take(&scene, &draft.signed(who), INTAKE, 0)
    };
    for who in [Who::Ada, Who::Fay] {
        assert_eq!(brought(who, together.to_bytes().unwrap()).unwrap().author(), who.key_id());
    }
    // What monitors sign, a gateway brings: whether this is one, the record says.
    assert_eq!(brought(Who::Gil, together.to_bytes().unwrap()).unwrap().carried(), Some(0));
    assert_eq!(brought(Who::Ada, together.to_bytes().unwrap()).unwrap().carried(), None);
    let mut bare = together.clone();
    bare.signatures.clear();
    refused(brought(Who::Gil, bare.to_bytes().unwrap()), "CS-BUN-027");
    let hold = statement::kind::Hold {
        action: statement::kind::HoldAction::Place,
        matter: "drill".parse().unwrap(),
        targets: BTreeSet::new(),
    };
    let of_another = scene.realm.sign(&about, hold, &[Who::Ada]);
    refused(brought(Who::Gil, of_another.to_bytes().unwrap()), "CS-BUN-027");
    // Who brings it vouches for their own signature alone: the others' are the fold's matter.
    let mut forged = together.clone();
    forged.signatures[0].sig = statement::Bytes::new(vec![0; 64]);
    let own = forged.signatures[0].keyid;
    for who in [Who::Ada, Who::Fay] {
        let taken = brought(who, forged.to_bytes().unwrap());
        if who.key_id() == own {
            refused(taken, "CS-BUN-027");
        } else {
            assert_eq!(taken.unwrap().author(), who.key_id());
        }
    }
}

#[test]
fn a_receipt_answers_one_bundle_of_one_sender() {
    let scene = Scene::new();
    let sent = read(&draft(&scene, Who::Ada, INTAKE).signed(Who::Ada)).unwrap();
    let receipt = |change: &dyn Fn(&mut Draft)| {
        let mut draft = scene.draft();
        draft.header.direction = Direction::Receipt;
        draft.header.head = None;
        draft.header.answers = Some(*sent.signed().id());
        draft.header.from = INTAKE.key_id();
        draft.header.to = Who::Ada.key_id();
        draft.sections.clear();
        change(&mut draft);
        let who = if draft.header.from == INTAKE.key_id() { INTAKE } else { SENDER };
        read(&draft.signed(who)).unwrap()
    };
    let taken = receipt(&|_| {});
    assert_eq!(accept_receipt(&taken, sent.signed(), INTAKE.key_id()).unwrap(), None);
    let leaf = receipt(&|draft| draft.header.leaf = Some(41));
    assert_eq!(accept_receipt(&leaf, sent.signed(), INTAKE.key_id()).unwrap(), None);
    let not = receipt(&|draft| draft.header.refused = Some("CS-FLD-006".parse().unwrap()));
    assert_eq!(accept_receipt(&not, sent.signed(), INTAKE.key_id()).unwrap(), Some("CS-FLD-006"));
    let another = receipt(&|draft| draft.header.answers = Some(Digest::of(b"another")));
    refused(accept_receipt(&another, sent.signed(), INTAKE.key_id()), "CS-BUN-022");
    let stranger = receipt(&|draft| draft.header.from = SENDER.key_id());
    refused(accept_receipt(&stranger, sent.signed(), INTAKE.key_id()), "CS-BUN-022");
    refused(accept_receipt(&sent, sent.signed(), Who::Ada.key_id()), "CS-BUN-007");
}
