//! Models in the box: the same bits as without it, stopping, ending, starting again.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ::model::Sampling;
use modelbox::boxed::State;
use modelbox::{
    Adapter, BoxError, Boxed, Broken, Caller, Echo, Event, Files, Launch, Listener, ModelFiles, OpenFile,
    Opened, Prompt, Purpose, Sequence, Task, sample,
};
use sandbox::{Level, Program};
use trace::Step;

const LONG: Duration = Duration::from_mins(2);

fn written(folder: &Path, name: &str, bytes: &[u8]) -> OpenFile {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    OpenFile { name: name.to_owned(), file: File::open(path).unwrap() }
}

fn launch(folder: &Path, files: &ModelFiles, level: Level) -> Launch {
    let adapter = sample::adapter(8).unwrap();
    Launch {
        program: Arc::new(Program::seal(Path::new(env!("CARGO_BIN_EXE_countersign-worker"))).unwrap()),
        level,
        name: "made".to_owned(),
        files: files.try_map(|file| Ok::<_, ()>(written(folder, &file.name, &file.bytes))).unwrap(),
        adapters: vec![(
            "other".to_owned(),
            Adapter {
                config: written(folder, &adapter.config.name, &adapter.config.bytes),
                weights: written(folder, &adapter.weights.name, &adapter.weights.bytes),
            },
        )],
        context: 4096,
        generations: 2,
        threads: 2,
        memory_bytes: Launch::memory_for(1 << 20, 2, 2),
        processor_s: 600,
        opening: LONG,
        stopping: LONG,
        restarts: 2,
    }
}

#[test]
fn an_encoder_in_the_box_gives_the_same_bits_as_without_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("1_Pooling")).unwrap();
    let files = sample::encoder(7).unwrap();
    let mut launch = launch(folder.path(), &files, Level::Standard);
    launch.adapters.clear();
    let boxed = Boxed::open(launch, &|_| {}).unwrap();
    assert_eq!(boxed.about().purpose, Purpose::Vectors { width: 32 });
    assert_eq!(boxed.about().context, 48);
    let texts = [Prompt::Text("Once upon a time".to_owned()), Prompt::Tokens(vec![1, 2, 3])];
    let here = Opened::load(&files, &[], 4096).unwrap().embed(&texts).unwrap();
    assert_eq!(boxed.embed(&texts, LONG).unwrap(), here);
    assert_eq!(
        boxed.embed(&[Prompt::Text("x".repeat(49))], LONG),
        Err(Broken::TooLong { tokens: 49, limit: 48 })
    );
    // What it is not made for is refused, and the worker goes on.
    let chat = Prompt::Chat(Vec::new());
    assert!(matches!(boxed.embed(&[chat], LONG), Err(Broken::Prompt { .. })));
    let refused = boxed.text(&task(1), 0, LONG).unwrap_err().to_string();
    assert!(refused.contains("not made for continuing texts"), "{refused}");
    assert!(boxed.score(&sequences(), LONG).is_err());
    assert_eq!(boxed.embed(&texts, LONG).unwrap(), here);
    boxed.close();
}

fn boxed(level: Level) -> Option<(tempfile::TempDir, Boxed)> {
    let folder = tempfile::tempdir().unwrap();
    match Boxed::open(launch(folder.path(), &sample::model(7).unwrap(), level), &|_| {}) {
        Ok(boxed) => Some((folder, boxed)),
        Err(BoxError::Box(error)) if level == Level::Deep && error.code() == "CS-BOX-003" => {
            eprintln!("SKIPPED a model in a deep box: this host cannot enforce it");
            None
        }
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string)),
    }
}

fn here() -> Opened {
    let adapters = [("other".to_owned(), sample::adapter(8).unwrap())];
    Opened::load(&sample::model(7).unwrap(), &adapters, 4096).unwrap()
}

fn sequences() -> Vec<Sequence> {
    let of = |length: u32, adapter: Option<&str>, top| Sequence {
        tokens: (0..length).map(|at| at * 7 % 256).collect(),
        from: 1,
        top,
        adapter: adapter.map(str::to_owned),
    };
    vec![of(5, None, 0), of(300, None, 3), of(40, Some("other"), 1)]
}

fn task(tokens: usize) -> Task {
    Task {
        prompt: Prompt::Text("Hello".to_owned()),
        tokens_max: Some(tokens),
        sampling: Sampling::GREEDY,
        stop: Vec::new(),
        top: None,
        echo: Echo::Answer,
        adapter: None,
    }
}

