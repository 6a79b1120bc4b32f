use super::{Adapter, Bias, Config, Embedding, Folder, FullKind, Layer, Method, Targets};
use crate::safetensors::{Dtype, SafeTensors, write};
use crate::scope::Rule;

const PLAIN: &str = r#"{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q","v"]}"#;

fn config(text: &str) -> Config {
    Config::read(text.as_bytes()).unwrap()
}

#[track_caller]
fn refused(text: &str, code: &str) {
    assert_eq!(Config::read(text.as_bytes()).map_err(|error| error.code()), Err(code), "{text}");
}

/// A configuration with some more members.
fn with(members: &str) -> String {
    PLAIN.replace('}', &format!(",{members}}}"))
}

#[test]
fn a_configuration_is_read() {
    let read = config(&with(
        r#""use_rslora":true,"bias":"lora_only","modules_to_save":["score"],"lora_dropout":0.1,"future":{"x":[1]}"#,
    ));
    assert_eq!((read.rank, read.alpha, read.use_rslora, read.use_dora), (2, 4.0, true, false));
    assert_eq!(read.targets, Targets::Names(vec!["q".into(), "v".into()]));
    assert_eq!(read.bias, Bias::LoraOnly);
    assert_eq!(
        read.other.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["lora_dropout", "future"]
    );
    assert_eq!(read.unread().collect::<Vec<_>>(), ["future"]);
}

