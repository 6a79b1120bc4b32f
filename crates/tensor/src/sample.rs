//! Small models and adapters for demonstrations and tests. They are *made*, by a formula from a seed, not
//! trained: they have the names and shapes of a transformer's weights and answer nothing.

use crate::Error;
use crate::safetensors::{Dtype, write};

/// A base and adapters for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// `model.safetensors` of the base: two layers, 256 wide, F32.
    pub base: Vec<u8>,
    /// `adapter_config.json`, for both adapters.
    pub config: String,
    /// `adapter_model.safetensors` whose every module is within 5 % of its base weight, by Frobenius norm and by
    /// largest element.
    pub within: Vec<u8>,
    /// The same with sixteen times larger `B` factors: each module is outside by both.
    pub outside: Vec<u8>,
}

/// Side of the square weights.
pub const WIDTH: usize = 256;
/// Rank of the adapters.
pub const RANK: usize = 4;
/// Layers of the base.
pub const LAYERS: usize = 2;
/// The modules of each layer that the adapters change.
pub const TARGETS: [&str; 2] = ["self_attn.q_proj", "self_attn.v_proj"];

const MODULES: [&str; 7] = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
];

/// Makes a base and two adapters. The same seed gives the same bytes everywhere.
///
/// Weights are spread evenly over ±1/32, `A` over ±1/64 and `B` over ±1/128, and `s` is 2. So no element of `ΔW`
/// exceeds `2·4/(64·128)`, a thirty-second of the largest weight there can be.
///
/// # Errors
/// None in practice; the writer's are passed on.
pub fn base_and_adapter(seed: u64) -> Result<Sample, Error> {
    let mut numbers = SplitMix64(seed);
    let mut base = Tensors::default();
    base.add("model.embed_tokens.weight".into(), [WIDTH, WIDTH], spread(&mut numbers, WIDTH * WIDTH, 5));
    for layer in 0..LAYERS {
        for module in MODULES {
            let name = format!("model.layers.{layer}.{module}.weight");
            base.add(name, [WIDTH, WIDTH], spread(&mut numbers, WIDTH * WIDTH, 5));
        }
    }
    let (mut within, mut outside) = (Tensors::default(), Tensors::default());
    for layer in 0..LAYERS {
        for module in TARGETS {
            let path = format!("base_model.model.model.layers.{layer}.{module}");
            let a = spread(&mut numbers, RANK * WIDTH, 6);
            let b = spread(&mut numbers, RANK * WIDTH, 7);
            let larger = b.iter().map(|value| value * 16.0).collect();
            for (tensors, b) in [(&mut within, b), (&mut outside, larger)] {
                tensors.add(format!("{path}.lora_A.weight"), [RANK, WIDTH], a.clone());
                tensors.add(format!("{path}.lora_B.weight"), [WIDTH, RANK], b);
            }
        }
    }
    Ok(Sample {
        base: base.write()?,
        config: format!(
            "{{\n  \"base_model_name_or_path\": \"countersign/sample-{seed}\",\n  \"bias\": \"none\",\n  \
             \"fan_in_fan_out\": false,\n  \"lora_alpha\": {},\n  \"modules_to_save\": null,\n  \
             \"peft_type\": \"LORA\",\n  \"r\": {RANK},\n  \"target_modules\": [\"q_proj\", \"v_proj\"],\n  \
             \"task_type\": \"CAUSAL_LM\",\n  \"use_dora\": false,\n  \"use_rslora\": false\n}}\n",
            2 * RANK,
        ),
        within: within.write()?,
        outside: outside.write()?,
    })
}

/// Values spread evenly over ±2^-`halvings`, each a multiple of 2^-(23 + `halvings`) and so exact.
fn spread(numbers: &mut SplitMix64, count: usize, halvings: u32) -> Vec<f32> {
    #[expect(clippy::cast_precision_loss, reason = "a power of two")]
    let step = 1.0 / (1_u64 << (23 + halvings)) as f32;
    std::iter::repeat_with(|| {
        let bits = u32::try_from(numbers.draw() >> 40).unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "24 bits fit an f32 exactly")]
        let centred = (bits.cast_signed() - (1 << 23)) as f32;
        centred * step
    })
    .take(count)
    .collect()
}

/// Tensors to be written.
#[derive(Default)]
struct Tensors(Vec<(String, [usize; 2], Vec<u8>)>);

impl Tensors {
    fn add(&mut self, name: String, shape: [usize; 2], values: Vec<f32>) {
        let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
        self.0.push((name, shape, bytes));
    }

    fn write(&self) -> Result<Vec<u8>, Error> {
        let tensors: Vec<(&str, Dtype, &[usize], &[u8])> = self
            .0
            .iter()
            .map(|(name, shape, bytes)| (name.as_str(), Dtype::F32, shape.as_slice(), bytes.as_slice()))
            .collect();
        write(&tensors)
    }
}

/// SplitMix64 (Steele, Lea, Flood, 2014): material for tests, never a decision.
struct SplitMix64(u64);

impl SplitMix64 {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests;
