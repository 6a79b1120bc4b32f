//! Answering on a model that is at hand.
//!
//! A generation looks up between any two tokens, and between any two parts of a long prompt: whether it is to go on. What
//! the model has read is remembered for the next request of the same caller and adapter, so that a conversation is not
//! read again from its beginning.

use std::sync::Arc;

use model::executor::{Local, Prompt as Readable};
use model::template::Message;
use model::{Cache, Continuation, Controls, Finish, Generate, Scored, TokenScore, Tokenizer};

use crate::encoder::Sentences;
use crate::error::NotOpened;
use crate::files::Held;
use crate::task::{Broken, Caller, Echo, Event, Likely, Prompt, Purpose, Score, Sequence, Task, Vector};
use crate::{AdapterFiles, ModelFiles, Token};

/// Tokens of a prompt that are read between two looks at whether to go on.
const READ_AT_ONCE: usize = 256;

/// A model with its adapters, opened.
#[derive(Debug)]
pub struct Opened {
    runs: Runs,
    context: usize,
}

/// What was opened.
#[derive(Debug)]
enum Runs {
    Decoder(Box<Local>),
    Encoder(Box<Sentences>),
}

impl Opened {
    /// Opens a model's files, and its adapters' by name. `context` is the most tokens of a prompt and its answer; the
    /// model's own where that is less.
    ///
    /// # Errors
    /// [`NotOpened`] says which and why.
    pub fn load(
        files: &ModelFiles,
        adapters: &[(String, AdapterFiles)],
        context: usize,
    ) -> Result<Self, NotOpened> {
        let of_model = |error: model::Error| NotOpened::of(None, &error);
        let (model, tokenizer) = match files.open().map_err(of_model)? {
            Held::Decoder(held) => *held,
            Held::Encoder(mut held) => {
                if let Some((name, _)) = adapters.first() {
                    let error = model::Error::Purpose { asked: "adapters: it is an encoder" };
                    return Err(NotOpened::of(Some(name), &error));
                }
                held.within(context);
                let context = held.context();
                return Ok(Self { runs: Runs::Encoder(held), context });
            }
        };
        let mut local = Local::new(model, tokenizer).map_err(of_model)?;
        for (name, files) in adapters {
            let fitted = local.model_mut().load_adapter(name, &files.config.bytes, &files.weights.bytes);
            fitted.map_err(|error| NotOpened::of(Some(name), &error))?;
        }
        let context = context.min(local.model().config().context);
        Ok(Self { runs: Runs::Decoder(Box::new(local)), context })
    }

    /// What the model is made for.
    pub const fn purpose(&self) -> Purpose {
        match &self.runs {
            Runs::Decoder(_) => Purpose::Texts,
            Runs::Encoder(sentences) => Purpose::Vectors { width: sentences.width() },
        }
    }

    fn decoder(&self) -> Result<&Local, Broken> {
        match &self.runs {
            Runs::Decoder(local) => Ok(local),
            Runs::Encoder(_) => Err(model::Error::Purpose { asked: "continuing texts" }.into()),
        }
    }

    /// A vector for each text.
    ///
    /// # Errors
    /// [`Broken`] where a text is longer than the context, or the model is no encoder.
    pub fn embed(&self, texts: &[Prompt]) -> Result<Vec<Vector>, Broken> {
        match &self.runs {
            Runs::Encoder(sentences) => sentences.embed(texts),
            Runs::Decoder(_) => Err(model::Error::Purpose { asked: "turning texts into vectors" }.into()),
        }
    }

    /// Most tokens of a prompt and its answer.
    pub const fn context(&self) -> usize {
        self.context
    }

    /// Tokens of the vocabulary.
    pub const fn vocabulary(&self) -> usize {
        match &self.runs {
            Runs::Decoder(local) => local.model().config().vocabulary,
            Runs::Encoder(sentences) => sentences.vocabulary(),
        }
    }

