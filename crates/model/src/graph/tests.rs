mod gradients;

use super::*;
use crate::cache::Cache;
use crate::config::{Architecture, Mlp, NormKind, Pairing, Positions, Presence, Rotary, Stretch, Windows};
use crate::fast::Activations;
use crate::kernel::Activation;
use crate::made::Mix;
use crate::model::Continuation;
use crate::score::Scored;
use crate::tap::{NoTap, Recorder, Site};
use crate::train::{AdamW, AdamWSettings, Example, cross_entropy};

/// A tiny configuration of each family, every variation of the graph among them.
pub(crate) fn tiny(architecture: Architecture) -> Config {
    let gemma = matches!(architecture, Architecture::Gemma2 | Architecture::Gemma3);
    let gpt2 = architecture == Architecture::Gpt2;
    let present = |present| if present { Presence::Present } else { Presence::Absent };
    let rotary = |base, stretch| Rotary { base, stretch };
    Config {
        architecture,
        vocabulary: 61,
        hidden: 32,
        layers: if gemma { 3 } else { 2 },
        heads: 4,
        kv_heads: if gpt2 { 4 } else { 2 },
        head_len: if gemma { 12 } else { 8 },
        inner: 48,
        context: 40,
        norm: match architecture {
            Architecture::Gpt2 => NormKind::Layer,
            Architecture::Gemma2 | Architecture::Gemma3 => NormKind::RmsPlusOne,
            _ => NormKind::Rms,
        },
        norm_epsilon: 1e-5,
        head_norms: present(matches!(architecture, Architecture::Qwen3 | Architecture::Gemma3)),
        post_norms: present(gemma),
        qkv_biases: present(gpt2 || architecture == Architecture::Qwen2),
        biases: present(gpt2),
        activation: if gpt2 || gemma { Activation::GeluTanh } else { Activation::Silu },
        mlp: if gpt2 { Mlp::Plain } else { Mlp::Gated },
        positions: if gpt2 {
            Positions::Learned
        } else {
            let stretch = match architecture {
                Architecture::Llama => Stretch::Llama3 { factor: 4.0, low: 1.0, high: 4.0, original: 16.0 },
                Architecture::Qwen2 => Stretch::Linear { factor: 2.0 },
                _ => Stretch::None,
            };
            let pairing =
                if architecture == Architecture::Llama { Pairing::Neighbours } else { Pairing::Halves };
            let (global, local) = (rotary(1e4, stretch), rotary(100.0, Stretch::None));
            Positions::Rotary { global, local: if gemma { local } else { global }, pairing }
        },
        attention_scale: 0.3,
        attention_cap: (architecture == Architecture::Gemma2).then_some(1.5),
        logit_cap: (architecture == Architecture::Gemma2).then_some(3.0),
        windows: match architecture {
            Architecture::Gemma2 => Windows::Periodic { length: 5, period: 2 },
            Architecture::Gemma3 => Windows::Periodic { length: 4, period: 3 },
            _ => Windows::None,
        },
        embedding_scale: if gemma { 5.656 } else { 1.0 },
    }
}

pub(crate) const ALL: [Architecture; 6] = [
    Architecture::Llama,
    Architecture::Qwen2,
    Architecture::Qwen3,
    Architecture::Gemma2,
    Architecture::Gemma3,
    Architecture::Gpt2,
];

fn sequences(seed: u64, lengths: &[usize]) -> Vec<Vec<u32>> {
    let mut mix = Mix(seed);
    lengths.iter().map(|&len| (0..len).map(|_| mix.below(61) as u32).collect()).collect()
}

#[track_caller]
fn close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    let most = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(most <= tolerance, "differs by {most}");
}

