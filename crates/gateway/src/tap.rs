//! What monitors see of the traffic: counts by version and second, for a bounded time.
//!
//! Nothing is counted where the configuration names no monitors. There is no text in what is given out: counts, and vectors
//! of hashed words. What a request asks is looked at for marks and sizes alone.

use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use secret::equal;
use sha2::{Digest as _, Sha256};
use statement::{Envelope, SlotId, StateId};
use stats::sketch::Histogram;
use watch::fingerprint::{Dimension, Fingerprint};
use watch::text;
use watch::window::{Tapped, VECTORS_MAX, Window, dimension};

use crate::Error;
use crate::answers::{Finish, Reading, said};
use crate::config::MonitorEntry;
use crate::control::Call;

/// Seconds that are kept.
const SECONDS_MAX: usize = 120;
/// Versions and arms that are counted in a second.
const CELLS_MAX: usize = 64;
/// Buckets of callers, by the hash of their keys.
const CALLERS: usize = 16;
/// Within each power of two there are so many buckets of a size, as a power of two: sizes are compared as shapes, and finer
/// ones would need more values.
const SIZE_BITS: u32 = 1;
/// Bytes of an answer whose text is looked at.
const KEPT_BYTES_MAX: usize = 32 << 10;
/// Bytes at each end of a request that are looked at for marks.
const MARK_BYTES_MAX: usize = 16 << 10;
/// Statements of one monitor that wait to be heard: nobody fills another's place.
const WAITING_MAX: usize = 128;
/// Statements of one monitor that are heard in a second, and its requests.
const HEARD_MAX: u32 = 256;
const ASKED_MAX: u32 = 32;

