//! The threads that generate: one answer after the other on each, in this process or in the worker's box.
//!
//! A generation looks up between any two tokens, and between any two parts of a long prompt: nobody waits for it any
//! more, its time is over, or the engine ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use model::Finish;
use modelbox::{Broken, Event as Said, Generator, Listener};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;

use crate::app::{App, Phase};
use crate::clock::unix_s;
use crate::job::{Event, Job, Prompt, Runner, Work};
use crate::keys::Caller;
use crate::members::wrong;
use crate::{Error, Refusal};

/// Texts that are turned into vectors between two looks at whether to go on.
const TEXTS_AT_ONCE: usize = 8;

/// Why a generation does not go on.
enum Interrupt {
    /// Nobody listens.
    Gone,
    /// It cannot.
    Refused(Refusal),
}

impl From<Broken> for Interrupt {
    fn from(broken: Broken) -> Self {
        Self::Refused(broken.into())
    }
}

/// How a thread generates.
enum Answering {
    Here { generator: Generator, pool: rayon::ThreadPool },
    Boxed,
}

/// A generating thread.
pub(crate) struct Worker {
    app: Arc<App>,
    handle: Handle,
    answering: Answering,
}

/// Starts the threads. What is answered disconnects when all of them have ended.
pub(crate) fn start(app: &Arc<App>, handle: &Handle) -> Result<Receiver<()>, Error> {
    let failed = |reason: String| Error::System { what: "threads", reason };
    let limits = app.engine.limits();
    let (alive, ended) = channel();
    for number in 0..limits.generations {
        let answering = match &app.engine.runner {
            Runner::Here(opened) => {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(limits.threads)
                    .thread_name(move |thread| format!("compute-{number}-{thread}"));
                let pool = pool.build().map_err(|cause| failed(cause.to_string()))?;
                Answering::Here { generator: Generator::new(Arc::clone(opened)), pool }
            }
            Runner::Boxed(_) => Answering::Boxed,
        };
        let mut worker = Worker { app: Arc::clone(app), handle: handle.clone(), answering };
        let thread = std::thread::Builder::new().name(format!("generate-{number}"));
        let alive = alive.clone();
        let thread = thread.spawn(move || {
            while let Some(job) = worker.app.queue.take() {
                worker.answer(&job);
            }
            drop(alive);
        });
        thread.map_err(|cause| failed(cause.to_string()))?;
    }
    Ok(ended)
}

impl Worker {
    fn answer(&mut self, job: &Job) {
        if job.events.is_closed() {
            return;
        }
        self.app.metrics.wait.observe(job.came.elapsed().as_secs_f64());
        self.app.metrics.running.inc();
        // A fault of the model's code ends this answer and not the engine.
        let done = catch_unwind(AssertUnwindSafe(|| self.generate(job)));
        self.app.metrics.running.dec();
        let refusal = match done {
            Ok(Ok(()) | Err(Interrupt::Gone)) => return,
            Ok(Err(Interrupt::Refused(refusal))) => refusal,
            Err(_) => {
                if let Answering::Here { generator, .. } = &mut self.answering {
                    generator.forget();
                }
                Refusal::Failed
            }
        };
        if refusal.status().is_server_error() {
            tracing::warn!(code = refusal.code(), reason = %refusal, "a generation broke off");
        }
        // A client that does not read is not waited for once more; the end of the channel says as much.
        let unread = matches!(refusal, Refusal::Reader { .. });
        if unread || self.relay(job).send(Event::Failed(refusal)).is_err() {
            tracing::debug!("nobody heard why a generation broke off");
        }
    }

    fn relay<'a>(&self, job: &'a Job) -> Relay<'a> {
        Relay { app: Arc::clone(&self.app), handle: self.handle.clone(), job, last: None }
    }

    fn generate(&mut self, job: &Job) -> Result<(), Interrupt> {
        let mut relay = self.relay(job);
        let caller = number(job.caller);
        let task = match &job.work {
            Work::Generate(task) => task,
            Work::Embed(texts) => return self.embed(texts, &mut relay),
        };
        match (&mut self.answering, &self.app.engine.runner) {
            (Answering::Here { generator, pool }, _) => {
                pool.install(|| generator.generate(task, caller, unix_s(), &mut relay))
            }
            (Answering::Boxed, Runner::Boxed(boxed)) => boxed.generate(task, caller, unix_s(), &mut relay),
            (Answering::Boxed, Runner::Here(_)) => Err(Broken::Failed.into()),
        }
    }
}

