use super::*;
use crate::text;
use crate::window::VECTORS_MAX;
use stats::random::Random;
use stats::sketch::Histogram;

const OLD: u8 = 1;
const NEW: u8 = 2;

fn state(n: u8) -> StateId {
    StateId::from_digest(statement::Digest::of(&[n]))
}

/// How a version behaves.
#[derive(Clone, Copy)]
struct Manner {
    errors: f64,
    slower: u64,
    words: &'static [&'static str],
    marked: f64,
}

const WELL: Manner = Manner {
    errors: 0.005,
    slower: 1,
    words: &["the", "lamp", "is", "in", "attic", "garden", "below", "a", "chair", "near", "window"],
    marked: 0.0,
};
const OTHER_WORDS: &[&str] = &["zug", "qvx", "brr", "kkk", "wzw", "oox"];

fn second(random: &mut Random, at: u64, of: u8, manner: Manner, requests: u64) -> Window {
    let mut counts = Fingerprint::default();
    let mut add = |name: &str, dimension: Dimension| counts.add(&name.parse().unwrap(), &dimension).unwrap();
    let mut vectors = Vec::new();
    for _ in 0..requests {
        let yes = |random: &mut Random, share: f64| u64::from(random.unit() < share);
        add(dimension::ERRORS, Dimension::Events { yes: yes(random, manner.errors), of: 1 });
        add(dimension::REFUSALS, Dimension::Events { yes: yes(random, 0.01), of: 1 });
        add(dimension::INJECTION, Dimension::Events { yes: yes(random, manner.marked), of: 1 });
        let mut latency = Histogram::new(1).unwrap();
        latency.add((20_000 + random.below(20_000)) * manner.slower, 1).unwrap();
        add(dimension::LATENCY, Dimension::Sizes(latency));
        let length = 8 + random.below(12);
        let words: Vec<&str> =
            (0..length).map(|_| manner.words[random.below(manner.words.len() as u64) as usize]).collect();
        let said = words.join(" ");
        add(dimension::NGRAMS, Dimension::Categories(text::ngrams(&said)));
        let mut sizes = Histogram::new(1).unwrap();
        sizes.add(said.len() as u64, 1).unwrap();
        add(dimension::TEXT, Dimension::Sizes(sizes));
        let ends = if random.unit() < 0.9 { vec![1, 0, 0] } else { vec![0, 1, 0] };
        add(dimension::FINISH, Dimension::Categories(ends));
        if vectors.len() < VECTORS_MAX {
            vectors.push(text::vector(&said));
        }
    }
    Window {
        arm: "all".to_owned(),
        counts,
        second: at,
        slot: "s".parse().unwrap(),
        state: state(of),
        vectors,
    }
}

fn learnt(random: &mut Random) -> Reference {
    let mut reference = Reference::new("s".parse().unwrap());
    for at in 0..120 {
        reference.learn(&second(random, at, OLD, WELL, 20)).unwrap();
    }
    reference
}

/// The level after each second of a version that behaves so from the 30th second on.
fn levels(seed: u64, answers: Answers, bad: Manner, seconds: u64) -> Vec<Level> {
    let mut random = Random::new(seed);
    let reference = learnt(&mut random);
    let settings = Settings { answers, learn_s: 20, ..Settings::ORDINARY };
    let mut watcher = Watcher::new(settings, reference).unwrap();
    let mut found = Vec::new();
    for at in 1000..1000 + seconds {
        watcher.take(second(&mut random, at, OLD, WELL, 10)).unwrap();
        let manner = if at < 1030 { WELL } else { bad };
        watcher.take(second(&mut random, at, NEW, manner, 10)).unwrap();
        found.push(watcher.judge(state(NEW), at).unwrap().level);
    }
    found
}

/// The first second after the 30th at which a level is reached.
#[track_caller]
fn reached(levels: &[Level], level: Level) -> usize {
    assert!(levels[..30].iter().all(|level| *level < Level::Serious), "{levels:?}");
    let at = levels.iter().position(|found| *found >= level);
    at.unwrap_or_else(|| panic!("never {level:?}: {levels:?}")) - 30
}

