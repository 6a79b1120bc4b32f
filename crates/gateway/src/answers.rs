//! What an answer says about itself: why it ended, whether it is a refusal, whether it is an error; found in the bytes as
//! they pass, in pieces of any size.
//!
//! Names are looked for with their quotes. Inside a JSON string every quote has a backslash before it, so what a model
//! writes is never taken for a member.

use memchr::memchr;
use serde_json::Value;

/// Bytes that are kept until what follows them has come: more than the longest name and value that are looked for.
const AHEAD: usize = 64;
/// Bytes before a name that say whether it stands at the top of an event.
const BEHIND: usize = 8;

/// Why an answer ended, as the plan's categories count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// By itself, with or without a call of a tool.
    Stop = 0,
    /// At its length.
    Length = 1,
    /// In any other way, or nobody knows.
    Other = 2,
}

/// What was found in an answer so far.
#[derive(Debug)]
pub(crate) struct Reading {
    kept: Vec<u8>,
    /// How many bytes came before those that are kept.
    before: u64,
    finish: Option<Finish>,
    pub(crate) refused: bool,
    pub(crate) failed: bool,
    /// Tokens of what was asked, and of the answer, where the engine says them.
    pub(crate) tokens: [Option<u32>; 2],
}

impl Reading {
    pub(crate) const fn new() -> Self {
        Self { kept: Vec::new(), before: 0, finish: None, refused: false, failed: false, tokens: [None; 2] }
    }

    /// Looks at the next piece.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        self.kept.extend_from_slice(piece);
        self.look(AHEAD);
    }

    /// Looks at what is left, at the end. Why the answer ended.
    pub(crate) fn end(&mut self) -> Finish {
        self.look(0);
        self.finish.unwrap_or(Finish::Other)
    }

    fn look(&mut self, ahead: usize) {
        let mut at = 0;
        loop {
            let rest = self.kept.get(at..).unwrap_or_default();
            let Some(quote) = memchr(b'"', rest) else {
                at = self.kept.len();
                break;
            };
            at += quote;
            if self.kept.len() - at < ahead {
                break;
            }
            self.name(at);
            at += 1;
        }
        let done = at.saturating_sub(BEHIND);
        self.kept.drain(..done);
        self.before += done as u64;
    }

    /// Whether a member that is looked for begins with the quote at `at`.
    fn name(&mut self, at: usize) {
        // No further than is kept ahead, so that what is found does not depend on the pieces.
        let rest = self.kept.get(at..).unwrap_or_default();
        let rest = rest.get(..AHEAD).unwrap_or(rest);
        if let Some(value) = after(rest, b"\"finish_reason\"") {
            // `null`: not yet.
            if let [b'"', reason @ ..] = value {
                let is = |name: &[u8]| reason.starts_with(name);
                let by_itself = is(b"stop\"") || is(b"tool_calls\"") || is(b"function_call\"");
                let at_length = if is(b"length\"") { Finish::Length } else { Finish::Other };
                self.finish = Some(if by_itself { Finish::Stop } else { at_length });
                self.refused |= is(b"content_filter\"");
            }
        } else if let Some(value) = after(rest, b"\"refusal\"") {
            self.refused |= value.first() == Some(&b'"') && value.get(1) != Some(&b'"');
        } else if after(rest, b"\"error\"").is_some_and(|value| value.first() == Some(&b'{')) {
            let head = self.kept.get(..at).unwrap_or_default();
            self.failed |=
                head.ends_with(b"data: {") || head.ends_with(b"data:{") || (self.before == 0 && head == b"{");
        } else if let Some(value) = after(rest, b"\"prompt_tokens\"") {
            self.tokens[0] = number(value).or(self.tokens[0]);
        } else if let Some(value) = after(rest, b"\"completion_tokens\"") {
            self.tokens[1] = number(value).or(self.tokens[1]);
        }
    }
}

/// The text of an answer, whole or in events: what the model says to whoever reads it.
pub(crate) fn said(bytes: &[u8]) -> String {
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        return texts(&value);
    }
    let events = bytes.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data:"));
    events
        .filter_map(|event| serde_json::from_slice::<Value>(event).ok())
        .map(|event| texts(&event))
        .collect()
}

fn texts(value: &Value) -> String {
    let choices = value.get("choices").and_then(Value::as_array).into_iter().flatten();
    let text = |choice: &Value| {
        let places = ["/message/content", "/delta/content", "/text"];
        places.iter().find_map(|place| choice.pointer(place)?.as_str().map(str::to_owned))
    };
    choices.filter_map(text).collect()
}

