use tensor::safetensors::Dtype;

use super::*;
use crate::fingerprint::block_mark;
use crate::source::{Elements, Tensor};

fn sealed(rule: &Rule, bytes: &[u8]) -> Seal {
    Seal::of(rule, &tensors(bytes), |_| ()).unwrap()
}

fn tensors(bytes: &[u8]) -> Vec<Tensor<'_>> {
    (1..=5_u64)
        .map(|number| {
            let elements = Elements::Plain {
                dtype: Dtype::U8,
                bytes: &bytes[..usize::try_from(number).unwrap() * 70_000],
            };
            Tensor::new(format!("t{number}"), vec![number * 70_000], elements).unwrap()
        })
        .collect()
}

#[test]
fn every_block_is_proven_and_no_other_block_in_its_place() {
    let rule = Rule::exact();
    let bytes: Vec<u8> = (0..350_000_u32).map(|number| (number / 251).to_le_bytes()[0]).collect();
    let seal = sealed(&rule, &bytes);
    let tensors = tensors(&bytes);
    for tensor in &tensors {
        for block in 0..tensor.length().div_ceil(rule.block()) {
            let proof = seal.prove(tensor.name(), block).unwrap();
            let mark = block_mark(&rule, tensor, block).unwrap();
            proof.verify(&rule, mark, seal.root()).unwrap();
            assert!(proof.verify(&Rule::eight(), mark, seal.root()).is_err());
            let mut other = *mark.as_bytes();
            other[31] ^= 1;
            assert!(proof.verify(&rule, Mark::new(other), seal.root()).is_err());
            for tampered in [
                BlockProof { tensor: "t9".to_owned(), ..proof.clone() },
                BlockProof { shape: vec![tensor.length(), 1], ..proof.clone() },
                BlockProof { block: block + 1, ..proof.clone() },
                BlockProof { index: proof.index ^ 1, ..proof.clone() },
                BlockProof { tensors: proof.tensors + 1, ..proof.clone() },
                BlockProof { in_model: proof.in_model[1..].to_vec(), ..proof.clone() },
                BlockProof { shape: vec![u64::MAX, 2], ..proof.clone() },
            ] {
                assert_eq!(tampered.verify(&rule, mark, seal.root()).unwrap_err().code(), "CS-SEL-015");
            }
        }
    }
    assert_eq!(seal.prove("t1", 2).unwrap_err().code(), "CS-SEL-014");
    assert_eq!(seal.prove("t0", 0).unwrap_err().code(), "CS-SEL-014");
}
