//! Traces: a span of each request and of each engine that is asked for it, sent to an OpenTelemetry collector.
//!
//! The names are those of OpenTelemetry's conventions for HTTP and for generative models (`gen_ai.`, in development there,
//! as of version 1.38), and `countersign.` for what only this gateway knows: the change by its tracking id, the state, the
//! arm, the tie of the engine. What is asked and answered is in no span.
//!
//! A caller's `traceparent` is the parent, and engines get the span that asks them as theirs (W3C Trace Context). Spans
//! wait for the collector in a queue that drops what does not fit: no request waits for it.

mod sender;

use hyper::header::{HeaderMap, HeaderValue};
use hyper::http::uri::Authority;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{
    Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span};

use statement::SlotId;

use self::sender::Sender;
use crate::Error;
use crate::answers::{Finish, Reading};
use crate::config::Traces;
use crate::metrics::Metrics;
use crate::routes::Choice;

/// What is appended to the collector's address, by OTLP over HTTP.
const PATH: &str = "/v1/traces";
/// Who makes the spans.
const SCOPE: &str = "countersign-gateway";

/// The spans of a gateway; none where no collector is named.
#[derive(Debug, Default)]
pub(crate) struct Tracing(Option<Collected>);

#[derive(Debug)]
struct Collected {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// The span of a request, and that of the engine whose answer is under way.
#[derive(Debug)]
pub(crate) struct RequestSpan {
    tracer: SdkTracer,
    span: Span,
    operation: &'static str,
    engine: Option<Span>,
    begun: bool,
    reading: Reading,
}

/// The span of an engine that is asked; it ends where it is dropped.
#[derive(Debug)]
pub(crate) struct EngineSpan(Span);

impl Tracing {
    pub(crate) fn new(traces: Option<&Traces>, metrics: &Metrics) -> Result<Self, Error> {
        let Some(traces) = traces else { return Ok(Self(None)) };
        let wrong = |reason: String| Error::Config { what: "traces".to_owned(), reason };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender::new(metrics))
            .with_endpoint(format!("{}{PATH}", traces.url.trim_end_matches('/')))
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        let share = f64::from(traces.share_ppm) / 1e6;
        let resource = Resource::builder()
            .with_service_name(SCOPE)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::parent_based(Sampler::TraceIdRatioBased(share)))
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer(SCOPE);
        Ok(Self(Some(Collected { provider, tracer })))
    }

    /// Begins the span of a request.
    pub(crate) fn begin(&self, path: &'static str, headers: &HeaderMap) -> Option<Box<RequestSpan>> {
        let Collected { tracer, .. } = self.0.as_ref()?;
        let parent =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
        let operation = match path {
            "/v1/chat/completions" => "chat",
            "/v1/embeddings" => "embeddings",
            _ => "text_completion",
        };
        let builder =
            tracer.span_builder(format!("POST {path}")).with_kind(SpanKind::Server).with_attributes([
                KeyValue::new("http.request.method", "POST"),
                KeyValue::new("http.route", path),
                KeyValue::new("url.path", path),
            ]);
        let span = tracer.build_with_context(builder, &parent);
        Some(Box::new(RequestSpan {
            tracer: tracer.clone(),
            span,
            operation,
            engine: None,
            begun: false,
            reading: Reading::new(),
        }))
    }

    /// Sends what waits, as far as the collector takes it soon.
    pub(crate) fn end(&self) {
        if let Some(collected) = &self.0
            && let Err(error) = collected.provider.shutdown()
        {
            tracing::warn!(%error, "the last traces were not taken");
        }
    }
}

impl RequestSpan {
    /// What is known once the way is chosen.
    pub(crate) fn chosen(&mut self, model: &str, slot: &SlotId, choice: &Choice) {
        if self.span.is_recording() {
            let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
            self.span.set_attributes([
                KeyValue::new("gen_ai.operation.name", self.operation),
                KeyValue::new("gen_ai.request.model", model.to_owned()),
                KeyValue::new("countersign.slot", slot.to_string()),
                KeyValue::new("countersign.change", text(&choice.target.change_header)),
                KeyValue::new("countersign.state", text(&choice.target.state_header)),
                KeyValue::new("countersign.arm", choice.arm),
            ]);
        }
    }

    /// Begins the span of an engine that is asked, and tells the engine of it.
    pub(crate) fn ask(
        &self,
        at: &Authority,
        model: &str,
        binding: &'static str,
        headers: &mut HeaderMap,
    ) -> EngineSpan {
        let parent = Context::new().with_remote_span_context(self.span.span_context().clone());
        let mut attributes = Vec::new();
        if self.span.is_recording() {
            attributes.extend([
                KeyValue::new("gen_ai.operation.name", self.operation),
                KeyValue::new("gen_ai.provider.name", "countersign"),
                KeyValue::new("gen_ai.request.model", model.to_owned()),
                KeyValue::new("server.address", at.host().to_owned()),
                KeyValue::new("server.port", i64::from(at.port_u16().unwrap_or(0))),
                KeyValue::new("countersign.binding", binding),
            ]);
        }
        let builder = self.tracer.span_builder(format!("{} {model}", self.operation));
        let builder = builder.with_kind(SpanKind::Client).with_attributes(attributes);
        let span = self.tracer.build_with_context(builder, &parent);
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        TraceContextPropagator::new().inject_context(&context, &mut HeaderInjector(headers));
        EngineSpan(span)
    }

    /// The engine whose answer is passed on: its span lasts as long as that.
    pub(crate) fn answered(&mut self, EngineSpan(mut span): EngineSpan, status: u16) {
        if span.is_recording() {
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        }
        self.span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        self.engine = Some(span);
    }

    /// A piece of the answer.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        if let Some(engine) = self.engine.as_mut().filter(|engine| engine.is_recording()) {
            if !std::mem::replace(&mut self.begun, true) {
                engine.add_event("countersign.first_piece", Vec::new());
            }
            self.reading.feed(piece);
        }
    }

    /// The request is over: `ok`, `cancelled`, or the code of what was wrong.
    pub(crate) fn end(mut self, outcome: &'static str) {
        let wrong = (outcome != "ok").then_some(outcome);
        if let Some(engine) = self.engine.as_mut().filter(|engine| engine.is_recording()) {
            let finish = match self.reading.end() {
                Finish::Stop => "stop",
                Finish::Length => "length",
                Finish::Other => "other",
            };
            let reasons = Value::Array(Array::String(vec![StringValue::from(finish)]));
            engine.set_attribute(KeyValue::new("gen_ai.response.finish_reasons", reasons));
            engine.set_attribute(KeyValue::new("countersign.refused", self.reading.refused));
            let names = ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"];
            for (name, tokens) in names.into_iter().zip(self.reading.tokens) {
                engine.set_attributes(tokens.map(|tokens| KeyValue::new(name, i64::from(tokens))));
            }
            mark(engine, wrong);
        }
        self.span.set_attribute(KeyValue::new("countersign.outcome", outcome));
        mark(&mut self.span, wrong);
    }
}

impl EngineSpan {
    /// The engine was asked in vain.
    pub(crate) fn fail(mut self, code: &'static str) {
        mark(&mut self.0, Some(code));
    }
}

fn mark(span: &mut Span, wrong: Option<&'static str>) {
    if let Some(code) = wrong {
        span.set_attribute(KeyValue::new("error.type", code));
        span.set_status(Status::error(code));
    }
}
