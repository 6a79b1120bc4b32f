//! The little HTTP that the log and witnesses need.

use std::net::SocketAddr;
use std::time::Duration;

use crate::failure::{Done, Failure};

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Posts bytes, and answers status and body, whatever the status.
pub(crate) fn post(url: &str, body: &[u8]) -> Done<(u16, Vec<u8>)> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(10)))
        .http_status_as_error(false)
        .max_redirects(0)
        .build()
        .into();
    let hint = "check that it is running and that the address is right";
    let failed = |error: ureq::Error| Failure::outside(format!("`{url}`: {error}"), hint);
    let mut response = agent.post(url).send(body).map_err(failed)?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(failed)?;
    Ok((status, body))
}

/// Serves until it is interrupted; requests that have begun are finished.
pub(crate) fn serve(listen: SocketAddr, router: axum::Router) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::outside(format!("no runtime: {error}"), "the system is out of threads"))?;
    runtime.block_on(async {
        let hint = "another program may use the port; give another with --listen";
        let failed = |error: std::io::Error| Failure::outside(format!("`{listen}`: {error}"), hint);
        let listener = tokio::net::TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        crate::text::print(&format!("listening on http://{address}\n"));
        axum::serve(listener, router).with_graceful_shutdown(interrupted()).await.map_err(failed)
    })
}

async fn interrupted() {
    // Without the handler the signal ends the process, which is as good.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
