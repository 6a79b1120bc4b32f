use super::{Content, Opaque, STATEMENT_TYPE, Statement};
use crate::envelope::{ENVELOPE_BYTES_MAX, Envelope};
use crate::example;
use crate::header::Header;
use crate::id::Tracking;
use crate::json;
use crate::kind::{Attempt, Kind, Policy, Voice};

fn text(kind: Kind) -> String {
    String::from_utf8(example::statement(kind).to_payload().unwrap()).unwrap()
}

#[track_caller]
fn refuse(payload: &str, code: &str) {
    let error = Content::parse(payload.as_bytes()).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.hint().is_empty());
}

/// A payload of any kind and version with the body given.
fn payload(kind: &str, version: u32, critical: bool, body: &str) -> String {
    format!(
        "{{\"_type\":\"{STATEMENT_TYPE}\",\"predicate\":{{\"body\":{body},\"header\":{{\"change\":\"realm\",\
         \"critical\":{critical},\"kind\":\"{kind}\",\"realm\":\"example\",\"version\":{version}}},\"issued_ms\":5}},\
         \"predicateType\":\"urn:countersign:{kind}:v{version}\",\"subject\":[]}}"
    )
}

/// A key that signs no example.
fn other() -> crate::KeyId {
    crate::KeyId::from_digest(crate::Digest::of(b"another key"))
}

#[test]
fn a_statement_names_its_signer_where_its_kind_says_so() {
    let keys = [example::public_key().id(), other()];
    let (mut own, mut joint, mut either) = (0, 0, 0);
    for kind in Kind::ALL {
        let statement = example::statement(*kind);
        let named = |keys: &[crate::KeyId]| statement.clone().signed_by(keys).header.signer;
        let with =
            |signer| Statement { header: Header { signer, ..statement.header.clone() }, ..statement.clone() };
        let code = |signer| with(signer).to_payload().err().map(|error| error.code());
        let (alone, nobody) = match kind.voice() {
            Voice::Own => {
                own += 1;
                assert_eq!(
                    [named(&keys), named(&keys[..1]), named(&[])],
                    [Some(keys[0]), Some(keys[0]), None]
                );
                (None, Some("CS-STM-024"))
            }
            Voice::Joint => {
                joint += 1;
                assert_eq!([named(&keys), named(&keys[..1]), named(&[])], [None, None, None]);
                (Some("CS-STM-025"), None)
            }
            Voice::Either => {
                either += 1;
                assert_eq!([named(&keys), named(&keys[..1]), named(&[])], [None, Some(keys[0]), None]);
                (None, None)
            }
        };
        assert_eq!((code(Some(other())), code(None)), (alone, nobody), "{kind:?}");
        // The same from outside.
        let member = format!("\"signer\":\"{}\",", keys[0]);
        let text = text(*kind);
        if kind.voice() == Voice::Own {
            refuse(&text.replace(&member, ""), "CS-STM-024");
        }
        if kind.voice() == Voice::Joint {
            refuse(&text.replace("\"version\":1", &format!("{member}\"version\":1")), "CS-STM-025");
        } else {
            assert!(text.contains(&member));
            let twin = text.replace(&member, &format!("\"signer\":\"{}\",", other()));
            assert_eq!(Content::parse(twin.as_bytes()).unwrap().header().signer, Some(other()));
            let null = if kind.voice() == Voice::Own { "CS-STM-024" } else { "CS-STM-022" };
            refuse(&text.replace(&member, "\"signer\":null,"), null);
            refuse(&text.replace(&member, "\"signer\":\"ada\","), "CS-STM-011");
        }
    }
    assert_eq!((own, joint, either), (13, 5, 8));
}

#[test]
fn an_unknown_kind_is_opaque_or_stops() {
    let read = Content::parse(payload("weather", 1, false, "{\"any\":[null,-3]}").as_bytes()).unwrap();
    let header = Header {
        change: Tracking::Realm,
        critical: false,
        kind: "weather".parse().unwrap(),
        realm: "example".parse().unwrap(),
        signer: None,
        version: 1,
    };
    assert_eq!(read, Content::Opaque(Opaque { header: header.clone(), issued_ms: 5 }));
    assert_eq!(read.header(), &header);
    refuse(&payload("weather", 1, true, "{}"), "CS-STM-016");
}

