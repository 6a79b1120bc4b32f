//! A worker that runs a model: started, asked, ended, and started again when it ended by itself.

mod check;
mod supervisor;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sandbox::{Asking, Boundaries, Level, Limits, Profile, Program, Run, SandboxError};
use statement::Digest;
use trace::Step;

use crate::error::BoxError;
use crate::files::{Adapter, Files, Loaded, OpenFile};
use crate::generator::Listener;
use crate::task::{Broken, Caller, Event, Prompt, Purpose, Score, Sequence, Task, Vector};
use crate::wire::{Ask, Said};
use check::Turnwise;

/// How long a worker may take to take what it is asked.
const ASKING: Duration = Duration::from_secs(10);
/// How often a caller is asked whether it still waits.
const LOOKING_UP: Duration = Duration::from_millis(50);
/// Most steps that are kept.
const STEPS_MAX: usize = 4096;

/// How a model is run in a box.
#[derive(Debug)]
pub struct Launch {
    /// The worker's program.
    pub program: Arc<Program>,
    /// How well it is boxed.
    pub level: Level,
    /// The name it is told by.
    pub name: String,
    /// The model's files, open.
    pub files: Files<OpenFile>,
    /// Its adapters' files, by name.
    pub adapters: Vec<(String, Adapter<OpenFile>)>,
    /// Most tokens of a prompt and its answer; the model's own where that is less.
    pub context: usize,
    /// Answers at the same time.
    pub generations: usize,
    /// Threads that compute for one answer.
    pub threads: usize,
    /// Bytes of memory beside the files.
    pub memory_bytes: u64,
    /// Seconds of processor time, of all threads together, until the worker is ended.
    pub processor_s: u64,
    /// How long opening the model may take.
    pub opening: Duration,
    /// How long what was asked not to go on may go on all the same, until the worker is ended.
    pub stopping: Duration,
    /// How often a worker that ended by itself is started again.
    pub restarts: u32,
}

impl Launch {
    /// Memory that is enough for a model of so many bytes, whatever its kind, and no more than some times that: weights
    /// may be turned into wider numbers, and each thread has an arena of its own.
    pub fn memory_for(bytes: u64, generations: usize, threads: usize) -> u64 {
        let threads = u64::try_from(generations.saturating_mul(threads.saturating_add(1))).unwrap_or(1);
        (6_u64 << 30)
            .saturating_add(bytes.saturating_mul(5))
            .saturating_add(threads.saturating_mul(256 << 20))
    }

    pub(crate) fn run(&self) -> Run {
        let threads = self.generations.saturating_mul(self.threads.saturating_add(1)).saturating_add(2);
        Run {
            level: self.level,
            profile: Profile::Execute,
            limits: Limits {
                memory_bytes: self.memory_bytes,
                processor_s: self.processor_s,
                wall: self.opening,
                threads: u64::try_from(threads).unwrap_or(u64::MAX),
                answer_bytes: ANSWER_BYTES_MAX,
            },
        }
    }
}

/// Most bytes that a worker may answer to one thing that it is asked.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// What is known of a model that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Most tokens of a prompt and its answer.
    pub context: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// What it is made for.
    pub purpose: Purpose,
}

/// Whether the worker can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It can.
    Up,
    /// It is being started again.
    Starting,
    /// It ended too often, or was closed.
    Down,
}

/// A model in its box.
#[derive(Debug)]
pub struct Boxed {
    shared: Arc<Shared>,
    about: About,
    boundaries: Boundaries,
    loaded: Vec<Loaded>,
    worker: Digest,
    level: Level,
    thread: Option<JoinHandle<()>>,
}

/// What callers and the supervising thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: Mutex<Sharing>,
    next: AtomicU64,
    steps: Mutex<Vec<Step>>,
    name: String,
}

/// Behind the lock, which nobody holds for longer than a moment.
#[derive(Debug)]
pub(crate) struct Sharing {
    pub(crate) state: State,
    pub(crate) asking: Option<Arc<Asking>>,
    /// Those who wait, by number.
    pub(crate) waiting: BTreeMap<u64, Waiting>,
    /// How often a worker ended by itself.
    pub(crate) ended: u32,
    /// Why the last one did.
    pub(crate) why: String,
    /// The process of the worker, while there is one.
    pub(crate) process: Option<i32>,
}

