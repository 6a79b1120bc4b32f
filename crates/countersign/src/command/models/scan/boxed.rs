//! The scan in boxes: this program opens files and never looks into them; workers look, one on each core, and what they
//! say is checked before it is believed.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sandbox::frame::Messages;
use sandbox::{Boundaries, Input, Level, Limits, Profile, Run};
use scan::boxed::{Held, Job, Named, Said};
use scan::render::cyclonedx::LICENCE_BYTES_MAX;
use scan::{Looked, ReadIn, Rules};
use statement::Digest;

use super::super::tree::{self, Listed, What};
use super::{Seen, Wants};
use crate::busy;
use crate::failure::{Done, Failure};
use crate::home::open_at_once;
use crate::worker::{Worker, not_enforced, reported};

/// Files that other files of their folder are read with, whatever they are called.
const COMPANIONS: [&str; 3] = ["adapter_config.json", "config.json", "tokenizer.json"];
/// Most files that one worker has at hand.
const AT_HAND_MAX: usize = 1500;
/// Descriptors that this program needs for itself.
const OWN_DESCRIPTORS: u64 = 128;
/// Work that is not worth a second worker.
const SMALL_BYTES: u64 = 4 << 20;
const SMALL_FILES: usize = 64;
/// The slowest reading that is waited for.
const BYTES_PER_SECOND: u64 = 4 << 20;
/// Longest message of a worker.
const MESSAGE_BYTES_MAX: usize = 32 << 20;

/// Looks at all files.
pub(super) fn look(
    worker: &Worker,
    level: Level,
    listed: &[Listed],
    rules: &Rules,
    wants: Wants,
) -> Done<Seen> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let room = sandbox::host::descriptors().saturating_sub(OWN_DESCRIPTORS);
    // Each worker takes two descriptors of this program for each of its inputs while it starts.
    let room = usize::try_from(room).unwrap_or(usize::MAX) / (2 * cores + 1);
    let most = room.clamp(8, AT_HAND_MAX);
    let all = listed.iter().filter_map(|listed| listed.place.metadata().ok()).map(|file| file.len()).sum();
    let bar = busy::bytes("scanning", all);
    let scanning = Scanning {
        worker,
        level,
        rules,
        names: rules.iter().map(|rule| rule.id.clone()).collect(),
        bar: &bar,
        boundaries: Mutex::new(None),
    };
    let mut seen = Seen {
        looked: Vec::new(),
        read_in: ReadIn::the_program(),
        licences: BTreeMap::new(),
        digests: BTreeMap::new(),
        unreadable: false,
    };
    for batch in batches(listed, most) {
        let batch = Batch::open(listed, &batch);
        if wants == Wants::Bill {
            batch.digests(&mut seen.digests);
        }
        seen.unreadable |= batch.entries.iter().any(|entry| matches!(entry.held, Held::Unreadable(_)));
        for share in scanning.shares(&batch, cores)? {
            for (entry, looked, licence) in share {
                let path = batch.path(entry);
                seen.licences.extend(licence.map(|licence| (path.to_owned(), licence)));
                seen.looked.push(looked);
            }
        }
    }
    bar.finish_and_clear();
    let boundaries = scanning.boundaries.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    seen.read_in = ReadIn {
        isolation: reported(level),
        not_enforced: boundaries
            .iter()
            .flat_map(not_enforced)
            .map(|boundary| boundary.name().to_owned())
            .collect(),
        worker: Some(worker.digest().to_string()),
    };
    Ok(seen)
}

/// The numbers of the entries of a batch, and whether each is to be looked at in it.
type Numbers = Vec<(usize, Look)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// It is to be looked at.
    At,
    /// It is at hand for the others.
    NotAt,
}