    /// The tokens of a prompt.
    ///
    /// # Errors
    /// [`Broken`] where it cannot be read, is empty, or is too long.
    pub fn tokens(&self, prompt: &Prompt, now_s: i64) -> Result<Vec<u32>, Broken> {
        let local = self.decoder()?;
        let tokens = match prompt {
            Prompt::Chat(turns) => {
                let message =
                    |turn: &crate::Turn| Message { role: turn.role.clone(), content: turn.content.clone() };
                local.tokens(&Readable::Chat(turns.iter().map(message).collect()), now_s)?
            }
            Prompt::Text(text) => {
                let tokens = local.tokenizer().encode(text, Controls::Parsed)?;
                // Nothing at all is continued from the token at the beginning.
                if tokens.is_empty() { local.tokenizer().begin().into_iter().collect() } else { tokens }
            }
            Prompt::Tokens(tokens) => tokens.clone(),
        };
        if tokens.is_empty() {
            return Err(Broken::Prompt { expected: "at least one token".to_owned() });
        }
        let vocabulary = self.vocabulary();
        if tokens.iter().any(|&token| usize::try_from(token).map_or(true, |token| token >= vocabulary)) {
            return Err(Broken::Prompt { expected: format!("of tokens below {vocabulary}") });
        }
        if tokens.len() > self.context {
            return Err(Broken::TooLong { tokens: tokens.len(), limit: self.context });
        }
        Ok(tokens)
    }

    /// Scores sequences.
    ///
    /// # Errors
    /// [`Broken`] where the model cannot be run on them.
    pub fn score(&self, sequences: &[Sequence]) -> Result<Vec<Vec<Score>>, Broken> {
        let scored: Vec<Scored> = sequences
            .iter()
            .map(|sequence| Scored {
                tokens: sequence.tokens.clone(),
                from: sequence.from,
                top: sequence.top,
                adapter: sequence.adapter.clone(),
            })
            .collect();
        let told = |score: TokenScore| Score { token: score.token, logprob: score.logprob, top: score.top };
        let scores = self.decoder()?.model().score(&scored)?;
        Ok(scores.into_iter().map(|scores| scores.into_iter().map(told).collect()).collect())
    }
}

/// Who hears what a generation says.
pub trait Listener {
    /// Why a generation ends before its end.
    type Stop: From<Broken>;

    /// Hears.
    ///
    /// # Errors
    /// Where the generation is not to go on.
    fn said(&mut self, event: Event) -> Result<(), Self::Stop>;

    /// Whether the generation is to go on.
    ///
    /// # Errors
    /// Where it is not.
    fn go_on(&mut self) -> Result<(), Self::Stop>;
}

/// What is remembered of the last generation.
#[derive(Debug)]
struct Memory {
    cache: Cache,
    adapter: Option<String>,
    caller: Caller,
}

/// One who answers, one answer after the other.
#[derive(Debug)]
pub struct Generator {
    opened: Arc<Opened>,
    memory: Option<Memory>,
}

impl Generator {
    /// On an opened model.
    pub const fn new(opened: Arc<Opened>) -> Self {
        Self { opened, memory: None }
    }

    /// Forgets what the model has read.
    pub fn forget(&mut self) {
        self.memory = None;
    }

