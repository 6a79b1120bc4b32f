//! `quant`: weights out of blocks and packed words.

use quant::gptq::{Grouping, ZeroPoints};
use quant::{Kind, awq, bitsandbytes, gptq};
use tensor::safetensors::SafeTensors;
use tensor::weights::Weights;
use tensor::weights::packed::{Packing, Unpacked};

/// The first eight bytes say what the rest is.
pub(crate) fn weights(data: &[u8]) {
    let Some((head, rest)) = data.split_first_chunk::<8>() else { return };
    let [form, first, second, third, inputs, outputs, grouping, size] = *head;
    let (inputs, outputs, size) = (usize::from(inputs), usize::from(outputs), usize::from(size));
    let words: Vec<i32> = rest.as_chunks::<4>().0.iter().map(|word| i32::from_le_bytes(*word)).collect();
    let floats: Vec<f32> = rest.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
    let cut = |at: u8| usize::from(at) * words.len() / 256;
    let (begin, end) = (cut(first.min(second)), cut(first.max(second)));
    let mut out = vec![0.0; inputs * outputs];
    match form % 4 {
        0 => {
            let kinds = Kind::ALL;
            let kind = kinds[usize::from(first) % kinds.len()];
            let blocks = rest.len() / kind.block_bytes();
            let blocks = &rest[..blocks * kind.block_bytes()];
            let mut out = vec![0.0; blocks.len() / kind.block_bytes() * kind.block_elements()];
            quant::dequantize(kind, blocks, &mut out).expect("whole blocks");
            drop(quant::check(kind, blocks));
            // What is finite can be made into blocks again.
            if out.iter().all(|value| value.is_finite()) {
                drop(quant::quantize(kind, &out, kind.block_elements(), None));
            }
        }
        1 => {
            let even = grouping & 1 == 0;
            let grouping = if even { Grouping::Even(size) } else { Grouping::Index(&words[end..]) };
            let zero_points = if third & 1 == 0 { ZeroPoints::LessOne } else { ZeroPoints::AsTheyAre };
            drop(gptq::unpack(
                &gptq::Layer {
                    bits: u32::from(third >> 1),
                    inputs,
                    outputs,
                    qweight: &words[..begin],
                    qzeros: &words[begin..end],
                    scales: &floats[end..],
                    grouping,
                    zero_points,
                },
                &mut out,
            ));
        }
        2 => drop(awq::unpack(
            &awq::Layer {
                inputs,
                outputs,
                qweight: &words[..begin],
                qzeros: &words[begin..end],
                scales: &floats[end..],
                group_size: size,
            },
            &mut out,
        )),
        _ => {
            let table = if third & 1 == 0 { bitsandbytes::FourBit::Nf4 } else { bitsandbytes::FourBit::Fp4 };
            let backend = bitsandbytes::Backend::Midpoints;
            let packed = &rest[..begin * 4];
            let block = 64 << (size % 4);
            let mut out = vec![0.0; packed.len() * 2];
            drop(bitsandbytes::dequantize_4bit(table, backend, packed, &floats[begin..], block, &mut out));
            drop(bitsandbytes::quantize_4bit(table, backend, &floats, block));
        }
    }
}

/// A model's configuration, its length before it, and its weights: no layer is larger than its integers say, and what is
/// unpacked stands in the place of its parts.
pub(crate) fn model(data: &[u8]) {
    let Some((length, rest)) = data.split_first_chunk::<2>() else { return };
    let Some((config, file)) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length))) else {
        return;
    };
    let Ok(Some(packing)) = Packing::of_config(config) else { return };
    let Ok(file) = SafeTensors::read(file) else { return };
    let stored = Weights::from(&file);
    let Ok(unpacked) = Unpacked::of(&stored, packing) else { return };
    let Ok(weights) = unpacked.among(&stored) else { return };
    for tensor in weights.tensors() {
        if unpacked.packing_of(tensor.name()).is_some() {
            assert!(tensor.data().len() <= data.len() * 16, "{} of {}", tensor.data().len(), data.len());
        }
    }
    assert!(weights.len() <= stored.len());
}

/// An importance matrix: no more values than the file has room for, each once.
pub(crate) fn importance_matrix(data: &[u8]) {
    let Ok(matrix) = tensor::imatrix::Matrix::read(data) else { return };
    let values: usize = matrix.iter().map(|(_, values)| values.len()).sum();
    assert!(values * 4 <= data.len(), "{values} values of {} bytes", data.len());
    assert!(
        matrix.iter().all(|(name, values)| matrix.of(name).is_some_and(|found| found.len() == values.len()))
    );
}
