use std::collections::BTreeMap;

use super::render::cell;
use super::scan::sites;
use super::{Manner, Site, add, in_text, is_code};

#[track_caller]
fn check(source: &str, manner: Manner, code: &str, meanings: &[&str], hint: Option<&str>) {
    let file = syn::parse_file(source).unwrap();
    let expected = Site {
        code: code.to_owned(),
        manner,
        meanings: meanings.iter().map(|&meaning| meaning.to_owned()).collect(),
        hint: hint.map(str::to_owned),
    };
    let found = sites(&[file]);
    assert!(found.contains(&expected), "{expected:?} is not among {found:#?}");
}

const ERROR: &str = r#"
    enum Error {
        /// Not shown: there is a message.
        #[error("`{}` is not there", path.display())] A { path: P },
        /// Two of a kind. More about it.
        B(u8),
        #[error("of a third kind")] C,
    }
    impl Error {
        fn code(&self) -> &'static str {
            match self { Self::A { .. } => "CS-TST-001", Self::B(_) | Self::C => { "CS-TST-002" } }
        }
        fn hint(&self) -> &'static str {
            match self { Self::A { .. } => { "look" } Self::B(_) | Self::C => "look again" }
        }
    }
"#;

#[test]
fn arms_take_the_message_and_the_hint_of_their_variant() {
    check(ERROR, Manner::Defined, "CS-TST-001", &["`{}` is not there"], Some("look"));
}

#[test]
fn a_variant_without_a_message_is_described_by_its_documentation() {
    check(ERROR, Manner::Defined, "CS-TST-002", &["Two of a kind", "of a third kind"], Some("look again"));
}

#[test]
fn code_and_hint_may_stand_together() {
    let source = r#"enum E { #[error("no")] A } impl E { fn both(&self) -> (&str, &str) { match self { E::A => ("CS-TST-003", "try") } } }"#;
    check(source, Manner::Defined, "CS-TST-003", &["no"], Some("try"));
}

#[test]
fn tables_are_read() {
    let source = r#"codes! { A "CS-TST-004" "it is so" "do that", B "CS-TST-005" "it is not" "do this", }"#;
    check(source, Manner::Defined, "CS-TST-004", &["it is so"], Some("do that"));
    check(source, Manner::Defined, "CS-TST-005", &["it is not"], Some("do this"));
    let source = r#"rules! { /// It is outside. Parts per million.
        A "CS-TST-006" Outside "stay"; }"#;
    check(source, Manner::Defined, "CS-TST-006", &["It is outside"], Some("stay"));
}

#[test]
fn calls_are_read() {
    let source =
        r#"fn f() { let message = format!("`{x}` is odd"); fail("CS-TST-007", message, "make it even"); }"#;
    check(source, Manner::Called, "CS-TST-007", &["`{x}` is odd"], Some("make it even"));
}

#[test]
fn a_code_in_another_place_is_a_mention() {
    check(r#"fn f() -> bool { code == "CS-TST-008" }"#, Manner::Mentioned, "CS-TST-008", &[], None);
}

#[test]
fn tests_give_out_nothing() {
    let file = syn::parse_file(r#"#[cfg(test)] mod tests { fn f() { g("CS-TST-009", "a", "b") } }"#).unwrap();
    assert_eq!(sites(&[file]), []);
}

#[test]
fn codes_are_known_by_their_form() {
    assert!(is_code("CS-LOG-003") && is_code("CS-GATE-041"));
    assert!(
        !is_code("CS-LOG-03") && !is_code("CS-log-003") && !is_code("CS-LOG") && !is_code("CS-LOG-003-1")
    );
    assert_eq!(in_text(r#"a => "CS-LOG-003", b => "no", CS-LOG-004"#), ["CS-LOG-003"]);
}

#[test]
fn cells_are_one_line_without_bars_and_places() {
    assert_eq!(cell("`{}` of\n  {size:?} | {{x}}"), "`…` of … \\| {x}");
}

#[test]
fn a_code_is_defined_once_and_may_be_called_often() {
    let site = |manner, meaning: &str, hint: &str| Site {
        code: "CS-TST-010".to_owned(),
        manner,
        meanings: vec![meaning.to_owned()],
        hint: Some(hint.to_owned()),
    };
    let mut entries = BTreeMap::new();
    add(&mut entries, site(Manner::Called, "no key", "make one")).unwrap();
    add(&mut entries, site(Manner::Called, "no slot", "define one")).unwrap();
    assert_eq!(entries["CS-TST-010"].meanings, ["no key", "no slot"]);
    assert_eq!(entries["CS-TST-010"].hints, ["define one", "make one"]);
    assert!(add(&mut entries, site(Manner::Defined, "no person", "enrol one")).is_err());
}
