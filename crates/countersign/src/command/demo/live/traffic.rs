//! Users of the demo: each begins a session, asks once or twice, and goes.
//!
//! A third of them ask out of nothing, the others go on with a long conversation. Which version answers is none of their business;
//! they look at the answer's head to count.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{GLANCE, MODEL, PATIENCE};
use crate::failure::{Done, Failure};

/// The key of the demo's users.
pub(super) const KEY: &str = "a-key-for-the-demo-s-users";
/// Users at the same time.
const TOGETHER: usize = 4;
/// How long a user waits for an answer.
const ANSWER: Duration = Duration::from_secs(30);

const VERBS: [&str; 4] = ["find", "describe", "count", "return"];
const OBJECTS: [&str; 8] = ["lamp", "apple", "bench", "book", "chair", "clock", "coat", "piano"];

/// What users saw.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) users: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
    /// Sessions whose second answer came from a newer version than the first: nobody may be moved forward.
    pub(super) moved: u64,
    /// The changes in the order in which they were first seen.
    order: Vec<String>,
    /// Answers by the change that made the version.
    pub(super) by_change: BTreeMap<String, u64>,
    /// What the last request that failed met.
    pub(super) trouble: String,
}

/// Users who come one after the other.
pub(super) struct Traffic {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Traffic {
    pub(super) fn begin(url: &str) -> Done<Self> {
        let (seen, stop) = (Arc::<Mutex<Seen>>::default(), Arc::new(AtomicBool::new(false)));
        let next = Arc::new(AtomicU64::new(0));
        let mut traffic = Self { seen: Arc::clone(&seen), stop: Arc::clone(&stop), threads: Vec::new() };
        for _ in 0..TOGETHER {
            let user = Users {
                url: format!("{url}/chat/completions"),
                agent: ureq::Agent::config_builder()
                    .timeout_global(Some(ANSWER))
                    .http_status_as_error(false)
                    .build()
                    .into(),
                seen: Arc::clone(&seen),
            };
            let (stop, next) = (Arc::clone(&stop), Arc::clone(&next));
            traffic.threads.push(super::thread("users", move || {
                while !stop.load(Ordering::Relaxed) {
                    user.session(next.fetch_add(1, Ordering::Relaxed));
                }
            })?);
        }
        Ok(traffic)
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for so many answers in all.
    pub(super) fn until_answered(&self, count: u64) -> Done {
        let began = Instant::now();
        while self.seen().answered < count {
            if began.elapsed() > PATIENCE {
                let message =
                    format!("no traffic: {} of {count} requests were answered", self.seen().answered);
                return Err(Failure::outside(message, "report a defect"));
            }
            std::thread::sleep(GLANCE);
        }
        Ok(())
    }

    /// Lets those who have begun finish.
    pub(super) fn end(mut self) -> Done<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| Failure::outside("a user ended unexpectedly", "report a defect"))?;
        }
        Ok(self.seen())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Users {
    url: String,
    agent: ureq::Agent,
    seen: Arc<Mutex<Seen>>,
}

impl Users {
    /// The requests of one user.
    fn session(&self, user: u64) {
        let mut messages = Vec::new();
        if !user.is_multiple_of(3) {
            for turn in 0..6 {
                messages.push(json!({ "role": "user", "content": question(user + turn) }));
                messages.push(json!({ "role": "assistant", "content": "attic" }));
            }
        }
        messages.push(json!({ "role": "user", "content": question(user) }));
        let body =
            json!({ "model": MODEL, "messages": messages, "max_tokens": 4, "temperature": 0 }).to_string();
        let first = self.ask(user, &body);
        let second = if user.is_multiple_of(4) { self.ask(user, &body) } else { first.clone() };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.users += 1;
        if let (Some(first), Some(second)) = (&first, &second) {
            let place = |change: &String| seen.order.iter().position(|known| known == change);
            // Going back to what everybody has is what a rollback does.
            seen.moved += u64::from(place(second) > place(first));
        }
    }

    /// The change that made the version which answered.
    fn ask(&self, user: u64, body: &str) -> Option<String> {
        let asked = self
            .agent
            .post(&self.url)
            .header("authorization", format!("Bearer {KEY}"))
            .header("content-type", "application/json")
            .header("x-session-id", format!("user-{user}"))
            .send(body);
        let answer = asked.map_err(|error| error.to_string()).and_then(|mut answer| {
            let change = answer.headers().get("x-countersign-change").and_then(|value| value.to_str().ok());
            let change = change.unwrap_or("nobody").to_owned();
            let status = answer.status();
            let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
            let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let is_good = status.is_success() && value.pointer("/choices/0/finish_reason").is_some();
            if is_good { Ok(change) } else { Err(format!("{status}: {text}")) }
        });
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(change) => {
                seen.answered += 1;
                *seen.by_change.entry(change.clone()).or_default() += 1;
                if !seen.order.contains(&change) {
                    seen.order.push(change.clone());
                }
                Some(change)
            }
            Err(trouble) => {
                seen.failed += 1;
                seen.trouble = trouble;
                None
            }
        }
    }
}

/// Something that the model knows an answer to.
fn question(number: u64) -> String {
    let of = |words: &[&'static str]| {
        let at = usize::try_from(number).unwrap_or(0) % words.len().max(1);
        words.get(at).copied().unwrap_or("lamp")
    };
    format!("please {} the {}", of(&VERBS), of(&OBJECTS))
}
