use serde_json::{Value, json};

use super::{Length, Letters, Pool, Pooling};

fn modules(kinds: &[(&str, &str)]) -> Value {
    let kinds = kinds
        .iter()
        .map(|(kind, path)| json!({ "type": format!("sentence_transformers.models.{kind}"), "path": path }));
    Value::Array(kinds.collect())
}

fn read(modules: Option<&Value>, pooling: Option<&Value>, sentence: Option<&Value>) -> Option<Pooling> {
    let bytes = |value: Option<&Value>| value.map(|value| value.to_string().into_bytes());
    let (modules, pooling, sentence) = (bytes(modules), bytes(pooling), bytes(sentence));
    Pooling::from_json(modules.as_deref(), pooling.as_deref(), sentence.as_deref(), 2).ok()
}

#[test]
fn a_folder_says_how_its_vectors_are_made() {
    let mean = json!({ "word_embedding_dimension": 2, "pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false });
    let whole = modules(&[("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]);
    let short = modules(&[("Transformer", ""), ("Pooling", "1_Pooling")]);
    assert_eq!(read(None, None, None), Some(Pooling::MEAN));
    assert_eq!(read(Some(&whole), Some(&mean), None), Some(Pooling { length: Length::One, ..Pooling::MEAN }));
    assert_eq!(read(Some(&short), Some(&mean), None), Some(Pooling::MEAN));
    let sentence = json!({ "max_seq_length": 256, "do_lower_case": true });
    let expected = Pooling { tokens_max: Some(256), letters: Letters::Small, ..Pooling::MEAN };
    assert_eq!(read(None, None, Some(&sentence)), Some(expected));
    for (name, pool) in [("cls", Pool::First), ("max", Pool::Max), ("mean_sqrt_len_tokens", Pool::MeanRoot)] {
        let newer = json!({ "pooling_mode": name });
        assert_eq!(read(None, Some(&newer), None), Some(Pooling { pool, ..Pooling::MEAN }));
    }
}

#[test]
fn what_would_give_other_vectors_is_refused() {
    let mean = json!({ "pooling_mode_mean_tokens": true });
    for kinds in [
        &[("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense")][..],
        &[("Transformer", ""), ("Pooling", "../1_Pooling")],
        &[("Transformer", "0_Transformer"), ("Pooling", "1_Pooling")],
        &[("Pooling", "1_Pooling")],
        &[("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", ""), ("Normalize", "")],
        &[],
    ] {
        assert_eq!(read(Some(&modules(kinds)), Some(&mean), None), None, "{kinds:?}");
    }
    let whole = modules(&[("Transformer", ""), ("Pooling", "1_Pooling")]);
    assert_eq!(read(Some(&whole), None, None), None);
    assert_eq!(read(Some(&json!({})), Some(&mean), None), None);
    for pooling in [
        json!({}),
        json!({ "pooling_mode_lasttoken": true }),
        json!({ "pooling_mode_weightedmean_tokens": true }),
        json!({ "pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true }),
        json!({ "pooling_mode": "lasttoken" }),
        json!({ "pooling_mode": 7 }),
        json!({ "pooling_mode_mean_tokens": true, "word_embedding_dimension": 3 }),
    ] {
        assert_eq!(read(None, Some(&pooling), None), None, "{pooling}");
    }
    for most in [json!(0), json!(2), json!(-1), json!("256")] {
        assert_eq!(read(None, None, Some(&json!({ "max_seq_length": most }))), None, "{most}");
    }
}

#[test]
fn poolings_are_what_their_names_say() {
    let rows = [[1.0_f32, -4.0], [3.0, -2.0], [5.0, 0.0], [7.0, 2.0]];
    let of = |pool| Pooling { pool, ..Pooling::MEAN }.apply(rows.iter().map(|row| &row[..]), 2);
    assert_eq!(of(Pool::First), [1.0, -4.0]);
    assert_eq!(of(Pool::Mean), [4.0, -1.0]);
    assert_eq!(of(Pool::MeanRoot), [8.0, -2.0]);
    assert_eq!(of(Pool::Max), [7.0, 2.0]);
    assert_eq!(
        Pooling { pool: Pool::Max, ..Pooling::MEAN }.apply([&[-3.0_f32, -1.0][..]].into_iter(), 2),
        [-3.0, -1.0]
    );
}
