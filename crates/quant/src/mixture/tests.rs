use super::*;

const SMALL: Facts<'_> = Facts {
    architecture: "llama",
    layers: 30,
    heads: 9,
    key_heads: 3,
    experts: 0,
    importance: Importance::Absent,
};

fn tensor(name: &str, row_len: usize, rank: usize) -> Subject<'_> {
    Subject { name, row_len, rank }
}

#[track_caller]
fn check(mixture: Mixture, facts: &Facts<'_>, name: &str, row_len: usize, expected: Choice) {
    let tensors = [tensor(name, row_len, 2), tensor("output.weight", 256, 2)];
    assert_eq!(kinds(mixture, facts, &tensors).unwrap()[0], expected, "{name}");
}

#[test]
fn names_lead_back_to_the_mixture() {
    for mixture in Mixture::all() {
        assert_eq!(mixture.name().to_lowercase().parse(), Ok(mixture));
    }
    assert_eq!("q4_k".parse(), Ok(Mixture::Q4KM));
    assert_eq!("IQ1_S".parse::<Mixture>().unwrap_err().code(), "CS-QNT-008");
}

#[test]
fn small_and_sensitive_tensors_are_kept() {
    for (name, rank) in [
        ("blk.0.attn_norm.weight", 2),
        ("blk.0.attn_q.bias", 2),
        ("blk.0.attn_q.weight", 1),
        ("position_embd.weight", 2),
        ("token_types.weight", 2),
        ("blk.3.ffn_gate_inp.weight", 2),
        ("v.patch_embd.weight", 4),
    ] {
        let choice = kinds(Mixture::Q4KM, &SMALL, &[tensor(name, 256, rank)]).unwrap();
        assert_eq!(choice, [Choice::Keep], "{name}");
        assert!(!is_quantised(&tensor(name, 256, rank)));
    }
}

#[test]
fn rows_that_do_not_fit_get_a_kind_that_does() {
    let q = Choice::Quantise;
    check(Mixture::Q4KM, &SMALL, "blk.0.attn_q.weight", 576, q(Kind::Q5_0));
    check(Mixture::Q5KM, &SMALL, "blk.0.attn_q.weight", 576, q(Kind::Q5_1));
    check(Mixture::Q6K, &SMALL, "blk.0.attn_q.weight", 576, q(Kind::Q8_0));
    check(Mixture::Q3KS, &SMALL, "blk.0.attn_q.weight", 576, q(Kind::Q4_0));
    check(Mixture::Iq4Xs, &SMALL, "blk.0.attn_q.weight", 576, q(Kind::Iq4Nl));
    check(Mixture::Q4KM, &SMALL, "blk.0.attn_q.weight", 575, Choice::Half);
    check(Mixture::Q8_0, &SMALL, "blk.0.attn_q.weight", 48, Choice::Half);
}

#[test]
fn the_embedding_counts_as_output_where_there_is_none() {
    let embedding = [tensor("token_embd.weight", 256, 2)];
    let kind = |mixture| kinds(mixture, &SMALL, &embedding).unwrap()[0];
    assert_eq!(kind(Mixture::Q4KM), Choice::Quantise(Kind::Q6K));
    assert_eq!(kind(Mixture::Q8_0), Choice::Quantise(Kind::Q8_0));
    check(Mixture::Q4KM, &SMALL, "token_embd.weight", 256, Choice::Quantise(Kind::Q4K));
    let odd = [tensor("token_embd.weight", 576, 2)];
    assert_eq!(kinds(Mixture::Q4KM, &SMALL, &odd).unwrap()[0], Choice::Quantise(Kind::Q8_0));
}

#[test]
fn first_last_and_every_third_layer_get_more_bits() {
    let names: Vec<String> = (0..30).map(|layer| format!("blk.{layer}.ffn_down.weight")).collect();
    // In the order of a file that is sorted as text: the rules go by number.
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let tensors: Vec<Subject<'_>> = sorted.iter().map(|name| tensor(name, 256, 2)).collect();
    let choices = kinds(Mixture::Q4KM, &SMALL, &tensors).unwrap();
    let more = |name: &str| {
        let layer: usize = name.split('.').nth(1).unwrap().parse().unwrap();
        !(3..26).contains(&layer) || (layer - 3) % 3 == 2
    };
    for (name, choice) in sorted.iter().zip(choices) {
        let expected = if more(name) { Kind::Q6K } else { Kind::Q4K };
        assert_eq!(choice, Choice::Quantise(expected), "{name}");
    }
}

#[test]
fn architectures_and_experts_change_the_choice() {
    let q = Choice::Quantise;
    let value = "blk.0.attn_v.weight";
    check(Mixture::Q2K, &SMALL, value, 256, q(Kind::Q3K));
    check(Mixture::Q2K, &Facts { heads: 32, key_heads: 8, ..SMALL }, value, 256, q(Kind::Q4K));
    check(Mixture::Q4KM, &Facts { experts: 8, ..SMALL }, value, 256, q(Kind::Q8_0));
    check(Mixture::Q4KM, &Facts { experts: 8, ..SMALL }, "blk.0.attn_k.weight", 256, q(Kind::Q8_0));
    let seventy = Facts { layers: 80, heads: 64, key_heads: 8, ..SMALL };
    check(Mixture::Q3KS, &seventy, value, 256, q(Kind::Q5K));
    check(Mixture::Q3KS, &SMALL, value, 256, q(Kind::Q3K));
    let falcon = Facts { architecture: "falcon", ..SMALL };
    check(Mixture::Q3KL, &falcon, "blk.0.attn_output.weight", 256, q(Kind::Q4K));
    check(Mixture::Q3KL, &SMALL, "blk.0.attn_output.weight", 256, q(Kind::Q5K));
    check(Mixture::Q4_0, &SMALL, "blk.0.ffn_down.weight", 256, q(Kind::Q4_0));
    let given = Facts { importance: Importance::Given, ..SMALL };
    check(Mixture::Q4_0, &given, "blk.0.ffn_down.weight", 256, q(Kind::Q4_1));
    let other = Facts { architecture: "glm5-next", ..SMALL };
    assert_eq!(kinds(Mixture::Q4KM, &other, &[]).unwrap_err().code(), "CS-QNT-008");
}
