//! What a worker may use: memory, time, threads, answers; and what becomes of it when its supervisor dies.

use std::time::Duration;

use sandbox::{Level, Limits, Profile, Run};

use crate::{attempt, limits, run};

#[test]
fn memory_beyond_the_limit_is_refused() {
    let (answers, _) = attempt(run(Level::Standard, Profile::Parse), &["memory"]).unwrap();
    assert!(answers[0].starts_with("memory refused after"), "{answers:?}");
}

#[test]
fn a_worker_that_burns_is_ended() {
    let run = Run { limits: Limits { processor_s: 1, ..limits() }, ..run(Level::Standard, Profile::Parse) };
    let error = attempt(run, &["processor"]).unwrap_err();
    assert_eq!(error.code(), "CS-BOX-008", "{error}");
}

#[test]
fn a_worker_that_waits_is_ended() {
    let limits = Limits { wall: Duration::from_millis(500), ..limits() };
    let run = Run { limits, ..run(Level::Standard, Profile::Parse) };
    let error = attempt(run, &["sleep"]).unwrap_err();
    assert_eq!(error.code(), "CS-BOX-006", "{error}");
}

#[test]
fn a_worker_that_answers_without_end_is_ended() {
    let error = attempt(run(Level::Standard, Profile::Parse), &["answers"]).unwrap_err();
    assert_eq!(error.code(), "CS-BOX-007", "{error}");
}

#[test]
fn complaints_are_kept_short_and_plain() {
    let error = attempt(run(Level::Standard, Profile::Parse), &["complaints"]).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.code(), "CS-BOX-008", "{text}");
    assert!(text.contains("complaint") && text.len() < 600 && !text.contains('\x1b'), "{text}");
}

#[test]
fn a_reader_has_one_thread_and_a_model_as_many_as_allowed() {
    let (answers, _) = attempt(run(Level::Standard, Profile::Parse), &["threads"]).unwrap();
    assert_eq!(answers, ["threads 0 started"]);
    let (answers, _) = attempt(run(Level::Standard, Profile::Execute), &["threads"]).unwrap();
    let started: u32 = answers[0].split(' ').nth(1).unwrap().parse().unwrap();
    assert!((1..64).contains(&started), "{answers:?}");
}

#[test]
fn too_large_a_job_is_refused_before_anything_starts() {
    let job = vec![b' '; sandbox::launch::JOB_BYTES_MAX + 1];
    let error = run(Level::Standard, Profile::Parse).run(&crate::probe(), &[], &job, |_| {}).unwrap_err();
    assert_eq!(error.code(), "CS-BOX-005");
}
