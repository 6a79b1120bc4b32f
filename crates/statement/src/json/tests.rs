use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    INTEGER_MAX, JsonError, JsonErrorKind as Kind, Limits, Numbers, ShapeErrorKind, Value, encode,
    from_value, parse, parse_canonical, to_canonical, to_value,
};
use crate::vectors::shared;

const ANY: Limits = Limits { bytes: 1 << 20, depth: 64, numbers: Numbers::Any };
const SIGNED: Limits = Limits::signed(1 << 20);

#[track_caller]
fn check(input: &str, expected: Result<Value, (Kind, usize)>) {
    let expected = expected.map_err(|(kind, offset)| JsonError { kind, offset });
    assert_eq!(parse(input.as_bytes(), SIGNED), expected, "{input}");
}

#[track_caller]
fn check_canonical(input: &str, expected: &str) {
    let value = parse(input.as_bytes(), ANY).unwrap();
    assert_eq!(String::from_utf8(encode(&value)).unwrap(), expected);
    // The canonical form is a fixed point.
    assert_eq!(encode(&parse(expected.as_bytes(), ANY).unwrap()), expected.as_bytes());
}

#[test]
fn values_are_read() {
    check("null", Ok(Value::Null));
    check(" true\n", Ok(Value::Bool(true)));
    check("false", Ok(Value::Bool(false)));
    check("0", Ok(Value::Integer(0)));
    check("-7", Ok(Value::Integer(-7)));
    check("9007199254740991", Ok(Value::Integer(INTEGER_MAX)));
    check("-9007199254740991", Ok(Value::Integer(-INTEGER_MAX)));
    check("[]", Ok(Value::Array(vec![])));
    check("{ }", Ok(Value::Object(BTreeMap::new())));
    check(r#""\u0061\/\ud83d\ude00""#, Ok(Value::String("a/\u{1f600}".to_owned())));
}

#[test]
fn every_error_kind_is_given_with_its_place() {
    let bytes = |bytes: &[u8]| parse(bytes, SIGNED).unwrap_err();
    assert_eq!(parse(b"[1,2]", Limits::signed(4)), Err(JsonError { kind: Kind::Oversize, offset: 4 }),);
    assert!(parse(b"[1,2]", Limits::signed(5)).is_ok());
    check("{\"a\":", Err((Kind::Syntax, 5)));
    check("", Err((Kind::Syntax, 0)));
    check("[1,]", Err((Kind::Syntax, 3)));
    check("{\"a\":1,}", Err((Kind::Syntax, 7)));
    check("{a:1}", Err((Kind::Syntax, 1)));
    check("'a'", Err((Kind::Syntax, 0)));
    check("nul", Err((Kind::Syntax, 0)));
    check("NaN", Err((Kind::Syntax, 0)));
    check("Infinity", Err((Kind::Syntax, 0)));
    check("+1", Err((Kind::Syntax, 0)));
    check("-", Err((Kind::Syntax, 1)));
    check("1.", Err((Kind::Syntax, 2)));
    check("1e", Err((Kind::Syntax, 2)));
    check("\"a\nb\"", Err((Kind::Syntax, 2)));
    check("\"\\x\"", Err((Kind::Syntax, 3)));
    check("\"\\u00g0\"", Err((Kind::Syntax, 3)));
    check("\"\\u00", Err((Kind::Syntax, 3)));
    check("\"\u{7f}\"", Ok(Value::String("\u{7f}".to_owned())));
    check("\u{feff}1", Err((Kind::Syntax, 0)));
    check("// a\n1", Err((Kind::Syntax, 0)));
    check("\"\\ud800\"", Err((Kind::Unicode, 7)));
    check("\"\\ud800\\u0041\"", Err((Kind::Unicode, 13)));
    check("\"\\udc00\"", Err((Kind::Unicode, 7)));
    assert_eq!(bytes(b"\"a\xff\""), JsonError { kind: Kind::Unicode, offset: 2 });
    // A surrogate encoded as UTF-8, and an overlong slash.
    assert_eq!(bytes(b"\"\xed\xa0\x80\"").kind, Kind::Unicode);
    assert_eq!(bytes(b"\"\xc0\xaf\"").kind, Kind::Unicode);
    check("{\"a\":1,\"a\":1}", Err((Kind::RepeatedMember, 7)));
    check("{\"a\":1,\"\\u0061\":2}", Err((Kind::RepeatedMember, 7)));
    for number in
        ["01", "-01", "-0", "1.0", "1.5", "1e0", "1E2", "0e1", "9007199254740992", "-9007199254740992"]
    {
        check(number, Err((Kind::Number, 0)));
    }
    check("99999999999999999999999999", Err((Kind::Number, 0)));
    check("1 2", Err((Kind::Trailing, 2)));
    check("{}\0", Err((Kind::Trailing, 2)));
    assert_eq!(
        parse_canonical(b"{\"b\":1,\"a\":2}", 64),
        Err(JsonError { kind: Kind::NotCanonical, offset: 2 }),
    );
    assert_eq!(parse_canonical(b"{} ", 64), Err(JsonError { kind: Kind::NotCanonical, offset: 2 }));
    assert_eq!(parse(b"1e400", ANY), Err(JsonError { kind: Kind::Number, offset: 0 }));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert!(parse(&nested(32), SIGNED).is_ok());
    assert_eq!(parse(&nested(33), SIGNED), Err(JsonError { kind: Kind::TooDeep, offset: 32 }));
    // Refused at the bound, not after a million frames.
    let deep = Limits { bytes: 1 << 30, ..SIGNED };
    assert_eq!(parse(&vec![b'['; 1_000_000], deep), Err(JsonError { kind: Kind::TooDeep, offset: 32 }));
    let objects = "{\"a\":".repeat(1_000_000);
    assert_eq!(parse(objects.as_bytes(), deep), Err(JsonError { kind: Kind::TooDeep, offset: 160 }));
}

/// RFC 8785 section 3.2.2 to 3.2.4: the RFC's own example.
#[test]
fn rfc_8785_example() {
    check_canonical(
        r#"{
          "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
          "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
          "literals": [null, true, false]
        }"#,
        concat!(
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
            r#""string":"€$\u000f\nA'B\"\\\\\"/"}"#
        ),
    );
    // Sorting: by UTF-16 code units, so a surrogate pair stands before U+FB33.
    check_canonical(
        r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",
            "\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#,
        concat!(
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",",
            "\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",",
            "\"\u{1f600}\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}"
        ),
    );
}

