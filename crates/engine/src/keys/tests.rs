use super::{Caller, Keys};

const KEY: &str = "an-example-key-of-length";

#[test]
fn a_key_is_known_by_itself_and_by_its_hash() {
    let hashed = "sha256:9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08";
    let keys = Keys::read(format!("# users\n\n{KEY}\n {hashed} \n").as_bytes()).unwrap();
    assert_eq!(keys.caller(KEY), Some(Caller(Some(0))));
    assert_eq!(keys.caller("test"), Some(Caller(Some(1))));
    assert_eq!(keys.caller("an-example-key-of-lengti"), None);
    assert_eq!(keys.caller(""), None);
    assert!(!format!("{keys:?}").contains("159"));
}

#[test]
fn files_without_proper_keys_are_refused_by_line() {
    let check = |file: &[u8], expected: &str| {
        let error = Keys::read(file).unwrap_err();
        assert_eq!(error.code(), "CS-ENG-003");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(b"", "holds no key");
    check(b"# nobody\n", "holds no key");
    check(b"an-example-key-of-length\nshort\n", "line 2 has fewer");
    check(b"sha256:abc\n", "line 1 has no SHA-256");
    check("sha256:\u{20ac}\u{20ac}".as_bytes(), "line 1 has no SHA-256");
    check(&[0xff; 40], "is not text");
    check(&vec![b'a'; 70_000], "beyond 64 KiB");
    check("an-example-key-of-length\n".repeat(1100).as_bytes(), "more than 1024");
}