/// Which version's traffic it is: slot, state and arm.
type Place = (SlotId, StateId, &'static str);

/// The tap.
#[derive(Debug)]
pub(crate) struct Tap {
    keys: Vec<[u8; 32]>,
    kept: Mutex<Kept>,
    /// By the number of the monitor's token.
    inbox: Mutex<Vec<Inbox>>,
    heard: ArcSwap<Vec<Envelope>>,
    /// Wakes the warden.
    bell: OnceLock<SyncSender<Call>>,
}

/// What one monitor has said, and how much of it in the present second.
#[derive(Debug, Default)]
struct Inbox {
    waiting: Vec<Envelope>,
    second: u64,
    heard: u32,
    asked: u32,
}

impl Inbox {
    /// Another second begins the count anew.
    const fn at(&mut self, second: u64) -> &mut Self {
        if self.second != second {
            (self.second, self.heard, self.asked) = (second, 0, 0);
        }
        self
    }
}

#[derive(Debug, Default)]
struct Kept {
    by_second: BTreeMap<u64, BTreeMap<Place, Cell>>,
    left_out: u64,
}

/// A second of a version's traffic.
#[derive(Debug)]
struct Cell {
    requests: u64,
    errors: u64,
    refusals: u64,
    injection: u64,
    probing: u64,
    finish: [u64; 3],
    callers: [u64; CALLERS],
    ngrams: Vec<u64>,
    latency: Histogram,
    text: Histogram,
    prompt: Histogram,
    vectors: Vec<Vec<i32>>,
}

/// What is known of a request on its way.
#[allow(clippy::struct_excessive_bools, reason = "facts that are counted one by one")]
#[derive(Debug)]
pub(crate) struct Seen {
    place: Place,
    began: Instant,
    reading: Reading,
    kept: Vec<u8>,
    failed: bool,
    /// What the answer says of an error is the client's matter.
    excused: bool,
    /// Another version has answered.
    elsewhere: bool,
    prompt: u64,
    injection: bool,
    probing: bool,
    caller: usize,
}

impl Tap {
    /// For these monitors.
    pub(crate) fn new(monitors: &[MonitorEntry]) -> Self {
        Self {
            keys: monitors.iter().map(|monitor| *monitor.sha256.as_bytes()).collect(),
            kept: Mutex::default(),
            inbox: Mutex::new(monitors.iter().map(|_| Inbox::default()).collect()),
            heard: ArcSwap::default(),
            bell: OnceLock::new(),
        }
    }

    /// Whether anybody watches.
    pub(crate) fn is_on(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The number of the monitor whose token this is.
    pub(crate) fn knows(&self, authorization: Option<&[u8]>) -> Option<usize> {
        let text = authorization.and_then(|text| std::str::from_utf8(text).ok());
        let (scheme, key) = text.and_then(|text| text.split_once(' '))?;
        let hash: [u8; 32] = Sha256::digest(key.trim().as_bytes()).into();
        // All are compared, so that the time tells nothing.
        let compared = self.keys.iter().enumerate();
        let known = compared.fold(None, |known, (at, own)| if equal(own, &hash) { Some(at) } else { known });
        known.filter(|_| scheme.eq_ignore_ascii_case("bearer"))
    }

    /// Whether a monitor may read now.
    pub(crate) fn may_ask(&self, monitor: usize, now_ms: u64) -> bool {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(inbox) = inbox.get_mut(monitor) else { return false };
        let inbox = inbox.at(now_ms / 1000);
        inbox.asked = inbox.asked.saturating_add(1);
        inbox.asked <= ASKED_MAX
    }

    /// Begins to look at a request.
    pub(crate) fn see(
        &self,
        place: Place,
        came: Instant,
        body: &[u8],
        caller: &[u8; 32],
    ) -> Option<Box<Seen>> {
        if !self.is_on() {
            return None;
        }
        let caller = usize::from(caller.first().copied().unwrap_or(0)) % CALLERS;
        let (injection, probing) = marks(body);
        Some(Box::new(Seen {
            place,
            began: came,
            reading: Reading::new(),
            kept: Vec::new(),
            failed: false,
            excused: false,
            elsewhere: false,
            prompt: body.len() as u64,
            injection,
            probing,
            caller,
        }))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what has become of a request.
    pub(crate) fn settle(&self, seen: &mut Seen, now_ms: u64) {
        let finish = seen.reading.end();
        let said = if seen.elsewhere { String::new() } else { said(&seen.kept) };
        let latency = u64::try_from(seen.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        // Work on the text is done before others are kept waiting.
        let ngrams = text::ngrams(&said);
        let vector = (!said.is_empty()).then(|| text::vector(&said));
        let mut kept = self.kept();
        // A clock that goes back counts into the second that was the last.
        let last = kept.by_second.last_key_value().map_or(0, |(second, _)| *second);
        let second = (now_ms / 1000).max(last);
        while kept.by_second.len() >= SECONDS_MAX && !kept.by_second.contains_key(&second) {
            kept.by_second.pop_first();
        }
        let of_second = kept.by_second.entry(second).or_default();
        let is_full = of_second.len() >= CELLS_MAX && !of_second.contains_key(&seen.place);
        let made = if is_full { None } else { Cell::new().ok() };
        let Some(fresh) = made else {
            kept.left_out = kept.left_out.saturating_add(1);
            return;
        };
        let cell = of_second.entry(seen.place.clone()).or_insert(fresh);
        cell.count(seen, finish, said.len() as u64, latency, &ngrams, vector);
    }

    /// What was counted after a second and before the present one.
    pub(crate) fn tapped(&self, after: u64, now_ms: u64) -> Result<Tapped, Error> {
        let kept = self.kept();
        let mut windows = Vec::new();
        let present = now_ms / 1000;
        if after < present {
            for (second, cells) in kept.by_second.range(after.saturating_add(1)..present.max(after + 1)) {
                for ((slot, state, arm), cell) in cells {
                    windows.push(Window {
                        arm: (*arm).to_owned(),
                        counts: cell.fingerprint().map_err(Box::new)?,
                        second: *second,
                        slot: slot.clone(),
                        state: *state,
                        vectors: cell.vectors.clone(),
                    });
                }
            }
        }
        let heard = self.heard.load().to_vec();
        Ok(Tapped { heard, left_out: kept.left_out, now_ms, windows })
    }

    /// Takes what a monitor says; whether there was room. Nobody has verified it.
    pub(crate) fn hear(&self, monitor: usize, said: Vec<Envelope>, now_ms: u64) -> bool {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(own) = inbox.get_mut(monitor) else { return false };
        let own = own.at(now_ms / 1000);
        let heard = own.heard.saturating_add(u32::try_from(said.len()).unwrap_or(u32::MAX));
        if own.waiting.len() + said.len() > WAITING_MAX || heard > HEARD_MAX {
            return false;
        }
        own.heard = heard;
        own.waiting.extend(said);
        drop(inbox);
        if let Some(bell) = self.bell.get() {
            // Where the warden is busy, it looks by itself in a moment.
            drop(bell.try_send(Call::Heard));
        }
        true
    }

    /// What was said since the last look.
    pub(crate) fn said(&self) -> Vec<Envelope> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.iter_mut().flat_map(|own| std::mem::take(&mut own.waiting)).collect()
    }

    /// Lets monitors read what others have said.
    pub(crate) fn tell(&self, heard: Vec<Envelope>) {
        self.heard.store(std::sync::Arc::new(heard));
    }

    /// Wakes the warden by this from now on.
    pub(crate) fn wake(&self, bell: SyncSender<Call>) {
        if self.bell.set(bell).is_err() {
            tracing::debug!("the tap has a bell already");
        }
    }
}

/// Whether a request has a mark of injection, and whether it asks for probabilities.
fn marks(body: &[u8]) -> (bool, bool) {
    let head = body.get(..body.len().min(MARK_BYTES_MAX)).unwrap_or_default();
    let tail = body.get(body.len().saturating_sub(MARK_BYTES_MAX)..).unwrap_or_default();
    let marked = |part: &[u8]| {
        // Newlines stand escaped in JSON; a mark that is broken by one is a mark.
        text::is_injection(&String::from_utf8_lossy(part).replace("\\n", " "))
    };
    let asks = |name: &[u8]| head.windows(name.len()).any(|part| part == name);
    let injection = marked(head) || (body.len() > MARK_BYTES_MAX && marked(tail));
    (injection, asks(b"\"logprobs\"") || asks(b"\"top_logprobs\"") || asks(b"\"logit_bias\""))
}

impl Seen {
    /// A piece of the answer.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        self.reading.feed(piece);
        let room = KEPT_BYTES_MAX.saturating_sub(self.kept.len()).min(piece.len());
        self.kept.extend_from_slice(piece.get(..room).unwrap_or_default());
    }

    /// The chosen version has failed.
    pub(crate) const fn fail(&mut self) {
        self.failed = true;
    }

    /// The answer is a refusal of the request.
    pub(crate) const fn excuse(&mut self) {
        self.excused = true;
    }

    /// Another version answers in the place of the chosen one.
    pub(crate) const fn answered_elsewhere(&mut self) {
        self.elsewhere = true;
        self.failed = true;
    }
}

impl Cell {
    fn new() -> Result<Self, stats::Error> {
        let sizes = || Histogram::new(SIZE_BITS);
        Ok(Self {
            requests: 0,
            errors: 0,
            refusals: 0,
            injection: 0,
            probing: 0,
            finish: [0; 3],
            callers: [0; CALLERS],
            ngrams: vec![0; text::NGRAMS],
            latency: sizes()?,
            text: sizes()?,
            prompt: sizes()?,
            vectors: Vec::new(),
        })
    }

    fn count(
        &mut self,
        seen: &Seen,
        finish: Finish,
        length: u64,
        latency: u64,
        ngrams: &[u64],
        vector: Option<Vec<i32>>,
    ) {
        self.requests += 1;
        let failed = seen.failed || seen.reading.failed && !seen.excused;
        self.errors += u64::from(failed);
        self.injection += u64::from(seen.injection);
        self.probing += u64::from(seen.probing);
        if let Some(count) = self.callers.get_mut(seen.caller) {
            *count += 1;
        }
        let mut added = self.prompt.add(seen.prompt, 1);
        if !failed && !seen.excused {
            self.refusals += u64::from(seen.reading.refused);
            if let Some(count) = self.finish.get_mut(finish as usize) {
                *count += 1;
            }
            added = added.and_then(|()| self.latency.add(latency, 1)).and_then(|()| self.text.add(length, 1));
            for (sum, more) in self.ngrams.iter_mut().zip(ngrams) {
                *sum = sum.saturating_add(*more);
            }
            if self.vectors.len() < VECTORS_MAX {
                self.vectors.extend(vector);
            }
        }
        if let Err(error) = added {
            tracing::debug!(%error, "a size is not counted");
        }
    }

    fn fingerprint(&self) -> Result<Fingerprint, watch::Error> {
        let mut counted = Fingerprint::default();
        let events = |yes: u64| Dimension::Events { yes, of: self.requests };
        let dimensions = [
            (dimension::ERRORS, events(self.errors)),
            (dimension::REFUSALS, events(self.refusals)),
            (dimension::INJECTION, events(self.injection)),
            (dimension::PROBING, events(self.probing)),
            (dimension::FINISH, Dimension::Categories(self.finish.to_vec())),
            (dimension::CALLERS, Dimension::Categories(self.callers.to_vec())),
            (dimension::NGRAMS, Dimension::Categories(self.ngrams.clone())),
            (dimension::LATENCY, Dimension::Sizes(self.latency.clone())),
            (dimension::TEXT, Dimension::Sizes(self.text.clone())),
            (dimension::PROMPT, Dimension::Sizes(self.prompt.clone())),
        ];
        for (name, dimension) in &dimensions {
            if let Ok(name) = name.parse() {
                counted.add(&name, dimension)?;
            }
        }
        Ok(counted)
    }
}

#[cfg(test)]
mod tests;
