//! Models whose layers GPTQ or AWQ packed, through the commands: the product's own model, its layers rounded to four
//! bits and packed here, bit by bit.

use std::path::Path;

use serde_json::json;
use tensor::safetensors::{Dtype, SafeTensors, write};
use tensor::weights::Weights;

use crate::house::{House, copy};

/// Inputs that share a scale.
const GROUP: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Gptq,
    Awq,
}

type Part = (String, Dtype, Vec<usize>, Vec<u8>);

fn file(parts: &[Part]) -> Vec<u8> {
    let parts: Vec<_> = parts
        .iter()
        .map(|(name, dtype, shape, bytes)| (name.as_str(), *dtype, shape.as_slice(), bytes.as_slice()))
        .collect();
    write(&parts).unwrap()
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Four-bit integers with the middle as zero point, and a power of two as each group's scale, which half precision holds.
struct Rounded {
    /// Outputs by inputs.
    integers: Vec<u32>,
    /// Groups by outputs.
    scales: Vec<f32>,
}

const ZERO: u32 = 8;

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 15 by the clamp")]
fn round(weights: &[f32], outputs: usize, inputs: usize) -> Rounded {
    let mut integers = vec![0; outputs * inputs];
    let mut scales = vec![0.0; inputs / GROUP * outputs];
    for output in 0..outputs {
        for group in 0..inputs / GROUP {
            let row = &weights[output * inputs + group * GROUP..][..GROUP];
            let largest = row.iter().fold(0_f32, |largest, weight| largest.max(weight.abs()));
            let scale = (largest.max(1e-4) / 7.0).log2().ceil().exp2();
            scales[group * outputs + output] = scale;
            for (at, weight) in row.iter().enumerate() {
                let integer = (weight / scale).round().clamp(-8.0, 7.0) + 8.0;
                integers[output * inputs + group * GROUP + at] = integer as u32;
            }
        }
    }
    Rounded { integers, scales }
}

impl Rounded {
    fn plain(&self, outputs: usize, inputs: usize) -> Vec<u8> {
        let weight = |at: usize| {
            let (output, input) = (at / inputs, at % inputs);
            let integer = i16::try_from(self.integers[at]).unwrap() - 8;
            self.scales[input / GROUP * outputs + output] * f32::from(integer)
        };
        (0..outputs * inputs).flat_map(|at| weight(at).to_le_bytes()).collect()
    }

    fn packed(&self, layer: &str, outputs: usize, inputs: usize, method: Method) -> Vec<Part> {
        let groups = inputs / GROUP;
        let scales = bytes(&self.scales.iter().map(|scale| scale.to_bits()).collect::<Vec<_>>());
        let (mut qweight, mut qzeros, shape) = match method {
            Method::Gptq => {
                (vec![0_u32; inputs / 8 * outputs], vec![0_u32; groups * outputs / 8], [inputs / 8, outputs])
            }
            Method::Awq => {
                (vec![0_u32; inputs * outputs / 8], vec![0_u32; groups * outputs / 8], [inputs, outputs / 8])
            }
        };
        // Where AWQ has each of eight outputs.
        let place = |output: usize| [0, 4, 1, 5, 2, 6, 3, 7][output % 8] * 4;
        for output in 0..outputs {
            for input in 0..inputs {
                let integer = self.integers[output * inputs + input];
                match method {
                    Method::Gptq => qweight[input / 8 * outputs + output] |= integer << (input % 8 * 4),
                    Method::Awq => qweight[input * (outputs / 8) + output / 8] |= integer << place(output),
                }
            }
            for group in 0..groups {
                let word = &mut qzeros[group * (outputs / 8) + output / 8];
                match method {
                    // Its first version keeps one less.
                    Method::Gptq => *word |= (ZERO - 1) << (output % 8 * 4),
                    Method::Awq => *word |= ZERO << place(output),
                }
            }
        }
        let part = |name: &str, dtype, shape: [usize; 2], bytes| {
            (format!("{layer}.{name}"), dtype, shape.to_vec(), bytes)
        };
        vec![
            part("qweight", Dtype::I32, shape, bytes(&qweight)),
            part("qzeros", Dtype::I32, [groups, outputs / 8], bytes(&qzeros)),
            part("scales", Dtype::F32, [groups, outputs], scales),
        ]
    }
}

/// Folders `tiny`, `rounded` (the rounded weights as they are) and `packed` (the same, packed).
fn house(method: Method) -> House {
    let house = House::empty();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models/countersign-tiny");
    for folder in ["tiny", "rounded", "packed"] {
        copy(&own, &house.path(folder));
    }
    let weights = std::fs::read(house.path("tiny/model.safetensors")).unwrap();
    let weights = SafeTensors::read(&weights).unwrap();
    let (mut rounded, mut packed) = (Vec::new(), Vec::new());
    for tensor in Weights::from(&weights).tensors() {
        let layer = tensor.name().strip_suffix(".weight").filter(|name| name.contains("_proj"));
        match (layer, tensor.shape()) {
            (Some(layer), &[outputs, inputs]) => {
                let of_layer = round(&tensor.decode().unwrap(), outputs, inputs);
                let plain = of_layer.plain(outputs, inputs);
                rounded.push((tensor.name().to_owned(), Dtype::F32, vec![outputs, inputs], plain));
                packed.extend(of_layer.packed(layer, outputs, inputs, method));
            }
            (_, shape) => {
                let same = (tensor.name().to_owned(), Dtype::F16, shape.to_vec(), tensor.data().to_vec());
                rounded.push(same.clone());
                packed.push(same);
            }
        }
    }
    for (folder, parts) in [("rounded", rounded), ("packed", packed)] {
        std::fs::remove_file(house.path(&format!("{folder}/model.safetensors"))).unwrap();
        house.write(&format!("{folder}/model.safetensors"), &file(&parts));
    }
    configure(&house, method, 4);
    house
}

fn configure(house: &House, method: Method, bits: u32) {
    let method = if method == Method::Gptq { "gptq" } else { "awq" };
    let config = std::fs::read_to_string(house.path("tiny/config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["quantization_config"] =
        json!({ "quant_method": method, "bits": bits, "group_size": GROUP, "desc_act": false });
    std::fs::remove_file(house.path("packed/config.json")).unwrap();
    house.write("packed/config.json", config.to_string().as_bytes());
}

#[track_caller]
fn walk(method: Method) {
    let house = house(method);
    // The same weights, so no difference; against what they were rounded from, all layers and nothing else.
    let same = house.json("diff rounded packed");
    for (member, none) in [("elements_changed", json!(0)), ("added", json!([])), ("removed", json!([]))] {
        assert_eq!(same[member], none, "{same}");
    }
    let moved = house.json("diff tiny packed");
    let retyped = moved["retyped"].as_array().unwrap();
    assert_eq!(retyped.len(), 14, "{moved}");
    // Written as it is, and in other bits: the same file as from the weights that are not packed.
    for kind in ["Q8_0", "Q4_K_M"] {
        let of_packed = house.json(&format!("quantize packed --to {kind} --out packed.gguf"));
        let of_rounded = house.json(&format!("quantize rounded --to {kind} --out rounded.gguf"));
        assert_eq!(of_packed["sha256"], of_rounded["sha256"]);
    }
    // Other bits than they are packed with.
    configure(&house, method, 8);
    let code = if method == Method::Gptq { "CS-TSR-578" } else { "CS-TSR-577" };
    house.refused("quantize packed --to Q8_0 --out none.gguf", "CS-MDL-025");
    house.refused("engine --model packed", "CS-ENG-004");
    let run = house.run("diff tiny packed");
    assert!(run.code == 2 && run.err.contains(code), "{}{}", run.out, run.err);
}

/// An adapter of rank two for the queries and values of both layers.
fn adapter(house: &House) {
    let values = |count: usize, seed: u16| -> Vec<u8> {
        let next =
            |at: usize| f32::from(u16::try_from((at * 40_503 + usize::from(seed) * 977) % 2048).unwrap());
        (0..count).flat_map(|at| (next(at) / 32_768.0 - 0.03).to_le_bytes()).collect()
    };
    let mut parts = Vec::new();
    for layer in 0..2_u16 {
        for (module, outputs) in [("q_proj", 256), ("v_proj", 128)] {
            let name = format!("base_model.model.model.layers.{layer}.self_attn.{module}");
            parts.push((format!("{name}.lora_A.weight"), Dtype::F32, vec![2, 256], values(512, layer)));
            parts.push((
                format!("{name}.lora_B.weight"),
                Dtype::F32,
                vec![outputs, 2],
                values(outputs * 2, layer + 7),
            ));
        }
    }
    house.write("lora/adapter_model.safetensors", &file(&parts));
    let config =
        json!({ "peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"] });
    house.write("lora/adapter_config.json", config.to_string().as_bytes());
}

#[test]
fn an_adapter_is_measured_against_its_base_whatever_that_is_kept_in() {
    let house = house(Method::Gptq);
    adapter(&house);
    house.ok("quantize rounded --to Q8_0 --out q8.gguf");
    let relative = |base: &str| -> Vec<(String, f64)> {
        let told = house.json(&format!("diff {base} lora"));
        assert_eq!(told["unmeasured"], json!([]), "{told}");
        let rows = told["tensors"].as_array().unwrap();
        rows.iter()
            .map(|row| {
                let ppm = row["relative_frobenius_ppm"].as_f64().unwrap_or_else(|| panic!("{base}: {row}"));
                (row["name"].as_str().unwrap().to_owned(), ppm)
            })
            .collect()
    };
    let rounded = relative("rounded");
    assert_eq!(rounded.len(), 4);
    assert_eq!(relative("packed"), rounded);
    for ((name, exact), (other, near)) in rounded.iter().zip(relative("q8.gguf")) {
        assert!(*name == other && (near / exact - 1.0).abs() < 0.01, "{name}: {exact}, {other}: {near}");
    }
}

#[test]
fn what_gptq_packed_is_compared_and_quantised_by_its_weights() {
    walk(Method::Gptq);
}

#[test]
fn what_awq_packed_is_compared_and_quantised_by_its_weights() {
    walk(Method::Awq);
}
