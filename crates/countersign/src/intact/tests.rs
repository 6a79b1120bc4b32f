use vault::Error;

use super::{Matter, matter};

/// What cannot be read is not told as missing: nobody knows.
#[test]
fn what_is_the_matter_is_told_apart() {
    let digest = statement::Digest::of(b"content");
    let part = vault::Part::Content;
    for (error, expected) in [
        (Error::NotFound { digest }, Matter::Missing),
        (Error::ContentMissing { digest }, Matter::Missing),
        (Error::Purged { digest }, Matter::Destroyed),
        (Error::Corrupt { digest, part, offset: 0 }, Matter::Damaged),
        (Error::RecordCorrupt { record: "r".to_owned() }, Matter::Damaged),
        (Error::DigestMismatch { digest, found: digest }, Matter::Damaged),
        (Error::Cryptography, Matter::Unreadable),
    ] {
        assert_eq!(matter(&error), expected, "{error}");
    }
}
