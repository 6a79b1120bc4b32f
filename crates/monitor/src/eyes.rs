//! What a monitor knows of a slot: what is usual, signed by itself, and its detectors.

use std::path::{Path, PathBuf};

use signer::{FileKey, Signer as _, sign_statement};
use statement::kind::Observation;
use statement::{Body, Content, Digest, Envelope, SlotId, Statement, StatementId, Tracking};
use watch::reference::{BYTES_MAX, Reference};
use watch::response::Course;
use watch::vote::Panel;
use watch::watcher::{Answers, Settings, Watcher};
use watch::window::Window;

use crate::{Config, Error, read};

/// The detector's name of observations that say what is usual.
const BASELINE: &str = "baseline-1";

/// A slot's eyes.
#[derive(Debug)]
pub(crate) struct Eyes {
    reference: Reference,
    pub(crate) watcher: Option<Watcher>,
    pub(crate) panel: Panel,
    pub(crate) course: Course,
    /// The incident that was said last: about which order, what it asks for, and when.
    pub(crate) said: Option<Said>,
}

/// An incident that was said.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) order: StatementId,
    pub(crate) response: statement::kind::Response,
    pub(crate) at_ms: u64,
}

impl Eyes {
    /// Reads what was learnt, and believes it where this monitor has signed it.
    pub(crate) fn open(config: &Config, slot: &SlotId, panel: Panel, key: &FileKey) -> Result<Self, Error> {
        let (file, signed) = places(&config.state, slot);
        let mut eyes = Self {
            reference: Reference::new(slot.clone()),
            watcher: None,
            panel,
            course: Course::default(),
            said: None,
        };
        if !file.exists() {
            return Ok(eyes);
        }
        let wrong = |reason| Error::Reference { path: file.clone(), reason };
        let failed = |source| Error::File { path: file.clone(), act: "read", source };
        if std::fs::metadata(&file).map_err(failed)?.len() > BYTES_MAX as u64 {
            return Err(wrong("it is too long"));
        }
        let bytes = std::fs::read(&file).map_err(failed)?;
        let envelope = Envelope::parse(read(&signed)?.as_bytes())?;
        let own = envelope.signatures.first().filter(|signature| signature.keyid == key.public_key().id());
        let good = own.is_some_and(|signature| {
            key.public_key().verify(&envelope.message(), signature.sig.as_slice()).is_ok()
        });
        if !good {
            return Err(wrong("its statement is not signed by this monitor's key"));
        }
        let Content::Known(statement) = Content::parse(envelope.payload.as_slice())? else {
            return Err(wrong("its statement is of another kind"));
        };
        match &statement.body {
            Body::Observation(said) if said.data == Digest::of(&bytes) && said.slot == *slot => {}
            _ => return Err(wrong("its statement is about something else")),
        }
        eyes.reference = Reference::parse(&bytes)?;
        eyes.watcher = Some(Watcher::new(settings(config, slot), eyes.reference.clone())?);
        Ok(eyes)
    }

    /// Takes a second: learns it while it still learns, and watches it afterwards.
    pub(crate) fn take(
        &mut self,
        window: &Window,
        is_released: bool,
        key: &FileKey,
        config: &Config,
    ) -> Result<(), Error> {
        if let Some(watcher) = &mut self.watcher {
            return Ok(watcher.take(window.clone())?);
        }
        if is_released {
            return Ok(());
        }
        self.reference.learn(window)?;
        if self.reference.seen >= config.learn_seconds {
            self.keep(window, key, config)?;
            let settings = settings(config, &window.slot);
            self.watcher = Some(Watcher::new(settings, self.reference.clone())?);
        }
        Ok(())
    }

    /// Signs and keeps what was learnt.
    fn keep(&self, window: &Window, key: &FileKey, config: &Config) -> Result<(), Error> {
        let bytes = self.reference.to_bytes()?;
        let at_ms = window.second.saturating_mul(1000);
        let observation = Observation {
            data: Digest::of(&bytes),
            detector: crate::voice::word(BASELINE)?,
            from_ms: at_ms.saturating_sub(config.learn_seconds.saturating_mul(1000)),
            measures: [(
                crate::voice::word("seconds")?,
                i64::try_from(self.reference.seen).unwrap_or(i64::MAX),
            )]
            .into(),
            slot: window.slot.clone(),
            state: window.state,
            to_ms: at_ms,
        };
        let statement = Statement::new(config.realm.name.clone(), Tracking::Realm, at_ms, observation);
        let envelope = sign_statement(key, &statement.signed_by(&[key.public_key().id()]))?;
        let (file, signed) = places(&config.state, &window.slot);
        // The statement first: a file without one is not believed, and learnt anew.
        for (path, bytes) in [(signed, envelope.to_bytes()?), (file, bytes)] {
            let part = path.with_extension("part");
            let failed = |source| Error::File { path: path.clone(), act: "written", source };
            std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, &path)).map_err(failed)?;
        }
        Ok(())
    }
}

fn settings(config: &Config, slot: &SlotId) -> Settings {
    Settings {
        answers: config.slots.get(slot).copied().unwrap_or(Answers::MayChange),
        window_s: config.window_seconds,
        learn_s: config.learn_seconds,
        ..Settings::ORDINARY
    }
}

/// Where what was learnt of a slot lies, and the statement about it.
fn places(folder: &Path, slot: &SlotId) -> (PathBuf, PathBuf) {
    let name = slot.as_str().replace('/', "_");
    (folder.join(format!("{name}.reference")), folder.join(format!("{name}.signed")))
}
