//! The thread that starts a worker, hands out what it says, ends it, and starts another.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use sandbox::{Asking, Boundaries, Input, SandboxError, Session};

use super::{About, Launch, Shared, State, Waiting};
use crate::error::BoxError;
use crate::files::OpenFile;
use crate::task::Purpose;
use crate::wire::{Last, Load, Said};

/// More tokens than any model has in its context or its vocabulary: a worker that says more is not believed, whatever the
/// limits of the caller.
const TOKENS_MAX: usize = 1 << 24;

/// Wider vectors than any model's.
const WIDTH_MAX: usize = 1 << 18;

/// How often it is looked whether something was to stop and does not.
const LOOKING_UP: Duration = Duration::from_millis(250);
/// How long a worker may take to end when nothing more is asked.
const ENDING: Duration = Duration::from_secs(5);
/// A worker that held so long and then ended is not one that ends again and again.
const LASTING: Duration = Duration::from_mins(10);

type First = Result<(About, Boundaries), BoxError>;

/// Runs workers, one after the other, until the box is closed or they end too often.
pub(super) fn supervise(launch: &Launch, shared: &Shared, told: &Sender<First>) {
    let mut first = Some(told);
    let mut about = None;
    let mut ended_lately = 0;
    loop {
        let began = Instant::now();
        let why = match open(launch) {
            Ok((session, asking, now, boundaries)) => {
                if about.is_some_and(|about| about != now) {
                    "the model is not the one that was opened before".to_owned()
                } else {
                    about = Some(now);
                    {
                        let mut sharing = shared.lock();
                        // Closed in the meantime.
                        if sharing.state == State::Down {
                            return;
                        }
                        sharing.state = State::Up;
                        sharing.asking = Some(Arc::new(asking));
                        sharing.process = Some(session.process());
                    }
                    if let Some(told) = first.take()
                        && told.send(Ok((now, boundaries))).is_err()
                    {
                        return;
                    }
                    serve(session, launch, shared)
                }
            }
            Err(error) => {
                if let Some(told) = first.take() {
                    shared.lock().state = State::Down;
                    if told.send(Err(error)).is_err() {
                        tracing::debug!("nobody waits for the model any more");
                    }
                    return;
                }
                error.to_string()
            }
        };
        ended_lately = if began.elapsed() >= LASTING { 1 } else { ended_lately + 1 };
        let mut sharing = shared.lock();
        sharing.asking = None;
        sharing.process = None;
        // Whoever waits hears it by the end of their channel.
        sharing.waiting.clear();
        if sharing.state == State::Down {
            return;
        }
        sharing.ended += 1;
        sharing.why.clone_from(&why);
        let again = ended_lately <= launch.restarts;
        sharing.state = if again { State::Starting } else { State::Down };
        drop(sharing);
        tracing::error!(%why, again, "the worker that runs the model ended");
        if !again {
            return;
        }
    }
}

