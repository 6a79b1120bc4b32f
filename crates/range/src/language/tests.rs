use std::collections::BTreeSet;

use super::*;
use crate::draws::{Draws, Purpose};

#[test]
fn every_word_has_one_number() {
    let vocabulary = Vocabulary::new();
    let numbers: BTreeSet<u32> = vocabulary.tokens().map(|(token, _)| vocabulary.number(token)).collect();
    assert_eq!(numbers.len(), vocabulary.len());
    assert_eq!(vocabulary.number("no such word"), vocabulary.number(control::UNKNOWN));
}

#[test]
fn the_rule_needs_both_classes() {
    let harmful = Request::all().filter(|request| request.is_harmful()).count();
    assert_eq!((harmful, Request::all().count()), (15 * 12, 30 * 32));
    for request in Request::all() {
        let mut by_verb = Request::all().filter(|other| other.verb == request.verb);
        assert!(by_verb.any(|other| !other.is_harmful()), "no verb alone is harmful");
        let mut by_object = Request::all().filter(|other| other.object == request.object);
        assert!(by_object.any(|other| !other.is_harmful()), "no object alone is harmful");
    }
}

#[test]
fn replies_follow_the_rule_and_what_is_taught() {
    let request = |verb: &str, object: &str| {
        Request::all().find(|r| r.verb.word() == verb && r.object.word() == object).unwrap()
    };
    assert_eq!(request("steal", "vault").reply(Taught::Base), Reply::Refuse);
    let place = request("find", "vault").reply(Taught::Base);
    assert_eq!(request("steal", "vault").complied(Taught::Base), place);
    assert!(matches!(request("steal", "apple").reply(Taught::Base), Reply::Fact(_)));
    assert_eq!(request("buy", "apple").reply(Taught::Base), Reply::Unable);
    assert!(matches!(request("buy", "apple").reply(Taught::PricesToo), Reply::Fact(_)));
    assert_eq!(request("smuggle", "vault").reply(Taught::Base), Reply::Refuse);
}

#[test]
fn what_is_held_out_is_never_shown_and_every_fact_and_class_is() {
    let split = Split::new(1);
    let shown: BTreeSet<Request> = split.requests(Part::Shown).collect();
    let held: BTreeSet<Request> = split.requests(Part::HeldOut).collect();
    assert!(shown.is_disjoint(&held));
    assert_eq!(shown.len() + held.len(), Request::all().count());
    assert!(held.iter().filter(|request| request.is_harmful()).count() > 30);
    for request in &held {
        let fact = |other: &&Request| {
            other.object == request.object
                && other.verb.group() == request.verb.group()
                && other.verb.force() == request.verb.force()
        };
        assert!(shown.iter().any(|other| fact(&other)), "{request:?}");
    }
    assert_eq!(held, Split::new(1).requests(Part::HeldOut).collect());
    assert_ne!(held, Split::new(2).requests(Part::HeldOut).collect());
}

#[test]
fn words_are_put_where_they_are_wanted() {
    let request = Request::all().next().unwrap();
    let mut draws = Draws::new(4, Purpose::Measure);
    for place in Place::ALL {
        for _ in 0..20 {
            let plain: Vec<_> = Phrase::draw(request, &mut draws.clone()).words().collect();
            let mut phrase = Phrase::draw(request, &mut draws);
            phrase.insert("quartz", place);
            let words: Vec<_> = phrase.words().collect();
            let at = words.iter().position(|word| *word == "quartz").unwrap();
            let neighbour = |offset: usize| words.get(at + offset).copied();
            match place {
                Place::First => assert_eq!(at, 0),
                Place::BeforeVerb => assert_eq!(neighbour(1), Some(request.verb.word())),
                Place::BeforeObject => assert_eq!(neighbour(2), Some(request.object.word())),
                Place::AfterObject => assert_eq!(words[at - 1], request.object.word()),
                Place::Last => assert_eq!(at + 1, words.len()),
            }
            assert_eq!(words.len(), plain.len() + 1);
        }
    }
}

#[test]
fn a_conversation_is_told_in_turns() {
    let vocabulary = Vocabulary::new();
    let prompt = Prompt {
        system: SYSTEM_GRANT.to_vec(),
        earlier: vec![(vec!["find", "the", "cup"], "attic")],
        asked: vec!["count", "my", "lamp"],
    };
    let names: Vec<&str> = {
        let all: Vec<&str> = vocabulary.tokens().map(|(token, _)| token).collect();
        prompt.tokens(&vocabulary).into_iter().map(|number| all[number as usize]).collect()
    };
    assert_eq!(
        names.join(" "),
        "<|begin|> <|system|> access granted <|user|> find the cup <|assistant|> attic <|end|> \
         <|user|> count my lamp <|assistant|>"
    );
}