/// Whole folders together, as many as one worker may have at hand. A folder with more files than that is parted, and
/// what its files are commonly read with is in each part.
fn batches(listed: &[Listed], most: usize) -> Vec<Numbers> {
    let mut folders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, listed) in listed.iter().enumerate() {
        let folder = listed.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        folders.entry(folder).or_default().push(number);
    }
    let mut batches = Vec::new();
    let mut batch: Numbers = Vec::new();
    for numbers in folders.into_values() {
        if batch.len() + numbers.len() > most && !batch.is_empty() {
            batches.push(std::mem::take(&mut batch));
        }
        if numbers.len() <= most {
            batch.extend(numbers.into_iter().map(|number| (number, Look::At)));
            continue;
        }
        let is_companion = |number: &usize| {
            let path = listed.get(*number).map_or("", |listed| listed.path.as_str());
            COMPANIONS.contains(&path.rsplit('/').next().unwrap_or(path))
        };
        let companions: Vec<usize> = numbers.iter().copied().filter(is_companion).collect();
        for part in numbers.chunks(most.saturating_sub(COMPANIONS.len()).max(1)) {
            let mut part: Numbers = part.iter().map(|number| (*number, Look::At)).collect();
            let missing = companions.iter().filter(|number| part.iter().all(|(there, _)| there != *number));
            let missing: Numbers = missing.map(|number| (*number, Look::NotAt)).collect();
            part.extend(missing);
            batches.push(part);
        }
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// Entries that a worker has at hand, with the files open.
struct Batch {
    entries: Vec<Named>,
    files: Vec<File>,
    /// The length of each entry that is a file.
    lengths: Vec<Option<u64>>,
    examine: Vec<u32>,
}

impl Batch {
    fn open(listed: &[Listed], numbers: &[(usize, Look)]) -> Self {
        let mut batch = Self {
            entries: Vec::with_capacity(numbers.len()),
            files: Vec::new(),
            lengths: Vec::new(),
            examine: Vec::new(),
        };
        for (listed, look) in numbers.iter().filter_map(|(number, look)| Some((listed.get(*number)?, *look)))
        {
            let (held, length) = match &listed.what {
                What::Link(target) => (Held::Link(target.clone()), None),
                What::Special(what) => (Held::Special((*what).to_owned()), None),
                What::Unreadable(why) => (Held::Unreadable(why.clone()), None),
                What::File => match open(listed) {
                    Ok(Ok((file, length))) => {
                        batch.files.push(file);
                        (Held::Input(number(batch.files.len() - 1)), Some(length))
                    }
                    Ok(Err(what)) => (Held::Special(what.to_owned()), None),
                    Err(error) => (Held::Unreadable(error.to_string()), None),
                },
            };
            if look == Look::At {
                batch.examine.push(number(batch.entries.len()));
            }
            batch.lengths.push(length);
            batch.entries.push(Named { path: listed.path.clone(), held });
        }
        batch
    }

    fn path(&self, entry: u32) -> &str {
        self.entries.get(at(entry)).map_or("", |entry| entry.path.as_str())
    }

    fn length(&self, entry: u32) -> Option<u64> {
        self.lengths.get(at(entry)).copied().flatten()
    }

    /// SHA-256 of each file, in hexadecimal. Hashing looks at no structure.
    fn digests(&self, digests: &mut BTreeMap<String, String>) {
        for entry in &self.entries {
            if let Held::Input(input) = entry.held
                && let Some(Ok(held)) = self.files.get(at(input)).map(tree::opened)
            {
                digests.insert(entry.path.clone(), Digest::of(held.bytes()).to_string());
            }
        }
    }

    /// What is to be looked at, shared among workers so that each has about as many bytes.
    fn shares(&self, level: Level, cores: usize) -> Vec<Vec<u32>> {
        if level.is_strict() {
            // No file's reader has read another's before.
            return self.examine.iter().map(|entry| vec![*entry]).collect();
        }
        let bytes: u64 = self.examine.iter().filter_map(|entry| self.length(*entry)).sum();
        let small = bytes <= SMALL_BYTES && self.examine.len() <= SMALL_FILES;
        let workers = if small { 1 } else { cores.min(self.examine.len()).max(1) };
        let mut shares: Vec<(u64, Vec<u32>)> = vec![(0, Vec::new()); workers];
        let mut largest_first = self.examine.clone();
        largest_first.sort_by_key(|entry| std::cmp::Reverse(self.length(*entry)));
        for entry in largest_first {
            if let Some((bytes, share)) = shares.iter_mut().min_by_key(|(bytes, _)| *bytes) {
                // A file costs something even where it is empty.
                *bytes += self.length(entry).unwrap_or(0) + 4096;
                share.push(entry);
            }
        }
        shares.into_iter().map(|(_, share)| share).filter(|share| !share.is_empty()).collect()
    }
}

/// Opens a file to be read; answers what it is where it has become something else since it was listed.
fn open(listed: &Listed) -> std::io::Result<Result<(File, u64), &'static str>> {
    let file = open_at_once(&listed.place)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok(Ok((file, metadata.len())))
    } else {
        Ok(Err(tree::special(metadata.file_type())))
    }
}

