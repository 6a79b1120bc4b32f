//! Traces, as a collector gets them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use serde_json::json;

use crate::engine::{Act, EVENTS, Played, chunk, json as says};
use crate::house::{House, chat};

const STOPS: &str = r#"{"choices":[{"finish_reason":"stop","message":{"content":"attic"}}],"usage":{"prompt_tokens":7,"completion_tokens":41}}"#;
const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const CALLERS_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn collector() -> Played {
    Played::new(|_| says("200 OK", ""))
}

fn house(engines: &[String], collector: &str, share: u32) -> House {
    let mut house = House::new();
    let traces = json!({ "traces": { "url": collector, "share_ppm": share } });
    let config = house.config(&[(house.first_state(), engines)], &traces, &json!({}));
    house.open(config);
    house
}

/// The spans that a collector was sent, once the gateway has ended.
fn spans(mut house: House, collector: &Played) -> Vec<Span> {
    house.close();
    let asked = collector.asked.lock().unwrap();
    let mut spans = Vec::new();
    for request in asked.iter() {
        assert!(request.head.starts_with("post /v1/traces http/1.1"), "{}", request.head);
        assert!(request.head.contains("content-type: application/x-protobuf"), "{}", request.head);
        for resource in ExportTraceServiceRequest::decode(&*request.bytes).unwrap().resource_spans {
            let of = resource.resource.unwrap().attributes;
            assert!(of.iter().any(|attribute| attribute.key == "service.name"));
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    spans
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// An attribute, as text.
fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text.clone()),
        Any::IntValue(number) => Some(number.to_string()),
        Any::BoolValue(is) => Some(is.to_string()),
        Any::ArrayValue(list) => match list.values.first()?.value.as_ref()? {
            Any::StringValue(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

#[track_caller]
fn of_kind(spans: &[Span], kind: SpanKind) -> Vec<&Span> {
    spans.iter().filter(|span| span.kind == kind as i32).collect()
}

#[test]
fn a_request_and_the_engine_that_answers_it_are_spans_of_the_callers_trace() {
    let (engine, collector) = (Played::saying(STOPS), collector());
    let house = house(&[engine.url()], &collector.url(), 0);
    assert_eq!(house.chat(&format!("traceparent: {CALLER}\r\n"), &json!({})).status, 200);
    // Of those that no caller traces, none: that is the share.
    assert_eq!(house.chat("", &json!({})).status, 200);
    let told = engine.asked.lock().unwrap()[0].head.clone();
    let first = house.first_state().to_string();
    let spans = spans(house, &collector);
    assert_eq!(spans.len(), 2, "{spans:?}");
    let [server] = of_kind(&spans, SpanKind::Server)[..] else { panic!("{spans:?}") };
    let [client] = of_kind(&spans, SpanKind::Client)[..] else { panic!("{spans:?}") };
    assert_eq!(hex(&server.trace_id), CALLERS_TRACE);
    assert_eq!(hex(&server.parent_span_id), "00f067aa0ba902b7");
    assert_eq!((&client.trace_id, &client.parent_span_id), (&server.trace_id, &server.span_id));
    assert_eq!((server.name.as_str(), client.name.as_str()), ("POST /v1/chat/completions", "chat made"));
    // The engine is told of the span that asks it.
    let parent = format!("traceparent: 00-{CALLERS_TRACE}-{}-01", hex(&client.span_id));
    assert!(told.contains(&parent), "{told}");
    for (name, value) in [
        ("http.response.status_code", "200"),
        ("gen_ai.request.model", "support"),
        ("countersign.slot", audit::fixture::SLOT),
        ("countersign.change", "baseline"),
        ("countersign.state", &first),
        ("countersign.arm", "all"),
        ("countersign.outcome", "ok"),
    ] {
        assert_eq!(attribute(server, name).as_deref(), Some(value), "{name}");
    }
    for (name, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.request.model", "made"),
        ("gen_ai.response.finish_reasons", "stop"),
        ("gen_ai.usage.input_tokens", "7"),
        ("gen_ai.usage.output_tokens", "41"),
        ("countersign.binding", "declared"),
        ("countersign.refused", "false"),
        ("server.port", &engine.address.port().to_string()),
    ] {
        assert_eq!(attribute(client, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(client.events[0].name, "countersign.first_piece");
    // Neither what was asked nor what was answered is in them.
    for request in collector.asked.lock().unwrap().iter() {
        assert!(!request.body.contains("attic") && !request.body.contains("lamp"));
    }
}

#[test]
fn every_engine_that_is_asked_has_a_span_and_what_failed_says_why() {
    let broken = Played::new(|_| says("500 Internal Server Error", "{}"));
    let (engine, collector) = (Played::saying(STOPS), collector());
    let house = house(&[broken.url(), engine.url()], &collector.url(), 1_000_000);
    while broken.count() == 0 {
        assert_eq!(house.chat("", &json!({})).status, 200);
    }
    // Not a request that anybody is asked for.
    let refused = house.chat("", &json!({ "model": "another" }));
    assert_eq!(refused.status, 404);
    let code = refused.code();
    let spans = spans(house, &collector);
    let failed =
        spans.iter().find(|span| attribute(span, "server.port") == Some(broken.address.port().to_string()));
    let failed = failed.unwrap();
    assert_eq!(attribute(failed, "error.type").as_deref(), Some("CS-GWY-057"));
    assert_eq!(failed.status.as_ref().unwrap().code, 2);
    let of_trace = |span: &&Span| span.trace_id == failed.trace_id;
    assert_eq!(spans.iter().filter(of_trace).count(), 3);
    let servers = of_kind(&spans, SpanKind::Server);
    let refused = servers.iter().filter(|span| attribute(span, "error.type").as_ref() == Some(&code));
    assert_eq!(refused.count(), 1);
}

#[test]
fn a_stream_has_one_span_to_its_end() {
    let piece = |text: &str, finish: &str| {
        chunk(&format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{finish}}}]}}\n\n"
        ))
    };
    let stream = [
        EVENTS,
        &piece("in the ", "null"),
        &piece("attic", "\"length\""),
        &chunk("data: [DONE]\n\n"),
        "0\r\n\r\n",
    ]
    .concat();
    let (engine, collector) =
        (Played::new(move |_| vec![Act::Say(stream.clone().into_bytes())]), collector());
    let house = house(&[engine.url()], &collector.url(), 1_000_000);
    let mut connection = house.connect();
    connection.send(&House::request("", &chat(&json!({ "stream": true }))));
    assert_eq!(connection.answer().status, 200);
    let spans = spans(house, &collector);
    let [client] = of_kind(&spans, SpanKind::Client)[..] else { panic!("{spans:?}") };
    assert_eq!(attribute(client, "gen_ai.response.finish_reasons").as_deref(), Some("length"));
    assert_eq!(client.events.len(), 1);
}

#[test]
fn a_collector_that_takes_nothing_holds_nobody_up() {
    let (engine, collector) = (Played::saying(STOPS), Played::new(|_| says("400 Bad Request", "{}")));
    for url in ["http://127.0.0.1:9".to_owned(), collector.url()] {
        let mut house = house(&[engine.url()], &url, 1_000_000);
        for _ in 0..20 {
            assert_eq!(house.chat("", &json!({})).status, 200);
        }
        house.close();
    }
    assert!(collector.count() > 0);
}

#[test]
fn an_address_that_is_none_is_refused_at_the_start() {
    let house = House::new();
    for wrong in [
        json!({ "url": "https://127.0.0.1:4318" }),
        json!({ "url": "127.0.0.1:4318" }),
        json!({ "url": "http://127.0.0.1" }),
        json!({ "url": "http://a@127.0.0.1:4318" }),
        json!({ "url": "http://127.0.0.1:4318", "share_ppm": 1_000_001 }),
        json!({ "url": "http://127.0.0.1:4318", "share": 1 }),
        json!({}),
    ] {
        let config = house.text(
            &[(house.first_state(), &["http://127.0.0.1:1".to_owned()])],
            &json!({ "traces": wrong }),
            &json!({}),
        );
        let error = gateway::Config::parse(config.as_bytes()).unwrap_err();
        assert_eq!(error.code(), "CS-GWY-001", "{wrong}");
    }
}
