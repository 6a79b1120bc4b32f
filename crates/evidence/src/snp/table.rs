//! The table of certificates that a hypervisor hands its guests with a report (GHCB specification, section 4.1.8.1).

use crate::cursor::Cursor;
use crate::error::Error;

use super::KIND;

/// Most entries.
const ENTRIES_MAX: usize = 16;
/// Largest table, in bytes.
pub const TABLE_BYTES_MAX: usize = 64 << 10;

/// Identifiers of entries, in the byte order of the table, in the order in which a chain is written.
const ORDER: [[u8; 16]; 4] = [
    // VCEK, 63da758d-e664-4564-adc5-f4b93be8accd.
    [0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd],
    // VLEK, a8074bc2-a25a-483e-aae6-39c045a0b8a1.
    [0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, 0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1],
    // ASK, 4ab7b379-bbac-4fe4-a02f-05aef327c782.
    [0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82],
    // ARK, c0b406a4-a803-4952-9743-3fb6014cd0ae.
    [0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae],
];

/// The certificates of a table in DER, the chip's first. Entries of other kinds are passed over.
///
/// # Errors
/// [`Error::Form`].
pub fn certificates(table: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let mut cursor = Cursor::new(KIND, table);
    if table.len() > TABLE_BYTES_MAX {
        return cursor.refuse("certificate table", "it is larger than 64 KiB");
    }
    let mut found = Vec::new();
    loop {
        let id: [u8; 16] = cursor.array("certificate table")?;
        let (offset, length) = (cursor.le_u32("certificate table")?, cursor.le_u32("certificate table")?);
        if id == [0; 16] && offset == 0 && length == 0 {
            break;
        }
        if found.len() == ENTRIES_MAX {
            return cursor.refuse("certificate table", "it has more than sixteen entries");
        }
        let begin = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = begin.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        let Some(bytes) = table.get(begin..end) else {
            return cursor.refuse("certificate table", "an entry is outside of it");
        };
        found.push((id, bytes));
    }
    let of = |wanted: &[u8; 16]| found.iter().find(|(id, _)| id == wanted).map(|(_, bytes)| bytes.to_vec());
    Ok(ORDER.iter().filter_map(of).collect())
}
