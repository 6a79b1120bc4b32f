use sha2::{Digest as _, Sha256};

use super::{Packing, Unpacked};
use crate::safetensors::{Dtype, SafeTensors, write};
use crate::weights::Weights;

/// A layer of `crates/quant/tests/it/packing.golden`, as a model's files: `config.json` and weights.
struct Line {
    config: String,
    file: Vec<u8>,
    outputs: usize,
    inputs: usize,
    digest: String,
}

type Part<'a> = (&'a str, Dtype, Vec<usize>, Vec<u8>);

fn packed(parts: &[Part<'_>]) -> Vec<u8> {
    let parts: Vec<_> = parts
        .iter()
        .map(|(name, dtype, shape, bytes)| (*name, *dtype, shape.as_slice(), bytes.as_slice()))
        .collect();
    write(&parts).unwrap()
}

fn parts(line: &str) -> (Vec<Part<'static>>, Line) {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |at: usize| words[at].parse::<usize>().unwrap();
    let (bits, inputs, outputs, group) = (number(1), number(2), number(3), number(4));
    let bytes = |at: usize| -> Vec<u8> {
        words[at].split(',').flat_map(|word| u32::from_str_radix(word, 16).unwrap().to_le_bytes()).collect()
    };
    let groups = inputs.div_ceil(group);
    let (integers, zeros) = match words[0] {
        "gptq" => (vec![inputs * bits / 32, outputs], vec![groups, outputs * bits / 32]),
        _ => (vec![inputs, outputs / 8], vec![groups, outputs / 8]),
    };
    let mut parts = vec![
        ("a.b.qweight", Dtype::I32, integers, bytes(6)),
        ("a.b.qzeros", Dtype::I32, zeros, bytes(7)),
        ("a.b.scales", Dtype::F32, vec![groups, outputs], bytes(8)),
        ("a.norm.weight", Dtype::F32, vec![1], 2_f32.to_le_bytes().to_vec()),
    ];
    if words[0] == "gptq" {
        parts.push(("a.b.g_idx", Dtype::I32, vec![inputs], bytes(9)));
    }
    let config = format!(
        "{{\"quantization_config\": {{\"quant_method\": \"{}\", \"bits\": {bits}, \"group_size\": {group}}}}}",
        words[0]
    );
    let file = packed(&parts);
    (parts, Line { config, file, outputs, inputs, digest: words[10].to_owned() })
}

fn lines() -> impl Iterator<Item = &'static str> {
    include_str!("../../../../quant/tests/it/packing.golden").lines()
}

#[test]
fn layers_of_autogptq_and_autoawq_stand_for_their_weights() {
    for line in lines() {
        let (_, line) = parts(line);
        let packing = Packing::of_config(line.config.as_bytes()).unwrap().unwrap();
        let read = SafeTensors::read(&line.file).unwrap();
        let stored = Weights::from(&read);
        let unpacked = Unpacked::of(&stored, packing).unwrap();
        let weights = unpacked.among(&stored).unwrap();
        let names: Vec<&str> = weights.tensors().iter().map(super::super::Tensor::name).collect();
        assert_eq!(names, ["a.b.weight", "a.norm.weight"]);
        let weight = weights.tensor("a.b.weight").unwrap();
        assert_eq!(weight.shape(), [line.outputs, line.inputs]);
        let digest = Sha256::digest(weight.data());
        let digest = digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        assert_eq!(digest, line.digest);
        assert_eq!(unpacked.packing_of("a.b.weight"), Some(packing));
        assert_eq!(unpacked.packing_of("a.norm.weight"), None);
    }
}

