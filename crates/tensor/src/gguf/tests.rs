use proptest::prelude::*;

use super::{Array, GgmlType, Gguf, Limits, TensorInfo, Value, ValueType, Writer, write};

/// The bytes of a file, put together piece by piece.
#[derive(Clone)]
struct Raw(Vec<u8>);

impl Raw {
    fn new(tensors: u64, pairs: u64) -> Self {
        Self::of_version(3, tensors, pairs)
    }

    fn of_version(version: u32, tensors: u64, pairs: u64) -> Self {
        let raw = Self(b"GGUF".to_vec());
        raw.u32(version).u64(tensors).u64(pairs)
    }

    fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.u64(text.len() as u64).bytes(text.as_bytes())
    }

    /// A tensor record, dimensions in ggml's order.
    fn tensor(self, name: &str, ne: &[u64], kind: u32, offset: u64) -> Self {
        let mut raw = self.text(name).u32(u32::try_from(ne.len()).unwrap());
        for dimension in ne {
            raw = raw.u64(*dimension);
        }
        raw.u32(kind).u64(offset)
    }

    fn data(mut self, bytes: usize) -> Self {
        self.0.resize(self.0.len().next_multiple_of(32), 0);
        self.0.resize(self.0.len() + bytes, 1);
        self
    }

    #[track_caller]
    fn refused(&self, code: &str) {
        match Gguf::read(&self.0) {
            Err(error) => {
                assert_eq!(error.code(), code, "{error}");
                assert!(!error.hint().is_empty());
            }
            Ok(_) => panic!("the file was read; {code} was expected"),
        }
    }
}