#[test]
fn members_that_change_the_model_on_loading_are_told_apart() {
    let unread = |members: &str| config(&with(members)).unread().map(str::to_owned).collect::<Vec<_>>();
    assert!(
        unread(r#""init_lora_weights":true,"layer_replication":null,"use_qalora":false,"loftq_config":{}"#)
            .is_empty()
    );
    for start in [r#""pissa""#, r#""olora""#, "false", "1"] {
        assert_eq!(unread(&format!(r#""init_lora_weights":{start}"#)), ["init_lora_weights"]);
    }
    assert!(unread(r#""init_lora_weights":"gaussian""#).is_empty());
    assert_eq!(unread(r#""layer_replication":[[0,4],[2,5]]"#), ["layer_replication"]);
    assert_eq!(unread(r#""auto_mapping":{"parent_library":"x"}"#), ["auto_mapping"]);
    assert_eq!(unread(r#""lora_bias":true"#), ["lora_bias"]);
}

#[test]
fn wrong_types_are_errors() {
    refused("[]", "CS-TSR-018");
    refused("{", "CS-TSR-004");
    refused(&with(r#""r":3"#), "CS-TSR-005");
    refused(r#"{"r":2,"lora_alpha":4}"#, "CS-TSR-019");
    refused(r#"{"peft_type":"LORA","lora_alpha":4}"#, "CS-TSR-019");
    refused(r#"{"peft_type":"LORA","r":2}"#, "CS-TSR-019");
    refused(r#"{"peft_type":"IA3","r":2,"lora_alpha":4}"#, "CS-TSR-023");
    refused(r#"{"peft_type":1,"r":2,"lora_alpha":4}"#, "CS-TSR-018");
    for rank in ["-1", "2.0", "\"2\"", "null"] {
        refused(&PLAIN.replace("\"r\":2", &format!("\"r\":{rank}")), "CS-TSR-018");
    }
    refused(&PLAIN.replace(":4", ":\"4\""), "CS-TSR-018");
    refused(&PLAIN.replace("[\"q\",\"v\"]", "[1]"), "CS-TSR-018");
    for members in [
        r#""use_dora":1"#,
        r#""use_rslora":"true""#,
        r#""fan_in_fan_out":[]"#,
        r#""bias":"some""#,
        r#""modules_to_save":"score""#,
        r#""rank_pattern":[]"#,
        r#""rank_pattern":{"q":1.5}"#,
        r#""alpha_pattern":{"q":"1"}"#,
    ] {
        refused(&with(members), "CS-TSR-018");
    }
}

#[test]
fn scaling_follows_patterns() {
    let read = config(&with(r#""rank_pattern":{"q":8,"layer.1.v":16},"alpha_pattern":{"v":32}"#));
    assert_eq!(read.scaling_of("model.k"), Some(2.0));
    assert_eq!(read.scaling_of("model.q"), Some(0.5));
    assert_eq!(read.scaling_of("q"), Some(0.5));
    assert_eq!(read.scaling_of("model.xq"), Some(2.0));
    assert_eq!(read.scaling_of("layer.1.v"), Some(2.0));
    // The library reads a pattern as an expression, in which a dot is any character.
    assert_eq!(read.rank_of("layer_1.v"), Some(16));
    let stabilised = config(&with(r#""use_rslora":true,"rank_pattern":{"q":16}"#));
    assert_eq!(stabilised.scaling_of("q"), Some(1.0));
    let expression = config(&with(r#""rank_pattern":{"q|v":8}"#));
    assert_eq!(expression.scaling_of("q"), None);
}

/// `(name, dtype, shape)` filled with the `F32` value 1.
fn file(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let named: Vec<_> = tensors
        .iter()
        .map(|(name, shape)| {
            let bytes = 1.0_f32.to_le_bytes().repeat(shape.iter().product());
            (format!("base_model.model.{name}"), *shape, bytes)
        })
        .collect();
    let tensors: Vec<_> = named
        .iter()
        .map(|(name, shape, bytes)| (name.as_str(), Dtype::F32, *shape, bytes.as_slice()))
        .collect();
    write(&tensors).unwrap()
}

/// Modules, tensors replaced whole, unknown tensors, findings.
type Shown = (Vec<String>, Vec<String>, Vec<String>, Vec<(Rule, String)>);

/// Reads an adapter and shows its modules, full and unknown tensors, and findings.
fn shown(text: &str, tensors: &[(&str, &[usize])]) -> Shown {
    let bytes = file(tensors);
    let file = SafeTensors::read(&bytes).unwrap();
    let adapter = Adapter::join(config(text), &file);
    (
        adapter.modules.iter().map(|m| format!("{} {}x{}x{}", m.path, m.rows, m.rank, m.columns)).collect(),
        adapter.full.iter().map(|full| format!("{}.{} {:?}", full.path, full.parameter, full.kind)).collect(),
        adapter.unknown.iter().map(|view| view.name.to_owned()).collect(),
        adapter.findings.iter().map(|finding| (finding.rule, finding.place.clone())).collect(),
    )
}

#[track_caller]
fn finds(text: &str, tensors: &[(&str, &[usize])], rule: Rule, place: &str) {
    let findings = shown(text, tensors).3;
    assert_eq!(findings, [(rule, place.to_owned())]);
}

#[test]
fn modules_are_joined_under_either_name() {
    let tensors: &[(&str, &[usize])] = &[
        ("h.0.q.lora_A.weight", &[2, 5]),
        ("h.0.q.lora_B.weight", &[3, 2]),
        ("h.1.v.lora_A.default.weight", &[2, 5]),
        ("h.1.v.lora_B.default.weight", &[3, 2]),
    ];
    let (modules, full, unknown, findings) = shown(PLAIN, tensors);
    assert_eq!(modules, ["h.0.q 3x2x5", "h.1.v 3x2x5"]);
    assert!(full.is_empty() && unknown.is_empty() && findings.is_empty());
}

#[test]
fn convolutions_are_flattened() {
    let tensors: &[(&str, &[usize])] =
        &[("q.lora_A.weight", &[2, 3, 3, 3]), ("q.lora_B.weight", &[8, 2, 1, 1])];
    assert_eq!(shown(PLAIN, tensors).0, ["q 8x2x27"]);
}

#[test]
fn embeddings_saved_modules_and_biases_are_told_apart() {
    let text = with(r#""modules_to_save":["score"],"bias":"all""#);
    let tensors: &[(&str, &[usize])] = &[
        ("m.q.lora_embedding_A", &[2, 100]),
        ("m.q.lora_embedding_B", &[5, 2]),
        ("score.modules_to_save.default.weight", &[2, 5]),
        ("m.score.dense.weight", &[2, 5]),
        ("m.embed_tokens.weight", &[100, 5]),
        ("m.fc.bias", &[5]),
        ("m.fc.weight", &[5]),
        ("m.q.lora_A.other.weight", &[2, 5]),
        ("m.q.lora_B.bias", &[5]),
        ("m..q.lora_A.weight", &[2, 5]),
    ];
    let (modules, full, unknown, findings) = shown(&text, tensors);
    assert_eq!(modules, ["m.q 5x2x100"]);
    assert_eq!(
        full,
        [
            "m.embed_tokens.weight Embedding",
            "m.fc.bias Bias",
            "m.score.dense.weight ModuleToSave",
            "score.weight ModuleToSave",
        ]
    );
    assert_eq!(
        unknown,
        ["m..q.lora_A.weight", "m.fc.weight", "m.q.lora_A.other.weight", "m.q.lora_B.bias"]
            .map(|name| format!("base_model.model.{name}"))
    );
    assert_eq!(findings, []);

    let bytes = file(&[
        ("lm_head.modules_to_save.weight", &[2]),
        ("q.lora_embedding_A", &[2, 9]),
        ("q.lora_embedding_B", &[3, 2]),
    ]);
    let read = SafeTensors::read(&bytes).unwrap();
    let adapter = Adapter::join(config(PLAIN), &read);
    assert_eq!(adapter.modules[0].layer, Layer::Embedding);
    assert_eq!((adapter.full[0].kind, adapter.full[0].embedding), (FullKind::ModuleToSave, Embedding::Yes));
}

#[test]
fn without_the_prefix_nothing_is_recognised() {
    let bytes = write(&[("q.lora_A.weight", Dtype::F32, &[1, 1], &[0; 4])]).unwrap();
    let read = SafeTensors::read(&bytes).unwrap();
    let adapter = Adapter::join(config(PLAIN), &read);
    assert_eq!((adapter.modules.len(), adapter.unknown.len()), (0, 1));
}

#[test]
fn every_contradiction_is_a_finding_of_its_own() {
    let prefixed = |name: &str| format!("base_model.model.{name}");
    let (a, b) = ("q.lora_A.weight", "q.lora_B.weight");
    finds(PLAIN, &[(a, &[2, 5])], Rule::FactorAlone, &prefixed(a));
    finds(PLAIN, &[(b, &[3, 2])], Rule::FactorAlone, &prefixed(b));
    finds(PLAIN, &[(a, &[2, 5]), (b, &[3, 1])], Rule::FactorShapes, "q");
    finds(PLAIN, &[(a, &[2]), (b, &[3, 2])], Rule::FactorShapes, "q");
    finds(PLAIN, &[(a, &[2, 0]), (b, &[3, 2])], Rule::FactorShapes, "q");
    finds(PLAIN, &[(a, &[2, 5]), (b, &[3, 2, 2])], Rule::FactorShapes, "q");
    finds(PLAIN, &[(a, &[0, 5]), (b, &[3, 0])], Rule::RankZero, "q");
    finds(PLAIN, &[(a, &[4, 5]), (b, &[3, 4])], Rule::RankDiffers, "q");
    let twice: &[(&str, &[usize])] = &[(a, &[2, 5]), ("q.lora_A.default.weight", &[2, 5]), (b, &[3, 2])];
    finds(PLAIN, twice, Rule::TensorTwice, &prefixed(a));
    let both: &[(&str, &[usize])] = &[(a, &[2, 5]), (b, &[3, 2]), ("q.modules_to_save.weight", &[3, 5])];
    finds(PLAIN, both, Rule::TensorTwice, "q.weight");
    finds(PLAIN, &[("k.lora_A.weight", &[2, 5]), ("k.lora_B.weight", &[3, 2])], Rule::NotTargeted, "k");
    let magnitude = "q.lora_magnitude_vector.weight";
    finds(PLAIN, &[(magnitude, &[3])], Rule::MagnitudeAlone, &prefixed(magnitude));
    let dora: &[(&str, &[usize])] = &[(a, &[2, 5]), (b, &[3, 2]), (magnitude, &[3])];
    finds(PLAIN, dora, Rule::MagnitudeUndeclared, &prefixed(magnitude));
    let declared = with(r#""use_dora":true"#);
    assert_eq!(shown(&declared, dora).3, []);
    finds(&declared, &dora[..2], Rule::MagnitudeMissing, "q");
    let short: &[(&str, &[usize])] = &[(a, &[2, 5]), (b, &[3, 2]), (magnitude, &[2])];
    finds(&declared, short, Rule::FactorShapes, &prefixed(magnitude));
}

#[test]
fn scaling_that_cannot_be_told_is_a_finding() {
    let tensors: &[(&str, &[usize])] = &[("q.lora_A.weight", &[2, 5]), ("q.lora_B.weight", &[3, 2])];
    finds(&with(r#""alpha_pattern":{"(q)":1}"#), tensors, Rule::ScalingUnknown, "q");
    finds(&PLAIN.replace(":4", ":1e300"), tensors, Rule::ScalingUnknown, "q");
    let findings = shown(&PLAIN.replace("\"r\":2", "\"r\":0"), tensors).3;
    assert_eq!(findings, [(Rule::RankDiffers, "q".into()), (Rule::ScalingUnknown, "q".into())]);
}

#[test]
fn elements_and_dtypes_that_cannot_be_trusted_are_findings() {
    let nan = f32::NAN.to_le_bytes().repeat(2);
    let one = 1.0_f32.to_le_bytes().repeat(2);
    let (a, b) = ("base_model.model.q.lora_A.weight", "base_model.model.q.lora_B.weight");
    for (a_bytes, b_bytes, place) in [(&nan, &one, a), (&one, &nan, b)] {
        let bytes = write(&[(a, Dtype::F32, &[2, 1], a_bytes), (b, Dtype::F32, &[1, 2], b_bytes)]).unwrap();
        let read = SafeTensors::read(&bytes).unwrap();
        let adapter = Adapter::join(config(PLAIN), &read);
        assert_eq!(adapter.findings.len(), 1);
        assert_eq!(
            (adapter.findings[0].rule, adapter.findings[0].place.as_str()),
            (Rule::ElementNotMeasurable, place)
        );
    }
    let bytes = write(&[(a, Dtype::I8, &[2, 1], &[1, 1]), (b, Dtype::F32, &[1, 2], &one)]).unwrap();
    let read = SafeTensors::read(&bytes).unwrap();
    let adapter = Adapter::join(config(PLAIN), &read);
    assert_eq!(adapter.findings.iter().map(|f| f.rule).collect::<Vec<_>>(), [Rule::FactorDtype]);
}

#[test]
fn a_folder_is_read_by_its_files() {
    let weights = file(&[("m.q.lora_A.weight", &[2, 3]), ("m.q.lora_B.weight", &[4, 2])]);
    let read = |extra: &[&str], weights: &[u8]| {
        let fixed = [("adapter_config.json", PLAIN.as_bytes()), ("adapter_model.safetensors", weights)];
        let extra = extra.iter().map(|name| (*name, b"".as_slice()));
        Folder::read(fixed.into_iter().chain(extra))
            .map(|folder| (folder.adapter().modules.len(), folder.others().to_vec()))
            .map_err(|error| (error.code(), error.hint()).0)
    };
    assert_eq!(read(&["z.txt", "README.md"], &weights), Ok((1, vec!["README.md".into(), "z.txt".into()])));
    assert_eq!(read(&["adapter_model.bin"], &weights), Err("CS-TSR-592"));
    for name in
        ["", "..", "../x", "a/b", "a\\b", "C:x", "a\nb", "adapter_config.json", "Adapter_Model.SafeTensors"]
    {
        assert_eq!(read(&[name], &weights), Err("CS-TSR-591"), "{name:?}");
    }
    assert_eq!(read(&[], &weights[1..]), Err("CS-TSR-593"));
    let alone = |name| Folder::read([(name, PLAIN.as_bytes())]).map_err(|error| error.code()).map(drop);
    assert_eq!(alone("adapter_config.json"), Err("CS-TSR-590"));
    assert_eq!(alone("x"), Err("CS-TSR-590"));
    let broken = Folder::read([("adapter_config.json", b"{".as_slice())]).unwrap_err();
    assert_eq!((broken.code(), broken.hint()), ("CS-TSR-593", "mend the JSON at the byte named"));
}

#[test]
fn modules_say_how_they_change_their_weight() {
    let text = with(r#""use_dora":true"#);
    let bytes = file(&[
        ("m.q.lora_A.weight", &[2, 3]),
        ("m.q.lora_B.weight", &[4, 2]),
        ("m.q.lora_magnitude_vector", &[4]),
    ]);
    let tensors = SafeTensors::read(&bytes).unwrap();
    let adapter = Adapter::join(config(&text), &tensors);
    assert!(adapter.findings.is_empty(), "{:?}", adapter.findings);
    let module = &adapter.modules[0];
    assert_eq!((module.weight_name().as_str(), module.method()), ("m.q.weight", Method::Dora));
    let bytes = file(&[("m.q.lora_embedding_A", &[2, 9]), ("m.q.lora_embedding_B", &[4, 2])]);
    let tensors = SafeTensors::read(&bytes).unwrap();
    let adapter = Adapter::join(config(PLAIN), &tensors);
    let module = &adapter.modules[0];
    assert_eq!((module.layer, module.method()), (Layer::Embedding, Method::Lora));
}
