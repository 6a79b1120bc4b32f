use super::Looked;
use crate::artefact::{Artefact, Entry};
use crate::finding::{Finding, Place};
use crate::look::examine;
use crate::report::{More, Unexamined};
use crate::{Rules, Severity};

/// A pickle that would import and call `os.system`.
const EVIL: &[u8] = b"cos\nsystem\n(S'id'\ntR.";

fn honest(rules: &Rules) -> Looked {
    let entry = Entry::file("m/a.pkl", EVIL);
    examine(&Artefact::new(vec![entry]), &entry, rules)
}

#[track_caller]
fn check(change: impl FnOnce(&mut Looked), expected: Option<&str>) {
    let rules = Rules::built_in().unwrap();
    let mut looked = honest(&rules);
    change(&mut looked);
    let checked = looked.check("m/a.pkl", Some(EVIL.len() as u64), &rules);
    match (expected, checked) {
        (None, Ok(())) => {}
        (Some(words), Err(error)) => {
            assert_eq!(error.code(), "CS-SCN-004");
            assert!(error.to_string().contains(words), "{error}");
        }
        (_, checked) => panic!("{checked:?}"),
    }
}

#[test]
fn what_was_seen_is_believed() {
    check(|_| {}, None);
    check(|looked| looked.findings.clear(), None);
    check(
        |looked| looked.findings.iter_mut().for_each(|finding| finding.path = "m/a.pkl!b/c".to_owned()),
        None,
    );
}

#[test]
fn another_file_is_not_spoken_of() {
    let other = "it speaks of";
    check(|looked| looked.findings[0].path = "m/b.pkl".to_owned(), Some(other));
    check(|looked| looked.findings[0].path = "m/a.pklx".to_owned(), Some(other));
    check(
        |looked| looked.unexamined.push(Unexamined { path: "m".to_owned(), why: "words".to_owned() }),
        Some(other),
    );
    let more = |rule: &str, path: &str| More { rule: rule.to_owned(), path: path.to_owned(), findings: 1 };
    check(|looked| looked.more.push(more("SCAN-PKL-001", "x")), Some(other));
    check(|looked| looked.more.push(more("SCAN-XXX-001", "m/a.pkl")), Some("there is no rule"));
    check(|looked| looked.seen[0].path = "x".to_owned(), Some("with its length"));
}

#[test]
fn lengths_rules_and_words_must_be_true() {
    check(|looked| looked.seen[0].bytes += 1, Some("with its length"));
    check(|looked| looked.seen.push(looked.seen[0].clone()), Some("with its length"));
    check(|looked| looked.seen.clear(), Some("with its length"));
    check(|looked| looked.findings[0].severity = Severity::Info, Some("there is no rule"));
    check(|looked| looked.findings[0].rule = "SCAN-XXX-001".to_owned(), Some("there is no rule"));
    check(|looked| looked.findings[0].message = "\u{1b}[2J".to_owned(), Some("a message is none"));
    check(|looked| looked.findings[0].evidence = vec!["x".repeat(1 << 17)], Some("too long"));
    check(|looked| looked.findings[0].place = Place::Tensor("x".repeat(1 << 17)), Some("too long"));
    check(
        |looked| looked.unexamined.push(Unexamined { path: "m/a.pkl".to_owned(), why: "\r".to_owned() }),
        Some("a reason is none"),
    );
}

#[test]
fn it_is_read_strictly() {
    let rules = Rules::built_in().unwrap();
    let looked = honest(&rules);
    let text = serde_json::to_string(&looked).unwrap();
    assert_eq!(serde_json::from_str::<Looked>(&text).unwrap(), looked);
    let unknown = text.replacen('{', "{\"clean\":true,", 1);
    assert!(serde_json::from_str::<Looked>(&unknown).is_err());
    let finding: Finding = looked.findings[0].clone();
    let unknown = serde_json::to_string(&finding).unwrap().replacen('{', "{\"weight\":1,", 1);
    assert!(serde_json::from_str::<Finding>(&unknown).is_err());
}
