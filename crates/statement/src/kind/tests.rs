//! Every kind: its example round trips, its schema says the same as its parser, and nothing in it can be changed
//! without being refused or becoming another statement.

use std::collections::{BTreeMap, BTreeSet};

use super::{Body, Kind};
use crate::envelope::{Envelope, PAYLOAD_TYPE, pre_authentication_encoding};
use crate::example;
use crate::json::{self, Value};
use crate::schema::payload_schema;
use crate::statement::{Content, Statement};

fn payload(kind: Kind) -> Vec<u8> {
    example::statement(kind).to_payload().unwrap()
}

fn known(payload: &[u8]) -> Statement {
    match Content::parse(payload).unwrap() {
        Content::Known(statement) => *statement,
        Content::Opaque(opaque) => panic!("{opaque:?}"),
    }
}

#[test]
fn there_are_26_kinds_with_valid_names() {
    assert_eq!(Kind::ALL.len(), 26);
    let mut names = BTreeSet::new();
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse::<crate::Name>().unwrap(), kind.to_name());
        assert_eq!(Kind::from_name(kind.name()), Some(*kind));
        assert_eq!(kind.predicate_type(), format!("urn:countersign:{}:v1", kind.name()));
        assert!(!kind.signers().is_empty());
        names.insert(kind.name());
    }
    assert_eq!(names.len(), 26);
    assert_eq!(Kind::from_name("Proposal"), None);
    assert_eq!(Kind::from_name(""), None);
}

#[test]
fn examples_round_trip() {
    let bodies = example::bodies();
    assert_eq!(bodies.iter().map(Body::kind).collect::<Vec<_>>(), Kind::ALL);
    for kind in Kind::ALL {
        let statement = example::statement(*kind);
        let bytes = payload(*kind);
        assert_eq!(known(&bytes), statement);
        assert_eq!(known(&bytes).to_payload().unwrap(), bytes);
    }
}

/// Every optional member is there, so that the tampering below reaches it.
#[test]
fn examples_leave_nothing_out() {
    for kind in Kind::ALL {
        let schema = kind.schema().to_value();
        let Value::Object(members) = json::to_value(&example::body(*kind)).unwrap() else {
            panic!("{kind:?}")
        };
        let present: BTreeSet<&str> = members.keys().map(String::as_str).collect();
        let possible: BTreeSet<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(present, possible, "{kind:?}");
    }
}

/// The choices that the examples do not take.
#[test]
fn every_choice_round_trips() {
    let mut bodies: Vec<Body> = Vec::new();
    let person: crate::PersonId = "p-ada".parse().unwrap();
    let id = crate::StatementId::from_digest(crate::Digest::of(b"id"));
    if let Body::Proposal(proposal) = example::body(Kind::Proposal) {
        bodies
            .push(super::Proposal { proposer: super::Proposer::Person(person.clone()), ..*proposal }.into());
    }
    if let Body::Revocation(revocation) = example::body(Kind::Revocation) {
        for target in [super::RevocationTarget::Grant(id), super::RevocationTarget::Order(id)] {
            bodies.push(super::Revocation { target, ..*revocation.clone() }.into());
        }
    }
    if let Body::Freeze(freeze) = example::body(Kind::Freeze) {
        let change = crate::ChangeId::from_random([7; 16]);
        for target in [super::FreezeTarget::Realm, super::FreezeTarget::Change(change)] {
            bodies.push(super::Freeze { target, ..*freeze.clone() }.into());
        }
    }
    if let Body::DirectoryEntry(entry) = example::body(Kind::DirectoryEntry) {
        for (key, _) in example::passkey::every_scheme(b"").unwrap() {
            bodies.push(super::DirectoryEntry { key, ..*entry.clone() }.into());
        }
        for role in super::Role::ALL {
            bodies.push(super::DirectoryEntry { roles: BTreeSet::from([role]), ..*entry.clone() }.into());
        }
    }
    assert_eq!(bodies.len(), 5 + 4 + 15);
    for body in bodies {
        let validator = validator(body.kind());
        let statement = Statement::new("example".parse().unwrap(), crate::Tracking::Realm, 1, body)
            .signed_by(&[example::public_key().id()]);
        let bytes = statement.to_payload().unwrap();
        assert_eq!(known(&bytes), statement);
        assert!(validator.is_valid(&serde_json::from_slice(&bytes).unwrap()), "{statement:?}");
    }
}

