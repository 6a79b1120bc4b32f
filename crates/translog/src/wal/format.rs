//! The bytes of segment headers and groups. Integers are little-endian.

use merkle::Hash;

use super::{BLOCK, MAX_ENTRY};

const SEGMENT_MAGIC: [u8; 8] = *b"CSWAL\0\0\x01";
const GROUP_MAGIC: [u8; 8] = *b"CSGRP\0\0\x01";

/// The most records that a group may hold.
pub(crate) const MAX_GROUP_RECORDS: u32 = 1 << 16;

/// The bytes of a record in a group's table.
const RECORD: usize = 4 + 8 + 32 + 32;

/// The first block of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The segment's number, which is its sequencer's epoch.
    pub(crate) number: u64,
    /// The index of the first entry.
    pub(crate) first_index: u64,
    /// The size of the log that was durable when the segment was made: groups copied into it end here.
    pub(crate) durable_through: u64,
    /// The stamp of the entry before the first.
    pub(crate) last_stamp_ms: u64,
    /// The root of the tree before the first entry.
    pub(crate) root: Hash,
    /// SHA-256 of the log's origin line.
    pub(crate) origin: Hash,
    /// Marks this segment's groups, so that an entry cannot be made to look like one.
    pub(crate) nonce: [u8; 16],
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(usize_of(BLOCK));
        bytes.extend(SEGMENT_MAGIC);
        for number in [self.number, self.first_index, self.durable_through, self.last_stamp_ms] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.root.as_bytes());
        bytes.extend(self.origin.as_bytes());
        bytes.extend(self.nonce);
        let checksum = Hash::of(&bytes);
        bytes.extend(checksum.as_bytes());
        bytes.resize(usize_of(BLOCK), 0);
        bytes
    }

    pub(crate) fn decode(block: &[u8]) -> Result<Self, &'static str> {
        let mut fields = Fields(block);
        if block.len() as u64 != BLOCK {
            return Err("the segment header is cut short");
        }
        let header = (|| {
            let magic = fields.take::<8>()?;
            let header = Self {
                number: fields.number()?,
                first_index: fields.number()?,
                durable_through: fields.number()?,
                last_stamp_ms: fields.number()?,
                root: fields.hash()?,
                origin: fields.hash()?,
                nonce: fields.take()?,
            };
            Some((magic, header, fields.hash()?))
        })();
        let Some((magic, header, checksum)) = header else { return Err("the segment header is cut short") };
        let sealed = block.get(..8 + 4 * 8 + 32 + 32 + 16).unwrap_or_default();
        if Hash::of(sealed) != checksum {
            return Err("the segment header's checksum is wrong");
        }
        // The checksum holds, so what follows is a format that this code does not know, not damage.
        if magic != SEGMENT_MAGIC {
            return Err("the segment is of an unknown format");
        }
        if fields.0.iter().any(|byte| *byte != 0) {
            return Err("the segment header's padding is not zero");
        }
        Ok(header)
    }
}

/// One entry's line in a group's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// The entry's length in bytes.
    pub(crate) length: u32,
    /// When the sequencer took it, in milliseconds since 1970.
    pub(crate) stamp_ms: u64,
    /// SHA-256 of the content that was submitted.
    pub(crate) key: Hash,
    /// The entry's leaf hash, which is also its checksum.
    pub(crate) leaf: Hash,
}

impl Record {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.length.to_le_bytes());
        bytes.extend(self.stamp_ms.to_le_bytes());
        bytes.extend(self.key.as_bytes());
        bytes.extend(self.leaf.as_bytes());
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            length: u32::from_le_bytes(fields.take()?),
            stamp_ms: fields.number()?,
            key: fields.hash()?,
            leaf: fields.hash()?,
        })
    }
}

/// The head of a group; its table and its entries follow, then zeros up to the block's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) nonce: [u8; 16],
    pub(crate) number: u64,
    pub(crate) first_index: u64,
    pub(crate) count: u32,
    pub(crate) body: u64,
    /// The root of the tree after the group's last entry.
    pub(crate) root: Hash,
    /// SHA-256 of the table.
    pub(crate) table: Hash,
}

