//! The records of the container, field by field (PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5).

/// `N` bytes at an offset.
pub(super) fn bytes_at<const N: usize>(bytes: &[u8], at: u64) -> Option<[u8; N]> {
    let at = usize::try_from(at).ok()?;
    bytes.get(at..)?.first_chunk().copied()
}

pub(super) fn u16_at(bytes: &[u8], at: u64) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: u64) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: u64) -> Option<u64> {
    bytes_at(bytes, at).map(u64::from_le_bytes)
}

/// `length` bytes at an offset.
pub(super) fn slice_at(bytes: &[u8], at: u64, length: u64) -> Option<&[u8]> {
    let end = at.checked_add(length)?;
    bytes.get(usize::try_from(at).ok()?..usize::try_from(end).ok()?)
}

pub(super) const LOCAL: [u8; 4] = *b"PK\x03\x04";
pub(super) const CENTRAL: [u8; 4] = *b"PK\x01\x02";
pub(super) const END: [u8; 4] = *b"PK\x05\x06";
const END64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR64: [u8; 4] = *b"PK\x06\x07";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";

pub(super) const LOCAL_BYTES: u64 = 30;
const CENTRAL_BYTES: u64 = 46;
const END_BYTES: u64 = 22;
const LOCATOR_BYTES: u64 = 20;
/// What a 32-bit field holds where the value stands in the zip64 extra field.
const ELSEWHERE: u64 = 0xFFFF_FFFF;

/// The end record, with what its zip64 form says instead.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// Where the record stands.
    pub(super) at: u64,
    /// Where the directory must have ended: the first of the end records.
    pub(super) directory_until: u64,
    pub(super) entries: u64,
    pub(super) directory_bytes: u64,
    pub(super) directory_at: u64,
    pub(super) several_disks: bool,
    /// One past the record and its comment.
    pub(super) past: u64,
}

impl End {
    pub(super) fn read(file: &[u8], at: u64) -> Option<Self> {
        let disk = u16_at(file, at + 4)?;
        let comment = u16_at(file, at + 20)?;
        let mut end = Self {
            at,
            directory_until: at,
            entries: u64::from(u16_at(file, at + 10)?),
            directory_bytes: u64::from(u32_at(file, at + 12)?),
            directory_at: u64::from(u32_at(file, at + 16)?),
            several_disks: disk != 0 && disk != 0xFFFF,
            past: at + END_BYTES + u64::from(comment),
        };
        let located = at
            .checked_sub(LOCATOR_BYTES)
            .filter(|locator| bytes_at(file, *locator) == Some(LOCATOR64))
            .and_then(|locator| u64_at(file, locator + 8).map(|at64| (locator, at64)));
        if let Some((locator, at64)) = located {
            // The record is looked for where the locator points, and where it stands when bytes were prepended.
            let usual = locator.checked_sub(56);
            let found = [Some(at64), usual]
                .into_iter()
                .flatten()
                .find(|at64| *at64 < locator && bytes_at(file, *at64) == Some(END64));
            if let Some(at64) = found {
                end.directory_until = at64;
                end.entries = u64_at(file, at64 + 32)?;
                end.directory_bytes = u64_at(file, at64 + 40)?;
                end.directory_at = u64_at(file, at64 + 48)?;
            }
        }
        Some(end)
    }
}

/// Sizes and offset, where an extra field may stand in for the header.
#[derive(Debug, Clone, Copy, Default)]
struct Sizes {
    size: u64,
    packed: u64,
    header_at: u64,
}

/// What the extra fields say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extras {
    /// One gives another name.
    pub(super) other_name: bool,
    /// One is cut short or lacks what the header leaves to it.
    pub(super) odd: bool,
}

fn read_extra(extra: &[u8], sizes: &mut Sizes) -> Extras {
    let mut found = Extras::default();
    let mut at = 0;
    while let (Some(id), Some(length)) = (u16_at(extra, at), u16_at(extra, at + 2)) {
        let Some(field) = slice_at(extra, at + 4, u64::from(length)) else {
            found.odd = true;
            return found;
        };
        match id {
            1 => {
                let mut place = 0;
                for value in [&mut sizes.size, &mut sizes.packed, &mut sizes.header_at] {
                    if *value == ELSEWHERE {
                        match u64_at(field, place) {
                            Some(wide) => *value = wide,
                            None => found.odd = true,
                        }
                        place += 8;
                    }
                }
            }
            0x7075 => found.other_name = true,
            _ => {}
        }
        at += 4 + u64::from(length);
    }
    // Less than a field's head may be left only as padding.
    found.odd |= slice_at(extra, at, 1).is_some()
        && extra.iter().skip(usize::try_from(at).unwrap_or(usize::MAX)).any(|byte| *byte != 0);
    found
}