impl Worker {
    fn embed(&self, texts: &[Prompt], relay: &mut Relay<'_>) -> Result<(), Interrupt> {
        relay.send(Event::Begun { prompt: 0 })?;
        for texts in texts.chunks(TEXTS_AT_ONCE) {
            relay.go_on()?;
            let done = match (&self.answering, &self.app.engine.runner) {
                (Answering::Here { pool, .. }, Runner::Here(opened)) => pool.install(|| opened.embed(texts)),
                (Answering::Boxed, Runner::Boxed(boxed)) => {
                    boxed.embed(texts, relay.job.deadline.saturating_duration_since(Instant::now()))
                }
                _ => Err(Broken::Failed),
            };
            let vectors = match done {
                Ok(vectors) => vectors,
                Err(Broken::Prompt { expected }) => {
                    return Err(Interrupt::Refused(wrong("input", &expected)));
                }
                Err(broken) => {
                    // Where its time is over, that is why.
                    relay.go_on()?;
                    return Err(broken.into());
                }
            };
            let tokens: usize = vectors.iter().map(|vector| vector.tokens).sum();
            self.app.metrics.prompt_tokens.inc_by(tokens as u64);
            relay.send(Event::Vectors(vectors))?;
        }
        relay.send(Event::Ended { finish: Finish::End, generated: 0 })
    }
}

/// Who asks, as a number: 0 for nobody in particular.
fn number(caller: Caller) -> modelbox::Caller {
    modelbox::Caller(
        caller.0.and_then(|place| u64::try_from(place).ok()).map_or(0, |place| place.saturating_add(1)),
    )
}

/// Passes on what a generation says, and counts it.
struct Relay<'a> {
    app: Arc<App>,
    handle: Handle,
    job: &'a Job,
    /// When the last token was generated.
    last: Option<Instant>,
}

impl Listener for Relay<'_> {
    type Stop = Interrupt;

    fn said(&mut self, said: Said) -> Result<(), Interrupt> {
        let metrics = &self.app.metrics;
        match said {
            Said::Begun { prompt } => {
                metrics.prompt_tokens.inc_by(prompt as u64);
                self.send(Event::Begun { prompt })
            }
            Said::Reused { tokens } => {
                metrics.reused_tokens.inc_by(tokens as u64);
                Ok(())
            }
            Said::Step => {
                let now = Instant::now();
                match self.last {
                    None => metrics.first_token.observe((now - self.job.came).as_secs_f64()),
                    Some(last) => metrics.token.observe((now - last).as_secs_f64()),
                }
                self.last = Some(now);
                metrics.generated_tokens.inc();
                Ok(())
            }
            Said::Text { text, tokens } => self.send(Event::Text { text, tokens }),
            Said::Ended { finish, generated } => self.send(Event::Ended { finish, generated }),
        }
    }

    fn go_on(&mut self) -> Result<(), Interrupt> {
        if self.job.events.is_closed() {
            return Err(Interrupt::Gone);
        }
        if *self.app.phase.borrow() == Phase::Ending {
            return Err(Interrupt::Refused(Refusal::Draining));
        }
        if Instant::now() >= self.job.deadline {
            let seconds = self.app.engine.limits().request.as_secs();
            return Err(Interrupt::Refused(Refusal::RequestTime { seconds }));
        }
        Ok(())
    }
}

impl Relay<'_> {
    /// Says something; waits for a client that reads slowly, but not for ever.
    fn send(&self, event: Event) -> Result<(), Interrupt> {
        let event = match self.job.events.try_send(event) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(Interrupt::Gone),
            Err(TrySendError::Full(event)) => event,
        };
        let limit = self.app.engine.limits().reader;
        let sent = async { tokio::time::timeout(limit, self.job.events.send(event)).await };
        match self.handle.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Interrupt::Gone),
            Err(_) => Err(Interrupt::Refused(Refusal::Reader { seconds: limit.as_secs() })),
        }
    }
}