impl GroupHeader {
    pub(crate) const LENGTH: usize = 8 + 16 + 8 + 8 + 4 + 8 + 32 + 32 + 32;

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LENGTH);
        bytes.extend(GROUP_MAGIC);
        bytes.extend(self.nonce);
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.first_index.to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.body.to_le_bytes());
        bytes.extend(self.root.as_bytes());
        bytes.extend(self.table.as_bytes());
        let checksum = Hash::of(&bytes);
        bytes.extend(checksum.as_bytes());
        bytes
    }

    /// The head at the start of `bytes`, if a group of this segment starts there.
    pub(crate) fn decode(bytes: &[u8], segment: &SegmentHeader) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.take::<8>()? != GROUP_MAGIC {
            return None;
        }
        let header = Self {
            nonce: fields.take()?,
            number: fields.number()?,
            first_index: fields.number()?,
            count: u32::from_le_bytes(fields.take()?),
            body: fields.number()?,
            root: fields.hash()?,
            table: fields.hash()?,
        };
        let sealed = bytes.get(..Self::LENGTH - 32)?;
        let ours = header.nonce == segment.nonce && header.number == segment.number;
        let sane = header.count > 0
            && header.count <= MAX_GROUP_RECORDS
            && header.body <= u64::from(header.count) * MAX_ENTRY as u64;
        (ours && sane && Hash::of(sealed) == fields.hash()?).then_some(header)
    }

    /// How many bytes the table takes.
    pub(crate) fn table_bytes(&self) -> usize {
        self.count as usize * RECORD
    }

    /// How many bytes the group takes, padding included.
    pub(crate) fn bytes(&self) -> u64 {
        group_bytes(u64::from(self.count), self.body)
    }

    /// The records of the table, if it is the one that the header names.
    pub(crate) fn records(&self, table: &[u8]) -> Result<Vec<Record>, &'static str> {
        if Hash::of(table) != self.table {
            return Err("the group's table has another checksum");
        }
        let mut fields = Fields(table);
        let records: Option<Vec<Record>> = (0..self.count).map(|_| Record::decode(&mut fields)).collect();
        let records = records.ok_or("the group's table is cut short")?;
        let fits = records.iter().all(|record| record.length as usize <= MAX_ENTRY);
        let body: u64 = records.iter().map(|record| u64::from(record.length)).sum();
        if !fits || body != self.body {
            return Err("the group's lengths do not add up");
        }
        Ok(records)
    }
}

/// How many bytes a group of `count` records with `body` bytes of entries takes, padding included.
pub(crate) const fn group_bytes(count: u64, body: u64) -> u64 {
    (GroupHeader::LENGTH as u64 + count * RECORD as u64 + body).next_multiple_of(BLOCK)
}

/// A group being put together.
#[derive(Debug, Default)]
pub(crate) struct GroupBuilder {
    count: u32,
    table: Vec<u8>,
    body: Vec<u8>,
}

impl GroupBuilder {
    pub(crate) fn push(&mut self, record: &Record, entry: &[u8]) {
        self.count += 1;
        record.encode(&mut self.table);
        self.body.extend_from_slice(entry);
    }

    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn body(&self) -> u64 {
        self.body.len() as u64
    }

    /// How many bytes the finished group takes.
    pub(crate) fn bytes(&self) -> u64 {
        group_bytes(u64::from(self.count), self.body())
    }

    /// Where the entries start, from the group's start.
    pub(crate) fn body_offset(&self) -> u64 {
        (GroupHeader::LENGTH + self.table.len()) as u64
    }

    /// The group's bytes as they belong into this segment.
    pub(crate) fn encode(&self, segment: &SegmentHeader, first_index: u64, root: Hash) -> Vec<u8> {
        let header = GroupHeader {
            nonce: segment.nonce,
            number: segment.number,
            first_index,
            count: self.count,
            body: self.body(),
            root,
            table: Hash::of(&self.table),
        };
        let total = usize_of(self.bytes());
        let mut bytes = Vec::with_capacity(total);
        bytes.extend_from_slice(&header.encode());
        bytes.extend_from_slice(&self.table);
        bytes.extend_from_slice(&self.body);
        bytes.resize(total, 0);
        bytes
    }
}

/// A length that is bounded by the constants of this format, as a `usize`.
pub(crate) fn usize_of(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn hash(&mut self) -> Option<Hash> {
        self.take().map(Hash::from_bytes)
    }
}