/// Somebody who waits for an answer, or what was asked not to go on and has not said that it does not.
#[derive(Debug)]
pub(crate) enum Waiting {
    For(Sender<Said>),
    Stopping(Instant),
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Sharing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, step: Step) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if steps.len() < STEPS_MAX {
            steps.push(step);
        }
    }
}

impl Boxed {
    /// Starts a worker and waits until it has opened the model. `progress` hears how many more bytes of the files have
    /// been hashed.
    ///
    /// # Errors
    /// [`BoxError`].
    pub fn open(launch: Launch, progress: &dyn Fn(u64)) -> Result<Self, BoxError> {
        let mut loaded = Vec::new();
        let of_adapters = launch.adapters.iter().flat_map(|(_, files)| files.all());
        for file in launch.files.all().into_iter().chain(of_adapters) {
            let failed = |source| BoxError::File { name: file.name.clone(), source };
            // Hashing looks at no structure.
            let content = sandbox::Content::of(&file.file).map_err(failed)?;
            loaded.push(crate::files::digest(&file.name, content.bytes(), progress));
        }
        let shared = Arc::new(Shared {
            state: Mutex::new(Sharing {
                state: State::Starting,
                asking: None,
                waiting: BTreeMap::new(),
                ended: 0,
                why: String::new(),
                process: None,
            }),
            next: AtomicU64::new(0),
            steps: Mutex::new(Vec::new()),
            name: launch.name.clone(),
        });
        let (worker, level) = (launch.program.digest(), launch.level);
        let (told, opened) = channel();
        let supervised = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("supervise".to_owned())
            // The worker dies with the thread that started it.
            .spawn(move || supervisor::supervise(&launch, &supervised, &told))
            .map_err(|source| SandboxError::Start { step: "a thread", source })?;
        let gone = |_| BoxError::Box(SandboxError::Gone { why: "nobody supervises it".to_owned() });
        let (about, boundaries) = opened.recv().map_err(gone)??;
        let files = loaded.iter().filter_map(|file| Some((file.name.clone(), file.sha256.parse().ok()?)));
        shared.step(Step::Model { files: files.take(64).collect(), name: shared.name.clone() });
        Ok(Self { shared, about, boundaries, loaded, worker, level, thread: Some(thread) })
    }

    /// What is known of the model.
    pub const fn about(&self) -> About {
        self.about
    }

    /// What holds around the worker.
    pub const fn boundaries(&self) -> &Boundaries {
        &self.boundaries
    }

    /// The files, as this process hashed them.
    pub fn loaded(&self) -> &[Loaded] {
        &self.loaded
    }

    /// SHA-256 of the worker's code.
    pub const fn worker(&self) -> Digest {
        self.worker
    }

    /// How well the worker is boxed.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Whether the worker can be asked.
    pub fn state(&self) -> State {
        self.shared.lock().state
    }

    /// How often a worker ended by itself.
    pub fn ended(&self) -> u32 {
        self.shared.lock().ended
    }

    /// The worker's process, while there is one.
    pub fn process(&self) -> Option<i32> {
        self.shared.lock().process
    }

