//! Bodies of answers: whole ones of the gateway's own, and those that are passed on from an engine as they come.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use statement::{SlotId, StateId};
use tokio::time::{Instant, Sleep, sleep};

use crate::Refusal;
use crate::callers::Turn;
use crate::plane::Tracked;
use crate::tally::Sample;

/// A body.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The gateway's own.
    Whole(Option<Bytes>),
    /// An engine's.
    Passed(Box<Passed>),
}

/// An engine's answer on its way, and everything that has to be given back or counted when it ends.
#[derive(Debug)]
pub(crate) struct Passed {
    incoming: Incoming,
    form: Form,
    over: bool,
    left: u64,
    between: Duration,
    silence: Pin<Box<Sleep>>,
    deadline: Pin<Box<Sleep>>,
    sample: Option<Sample>,
    tracked: Tracked,
    cut: Cutter,
    /// Held for as long as the answer is under way.
    _turn: Turn,
}

/// Comes when a version is cut off: what is under way of it ends, too.
pub(crate) struct Cutter(Pin<Box<dyn Future<Output = ()> + Send + Sync>>);

impl std::fmt::Debug for Cutter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cutter")
    }
}

impl Cutter {
    /// For an answer of a slot's version.
    pub(crate) fn of(slot: SlotId, state: StateId, tracked: &Tracked) -> Self {
        let (mut cut, version) = (tracked.cut(), (slot, state));
        Self(Box::pin(async move {
            if cut.wait_for(|versions| versions.contains(&version)).await.is_err() {
                // Nobody decides any more.
                std::future::pending::<()>().await;
            }
        }))
    }
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON value.
    Json,
    /// Server-sent events.
    Events,
}

/// The bounds of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes: u64,
    pub(crate) between: Duration,
    pub(crate) until: Instant,
}

/// An error in the middle of an answer: what has been sent cannot be taken back, so the connection is cut.
#[derive(Debug, thiserror::Error)]
#[error("the engine's answer broke off: {0}")]
pub(crate) struct Cut(&'static str);

impl Answer {
    pub(crate) const fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }

    pub(crate) fn passed(
        incoming: Incoming,
        form: Form,
        bounds: Bounds,
        sample: Option<Sample>,
        (tracked, cut): (Tracked, Cutter),
        turn: Turn,
    ) -> Self {
        Self::Passed(Box::new(Passed {
            incoming,
            form,
            over: false,
            left: bounds.bytes,
            between: bounds.between,
            silence: Box::pin(sleep(bounds.between)),
            deadline: Box::pin(tokio::time::sleep_until(bounds.until)),
            sample,
            tracked,
            cut,
            _turn: turn,
        }))
    }
}

impl Passed {
    /// The end of an answer that breaks off: events end with an error that clients read, JSON with a cut connection.
    fn broken(&mut self, reason: &'static str) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.over = true;
        if let Some(sample) = &mut self.sample {
            sample.fail();
        }
        self.tracked.fail();
        let refusal = Refusal::BrokenOff { reason };
        self.tracked.outcome(refusal.code());
        match self.form {
            Form::Events => {
                // The engine may have stopped in the middle of an event; an empty line ends it.
                let event = format!("\n\ndata: {}\n\n", refusal.body());
                Poll::Ready(Some(Ok(Frame::data(Bytes::from(event)))))
            }
            Form::Json => Poll::Ready(Some(Err(Cut(reason)))),
        }
    }

    /// The engine has said everything.
    fn end(&mut self) {
        self.over = true;
        if let Some(sample) = &mut self.sample {
            sample.complete();
        }
        self.tracked.outcome("ok");
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        loop {
            if self.over {
                return Poll::Ready(None);
            }
            if self.deadline.as_mut().poll(cx).is_ready() {
                return self.broken("it took longer than a request may");
            }
            if self.cut.0.as_mut().poll(cx).is_ready() {
                return self.broken("what was answering is in quarantine");
            }
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Pending => {
                    ready!(self.silence.as_mut().poll(cx));
                    return self.broken("the engine fell silent");
                }
                Poll::Ready(None) => {
                    self.end();
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(_))) => return self.broken("the engine closed the connection"),
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are nothing that clients of this interface know.
                    let Ok(data) = frame.into_data() else { continue };
                    let Some(left) = self.left.checked_sub(data.len() as u64) else {
                        return self.broken("it is longer than an answer may be");
                    };
                    self.left = left;
                    let next = Instant::now() + self.between;
                    self.silence.as_mut().reset(next);
                    if let Some(sample) = &mut self.sample {
                        sample.feed(&data);
                    }
                    self.tracked.feed(&data);
                    // Of an answer whose length is known, nobody asks for more once all of it has come.
                    if self.incoming.is_end_stream() {
                        self.end();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            }
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(
                bytes.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))),
            ),
            Self::Passed(passed) => passed.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            // Asked again, so that the end is seen and counted.
            Self::Passed(passed) => passed.over,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Passed(passed) => match passed.form {
                Form::Json => passed.incoming.size_hint(),
                Form::Events => SizeHint::default(),
            },
        }
    }
}
