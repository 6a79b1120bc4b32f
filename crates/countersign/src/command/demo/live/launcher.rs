//! A launched engine of the scene: started on files from the vault, bound by a statement, ended with the scene.

use std::net::TcpListener;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use ::launch::Callers;
use statement::{ChangeId, StateId, StatementId};
use tokio::sync::oneshot;

use super::{MODEL, PATIENCE, Props, thread};
use crate::act;
use crate::command::demo::cast::PERSON_ENGINES;
use crate::command::launch::{Own, Request, start};
use crate::failure::{Done, Failure};
use crate::realm::Realm;

/// How often blocks of the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Where a launcher will stand: known before its engine is.
pub(super) struct Place {
    listener: TcpListener,
    pub(super) url: String,
}

/// A launcher that stands before its engine.
pub(super) struct Launcher {
    leave: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ::launch::Error>>>,
}

impl Launcher {
    /// A place on this machine.
    pub(super) fn place() -> Done<Place> {
        let failed = |error: std::io::Error| Failure::file(Path::new("127.0.0.1:0"), &error);
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let url = format!("channel://{}", listener.local_addr().map_err(failed)?);
        Ok(Place { listener, url })
    }

    /// Launches a change's engine, and says so in the log.
    pub(super) fn begin(
        realm: &mut Realm,
        props: &Props<'_>,
        place: Place,
        change: &ChangeId,
    ) -> Done<(Self, StatementId, StateId)> {
        let request = Request {
            change: change.as_str(),
            listener: place.listener,
            callers: Callers::default(),
            command: &[],
            own: Own { name: MODEL, threads: Some(1), worker: props.setting.worker.as_deref() },
            within: None,
            environment: Vec::new(),
            health: "/health".to_owned(),
            ready: PATIENCE,
            look_every: LOOK,
            drain: Duration::from_secs(5),
        };
        let healthy = start(realm, request)?;
        let state = healthy.binding.state;
        let id = act::bind(realm, &healthy.change, PERSON_ENGINES, healthy.binding)?;
        let (leave, left) = oneshot::channel();
        let launched = healthy.launched;
        // Whoever has gone wants it to end as well.
        let thread = thread("launcher", move || launched.run(async { drop(left.await) }))?;
        Ok((Self { leave: Some(leave), thread: Some(thread) }, id, state))
    }

    /// Ends it, and waits until its engine has ended.
    pub(super) fn end(mut self) -> Done {
        drop(self.leave.take());
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let unexpectedly = |_| Failure::outside("a launcher ended unexpectedly", "report a defect");
        Ok(thread.join().map_err(unexpectedly)??)
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        drop(self.leave.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::debug!("a launcher ended unexpectedly");
        }
    }
}
