mod attested;
mod corpus;
mod examined;
mod forged;
mod log;
mod tampered;

use std::collections::BTreeMap;

use statement::kind::{Capacity, EvidenceKind};
use statement::{ChangeId, Tracking};

use super::*;
use crate::fixture::{Plan, Realm, Who};
use crate::report::{Compared, Outcome, RemarkCode};

/// One change ordered, one serving, one approved by its proposer, one rolled back.
pub(crate) fn busy() -> Realm {
    let mut realm = Realm::new();
    let first = realm.release(Plan::tuning("first"));
    realm.serve(&first);
    realm.advance_ms(60_000);
    let second = realm.release(Plan::tuning("second"));
    realm.roll_back(&second);
    let third = realm.propose(Plan::tuning("third"));
    realm.examine(&third, 900);
    realm.verdict(&third);
    let own = realm.approval(&third, Capacity::Technical);
    realm.say(&Tracking::Change(third), own, &[Who::Ada]);
    realm
}

pub(super) fn parts(file: &[u8]) -> BTreeMap<Section, Vec<u8>> {
    Export::parse(file).unwrap().sections().map(|(name, bytes)| (name, bytes.to_vec())).collect()
}

pub(super) fn whole(sections: &BTreeMap<Section, Vec<u8>>) -> Vec<u8> {
    export::assemble(&"example".parse().unwrap(), sections.clone()).unwrap().to_bytes()
}

#[track_caller]
pub(super) fn refused(file: &[u8], expectations: &Expectations, code: &str) -> AuditError {
    let error = audit(file, expectations).expect_err("a file to be refused");
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.hint().is_empty());
    error
}

#[track_caller]
pub(super) fn remarks(report: &Report, reasons: &[RemarkCode], warnings: &[RemarkCode]) {
    let codes = |remarks: &[crate::report::Remark]| remarks.iter().map(|it| it.code).collect::<Vec<_>>();
    assert_eq!(codes(&report.reasons), reasons);
    assert_eq!(codes(&report.warnings), warnings);
    assert_eq!(report.is_clean(), reasons.is_empty());
}

#[test]
fn a_record_with_everything_in_order_is_clean() {
    let realm = busy();
    let report = audit(&realm.export(), &realm.expectations()).unwrap();
    remarks(&report, &[], &[]);
    assert_eq!(report.outcome, Outcome::Clean);
    assert_eq!(report.trust.first_root, Compared::Same);
    assert_eq!(report.checkpoint.witnesses.len(), 2);
    let population = &report.population;
    assert_eq!((population.from, population.to), (0, realm.entries().len() as u64));
    assert_eq!(population.statements, population.effective + population.no_ops);
    assert_eq!((population.no_ops, population.changes), (1, 3));
    let states: Vec<&str> = report.changes.iter().map(|change| change.state.as_str()).collect();
    // The slot went back to the first change.
    assert_eq!(states, ["serving", "rolled back", "examined: pass"]);
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let realm = busy();
    let file = realm.export();
    let with =
        |threads| Expectations { threads: NonZeroUsize::new(threads).unwrap(), ..realm.expectations() };
    let one = audit(&file, &with(1)).unwrap();
    for threads in [2, 3, 7, 1000] {
        assert_eq!(audit(&file, &with(threads)).unwrap(), one);
    }
    let mut sections = parts(&file);
    let hashes = sections.get_mut(&Section::Hashes).unwrap();
    hashes[32 * 9] ^= 1;
    hashes[32 * 30] ^= 1;
    for threads in [1, 2, 7, 1000] {
        // Another hash makes another root as well; the leaf is named, and the first of them.
        let error = refused(&whole(&sections), &with(threads), "CS-AUD-009");
        assert!(error.to_string().contains("leaf `9`"), "{error}");
    }
}

#[test]
fn what_the_auditor_does_not_know_is_said() {
    let realm = busy();
    let report = audit(&realm.export(), &Expectations::none()).unwrap();
    remarks(&report, &[], &[RemarkCode::RootNotCompared]);
    assert!(report.warnings[0].text.contains(&report.trust.roots[0].to_string()));
    let late = Expectations { now_ms: Some(u64::MAX), ..realm.expectations() };
    remarks(&audit(&realm.export(), &late).unwrap(), &[], &[RemarkCode::RootExpired, RemarkCode::Old]);
}

