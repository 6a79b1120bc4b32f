use super::audit::audited;
use super::median;
use super::report::{replace_section, whole};

#[test]
fn the_median_is_one_of_the_runs() {
    assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(vec![4.0, 1.0]), Some(1.0));
    assert_eq!(median(Vec::new()), None);
}

#[test]
fn a_section_is_replaced_and_the_rest_stays() {
    let document = "a\n<!-- begin log -->\nold\n<!-- end log -->\nb\n";
    let expected = "a\n<!-- begin log -->\nnew\n<!-- end log -->\nb\n";
    assert_eq!(replace_section(document, "log", "new\n").unwrap(), expected);
    assert!(replace_section(document, "vault", "new").is_err());
}

#[test]
fn numbers_have_commas() {
    assert_eq!(whole(12.4), "12");
    assert_eq!(whole(1_234_567.0), "1,234,567");
    assert_eq!(whole(123_456.0), "123,456");
}

#[test]
fn the_audit_says_how_long_it_took() {
    let output = "making the log: 22.53 s, 22.51 s of processor time\nAUDIT: 4.25 s, 8.5 s of processor time\n\
                  report as JSON: 0.10 s, 0.10 s of processor time\nClean, 11097 changes, 33 MB of JSON\n";
    assert_eq!(audited(output), Some((4.25, "Clean".to_owned())));
    assert_eq!(audited("AUDIT: soon\nClean, x"), None);
    assert_eq!(audited("nothing"), None);
}
