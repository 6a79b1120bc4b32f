use super::*;

fn matches(pattern: &str, path: &str) -> bool {
    pattern.parse::<Pattern>().unwrap().matches(path)
}

#[test]
fn wildcards_keep_to_their_segments() {
    assert!(matches("model.layers.*.q_proj", "model.layers.11.q_proj"));
    assert!(!matches("model.layers.*.q_proj", "model.layers.1.self_attn.q_proj"));
    assert!(matches("model.**.q_proj", "model.layers.1.self_attn.q_proj"));
    assert!(matches("**.q_proj", "q_proj"));
    assert!(!matches("**.q_proj", "xq_proj"));
    assert!(matches("model.layers.1*.*_proj", "model.layers.1.q_proj"));
    assert!(!matches("model.layers.1*.*_proj", "model.layers.2.q_proj"));
    assert!(matches("**", "a.b.c"));
    assert!(!matches("*", "a.b"));
    assert!(!matches("a.b", "a.b.c"));
    assert!(!matches("a.b.c", "a.b"));
    assert!(matches("a.**", "a"));
    assert!(matches("**.a.**.a.**", "x.a.y.a"));
}

#[test]
fn malformed_patterns_are_refused() {
    for bad in ["", ".", "a.", ".a", "a..b", "a**", "**a", "a.***", "a b", "a\n", "a\u{200b} b"] {
        assert_eq!(bad.parse::<Pattern>().map_err(|error| error.code()), Err("CS-TSR-029"), "{bad:?}");
    }
    assert!("a".repeat(Pattern::BYTES_MAX + 1).parse::<Pattern>().is_err());
}

#[test]
fn long_patterns_do_not_blow_up() {
    // A matcher that backtracks over every wildcard would need more than 10^100 steps here.
    assert!(!matches(&format!("{}b", "a*".repeat(500)), &"a".repeat(1000)));
    assert!(!matches(&format!("{}b", "**.a.".repeat(200)), &vec!["a"; 500].join(".")));
}

/// The plain recursive definition.
fn plainly(pattern: &[&str], path: &[&str]) -> bool {
    fn within(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|taken| within(rest, &text[taken..])),
            Some((byte, rest)) => text.first() == Some(byte) && within(rest, &text[1..]),
        }
    }
    match pattern.split_first() {
        None => path.is_empty(),
        Some((&"**", rest)) => (0..=path.len()).any(|taken| plainly(rest, &path[taken..])),
        Some((segment, rest)) => match path.split_first() {
            Some((first, others)) => within(segment.as_bytes(), first.as_bytes()) && plainly(rest, others),
            None => false,
        },
    }
}

proptest! {
    #[test]
    fn agrees_with_the_plain_definition(
        pattern in prop::collection::vec("\\*\\*|\\*|[ab]{1,2}|[ab]?\\*[ab]", 1..6),
        path in prop::collection::vec("[ab]{1,3}", 1..6),
    ) {
        let pattern: Vec<&str> = pattern.iter().map(String::as_str).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        prop_assert_eq!(matches(&pattern.join("."), &path.join(".")), plainly(&pattern, &path));
    }
}
