use std::collections::BTreeSet;

use expect_test::expect_file;

use super::text::utc;
use super::{Control, RemarkCode, Report};
use crate::check::tests::busy;
use crate::export::assemble;
use crate::fixture::Plan;
use crate::{Expectations, Export, Section, audit};

fn report() -> Report {
    let realm = busy();
    audit(&realm.export(), &realm.expectations()).unwrap()
}

#[test]
fn the_page_reads_as_it_should() {
    let realm = busy();
    let unpinned = audit(&realm.export(), &Expectations::none()).unwrap();
    expect_file!["../../testdata/page.txt"].assert_eq(&unpinned.render(100));
    let change = Plan::tuning("second").change();
    expect_file!["../../testdata/change.txt"].assert_eq(&unpinned.render_change(&change, 100).unwrap());
    assert_eq!(unpinned.render_change(&Plan::tuning("no such").change(), 100), None);
}

#[test]
fn an_export_without_what_belongs_into_it_says_so() {
    let realm = busy();
    let warned = |file: &[u8]| {
        let report = audit(file, &realm.expectations()).unwrap();
        report.warnings.into_iter().find(|warning| warning.code == RemarkCode::NotCarried)
    };
    let whole = realm.export();
    assert_eq!(warned(&whole), None);
    let export = Export::parse(&whole).unwrap();
    let kept = export.sections().filter(|(name, _)| *name != Section::Attachments);
    let kept = kept.map(|(name, bytes)| (name, bytes.to_vec())).collect();
    let cut = assemble(realm.id(), kept).unwrap().to_bytes();
    assert!(warned(&cut).unwrap().text.contains("1 scopes that slots name"), "{:?}", warned(&cut));
    // By its digest, its slot and the leaf that names it.
    let report = audit(&cut, &realm.expectations()).unwrap();
    let [absent] = report.not_carried.as_slice() else { panic!("{:?}", report.not_carried) };
    let slot = realm.ledger().world().slot(&absent.of.parse().unwrap()).unwrap();
    assert!(slot.definition.body.scopes.values().any(|scope| *scope == absent.digest));
    let page = report.render(100);
    assert!(
        page.contains("Content that is not carried") || page.contains("CONTENT THAT IS NOT CARRIED"),
        "{page}"
    );
    assert!(page.contains(&absent.digest.to_string()), "{page}");
}

#[test]
fn no_line_is_wider_than_the_page() {
    let report = report();
    for width in [60, 80, 120] {
        for line in report.render(width).lines() {
            // A digest or a key that does not fit stands on a line of its own.
            let is_long_word = line.split(' ').any(|word| word.len() > width - 24);
            assert!(line.chars().count() <= width || is_long_word, "{width}: {line}");
        }
    }
    assert_eq!(report.render(0), report.render(60));
}

#[test]
fn the_schema_in_docs_is_this_version_s() {
    expect_file!["../../../../docs/audit-report.schema.json"].assert_eq(&Report::json_schema().unwrap());
}

#[test]
fn the_json_form_obeys_its_schema() {
    let schema = serde_json::from_str(&Report::json_schema().unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let json: serde_json::Value = serde_json::from_str(&report().to_json().unwrap()).unwrap();
    let faults: Vec<String> = validator.iter_errors(&json).map(|fault| fault.to_string()).collect();
    assert_eq!(faults, [""; 0]);
    assert_eq!(json["outcome"], "clean");
    assert_eq!(json["population"]["controls"]["approval"]["effective"], 6);
}

#[test]
fn every_control_is_counted() {
    let report = report();
    let counts: Vec<(u64, u64)> = Control::ALL
        .iter()
        .map(|control| &report.population.controls[control])
        .map(|it| (it.statements, it.effective))
        .collect();
    // Two levels; three reviews and one test on each of three changes; three approvals of two changes and one that
    // does not count; two orders and a rollback.
    assert_eq!(counts, [(2, 2), (9, 9), (3, 3), (7, 6), (3, 3)]);
}

#[test]
fn every_code_is_its_own() {
    let codes: BTreeSet<&str> = RemarkCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes.len(), RemarkCode::ALL.len());
    for code in RemarkCode::ALL {
        assert!(!code.text().is_empty() && !code.hint().is_empty());
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
    }
}

#[test]
fn points_in_time_are_written_as_people_do() {
    assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
    assert_eq!(utc(951_782_399_999), "2000-02-28 23:59:59 UTC");
    assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00 UTC");
    assert_eq!(utc(951_868_800_000), "2000-03-01 00:00:00 UTC");
    assert_eq!(utc(1_800_000_000_000), "2027-01-15 08:00:00 UTC");
    assert_eq!(utc(4_107_542_399_000), "2100-02-28 23:59:59 UTC");
    assert_eq!(utc(4_107_542_400_000), "2100-03-01 00:00:00 UTC");
    assert!(utc(u64::MAX).ends_with("UTC"));
}
