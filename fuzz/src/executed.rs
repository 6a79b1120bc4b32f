//! `examine` and `model`: suites of questions, and chat templates as they are rendered.

use bytes::Bytes;
use examine::Files;
use examine::suite::{Expect, Suite};
use model::template::{Context, Ending, Limits, Message, Template};

/// `suite.json`, a zero byte, the lines.
pub(crate) fn examine_suite(data: &[u8]) {
    let (settings, lines) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (data.get(..at), data.get(at + 1..).unwrap_or_default()),
        None => (None, data),
    };
    let file = |name: &str, bytes: &[u8]| (name.to_owned(), Bytes::copy_from_slice(bytes));
    let settings = settings.map(|settings| file("suite.json", settings));
    let files = Files::new(settings.into_iter().chain([file("questions.jsonl", lines)]));
    let Ok(suite) = Suite::read("fuzz", &files) else { return };
    assert!(!suite.cases.is_empty() && (1..=512).contains(&suite.tokens_max));
    for case in &suite.cases {
        if let Expect::Choice { choices, right } = &case.expect {
            assert!(*right < choices.len());
        }
    }
    assert!(!suite.is_refusal(""), "nothing is taken for a refusal");
}

/// A template that is rendered, within bounds that a fuzzer has the patience for.
pub(crate) fn chat_render(data: &[u8]) {
    let limits = Limits {
        source_bytes: 1 << 14,
        instructions: 20_000,
        output_bytes: 1 << 14,
        memory_bytes: 1 << 20,
        depth: 32,
    };
    let Ok(source) = std::str::from_utf8(data) else { return };
    let Ok(template) = Template::parse(source, limits) else { return };
    let message = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
    let messages =
        [message("system", "Be kind."), message("user", "{{ x }} <|im_end|>"), message("assistant", "é")];
    for ending in [Ending::Prompt, Ending::Conversation] {
        let context =
            Context { begin_token: "<s>".to_owned(), end_token: "</s>".to_owned(), ..Context::default() };
        let Ok(text) = template.render(&messages, ending, &context) else { continue };
        assert!(text.len() <= limits.output_bytes, "{} bytes of output", text.len());
        assert_eq!(template.render(&messages, ending, &context).ok(), Some(text), "another text");
    }
}