#[test]
fn both_ways_of_running_agree_for_every_architecture() {
    for architecture in ALL {
        let model = Model::untrained(tiny(architecture), 3).unwrap();
        let graph = Graph::of(&model, &Trained::Nothing).unwrap();
        let sequences = sequences(5, &[19, 7, 12]);
        let views: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let mut slow_tap = Recorder::new(|_| true);
        let mut fast_tap = Recorder::<Activations>::new(|_| true);
        let slow = graph.logits(&views, &mut slow_tap).unwrap();
        let fast = model.observe(&views, None, &mut fast_tap).unwrap();
        let mut expected = Vec::new();
        for (at, sequence) in sequences.iter().enumerate() {
            let rows = slow.narrow(0, at, 1).unwrap().narrow(1, 0, sequence.len()).unwrap();
            expected.extend(rows.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        }
        close(&fast.values, &expected, 2e-4);
        assert_eq!(
            fast_tap.values.keys().collect::<Vec<_>>(),
            slow_tap.values.keys().collect::<Vec<_>>(),
            "{architecture:?}"
        );
        for sequence in 0..3 {
            let site = Site::Attention { layer: 1, sequence };
            let fast = &fast_tap.values[&site][0];
            let slow = &slow_tap.values[&site][0];
            assert_eq!(fast.shape, slow.dims());
            close(&fast.values, &slow.flatten_all().unwrap().to_vec1::<f32>().unwrap(), 1e-5);
            for row in fast.rows() {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn reading_at_once_in_parts_and_in_company_gives_the_same_bits() {
    for architecture in ALL {
        let model = Model::untrained(tiny(architecture), 4).unwrap();
        let sequences = sequences(6, &[33, 9]);
        let whole = {
            let mut cache = Cache::new(model.config(), 40);
            model.next(Continuation { tokens: &sequences[0], cache: &mut cache, adapter: None }).unwrap()
        };
        let mut cache = Cache::new(model.config(), 40);
        let mut last = Vec::new();
        for tokens in sequences[0].chunks(5) {
            let mut other = Cache::new(model.config(), 40);
            let both = vec![
                Continuation { tokens: &sequences[1], cache: &mut other, adapter: None },
                Continuation { tokens, cache: &mut cache, adapter: None },
            ];
            last = model.step(both).unwrap().pop().unwrap();
        }
        assert_eq!(last, whole, "{architecture:?}");
        assert_eq!(cache.tokens(), sequences[0]);
        // Going back and on again is as if it had not happened.
        cache.truncate(17);
        let again = Continuation { tokens: &sequences[0][17..], cache: &mut cache, adapter: None };
        assert_eq!(model.next(again).unwrap(), whole);
    }
}

#[test]
fn scores_are_the_logits_probabilities() {
    let model = Model::untrained(tiny(Architecture::Qwen3), 8).unwrap();
    let tokens = sequences(9, &[21]).remove(0);
    let scored = Scored { tokens: tokens.clone(), from: 4, top: 61, adapter: None };
    let scores = model.score(&[scored.clone(), scored]).unwrap();
    assert_eq!(scores[0], scores[1]);
    let logits = model.observe(&[&tokens], None, &mut NoTap).unwrap();
    for (at, score) in scores[0].iter().enumerate() {
        assert_eq!(score.token, tokens[at + 4]);
        let row = logits.rows().nth(at + 3).unwrap();
        let total: f64 = row.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
        assert!((f64::from(score.logprob) - (f64::from(row[score.token as usize]) - total)).abs() < 1e-5);
        let sum: f64 = score.top.iter().map(|(_, logprob)| f64::from(*logprob).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-5);
        assert!(score.top.is_sorted_by(|a, b| a.1 >= b.1));
    }
}

#[test]
fn cross_entropy_is_the_weighted_mean() {
    let logits = Tensor::new(&[[1.0_f32, 2.0, 0.5], [0.0, 0.0, 0.0]], &Device::Cpu).unwrap();
    let loss = cross_entropy(&logits, vec![1, 2], vec![1.0, 3.0], 4.0).unwrap().to_scalar::<f32>().unwrap();
    let first = 2.0 - (1.0_f64.exp() + 2.0_f64.exp() + 0.5_f64.exp()).ln();
    let expected = -(first + 3.0 * (1.0_f64 / 3.0).ln()) / 4.0;
    assert!((f64::from(loss) - expected).abs() < 1e-6);
}

#[test]
fn training_learns_and_adapters_run_as_they_were_trained() {
    for architecture in [Architecture::Llama, Architecture::Gpt2, Architecture::Gemma3] {
        let base = Model::untrained(tiny(architecture), 31).unwrap();
        let targets =
            ["q_proj", "k_proj", "v_proj", "down_proj", "c_attn", "c_fc"].map(str::to_owned).to_vec();
        let trained = Trained::LowRank { rank: 4, alpha: 8.0, targets, seed: 32 };
        let graph = Graph::of(&base, &trained).unwrap();
        let tokens: Vec<u32> = (0..12).map(|i| i * 5 % 61).collect();
        let example = [Example { weights: vec![1.0; 12], tokens: tokens.clone() }];
        let mut optimiser = AdamW::new(graph.variables(), AdamWSettings::at(0.02)).unwrap();
        let first = optimiser.step(&graph.loss(&example).unwrap()).unwrap();
        let mut last = first;
        for _ in 0..40 {
            last = optimiser.step(&graph.loss(&example).unwrap()).unwrap();
        }
        assert!(last < 0.3 * first, "{architecture:?}: {first} to {last}");

        let mut model = base.clone();
        model.load_factors("learnt", &graph.factors().unwrap()).unwrap();
        let slow =
            graph.logits(&[&tokens], &mut NoTap).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let unmerged = model.observe(&[&tokens], Some("learnt"), &mut NoTap).unwrap().values;
        let merged = model.merged("learnt").unwrap().observe(&[&tokens], None, &mut NoTap).unwrap().values;
        close(&unmerged, &slow, 1e-3);
        close(&merged, &slow, 1e-3);
        // In one batch with a sequence that does not ask for it.
        let mut caches = [Cache::new(model.config(), 40), Cache::new(model.config(), 40)];
        let [a, b] = &mut caches;
        let both = vec![
            Continuation { tokens: &tokens, cache: a, adapter: None },
            Continuation { tokens: &tokens, cache: b, adapter: Some("learnt") },
        ];
        let rows = model.step(both).unwrap();
        assert_eq!(rows[1], unmerged[unmerged.len() - 61..]);
        let plain = base.observe(&[&tokens], None, &mut NoTap).unwrap().values;
        assert_eq!(rows[0], plain[plain.len() - 61..]);
        assert_eq!(model.observe(&[&tokens], Some("other"), &mut NoTap).unwrap_err().code(), "CS-MDL-014");
    }
}
