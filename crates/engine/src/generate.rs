//! The threads that generate: one answer after the other on each.
//!
//! A generation looks up between any two tokens, and between any two parts of a long prompt: nobody waits for it any
//! more, its time is over, or the engine ends. What the model has read is remembered for the next request of the
//! same caller and adapter, so that a conversation is not read again from its beginning.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use model::executor::Prompt as Readable;
use model::{Cache, Continuation, Controls, Finish, Generate, Scored, TokenScore};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;

use crate::app::{App, Phase};
use crate::clock::unix_s;
use crate::job::{Echo, Event, Job, Likely, Prompt};
use crate::keys::Caller;
use crate::members::wrong;
use crate::token::Token;
use crate::{Error, Refusal};

/// Tokens of a prompt that are read between two looks at whether to go on.
const READ_AT_ONCE: usize = 256;

/// What a thread remembers of its last generation.
struct Memory {
    cache: Cache,
    adapter: Option<String>,
    caller: Caller,
}

/// Why a generation does not go on.
enum Interrupt {
    /// Nobody listens.
    Gone,
    /// It cannot.
    Refused(Refusal),
}

impl From<model::Error> for Interrupt {
    fn from(error: model::Error) -> Self {
        Self::Refused(error.into())
    }
}

/// A generating thread.
pub(crate) struct Worker {
    app: Arc<App>,
    handle: Handle,
    memory: Option<Memory>,
}