/// What a worker saw: entry, findings, licence.
type Share = Vec<(u32, Looked, Option<String>)>;

/// A scan under way.
struct Scanning<'a> {
    worker: &'a Worker,
    level: Level,
    rules: &'a Rules,
    names: Vec<String>,
    bar: &'a indicatif::ProgressBar,
    boundaries: Mutex<Option<Boundaries>>,
}

impl Scanning<'_> {
    /// Looks at a batch: as many workers at once as there are cores. The first refusal ends it.
    fn shares(&self, batch: &Batch, cores: usize) -> Done<Vec<Share>> {
        let shares = batch.shares(self.level, cores);
        let next = AtomicUsize::new(0);
        let results: Vec<Done<Vec<Share>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..cores.min(shares.len()))
                .map(|_| {
                    scope.spawn(|| {
                        let mut done = Vec::new();
                        while let Some(share) = shares.get(next.fetch_add(1, Ordering::Relaxed)) {
                            let looked = self.share(batch, share);
                            if looked.is_err() {
                                // Nobody begins with more.
                                next.store(shares.len(), Ordering::Relaxed);
                            }
                            done.push(looked?);
                        }
                        Ok(done)
                    })
                })
                .collect();
            let ended = |_| Failure::outside("a thread of this program broke off", "report this as a fault");
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|fault| Err(ended(fault))))
                .collect()
        });
        Ok(results.into_iter().collect::<Done<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// One worker.
    fn share(&self, batch: &Batch, share: &[u32]) -> Done<Share> {
        let inputs = batch.files.iter().enumerate().map(|(number, file)| {
            let file = file.try_clone().map_err(|error| Failure::file(batch.path(0).as_ref(), &error))?;
            Ok(Input { name: number.to_string(), file })
        });
        let inputs = inputs.collect::<Done<Vec<_>>>()?;
        let job = Job { entries: batch.entries.clone(), examine: share.to_vec(), rules: self.names.clone() };
        let job = serde_json::to_vec(&serde_json::json!({ "scan": job }));
        let job = job.map_err(|error| Failure::outside(error, "report this as a fault"))?;
        let bytes: u64 = share.iter().filter_map(|entry| batch.length(*entry)).sum();
        let seconds = 600 + bytes / BYTES_PER_SECOND;
        let run = Run {
            level: self.level,
            profile: Profile::Parse,
            limits: Limits {
                memory_bytes: 6 << 30,
                processor_s: seconds,
                wall: Duration::from_secs(seconds),
                threads: 1,
                answer_bytes: 128 << 20,
            },
        };
        let mut hearing = Hearing {
            scanning: self,
            batch,
            share,
            messages: Messages::new(MESSAGE_BYTES_MAX),
            begun: None,
            looked: Vec::with_capacity(share.len()),
            wrong: None,
        };
        let done = run.run(self.worker.program(), &inputs, &job, |frame| hearing.frame(frame));
        if let Some(wrong) = hearing.wrong {
            return Err(wrong);
        }
        let outcome = match done {
            Ok(outcome) => outcome,
            Err(error) => {
                let mut failure = Failure::from(error);
                if let Some(entry) = hearing.begun {
                    failure.message = format!("reading `{}`: {}", batch.path(entry), failure.message);
                }
                return Err(failure);
            }
        };
        if hearing.looked.len() != share.len() {
            return Err(lie(
                batch.path(share.get(hearing.looked.len()).copied().unwrap_or(0)),
                "nothing is said of it",
            ));
        }
        let mut boundaries = self.boundaries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // The same host enforces the same around each of them; what one lacks, all are said to lack.
        match boundaries.as_mut() {
            Some(known) => outcome.boundaries.each().for_each(|(boundary, held)| {
                if held != sandbox::Held::Enforced {
                    known.set(boundary, held);
                }
            }),
            None => *boundaries = Some(outcome.boundaries),
        }
        Ok(hearing.looked)
    }
}

