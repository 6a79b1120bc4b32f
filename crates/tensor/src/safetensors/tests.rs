use proptest::prelude::*;

use super::{Dtype, Index, Limits, SafeTensors, Sharded, write};
use crate::Error;

/// A file from a header text and that many bytes of data.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 7);
    bytes
}

#[track_caller]
fn refused(bytes: &[u8], code: &str) {
    match SafeTensors::read(bytes) {
        Err(error) => assert_eq!(error.code(), code, "{error}"),
        Ok(_) => panic!("the file was read; {code} was expected"),
    }
}

#[track_caller]
fn header_refused(header: &str, data: usize, code: &str) {
    refused(&file(header, data), code);
}

const GOOD: &str = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[],"data_offsets":[8,9]}}  "#;

#[test]
fn a_good_file_is_read() {
    let bytes = file(GOOD, 9);
    let read = SafeTensors::read(&bytes).unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!(read.metadata().get("format").map(String::as_str), Some("pt"));
    let a = read.view("a").unwrap();
    assert_eq!((a.dtype, a.shape, a.data.len()), (Dtype::F32, [2].as_slice(), 8));
    assert_eq!(read.view("b").unwrap().elements_len(), 1);
    assert!(read.view("c").is_none());
}

#[test]
fn empty_files_and_empty_tensors_are_read() {
    assert!(SafeTensors::read(&file("{}", 0)).unwrap().is_empty());
    let empty = r#"{"a":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]}}"#;
    assert_eq!(SafeTensors::read(&file(empty, 0)).unwrap().view("a").unwrap().elements_len(), 0);
}