#[test]
fn scores_have_the_same_bits_in_the_box() {
    for level in [Level::Standard, Level::Deep] {
        let Some((_folder, boxed)) = boxed(level) else { continue };
        let expected = here().score(&sequences()).unwrap();
        let scores = boxed.score(&sequences(), LONG).unwrap();
        for (ours, theirs) in scores.iter().flatten().zip(expected.iter().flatten()) {
            assert_eq!(ours.logprob.to_bits(), theirs.logprob.to_bits());
            assert_eq!(ours, theirs);
        }
        assert_eq!(scores.len(), 3);
        let steps = boxed.steps();
        assert!(matches!(&steps[0], Step::Model { files, .. } if files.len() >= 4), "{steps:?}");
        assert!(matches!(steps[1], Step::Scored { sequences: 3, tokens: 342, .. }), "{steps:?}");
        let prompt = Prompt::Text("Hello".to_owned());
        assert_eq!(boxed.tokens(&prompt, 0, LONG).unwrap(), here().tokens(&prompt, 0).unwrap());
        let (text, generated) = boxed.text(&task(9), 0, LONG).unwrap();
        assert_eq!(generated, 9);
        assert_eq!(boxed.text(&task(9), 0, LONG).unwrap().0, text);
        assert!(boxed.worker() != statement::Digest::of(b""));
    }
}

#[test]
fn what_cannot_be_scored_is_refused_and_the_worker_goes_on() {
    let (_folder, boxed) = boxed(Level::Standard).unwrap();
    let mut wrong = sequences();
    wrong[0].tokens[2] = 9_999;
    let error = boxed.score(&wrong, LONG).unwrap_err();
    assert_eq!(error.code(), "CS-MBX-003", "{error}");
    wrong[0].tokens.clear();
    assert_eq!(boxed.score(&wrong, LONG).unwrap_err().code(), "CS-MBX-003");
    let empty = Prompt::Tokens(Vec::new());
    assert_eq!(boxed.tokens(&empty, 0, LONG).unwrap_err().code(), "CS-MBX-003");
    assert_eq!(boxed.score(&sequences(), LONG).unwrap().len(), 3);
    assert_eq!((boxed.state(), boxed.ended()), (State::Up, 0));
}

/// Ends a generation after some events.
struct Leaving(usize);

#[derive(Debug)]
enum Left {
    Wanted,
    Broken(Broken),
}

impl From<Broken> for Left {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl Listener for Leaving {
    type Stop = Left;

    fn said(&mut self, _: Event) -> Result<(), Left> {
        self.0 = self.0.checked_sub(1).ok_or(Left::Wanted)?;
        Ok(())
    }

    fn go_on(&mut self) -> Result<(), Left> {
        Ok(())
    }
}

#[test]
fn an_answer_that_nobody_wants_is_stopped() {
    let (_folder, boxed) = boxed(Level::Standard).unwrap();
    // Two answers at once, and twice as many that were left: they must have made room.
    for _ in 0..4 {
        let left = boxed.generate(&task(4_000), Caller(0), 0, &mut Leaving(5));
        assert!(matches!(left, Err(Left::Wanted)), "{left:?}");
    }
    let (_, generated) = boxed.text(&task(3), 0, LONG).unwrap();
    assert_eq!(generated, 3);
    assert_eq!(boxed.ended(), 0);
}

/// Ends the worker from its own listener: in the middle of an answer.
struct Killing {
    process: Option<i32>,
}

impl Listener for Killing {
    type Stop = Left;

    fn said(&mut self, event: Event) -> Result<(), Left> {
        if event == Event::Step
            && let Some(process) = self.process.take()
        {
            assert!(Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap().success());
        }
        Ok(())
    }

    fn go_on(&mut self) -> Result<(), Left> {
        Ok(())
    }
}

#[test]
fn a_worker_that_ends_is_started_again_and_given_up_when_it_ends_too_often() {
    let (_folder, boxed) = boxed(Level::Standard).unwrap();
    for time in 1..=3 {
        let process = boxed.process();
        assert!(process.is_some());
        let broken = boxed.generate(&task(4_000), Caller(0), 0, &mut Killing { process });
        assert!(matches!(&broken, Err(Left::Broken(Broken::Gone { .. }))), "{broken:?}");
        while boxed.state() == State::Starting || boxed.state() == State::Up && boxed.process() == process {
            std::thread::yield_now();
        }
        assert_eq!(boxed.ended(), time);
        if time < 3 {
            assert_eq!(boxed.text(&task(3), 0, LONG).unwrap().1, 3);
        }
    }
    assert_eq!(boxed.state(), State::Down);
    let error = boxed.score(&sequences(), LONG).unwrap_err();
    assert_eq!(error.code(), "CS-BOX-010", "{error}");
}

#[test]
fn what_is_no_model_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut launch = launch(folder.path(), &sample::model(7).unwrap(), Level::Standard);
    launch.files = Files::Gguf(written(folder.path(), "no.gguf", b"GGUF and not more"));
    let error = Boxed::open(launch, &|_| {}).unwrap_err();
    assert_eq!(error.code(), "CS-MBX-002");
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(!why.is_empty() && !error.hint().is_empty(), "{why}");
}