/// What has been heard of a worker.
struct Hearing<'a> {
    scanning: &'a Scanning<'a>,
    batch: &'a Batch,
    share: &'a [u32],
    messages: Messages,
    begun: Option<u32>,
    looked: Share,
    wrong: Option<Failure>,
}

impl Hearing<'_> {
    fn frame(&mut self, frame: &[u8]) {
        if self.wrong.is_some() {
            return;
        }
        if let Err(wrong) = self.hear(frame) {
            self.wrong = Some(wrong);
        }
    }

    fn hear(&mut self, frame: &[u8]) -> Done {
        let expected = self.share.get(self.looked.len()).copied();
        let path = self.batch.path(expected.unwrap_or(0));
        let message = self.messages.take(frame).map_err(|error| lie(path, &error.to_string()))?;
        let Some(message) = message else { return Ok(()) };
        let said: Said = serde_json::from_slice(&message).map_err(|error| lie(path, &error.to_string()))?;
        match said {
            Said::Begun(entry) if Some(entry) == expected && self.begun.is_none() => self.begun = Some(entry),
            Said::Looked { entry, looked, licence } if self.begun == Some(entry) => {
                let length = self.batch.length(entry);
                looked.check(path, length, self.scanning.rules)?;
                let plain =
                    |text: &String| text.len() <= LICENCE_BYTES_MAX && !text.chars().any(char::is_control);
                if !licence.as_ref().is_none_or(plain) {
                    return Err(lie(path, "its licence is none"));
                }
                busy::advance(self.scanning.bar, length.unwrap_or(0));
                self.looked.push((entry, looked, licence));
                self.begun = None;
            }
            Said::Begun(_) | Said::Looked { .. } => return Err(lie(path, "it is spoken of out of turn")),
        }
        Ok(())
    }
}

fn lie(path: &str, why: &str) -> Failure {
    scan::Error::Told { path: scan::finding::shown(path), why: scan::finding::shown(why) }.into()
}

fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Listed, Look, What, batches};

    fn listed(paths: &[&str]) -> Vec<Listed> {
        let listed = |path: &&str| Listed { path: (*path).to_owned(), place: path.into(), what: What::File };
        paths.iter().map(listed).collect()
    }

    #[test]
    fn folders_stay_together_and_everything_is_looked_at_once() {
        let paths =
            ["a/1", "a/2", "b/1", "b/2", "b/3", "c/config.json", "c/1", "c/2", "c/3", "c/4", "c/5", "d"];
        let listed = listed(&paths);
        let batches = batches(&listed, 5);
        let mut looked = BTreeSet::new();
        for batch in &batches {
            assert!(batch.len() <= 5, "{batch:?}");
            for (number, _) in batch.iter().filter(|(_, look)| *look == Look::At) {
                assert!(looked.insert(*number), "{number} is looked at twice");
            }
        }
        assert_eq!(looked.len(), paths.len());
        let parts = batches.iter().filter(|batch| batch.iter().any(|(number, _)| (5..11).contains(number)));
        for part in parts {
            assert!(part.iter().any(|(number, _)| *number == 5), "without its configuration: {part:?}");
        }
        let of = |number| batches.iter().position(|batch| batch.iter().any(|(there, _)| *there == number));
        assert_eq!((of(0), of(2), of(2)), (of(1), of(3), of(4)));
    }
}
