//! `bundle`: what crosses to a machine without a network, and its signed header alone.

use bundle::{BundleError, Reader, SignedHeader, Whole};
use statement::Digest;

fn read(data: &[u8], piece: usize) -> Result<Whole, BundleError> {
    let mut reader = Reader::new();
    for part in data.chunks(piece) {
        reader.feed(part)?;
    }
    reader.finish()
}

pub(crate) fn bundle(data: &[u8]) {
    if let Ok(header) = SignedHeader::parse(data) {
        assert_eq!(header.as_bytes(), data, "a header has one spelling");
    }
    // Where the pieces end does not matter, to what is taken and to what is refused.
    let (at_once, in_pieces) = (read(data, data.len().max(1)), read(data, 3));
    match (&at_once, &in_pieces) {
        (Ok(one), Ok(other)) => assert_eq!(one.signed().id(), other.signed().id()),
        (Err(one), Err(other)) => assert_eq!(one.code(), other.code()),
        _ => panic!("the pieces decide"),
    }
    let Ok(whole) = at_once else { return };
    let mut end = whole.signed().opening().len();
    assert!(data.starts_with(&whole.signed().opening()));
    for place in whole.places() {
        assert_eq!(usize::try_from(place.at), Ok(end), "sections stand end to end");
        end += usize::try_from(place.section.bytes).expect("within the file");
        let begin = usize::try_from(place.at).expect("within the file");
        assert_eq!(Digest::of(&data[begin..end]), place.section.sha256);
    }
    assert_eq!(end, data.len());
}
