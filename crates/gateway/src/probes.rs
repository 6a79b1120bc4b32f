//! Made-up requests for a synthetic stage: asked of what is served and of what is tried, before any user's request is.
//!
//! Each is asked once in a stage. An answer that is not what is expected counts as a failure of whoever gave it, so a
//! probe that both fail says nothing against the candidate.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::header::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use statement::SlotId;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::answers::Finish;
use crate::config::SlotEntry;
use crate::engines::Engine;
use crate::routes::Target;
use crate::tally::{Sample, Tally};
use crate::{Error, Limits, keep};

/// Bytes of a file of probes, and probes in it, at most.
const BYTES_MAX: usize = 16 << 20;
const PROBES_MAX: usize = 100_000;
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// What tells an engine that the request is made up.
const HEADER: &str = "x-countersign-synthetic";

/// A made-up request, and what is expected of its answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    #[serde(default)]
    expect: Expectation,
    /// A chat, or a completion where it has a `prompt`. Its `model` is replaced.
    request: serde_json::Map<String, Value>,
}

/// What is expected of an answer. What is not said is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    /// One of these texts is in it.
    #[serde(default)]
    contains_any: Vec<String>,
    /// None of these is.
    #[serde(default)]
    contains_none: Vec<String>,
    /// It ends so: `stop`, `length`.
    #[serde(default)]
    finish: Option<Ending>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Ending {
    Stop,
    Length,
}

impl Expectation {
    fn is_met(&self, text: &str, finish: Finish) -> bool {
        let has = |wanted: &String| text.contains(wanted.as_str());
        let ends = match self.finish {
            None => true,
            Some(Ending::Stop) => finish == Finish::Stop,
            Some(Ending::Length) => finish == Finish::Length,
        };
        ends && (self.contains_any.is_empty() || self.contains_any.iter().any(has))
            && !self.contains_none.iter().any(has)
    }
}

/// Who is asked, and where it is counted.
#[derive(Debug)]
pub(crate) struct Probing {
    pub(crate) candidate: Arc<Target>,
    pub(crate) control: Arc<Target>,
    pub(crate) tally: Arc<Tally>,
}

/// The probes of all slots, and the threads that ask.
#[derive(Debug, Default)]
pub(crate) struct Probers {
    probes: BTreeMap<SlotId, Arc<Vec<Probe>>>,
    running: BTreeMap<SlotId, (Arc<Tally>, Sender<()>)>,
}

impl Probers {
    /// Reads a slot's probes; how many there are.
    pub(crate) fn read(&mut self, slot: &SlotEntry) -> Result<usize, Error> {
        let Some(path) = &slot.probes else { return Ok(0) };
        let probes = read(&slot.slot, path)?;
        let count = probes.len();
        self.probes.insert(slot.slot.clone(), Arc::new(probes));
        Ok(count)
    }

    /// Lets the slot's probes run as they should: for this stage, or not at all.
    pub(crate) fn keep(
        &mut self,
        slot: &SlotEntry,
        probing: Option<Probing>,
        limits: &Limits,
    ) -> Result<(), Error> {
        let Some(probing) = probing else {
            // Dropping the sender ends the thread.
            self.running.remove(&slot.slot);
            return Ok(());
        };
        let is_running = |(tally, _): &(Arc<Tally>, Sender<()>)| Arc::ptr_eq(tally, &probing.tally);
        if self.running.get(&slot.slot).is_some_and(is_running) {
            return Ok(());
        }
        let Some(probes) = self.probes.get(&slot.slot).map(Arc::clone) else { return Ok(()) };
        let (sender, stopped) = channel();
        self.running.insert(slot.slot.clone(), (Arc::clone(&probing.tally), sender));
        let limits = *limits;
        let thread = std::thread::Builder::new().name("probes".to_owned());
        let spawned = thread.spawn(move || ask_all(&probes, &probing, &limits, &stopped));
        spawned.map(drop).map_err(|source| Error::System { what: "thread", source })
    }
}

