//! The directory: found, read, and compared with the local headers.

use std::collections::HashMap;

use super::anomaly::{Anomaly, Field, NameTrick, Oddity};
use super::header::{self, Central, End, Local, bytes_at, slice_at};
use super::{Archive, Entry, Error, Limits, Method, Origin, wide};

/// An end record's comment has at most 65,535 bytes, and readers look no further back.
const END_REACH: usize = 65_535 + 22;
/// Flags that mark encryption: traditional, strong, and masked headers.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// Flag: sizes and checksum follow the contents.
const DESCRIPTOR_FOLLOWS: u16 = 1 << 3;

pub(super) fn read<'a>(file: &'a [u8], limits: &Limits) -> Result<Archive<'a>, Error> {
    let mut builder = Builder {
        file,
        limits,
        entries: Vec::new(),
        anomalies: Vec::new(),
        found: 0,
        spans: Vec::new(),
        names: HashMap::new(),
        listings: Vec::new(),
    };
    let ends = builder.ends();
    let Some(last) = ends.last().copied() else { return Err(Error::NoDirectory) };
    let length = wide(file.len());
    if length > last.past {
        builder.odd(Anomaly::file(last.past, Oddity::Appended { bytes: length - last.past }));
    }
    // Readers take the last record. Others are those of archives inside this one, or lead to another directory
    // for readers that choose otherwise; those are followed too.
    builder.directory(&last)?;
    let others: Vec<&End> = ends.iter().filter(|end| end.at != last.at && !builder.claims(end.at)).collect();
    if !others.is_empty() {
        builder.odd(Anomaly::file(last.at, Oddity::Ends { count: others.len() + 1 }));
    }
    for end in others {
        builder.directory(end)?;
    }
    builder.spans.push(Span { begin: last.directory_until, end: length, entry: None });
    builder.cover()?;
    builder.total(last.directory_at);
    Ok(Archive {
        file,
        entries: builder.entries,
        anomalies: builder.anomalies,
        anomalies_found: builder.found,
    })
}

/// Bytes that belong to an entry, or to the directory.
#[derive(Debug, Clone, Copy)]
struct Span {
    begin: u64,
    end: u64,
    entry: Option<usize>,
}

struct Builder<'a, 'l> {
    file: &'a [u8],
    limits: &'l Limits,
    entries: Vec<Entry>,
    anomalies: Vec<Anomaly>,
    found: usize,
    spans: Vec<Span>,
    /// Entries by name in lower case.
    names: HashMap<String, usize>,
    /// Where the directories that have been read begin, and by how much their offsets were shifted.
    listings: Vec<(u64, u64)>,
}