#[test]
fn layers_whose_parts_do_not_fit_are_refused() {
    #[track_caller]
    fn check(line: &str, change: impl Fn(&mut Vec<Part<'static>>), code: &str) {
        let (mut parts, line) = parts(line);
        change(&mut parts);
        let file = packed(&parts);
        let read = SafeTensors::read(&file).unwrap();
        let stored = Weights::from(&read);
        let packing = Packing::of_config(line.config.as_bytes()).unwrap().unwrap();
        let done = Unpacked::of(&stored, packing).and_then(|unpacked| unpacked.among(&stored).map(|_| ()));
        assert_eq!(done.unwrap_err().code(), code);
    }
    for line in lines() {
        check(line, |parts| drop(parts.remove(1)), "CS-TSR-579");
        check(line, |parts| drop(parts.remove(2)), "CS-TSR-579");
        check(line, |parts| parts[0].2 = vec![parts[0].2[0] * parts[0].2[1]], "CS-TSR-578");
        check(line, |parts| parts[0].2.swap(0, 1), "CS-TSR-578");
        check(line, |parts| parts[0].1 = Dtype::U32, "CS-TSR-578");
        check(line, |parts| parts[2].2.swap(0, 1), "CS-TSR-578");
        let half = |part: &mut Part<'_>| {
            part.2[0] /= 2;
            part.3.truncate(part.3.len() / 2);
        };
        check(line, |parts| half(&mut parts[0]), "CS-TSR-578");
        let both = |parts: &mut Vec<Part<'static>>| {
            let (inputs, outputs) = (parts[0].2[0], parts[0].2[1]);
            parts.push(("a.b.weight", Dtype::U8, vec![inputs, outputs], vec![0; inputs * outputs]));
        };
        check(line, both, "CS-TSR-570");
    }
    // A group that no scales are for.
    let index = |parts: &mut Vec<Part<'static>>| parts[4].3[0] = 0xff;
    check(lines().next().unwrap(), index, "CS-TSR-578");
}

#[test]
fn configurations_say_how_layers_are_packed_or_are_refused() {
    let read = |stated: &str| {
        let config = format!("{{\"quantization_config\": {stated}}}");
        Packing::of_config(config.as_bytes()).map(|packing| packing.map(Packing::name))
    };
    let code = |stated: &str| read(stated).unwrap_err().code();
    assert_eq!(Packing::of_config(b"{}").unwrap(), None);
    assert_eq!(read("null"), Ok(None));
    assert_eq!(read(r#"{"quant_method": "bitsandbytes"}"#), Ok(None));
    assert_eq!(
        read(r#"{"quant_method": "gptq", "bits": 4, "group_size": -1, "sym": true}"#),
        Ok(Some("gptq"))
    );
    let second = r#"{"quant_method": "gptq", "bits": 8, "group_size": 32, "checkpoint_format": "gptq_v2"}"#;
    assert_eq!(read(second), Ok(Some("gptq")));
    assert_eq!(
        read(r#"{"quant_method": "AWQ", "w_bit": 4, "q_group_size": 128, "version": "GEMM"}"#),
        Ok(Some("awq"))
    );
    for other in [
        r#"{"quant_method": "gptq", "bits": 4, "group_size": 128, "checkpoint_format": "marlin"}"#,
        r#"{"quant_method": "gptq", "bits": 5, "group_size": 128}"#,
        r#"{"quant_method": "gptq", "bits": -4, "group_size": 128}"#,
        r#"{"quant_method": "gptq", "bits": 4, "group_size": 0}"#,
        r#"{"quant_method": "gptq", "bits": 4, "group_size": -2}"#,
        r#"{"quant_method": "awq", "bits": 8, "group_size": 128}"#,
        r#"{"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemv"}"#,
    ] {
        assert_eq!(code(other), "CS-TSR-577", "{other}");
    }
    for unreadable in [
        r#"{"quant_method": "gptq"}"#,
        r#"{"quant_method": "gptq", "bits": "4", "group_size": 128}"#,
        r#"{"quant_method": "gptq", "bits": 4.5, "group_size": 128}"#,
        r#"{"quant_method": "gptq", "quant_method": "awq", "bits": 4, "group_size": 128}"#,
        r#"{"quant_method": 4, "bits": 4, "group_size": 128}"#,
    ] {
        assert_eq!(code(unreadable), "CS-TSR-576", "{unreadable}");
    }
    assert_eq!(Packing::of_config(b"{").unwrap_err().code(), "CS-TSR-576");
}
