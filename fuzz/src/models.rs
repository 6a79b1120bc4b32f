//! `tensor`: safetensors, indices, adapters, scopes.

use tensor::peft::{Adapter, Config};
use tensor::safetensors::{Index, SafeTensors, write};
use tensor::scope::{Scope, Verdict, check_adapter, check_prompt, check_settings};

pub(crate) fn safetensors(data: &[u8]) {
    let Ok(file) = SafeTensors::read(data) else { return };
    let views: Vec<_> = file.views().collect();
    for view in &views {
        drop(view.check_elements());
        if let Some(elements) = view.elements() {
            assert_eq!(elements.count(), view.elements_len());
        }
    }
    // Written anew it holds the same tensors.
    let tensors: Vec<_> = views.iter().map(|view| (view.name, view.dtype, view.shape, view.data)).collect();
    let Ok(again) = write(&tensors) else { return };
    let again = SafeTensors::read(&again).expect("what is written is read");
    let read: Vec<_> = again.views().map(|view| (view.name, view.dtype, view.shape, view.data)).collect();
    assert_eq!(read, tensors);
}

pub(crate) fn safetensors_index(data: &[u8]) {
    if let Ok(index) = Index::read(data) {
        for shard in index.shards() {
            assert!(
                !shard.contains(['/', '\\']) && shard.ends_with(".safetensors"),
                "{shard:?} leads elsewhere"
            );
        }
    }
}

pub(crate) fn peft_config(data: &[u8]) {
    if let Ok(config) = Config::read(data) {
        for path in ["model.layers.0.self_attn.q_proj", "", "lm_head"] {
            if let Some(scaling) = config.scaling_of(path) {
                assert!(!scaling.is_nan());
            }
            let _ = config.rank_of(path);
        }
        assert!(config.unread().count() <= data.len());
    }
}

/// A configuration, a zero byte, the tensors.
pub(crate) fn adapter(data: &[u8]) {
    let (config, file) = data.split_at(data.iter().position(|byte| *byte == 0).unwrap_or(data.len()));
    let Ok(config) = Config::read(config) else { return };
    let Ok(file) = SafeTensors::read(file.get(1..).unwrap_or_default()) else { return };
    let adapter = Adapter::join(config, &file);
    let report = check_adapter(&Scope::closed(), &adapter, None);
    assert!(
        report.within != Verdict::Within || file.views().next().is_none(),
        "the scope that allows nothing allows something"
    );
}

pub(crate) fn scope(data: &[u8]) {
    if let Ok(scope) = Scope::read(data) {
        let written = serde_json::to_vec(&scope).expect("a scope has an encoding");
        assert_eq!(Scope::read(&written).expect("what is written is read"), scope);
    }
}

/// A scope, then old and new settings, then old and new prompt, with zero bytes between.
pub(crate) fn scope_settings(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == 0);
    let Some(Ok(scope)) = parts.next().map(Scope::read) else { return };
    let mut text = || parts.next().and_then(|part| std::str::from_utf8(part).ok()).unwrap_or_default();
    let (old, new) = (text(), text());
    if let (Ok(_), Ok(same)) = (check_settings(&scope, old, new), check_settings(&scope, new, new)) {
        assert!(
            scope.settings.is_none() || same.within == Verdict::Within,
            "settings that did not change are out of scope"
        );
    }
    drop(check_prompt(&scope, old, new));
}
