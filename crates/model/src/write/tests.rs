use bytes::Bytes;

use super::*;
use crate::config::Mlp;
use crate::generate::Generate;
use crate::graph::tests::{ALL, tiny};
use crate::sampling::Sampling;
use crate::tap::NoTap;
use crate::tokenizer::Controls;

/// The tiny configuration with the settings that files of the architecture have.
fn settled(architecture: Architecture) -> Config {
    let config = tiny(architecture);
    let period = if architecture == Architecture::Gemma3 { 6 } else { 2 };
    let gemma = matches!(architecture, Architecture::Gemma2 | Architecture::Gemma3);
    Config {
        norm_epsilon: 2_f64.powi(-17),
        attention_scale: (config.head_len as f64).sqrt().recip(),
        embedding_scale: if gemma { (config.hidden as f64).sqrt() } else { 1.0 },
        windows: match config.windows {
            Windows::Periodic { length, .. } => Windows::Periodic { length, period },
            Windows::None => Windows::None,
        },
        positions: match config.positions {
            Positions::Rotary { global, local, .. } => {
                let stretch = match global.stretch {
                    Stretch::Llama3 { .. } => Stretch::None,
                    other => other,
                };
                let global = Rotary { stretch, ..global };
                // Gemma 3 alone turns differently inside its windows.
                let local = if architecture == Architecture::Gemma3 { local } else { global };
                Positions::Rotary { global, local, pairing: Pairing::Halves }
            }
            Positions::Learned => Positions::Learned,
        },
        ..config
    }
}

fn written(model: &Model, vocabulary: Option<Vocabulary<'_>>) -> Bytes {
    let mut file = Vec::new();
    model.write_gguf(vocabulary, |bytes| file.extend_from_slice(bytes)).unwrap();
    file.into()
}

#[test]
fn what_is_read_back_is_the_same_model() {
    for architecture in ALL {
        let model = Model::untrained(settled(architecture), 9).unwrap();
        let file = written(&model, None);
        let again = Model::from_gguf(&file).unwrap();
        assert_eq!(again.config().architecture, architecture);
        let tokens: Vec<u32> = (0..23).map(|i| i * 7 % 61).collect();
        let logits = |model: &Model| model.observe(&[&tokens], None, &mut NoTap).unwrap().values;
        // Rows in another order are added up in another order.
        let most = logits(&again).iter().zip(logits(&model)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(most < 1e-5, "{architecture:?}: {most}");
        // And what was read from such a file is written as it was.
        assert_eq!(written(&again, None), file, "{architecture:?}");
    }
}

#[test]
fn settings_without_a_place_are_refused() {
    let refused = |config: Config| {
        let model = Model::untrained(config, 1).unwrap();
        let error = model.write_gguf(None, |_| ()).unwrap_err();
        assert_eq!(error.code(), "CS-MDL-023", "{error}");
    };
    // Frequencies as Llama 3 stretches them.
    refused(Config { attention_scale: 8_f64.sqrt().recip(), ..tiny(Architecture::Llama) });
    let llama = settled(Architecture::Llama);
    refused(Config { attention_scale: 0.3, ..llama.clone() });
    refused(Config { embedding_scale: 2.0, ..llama.clone() });
    refused(Config { mlp: Mlp::Plain, ..llama });
    let gemma = settled(Architecture::Gemma3);
    refused(Config { windows: Windows::Periodic { length: 4, period: 3 }, ..gemma });
}

/// Our own model: from its folder, and from a file with everything in it.
#[test]
fn our_own_model_says_the_same_from_one_file() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models/countersign-tiny");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let json = String::from_utf8(read("tokenizer.json")).unwrap();
    let tokenizer = Tokenizer::from_json(json.as_bytes(), Some(&read("tokenizer_config.json"))).unwrap();
    let weights = Bytes::from(read("model.safetensors"));
    let model = Model::from_safetensors(&read("config.json"), &[weights]).unwrap();
    let template = tokenizer.template();
    let file = written(&model, Some(Vocabulary { json: &json, tokenizer: &tokenizer, template }));
    let again = Model::from_gguf(&file).unwrap();
    let texts = Tokenizer::from_gguf(&Gguf::read(&file).unwrap()).unwrap();
    assert_eq!((texts.begin(), texts.ends()), (tokenizer.begin(), tokenizer.ends()));
    assert_eq!(texts.template(), tokenizer.template());
    assert!(texts.template().is_some() && texts.begin().is_some());
    let prompt = "<|begin|> <|user|> what is the colour of the apple <|assistant|>";
    let tokens = tokenizer.encode(prompt, Controls::Parsed).unwrap();
    assert_eq!(texts.encode(prompt, Controls::Parsed).unwrap(), tokens);
    let said = |model: &Model| {
        let generate = Generate {
            prompt: tokens.clone(),
            tokens_max: 8,
            sampling: Sampling::GREEDY,
            stop: Vec::new(),
            top: 0,
            adapter: None,
        };
        let steps = model.generate(&texts, generate, None).unwrap();
        steps.map(|step| step.unwrap().score.token).collect::<Vec<u32>>()
    };
    assert_eq!(said(&again), said(&model));
}