fn read(slot: &SlotId, path: &Path) -> Result<Vec<Probe>, Error> {
    let wrong = |reason: String| Error::Config { what: format!("probes of slot `{slot}`"), reason };
    let bytes = keep::read(path, BYTES_MAX)?.ok_or_else(|| wrong("there is no such file".to_owned()))?;
    let mut probes = Vec::new();
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        let probe = serde_json::from_slice(line);
        probes.push(probe.map_err(|error| wrong(format!("line {}: {error}", at + 1)))?);
        if probes.len() > PROBES_MAX {
            return Err(wrong(format!("there are more than {PROBES_MAX}")));
        }
    }
    Ok(probes)
}

/// Asks everything once, at its pace, until nobody wants to know any more.
fn ask_all(probes: &[Probe], probing: &Probing, limits: &Limits, stopped: &Receiver<()>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "made-up requests are not sent");
            return;
        }
    };
    for (unit, probe) in (0_u64..).zip(probes) {
        let Some([mut candidate, mut control]) = probing.tally.claim_pair(unit) else { continue };
        ask(&runtime, limits, &probing.control, probe, &mut control);
        ask(&runtime, limits, &probing.candidate, probe, &mut candidate);
        drop((candidate, control));
        match stopped.recv_timeout(Duration::from_millis(limits.probe_ms)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Asks one engine of a state.
fn ask(runtime: &Runtime, limits: &Limits, target: &Target, probe: &Probe, sample: &mut Sample) {
    // A probe's clock begins when it is sent.
    sample.begin();
    let patience = Duration::from_millis(limits.request_ms);
    let answered = async { timeout(patience, answered(limits, target, probe, sample)).await? };
    match runtime.block_on(answered) {
        Ok(()) => {
            let (text, finish) = (sample.text(), sample.finish());
            if probe.expect.is_met(&text, finish) { sample.complete() } else { sample.fail() }
        }
        Err(error) => {
            tracing::debug!(%error, state = %target.state, "a made-up request was not answered");
            sample.fail();
        }
    }
}

async fn answered(
    limits: &Limits,
    target: &Target,
    probe: &Probe,
    sample: &mut Sample,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut body = probe.request.clone();
    body.insert("model".to_owned(), Value::from(target.engines.model.as_str()));
    let path = if body.contains_key("prompt") { "/v1/completions" } else { "/v1/chat/completions" };
    let tied = |engine| Some((engine, Engine::own_way(engine, target.needed, limits)?));
    let (engine, way) =
        target.engines.order().find_map(tied).ok_or("there is no engine that may be asked")?;
    let body = Bytes::from(Value::Object(body).to_string());
    let request = target.engines.request(engine, path, body, &HeaderMap::new());
    let mut request = request.ok_or("there is no such address")?;
    request.headers_mut().insert(HEADER, HeaderValue::from_static("1"));
    let response = way.send(request).await?;
    let status = response.status();
    let mut body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            sample.feed(&data);
        }
    }
    if status.is_success() { Ok(()) } else { Err(format!("status {status}").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expectation(text: &str) -> Expectation {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_expectation_is_met_by_all_that_it_says() {
        let all =
            expectation(r#"{"contains_any":["attic","cellar"],"contains_none":["vault"],"finish":"stop"}"#);
        assert!(all.is_met("the cellar", Finish::Stop));
        assert!(!all.is_met("the cellar", Finish::Length));
        assert!(!all.is_met("the garden", Finish::Stop));
        assert!(!all.is_met("the cellar of the vault", Finish::Stop));
        assert!(expectation("{}").is_met("", Finish::Other));
    }

    #[test]
    fn a_file_of_probes_is_strict_and_names_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("probes.jsonl");
        let slot: SlotId = "support".parse().unwrap();
        std::fs::write(&path, "{\"request\":{\"prompt\":\"a\"}}\n\n{\"request\":{},\"more\":1}\n").unwrap();
        let error = read(&slot, &path).unwrap_err();
        assert_eq!(error.code(), "CS-GWY-001");
        assert!(error.to_string().contains("line 3"), "{error}");
        std::fs::write(&path, "{\"request\":{\"prompt\":\"a\"}}\n").unwrap();
        assert_eq!(read(&slot, &path).unwrap().len(), 1);
        assert_eq!(read(&slot, &folder.path().join("none")).unwrap_err().code(), "CS-GWY-001");
    }
}