fn validator(kind: Kind) -> jsonschema::Validator {
    let schema = payload_schema(kind);
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn schemas_take_the_example_and_no_added_member() {
    for kind in Kind::ALL {
        let validator = validator(*kind);
        let good: serde_json::Value = serde_json::from_slice(&payload(*kind)).unwrap();
        if let Err(error) = validator.validate(&good) {
            panic!("{kind:?}: {error} at {}", error.instance_path());
        }
        for place in
            ["", "/predicate", "/predicate/header", "/predicate/body", "/subject/0", "/subject/0/digest"]
        {
            let mut twin = good.clone();
            let object = twin.pointer_mut(place).unwrap().as_object_mut().unwrap();
            object.insert("zz_added".to_owned(), 1.into());
            assert!(!validator.is_valid(&twin), "{kind:?}: {place}");
        }
        for other in Kind::ALL.iter().filter(|other| *other != kind) {
            let other: serde_json::Value = serde_json::from_slice(&payload(*other)).unwrap();
            assert!(!validator.is_valid(&other), "{kind:?}");
        }
    }
}

/// JSON as it is spelled, so that it can be spelled wrongly.
#[derive(Clone, PartialEq)]
enum Node {
    Atom(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    fn of(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::Array(items.iter().map(Self::of).collect()),
            Value::Object(members) => {
                Self::Object(members.iter().map(|(name, member)| (name.clone(), Self::of(member))).collect())
            }
            atom => Self::Atom(String::from_utf8(json::encode(atom)).unwrap()),
        }
    }

    fn render(&self, out: &mut String) {
        match self {
            Self::Atom(text) => out.push_str(text),
            Self::Array(items) => {
                out.push('[');
                for (position, item) in items.iter().enumerate() {
                    out.push_str(if position == 0 { "" } else { "," });
                    item.render(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (position, (name, member)) in members.iter().enumerate() {
                    out.push_str(if position == 0 { "" } else { "," });
                    out.extend(["\"", name.as_str(), "\":"]);
                    member.render(out);
                }
                out.push('}');
            }
        }
    }

    fn at(&mut self, path: &[usize]) -> &mut Self {
        path.iter().fold(self, |node, step| match node {
            Self::Array(items) => &mut items[*step],
            Self::Object(members) => &mut members[*step].1,
            Self::Atom(text) => panic!("no member of {text}"),
        })
    }

    fn paths(&self) -> Vec<Vec<usize>> {
        let children: Vec<&Self> = match self {
            Self::Atom(_) => vec![],
            Self::Array(items) => items.iter().collect(),
            Self::Object(members) => members.iter().map(|(_, member)| member).collect(),
        };
        let mut paths = vec![vec![]];
        for (step, child) in children.into_iter().enumerate() {
            paths.extend(child.paths().into_iter().map(|tail| [vec![step], tail].concat()));
        }
        paths
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tampering {
    Removed,
    Renamed,
    Added,
    Repeated,
    Null,
    OtherType,
    Altered,
    Fraction,
    Exponent,
    LeadingZero,
    MembersUnsorted,
    ElementsUnsorted,
    ElementRepeated,
    ElementRemoved,
    Space,
}

impl Tampering {
    /// The codes by which it may be refused.
    const fn codes(self) -> &'static [&'static str] {
        match self {
            Self::Removed => &["CS-STM-010", "CS-STM-011", "CS-STM-017", "CS-STM-024"],
            Self::Renamed => &["CS-STM-009", "CS-STM-010", "CS-STM-011"],
            Self::Added => &["CS-STM-009", "CS-STM-011"],
            Self::Repeated => &["CS-STM-005"],
            Self::Null => &["CS-STM-011", "CS-STM-022", "CS-STM-024"],
            Self::OtherType | Self::Altered => &[
                "CS-STM-010",
                "CS-STM-011",
                "CS-STM-014",
                "CS-STM-015",
                "CS-STM-016",
                "CS-STM-017",
                "CS-STM-022",
                "CS-STM-009",
            ],
            Self::Fraction | Self::Exponent | Self::LeadingZero => &["CS-STM-006"],
            Self::MembersUnsorted | Self::Space => &["CS-STM-008"],
            Self::ElementsUnsorted | Self::ElementRepeated => &["CS-STM-017", "CS-STM-022"],
            Self::ElementRemoved => &["CS-STM-017"],
        }
    }

    /// Whether it may make another statement, instead of none.
    const fn may_parse(self) -> bool {
        match self {
            // Of an optional member, or of an entry of a map.
            Self::Removed | Self::Renamed | Self::Added
            // Of a free text or number.
            | Self::OtherType | Self::Altered
            // Of a list whose order means something.
            | Self::ElementsUnsorted | Self::ElementRepeated | Self::ElementRemoved => true,
            Self::Repeated
            | Self::Null
            | Self::Fraction
            | Self::Exponent
            | Self::LeadingZero
            | Self::MembersUnsorted
            | Self::Space => false,
        }
    }
}

fn twins(good: &Node) -> Vec<(Tampering, Node)> {
    let mut twins = Vec::new();
    for path in good.paths() {
        let mut push = |tampering, change: &dyn Fn(&mut Node)| {
            let mut twin = good.clone();
            change(twin.at(&path));
            if twin != *good {
                twins.push((tampering, twin));
            }
        };
        for other in ["true", "7", "-1", "\"text\"", "[]", "{}"] {
            push(Tampering::OtherType, &|node| *node = Node::Atom(other.to_owned()));
        }
        push(Tampering::Null, &|node| *node = Node::Atom("null".to_owned()));
        push(Tampering::OtherType, &|node| *node = Node::Array(vec![node.clone()]));
        push(Tampering::OtherType, &|node| *node = Node::Object(vec![("a".to_owned(), node.clone())]));
        match good.clone().at(&path) {
            Node::Atom(text) => tamper_atom(text, &mut push),
            Node::Array(items) => {
                push(Tampering::ElementsUnsorted, &|node| on_array(node, |items| items.reverse()));
                for at in 0..items.len() {
                    push(Tampering::ElementRepeated, &|node| {
                        on_array(node, |items| items.insert(at, items[at].clone()));
                    });
                    push(Tampering::ElementRemoved, &|node| on_array(node, |items| drop(items.remove(at))));
                    push(Tampering::Null, &|node| {
                        on_array(node, |items| items.insert(at, Node::Atom("null".to_owned())));
                    });
                }
            }
            Node::Object(members) => {
                push(Tampering::Added, &|node| {
                    on_object(node, |members| members.push(("zz".to_owned(), Node::Atom("1".to_owned()))));
                });
                push(Tampering::MembersUnsorted, &|node| on_object(node, |members| members.reverse()));
                // An array of an object's values in order: how a careless reader of structs would take it.
                push(Tampering::OtherType, &|node| {
                    if let Node::Object(members) = node {
                        *node = Node::Array(members.iter().map(|(_, member)| member.clone()).collect());
                    }
                });
                for at in 0..members.len() {
                    push(Tampering::Removed, &|node| on_object(node, |members| drop(members.remove(at))));
                    push(Tampering::Repeated, &|node| {
                        on_object(node, |members| members.insert(at, members[at].clone()));
                    });
                    push(Tampering::Renamed, &|node| {
                        on_object(node, |members| {
                            members[at].0.push('x');
                            members.sort_by(|a, b| a.0.cmp(&b.0));
                        });
                    });
                }
            }
        }
        push(Tampering::Space, &|node| {
            let mut text = " ".to_owned();
            node.render(&mut text);
            *node = Node::Atom(text);
        });
    }
    twins
}

fn tamper_atom(text: &str, push: &mut impl FnMut(Tampering, &dyn Fn(&mut Node))) {
    let mut atom = |tampering, text: String| push(tampering, &move |node| *node = Node::Atom(text.clone()));
    if let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        atom(Tampering::Altered, format!("\"{inner}0\""));
        atom(Tampering::Altered, "\"\"".to_owned());
        let mut chars: Vec<char> = inner.chars().collect();
        let at = chars.len() / 2;
        chars[at] = if chars[at] == '0' { '1' } else { '0' };
        // The middle of an escape sequence stays one.
        if !inner.contains('\\') {
            atom(Tampering::Altered, format!("\"{}\"", chars.into_iter().collect::<String>()));
            atom(Tampering::Space, format!("\"\\u{:04x}{}\"", u32::from(inner.as_bytes()[0]), &inner[1..]));
        }
        atom(Tampering::OtherType, "1".to_owned());
    } else if let Ok(number) = text.parse::<i64>() {
        atom(Tampering::Altered, (number + 1).to_string());
        atom(Tampering::Altered, (number - 1).to_string());
        atom(Tampering::Altered, (-number - 2).to_string());
        atom(Tampering::OtherType, format!("\"{text}\""));
        atom(Tampering::Fraction, format!("{text}.0"));
        atom(Tampering::Fraction, format!("{text}.5"));
        atom(Tampering::Exponent, format!("{text}e0"));
        let zero = text.strip_prefix('-').map_or_else(|| format!("0{text}"), |digits| format!("-0{digits}"));
        atom(Tampering::LeadingZero, zero);
    } else {
        atom(Tampering::Altered, if text == "true" { "false" } else { "true" }.to_owned());
    }
}

fn on_array(node: &mut Node, change: impl Fn(&mut Vec<Node>)) {
    if let Node::Array(items) = node {
        change(items);
    }
}

fn on_object(node: &mut Node, change: impl Fn(&mut Vec<(String, Node)>)) {
    if let Node::Object(members) = node {
        change(members);
    }
}

#[test]
fn nothing_can_be_tampered_with() {
    let mut counts: BTreeMap<(Tampering, &str), usize> = BTreeMap::new();
    for kind in Kind::ALL {
        let envelope = example::envelope(*kind).unwrap();
        let good = payload(*kind);
        let statement = known(&good);
        let tree = Node::of(&json::parse_canonical(&good, good.len()).unwrap());
        let validator = validator(*kind);
        for (tampering, twin) in twins(&tree) {
            let mut text = String::new();
            twin.render(&mut text);
            assert_ne!(text.as_bytes(), good);
            let code = check_twin(tampering, &text, &envelope, &statement, &validator);
            *counts.entry((tampering, code)).or_default() += 1;
        }
    }
    // The families that must have been reached.
    let reached: BTreeSet<&str> = counts.keys().map(|(_, code)| *code).collect();
    assert_eq!(
        reached,
        BTreeSet::from([
            "CS-STM-005",
            "CS-STM-006",
            "CS-STM-008",
            "CS-STM-009",
            "CS-STM-010",
            "CS-STM-011",
            "CS-STM-014",
            "CS-STM-015",
            "CS-STM-017",
            "CS-STM-022",
            "CS-STM-024",
            "another statement",
        ]),
        "{counts:#?}"
    );
    let twins: usize = counts.values().sum();
    assert!(twins > 15_000, "{twins} twins");
    println!("{twins} twins: {counts:#?}");
}

fn check_twin(
    tampering: Tampering,
    text: &str,
    envelope: &Envelope,
    statement: &Statement,
    validator: &jsonschema::Validator,
) -> &'static str {
    let twin = Envelope::unsigned(text.as_bytes().to_vec());
    assert_ne!(twin.id(), envelope.id());
    let signed = example::public_key().verify(
        &pre_authentication_encoding(PAYLOAD_TYPE, text.as_bytes()),
        envelope.signatures[0].sig.as_slice(),
    );
    assert!(signed.is_err(), "{text}");
    let valid = || validator.is_valid(&serde_json::from_str(text).unwrap());
    match Content::parse(text.as_bytes()) {
        Ok(Content::Known(read)) => {
            assert!(tampering.may_parse(), "{tampering:?}: {text}");
            assert_ne!(*read, *statement, "{tampering:?}: {text}");
            assert!(valid(), "the parser takes what the schema refuses: {text}");
            "another statement"
        }
        Ok(Content::Opaque(opaque)) => panic!("{opaque:?}: {text}"),
        Err(error) => {
            let code = error.code();
            assert!(tampering.codes().contains(&code), "{tampering:?}: {error}: {text}");
            if matches!(
                code,
                "CS-STM-009" | "CS-STM-010" | "CS-STM-011" | "CS-STM-014" | "CS-STM-015" | "CS-STM-024"
            ) {
                assert!(!valid(), "the schema takes what the parser refuses: {error}: {text}");
            }
            code
        }
    }
}
