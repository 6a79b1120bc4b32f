//! The bounds within which a gateway works.

use serde::Deserialize;

/// What a gateway takes on at most. Times are milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default = "Limits::ordinary", deny_unknown_fields)]
pub struct Limits {
    /// Bytes of an answer that are passed on.
    pub answer_bytes: u64,
    /// How long an engine may say nothing in the middle of an answer.
    pub between_ms: u64,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// How long a body may take to come.
    pub body_ms: u64,
    /// How long connecting to an engine may take.
    pub connect_ms: u64,
    /// Connections at the same time; further ones wait to be accepted.
    pub connections: usize,
    /// How long answers that have begun may go on after the gateway is told to stop.
    pub drain_ms: u64,
    /// How long an engine may take until an answer begins.
    pub first_byte_ms: u64,
    /// How long a request's head may take to come, and a connection without a request may stay.
    pub head_ms: u64,
    /// How long at least between two made-up requests.
    pub probe_ms: u64,
    /// How often the log is looked at.
    pub poll_ms: u64,
    /// How long requests on connections that are there are still answered after the gateway is told to stop, each with the
    /// word that it was the connection's last: a client that keeps connections would lose what it sends on one in the
    /// moment in which it is closed.
    pub leave_ms: u64,
    /// How long a client may take nothing of its answer.
    pub reader_ms: u64,
    /// How long a request may take in all.
    pub request_ms: u64,
    /// How long a session lasts after its last request.
    pub session_idle_ms: u64,
    /// How long a session keeps its version at most, however busy it is.
    pub session_ms: u64,
    /// Sessions that are remembered; further ones are assigned by their hash alone.
    pub sessions: usize,
    /// Copies of requests under way at the same time; further requests are not copied.
    pub shadows: usize,
    /// Units that are counted in a stage; further ones are served and not compared.
    pub units: usize,
}

impl Limits {
    /// For one machine: bodies of 4 MiB, answers of ten minutes, a million sessions.
    pub const ORDINARY: Self = Self {
        answer_bytes: 256 << 20,
        between_ms: 60_000,
        body_bytes: 4 << 20,
        body_ms: 20_000,
        connect_ms: 2_000,
        connections: 4096,
        drain_ms: 30_000,
        first_byte_ms: 120_000,
        head_ms: 10_000,
        leave_ms: 1_000,
        poll_ms: 1_000,
        probe_ms: 100,
        reader_ms: 30_000,
        request_ms: 600_000,
        session_idle_ms: 1_800_000,
        session_ms: 14_400_000,
        sessions: 1_000_000,
        shadows: 64,
        units: 4_000_000,
    };

    const fn ordinary() -> Self {
        Self::ORDINARY
    }

    /// The member that leaves nothing to work with, if one does.
    pub(crate) fn wrong(&self) -> Option<&'static str> {
        let times = [
            ("between_ms", self.between_ms),
            ("body_ms", self.body_ms),
            ("connect_ms", self.connect_ms),
            ("first_byte_ms", self.first_byte_ms),
            ("head_ms", self.head_ms),
            ("poll_ms", self.poll_ms),
            ("probe_ms", self.probe_ms),
            ("reader_ms", self.reader_ms),
            ("request_ms", self.request_ms),
        ];
        let counts = [
            ("answer_bytes", self.answer_bytes),
            ("body_bytes", self.body_bytes as u64),
            ("connections", self.connections as u64),
            ("shadows", self.shadows as u64),
            ("units", self.units as u64),
        ];
        let day = 86_400_000;
        let time = times.into_iter().find(|(_, ms)| *ms == 0 || *ms > day);
        let time = time.or_else(|| (self.leave_ms > day).then_some(("leave_ms", self.leave_ms)));
        let count = counts.into_iter().find(|(_, count)| *count == 0 || *count > 1 << 32);
        time.or(count).map(|(name, _)| name)
    }
}
