use super::*;

/// What a made entry may lie about.
#[derive(Clone)]
struct Made {
    name: Vec<u8>,
    local_name: Option<Vec<u8>>,
    method: u16,
    local_method: Option<u16>,
    flags: u16,
    local_flags: Option<u16>,
    crc: Option<u32>,
    packed: Vec<u8>,
    packed_said: Option<u32>,
    size: u32,
    contents_crc: u32,
}

fn stored(name: &str, contents: &[u8]) -> Made {
    Made {
        name: name.as_bytes().to_vec(),
        local_name: None,
        method: 0,
        local_method: None,
        flags: 0,
        local_flags: None,
        crc: None,
        packed: contents.to_vec(),
        packed_said: None,
        size: u32::try_from(contents.len()).unwrap(),
        contents_crc: crc32(contents),
    }
}

fn deflated(name: &str, contents: &[u8]) -> Made {
    let packed = miniz_oxide::deflate::compress_to_vec(contents, 6);
    Made { method: 8, packed, ..stored(name, contents) }
}

fn local(made: &Made) -> Vec<u8> {
    let name = made.local_name.as_ref().unwrap_or(&made.name);
    let mut bytes = b"PK\x03\x04\x14\0".to_vec();
    bytes.extend(made.local_flags.unwrap_or(made.flags).to_le_bytes());
    bytes.extend(made.local_method.unwrap_or(made.method).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(made.contents_crc.to_le_bytes());
    bytes.extend(made.packed_said.unwrap_or(u32::try_from(made.packed.len()).unwrap()).to_le_bytes());
    bytes.extend(made.size.to_le_bytes());
    bytes.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    bytes.extend([0; 2]);
    bytes.extend(name);
    bytes.extend(&made.packed);
    bytes
}

fn central(made: &Made, header_at: u32) -> Vec<u8> {
    let mut bytes = b"PK\x01\x02\x14\0\x14\0".to_vec();
    bytes.extend(made.flags.to_le_bytes());
    bytes.extend(made.method.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(made.crc.unwrap_or(made.contents_crc).to_le_bytes());
    bytes.extend(made.packed_said.unwrap_or(u32::try_from(made.packed.len()).unwrap()).to_le_bytes());
    bytes.extend(made.size.to_le_bytes());
    bytes.extend(u16::try_from(made.name.len()).unwrap().to_le_bytes());
    bytes.extend([0; 12]);
    bytes.extend(header_at.to_le_bytes());
    bytes.extend(&made.name);
    bytes
}

fn end(entries: u16, size: usize, at: usize) -> Vec<u8> {
    let mut bytes = b"PK\x05\x06\0\0\0\0".to_vec();
    bytes.extend(entries.to_le_bytes());
    bytes.extend(entries.to_le_bytes());
    bytes.extend(u32::try_from(size).unwrap().to_le_bytes());
    bytes.extend(u32::try_from(at).unwrap().to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

fn archive(entries: &[Made]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for made in entries {
        directory.extend(central(made, u32::try_from(bytes.len()).unwrap()));
        bytes.extend(local(made));
    }
    let at = bytes.len();
    bytes.extend(&directory);
    bytes.extend(end(u16::try_from(entries.len()).unwrap(), directory.len(), at));
    bytes
}

fn ids(file: &[u8]) -> Vec<&'static str> {
    let archive = Archive::read(file, &Limits::STANDARD).unwrap();
    let mut ids: Vec<_> = archive.anomalies().iter().map(|anomaly| anomaly.oddity.id()).collect();
    ids.sort_unstable();
    ids.dedup();
    match Archive::read_strict(file, &Limits::STANDARD) {
        Ok(_) => assert!(ids.is_empty()),
        Err(error) => {
            assert!(error.code().starts_with("CS-TSR-2"));
            assert!(!error.hint().is_empty() && !error.to_string().is_empty());
            assert!(!ids.is_empty());
        }
    }
    ids
}

#[track_caller]
fn odd(file: &[u8], expected: &[&str]) {
    assert_eq!(ids(file), expected);
}

fn contents(file: &[u8], index: usize) -> Contents<'_> {
    let archive = Archive::read(file, &Limits::STANDARD).unwrap();
    archive.contents(index, &mut Budget::new(1 << 20)).unwrap()
}

#[test]
fn checksum() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    assert_eq!(crc32(b""), 0);
    assert_eq!(crc32(&[0xFF; 4]), 0xFFFF_FFFF);
}

#[test]
fn a_plain_archive_is_read() {
    let file =
        archive(&[stored("a/data.pkl", b"hello"), deflated("a/b", &[7; 5000]), stored("a/empty", b"")]);
    odd(&file, &[]);
    assert_eq!(&*contents(&file, 0).bytes, b"hello");
    let second = contents(&file, 1);
    assert_eq!(&*second.bytes, &[7; 5000]);
    assert!(second.anomalies.is_empty() && second.broken.is_none());
    let read = Archive::read(&file, &Limits::STANDARD).unwrap();
    assert_eq!(read.find("A/DATA.PKL").collect::<Vec<_>>(), [0]);
    assert_eq!(read.packed(2).unwrap(), b"");
    assert_eq!(read.packed(3), Err(Error::NoEntry { index: 3 }));
}

#[test]
fn what_the_two_headers_disagree_about() {
    let plain = stored("a", b"x");
    for (made, expected) in [
        (Made { local_name: Some(b"b".to_vec()), ..plain.clone() }, "zip-local-name"),
        (Made { local_method: Some(8), ..plain.clone() }, "zip-local-method"),
        (Made { local_flags: Some(1), ..plain.clone() }, "zip-local-encryption"),
        (Made { crc: Some(1), ..plain.clone() }, "zip-local-crc"),
        (Made { flags: 1, ..plain.clone() }, "zip-encrypted"),
        (Made { method: 99, ..plain.clone() }, "zip-method"),
    ] {
        odd(&archive(&[made]), &[expected]);
    }
    // Contents are looked at all the same, as PyTorch's reader does.
    let file = archive(&[Made { local_name: Some(b"b".to_vec()), flags: 1, crc: Some(7), ..plain }]);
    let read = contents(&file, 0);
    assert_eq!(&*read.bytes, b"x");
    assert_eq!(read.anomalies[0].oddity.id(), "zip-crc");
}

#[test]
fn names_that_lead_elsewhere() {
    for name in ["/etc/passwd", "../x", "a/../../x", "a\\b", "C:x", "a\0b", "a\nb", ""] {
        odd(&archive(&[stored(name, b"x")]), &["zip-name"]);
    }
    odd(&archive(&[stored("a..b/..c/d..", b"x")]), &[]);
    odd(&archive(&[Made { name: vec![0xFF, 0xFE], ..stored("", b"x") }]), &["zip-name-encoding"]);
}

#[test]
fn names_that_repeat() {
    odd(&archive(&[stored("a", b"x"), stored("a", b"y")]), &["zip-repeated"]);
    odd(&archive(&[stored("a/data.pkl", b"x"), stored("a/DATA.pkl", b"y")]), &["zip-repeated"]);
}

#[test]
fn entries_that_overlap_or_leave_the_file() {
    let made = stored("a", b"x");
    let bytes = local(&made);
    // Two entries with one local header.
    let second = Made { name: b"b".to_vec(), ..made.clone() };
    let directory = [central(&made, 0), central(&second, 0)].concat();
    let mut file = bytes.clone();
    file.extend(&directory);
    file.extend(end(2, directory.len(), bytes.len()));
    odd(&file, &["zip-local-name", "zip-overlap"]);
    // An entry that reaches into the directory.
    odd(&archive(&[Made { packed_said: Some(5), ..made.clone() }]), &["zip-overlap"]);
    // An entry that reaches beyond the end.
    let far = archive(&[Made { packed_said: Some(u32::MAX - 1), ..made.clone() }]);
    assert!(ids(&far).contains(&"zip-outside"));
    let read = Archive::read(&far, &Limits::STANDARD).unwrap();
    assert_eq!(read.packed(0), Err(Error::Outside { entry: "a".to_owned() }));
}

#[test]
fn bytes_around_the_archive() {
    let plain = archive(&[stored("a", b"x")]);
    let prepended = [b"\x80\x02.", plain.as_slice()].concat();
    odd(&prepended, &["zip-prepended"]);
    assert_eq!(&*contents(&prepended, 0).bytes, b"x");
    let appended = [plain.as_slice(), b"more"].concat();
    odd(&appended, &["zip-appended"]);
    // A second archive behind the first: readers of the last record see only one of the two.
    let two = [archive(&[stored("a", b"first")]), archive(&[stored("b", b"second")])].concat();
    let found = ids(&two);
    assert!(found.contains(&"zip-ends"), "{found:?}");
    let read = Archive::read(&two, &Limits::STANDARD).unwrap();
    let names: Vec<_> = read.entries().iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
}

#[test]
fn an_archive_inside_an_archive_is_none_of_the_outer_ones_business() {
    let inner = archive(&[stored("i", b"x")]);
    odd(&archive(&[stored("inner.npz", &inner)]), &[]);
}

#[test]
fn entries_that_the_directory_does_not_list() {
    let hidden = local(&stored("hidden", b"y"));
    let shown = local(&stored("a", b"x"));
    let directory = central(&stored("a", b"x"), u32::try_from(hidden.len()).unwrap());
    let at = hidden.len() + shown.len();
    let file = [hidden, shown, directory.clone(), end(1, directory.len(), at)].concat();
    odd(&file, &["zip-unlisted"]);
    let read = Archive::read(&file, &Limits::STANDARD).unwrap();
    assert_eq!(read.entries()[1].origin, Origin::Unlisted);
    assert_eq!(&*contents(&file, 1).bytes, b"y");
}

#[test]
fn records_that_do_not_count_right() {
    let made = stored("a", b"x");
    let bytes = local(&made);
    let directory = central(&made, 0);
    for (entries, size, expected) in [(2, 0, "zip-counts"), (1, 1, "zip-directory-size")] {
        let file =
            [bytes.clone(), directory.clone(), end(entries, directory.len() - size, bytes.len())].concat();
        odd(&file, &[expected]);
    }
    assert_eq!(Archive::read(b"PK", &Limits::STANDARD).unwrap_err(), Error::NoDirectory);
    odd(&end(0, 0, 0), &[]);
    odd(&end(7, 0, 0), &["zip-counts"]);
}

#[test]
fn bombs_cost_no_more_than_the_budget() {
    let zeros = vec![0; 32 << 20];
    let file = archive(&[deflated("bomb", &zeros)]);
    odd(&file, &["zip-ratio"]);
    let read = Archive::read(&file, &Limits::STANDARD).unwrap();
    let mut budget = Budget::new(1 << 20);
    assert_eq!(
        read.contents(0, &mut budget).unwrap_err(),
        Error::Bomb { entry: "bomb".to_owned(), left: 1 << 20 }
    );
    // A bomb that announces little.
    let small = archive(&[Made { size: 10, ..deflated("bomb", &zeros) }]);
    odd(&small, &[]);
    let read = Archive::read(&small, &Limits::STANDARD).unwrap();
    assert_eq!(read.contents(0, &mut budget).unwrap_err().code(), "CS-TSR-206");
    // The budget is for all entries together.
    let file = archive(&[deflated("a", &[1; 60]), deflated("b", &[1; 60])]);
    let read = Archive::read(&file, &Limits::STANDARD).unwrap();
    let mut budget = Budget::new(100);
    assert_eq!(read.contents(0, &mut budget).unwrap().bytes.len(), 60);
    assert_eq!(budget.left(), 40);
    assert!(read.contents(1, &mut budget).is_err());
    let limits = Limits { total: 100, ..Limits::STANDARD };
    assert!(matches!(Archive::read_strict(&file, &limits), Err(Error::Anomalous(_))));
}

#[test]
fn streams_that_break_give_what_came_before() {
    let whole = deflated("a", b"some text that is long enough to be cut, some text");
    let cut = Made { packed: whole.packed[..whole.packed.len() - 4].to_vec(), ..whole.clone() };
    let file = archive(&[cut]);
    let read = contents(&file, 0);
    assert!(matches!(read.broken, Some(Error::Deflate { .. })));
    assert!(read.bytes.starts_with(b"some text"));
    let tail = Made { packed: [whole.packed.as_slice(), b"tail"].concat(), ..whole };
    assert_eq!(contents(&archive(&[tail]), 0).anomalies[0].oddity, Oddity::PackedTail { bytes: 4 });
}

#[test]
fn many_entries_are_bounded() {
    let entries = 300_000_u32;
    let made = stored("a", b"");
    let mut directory = Vec::new();
    for _ in 0..entries {
        directory.extend(central(&made, 0));
    }
    let bytes = local(&made);
    let file = [bytes.clone(), directory.clone(), end(u16::MAX, directory.len(), bytes.len())].concat();
    let error = Archive::read(&file, &Limits::STANDARD).unwrap_err();
    assert_eq!(error, Error::TooManyEntries { limit: 1 << 18 });
    // Under the limit, each entry is odd, and no more are kept than the limit says.
    let limits = Limits { entries: 1 << 20, anomalies: 100, ..Limits::STANDARD };
    let read = Archive::read(&file, &limits).unwrap();
    assert_eq!(read.anomalies().len(), 100);
    assert!(read.anomalies_found() > 300_000);
}

#[test]
fn every_cut_and_every_flipped_byte_is_answered() {
    let file = archive(&[stored("a/data.pkl", b"hello"), deflated("b", &[7; 300])]);
    let look = |file: &[u8]| {
        if let Ok(read) = Archive::read(file, &Limits::STANDARD) {
            for index in 0..read.entries().len() {
                drop(read.contents(index, &mut Budget::new(10_000)));
            }
        }
    };
    for cut in 0..file.len() {
        look(&file[..cut]);
        look(&file[cut..]);
        for bit in [1, 0x80] {
            let mut flipped = file.clone();
            flipped[cut] ^= bit;
            look(&flipped);
        }
    }
}
