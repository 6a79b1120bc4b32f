use model::{Finish, Sampling};

use super::{Turnwise, broken, scores, vectors};
use crate::Token;
use crate::boxed::About;
use crate::task::{Broken, Echo, Event, Fault, Likely, Prompt, Purpose, Score, Sequence, Task, Vector};
use crate::wire::Said;

const ABOUT: About = About { context: 16, vocabulary: 8, purpose: Purpose::Texts };

fn task(top: Option<usize>) -> Task {
    Task {
        prompt: Prompt::Tokens(vec![1, 2]),
        tokens_max: Some(2),
        sampling: Sampling::GREEDY,
        stop: Vec::new(),
        top,
        echo: Echo::Answer,
        adapter: None,
    }
}

/// The number of the first event that is not believed.
fn first_lie(task: &Task, events: &[Event]) -> Option<usize> {
    let mut turnwise = Turnwise::new(ABOUT, task);
    events.iter().position(|event| turnwise.check(event).is_err())
}

fn text(tokens: Vec<Likely>) -> Event {
    Event::Text { text: "a".to_owned(), tokens }
}

fn likely(top: usize) -> Likely {
    let token = Token { text: "a".to_owned(), bytes: None, len: 1 };
    Likely { token: token.clone(), logprob: Some(-1.0), top: vec![(token, -1.0); top], offset: 0 }
}

#[test]
fn a_generation_is_believed_in_its_order() {
    let ended = |generated| Event::Ended { finish: Finish::Length, generated };
    let begun = |prompt| Event::Begun { prompt };
    let reused = |tokens| Event::Reused { tokens };
    let honest =
        [begun(2), reused(1), Event::Step, text(vec![likely(1)]), Event::Step, text(Vec::new()), ended(2)];
    assert_eq!(first_lie(&task(Some(1)), &honest), None);
    assert_eq!(first_lie(&task(None), &honest), Some(3));
    assert_eq!(first_lie(&task(Some(0)), &honest), Some(3));
    for (lie, events) in [
        (0, vec![reused(0)]),
        (0, vec![Event::Step]),
        (0, vec![text(Vec::new())]),
        (0, vec![ended(0)]),
        (0, vec![begun(0)]),
        (0, vec![begun(17)]),
        (1, vec![begun(2), begun(2)]),
        (1, vec![begun(2), reused(2)]),
        (2, vec![begun(2), reused(1), reused(1)]),
        (4, vec![begun(2), reused(1), Event::Step, Event::Step, Event::Step]),
        (3, vec![begun(2), reused(1), Event::Step, ended(2)]),
        (
            3,
            vec![
                begun(2),
                reused(1),
                Event::Step,
                Event::Text { text: "x".repeat(5 << 20), tokens: Vec::new() },
            ],
        ),
    ] {
        assert_eq!(
            first_lie(&task(None), &events),
            Some(lie),
            "{:?}",
            events.last().map(std::mem::discriminant)
        );
    }
}

#[test]
fn scores_are_those_of_the_tokens_that_were_asked_for() {
    let asked = [Sequence { tokens: vec![1, 2, 3], from: 1, top: 1, adapter: None }];
    let score = |token, logprob| Score { token, logprob, top: vec![(7, -0.5)] };
    let check = |told: Vec<Vec<Score>>| scores(&asked, &told, ABOUT.vocabulary).is_ok();
    assert!(check(vec![vec![score(2, -1.0), score(3, f32::NEG_INFINITY)]]));
    assert!(!check(vec![]));
    assert!(!check(vec![vec![score(2, -1.0)]]));
    assert!(!check(vec![vec![score(2, -1.0), score(4, -1.0)]]));
    assert!(!check(vec![vec![score(2, -1.0), score(3, f32::NAN)]]));
    assert!(!check(vec![vec![score(2, -1.0), score(3, 0.5)]]));
    let many = |top| Score { token: 3, logprob: -1.0, top };
    assert!(!check(vec![vec![score(2, -1.0), many(vec![(1, -1.0), (2, -1.0)])]]));
    assert!(!check(vec![vec![score(2, -1.0), many(vec![(8, -1.0)])]]));
    assert!(!check(vec![vec![score(2, -1.0), many(vec![(1, f32::NAN)])]]));
}

#[test]
fn vectors_are_those_of_the_texts_that_were_asked_for() {
    let about = About { purpose: Purpose::Vectors { width: 2 }, ..ABOUT };
    let vector = |tokens, values: &[f32]| Vector { tokens, values: values.to_vec() };
    let honest = vec![vector(3, &[0.5, -1.0]), vector(16, &[0.0, 1.0])];
    assert_eq!(vectors(2, &honest, about), Ok(()));
    assert!(vectors(2, &honest, ABOUT).is_err());
    assert!(vectors(1, &honest, about).is_err());
    assert!(vectors(3, &honest, about).is_err());
    for lie in [
        vector(3, &[0.5]),
        vector(3, &[0.5, 1.0, 2.0]),
        vector(0, &[0.5, 1.0]),
        vector(17, &[0.5, 1.0]),
        vector(3, &[f32::NAN, 1.0]),
        vector(3, &[1.0, f32::INFINITY]),
    ] {
        assert!(vectors(1, std::slice::from_ref(&lie), about).is_err(), "{lie:?}");
    }
    let said = Said::Vectors { job: 1, vectors: honest };
    let written = serde_json::to_string(&said).unwrap();
    assert_eq!(serde_json::from_str::<Said>(&written).unwrap(), said);
}

#[test]
fn refusals_are_shown_without_a_strangers_codes_and_controls() {
    let model = |code: &str| Broken::Model {
        code: code.to_owned(),
        message: "a\u{1b}[2Jb".to_owned(),
        hint: "c".to_owned(),
        fault: Fault::Client,
    };
    let Broken::Model { message, .. } = broken(model("CS-MDL-012")) else { panic!("the model's own") };
    assert_eq!(message, "a [2Jb");
    for code in ["", "CS-MDL-", "CS-MDL-1", "CS-MDL-0123", "CS-GATE-001"] {
        assert_eq!(broken(model(code)), Broken::Failed);
    }
    assert_eq!(broken(Broken::Gone { why: "so".to_owned() }), Broken::Failed);
}

#[test]
fn messages_are_read_strictly_and_numbers_keep_their_bits() {
    let score = Score { token: 1, logprob: -0.1, top: vec![(2, f32::NEG_INFINITY)] };
    let said = Said::Scores { job: 7, scores: vec![vec![score]] };
    let written = serde_json::to_string(&said).unwrap();
    assert_eq!(serde_json::from_str::<Said>(&written).unwrap(), said);
    for wrong in [
        written.replace("\"job\":7", "\"job\":7,\"by\":1"),
        written.replace("\"token\":1", "\"token\":1,\"sure\":true"),
        written.replace("\"job\":7", "\"job\":-7"),
        written.replace("scores", "Scores"),
        format!("{written} x"),
    ] {
        assert!(serde_json::from_str::<Said>(&wrong).is_err(), "{wrong}");
    }
}