/// Starts a worker and waits until it has opened the model.
fn open(launch: &Launch) -> Result<(Session, Asking, About, Boundaries), BoxError> {
    let mut inputs = Vec::new();
    let mut input = |file: &OpenFile| {
        let copy = file.file.try_clone();
        let copy = copy.map_err(|source| BoxError::File { name: file.name.clone(), source })?;
        inputs.push(Input { name: file.name.clone(), file: copy });
        u32::try_from(inputs.len() - 1).map_err(|_| BoxError::File {
            name: file.name.clone(),
            source: io::ErrorKind::InvalidInput.into(),
        })
    };
    let files = launch.files.try_map(&mut input)?;
    let mut adapters = Vec::new();
    for (name, files) in &launch.adapters {
        adapters.push((name.clone(), files.try_map(&mut input)?));
    }
    let load = Load {
        files,
        adapters,
        context: launch.context,
        generations: launch.generations,
        threads: launch.threads,
    };
    let lie = |what: String| BoxError::Box(SandboxError::Lie { what });
    let job =
        serde_json::to_vec(&serde_json::json!({ "model": load })).map_err(|error| lie(error.to_string()))?;
    let began = Instant::now();
    let (mut session, asking) = launch.run().open(&launch.program, &inputs, &job)?;
    let left = launch.opening.saturating_sub(began.elapsed());
    let Some(message) = session.next(left)? else {
        if session.is_closed() {
            // Its own words say why.
            drop(asking);
            session.finish(ENDING)?;
            return Err(SandboxError::Gone { why: "it opened nothing".to_owned() }.into());
        }
        return Err(SandboxError::WallTime { seconds: launch.opening.as_secs() }.into());
    };
    match serde_json::from_slice(&message).map_err(|error| lie(error.to_string()))? {
        Said::Opened { context, vocabulary, purpose }
            if (1..=launch.context.min(TOKENS_MAX)).contains(&context)
                && (1..=TOKENS_MAX).contains(&vocabulary)
                && (purpose == Purpose::Texts || has_width(purpose)) =>
        {
            let boundaries = session.boundaries().clone();
            Ok((session, asking, About { context, vocabulary, purpose }, boundaries))
        }
        Said::NotOpened(why) => Err(BoxError::NotOpened(super::check::not_opened(why))),
        _ => Err(lie("its first word is none".to_owned())),
    }
}

/// Whether it makes vectors of a width that they can have.
fn has_width(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::Vectors { width } if (1..=WIDTH_MAX).contains(&width))
}

/// Hands out what a worker says until it ends, or has to be ended. Answers why.
fn serve(mut session: Session, launch: &Launch, shared: &Shared) -> String {
    loop {
        match session.next(LOOKING_UP) {
            Ok(Some(message)) => {
                if let Err(why) = hand_out(&message, shared) {
                    return why;
                }
            }
            Ok(None) if session.is_closed() => {
                return match session.finish(ENDING) {
                    Ok(_) => "it ended by itself".to_owned(),
                    Err(error) => error.to_string(),
                };
            }
            Ok(None) => {}
            Err(error) => return error.to_string(),
        }
        let sharing = shared.lock();
        if sharing.asking.is_none() {
            // It was closed, or it lied. Its answers are not read any more.
            let why = sharing.why.clone();
            let closed = sharing.state == State::Down;
            drop(sharing);
            if closed && let Err(error) = session.finish(ENDING) {
                tracing::debug!(%error, "the worker was ended");
            }
            return why;
        }
        let late = sharing
            .waiting
            .values()
            .any(|waiting| matches!(waiting, Waiting::Stopping(since) if since.elapsed() >= launch.stopping));
        if late {
            return format!("it goes on {} s after it was told to stop", launch.stopping.as_secs());
        }
    }
}

/// Gives a message to who waits for it.
fn hand_out(message: &[u8], shared: &Shared) -> Result<(), String> {
    let lie = |what: &str| format!("what it says cannot be: {what}");
    let said: Said = serde_json::from_slice(message).map_err(|error| lie(&error.to_string()))?;
    let (job, last) = said.about().ok_or_else(|| lie("it opens a model twice"))?;
    let mut sharing = shared.lock();
    let waiting = match last {
        Last::Yes => sharing.waiting.remove(&job),
        Last::No => match sharing.waiting.get(&job) {
            Some(Waiting::For(sender)) => Some(Waiting::For(sender.clone())),
            Some(Waiting::Stopping(since)) => Some(Waiting::Stopping(*since)),
            None => None,
        },
    };
    drop(sharing);
    match waiting {
        Some(Waiting::For(sender)) => {
            if sender.send(said).is_err() {
                // They left just now, and will say that it is to stop.
                tracing::trace!(job, "nobody listens");
            }
            Ok(())
        }
        Some(Waiting::Stopping(_)) => Ok(()),
        None => Err(lie("it answers what was not asked")),
    }
}