/// What stands after a name, its colon and blanks.
fn after<'b>(text: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
    let rest = text.strip_prefix(name)?.trim_ascii_start();
    Some(rest.strip_prefix(b":")?.trim_ascii_start())
}

/// The whole number that begins here and ends here too.
fn number(value: &[u8]) -> Option<u32> {
    let end = value.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(value.get(..end)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_are_those_that_the_engine_says() {
        let whole = r#"{"choices":[{"message":{"content":"{\"prompt_tokens\":9}"}}],"usage":{"prompt_tokens": 12,"completion_tokens":345,"prompt_tokens_details":{"cached_tokens":3}}}"#;
        let events = "data: {\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":345}}\n\ndata: [DONE]\n\n";
        for answer in [whole, events] {
            for size in [1, 7, 64, 4096] {
                let mut reading = Reading::new();
                answer.as_bytes().chunks(size).for_each(|piece| reading.feed(piece));
                reading.end();
                assert_eq!(reading.tokens, [Some(12), Some(345)], "{answer} in pieces of {size}");
            }
        }
        for nothing in
            [r#"{"prompt_tokens":-1}"#, r#"{"prompt_tokens":99999999999}"#, r#"{"prompt_tokens":"#, "{}"]
        {
            let mut reading = Reading::new();
            reading.feed(nothing.as_bytes());
            reading.end();
            assert_eq!(reading.tokens, [None; 2], "{nothing}");
        }
    }

    #[track_caller]
    fn check(answer: &str, finish: Finish, refused: bool, failed: bool) {
        for size in [1, 2, 7, 63, 64, 65, 4096] {
            let mut reading = Reading::new();
            for piece in answer.as_bytes().chunks(size) {
                reading.feed(piece);
            }
            let found = (reading.end(), reading.refused, reading.failed);
            assert_eq!(found, (finish, refused, failed), "{answer} in pieces of {size}");
        }
    }

    #[test]
    fn what_is_looked_for_is_found_in_pieces_of_any_size() {
        check(r#"{"choices":[{"finish_reason":"stop"}]}"#, Finish::Stop, false, false);
        check(
            r#"{"choices":[{"finish_reason" : "length"}],"z":"________________________________"}"#,
            Finish::Length,
            false,
            false,
        );
        check(
            "data: {\"finish_reason\":null}\n\ndata: {\"finish_reason\":\"tool_calls\"}\n\ndata: [DONE]\n\n",
            Finish::Stop,
            false,
            false,
        );
        check(r#"{"finish_reason":"content_filter"}"#, Finish::Other, true, false);
        check(r#"{"message":{"refusal":"I cannot"},"finish_reason":"stop"}"#, Finish::Stop, true, false);
        check(r#"{"message":{"refusal":null},"finish_reason":"stop"}"#, Finish::Stop, false, false);
        check("data: {\"x\":1}\n\ndata: {\"error\":{\"message\":\"x\"}}\n\n", Finish::Other, false, true);
        check(r#"{"error":{"message":"x"}}"#, Finish::Other, false, true);
        check("", Finish::Other, false, false);
    }

    #[test]
    fn the_text_of_an_answer_is_what_is_said() {
        assert_eq!(said(br#"{"choices":[{"message":{"content":"a\u00e4"}}]}"#), "a\u{e4}");
        let events = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"choices\":[{\"text\":\"b\"}]}\n\ndata: [DONE]\n\n";
        assert_eq!(said(events.as_bytes()), "ab");
        for nothing in [&b""[..], b"\xff", b"{\"choices\":1}", b"data: {"] {
            assert_eq!(said(nothing), "");
        }
    }

    #[test]
    fn what_a_model_writes_is_no_member() {
        let said = serde_json::json!({ "content": "{\"finish_reason\":\"length\",\"refusal\":\"x\"} data: {\"error\":{", "finish_reason": "stop" });
        check(&said.to_string(), Finish::Stop, false, false);
    }

    proptest! {
        #[test]
        fn little_is_kept(pieces in proptest::collection::vec(proptest::collection::vec(prop_oneof![Just(b'"'), any::<u8>()], 0..300), 0..20)) {
            let mut reading = Reading::new();
            for piece in pieces {
                reading.feed(&piece);
                prop_assert!(reading.kept.len() <= AHEAD + BEHIND);
            }
        }
    }
}