#[test]
fn who_behaves_as_before_is_never_serious() {
    let quiet: usize = (0..4)
        .map(|seed| {
            let levels = levels(seed, Answers::MayChange, WELL, 200);
            assert!(levels.iter().all(|level| *level < Level::Serious), "{seed}: {levels:?}");
            levels.iter().filter(|level| **level == Level::Quiet).count()
        })
        .sum();
    // One detector alone may find something notable, and does rarely.
    assert!(quiet * 100 >= 4 * 200 * 97, "{quiet}");
}

#[test]
fn errors_are_critical_within_seconds() {
    let bad = Manner { errors: 1.0, ..WELL };
    let found = levels(1, Answers::MayChange, bad, 60);
    assert!(reached(&found, Level::Serious) <= 6, "{found:?}");
    assert!(reached(&found, Level::Critical) <= 9, "{found:?}");
}

#[test]
fn a_version_that_says_something_else_than_it_did_is_serious_and_a_new_one_may_say_what_it_likes() {
    let bad = Manner { words: OTHER_WORDS, ..WELL };
    let found = levels(2, Answers::MayChange, bad, 70);
    assert!(reached(&found, Level::Serious) <= 20, "{found:?}");
    // From its first second on it says something else: that is what it was changed for.
    let mut random = Random::new(3);
    let reference = learnt(&mut random);
    let watch = |answers, random: &mut Random| {
        let mut watcher =
            Watcher::new(Settings { answers, ..Settings::ORDINARY }, reference.clone()).unwrap();
        let mut highest = Level::Quiet;
        for at in 1000..1040 {
            watcher.take(second(random, at, NEW, bad, 10)).unwrap();
            highest = highest.max(watcher.judge(state(NEW), at).unwrap().level);
        }
        highest
    };
    assert!(watch(Answers::MayChange, &mut random) < Level::Serious);
    assert!(watch(Answers::StaySame, &mut random) >= Level::Serious);
}

#[test]
fn a_version_that_became_much_slower_is_serious() {
    let found = levels(4, Answers::MayChange, Manner { slower: 40, ..WELL }, 60);
    assert!(reached(&found, Level::Serious) <= 12, "{found:?}");
}

#[test]
fn orders_in_requests_are_a_notice_and_no_fault_of_the_version() {
    let mut random = Random::new(5);
    let reference = learnt(&mut random);
    let mut watcher = Watcher::new(Settings::ORDINARY, reference).unwrap();
    for at in 1000..1020 {
        watcher.take(second(&mut random, at, NEW, Manner { marked: 0.5, ..WELL }, 10)).unwrap();
    }
    let judged = watcher.judge(state(NEW), 1019).unwrap();
    assert!(judged.level < Level::Serious, "{judged:?}");
    assert!(judged.notices.iter().any(|name| name.as_str() == dimension::INJECTION), "{judged:?}");
}

#[test]
fn who_has_learnt_nothing_and_sees_nothing_is_blind() {
    let mut watcher = Watcher::new(Settings::ORDINARY, Reference::new("s".parse().unwrap())).unwrap();
    let judged = watcher.judge(state(NEW), 1000).unwrap();
    assert_eq!((judged.level, judged.blind, judged.requests), (Level::Quiet, 5, 0));
}

#[test]
fn what_was_learnt_is_read_again_and_what_was_tampered_with_is_not() {
    let reference = learnt(&mut Random::new(6));
    let bytes = reference.to_bytes().unwrap();
    assert_eq!(Reference::parse(&bytes).unwrap(), reference);
    let text = String::from_utf8(bytes).unwrap();
    for (from, to) in
        [("\"version\":1", "\"version\":2"), ("\"seen\":120", "\"seen\":-1"), ("\"hours\"", "\"x\"")]
    {
        if text.contains(from) {
            assert_eq!(Reference::parse(text.replace(from, to).as_bytes()).unwrap_err().code(), "CS-WCH-008");
        }
    }
    assert_eq!(Reference::parse(b"{}").unwrap_err().code(), "CS-WCH-008");
}

#[test]
fn versions_that_come_and_go_take_bounded_room() {
    let mut random = Random::new(7);
    let mut watcher = Watcher::new(Settings::ORDINARY, Reference::new("s".parse().unwrap())).unwrap();
    for n in 0..100 {
        watcher.take(second(&mut random, 1000 + u64::from(n), n, WELL, 1)).unwrap();
    }
    assert_eq!((watcher.recent.len(), watcher.events.len(), watcher.content.len()), (16, 16, 16));
}
