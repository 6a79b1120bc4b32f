//! What a worker that was taken over may say.

use super::super::said::{Progress, to_message};
use super::*;

/// The end of hearing these messages, and the bytes that were to be written.
fn heard(messages: &[&[u8]], ended_well: bool) -> (Done<Answer>, Vec<u8>) {
    let mut written = Vec::new();
    let mut write = |heard: Heard<'_>| {
        if let Heard::Data(bytes) = heard {
            written.extend_from_slice(bytes);
        }
        Ok(())
    };
    let mut hearing = Hearing::new(&mut write);
    for message in messages {
        let mut frame = b".".to_vec();
        frame.extend_from_slice(message);
        hearing.frame(&frame);
    }
    let end = hearing.end(ended_well);
    (end, written)
}

fn word(said: &Said) -> Vec<u8> {
    to_message(said).unwrap()
}

fn answer() -> Vec<u8> {
    word(&Said::Answer(Box::new(Answer::Whole)))
}

fn refusal(code: &str, message: &str) -> Vec<u8> {
    word(&Said::Refused(Failure::new(code, message, "look again")))
}

#[track_caller]
fn check_lie(messages: &[&[u8]]) {
    let (end, _) = heard(messages, true);
    assert_eq!(end.unwrap_err().code, "CS-BOX-009");
}

#[test]
fn bytes_then_an_answer() {
    let (end, written) = heard(&[b"dab", b"dc", &answer()], true);
    assert!(matches!(end.unwrap(), Answer::Whole));
    assert_eq!(written, b"abc");
}

#[test]
fn an_answer_counts_only_at_a_good_end() {
    assert_eq!(heard(&[&answer()], false).0.unwrap_err().code, UNHEARD);
    assert_eq!(heard(&[b"dab"], true).0.unwrap_err().code, UNHEARD);
    assert_eq!(heard(&[], true).0.unwrap_err().code, UNHEARD);
}

#[test]
fn what_is_no_message_is_a_lie() {
    check_lie(&[b""]);
    check_lie(&[b"x"]);
    check_lie(&[b"w"]);
    check_lie(&[b"w\xff\xff"]);
    // A map that says that it has 2^63 members, and one that nests without end.
    check_lie(&[b"w\xbb\x80\x00\x00\x00\x00\x00\x00\x00"]);
    check_lie(&[&[&b"w"[..], &vec![0x81; 100_000]].concat()]);
    let mut more = answer();
    more.push(0);
    check_lie(&[&more]);
}

#[test]
fn nothing_comes_after_the_answer() {
    check_lie(&[&answer(), b"dmore"]);
    check_lie(&[&answer(), &answer()]);
    check_lie(&[&refusal("CS-TSR-001", "no"), &answer()]);
}

#[test]
fn progress_ends_at_the_end() {
    for done in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        check_lie(&[&word(&Said::Progress(Progress { stage: None, done }))]);
    }
    let progress = word(&Said::Progress(Progress { stage: None, done: 1.0 }));
    assert!(heard(&[&progress, &answer()], true).0.is_ok());
}

#[test]
fn a_refusal_has_the_form_of_one_and_is_fit_to_be_shown() {
    let (end, _) = heard(&[&refusal("CS-TSR-001", "no \u{1b}[2Jscreen")], true);
    let failure = end.unwrap_err();
    assert_eq!(failure.code, "CS-TSR-001");
    assert_eq!(failure.message, "no \\u{1b}[2Jscreen");
    let (end, _) = heard(&[&refusal("CS-TSR-001", &"a".repeat(1 << 20))], true);
    assert_eq!(end.unwrap_err().message.len(), WORDS_MAX);
    for code in ["", "CS", "CS-tsr-001", "CS-TSR-1a", "XS-TSR-001", "CS-TSR-001-1", "CS-TOOLONG-001"] {
        check_lie(&[&refusal(code, "no")]);
    }
    let many = Failure::new("CS-TSR-001", "no", "").and(Failure::new("CS-TSR-002", "nor", ""));
    check_lie(&[&word(&Said::Refused(many))]);
}