#[test]
fn a_known_kind_in_another_version_is_opaque_or_stops() {
    for kind in Kind::ALL {
        for version in [0, 2, u32::MAX] {
            let opaque = Content::parse(payload(kind.name(), version, false, "{}").as_bytes()).unwrap();
            assert!(matches!(opaque, Content::Opaque(_)), "{kind:?}");
            refuse(&payload(kind.name(), version, true, "{}"), "CS-STM-016");
        }
        // In the version that is known it is read, and an empty body is none.
        assert!(Content::parse(payload(kind.name(), 1, kind.critical(), "{}").as_bytes()).is_err());
    }
}

/// An unknown body is carried, not trusted: its frame is still strict.
#[test]
fn an_opaque_frame_is_strict() {
    let good = payload("weather", 1, false, "{}");
    refuse(&good.replace("{}", "1.5"), "CS-STM-006");
    refuse(&good.replace("{}", "{\"b\":1,\"a\":1}"), "CS-STM-008");
    refuse(&good.replace("\"version\":1", "\"version\":1,\"w\":2"), "CS-STM-009");
    refuse(&good.replace(",\"version\":1", ""), "CS-STM-010");
    refuse(&good.replace("\"version\":1", "\"version\":-1"), "CS-STM-011");
    refuse(&good.replace("\"version\":1", "\"version\":4294967296"), "CS-STM-011");
    refuse(&good.replace("\"realm\":\"example\"", "\"realm\":\"Example\""), "CS-STM-011");
    refuse(&good.replace("\"issued_ms\":5", "\"issued_ms\":-5"), "CS-STM-011");
    refuse(&good.replace("\"issued_ms\":5", "\"issued_ms\":5,\"j\":1"), "CS-STM-009");
    refuse(&good.replace("[]", "[],\"t\":1"), "CS-STM-009");
    refuse(&good.replace("[]", "[[{\"sha256\":\"\"},\"a\"]]"), "CS-STM-011");
    let header =
        "{\"change\":\"realm\",\"critical\":false,\"kind\":\"weather\",\"realm\":\"example\",\"version\":1}";
    assert!(good.contains(header));
    refuse(&good.replace(header, "[\"realm\",false,\"weather\",\"example\",1]"), "CS-STM-011");
    refuse("[]", "CS-STM-011");
    refuse("7", "CS-STM-011");
}

#[test]
fn header_and_predicate_type_name_the_same_kind_and_version() {
    let good = text(Kind::Retirement);
    refuse(&good.replace("\"kind\":\"retirement\"", "\"kind\":\"purge\""), "CS-STM-015");
    refuse(&good.replace("sign:retirement:v1", "sign:purge:v1"), "CS-STM-015");
    refuse(&good.replace("sign:retirement:v1", "sign:retirement:v01"), "CS-STM-015");
    refuse(&good.replace("sign:retirement:v1", "sign:retirement"), "CS-STM-015");
    refuse(&good.replace("\"version\":1", "\"version\":2"), "CS-STM-015");
    refuse(&good.replace("\"critical\":true", "\"critical\":false"), "CS-STM-022");
    refuse(&text(Kind::Approval).replace("\"critical\":false", "\"critical\":true"), "CS-STM-022");
    refuse(&good.replace(STATEMENT_TYPE, "https://in-toto.io/Statement/v0.1"), "CS-STM-014");
}