#[test]
fn missing_witnesses_are_counted() {
    let realm = busy();
    let size = realm.entries().len() as u64;
    let file = realm.export_with(&realm.checkpoint(size, 0), None).to_bytes();
    let report = audit(&file, &realm.expectations()).unwrap();
    remarks(&report, &[RemarkCode::Unwitnessed], &[]);
    assert_eq!(report.reasons[0].text, "unwitnessed: 0 of 1");
    let file = realm.export_with(&realm.checkpoint(size, 1), None).to_bytes();
    remarks(&audit(&file, &realm.expectations()).unwrap(), &[], &[]);
}

#[test]
fn a_log_clock_ahead_of_the_witnesses_is_told() {
    let mut realm = busy();
    let early = realm.checkpoint(0, 0);
    assert_eq!(early.claims().size(), 0);
    let size = realm.entries().len() as u64;
    // The witness cosigns ten seconds after the fixture's present moment, which lies behind the stamps here.
    let entry = {
        let mut ahead = Realm::new();
        ahead.advance_ms(3_600_000);
        let finding = realm.finding(&Plan::tuning("third").change(), EvidenceKind::RedTeam);
        let about = Tracking::Change(Plan::tuning("third").change());
        let envelope = ahead.sign(&about, finding, &[Who::Ben]);
        statement::leaf::stamp(&envelope.to_bytes().unwrap(), ahead.now_ms())
    };
    realm.log(entry);
    let file = realm.export_with(&realm.checkpoint(size + 1, 1), None).to_bytes();
    remarks(&audit(&file, &realm.expectations()).unwrap(), &[RemarkCode::StampAhead], &[]);
}

#[test]
fn the_population_begins_where_the_earlier_checkpoint_ends() {
    let mut realm = busy();
    let from = realm.entries().len() as u64;
    let earlier = realm.checkpoint(from, 1);
    realm.release(Plan::tuning("fourth"));
    let size = realm.entries().len() as u64;
    let file = realm.export_with(&realm.checkpoint(size, 1), Some(&earlier)).to_bytes();
    let report = audit(&file, &realm.expectations()).unwrap();
    remarks(&report, &[], &[RemarkCode::BeginsLater]);
    assert!(report.warnings[0].text.contains(&format!("leaves 0 to {}", from - 1)));
    assert!(report.render(100).contains(&format!("The leaves before {from} are in this file")));
    assert_eq!((report.population.from, report.population.to), (from, size));
    assert_eq!((report.population.statements, report.population.no_ops), (size - from, 0));
    assert_eq!((report.population.changes, report.changes.len()), (1, 4));
    // From nothing, and from the whole.
    for from in [realm.checkpoint(0, 0), realm.checkpoint(size, 0)] {
        let file = realm.export_with(&realm.checkpoint(size, 1), Some(&from)).to_bytes();
        assert_eq!(audit(&file, &realm.expectations()).unwrap().population.from, from.claims().size());
    }
}

#[test]
fn the_age_of_the_checkpoint_is_told_and_held_against_what_the_auditor_accepts() {
    const HOUR_MS: u64 = 3_600_000;
    let realm = busy();
    // The fixture's witnesses cosign ten seconds from now.
    let at = |after_ms: u64, age_max_ms: Option<u64>| {
        let now_ms = Some(realm.now_ms() + 10_000 + after_ms);
        audit(&realm.export(), &Expectations { now_ms, age_max_ms, ..realm.expectations() }).unwrap()
    };
    let report = at(3 * HOUR_MS + 60_000, None);
    remarks(&report, &[], &[]);
    assert_eq!(report.checkpoint.age_ms, Some(3 * HOUR_MS + 60_000));
    assert!(report.render(120).contains("3 h 1 min by your clock"), "{}", report.render(120));
    remarks(&at(24 * HOUR_MS, Some(24 * HOUR_MS)), &[], &[]);
    let report = at(25 * HOUR_MS, None);
    remarks(&report, &[], &[RemarkCode::Old]);
    assert_eq!(report.warnings[0].text, "1 d 1 h old");
    let report = at(25 * HOUR_MS, Some(HOUR_MS));
    remarks(&report, &[RemarkCode::TooOld], &[RemarkCode::Old]);
    assert_eq!(report.reasons[0].text, "1 d 1 h old, not 1 h");
    // A clock behind the witnesses' finds it new, none at all says nothing, and where nobody witnessed nobody knows.
    assert_eq!(at(0, None).checkpoint.age_ms, Some(0));
    let report = audit(&realm.export(), &Expectations { now_ms: None, ..realm.expectations() }).unwrap();
    assert_eq!(report.checkpoint.age_ms, None);
    let size = realm.entries().len() as u64;
    let file = realm.export_with(&realm.checkpoint(size, 0), None).to_bytes();
    let strict = Expectations { age_max_ms: Some(u64::MAX), ..realm.expectations() };
    remarks(&audit(&file, &strict).unwrap(), &[RemarkCode::Unwitnessed, RemarkCode::TooOld], &[]);
}

