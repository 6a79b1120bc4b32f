//! Copies of requests for what is tried in a shadow stage: sent beside the request, compared with its answer, served to
//! nobody.
//!
//! There is room for so many at the same time; where it is full a request is not copied, and nothing waits. A copy has
//! the same bounds as a request, and an engine knows it by its header, so that nobody is billed for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::HeaderValue;
use hyper::{Request, Response};
use tokio::time::timeout;

use super::Plane;
use super::asking::Question;
use crate::engines::{Engine, Way};
use crate::members;
use crate::routes::Mirror;
use crate::tally::Sample;

/// What tells an engine that nobody waits for the answer.
pub(crate) const HEADER: &str = "x-countersign-shadow";

/// Sends a copy, and counts what becomes of it.
pub(super) fn send(
    plane: &Arc<Plane>,
    mirror: Mirror,
    &Question { path, bytes, asked, headers }: &Question<'_>,
) {
    let Mirror { target, mut sample, place } = mirror;
    let body = members::renamed(bytes, &asked.model, &target.engines.model);
    let tied = |engine| Some((engine, Engine::way(engine, &plane.client, target.needed)?.0));
    let found = target.engines.order().find_map(tied);
    let request =
        found.and_then(|(engine, way)| Some((target.engines.request(engine, path, body, headers)?, way)));
    let Some((mut request, way)) = request else {
        // That no engine of it may be asked is the version's failure, as where none answers.
        sample.fail();
        return;
    };
    request.headers_mut().insert(HEADER, HeaderValue::from_static("1"));
    plane.metrics.shadows.inc();
    let plane = Arc::clone(plane);
    tokio::spawn(async move {
        let patience = Duration::from_millis(plane.limits.request_ms);
        let heard = timeout(patience, hear(&plane, &way, request, &mut sample)).await;
        match heard {
            Ok(Some(())) => sample.complete(),
            Ok(None) | Err(_) => sample.fail(),
        }
        drop(sample);
        drop(place);
    });
}

/// Hears an answer to its end; nothing where it breaks off, is too long, or is none.
async fn hear(plane: &Plane, way: &Way, request: Request<Full<Bytes>>, sample: &mut Sample) -> Option<()> {
    let response: Response<_> = way.send(request).await.ok()?;
    let status = response.status();
    let mut left = plane.limits.answer_bytes;
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        left = left.checked_sub(data.len() as u64)?;
        sample.feed(&data);
    }
    if status.is_client_error() {
        sample.refuse();
    }
    (status.is_success() || status.is_client_error()).then_some(())
}
