use super::*;

const CONFIG: &str = r#"{"peft_type":"LORA","r":1,"lora_alpha":1,"target_modules":["q","v"]}"#;
const A: &str = "base_model.model.layers.3.q.lora_A.weight";
const B: &str = "base_model.model.layers.3.q.lora_B.weight";

/// `ΔW` is 4 × 4, of which every element is `value`; the base is ones.
fn change(value: f32) -> Vec<Filled<'static>> {
    vec![(A, &[1, 4], 1.0), (B, &[4, 1], value)]
}

const BASE: [Filled<'static>; 2] = [("layers.3.q.weight", &[4, 4], 1.0), ("score.weight", &[4, 4], 1.0)];

fn open() -> Scope {
    Scope { modules: patterns(&["layers.*.q"]), rank_max: Some(1), ..Scope::closed() }
}

fn report_of(
    scope: &Scope,
    config: &str,
    adapter: &[Filled<'_>],
    base: Option<&[Filled<'_>]>,
) -> ScopeReport {
    let adapter = file(adapter);
    let adapter = SafeTensors::read(&adapter).unwrap();
    let adapter = Adapter::join(Config::read(config.as_bytes()).unwrap(), &adapter);
    match base {
        None => check_adapter(scope, &adapter, None),
        Some(base) => {
            let base = file(base);
            check_adapter(scope, &adapter, Some(&SafeTensors::read(&base).unwrap()))
        }
    }
}

fn report(scope: &Scope, adapter: &[Filled<'_>]) -> ScopeReport {
    report_of(scope, CONFIG, adapter, Some(&BASE))
}

#[test]
fn five_per_cent_is_the_border() {
    let inside = report(&open(), &change(0.049));
    check(&inside, Verdict::Within, &[]);
    assert_eq!(inside.measures["relative_frobenius_ppm_max"], 49_000);
    let at = "layers.3.q";
    let over = [(Rule::FrobeniusOver, at), (Rule::ElementOver, at)];
    check(&report(&open(), &change(0.051)), Verdict::Outside, &over);
    check(&report(&open(), &change(-0.051)), Verdict::Outside, &over);
}

#[test]
fn each_limit_stands_by_itself() {
    let at = "layers.3.q";
    let cut = |edit: &dyn Fn(&mut Scope)| {
        let mut scope = open();
        edit(&mut scope);
        report(&scope, &change(0.01))
    };
    check(&cut(&|_| ()), Verdict::Within, &[]);
    check(
        &cut(&|s| s.modules = patterns(&["layers.*.v"])),
        Verdict::Outside,
        &[(Rule::ModuleNotAllowed, at)],
    );
    check(&cut(&|s| s.rank_max = Some(0)), Verdict::Outside, &[(Rule::RankOver, at)]);
    check(
        &cut(&|s| s.relative_frobenius_ppm_max = Some(9_999)),
        Verdict::Outside,
        &[(Rule::FrobeniusOver, at)],
    );
    check(
        &cut(&|s| s.max_element_relative_ppm_max = Some(9_999)),
        Verdict::Outside,
        &[(Rule::ElementOver, at)],
    );
    check(
        &cut(&|s| s.absolute_max_element_nano_max = Some(9_999_999)),
        Verdict::Outside,
        &[(Rule::AbsoluteElementOver, at)],
    );
    let layers = |first, last| Some(LayerRange { first, last });
    check(&cut(&|s| s.layers = layers(3, 3)), Verdict::Within, &[]);
    check(&cut(&|s| s.layers = layers(0, 2)), Verdict::Outside, &[(Rule::LayerNotAllowed, at)]);
    check(&cut(&|s| s.layers = layers(4, 2)), Verdict::Outside, &[(Rule::LayerNotAllowed, at)]);
}

#[test]
fn a_closed_scope_allows_nothing() {
    check(
        &report(&Scope::closed(), &change(0.0)),
        Verdict::Outside,
        &[(Rule::KindNotInScope, "modules"), (Rule::ModuleNotAllowed, "layers.3.q")],
    );
    check(&report(&open(), &[]), Verdict::Outside, &[(Rule::NothingToCheck, "")]);
}

#[test]
fn without_the_base_a_relative_limit_is_undecided() {
    let missing = [(Rule::BaseMissing, "layers.3.q")];
    check(&report_of(&open(), CONFIG, &change(0.01), None), Verdict::Undecided, &missing);
    check(&report_of(&open(), CONFIG, &change(0.01), Some(&[])), Verdict::Undecided, &missing);
    let absolute = Scope {
        relative_frobenius_ppm_max: None,
        max_element_relative_ppm_max: None,
        absolute_max_element_nano_max: Some(10_000_001),
        ..open()
    };
    check(&report_of(&absolute, CONFIG, &change(0.01), None), Verdict::Within, &[]);
    check(
        &report_of(&absolute, CONFIG, &change(0.011), None),
        Verdict::Outside,
        &[(Rule::AbsoluteElementOver, "layers.3.q")],
    );
}

#[test]
fn a_bound_over_the_limit_is_undecided() {
    let scope = Scope { work_max: 0, ..open() };
    // Every element of a rank-one change of one sign has the bound itself as its value.
    check(&report(&scope, &change(0.04)), Verdict::Within, &[]);
    let at = "layers.3.q";
    let bounds = [(Rule::BoundOver, at), (Rule::BoundOver, at)];
    check(&report(&scope, &change(0.06)), Verdict::Undecided, &bounds);
}

#[test]
fn findings_and_unread_members_count_against_the_adapter() {
    let mut tensors = change(0.01);
    tensors.push(("base_model.model.layers.3.v.lora_A.weight", &[1, 4], 1.0));
    let alone = [(Rule::FactorAlone, "base_model.model.layers.3.v.lora_A.weight")];
    check(&report(&open(), &tensors), Verdict::Outside, &alone);
    let mut tensors = change(0.01);
    tensors.push(("elsewhere", &[1], 1.0));
    check(&report(&open(), &tensors), Verdict::Outside, &[(Rule::TensorUnknown, "elsewhere")]);
    let replicated = CONFIG.replace('}', r#","layer_replication":[[0,4]]}"#);
    check(
        &report_of(&open(), &replicated, &change(0.01), Some(&BASE)),
        Verdict::Undecided,
        &[(Rule::MemberNotUnderstood, "layer_replication")],
    );
    check(
        &report(&open(), &change(f32::NAN)),
        Verdict::Outside,
        &[(Rule::ElementNotMeasurable, B), (Rule::BaseNotMeasurable, "layers.3.q")],
    );
}

#[test]
fn the_wrong_base_is_outside() {
    let other: [Filled<'_>; 1] = [("layers.3.q.weight", &[4, 5], 1.0)];
    check(
        &report_of(&open(), CONFIG, &change(0.01), Some(&other)),
        Verdict::Outside,
        &[(Rule::ShapeDiffers, "layers.3.q")],
    );
    let broken: [Filled<'_>; 1] = [("layers.3.q.weight", &[4, 4], f32::INFINITY)];
    check(
        &report_of(&open(), CONFIG, &change(0.01), Some(&broken)),
        Verdict::Undecided,
        &[(Rule::BaseNotMeasurable, "layers.3.q")],
    );
}

#[test]
fn tensors_saved_whole_need_their_own_permission() {
    let name = "base_model.model.score.modules_to_save.weight";
    let saved = |value: f32| {
        let mut tensors = change(0.01);
        tensors.push((name, &[4, 4], value));
        tensors
    };
    let mut scope = open();
    scope.rank_max = Some(4);
    check(&report(&scope, &saved(1.01)), Verdict::Outside, &[(Rule::FullTensorNotAllowed, name)]);
    scope.modules_to_save = patterns(&["score"]);
    check(&report(&scope, &saved(1.01)), Verdict::Within, &[]);
    let over = [(Rule::FrobeniusOver, name), (Rule::ElementOver, name)];
    check(&report(&scope, &saved(1.06)), Verdict::Outside, &over);
    scope.rank_max = Some(3);
    check(&report(&scope, &saved(1.01)), Verdict::Outside, &[(Rule::RankOver, name)]);
    scope.rank_max = None;
    let alone: [Filled<'_>; 1] = [BASE[0]];
    check(
        &report_of(&scope, CONFIG, &saved(1.01), Some(&alone)),
        Verdict::Undecided,
        &[(Rule::BaseMissing, name)],
    );
}

#[test]
fn embeddings_need_permission_beside_their_pattern() {
    let tensors: [Filled<'_>; 2] = [
        ("base_model.model.embed_tokens.lora_embedding_A", &[1, 4], 0.01),
        ("base_model.model.embed_tokens.lora_embedding_B", &[4, 1], 1.0),
    ];
    let base: [Filled<'_>; 1] = [("embed_tokens.weight", &[4, 4], 1.0)];
    let config = r#"{"peft_type":"LORA","r":1,"lora_alpha":1}"#;
    let mut scope = Scope { modules: patterns(&["**"]), ..open() };
    check(
        &report_of(&scope, config, &tensors, Some(&base)),
        Verdict::Outside,
        &[(Rule::EmbeddingNotAllowed, "embed_tokens")],
    );
    scope.embeddings_allowed = true;
    check(&report_of(&scope, config, &tensors, Some(&base)), Verdict::Within, &[]);
}

#[test]
fn a_decomposed_module_is_measured_by_what_it_does() {
    // A low-rank pair that does nothing, and a magnitude that doubles a row of ones.
    let config = CONFIG.replace('}', r#","use_dora":true}"#);
    let with_length = |length: f32| {
        let mut tensors = change(0.0);
        tensors.push(("base_model.model.layers.3.q.lora_magnitude_vector.weight", &[4], length));
        tensors
    };
    check(&report_of(&open(), &config, &with_length(2.0), Some(&BASE)), Verdict::Within, &[]);
    let at = "layers.3.q";
    check(
        &report_of(&open(), &config, &with_length(4.0), Some(&BASE)),
        Verdict::Outside,
        &[(Rule::FrobeniusOver, at), (Rule::ElementOver, at)],
    );
    let unlimited = Scope { relative_frobenius_ppm_max: None, max_element_relative_ppm_max: None, ..open() };
    check(
        &report_of(&unlimited, &config, &with_length(4.0), None),
        Verdict::Undecided,
        &[(Rule::BaseMissing, at)],
    );
}

#[test]
fn a_report_stays_small_and_shows_the_worst_first() {
    let names: Vec<String> = (0..1000).map(|n| format!("x{n}{}", "y".repeat(900))).collect();
    let mut tensors: Vec<Filled<'_>> =
        names.iter().map(|name| (name.as_str(), [1].as_slice(), 1.0)).collect();
    tensors.extend(change(0.01));
    let report = report_of(&open(), CONFIG, &tensors, None);
    assert_eq!(report.within, Verdict::Outside);
    assert_eq!(report.violations.len(), VIOLATIONS_MAX);
    assert!(report.violations.iter().all(|violation| violation.rule == Rule::TensorUnknown));
    assert_eq!(report.measures["violations"], 1001);
    assert!(serde_json::to_vec(&report).unwrap().len() < 40_000);
}