#[test]
fn a_beginning_that_nobody_witnessed_is_remarked() {
    let realm = busy();
    let size = realm.entries().len() as u64;
    let file = realm.export_with(&realm.checkpoint(size, 1), Some(&realm.checkpoint(9, 0))).to_bytes();
    let report = audit(&file, &realm.expectations()).unwrap();
    remarks(&report, &[], &[RemarkCode::BeginsLater, RemarkCode::BeginUnwitnessed]);
    assert_eq!(report.warnings[1].text, "at leaf 9: 0 of 1");
}

#[test]
fn an_export_that_was_cut_back_shows_both_checkpoints() {
    let mut realm = busy();
    let old = realm.export();
    let first = realm.checkpoint(9, 1);
    realm.release(Plan::tuning("fourth"));
    let known = realm.checkpoint(realm.entries().len() as u64, 1);
    let with = |known: &[&[u8]]| Expectations {
        known: known.iter().map(|bytes| bytes.to_vec()).collect(),
        ..realm.expectations()
    };
    // What is known is in the new one, whole; the old one by itself is clean.
    for size in [0, 1, 9, realm.entries().len() as u64] {
        let known = realm.checkpoint(size, 0).to_bytes();
        remarks(&audit(&realm.export(), &with(&[&known, &first.to_bytes()])).unwrap(), &[], &[]);
    }
    remarks(&audit(&old, &with(&[])).unwrap(), &[], &[]);
    let error = refused(&old, &with(&[&first.to_bytes(), &known.to_bytes()]), "CS-AUD-034");
    let shown: Vec<String> = error.evidence().into_iter().map(|(_, text)| text).collect();
    assert_eq!(shown.len(), 2);
    assert_eq!(shown[0].as_bytes(), known.to_bytes());
    assert!(shown[0] != shown[1]);
    // Another history of the same log: both again.
    let mut other = busy();
    other.advance_ms(1);
    other.release(Plan::tuning("hidden"));
    let size = other.entries().len() as u64;
    let error = refused(&realm.export(), &with(&[&other.checkpoint(size, 1).to_bytes()]), "CS-AUD-021");
    assert_eq!(error.evidence().len(), 2);
    // What is no checkpoint of this log is no comparison.
    refused(&old, &with(&[b"nothing"]), "CS-AUD-033");
    refused(&old, &with(&[&Realm::found("elsewhere").checkpoint(0, 0).to_bytes()]), "CS-AUD-033");
}

#[test]
fn a_change_that_users_got_from_engines_that_nothing_ties_is_remarked() {
    let mut realm = Realm::new();
    realm.ask_for_bound_engines();
    let engine = statement::kind::DirectoryEntry {
        key: Who::Stranger.public_key(),
        person: "p-engines".parse().unwrap(),
        roles: [statement::kind::Role::Engine].into(),
        ..Who::Rollout.entry()
    };
    realm.establish(&Tracking::Realm, engine, &[Who::OfficerOne, Who::OfficerTwo]);
    let bind = |realm: &mut Realm, change: &ChangeId, level| {
        let dossier = realm.dossier(change);
        let binding = statement::kind::EngineBinding {
            arguments: Digest::of(b"[]"),
            binary: Digest::of(b"binary"),
            boot: Digest::of(b"boot"),
            channel: Who::Ada.public_key(),
            level,
            order: dossier.order.as_ref().unwrap().id,
            state: dossier.proposal.body.target_state,
        };
        realm.establish(&Tracking::Change(change.clone()), binding, &[Who::Stranger]);
    };
    // Bound before it was served, bound too little, bound when it was too late.
    let bound = realm.release(Plan::tuning("bound"));
    bind(&mut realm, &bound, statement::kind::BindingLevel::Launched);
    realm.serve(&bound);
    let little = realm.release(Plan::tuning("little"));
    bind(&mut realm, &little, statement::kind::BindingLevel::Declared);
    realm.serve(&little);
    let late = realm.release(Plan::tuning("late"));
    realm.serve(&late);
    bind(&mut realm, &late, statement::kind::BindingLevel::Launched);
    let report = audit(&realm.export(), &realm.expectations()).unwrap();
    let told: Vec<_> = report.warnings.iter().filter(|warning| warning.code == RemarkCode::Unbound).collect();
    let is_about = |change: &ChangeId| told.iter().filter(|it| it.text.contains(change.short())).count();
    assert_eq!((told.len(), is_about(&bound), is_about(&little), is_about(&late)), (2, 0, 1, 1), "{told:?}");
}