    /// What was done with the model so far, at most 4,096 steps: it was opened, sequences were scored.
    pub fn steps(&self) -> Vec<Step> {
        self.shared.steps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Generates. The listener hears on this thread, and is asked whether to go on also while nothing is said.
    ///
    /// # Errors
    /// What the listener answers; why the model cannot be run; [`Broken::Gone`] where the worker ended.
    pub fn generate<L: Listener>(
        &self,
        task: &Task,
        caller: Caller,
        now_s: i64,
        listener: &mut L,
    ) -> Result<(), L::Stop> {
        let asked = self.ask(|job| Ask::Generate { job, task: task.clone(), caller, now_s })?;
        let mut turnwise = Turnwise::new(self.about, task);
        loop {
            let said = match asked.answers.recv_timeout(LOOKING_UP) {
                Ok(said) => said,
                Err(RecvTimeoutError::Timeout) => {
                    listener.go_on()?;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.gone().into()),
            };
            match said {
                Said::Event { event, .. } => {
                    let last = matches!(event, Event::Ended { .. });
                    if let Err(what) = turnwise.check(&event) {
                        return Err(self.lied(&what).into());
                    }
                    listener.said(event)?;
                    if last {
                        return Ok(());
                    }
                }
                Said::Broken { broken, .. } => return Err(check::broken(broken).into()),
                _ => return Err(self.lied("it answers something else than was asked").into()),
            }
        }
    }

    /// How likely tokens are. Several sequences share passes; neither that nor their order changes a score.
    ///
    /// # Errors
    /// [`BoxError`].
    pub fn score(&self, sequences: &[Sequence], within: Duration) -> Result<Vec<Vec<Score>>, BoxError> {
        let said = self.wait(|job| Ask::Score { job, sequences: sequences.to_vec() }, within)?;
        let Said::Scores { scores, .. } = said else {
            return Err(self.lie("it answers something else than was asked"));
        };
        check::scores(sequences, &scores, self.about.vocabulary).map_err(|what| self.lie(&what))?;
        let tokens: usize = scores.iter().map(Vec::len).sum();
        let written =
            serde_json::to_vec(&scores).map_err(|error| BoxError::Model { message: error.to_string() })?;
        self.shared.step(Step::Scored {
            digest: Digest::of(&written),
            model: self.shared.name.clone(),
            sequences: u64::try_from(sequences.len()).unwrap_or(u64::MAX),
            tokens: u64::try_from(tokens).unwrap_or(u64::MAX),
        });
        Ok(scores)
    }

    /// A vector for each text. What is asked at once is answered at once, and not stopped in between.
    ///
    /// # Errors
    /// Why the model cannot be run on them; [`Broken::Gone`] also where it takes longer than `within`.
    pub fn embed(&self, texts: &[Prompt], within: Duration) -> Result<Vec<Vector>, Broken> {
        let asked = self.ask(|job| Ask::Embed { job, texts: texts.to_vec() })?;
        match asked.answers.recv_timeout(within) {
            Ok(Said::Vectors { vectors, .. }) => {
                check::vectors(texts.len(), &vectors, self.about).map_err(|what| self.lied(&what))?;
                Ok(vectors)
            }
            Ok(Said::Broken { broken, .. }) => Err(check::broken(broken)),
            Ok(_) => Err(self.lied("it answers something else than was asked")),
            Err(RecvTimeoutError::Timeout) => {
                Err(Broken::Gone { why: format!("it did not answer within {} s", within.as_secs()) })
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.gone()),
        }
    }

    /// The tokens of a prompt.
    ///
    /// # Errors
    /// [`BoxError`].
    pub fn tokens(&self, prompt: &Prompt, now_s: i64, within: Duration) -> Result<Vec<u32>, BoxError> {
        let said = self.wait(|job| Ask::Tokens { job, prompt: prompt.clone(), now_s }, within)?;
        let Said::Tokens { tokens, .. } = said else {
            return Err(self.lie("it answers something else than was asked"));
        };
        let vocabulary = self.about.vocabulary;
        let known = |token: &u32| usize::try_from(*token).is_ok_and(|token| token < vocabulary);
        if tokens.is_empty() || tokens.len() > self.about.context || !tokens.iter().all(known) {
            return Err(self.lie("tokens that there are not"));
        }
        Ok(tokens)
    }

    /// Generates to the end and answers the text and how many tokens it has: for callers who need no stream.
    ///
    /// # Errors
    /// [`BoxError`].
    pub fn text(&self, task: &Task, now_s: i64, within: Duration) -> Result<(String, usize), BoxError> {
        struct Whole {
            text: String,
            generated: usize,
            until: Instant,
        }
        enum Stop {
            Late,
            Broken(Broken),
        }
        impl From<Broken> for Stop {
            fn from(broken: Broken) -> Self {
                Self::Broken(broken)
            }
        }
        impl Listener for Whole {
            type Stop = Stop;
            fn said(&mut self, event: Event) -> Result<(), Stop> {
                match event {
                    Event::Text { text, .. } => self.text.push_str(&text),
                    Event::Ended { generated, .. } => self.generated = generated,
                    Event::Begun { .. } | Event::Reused { .. } | Event::Step => {}
                }
                self.go_on()
            }
            fn go_on(&mut self) -> Result<(), Stop> {
                if Instant::now() < self.until { Ok(()) } else { Err(Stop::Late) }
            }
        }
        let mut whole = Whole { text: String::new(), generated: 0, until: Instant::now() + within };
        match self.generate(task, Caller(0), now_s, &mut whole) {
            Ok(()) => {
                self.shared.step(Step::Generated {
                    digest: Digest::of(whole.text.as_bytes()),
                    model: self.shared.name.clone(),
                    tokens: u64::try_from(whole.generated).unwrap_or(u64::MAX),
                });
                Ok((whole.text, whole.generated))
            }
            Err(Stop::Late) => Err(BoxError::Late { seconds: within.as_secs() }),
            Err(Stop::Broken(broken)) => Err(of_broken(broken)),
        }
    }

    /// Ends the worker.
    pub fn close(mut self) {
        self.shut();
    }

    fn shut(&mut self) {
        {
            let mut sharing = self.shared.lock();
            sharing.state = State::Down;
            "it was closed".clone_into(&mut sharing.why);
            // The worker ends when nothing more is asked.
            sharing.asking = None;
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the supervising thread broke off");
        }
    }

    /// Asks something and waits for the one answer.
    fn wait(&self, ask: impl FnOnce(u64) -> Ask, within: Duration) -> Result<Said, BoxError> {
        let asked = self.ask(ask).map_err(of_broken)?;
        match asked.answers.recv_timeout(within) {
            Ok(Said::Broken { broken, .. }) => Err(of_broken(check::broken(broken))),
            Ok(said) => Ok(said),
            Err(RecvTimeoutError::Timeout) => Err(BoxError::Late { seconds: within.as_secs() }),
            Err(RecvTimeoutError::Disconnected) => Err(of_broken(self.gone())),
        }
    }

    fn ask(&self, ask: impl FnOnce(u64) -> Ask) -> Result<Asked, Broken> {
        let job = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let message =
            serde_json::to_vec(&ask(job)).map_err(|error| Broken::Gone { why: error.to_string() })?;
        let (sender, answers) = channel();
        let asking = {
            let mut sharing = self.shared.lock();
            let gone = Broken::Gone { why: sharing.why.clone() };
            let asking = sharing.asking.clone().ok_or(gone)?;
            sharing.waiting.insert(job, Waiting::For(sender));
            asking
        };
        let asked = Asked { job, answers, shared: Arc::clone(&self.shared), asking };
        match asked.asking.ask(&message, ASKING) {
            Ok(()) => Ok(asked),
            Err(error) => Err(Broken::Gone { why: error.to_string() }),
        }
    }

    fn gone(&self) -> Broken {
        Broken::Gone { why: self.shared.lock().why.clone() }
    }

    /// A worker that lies is ended: what else it says is worth nothing.
    fn lied(&self, what: &str) -> Broken {
        let mut sharing = self.shared.lock();
        sharing.why = format!("what it says cannot be: {what}");
        sharing.asking = None;
        Broken::Gone { why: sharing.why.clone() }
    }

    fn lie(&self, what: &str) -> BoxError {
        let _: Broken = self.lied(what);
        SandboxError::Lie { what: what.to_owned() }.into()
    }
}

impl Drop for Boxed {
    fn drop(&mut self) {
        self.shut();
    }
}

fn of_broken(broken: Broken) -> BoxError {
    match broken {
        Broken::Gone { why } => SandboxError::Gone { why }.into(),
        other => BoxError::Model { message: other.to_string() },
    }
}

/// Something that was asked. When it is dropped before its last answer, the worker is told not to go on.
struct Asked {
    job: u64,
    answers: Receiver<Said>,
    shared: Arc<Shared>,
    asking: Arc<Asking>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let is_open = {
            let mut sharing = self.shared.lock();
            match sharing.waiting.get_mut(&self.job) {
                Some(waiting) => {
                    *waiting = Waiting::Stopping(Instant::now());
                    true
                }
                None => false,
            }
        };
        if is_open
            && let Ok(message) = serde_json::to_vec(&Ask::Stop { job: self.job })
            && self.asking.ask(&message, ASKING).is_err()
        {
            // The supervising thread finds out by itself, and ends a worker that hears nothing.
            tracing::debug!(job = self.job, "the worker could not be told to stop");
        }
    }
}