impl<'a> Builder<'a, '_> {
    fn odd(&mut self, anomaly: Anomaly) {
        self.found += 1;
        if self.anomalies.len() < self.limits.anomalies {
            self.anomalies.push(anomaly);
        }
    }

    /// Every end record within reach, in the order of the file.
    fn ends(&self) -> Vec<End> {
        let start = self.file.len().saturating_sub(END_REACH);
        let tail = self.file.get(start..).unwrap_or_default();
        let mut ends: Vec<End> = Vec::new();
        for (place, window) in tail.array_windows::<4>().enumerate() {
            // Sixteen are plenty to say that there are several.
            if *window == header::END && ends.len() < 16 {
                ends.extend(End::read(self.file, wide(start + place)));
            }
        }
        // The one that readers take is the last, however many stand before it.
        if let Some(place) = tail.array_windows::<4>().rposition(|window| *window == header::END)
            && let Some(last) = End::read(self.file, wide(start + place))
            && ends.last().is_some_and(|end| end.at != last.at)
        {
            ends.push(last);
        }
        ends
    }

    /// Reads the directory that an end record leads to: by its offset, by its size, or by both where they differ.
    fn directory(&mut self, end: &End) -> Result<(), Error> {
        if end.several_disks {
            self.odd(Anomaly::file(end.at, Oddity::Disk));
        }
        let by_offset = Some(end.directory_at).filter(|at| self.is_directory(*at, end));
        let by_size =
            end.directory_until.checked_sub(end.directory_bytes).filter(|at| self.is_directory(*at, end));
        match (by_offset, by_size) {
            (Some(first), Some(second)) if first == second => self.listing(first, 0, end),
            (Some(first), Some(second)) => {
                self.odd(Anomaly::file(end.at, Oddity::TwoDirectories));
                self.listing(first, 0, end)?;
                self.listing(second, second.saturating_sub(first), end)
            }
            (Some(at), None) => self.listing(at, 0, end),
            (None, Some(at)) => {
                // Bytes were prepended: Python shifts all offsets by as many.
                self.listing(at, at.saturating_sub(end.directory_at), end)
            }
            (None, None) => {
                let found = 0;
                if end.entries != 0 || end.directory_bytes != 0 {
                    self.odd(Anomaly::file(end.at, Oddity::Counts { announced: end.entries, found }));
                }
                Ok(())
            }
        }
    }

    /// Whether the byte is inside an entry.
    fn claims(&self, at: u64) -> bool {
        self.spans.iter().any(|span| span.entry.is_some() && (span.begin..span.end).contains(&at))
    }

    fn is_directory(&self, at: u64, end: &End) -> bool {
        at < end.directory_until && bytes_at(self.file, at) == Some(header::CENTRAL)
    }

    fn listing(&mut self, begin: u64, shift: u64, end: &End) -> Result<(), Error> {
        if self.listings.contains(&(begin, shift)) {
            return Ok(());
        }
        self.listings.push((begin, shift));
        let mut at = begin;
        let mut found = 0;
        while at < end.directory_until {
            let Some(central) = Central::read(self.file, at) else { break };
            at = central.end;
            found += 1;
            self.entry(&central, shift)?;
        }
        if found != end.entries {
            self.odd(Anomaly::file(end.at, Oddity::Counts { announced: end.entries, found }));
        }
        if at - begin != end.directory_bytes {
            let found = at - begin;
            self.odd(Anomaly::file(begin, Oddity::DirectorySize { announced: end.directory_bytes, found }));
        }
        self.spans.push(Span { begin, end: at, entry: None });
        Ok(())
    }

    fn entry(&mut self, central: &Central<'a>, shift: u64) -> Result<(), Error> {
        if self.entries.len() >= self.limits.entries {
            return Err(Error::TooManyEntries { limit: self.limits.entries });
        }
        let name = String::from_utf8_lossy(central.name).into_owned();
        let limits = self.limits;
        let mut odd = |oddity| self.odd(Anomaly::of(&name, central.at, oddity));
        for trick in NameTrick::find(central.name) {
            odd(Oddity::Name { trick });
        }
        for (found, oddity) in [
            (std::str::from_utf8(central.name).is_err(), Oddity::NameEncoding),
            (central.extras.other_name, Oddity::OtherName),
            (central.extras.odd, Oddity::Extra),
            (central.flags & ENCRYPTED != 0, Oddity::Encrypted),
            (central.link, Oddity::Link),
            (central.other_disk, Oddity::Disk),
        ] {
            if found {
                odd(oddity);
            }
        }
        let method = Method::of(central.method);
        if let Method::Other(method) = method {
            odd(Oddity::Method { method });
        }
        if let Some(ratio) = limits.ratio_above(central.packed, central.size) {
            odd(Oddity::Ratio { ratio });
        }
        let header_at = central.header_at.saturating_add(shift);
        let mut entry = Entry {
            name,
            local_name: None,
            method,
            crc: central.crc,
            packed: central.packed,
            size: central.size,
            header_at,
            data_at: header_at,
            origin: Origin::Directory,
        };
        // A further directory that lists what the first lists adds nothing.
        let same = |known: &&Entry| known.header_at == entry.header_at && known.name == entry.name;
        let known =
            self.names.get(&entry.name.to_ascii_lowercase()).and_then(|index| self.entries.get(*index));
        if self.listings.len() > 1 && known.as_ref().is_some_and(same) {
            return Ok(());
        }
        self.compare(central, &mut entry);
        self.add(entry, central.at);
        Ok(())
    }

    /// Compares the directory's entry with its local header, which also says where the contents begin.
    fn compare(&mut self, central: &Central<'a>, entry: &mut Entry) {
        let Some(local) = Local::read(self.file, entry.header_at) else {
            let missing = if slice_at(self.file, entry.header_at, header::LOCAL_BYTES).is_some() {
                Oddity::LocalMissing
            } else {
                Oddity::Outside
            };
            self.odd(Anomaly::of(&entry.name, entry.header_at, missing));
            // Nothing can be read without knowing where: the contents are taken to begin after a header
            // that has the directory's name, if only to look there.
            entry.data_at = entry.header_at.saturating_add(header::LOCAL_BYTES + wide(central.name.len()));
            return;
        };
        entry.data_at = local.data_at;
        if local.name != central.name {
            entry.local_name = Some(String::from_utf8_lossy(local.name).into_owned());
        }
        // With a descriptor, the local header may leave checksum and sizes empty.
        let later = local.flags & DESCRIPTOR_FOLLOWS != 0;
        let differs = |here: u64, there: u64| here != there && !(later && (here == 0 || here == 0xFFFF_FFFF));
        let fields = [
            (Field::Name, local.name != central.name),
            (Field::Method, local.method != central.method),
            (Field::Encryption, (local.flags ^ central.flags) & ENCRYPTED != 0),
            (Field::Crc, differs(u64::from(local.crc), u64::from(central.crc))),
            (Field::PackedSize, differs(local.packed, central.packed)),
            (Field::Size, differs(local.size, central.size)),
        ];
        for (field, found) in fields {
            if found {
                self.odd(Anomaly::of(&entry.name, entry.header_at, Oddity::LocalHeader { field }));
            }
        }
        for (found, oddity) in
            [(local.extras.other_name, Oddity::OtherName), (local.extras.odd, Oddity::Extra)]
        {
            if found {
                self.odd(Anomaly::of(&entry.name, entry.header_at, oddity));
            }
        }
        if slice_at(self.file, entry.data_at, entry.packed).is_none() {
            self.odd(Anomaly::of(&entry.name, entry.data_at, Oddity::Outside));
            return;
        }
        let mut end = entry.data_at + entry.packed;
        if (local.flags | central.flags) & DESCRIPTOR_FOLLOWS != 0 {
            end += header::descriptor_bytes(self.file, end, entry.packed, entry.size).unwrap_or(0);
        }
        self.spans.push(Span { begin: entry.header_at, end, entry: Some(self.entries.len()) });
    }

    fn add(&mut self, entry: Entry, at: u64) {
        let index = self.entries.len();
        let earlier = *self.names.entry(entry.name.to_ascii_lowercase()).or_insert(index);
        if earlier != index {
            self.odd(Anomaly::of(&entry.name, at, Oddity::Repeated { earlier }));
        }
        self.entries.push(entry);
    }

    /// Looks for bytes that two parts share, and for bytes that belong to none.
    fn cover(&mut self) -> Result<(), Error> {
        let mut spans = std::mem::take(&mut self.spans);
        spans.sort_by_key(|span| (span.begin, span.end));
        let mut covered = 0;
        let mut reaching = None;
        for span in spans {
            if span.begin > covered {
                self.gap(covered, span.begin)?;
            } else if span.begin < covered && span.end > span.begin {
                let named = span.entry.or(reaching).and_then(|index| self.entries.get(index));
                let name = named.map(|entry| entry.name.clone());
                let bytes = covered.min(span.end) - span.begin;
                // Two end records both reach to the end of the file: that is reported as such.
                if let Some(name) = name {
                    self.odd(Anomaly::of(&name, span.begin, Oddity::Overlap { bytes }));
                }
            }
            if span.end > covered {
                covered = span.end;
                reaching = span.entry;
            }
        }
        Ok(())
    }

    /// Bytes that no part claims. Local headers in them are entries that readers of streams would see.
    fn gap(&mut self, begin: u64, end: u64) -> Result<(), Error> {
        let mut at = begin;
        while at < end {
            let Some(local) = Local::read(self.file, at) else { break };
            let data_end = local.data_at.saturating_add(local.packed);
            if data_end > end {
                break;
            }
            if self.entries.len() >= self.limits.entries {
                return Err(Error::TooManyEntries { limit: self.limits.entries });
            }
            let name = String::from_utf8_lossy(local.name).into_owned();
            self.odd(Anomaly::of(&name, at, Oddity::Unlisted));
            self.entries.push(Entry {
                name,
                local_name: None,
                method: Method::of(local.method),
                crc: local.crc,
                packed: local.packed,
                size: local.size,
                header_at: at,
                data_at: local.data_at,
                origin: Origin::Unlisted,
            });
            at = data_end;
            if local.flags & DESCRIPTOR_FOLLOWS != 0 {
                at += header::descriptor_bytes(self.file, at, local.packed, local.size).unwrap_or(0);
            }
        }
        if at < end {
            let bytes = end - at;
            let oddity = if at == 0 { Oddity::Prepended { bytes } } else { Oddity::Unclaimed { bytes } };
            self.odd(Anomaly::file(at, oddity));
        }
        Ok(())
    }

    fn total(&mut self, at: u64) {
        let bytes = self.entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.size));
        if bytes > self.limits.total {
            self.odd(Anomaly::file(at, Oddity::Total { bytes }));
        }
    }
}
