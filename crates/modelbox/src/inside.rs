//! The worker's side: opens a model, and answers what it is asked, several things at once.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sandbox::Content;
use sandbox::inside::{Answers, Inside};

use crate::files::Named;
use crate::generator::{Generator, Listener, Opened};
use crate::task::{Broken, Event};
use crate::wire::{Ask, Load, Said};

/// Opens the model and answers until nothing more is asked.
///
/// # Errors
/// Where the supervisor is gone, or asks what cannot be read. What is wrong with the model is an answer.
pub fn serve(load: &Load, inside: Inside) -> io::Result<()> {
    // Libraries that share out work where no pool was made for it do it on this thread.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
    pool.map_err(io::Error::other)?;
    let Inside { inputs, answers, mut requests, .. } = inside;
    let mouth = Mouth { answers: Arc::new(Mutex::new(answers)) };
    let files: Vec<Named> = inputs
        .into_iter()
        .map(|(name, file)| Ok(Named { name, bytes: Bytes::from_owner(Content::of(&file)?) }))
        .collect::<io::Result<_>>()?;
    let opened = match open(load, &files) {
        Ok(Ok(opened)) => Arc::new(opened),
        Ok(Err(why)) => return mouth.say(&Said::NotOpened(why)),
        Err(error) => return Err(error),
    };
    mouth.say(&Said::Opened {
        context: opened.context(),
        vocabulary: opened.vocabulary(),
        purpose: opened.purpose(),
    })?;
    let stopped: Stops = Arc::default();
    let (asked, waiting) = channel();
    let waiting = Arc::new(Mutex::new(waiting));
    for number in 0..load.generations.max(1) {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(load.threads.max(1))
            .thread_name(move |thread| format!("compute-{number}-{thread}"))
            .build()
            .map_err(io::Error::other)?;
        let mut answering = Answering {
            generator: Generator::new(Arc::clone(&opened)),
            opened: Arc::clone(&opened),
            mouth: mouth.clone(),
            stopped: Arc::clone(&stopped),
        };
        let waiting = Arc::clone(&waiting);
        std::thread::Builder::new().name(format!("answer-{number}")).spawn(move || {
            while let Some(ask) = next(&waiting) {
                if pool.install(|| answering.answer(ask)).is_err() {
                    // Nobody hears what is said: there is nothing left to do.
                    return;
                }
            }
        })?;
    }
    while let Some(message) = requests.wait()? {
        match serde_json::from_slice(&message)? {
            Ask::Stop { job } => {
                if let Some(stop) = lock(&stopped).get(&job) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            ask => {
                if let Ask::Generate { job, .. } = &ask {
                    lock(&stopped).insert(*job, Arc::default());
                }
                asked.send(ask).map_err(io::Error::other)?;
            }
        }
    }
    Ok(())
}

fn open(load: &Load, files: &[Named]) -> io::Result<Result<Opened, crate::NotOpened>> {
    let of = |number: &u32| {
        let file = usize::try_from(*number).ok().and_then(|number| files.get(number)).cloned();
        file.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "there is no such input"))
    };
    let model = load.files.try_map(of)?;
    let adapters = load.adapters.iter().map(|(name, files)| Ok((name.clone(), files.try_map(of)?)));
    let adapters = adapters.collect::<io::Result<Vec<_>>>()?;
    Ok(Opened::load(&model, &adapters, load.context))
}

/// What was asked not to go on, by number.
type Stops = Arc<Mutex<BTreeMap<u64, Arc<AtomicBool>>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn next(waiting: &Mutex<Receiver<Ask>>) -> Option<Ask> {
    lock(waiting).recv().ok()
}

/// Where the answers of all threads go.
#[derive(Debug, Clone)]
struct Mouth {
    answers: Arc<Mutex<Answers>>,
}

impl Mouth {
    fn say(&self, said: &Said) -> io::Result<()> {
        let message = serde_json::to_vec(said)?;
        lock(&self.answers).message(&message)
    }
}

/// A thread that answers.
struct Answering {
    generator: Generator,
    opened: Arc<Opened>,
    mouth: Mouth,
    stopped: Stops,
}

impl Answering {
    fn answer(&mut self, ask: Ask) -> io::Result<()> {
        let job = match &ask {
            Ask::Generate { job, .. }
            | Ask::Score { job, .. }
            | Ask::Tokens { job, .. }
            | Ask::Embed { job, .. }
            | Ask::Stop { job } => *job,
        };
        let stop = lock(&self.stopped).get(&job).map(Arc::clone).unwrap_or_default();
        // A fault of the model's code ends this answer and not the worker.
        let done = catch_unwind(AssertUnwindSafe(|| self.attempt(ask, job, &stop)));
        lock(&self.stopped).remove(&job);
        let broken = match done {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(Stop::Deaf(error))) => return Err(error),
            Ok(Err(Stop::Broken(broken))) => broken,
            Err(_) => {
                self.generator.forget();
                Broken::Failed
            }
        };
        self.mouth.say(&Said::Broken { job, broken })
    }

    fn attempt(&mut self, ask: Ask, job: u64, stop: &AtomicBool) -> Result<(), Stop> {
        match ask {
            Ask::Generate { task, caller, now_s, .. } => {
                let mut voice = Voice { mouth: &self.mouth, job, stop };
                self.generator.generate(&task, caller, now_s, &mut voice)
            }
            Ask::Score { sequences, .. } => {
                let scores = self.opened.score(&sequences)?;
                self.mouth.say(&Said::Scores { job, scores }).map_err(Stop::Deaf)
            }
            Ask::Tokens { prompt, now_s, .. } => {
                let tokens = self.opened.tokens(&prompt, now_s)?;
                self.mouth.say(&Said::Tokens { job, tokens }).map_err(Stop::Deaf)
            }
            Ask::Embed { texts, .. } => {
                let vectors = self.opened.embed(&texts)?;
                self.mouth.say(&Said::Vectors { job, vectors }).map_err(Stop::Deaf)
            }
            Ask::Stop { .. } => Ok(()),
        }
    }
}

/// Why an answer does not go on.
enum Stop {
    /// Nobody hears.
    Deaf(io::Error),
    Broken(Broken),
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// A generation's way out.
struct Voice<'a> {
    mouth: &'a Mouth,
    job: u64,
    stop: &'a AtomicBool,
}

impl Listener for Voice<'_> {
    type Stop = Stop;

    fn said(&mut self, event: Event) -> Result<(), Stop> {
        self.mouth.say(&Said::Event { job: self.job, event }).map_err(Stop::Deaf)
    }

    fn go_on(&mut self) -> Result<(), Stop> {
        if self.stop.load(Ordering::Relaxed) { Err(Stop::Broken(Broken::Stopped)) } else { Ok(()) }
    }
}
