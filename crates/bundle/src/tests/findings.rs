//! What the realm takes back, and what it does not.

use audit::fixture::{Plan, Who};
use statement::{Digest, Envelope, Tracking};

use super::scene::{Draft, EXAMINER, HOUR_MS, REPORT, SENDER, Scene, refused};
use crate::SectionKind;

#[test]
fn findings_are_taken_once() {
    let mut scene = Scene::new();
    let bytes = scene.answer(&scene.request()).signed(EXAMINER);
    let findings = scene.take_findings(&bytes).unwrap();
    assert_eq!(findings.attachments().iter().collect::<Vec<_>>(), [&Digest::of(REPORT)]);
    let [envelope] = findings.envelopes() else { panic!("one finding") };
    // The log takes it, and then it is there.
    scene.realm.submit(envelope);
    assert!(scene.realm.ledger().has_applied(&envelope.id()));
    refused(scene.take_findings(&bytes), "CS-BUN-012");
}

#[test]
fn what_was_found_later_is_taken_beside_what_is_there() {
    let mut scene = Scene::new();
    let request = scene.request();
    let first = scene.take_findings(&scene.answer(&request).signed(EXAMINER)).unwrap();
    scene.realm.submit(&first.envelopes()[0]);
    let mut draft = scene.answer(&request);
    let mut again = scene.finding();
    again.measures.insert("again".parse().unwrap(), 1);
    let again = scene.envelope(again, EXAMINER);
    draft.sections.push((SectionKind::Finding, again.clone()));
    let both = draft.signed(EXAMINER);
    let findings = scene.take_findings(&both).unwrap();
    assert_eq!(findings.attachments(), first.attachments());
    let [envelope] = findings.envelopes() else { panic!("what is there was taken again") };
    assert_eq!(envelope.to_bytes().unwrap(), again);
    scene.realm.submit(envelope);
    refused(scene.take_findings(&both), "CS-BUN-012");
}

#[track_caller]
fn check(code: &str, change: impl FnOnce(&Scene, &mut Draft)) {
    check_from(EXAMINER, code, change);
}

#[track_caller]
fn check_from(who: Who, code: &str, change: impl FnOnce(&Scene, &mut Draft)) {
    let scene = Scene::new();
    let mut draft = scene.answer(&scene.request());
    draft.header.from = who.key_id();
    change(&scene, &mut draft);
    refused(scene.take_findings(&draft.signed(who)), code);
}

#[test]
fn what_is_for_somebody_else_is_refused() {
    check("CS-BUN-010", |_, draft| draft.header.to = Who::Lea.key_id());
    check("CS-BUN-008", |_, draft| draft.header.realm = "other".parse().unwrap());
    check("CS-BUN-009", |_, draft| draft.header.root = draft.header.about.as_ref().unwrap().proposal);
    let scene = Scene::new();
    let request = scene.request();
    refused(scene.take(&scene.answer(&request).signed(EXAMINER)).map(drop), "CS-BUN-007");
}

#[test]
fn an_expired_one_is_refused_and_so_is_an_answer_to_one() {
    let scene = Scene::new();
    let bytes = scene.answer(&scene.request()).signed(EXAMINER);
    scene.take_findings_at(&bytes, 24 * HOUR_MS - 1).unwrap();
    refused(scene.take_findings_at(&bytes, 24 * HOUR_MS), "CS-BUN-011");
    refused(scene.take_findings_at(&bytes, 26 * HOUR_MS), "CS-BUN-011");
}

#[test]
fn only_what_was_asked_for_is_taken() {
    // Another's request, though its signature is good.
    check("CS-BUN-022", |scene, draft| {
        let mut other = scene.draft();
        other.header.from = Who::Lea.key_id();
        other.list();
        let (signed, _) = other.sealed(Who::Lea);
        draft.header.answers = Some(*signed.id());
        draft.sections[0].1 = signed.as_bytes().to_vec();
    });
    // A request to another examiner.
    check_from(Who::Cas, "CS-BUN-022", |_, _| {});
    // Not the one that is named.
    check("CS-BUN-022", |_, draft| draft.header.answers = Some(Digest::of(b"another")));
    // A request that was altered on the way.
    check("CS-BUN-002", |_, draft| draft.sections[0].1.truncate(100));
}

#[test]
fn findings_about_another_change_are_refused() {
    check("CS-BUN-023", |_, draft| {
        draft.header.about.as_mut().unwrap().change = Plan::tuning("other").change();
    });
    check("CS-BUN-026", |scene, draft| {
        let finding = scene.finding();
        let about = Tracking::Change(Plan::tuning("other").change());
        draft.sections[1].1 = scene.realm.sign(&about, finding, &[EXAMINER]).to_bytes().unwrap();
    });
    check("CS-BUN-026", |scene, draft| {
        let mut finding = scene.finding();
        finding.proposal = scene.root();
        draft.sections[1].1 = scene.envelope(finding, EXAMINER);
    });
    // The change was proposed anew while the bundle was under way.
    let mut scene = Scene::new();
    let bytes = scene.answer(&scene.request()).signed(EXAMINER);
    let change = scene.change();
    let mut proposal = scene.realm.dossier(&change).proposal.body.clone();
    proposal.replaces = Some(scene.realm.dossier(&change).proposal.id);
    scene.realm.establish(&Tracking::Change(change), proposal, &[Who::Ada]);
    refused(scene.take_findings(&bytes), "CS-BUN-019");
}

#[test]
fn a_finding_is_its_sender_s_own_and_rests_on_what_was_sent() {
    check("CS-BUN-027", |scene, draft| draft.sections[1].1 = scene.envelope(scene.finding(), Who::Cas));
    check("CS-BUN-027", |scene, draft| {
        let mut envelope = Envelope::parse(&scene.envelope(scene.finding(), EXAMINER)).unwrap();
        envelope.signatures.clear();
        draft.sections[1].1 = envelope.to_bytes().unwrap();
    });
    check("CS-BUN-028", |scene, draft| {
        let mut finding = scene.finding();
        finding.inputs.insert(Digest::of(b"something else"));
        draft.sections[1].1 = scene.envelope(finding, EXAMINER);
    });
    check("CS-BUN-024", |_, draft| draft.sections[1].1.truncate(10));
    check("CS-BUN-025", |scene, draft| {
        let body = scene.realm.dossier(&scene.change()).proposal.body.clone();
        let about = Tracking::Change(scene.change());
        draft.sections[1].1 = scene.realm.sign(&about, body, &[EXAMINER]).to_bytes().unwrap();
    });
}

#[test]
fn evidence_is_carried_whole_and_alone() {
    check("CS-BUN-020", |_, draft| draft.sections.truncate(2));
    check("CS-BUN-021", |_, draft| draft.sections.push((SectionKind::Content, b"beside".to_vec())));
}

#[test]
fn a_sender_who_is_no_examiner_is_refused() {
    let scene = Scene::new();
    // The request asked the automation key itself.
    let mut asked = scene.draft();
    asked.header.to = Who::Ada.key_id();
    let request = asked.signed(SENDER);
    let mut draft = scene.answer(&request);
    draft.header.from = Who::Ada.key_id();
    refused(scene.take_findings(&draft.signed(Who::Ada)), "CS-BUN-018");
}
