use super::*;

#[test]
fn content_decides_before_names() {
    assert_eq!(by_content(b""), Some(Kind::Empty));
    assert_eq!(by_content(b"GGUF\x03\0\0\0"), Some(Kind::Gguf));
    assert_eq!(by_content(b"\x80\x04\x95\x10"), Some(Kind::Pickle));
    assert_eq!(by_content(b"\x80\x09\x95\x10"), None);
    assert_eq!(by_content(b"\x02\0\0\0\0\0\0\0{}"), Some(Kind::Safetensors));
    assert_eq!(by_content(b"\xff\0\0\0\0\0\0\0{}"), None, "the header is longer than the file");
    assert_eq!(by_content(b"words"), None);
    let mut pe = vec![0; 0x60];
    pe[..2].copy_from_slice(b"MZ");
    pe[0x3c] = 0x50;
    assert_eq!(by_content(&pe), None, "MZ alone is two letters");
    pe[0x50..0x54].copy_from_slice(b"PE\0\0");
    assert_eq!(by_content(&pe), Some(Kind::Pe));
}

#[test]
fn names_promise() {
    assert_eq!(by_name("Model.SafeTensors"), Some(Kind::Safetensors));
    assert_eq!(by_name("x.cpython-311-x86_64-linux-gnu.so"), Some(Kind::Elf));
    assert_eq!(by_name("LICENSE"), None);
    assert_eq!(by_name("passages.jsonl"), Some(Kind::Text), "lines of JSON are no document");
    assert!(agree(Kind::Zip, Kind::TorchZip));
    assert!(!agree(Kind::Pickle, Kind::Safetensors));
}