/// RFC 8785 appendix B.
#[test]
fn rfc_8785_numbers() {
    let table: &[(u64, &str)] = &[
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ];
    for (bits, expected) in table {
        let encoded = encode(&Value::Float(f64::from_bits(*bits)));
        assert_eq!(String::from_utf8(encoded).unwrap(), *expected, "{bits:016x}");
    }
}

/// The shared vectors of the RFC's author.
#[test]
fn shared_vectors() {
    let Some(folder) = shared("vectors/jcs/testdata") else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.join("input")).unwrap() {
        let name = entry.unwrap().file_name();
        let input = std::fs::read(folder.join("input").join(&name)).unwrap();
        let output = std::fs::read(folder.join("output").join(&name)).unwrap();
        assert_eq!(encode(&parse(&input, ANY).unwrap()), output, "{name:?}");
        assert_eq!(encode(&parse(&output, ANY).unwrap()), output, "{name:?}");
        seen += 1;
    }
    assert!(seen >= 5, "{seen} vectors");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    inner: Vec<Inner>,
    choice: Choice,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    count: u32,
    label: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Choice {
    Plain,
    One(String),
    Pair { left: i64, right: i64 },
}

#[track_caller]
fn check_shape(input: &str, kind: ShapeErrorKind, path: &str) {
    let error = from_value::<Shape>(&parse(input.as_bytes(), SIGNED).unwrap()).unwrap_err();
    assert_eq!((error.kind, error.path.as_str()), (kind, path), "{error}");
}