#[test]
fn subjects_are_those_of_the_body() {
    let good = text(Kind::Proposal);
    let value: serde_json::Value = serde_json::from_str(&good).unwrap();
    let subjects = value["subject"].as_array().unwrap();
    assert_eq!(subjects.len(), 2);
    refuse(&good.replace(&format!("{},", subjects[0]), ""), "CS-STM-017");
    refuse(
        &good.replace(
            &format!("{},{}", subjects[0], subjects[1]),
            &format!("{},{}", subjects[1], subjects[0]),
        ),
        "CS-STM-017",
    );
    // An empty set of artefacts is about its change.
    let mut statement = example::statement(Kind::Approval);
    let crate::Body::Approval(approval) = &mut statement.body else { panic!("an approval") };
    approval.artefacts.clear();
    let bytes = statement.to_payload().unwrap();
    assert!(
        String::from_utf8(bytes.clone())
            .unwrap()
            .contains("\"name\":\"chg-00112233445566778899aabbccddeeff\"")
    );
    assert_eq!(Content::parse(&bytes).unwrap(), Content::Known(Box::new(statement)));
}

/// A statement about a change and the same about the realm are two statements.
#[test]
fn the_header_is_signed() {
    let statement = example::statement(Kind::Freeze);
    let mut ids = vec![statement.to_envelope().unwrap().id()];
    let change: Tracking = Tracking::Change(crate::ChangeId::from_random([7; 16]));
    ids.push(
        Statement { header: Header { change, ..statement.header.clone() }, ..statement.clone() }
            .to_envelope()
            .unwrap()
            .id(),
    );
    let realm = "other".parse().unwrap();
    ids.push(
        Statement { header: Header { realm, ..statement.header.clone() }, ..statement.clone() }
            .to_envelope()
            .unwrap()
            .id(),
    );
    ids.push(Statement { issued_ms: 1, ..statement.clone() }.to_envelope().unwrap().id());
    // The same words by another key, and by several together.
    ids.push(statement.clone().signed_by(&[other()]).to_envelope().unwrap().id());
    ids.push(statement.signed_by(&[]).to_envelope().unwrap().id());
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6);
}

#[test]
fn what_signed_bytes_cannot_hold_is_not_made() {
    let mut statement = example::statement(Kind::Attempt);
    statement.issued_ms = 9_007_199_254_740_992;
    assert_eq!(statement.to_payload().unwrap_err().code(), "CS-STM-012");
    statement.issued_ms -= 1;
    assert!(statement.to_payload().is_ok());
}

#[test]
fn oversize_statements_are_refused() {
    let crate::Body::Policy(policy) = example::body(Kind::Policy) else { panic!("a policy") };
    let large = Policy { cedar: "x".repeat(ENVELOPE_BYTES_MAX), ..*policy };
    let statement = Statement::new("example".parse().unwrap(), Tracking::Realm, 1, large);
    assert_eq!(statement.to_envelope().unwrap_err().code(), "CS-STM-021");
    assert_eq!(Content::parse(&statement.to_payload().unwrap()).unwrap_err().code(), "CS-STM-001");
}

#[test]
fn an_absent_member_is_left_out() {
    let attempt = Attempt {
        action: "propose".parse().unwrap(),
        reasons: std::collections::BTreeSet::new(),
        request: None,
        requester: None,
        subject: None,
    };
    let statement =
        Statement::new("example".parse().unwrap(), Tracking::Realm, 1, attempt).signed_by(&[other()]);
    let text = String::from_utf8(statement.to_payload().unwrap()).unwrap();
    assert!(text.contains("\"body\":{\"action\":\"propose\",\"reasons\":[]}"));
    refuse(&text.replace("\"reasons\":[]", "\"reasons\":[],\"request\":null"), "CS-STM-022");
    assert_eq!(Content::parse(text.as_bytes()).unwrap(), Content::Known(Box::new(statement)));
}

#[test]
fn the_id_is_of_the_pre_authentication_encoding() {
    let statement = example::statement(Kind::Hold);
    let payload = statement.to_payload().unwrap();
    let message = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len());
    let expected = crate::Digest::of_parts(&[message.as_bytes(), &payload]);
    assert_eq!(statement.to_envelope().unwrap().id().digest(), &expected);
    assert_eq!(Envelope::unsigned(payload.clone()).id().digest(), &expected);
    assert!(json::parse_canonical(&payload, payload.len()).is_ok());
}
