use super::*;

#[test]
fn the_built_in_rules_keep_their_digests() {
    let digests = [
        (Rule::exact(), "exact"),
        (Rule::eight(), "8-bit"),
        (Rule::four(), "4-bit"),
        (Rule::two(), "2-bit"),
        (Rule::mixed(), "mixed-8-4"),
    ];
    let lines: Vec<String> = digests
        .iter()
        .map(|(rule, name)| {
            assert_eq!(rule.name(), *name);
            format!("{name} {}", rule.digest())
        })
        .collect();
    assert_eq!(lines.join("\n"), include_str!("tests/digests.txt").trim_end());
}

#[test]
fn a_rule_is_read_back_whatever_its_spacing() {
    for rule in [Rule::exact(), Rule::mixed()] {
        let text = String::from_utf8(rule.to_bytes()).unwrap();
        assert_eq!(Rule::parse(text.as_bytes()).unwrap(), rule);
        let spaced = text.replace(',', " ,\n ");
        assert_eq!(Rule::parse(spaced.as_bytes()).unwrap().digest(), rule.digest());
    }
}

#[test]
fn sensitive_tensors_are_coded_with_more_bits() {
    let rule = Rule::mixed();
    for name in [
        "model.embed_tokens.weight",
        "embeddings.word_embeddings.weight",
        "lm_head.weight",
        "model.norm.weight",
        "model.layers.3.input_layernorm.weight",
        "encoder.layer.0.attention.output.LayerNorm.bias",
        "encoder.layer.0.attention.self.query.bias",
        "transformer.h.0.ln_1.weight",
    ] {
        assert_eq!(rule.coding(name), Coding::Bits8, "{name}");
    }
    for name in ["model.layers.3.mlp.up_proj.weight", "encoder.layer.0.attention.self.query.weight"] {
        assert_eq!(rule.coding(name), Coding::Bits4, "{name}");
    }
    assert_eq!(rule.codings(), [Coding::Bits4, Coding::Bits8]);
}

#[test]
fn what_is_no_rule_is_refused() {
    let text = String::from_utf8(Rule::exact().to_bytes()).unwrap();
    for (from, to, code) in [
        ("\"block\":65536", "\"block\":65535", "CS-SEL-002"),
        ("\"block\":65536", "\"block\":512", "CS-SEL-002"),
        ("\"block\":65536", "\"block\":2097152", "CS-SEL-002"),
        ("\"block\":65536", "\"block\":1.5", "CS-SEL-001"),
        ("\"group\":32", "\"group\":64", "CS-SEL-002"),
        ("\"hash\":\"blake3\"", "\"hash\":\"md5\"", "CS-SEL-002"),
        ("\"version\":1", "\"version\":2", "CS-SEL-002"),
        ("\"name\":\"exact\"", "\"name\":\"\"", "CS-SEL-002"),
        ("\"name\":\"exact\"", "\"name\":\"Exact\"", "CS-SEL-002"),
        ("\"default\":\"exact\"", "\"default\":\"bits-3\"", "CS-SEL-001"),
        ("\"version\":1", "\"version\":1,\"more\":1", "CS-SEL-001"),
        ("\"overrides\":[]", "\"overrides\":[{\"coding\":\"exact\",\"tensors\":[]}]", "CS-SEL-002"),
        ("\"overrides\":[]", "\"overrides\":[{\"coding\":\"exact\",\"tensors\":[\"a***\"]}]", "CS-SEL-001"),
        ("}", "", "CS-SEL-001"),
    ] {
        let tampered = text.replacen(from, to, 1);
        assert_ne!(tampered, text);
        assert_eq!(Rule::parse(tampered.as_bytes()).unwrap_err().code(), code, "{tampered}");
    }
}
