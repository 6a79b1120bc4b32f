use tensor::safetensors::Dtype;

use super::*;
use crate::source::{Elements, Tensor};
use crate::{Rule, Seal};

fn sealed() -> Seal {
    let bytes = vec![0; 8 * 65_536];
    let tensors: Vec<Tensor<'_>> = (1..=8_u64)
        .map(|number| {
            let elements = Elements::Plain {
                dtype: Dtype::U8,
                bytes: &bytes[..usize::try_from(number).unwrap() * 65_536],
            };
            Tensor::new(format!("t{number}"), vec![number * 65_536], elements).unwrap()
        })
        .collect();
    Seal::of(&Rule::exact(), &tensors, |_| ()).unwrap()
}

#[test]
fn draws_are_distinct_blocks_of_the_seal_and_differ_from_seed_to_seed() {
    let seal = sealed();
    assert_eq!(seal.blocks(), 36);
    let mut times = vec![0_u32; 36];
    let all = draw(&seal, &[0; 32], 1000);
    assert_eq!(all.len(), 36);
    for number in 0..=255_u8 {
        let spots = draw(&seal, &[number; 32], 9);
        assert_eq!(spots.len(), 9);
        assert!(spots.windows(2).all(|pair| pair[0] < pair[1]));
        for spot in spots {
            times[all.binary_search(&spot).unwrap()] += 1;
        }
    }
    // 256 draws of a quarter: 64 each on average, standard deviation 7.
    assert!(times.iter().all(|times| (36..=92).contains(times)), "{times:?}");
    assert!(draw(&seal, &[0; 32], 0).is_empty());
}

#[test]
fn the_chance_to_miss_is_that_of_drawing_without_putting_back() {
    assert_eq!(missed_ppm(4, 1, 1), 750_000);
    assert_eq!(missed_ppm(4, 1, 4), 0);
    assert_eq!(missed_ppm(4, 2, 2), 166_667);
    assert_eq!(missed_ppm(10, 0, 5), 1_000_000);
    assert_eq!(missed_ppm(10, 10, 1), 0);
    assert_eq!(missed_ppm(1_000_000, 1, 0), 1_000_000);
}