#[test]
fn a_good_file_is_read() {
    for version in [2, 3] {
        let raw = Raw::of_version(version, 2, 2)
            .text("general.architecture")
            .u32(8)
            .text("llama")
            .text("llama.block_count")
            .u32(4)
            .u32(7)
            .tensor("b", &[32, 3], 2, 0)
            .tensor("a", &[2], 0, 64)
            .data(54 + 10 + 8);
        let read = Gguf::read(&raw.0).unwrap();
        assert_eq!((read.version(), read.len(), read.alignment()), (version, 2, 32));
        assert_eq!(read.architecture(), Some("llama"));
        assert_eq!(read.setting("block_count"), Some(&Value::U32(7)));
        assert_eq!(read.setting("block"), None);
        let b = read.view("b").unwrap();
        assert_eq!((b.kind, b.shape, b.data.len()), (GgmlType::Q4_0, [3, 32].as_slice(), 54));
        assert_eq!(b.ne().collect::<Vec<_>>(), [32, 3]);
        assert_eq!(b.elements_len(), 96);
        assert_eq!(read.view("a").unwrap().offset, read.data_offset() + 64);
        assert_eq!(read.views().map(|view| view.name).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(read.in_file_order().map(|view| view.name).collect::<Vec<_>>(), ["b", "a"]);
        assert!(read.view("c").is_none());
        assert_eq!(read.padding().map(|(_, bytes)| bytes.len()).collect::<Vec<_>>(), [10]);
    }
}

#[test]
fn files_without_tensors_are_read() {
    assert!(Gguf::read(&Raw::new(0, 0).0).unwrap().is_empty());
    assert!(Gguf::read(&Raw::new(0, 0).data(0).0).unwrap().is_empty());
    let empty = Raw::new(1, 0).tensor("a", &[0, 5], 0, 0).data(0);
    assert_eq!(Gguf::read(&empty.0).unwrap().view("a").unwrap().elements_len(), 0);
    let scalar = Raw::new(1, 0).tensor("a", &[], 0, 0).data(4);
    assert_eq!(Gguf::read(&scalar.0).unwrap().view("a").unwrap().elements_len(), 1);
}

#[test]
fn every_malformation_has_its_code() {
    Raw(b"GGU".to_vec()).refused("CS-TSR-500");
    Raw(b"GGML\x03\0\0\0".to_vec()).refused("CS-TSR-500");
    Raw::of_version(1, 0, 0).refused("CS-TSR-501");
    Raw::of_version(4, 0, 0).refused("CS-TSR-501");
    Raw::of_version(3_u32.swap_bytes(), 0, 0).refused("CS-TSR-501");
    Raw(b"GGUF\x03\0\0\0".to_vec()).refused("CS-TSR-502");
    Raw::new(1, 0).refused("CS-TSR-502");
    Raw::new(0, 1).refused("CS-TSR-502");
    Raw::new(1_000_001, 0).refused("CS-TSR-503");
    Raw::new(u64::MAX, u64::MAX).refused("CS-TSR-503");
    Raw::new(0, 65_537).refused("CS-TSR-503");
    let twice = Raw::new(2, 0).tensor("a", &[8], 0, 0).tensor("a", &[8], 0, 32).data(64);
    twice.refused("CS-TSR-505");
    let keys = Raw::new(0, 2).text("k").u32(7).bytes(&[1]).text("k").u32(7).bytes(&[1]);
    keys.refused("CS-TSR-505");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["", "/etc/passwd", "../x", "a/../b", "a\\b", "a\u{1b}[2J", "a\0", &"n".repeat(256)] {
        Raw::new(1, 0).tensor(name, &[1], 0, 0).data(4).refused("CS-TSR-504");
        Raw::new(0, 1)
            .text(if name.len() > 255 { "" } else { name })
            .u32(0)
            .bytes(&[0; 9])
            .refused("CS-TSR-504");
    }
    Raw::new(1, 0).u64(2).bytes(&[0xff, 0xfe]).bytes(&[0; 16]).refused("CS-TSR-504");
    assert!(Gguf::read(&Raw::new(1, 0).tensor("a/b..c", &[1], 0, 0).data(4).0).is_ok());
}

#[test]
fn metadata_that_lies_is_refused() {
    let one = |number: u32| Raw::new(0, 1).text("key").u32(number);
    one(13).bytes(&[0; 32]).refused("CS-TSR-506");
    one(9).u32(13).u64(0).refused("CS-TSR-506");
    one(7).bytes(&[2, 0, 0, 0]).refused("CS-TSR-507");
    one(8).u64(1).bytes(&[0xff]).refused("CS-TSR-507");
    one(9).u32(7).u64(2).bytes(&[1, 2]).refused("CS-TSR-507");
    one(8).u64(u64::MAX).refused("CS-TSR-502");
    one(9).u32(10).u64(1 << 28).refused("CS-TSR-502");
    one(9).u32(0).u64((1 << 28) + 1).refused("CS-TSR-503");
    let mut deep = one(9);
    for _ in 0..4 {
        deep = deep.u32(9).u64(1);
    }
    deep.u32(0).u64(1).bytes(&[0]).refused("CS-TSR-508");
}

#[test]
fn alignment_is_a_power_of_two_of_one_type() {
    let with = |number: u32, value: u32| Raw::new(0, 1).text("general.alignment").u32(number).u32(value);
    with(4, 0).refused("CS-TSR-509");
    with(4, 24).refused("CS-TSR-509");
    with(5, 32).refused("CS-TSR-509");
    assert_eq!(Gguf::read(&with(4, 1 << 31).0).unwrap().alignment(), 1 << 31);
    let eight = Raw::new(1, 1).text("general.alignment").u32(4).u32(8).tensor("a", &[1], 24, 0);
    let padding = eight.0.len().next_multiple_of(8) - eight.0.len();
    let file = eight.bytes(&vec![0; padding]).bytes(&[5]);
    assert_eq!(Gguf::read(&file.0).unwrap().view("a").unwrap().data, [5]);
}

#[test]
fn tensors_that_lie_are_refused() {
    let one = |ne: &[u64], kind, offset| Raw::new(1, 0).tensor("a", ne, kind, offset).data(64);
    for kind in [4, 5, 31, 38, 43, u32::MAX] {
        one(&[256], kind, 0).refused("CS-TSR-510");
    }
    one(&[1, 1, 1, 1, 1], 0, 0).refused("CS-TSR-511");
    one(&[u64::MAX, 2], 0, 0).refused("CS-TSR-511");
    one(&[1 << 32, 1 << 32], 24, 0).refused("CS-TSR-511");
    one(&[0, 1 << 40, 1 << 40], 0, 0).refused("CS-TSR-511");
    one(&[1 << 40, 1 << 40, 0], 0, 0).refused("CS-TSR-511");
    one(&[1 << 63], 24, 0).refused("CS-TSR-511");
    one(&[33], 2, 0).refused("CS-TSR-511");
    one(&[16, 2], 2, 0).refused("CS-TSR-511");
    one(&[1], 0, 4).refused("CS-TSR-512");
    one(&[16], 0, 32).refused("CS-TSR-513");
    one(&[16], 0, u64::MAX - 31).refused("CS-TSR-513");
    one(&[1 << 40], 0, 0).refused("CS-TSR-513");
    one(&[8], 0, 32).refused("CS-TSR-515");
    one(&[1], 0, 0).refused("CS-TSR-515");
    let two = |second| Raw::new(2, 0).tensor("a", &[16], 0, 0).tensor("b", &[8], 0, second).data(128);
    two(32).refused("CS-TSR-514");
    two(0).refused("CS-TSR-514");
    two(96).refused("CS-TSR-515");
}

#[test]
fn a_million_tensors_are_read_and_announced_ones_are_not_waited_for() {
    let mut raw = Raw::new(1_000_000, 0);
    for number in 0..1_000_000_u64 {
        raw = raw.tensor(&format!("t{number}"), &[0], 0, 0);
    }
    let file = raw.data(0);
    assert_eq!(Gguf::read(&file.0).unwrap().view("t999999").unwrap().shape, [0]);
    Raw::new(1_000_000, 0).tensor("a", &[1], 0, 0).refused("CS-TSR-502");
    let few = Limits { tensors: 10, ..Limits::FORMAT };
    assert_eq!(Gguf::read_within(&file.0, &few).unwrap_err().code(), "CS-TSR-503");
}

#[test]
fn every_type_has_a_number_and_a_size() {
    for kind in GgmlType::all() {
        assert_eq!(GgmlType::from_number(kind.number()), Some(kind));
        assert_eq!(GgmlType::parse(kind.name()), Some(kind));
        assert_eq!(format!("{kind:?}"), kind.name());
        let row = kind.block_elements();
        assert_eq!(kind.bytes_of(&[3, row]), Some(3 * kind.block_bytes()));
        assert_eq!(kind.bytes_of(&[row, 3 * row + 1]).is_some(), kind.is_plain());
    }
    assert_eq!(GgmlType::all().count(), 35);
}

#[test]
fn what_cannot_be_read_back_is_not_written() {
    let info = |name, shape| TensorInfo { name, kind: GgmlType::Q8_0, shape };
    let code = |tensors: &[(TensorInfo<'_>, &[u8])]| write(&[], tensors).unwrap_err().code();
    assert_eq!(code(&[(info("a", &[1, 31]), &[0; 34])]), "CS-TSR-511");
    assert_eq!(code(&[(info("a", &[1, 1, 1, 1, 32]), &[0; 34])]), "CS-TSR-511");
    assert_eq!(code(&[(info("a", &[32]), &[0; 33])]), "CS-TSR-516");
    assert_eq!(code(&[(info("../a", &[32]), &[0; 34])]), "CS-TSR-516");
    assert_eq!(code(&[(info("a", &[32]), &[0; 34]), (info("a", &[32]), &[0; 34])]), "CS-TSR-505");
    assert_eq!(write(&[("", Value::U8(1))], &[]).unwrap_err().code(), "CS-TSR-516");
    assert_eq!(write(&[("general.alignment", Value::U32(3))], &[]).unwrap_err().code(), "CS-TSR-509");
    let mixed = [Value::U8(1), Value::I8(1)];
    assert_eq!(Array::of(ValueType::U8, &mixed).unwrap_err().code(), "CS-TSR-516");

    let infos = [info("a", &[32])];
    let mut writer = Writer::begin(&[], &infos, |_: &[u8]| {}).unwrap();
    writer.data(&[0; 33]).unwrap();
    assert_eq!(writer.data(&[0; 2]).unwrap_err().code(), "CS-TSR-516");
    let mut short = Writer::begin(&[], &infos, |_: &[u8]| {}).unwrap();
    short.data(&[0; 33]).unwrap();
    assert_eq!(short.finish().unwrap_err().code(), "CS-TSR-516");
}

fn scalar() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i8>().prop_map(Value::I8),
        any::<u16>().prop_map(Value::U16),
        any::<i16>().prop_map(Value::I16),
        any::<u32>().prop_map(Value::U32),
        any::<i32>().prop_map(Value::I32),
        (-1e30_f32..1e30).prop_map(Value::F32),
        any::<bool>().prop_map(Value::Bool),
        ".{0,12}".prop_map(|text| Value::Text(text.into())),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        (-1e300_f64..1e300).prop_map(Value::F64),
    ]
}

fn value() -> impl Strategy<Value = Value<'static>> {
    let array = (scalar(), 0..5_usize)
        .prop_map(|(item, count)| Value::Array(Array::of(item.value_type(), &vec![item; count]).unwrap()));
    let nested = (proptest::collection::vec(".{0,4}", 0..4), 0..3_usize).prop_map(|(texts, count)| {
        let inner = Array::of_texts(texts.iter().map(String::as_str));
        Value::Array(Array::of(ValueType::Array, &vec![Value::Array(inner); count]).unwrap())
    });
    prop_oneof![4 => scalar(), 1 => array, 1 => nested]
}