#[test]
fn shapes_are_read_and_errors_name_the_member() {
    use ShapeErrorKind::{MissingMember, UnknownMember, WrongType};
    for choice in [Choice::Plain, Choice::One("x".to_owned()), Choice::Pair { left: -1, right: 2 }] {
        let shape = Shape { inner: vec![Inner { count: 1, label: "a".to_owned() }], choice };
        let bytes = to_canonical(&shape).unwrap();
        assert_eq!(from_value::<Shape>(&parse_canonical(&bytes, 1_000).unwrap()).unwrap(), shape);
    }
    check_shape(r#"{"choice":"plain","inner":[],"more":1}"#, UnknownMember, "");
    check_shape(r#"{"choice":"plain"}"#, MissingMember, "");
    check_shape(
        r#"{"choice":"plain","inner":[{"count":1,"label":"a"},{"count":1}]}"#,
        MissingMember,
        "inner.1",
    );
    check_shape(r#"{"choice":"plain","inner":[{"count":-1,"label":"a"}]}"#, WrongType, "inner.0.count");
    check_shape(
        r#"{"choice":"plain","inner":[{"count":4294967296,"label":"a"}]}"#,
        WrongType,
        "inner.0.count",
    );
    check_shape(r#"{"choice":"plain","inner":[{"count":1,"label":null}]}"#, WrongType, "inner.0.label");
    check_shape(r#"{"choice":"plain","inner":{}}"#, WrongType, "inner");
    check_shape(r#"{"choice":"other","inner":[]}"#, WrongType, "choice");
    let value = parse_canonical(br#"{"choice":"other","inner":[]}"#, 1_000).unwrap();
    let told = from_value::<Shape>(&value).unwrap_err().to_string();
    assert_eq!(told, "`choice`: `other` is none of `plain`, `one`, `pair`");
    check_shape(r#"{"choice":{"plain":null},"inner":[]}"#, WrongType, "choice.plain");
    check_shape(r#"{"choice":"one","inner":[]}"#, WrongType, "choice");
    check_shape(r#"{"choice":{"one":"x","plain":1},"inner":[]}"#, WrongType, "choice");
    check_shape(
        r#"{"choice":{"pair":{"left":1,"right":2,"more":3}},"inner":[]}"#,
        UnknownMember,
        "choice.pair",
    );
    check_shape(r#"{"choice":{"pair":{"left":1}},"inner":[]}"#, MissingMember, "choice.pair");
}

/// A derived struct would read an array of its members in order; that would be a second spelling.
#[test]
fn an_array_is_no_object() {
    check_shape(r#"[[],"plain"]"#, ShapeErrorKind::WrongType, "");
    check_shape(r#"{"choice":"plain","inner":[[1,"a"]]}"#, ShapeErrorKind::WrongType, "inner.0");
    check_shape(r#"{"choice":{"pair":[1,2]},"inner":[]}"#, ShapeErrorKind::WrongType, "choice.pair");
}

#[test]
fn numbers_that_signed_bytes_may_not_hold_have_no_encoding() {
    assert!(to_value(&1.5_f64).is_err());
    assert!(to_value(&1.0_f64).is_err());
    assert!(to_value(&(INTEGER_MAX + 1)).is_err());
    assert!(to_value(&(-INTEGER_MAX - 1)).is_err());
    assert!(to_value(&u64::MAX).is_err());
    assert_eq!(to_value(&INTEGER_MAX).unwrap(), Value::Integer(INTEGER_MAX));
}

fn values(floats: bool) -> impl Strategy<Value = Value> {
    let number = if floats {
        prop_oneof![
            (-INTEGER_MAX..=INTEGER_MAX).prop_map(Value::Integer),
            proptest::num::f64::NORMAL.prop_map(Value::Float),
            proptest::num::f64::SUBNORMAL.prop_map(Value::Float),
        ]
        .boxed()
    } else {
        (-INTEGER_MAX..=INTEGER_MAX).prop_map(Value::Integer).boxed()
    };
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number,
        any::<String>().prop_map(Value::String),
        "[\"\\\\\\x00-\\x20a-z\u{7f}-\u{80}\u{fb33}\u{1f600}]{0,8}".prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map("[a-c\u{fb33}\u{1f600}\"]{0,3}", inner, 0..6).prop_map(Value::Object),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_back(value in values(false)) {
        let bytes = encode(&value);
        prop_assert_eq!(parse_canonical(&bytes, bytes.len()).unwrap(), value);
        prop_assert_eq!(encode(&parse(&bytes, ANY).unwrap()), bytes);
    }

    #[test]
    fn encoding_is_a_fixed_point_with_any_number(value in values(true)) {
        let bytes = encode(&value);
        prop_assert_eq!(encode(&parse(&bytes, ANY).unwrap()), bytes);
    }

    /// serde_json is an independent reader: it reads what is encoded as the same value.
    #[test]
    fn another_reader_agrees(value in values(false)) {
        let theirs: serde_json::Value = serde_json::from_slice(&encode(&value)).unwrap();
        prop_assert_eq!(to_value(&theirs).unwrap(), value);
    }

    #[test]
    fn any_bytes_are_read_or_refused_within_them(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = parse(&bytes, ANY) {
            prop_assert!(error.offset <= bytes.len());
        }
    }

    /// Cut anywhere, or with one byte changed, canonical bytes are refused or say something else.
    #[test]
    fn no_twin_reads_as_the_same_value(value in values(false), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let bytes = encode(&value);
        let mut twin = bytes.clone();
        let place = at.index(bytes.len());
        twin[place] = byte;
        if twin != bytes && let Ok(read) = parse_canonical(&twin, twin.len()) {
            prop_assert_ne!(read, value.clone());
        }
        if let Ok(read) = parse_canonical(&bytes[..place], bytes.len()) {
            prop_assert_ne!(read, value);
        }
    }
}
