use super::*;
use crate::json::Value as Json;

const NESTED: &[u8] = include_bytes!("fixtures/nested.pt");
const LEGACY: &[u8] = include_bytes!("fixtures/legacy.pt");
const PACKED: &[u8] = include_bytes!("fixtures/packed.pt");
const SCRIPT: &[u8] = include_bytes!("fixtures/script.pt");
const TENSORS: &[u8] = include_bytes!("fixtures/tensors.json");

fn read(file: &[u8]) -> Checkpoint<'_> {
    Checkpoint::read(file, &Limits::STANDARD).unwrap()
}

fn member<'j>(value: &'j Json, name: &str) -> &'j Json {
    let Json::Object(members) = value else { panic!("{value:?}") };
    &members.iter().find(|(key, _)| key == name).unwrap().1
}

fn numbers(value: &Json) -> Vec<u64> {
    let Json::List(items) = value else { panic!("{value:?}") };
    items
        .iter()
        .map(|item| match item {
            Json::Integer(value) => u64::try_from(*value).unwrap(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn tensors_are_those_that_pytorch_sees() {
    let Json::Object(expected) = Json::read(TENSORS).unwrap() else { panic!() };
    for (file, layout) in [(NESTED, Layout::Zip), (PACKED, Layout::Zip), (LEGACY, Layout::Legacy)] {
        let checkpoint = read(file);
        assert_eq!(checkpoint.layout, layout);
        assert!(checkpoint.findings.is_empty(), "{:?}", checkpoint.findings);
        assert!(checkpoint.unread.is_empty(), "{:?}", checkpoint.unread);
        let names: Vec<_> = checkpoint.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        let expected_names: Vec<_> = expected.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, expected_names);
        for (tensor, (_, said)) in checkpoint.tensors.iter().zip(&expected) {
            assert_eq!(*member(said, "dtype"), Json::Text(tensor.element.name.to_owned()), "{}", tensor.name);
            assert_eq!(tensor.shape, numbers(member(said, "shape")));
            assert_eq!(tensor.strides, numbers(member(said, "strides")));
            assert_eq!(*member(said, "offset"), Json::Integer(i64::try_from(tensor.offset).unwrap()));
            let elements = checkpoint.elements(tensor, 1 << 20).unwrap();
            let Json::Text(hex) = member(said, "hex") else { panic!() };
            let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            let bytes: Vec<u8> = hex.as_bytes().chunks(2).map(digits).collect();
            assert_eq!(*elements, bytes, "{}", tensor.name);
            let runs: Vec<u8> = checkpoint.runs(tensor).flatten().copied().collect();
            assert_eq!(runs, *elements);
        }
        // Views share the storage of what they look at.
        let storage = |name: &str| checkpoint.tensor(name).unwrap().storage;
        assert_eq!(storage("model.base"), storage("model.rows"));
        assert_eq!(storage("model.base"), storage("model.turned"));
        assert_eq!(storage("model.tied"), storage("model.again"));
        assert_ne!(storage("model.base"), storage("model.half"));
        assert!(checkpoint.tensor("model.base").unwrap().is_contiguous());
        assert!(!checkpoint.tensor("model.rows").unwrap().is_contiguous());
        assert_eq!(checkpoint.tensor("model.rows").unwrap().span(), Some((24, 96 - 4)));
    }
}

#[test]
fn what_is_stored_says_where_it_is() {
    for file in [NESTED, LEGACY] {
        for storage in &read(file).storages {
            let at = usize::try_from(storage.at.unwrap()).unwrap();
            assert_eq!(file[at..at + storage.bytes.len()], *storage.bytes);
        }
    }
    assert!(read(PACKED).storages.iter().all(|storage| storage.at.is_none()));
}

#[test]
fn scripts_are_read() {
    let checkpoint = read(SCRIPT);
    assert_eq!(checkpoint.layout, Layout::Script);
    let names: Vec<_> = checkpoint.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["linear.weight", "linear.bias"]);
    assert!(checkpoint.unread.is_empty() && checkpoint.findings.is_empty());
    let weight = checkpoint.elements(&checkpoint.tensors[0], 100).unwrap();
    let values: Vec<f32> = weight.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    assert_eq!(values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn a_huge_view_of_a_small_storage_is_not_laid_out() {
    let checkpoint = read(NESTED);
    let mut tensor = checkpoint.tensor("model.wide").unwrap().clone();
    tensor.shape = vec![1 << 40, 1 << 10];
    assert!(matches!(checkpoint.elements(&tensor, 1 << 20), Err(Error::TooLarge { .. })));
    assert_eq!(checkpoint.runs(&tensor).take(1000).count(), 1000);
    tensor.shape = vec![1 << 40, 1 << 40];
    assert!(matches!(tensor.check(96), Err(Error::Bounds { .. })));
    tensor.shape = vec![0, 1 << 40, 1 << 40];
    tensor.strides = vec![u64::MAX; 3];
    assert_eq!(tensor.check(96), Ok(()));
    assert_eq!(checkpoint.elements(&tensor, 0).unwrap().len(), 0);
}

#[test]
fn big_endian_elements_are_turned() {
    let mut checkpoint = read(NESTED);
    checkpoint.big_endian = true;
    let tensor = checkpoint.tensor("model.scalar").unwrap();
    assert_eq!(*checkpoint.elements(tensor, 100).unwrap(), 7_u64.to_be_bytes());
    let tensor = checkpoint.tensor("model.complex").unwrap();
    let expected = [1.0_f32.to_be_bytes(), 2.0_f32.to_be_bytes()].concat();
    assert_eq!(*checkpoint.elements(tensor, 100).unwrap(), expected);
}

/// A legacy file with one pickled object and one storage of two bytes.
fn legacy(object: &str) -> Vec<u8> {
    let head = [b"\x80\x02\x8a\x0a".as_slice(), b"l\xfc\x9cF\xf9 j\xa8P\x19.", b"\x80\x02M\xe9\x03.", b"}."]
        .concat();
    [head.as_slice(), object.as_bytes(), b"]X\x01\0\0\0ka.", b"\x02\0\0\0\0\0\0\0", b"\x07\x08"].concat()
}

fn tensor(storage: &str, offset: &str, shape: &str, strides: &str) -> String {
    format!("ctorch._utils\n_rebuild_tensor_v2\n({storage}Q{offset}({shape}t({strides}tI00\n}}tR.")
}

const STORAGE: &str = "(Vstorage\nctorch\nByteStorage\nVk\nVcpu\nI2\nNt";

#[test]
fn views_outside_their_storage_are_refused() {
    let good = legacy(&tensor(STORAGE, "I0\n", "I2\n", "I1\n"));
    let checkpoint = read(&good);
    assert_eq!(&*checkpoint.elements(&checkpoint.tensors[0], 10).unwrap(), &[7, 8]);
    for (storage, offset, shape, strides, code) in [
        (STORAGE, "I1\n", "I2\n", "I1\n", "CS-TSR-245"),
        (STORAGE, "I0\n", "I3\n", "I1\n", "CS-TSR-245"),
        (STORAGE, "I0\n", "I2\n", "I2\n", "CS-TSR-245"),
        (STORAGE, "I9223372036854775807\n", "I2\n", "I9223372036854775807\n", "CS-TSR-245"),
        (STORAGE, "I0\n", "I9223372036854775807\nI9223372036854775807\n", "I0\nI0\n", "CS-TSR-245"),
        (STORAGE, "I-1\n", "I2\n", "I1\n", "CS-TSR-243"),
        (STORAGE, "I0\n", "I-2\n", "I1\n", "CS-TSR-243"),
        (STORAGE, "I0\n", "I2\n", "I1\nI1\n", "CS-TSR-243"),
        (&STORAGE.replace("I2", "I3"), "I0\n", "I2\n", "I1\n", "CS-TSR-244"),
        (&STORAGE.replace("Byte", "Long"), "I0\n", "I2\n", "I1\n", "CS-TSR-244"),
        (&STORAGE.replace("Byte", "Odd"), "I0\n", "I2\n", "I1\n", "CS-TSR-243"),
        (&STORAGE.replace("Vk", "Vx"), "I0\n", "I2\n", "I1\n", "CS-TSR-244"),
    ] {
        let file = legacy(&tensor(storage, offset, shape, strides));
        let error = Checkpoint::read(&file, &Limits::STANDARD).unwrap_err();
        assert_eq!(error.code(), code, "{storage:?} {offset:?} {shape:?} {strides:?}: {error}");
        assert!(!error.hint().is_empty());
    }
    // A part of a storage, as old files have it.
    let part = "(Vstorage\nctorch\nByteStorage\nVk\nVcpu\nI2\n(Vp\nI1\nI1\ntt";
    let file = legacy(&tensor(part, "I0\n", "I1\n", "I1\n"));
    let checkpoint = read(&file);
    assert_eq!(&*checkpoint.elements(&checkpoint.tensors[0], 10).unwrap(), &[8]);
    let file = legacy(&tensor(&part.replace("I1\nI1\n", "I2\nI1\n"), "I0\n", "I1\n", "I1\n"));
    assert_eq!(Checkpoint::read(&file, &Limits::STANDARD).unwrap_err().code(), "CS-TSR-244");
}

#[test]
fn what_is_not_understood_is_listed() {
    let file = legacy(&format!(
        "}}(Va\ncsome.where\nThing\n)RVb\n{}u.",
        tensor(STORAGE, "I0\n", "I2\n", "I1\n").trim_end_matches('.')
    ));
    let checkpoint = read(&file);
    assert_eq!(checkpoint.tensors[0].name, "b");
    assert_eq!(checkpoint.unread, [Unread { name: "a".to_owned(), what: "some.where.Thing(…)".to_owned() }]);
    let trailing = [file.as_slice(), b"more"].concat();
    assert_eq!(read(&trailing).findings, [Finding::Trailing { bytes: 4 }]);
}

#[test]
fn values_at_many_places_are_bounded() {
    // Each list holds the one below ten times.
    let mut object = format!("({}lp0\n", tensor(STORAGE, "I0\n", "I2\n", "I1\n").trim_end_matches('.'));
    for level in 0..50 {
        object.extend(["(", &format!("g{level}\n").repeat(10), "lp", &(level + 1).to_string(), "\n"]);
    }
    let file = legacy(&(object + "."));
    let limits = Limits { visits: 100_000, ..Limits::STANDARD };
    let error = Checkpoint::read(&file, &limits).unwrap_err();
    assert_eq!(error, Error::TooMany { what: "places of values", limit: 100_000 });
    // A list that holds itself.
    let file = legacy("]p0\ng0\na.");
    let error = Checkpoint::read(&file, &Limits::STANDARD).unwrap_err();
    assert_eq!(error.code(), "CS-TSR-246");
}

#[test]
fn every_cut_and_every_flipped_byte_is_answered() {
    let limits = Limits { visits: 10_000, ..Limits::STANDARD };
    let look = |file: &[u8]| {
        let Ok(checkpoint) = Checkpoint::read(file, &limits) else { return };
        for tensor in &checkpoint.tensors {
            if let Ok(elements) = checkpoint.elements(tensor, 1 << 20) {
                assert_eq!(u64::try_from(elements.len()).unwrap(), tensor.count() * tensor.element.bytes);
            }
        }
    };
    for file in [NESTED, LEGACY, PACKED, SCRIPT] {
        for at in 0..file.len() {
            look(&file[..at]);
            let mut flipped = file.to_vec();
            for bit in [1, 0x10, 0x80] {
                flipped[at] = file[at] ^ bit;
                look(&flipped);
            }
        }
    }
    assert_eq!(Checkpoint::read(b"", &limits).unwrap_err(), Error::NotTorch);
    assert_eq!(Checkpoint::read(b"PK\x03\x04", &limits).unwrap_err().code(), "CS-TSR-241");
}

#[test]
fn a_published_script_is_read() {
    let folder = std::env::var_os("COUNTERSIGN_MODELS").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/models"),
        std::path::PathBuf::from,
    );
    let Ok(file) = std::fs::read(folder.join("silero-vad/silero_vad/data/silero_vad.jit")) else {
        eprintln!("SKIPPED a_published_script_is_read: models absent");
        return;
    };
    let archive = Archive::read_strict(&file, &zip::Limits::STANDARD).unwrap();
    let mut budget = Budget::new(1 << 24);
    for index in archive.find("VADr_v6_10_25_noths_re/data.pkl") {
        let contents = archive.contents(index, &mut budget).unwrap();
        assert!(contents.anomalies.is_empty());
        let pickle = Pickle::read_at(&contents.bytes, 0, &pickle::Limits::STANDARD);
        assert_eq!(pickle::AllowList::script().objections(&pickle), []);
    }
    let checkpoint = read(&file);
    assert_eq!(checkpoint.layout, Layout::Script);
    assert!(checkpoint.unread.is_empty(), "{:?}", checkpoint.unread);
    let bytes: u64 = checkpoint.tensors.iter().map(|tensor| tensor.count() * tensor.element.bytes).sum();
    println!("{} tensors, {bytes} bytes, {:?}", checkpoint.tensors.len(), checkpoint.findings);
    assert!(checkpoint.tensors.len() > 30 && bytes > 2_000_000);
    for tensor in &checkpoint.tensors {
        assert!(checkpoint.elements(tensor, 1 << 22).is_ok());
    }
}
