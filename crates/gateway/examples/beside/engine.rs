//! An engine that costs little: the same kilobyte, or the same events, for everybody.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::time::{Interval, interval};

use super::Outcome;

/// Events of a stream, and how far they are apart.
const EVENTS: u32 = 16;
const APART: Duration = Duration::from_millis(5);

/// Serves until it is ended.
pub(crate) fn serve() -> Outcome<()> {
    let text = json!({ "id": "x", "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "a".repeat(900) } }] });
    let text = Bytes::from(text.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let text = text.clone();
            let service = service_fn(move |request| answer(request, text.clone()));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    })
}

async fn answer(
    request: Request<Incoming>,
    text: Bytes,
) -> Result<Response<Either<Full<Bytes>, Events>>, hyper::Error> {
    let asked = request.into_body().collect().await?.to_bytes();
    let streams = asked.windows(13).any(|window| window == b"\"stream\":true");
    let (kind, body) = if streams {
        ("text/event-stream", Either::Right(Events { left: EVENTS, every: interval(APART) }))
    } else {
        ("application/json", Either::Left(Full::new(text)))
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

/// Events, one after the other.
struct Events {
    left: u32,
    every: Interval,
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        ready!(self.every.poll_tick(cx));
        self.left -= 1;
        let event = if self.left == 0 {
            Bytes::from_static(
                b"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
            )
        } else {
            Bytes::from_static(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"attic\"},\"finish_reason\":null}]}\n\n")
        };
        Poll::Ready(Some(Ok(Frame::data(event))))
    }
}
