//! The bounds within which an engine works.

use std::time::Duration;

/// What an engine takes on at most. [`Limits::ORDINARY`] suits one machine and a few users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most tokens of a prompt and its answer together; never more than the model's own context.
    pub context: usize,
    /// Threads that generate, each one answer at a time.
    pub generations: usize,
    /// Threads that compute for one generation.
    pub threads: usize,
    /// Requests that wait for a generating thread; further ones are refused with 429.
    pub queue: usize,
    /// How long a request waits for a generating thread.
    pub queue_wait: Duration,
    /// How long a request may take in all.
    pub request: Duration,
    /// How long a client may take to send a request's head.
    pub head: Duration,
    /// How long a client may take to send a request's body.
    pub body: Duration,
    /// Most bytes of a request's body.
    pub body_bytes: usize,
    /// How long a generation waits for a client that does not read what it asked for.
    pub reader: Duration,
    /// Connections at the same time; further ones wait to be accepted.
    pub connections: usize,
    /// How long a connection may live; the answer under way is finished within [`Limits::request`].
    pub connection: Duration,
    /// How long answers that have begun may go on after the engine is told to stop.
    pub drain: Duration,
}

impl Limits {
    /// For one machine and a few users: 64 requests wait, for a minute; a request has 1 MiB and five minutes.
    pub const ORDINARY: Self = Self {
        context: usize::MAX,
        generations: 1,
        threads: 1,
        queue: 64,
        queue_wait: Duration::from_mins(1),
        request: Duration::from_mins(5),
        head: Duration::from_secs(10),
        body: Duration::from_secs(20),
        body_bytes: 1 << 20,
        reader: Duration::from_secs(10),
        connections: 256,
        connection: Duration::from_hours(1),
        drain: Duration::from_secs(30),
    };
}