/// An entry of the central directory.
#[derive(Debug, Clone)]
pub(super) struct Central<'a> {
    pub(super) at: u64,
    pub(super) name: &'a [u8],
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) size: u64,
    pub(super) header_at: u64,
    pub(super) link: bool,
    pub(super) other_disk: bool,
    pub(super) extras: Extras,
    /// One past the record.
    pub(super) end: u64,
}

impl<'a> Central<'a> {
    pub(super) fn read(file: &'a [u8], at: u64) -> Option<Self> {
        if bytes_at(file, at) != Some(CENTRAL) {
            return None;
        }
        let name_bytes = u64::from(u16_at(file, at + 28)?);
        let extra_bytes = u64::from(u16_at(file, at + 30)?);
        let comment_bytes = u64::from(u16_at(file, at + 32)?);
        let name = slice_at(file, at + CENTRAL_BYTES, name_bytes)?;
        let extra = slice_at(file, at + CENTRAL_BYTES + name_bytes, extra_bytes)?;
        let mut sizes = Sizes {
            packed: u64::from(u32_at(file, at + 20)?),
            size: u64::from(u32_at(file, at + 24)?),
            header_at: u64::from(u32_at(file, at + 42)?),
        };
        let extras = read_extra(extra, &mut sizes);
        let disk = u16_at(file, at + 34)?;
        // The upper half of the external attributes is the Unix mode where the maker was Unix.
        let mode = u16_at(file, at + 40)?;
        Some(Self {
            at,
            name,
            flags: u16_at(file, at + 8)?,
            method: u16_at(file, at + 10)?,
            crc: u32_at(file, at + 16)?,
            packed: sizes.packed,
            size: sizes.size,
            header_at: sizes.header_at,
            link: mode & 0xF000 == 0xA000,
            other_disk: disk != 0 && disk != 0xFFFF,
            extras,
            end: at + CENTRAL_BYTES + name_bytes + extra_bytes + comment_bytes,
        })
    }
}

/// A local header.
#[derive(Debug, Clone)]
pub(super) struct Local<'a> {
    pub(super) name: &'a [u8],
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) size: u64,
    pub(super) extras: Extras,
    /// Where the contents begin.
    pub(super) data_at: u64,
}

impl<'a> Local<'a> {
    pub(super) fn read(file: &'a [u8], at: u64) -> Option<Self> {
        if bytes_at(file, at) != Some(LOCAL) {
            return None;
        }
        let name_bytes = u64::from(u16_at(file, at + 26)?);
        let extra_bytes = u64::from(u16_at(file, at + 28)?);
        let name = slice_at(file, at + LOCAL_BYTES, name_bytes)?;
        let extra = slice_at(file, at + LOCAL_BYTES + name_bytes, extra_bytes)?;
        let mut sizes = Sizes {
            packed: u64::from(u32_at(file, at + 18)?),
            size: u64::from(u32_at(file, at + 22)?),
            header_at: 0,
        };
        let extras = read_extra(extra, &mut sizes);
        Some(Self {
            name,
            flags: u16_at(file, at + 6)?,
            method: u16_at(file, at + 8)?,
            crc: u32_at(file, at + 14)?,
            packed: sizes.packed,
            size: sizes.size,
            extras,
            data_at: at + LOCAL_BYTES + name_bytes + extra_bytes,
        })
    }
}

/// Bytes of the data descriptor at `at`, if one stands there: with or without signature, with sizes of 4 or 8
/// bytes. It is known by its sizes.
pub(super) fn descriptor_bytes(file: &[u8], at: u64, packed: u64, size: u64) -> Option<u64> {
    let signed = bytes_at(file, at) == Some(DESCRIPTOR);
    let (fields, head) = if signed { (at + 4, 8) } else { (at, 4) };
    if u64_at(file, fields + 4) == Some(packed) && u64_at(file, fields + 12) == Some(size) {
        return Some(head + 16);
    }
    let narrow = |place| u32_at(file, place).map(u64::from);
    if narrow(fields + 4) == Some(packed) && narrow(fields + 8) == Some(size) {
        return Some(head + 8);
    }
    None
}