fn tensors() -> impl Strategy<Value = Vec<(String, GgmlType, Vec<usize>, Vec<u8>)>> {
    let kinds: Vec<GgmlType> = GgmlType::all().collect();
    let one = (
        proptest::sample::select(kinds),
        0..3_usize,
        proptest::collection::vec(0..4_usize, 0..3),
        any::<u8>(),
    );
    proptest::collection::btree_map("[a-z]{1,8}(\\.[a-z0-9]{1,4}){0,2}", one, 0..6).prop_map(|named| {
        let tensors = named.into_iter().map(|(name, (kind, blocks, mut shape, fill))| {
            shape.push(blocks * kind.block_elements());
            let bytes = vec![fill; kind.bytes_of(&shape).unwrap()];
            (name, kind, shape, bytes)
        });
        tensors.collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        pairs in proptest::collection::btree_map("[a-z]{1,6}\\.[a-z_]{1,6}", value(), 0..6),
        tensors in tensors(),
        alignment in proptest::sample::select(vec![1_u32, 8, 32, 128]),
    ) {
        let mut metadata: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        metadata.push(("general.alignment", Value::U32(alignment)));
        let given: Vec<_> = tensors
            .iter()
            .map(|(name, kind, shape, bytes)| (TensorInfo { name, kind: *kind, shape }, bytes.as_slice()))
            .collect();
        let file = write(&metadata, &given).unwrap();
        let read = Gguf::read(&file).unwrap();
        prop_assert_eq!(read.metadata(), metadata.as_slice());
        let views: Vec<_> = read
            .in_file_order()
            .map(|view| (TensorInfo { name: view.name, kind: view.kind, shape: view.shape }, view.data))
            .collect();
        prop_assert_eq!(views, given);
        // Cut short anywhere in front of the data's last byte, it is refused.
        if let Some(last) = tensors.iter().rposition(|(.., bytes)| !bytes.is_empty()) {
            let view = read.in_file_order().nth(last).unwrap();
            let end = usize::try_from(view.offset).unwrap() + view.data.len();
            for cut in [end - 1, end / 2, 30] {
                prop_assert!(Gguf::read(&file[..cut]).is_err());
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..60_usize) {
        let mut file = Raw::new(1, 1).text("k").u32(9).u32(8).u64(1).text("v").tensor("a", &[8], 0, 0).data(32).0;
        for (place, byte) in file[8 + at..].iter_mut().zip(&bytes) {
            *place ^= byte;
        }
        drop(Gguf::read(&file));
        drop(Gguf::read(&bytes));
    }
}