/// Starts the threads. What is answered disconnects when all of them have ended.
pub(crate) fn start(app: &Arc<App>, handle: &Handle) -> Result<Receiver<()>, Error> {
    let failed = |reason: String| Error::System { what: "threads", reason };
    let limits = app.engine.limits();
    let (alive, ended) = channel();
    for number in 0..limits.generations {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(limits.threads)
            .thread_name(move |thread| format!("compute-{number}-{thread}"));
        let pool = pool.build().map_err(|cause| failed(cause.to_string()))?;
        let mut worker = Worker { app: Arc::clone(app), handle: handle.clone(), memory: None };
        let thread = std::thread::Builder::new().name(format!("generate-{number}"));
        let alive = alive.clone();
        let thread = thread.spawn(move || {
            while let Some(job) = worker.app.queue.take() {
                pool.install(|| worker.answer(&job));
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
                self.memory = None;
                Refusal::Failed
            }
        };
        if refusal.status().is_server_error() {
            tracing::warn!(code = refusal.code(), reason = %refusal, "a generation broke off");
        }
        // A client that does not read is not waited for once more; the end of the channel says as much.
        let unread = matches!(refusal, Refusal::Reader { .. });
        if unread || self.send(job, Event::Failed(refusal)).is_err() {
            tracing::debug!("nobody heard why a generation broke off");
        }
    }

    fn generate(&mut self, job: &Job) -> Result<(), Interrupt> {
        let app = Arc::clone(&self.app);
        let (engine, metrics) = (&app.engine, &app.metrics);
        let (local, task) = (&engine.local, &job.task);
        let model = local.model();
        let prompt = match &task.prompt {
            Prompt::Chat(messages) => local.tokens(&Readable::Chat(messages.clone()), unix_s())?,
            Prompt::Text(text) => {
                let tokens = local.tokenizer().encode(text, Controls::Parsed)?;
                // Nothing at all is continued from the token at the beginning.
                if tokens.is_empty() { local.tokenizer().begin().into_iter().collect() } else { tokens }
            }
            Prompt::Tokens(tokens) => tokens.clone(),
        };
        if prompt.is_empty() {
            return Err(Interrupt::Refused(wrong("prompt", "at least one token")));
        }
        let vocabulary = model.config().vocabulary;
        if prompt.iter().any(|&token| usize::try_from(token).map_or(true, |token| token >= vocabulary)) {
            return Err(Interrupt::Refused(wrong("prompt", &format!("of tokens below {vocabulary}"))));
        }
        let limit = engine.limits().context;
        if prompt.len() > limit {
            return Err(Interrupt::Refused(Refusal::PromptTooLong { tokens: prompt.len(), limit }));
        }
        metrics.prompt_tokens.inc_by(prompt.len() as u64);
        self.send(job, Event::Begun { prompt: prompt.len() })?;
        let mut characters = 0;
        if task.echo == Echo::PromptToo {
            let text = match &task.prompt {
                Prompt::Text(text) => text.clone(),
                _ => local.tokenizer().decode(&prompt)?,
            };
            characters = text.chars().count();
            let tokens = match task.top {
                Some(top) => self.scored(job, &prompt, &text, top)?,
                None => Vec::new(),
            };
            self.send(job, Event::Text { text, tokens })?;
        }
        if task.tokens_max == Some(0) {
            return self.send(job, Event::Ended { finish: Finish::Length, generated: 0 });
        }
        let cache = self.read(job, &prompt)?;
        let request = Generate {
            prompt,
            tokens_max: task.tokens_max.unwrap_or(usize::MAX),
            sampling: task.sampling.clone(),
            stop: task.stop.clone(),
            top: task.top.unwrap_or(0),
            adapter: task.adapter.clone(),
        };
        let mut generation = model.generate(local.tokenizer(), request, Some(cache))?;
        let mut told = Told { offset: characters, ..Told::default() };
        let mut last: Option<Instant> = None;
        for step in generation.by_ref() {
            let step = step?;
            let now = Instant::now();
            match last {
                None => metrics.first_token.observe((now - job.came).as_secs_f64()),
                Some(last) => metrics.token.observe((now - last).as_secs_f64()),
            }
            last = Some(now);
            metrics.generated_tokens.inc();
            if task.top.is_some() && step.finish != Some(Finish::End) {
                told.waiting.push(self.likely(&step.score));
            }
            let tokens = told.certain(&step.text, step.finish);
            if !step.text.is_empty() || !tokens.is_empty() {
                self.send(job, Event::Text { text: step.text, tokens })?;
            }
            if step.finish.is_none() {
                self.go_on(job)?;
            }
            if let Some(finish) = step.finish {
                let (_, generated) = generation.usage();
                self.memory = Some(Memory {
                    cache: generation.into_cache(),
                    adapter: task.adapter.clone(),
                    caller: job.caller,
                });
                return self.send(job, Event::Ended { finish, generated });
            }
        }
        Err(Interrupt::Refused(Refusal::Failed))
    }

    /// Reads all of the prompt but its last token.
    fn read(&mut self, job: &Job, prompt: &[u32]) -> Result<Cache, Interrupt> {
        let engine = &self.app.engine;
        let (model, adapter) = (engine.local.model(), job.task.adapter.as_deref());
        let known = self
            .memory
            .take()
            .filter(|memory| memory.adapter.as_deref() == adapter && memory.caller == job.caller);
        let mut cache =
            known.map_or_else(|| Cache::new(model.config(), engine.limits().context), |memory| memory.cache);
        let same = cache.tokens().iter().zip(prompt).take_while(|(a, b)| a == b).count();
        cache.truncate(same.min(prompt.len() - 1));
        self.app.metrics.reused_tokens.inc_by(cache.len() as u64);
        let unread = prompt.get(cache.len()..prompt.len() - 1).unwrap_or_default();
        for tokens in unread.chunks(READ_AT_ONCE) {
            self.go_on(job)?;
            model.next(Continuation { tokens, cache: &mut cache, adapter })?;
        }
        self.go_on(job)?;
        Ok(cache)
    }

    /// The prompt's tokens and how likely they were.
    fn scored(&self, job: &Job, prompt: &[u32], text: &str, top: usize) -> Result<Vec<Likely>, Interrupt> {
        let model = self.app.engine.local.model();
        let scores = if prompt.len() < 2 {
            Vec::new()
        } else {
            let scored = Scored { tokens: prompt.to_vec(), from: 1, top, adapter: job.task.adapter.clone() };
            model.score(&[scored])?.pop().unwrap_or_default()
        };
        let tokenizer = self.app.engine.local.tokenizer();
        let first = prompt.iter().take(1).map(|&token| Likely {
            token: Token::of(tokenizer, token),
            logprob: None,
            top: Vec::new(),
            offset: 0,
        });
        let mut all: Vec<Likely> = first.chain(scores.iter().map(|score| self.likely(score))).collect();
        // A token's name may be in the text, also a control token's, or not, as that at the beginning.
        let mut at = 0;
        for likely in &mut all {
            let known = text.get(..at);
            likely.offset = known.map_or_else(
                || text.char_indices().take_while(|(place, _)| *place < at).count(),
                |text| text.chars().count(),
            );
            let bytes = likely.token.bytes.as_deref().unwrap_or_default();
            let follows = text.as_bytes().get(at..).is_some_and(|rest| rest.starts_with(bytes));
            at = (at + if follows { bytes.len() } else { likely.token.len }).min(text.len());
        }
        Ok(all)
    }

    fn likely(&self, score: &TokenScore) -> Likely {
        let tokenizer = self.app.engine.local.tokenizer();
        Likely {
            token: Token::of(tokenizer, score.token),
            logprob: Some(score.logprob),
            top: score.top.iter().map(|&(token, logprob)| (Token::of(tokenizer, token), logprob)).collect(),
            offset: 0,
        }
    }

    /// Whether to go on.
    fn go_on(&self, job: &Job) -> Result<(), Interrupt> {
        if job.events.is_closed() {
            return Err(Interrupt::Gone);
        }
        if *self.app.phase.borrow() == Phase::Ending {
            return Err(Interrupt::Refused(Refusal::Draining));
        }
        if Instant::now() >= job.deadline {
            let seconds = self.app.engine.limits().request.as_secs();
            return Err(Interrupt::Refused(Refusal::RequestTime { seconds }));
        }
        Ok(())
    }

    /// Says something; waits for a client that reads slowly, but not for ever.
    fn send(&self, job: &Job, event: Event) -> Result<(), Interrupt> {
        let event = match job.events.try_send(event) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(Interrupt::Gone),
            Err(TrySendError::Full(event)) => event,
        };
        let limit = self.app.engine.limits().reader;
        let sent = async { tokio::time::timeout(limit, job.events.send(event)).await };
        match self.handle.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Interrupt::Gone),
            Err(_) => Err(Interrupt::Refused(Refusal::Reader { seconds: limit.as_secs() })),
        }
    }
}

/// Which tokens have been told: those that begin in text that has been told. Tokens of a text that stops the
/// generation never are.
#[derive(Default)]
struct Told {
    /// Bytes and characters of the text that has been told.
    bytes: usize,
    offset: usize,
    /// Where the next waiting token begins.
    begin: usize,
    waiting: Vec<Likely>,
}

impl Told {
    fn certain(&mut self, text: &str, finish: Option<Finish>) -> Vec<Likely> {
        let (from, first) = (self.bytes, self.offset);
        self.bytes += text.len();
        self.offset += text.chars().count();
        let all = matches!(finish, Some(Finish::End | Finish::Length));
        let mut count = 0;
        for likely in &mut self.waiting {
            if self.begin >= self.bytes && !all {
                break;
            }
            let before = self.begin.saturating_sub(from).min(text.len());
            let before = text.char_indices().take_while(|(place, _)| *place < before).count();
            likely.offset = first + before;
            self.begin += likely.token.len;
            count += 1;
        }
        self.waiting.drain(..count).collect()
    }
}