#[test]
fn every_malformation_has_its_code() {
    refused(b"", "CS-TSR-001");
    refused(&[1, 2, 3], "CS-TSR-001");
    refused(&file(GOOD, 9)[..50], "CS-TSR-001");
    refused(&100_000_001_u64.to_le_bytes(), "CS-TSR-002");
    header_refused("", 0, "CS-TSR-003");
    header_refused(" {}", 0, "CS-TSR-003");
    header_refused("{}\n", 0, "CS-TSR-003");
    header_refused("{}{}", 0, "CS-TSR-003");
    header_refused("{", 0, "CS-TSR-004");
    header_refused(r#"{"a":[]}"#, 0, "CS-TSR-004");
    header_refused(r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "CS-TSR-004");
    header_refused(r#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, 4, "CS-TSR-004");
    header_refused(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},}"#, 4, "CS-TSR-004");
    refused(&[2, 0, 0, 0, 0, 0, 0, 0, b'{', 0xff], "CS-TSR-004");
}

#[test]
fn every_bad_entry_has_its_code() {
    let entry = |inner: &str| format!("{{\"a\":{{{inner}}}}}");
    let one = r#""a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#;
    header_refused(&format!("{{{one},{one}}}"), 1, "CS-TSR-013");
    let zero = r#""a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#;
    header_refused(&format!("{{{zero},{zero}}}"), 0, "CS-TSR-005");
    header_refused(&entry(r#""dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]"#), 1, "CS-TSR-005");
    header_refused(r#"{"__metadata__":{},"__metadata__":{}}"#, 0, "CS-TSR-005");
    header_refused(r#"{"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, 1, "CS-TSR-006");
    header_refused(r#"{"a\u001b[2J":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, 1, "CS-TSR-006");
    for path in ["/etc/passwd", "../a", "a/..", r"a\\b"] {
        let entry = format!(r#"{{"{path}":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}"#);
        header_refused(&entry, 1, "CS-TSR-006");
    }
    header_refused(&entry(r#""dtype":"F4","shape":[1],"data_offsets":[0,1]"#), 1, "CS-TSR-007");
    header_refused(&entry(r#""dtype":"f32","shape":[1],"data_offsets":[0,4]"#), 4, "CS-TSR-007");
    header_refused(&entry(r#""dtype":"U8","shape":[1]"#), 1, "CS-TSR-008");
    header_refused(&entry(r#""dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1"#), 1, "CS-TSR-008");
    header_refused(&entry(r#""dtype":"U8","shape":[1],"data_offsets":[0,1,1]"#), 1, "CS-TSR-008");
    header_refused(&entry(r#""dtype":"U8","shape":[1],"data_offsets":[1]"#), 1, "CS-TSR-008");
    let deep = vec!["1"; 17].join(",");
    header_refused(
        &entry(&format!(r#""dtype":"U8","shape":[{deep}],"data_offsets":[0,1]"#)),
        1,
        "CS-TSR-009",
    );
    let huge = r#""dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]"#;
    header_refused(&entry(huge), 0, "CS-TSR-010");
    let dodge = r#""dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]"#;
    header_refused(&entry(dodge), 0, "CS-TSR-010");
    header_refused(&entry(r#""dtype":"U8","shape":[1],"data_offsets":[1,0]"#), 1, "CS-TSR-011");
    header_refused(&entry(r#""dtype":"U8","shape":[2],"data_offsets":[0,2]"#), 1, "CS-TSR-011");
    header_refused(&entry(r#""dtype":"U8","shape":[2],"data_offsets":[0,1]"#), 1, "CS-TSR-012");
    header_refused(&entry(r#""dtype":"U8","shape":[1],"data_offsets":[1,2]"#), 2, "CS-TSR-014");
    header_refused(&entry(r#""dtype":"U8","shape":[1],"data_offsets":[0,1]"#), 2, "CS-TSR-015");
    header_refused("{}", 1, "CS-TSR-015");
    header_refused(r#"{"__metadata__":{"a":1}}"#, 0, "CS-TSR-017");
    header_refused(r#"{"__metadata__":{"a":"1","a":"2"}}"#, 0, "CS-TSR-017");
}

#[test]
fn overlaps_are_refused_wherever_they_are() {
    let header = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}"#;
    header_refused(header, 4, "CS-TSR-013");
    let inside = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}}"#;
    header_refused(inside, 4, "CS-TSR-013");
}

#[test]
fn files_of_other_formats_are_told_by_name() {
    for begin in [&b"PK\x03\x04"[..], b"\x80\x02}q", b"\x93NUMPY\x01\0", b"GGUF\x03\0\0\0", b"\x89HDF\r\n"] {
        let mut bytes = begin.to_vec();
        bytes.resize(64, 0xaa);
        assert_eq!(SafeTensors::read(&bytes).unwrap_err().code(), "CS-TSR-031", "{begin:?}");
    }
    assert_eq!(SafeTensors::read(&[0xaa; 64]).unwrap_err().code(), "CS-TSR-002");
}

#[test]
fn every_single_byte_of_the_header_matters() {
    // A tampered twin for each byte: it is refused, or it names other tensors, types, shapes or metadata.
    let bytes = file(GOOD, 9);
    let shape_of = |bytes: &[u8]| {
        SafeTensors::read(bytes).ok().map(|read| {
            let views: Vec<_> = read
                .views()
                .map(|v| (v.name.to_owned(), v.dtype, v.shape.to_vec(), v.data.to_vec()))
                .collect();
            (views, read.metadata().clone())
        })
    };
    let good = shape_of(&bytes);
    assert!(good.is_some());
    for at in 0..8 + GOOD.trim_end().len() {
        for bit in 0..8 {
            let mut twin = bytes.clone();
            twin[at] ^= 1 << bit;
            assert_ne!(shape_of(&twin), good, "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn announced_terabytes_cost_nothing() {
    let mut bytes = (1_u64 << 40).to_le_bytes().to_vec();
    bytes.push(b'{');
    refused(&bytes, "CS-TSR-002");
    let generous = Limits { header_bytes: u64::MAX, ..Limits::FORMAT };
    let error = SafeTensors::read_within(&bytes, &generous).unwrap_err();
    assert_eq!(error, Error::Truncated { length: 9, needed: (1 << 40) + 8 });
    let most = SafeTensors::read_within(&[0xff; 16], &generous).unwrap_err();
    assert_eq!(most, Error::Truncated { length: 16, needed: u64::MAX });
}

#[test]
fn a_million_tensors_are_read_and_one_more_is_not() {
    let many = |count: usize| {
        let mut header = String::from("{");
        for at in 0..count {
            if at > 0 {
                header.push(',');
            }
            let end = at + 1;
            let entry = format!(r#""t{at}":{{"dtype":"U8","shape":[1],"data_offsets":[{at},{end}]}}"#);
            header.push_str(&entry);
        }
        header.push('}');
        file(&header, count)
    };
    let bytes = many(1_000_000);
    let read = SafeTensors::read(&bytes).unwrap();
    assert_eq!(read.len(), 1_000_000);
    assert_eq!(read.view("t999999").unwrap().data, [7]);
    refused(&many(1_000_001), "CS-TSR-016");
}

#[test]
fn elements_are_exact() {
    let value_of = |dtype: Dtype, bytes: &[u8]| {
        let file = write(&[("x", dtype, &[1], bytes)]).unwrap();
        let read = SafeTensors::read(&file).unwrap();
        let elements = read.view("x").unwrap().elements();
        elements.map(|mut elements| elements.next().unwrap())
    };
    assert_eq!(value_of(Dtype::F32, &0.1_f32.to_le_bytes()), Some(f64::from(0.1_f32)));
    assert_eq!(value_of(Dtype::F64, &0.1_f64.to_le_bytes()), Some(0.1));
    assert_eq!(value_of(Dtype::BF16, &[0x80, 0x3f]), Some(1.0));
    assert_eq!(value_of(Dtype::F16, &[0x01, 0x00]), Some(2.0_f64.powi(-24)));
    // The extremes of OCP 8-bit floating point, table 1.
    assert_eq!(value_of(Dtype::F8E4M3, &[0x7e]), Some(448.0));
    assert_eq!(value_of(Dtype::F8E4M3, &[0x08]), Some(2.0_f64.powi(-6)));
    assert_eq!(value_of(Dtype::F8E4M3, &[0x81]), Some(-(2.0_f64.powi(-9))));
    assert!(value_of(Dtype::F8E4M3, &[0xff]).unwrap().is_nan());
    assert_eq!(value_of(Dtype::F8E5M2, &[0x7b]), Some(57344.0));
    assert_eq!(value_of(Dtype::F8E5M2, &[0x01]), Some(2.0_f64.powi(-16)));
    assert_eq!(value_of(Dtype::F8E5M2, &[0x7c]), Some(f64::INFINITY));
    assert_eq!(value_of(Dtype::I32, &[1, 0, 0, 0]), None);
}

#[test]
fn long_tensors_are_walked_in_order() {
    let values: Vec<f32> = (0_u16..10_000).map(f32::from).collect();
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let file = write(&[("x", Dtype::F32, &[10_000], &bytes)]).unwrap();
    let read = SafeTensors::read(&file).unwrap();
    let elements: Vec<f64> = read.view("x").unwrap().elements().unwrap().collect();
    assert_eq!(elements, values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>());
}

#[test]
fn elements_out_of_range_are_named() {
    let check = |dtype: Dtype, good: &[u8], bad: &[u8]| {
        let bytes = [good, bad, good].concat();
        let file = write(&[("x", dtype, &[3], &bytes)]).unwrap();
        let read = SafeTensors::read(&file).unwrap();
        read.view("x").unwrap().check_elements()
    };
    let at_one = Err(Error::Element { tensor: "x".into(), index: 1 });
    let one = 1.0_f32.to_le_bytes();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(check(Dtype::F32, &one, &bad.to_le_bytes()), at_one);
    }
    for fine in [0.0, -0.0, f32::from_bits(1), f32::MAX, f32::MIN] {
        assert_eq!(check(Dtype::F32, &one, &fine.to_le_bytes()), Ok(()));
    }
    let one = 1.0_f64.to_le_bytes();
    for bad in [1e300, 1e-300, f64::NAN] {
        assert_eq!(check(Dtype::F64, &one, &f64::to_le_bytes(bad)), at_one);
    }
    assert_eq!(
        check(Dtype::I64, &one, &1_i64.to_le_bytes()),
        Err(Error::Element { tensor: "x".into(), index: 0 })
    );
}

#[test]
fn what_cannot_be_read_is_not_written() {
    let code = |result: Result<Vec<u8>, Error>| result.map_err(|error| error.code());
    assert_eq!(code(write(&[("x", Dtype::F32, &[2], &[0; 4])])), Err("CS-TSR-024"));
    assert_eq!(code(write(&[("", Dtype::U8, &[1], &[0])])), Err("CS-TSR-024"));
    assert_eq!(code(write(&[("__metadata__", Dtype::U8, &[1], &[0])])), Err("CS-TSR-024"));
    let twice = [("x", Dtype::U8, [1].as_slice(), [0].as_slice()); 2];
    assert_eq!(code(write(&twice)), Err("CS-TSR-005"));
}

fn index(text: &str) -> Result<Index, &'static str> {
    Index::read(text.as_bytes()).map_err(|error| error.code())
}

#[test]
fn shard_names_are_plain_file_names() {
    let named = |shard: &str| index(&format!("{{\"weight_map\":{{\"a\":{shard:?}}}}}")).map(|_| ());
    assert_eq!(named("model-00001-of-00002.safetensors"), Ok(()));
    for bad in [
        "../model.safetensors",
        "/etc/model.safetensors",
        "a/b.safetensors",
        "a\\b.safetensors",
        "..safetensors",
        ".safetensors",
        "c:model.safetensors",
        "model.bin",
        "",
        "mödel.safetensors",
    ] {
        assert_eq!(named(bad), Err("CS-TSR-020"), "{bad}");
    }
}

#[test]
fn an_index_is_read_strictly() {
    assert_eq!(index("{}").map(|_| ()), Err("CS-TSR-019"));
    assert_eq!(index("[]").map(|_| ()), Err("CS-TSR-018"));
    assert_eq!(index(r#"{"weight_map":[]}"#).map(|_| ()), Err("CS-TSR-018"));
    assert_eq!(index(r#"{"weight_map":{"a":1}}"#).map(|_| ()), Err("CS-TSR-018"));
    assert_eq!(
        index(r#"{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}"#).map(|_| ()),
        Err("CS-TSR-005")
    );
    let whole = index(r#"{"metadata":{"total_size":9},"weight_map":{"a":"x.safetensors"}}"#).unwrap();
    assert_eq!(whole.other().len(), 1);
}

#[test]
fn shards_hold_exactly_what_the_index_says() {
    let text = r#"{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#;
    let shard = |name: &'static str| write(&[(name, Dtype::U8, &[1], &[1])]).unwrap();
    let (a, b, c) = (shard("a"), shard("b"), shard("c"));
    let join = |given: &[(&str, &[u8])]| {
        let given = given.iter().map(|(name, bytes)| ((*name).to_owned(), SafeTensors::read(bytes).unwrap()));
        Sharded::join(index(text).unwrap(), given.collect::<Vec<_>>())
            .map(|joined| joined.views().map(|view| view.name.to_owned()).collect::<Vec<_>>())
            .map_err(|error| error.code())
    };
    let (one, two) = ("1.safetensors", "2.safetensors");
    assert_eq!(join(&[(one, &a), (two, &b)]), Ok(vec!["a".into(), "b".into()]));
    assert_eq!(join(&[(one, &a)]), Err("CS-TSR-022"));
    assert_eq!(join(&[(one, &a), (two, &b), ("3.safetensors", &c)]), Err("CS-TSR-022"));
    assert_eq!(join(&[(one, &a), (two, &b), (two, &b)]), Err("CS-TSR-022"));
    assert_eq!(join(&[(one, &b), (two, &a)]), Err("CS-TSR-021"));
    let both = write(&[("b", Dtype::U8, &[1], &[1]), ("c", Dtype::U8, &[1], &[1])]).unwrap();
    assert_eq!(join(&[(one, &a), (two, &both)]), Err("CS-TSR-021"));
    let none = write(&[]).unwrap();
    assert_eq!(join(&[(one, &a), (two, &none)]), Err("CS-TSR-021"));
}

fn any_tensors() -> impl Strategy<Value = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>> {
    let dtype = prop::sample::select(vec![Dtype::F32, Dtype::F16, Dtype::U8, Dtype::I64, Dtype::F8E4M3]);
    let tensor = (dtype, prop::collection::vec(0_usize..4, 0..4), any::<u8>());
    prop::collection::btree_map("[a-z\"é][a-z\".é]{0,5}", tensor, 0..8).prop_map(|map| {
        map.into_iter()
            .map(|(name, (dtype, shape, fill))| {
                let bytes = vec![fill; shape.iter().product::<usize>() * dtype.bytes()];
                (name, dtype, shape, bytes)
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(tensors in any_tensors()) {
        let borrowed: Vec<_> =
            tensors.iter().map(|(n, d, s, b)| (n.as_str(), *d, s.as_slice(), b.as_slice())).collect();
        let bytes = write(&borrowed).unwrap();
        let read = SafeTensors::read(&bytes).unwrap();
        let back: Vec<_> =
            read.views().map(|v| (v.name.to_owned(), v.dtype, v.shape.to_vec(), v.data.to_vec())).collect();
        prop_assert_eq!(&back, &tensors);
        let mut reversed = borrowed.clone();
        reversed.reverse();
        prop_assert_eq!(write(&reversed).unwrap(), bytes);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), header in "\\{[\\[\\]{}\":,0-9a-zF_]{0,80}") {
        prop_assert!(SafeTensors::read(&bytes).is_err() || bytes.len() >= 10);
        let whole = file(&header, 4);
        if let Ok(read) = SafeTensors::read(&whole) {
            prop_assert_eq!(read.views().map(|view| view.data.len()).sum::<usize>(), 4);
        }
    }
}

#[test]
fn shards_are_found_by_their_plain_names() {
    let one = file(r#"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#, 3);
    let two = file(r#"{"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#, 2);
    let index = |metadata: &str| {
        format!(r#"{{"metadata":{metadata},"weight_map":{{"a":"m-1.safetensors","b":"m-2.safetensors"}}}}"#)
    };
    let lookup = |name: &str| match name {
        "m-1.safetensors" => Some(one.as_slice()),
        "m-2.safetensors" => Some(two.as_slice()),
        _ => None,
    };
    let read = Sharded::read(index(r#"{"total_size":5}"#).as_bytes(), lookup).unwrap();
    assert_eq!((read.bytes(), read.index().total_size()), (5, Some(5)));
    assert_eq!(read.views().map(|view| view.name).collect::<Vec<_>>(), ["a", "b"]);
    for (metadata, size) in [
        (r#"{"total_size":6.0}"#, Some(6)),
        (r#"{"total_size":6.5}"#, None),
        (r#"{"total_size":-1}"#, None),
        (r#"{"total_size":"5"}"#, None),
        ("{}", None),
        ("null", None),
    ] {
        assert_eq!(Index::read(index(metadata).as_bytes()).unwrap().total_size(), size, "{metadata}");
    }
    let code = |index: &str, found: &[u8]| {
        Sharded::read(index.as_bytes(), |_| Some(found)).map_err(|error| error.code()).map(drop)
    };
    assert_eq!(code(&index("{}"), &one), Err("CS-TSR-021"));
    assert_eq!(code(&index("{}"), b""), Err("CS-TSR-001"));
    assert_eq!(code(r#"{"weight_map":{"a":"../m.safetensors"}}"#, &one), Err("CS-TSR-020"));
    let missing = Sharded::read(index("{}").as_bytes(), |_| None);
    assert_eq!(missing.unwrap_err().code(), "CS-TSR-022");
}