    /// Answers. `now_s` is for chat templates that write the date: seconds since 1970.
    ///
    /// # Errors
    /// What the listener answers, or why the model cannot be run.
    pub fn generate<L: Listener>(
        &mut self,
        task: &Task,
        caller: Caller,
        now_s: i64,
        listener: &mut L,
    ) -> Result<(), L::Stop> {
        let opened = Arc::clone(&self.opened);
        let local = opened.decoder()?;
        let model = local.model();
        let prompt = opened.tokens(&task.prompt, now_s)?;
        listener.said(Event::Begun { prompt: prompt.len() })?;
        let mut characters = 0;
        if task.echo == Echo::PromptToo {
            let text = match &task.prompt {
                Prompt::Text(text) => text.clone(),
                _ => local.tokenizer().decode(&prompt).map_err(Broken::from)?,
            };
            characters = text.chars().count();
            let tokens = match task.top {
                Some(top) => scored(local, task, &prompt, &text, top)?,
                None => Vec::new(),
            };
            listener.said(Event::Text { text, tokens })?;
        }
        if task.tokens_max == Some(0) {
            return listener.said(Event::Ended { finish: Finish::Length, generated: 0 });
        }
        let cache = self.read(task, caller, &prompt, listener)?;
        let request = Generate {
            prompt,
            tokens_max: task.tokens_max.unwrap_or(usize::MAX),
            sampling: task.sampling.clone(),
            stop: task.stop.clone(),
            top: task.top.unwrap_or(0),
            adapter: task.adapter.clone(),
        };
        let mut generation = model.generate(local.tokenizer(), request, Some(cache)).map_err(Broken::from)?;
        let mut told = Told { offset: characters, ..Told::default() };
        for step in generation.by_ref() {
            let step = step.map_err(Broken::from)?;
            listener.said(Event::Step)?;
            if task.top.is_some() && step.finish != Some(Finish::End) {
                told.waiting.push(likely(local.tokenizer(), &step.score));
            }
            let tokens = told.certain(&step.text, step.finish);
            if !step.text.is_empty() || !tokens.is_empty() {
                listener.said(Event::Text { text: step.text, tokens })?;
            }
            if step.finish.is_none() {
                listener.go_on()?;
            }
            if let Some(finish) = step.finish {
                let (_, generated) = generation.usage();
                self.memory =
                    Some(Memory { cache: generation.into_cache(), adapter: task.adapter.clone(), caller });
                return listener.said(Event::Ended { finish, generated });
            }
        }
        Err(Broken::Failed.into())
    }

    /// Reads all of the prompt but its last token.
    fn read<L: Listener>(
        &mut self,
        task: &Task,
        caller: Caller,
        prompt: &[u32],
        listener: &mut L,
    ) -> Result<Cache, L::Stop> {
        let (model, adapter) = (self.opened.decoder()?.model(), task.adapter.as_deref());
        let known = self
            .memory
            .take()
            .filter(|memory| memory.adapter.as_deref() == adapter && memory.caller == caller);
        let mut cache =
            known.map_or_else(|| Cache::new(model.config(), self.opened.context), |memory| memory.cache);
        let same = cache.tokens().iter().zip(prompt).take_while(|(a, b)| a == b).count();
        cache.truncate(same.min(prompt.len() - 1));
        listener.said(Event::Reused { tokens: cache.len() })?;
        let unread = prompt.get(cache.len()..prompt.len() - 1).unwrap_or_default();
        for tokens in unread.chunks(READ_AT_ONCE) {
            listener.go_on()?;
            model.next(Continuation { tokens, cache: &mut cache, adapter }).map_err(Broken::from)?;
        }
        listener.go_on()?;
        Ok(cache)
    }
}

/// The prompt's tokens and how likely they were.
fn scored(local: &Local, task: &Task, prompt: &[u32], text: &str, top: usize) -> Result<Vec<Likely>, Broken> {
    let model = local.model();
    let scores = if prompt.len() < 2 {
        Vec::new()
    } else {
        let scored = Scored { tokens: prompt.to_vec(), from: 1, top, adapter: task.adapter.clone() };
        model.score(&[scored])?.pop().unwrap_or_default()
    };
    let tokenizer = local.tokenizer();
    let first = prompt.iter().take(1).map(|&token| Likely {
        token: Token::of(tokenizer, token),
        logprob: None,
        top: Vec::new(),
        offset: 0,
    });
    let mut all: Vec<Likely> = first.chain(scores.iter().map(|score| likely(tokenizer, score))).collect();
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

fn likely(tokenizer: &Tokenizer, score: &TokenScore) -> Likely {
    Likely {
        token: Token::of(tokenizer, score.token),
        logprob: Some(score.logprob),
        top: score.top.iter().map(|&(token, logprob)| (Token::of(tokenizer, token), logprob)).collect(),
        offset: 0,
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
