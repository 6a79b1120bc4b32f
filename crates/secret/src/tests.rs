use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

#[test]
fn equal_things_are_equal_and_others_are_not() {
    assert!(equal(b"", b""));
    assert!(equal(b"the same", b"the same"));
    assert!(!equal(b"the same", b"the sane"));
    assert!(!equal(b"short", b"shorter"));
    let one = [7; 64];
    for bit in 0..512 {
        let mut other = one;
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!equal(&one, &other), "bit {bit}");
    }
}

#[test]
fn every_character_and_every_six_bits_are_right() {
    for value in 0..64_u8 {
        let key = [value << 2; KEY_BYTES];
        assert_eq!(to_base64(&key).as_slice(), STANDARD.encode(key).as_bytes());
    }
    // Each byte in each place but the last two: what the other decoder takes, this one takes.
    for character in 0..=255_u8 {
        let mut text = *b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        text[5] = character;
        let (key, right) = from_base64(&text);
        match STANDARD.decode(text) {
            Ok(expected) => assert!(right && key.as_slice() == expected, "{character}"),
            Err(_) => assert!(!right, "{character}"),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(key in any::<[u8; KEY_BYTES]>()) {
        let text = to_base64(&key);
        let expected = STANDARD.encode(key);
        prop_assert_eq!(text.as_slice(), expected.as_bytes());
        let (again, right) = from_base64(&text);
        prop_assert!(right);
        prop_assert_eq!(*again, key);
    }

    #[test]
    fn any_text_is_judged_as_another_decoder_judges_it(
        text in prop::array::uniform32(any::<u8>()),
        at in 0_usize..KEY_BASE64,
        with in any::<u8>(),
    ) {
        let mut spelt = *to_base64(&text);
        spelt[at] = with;
        let (key, right) = from_base64(&spelt);
        match STANDARD.decode(spelt) {
            Ok(expected) if expected.len() == KEY_BYTES => prop_assert!(right && key.as_slice() == expected),
            _ => prop_assert!(!right),
        }
    }
}
