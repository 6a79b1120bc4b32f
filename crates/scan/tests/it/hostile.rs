//! Whatever the bytes: an answer, and no file passed over in silence.

use scan::report::Examined;

use crate::make::{calling, f32s, gguf, harmless, member, npy, one, scanned, tensors, trained, zip};

/// Every file cut short and with bytes changed gets an answer; what is not read whole is listed as not examined.
#[test]
fn damaged_files_are_answered() {
    let seeds: Vec<(&'static str, Vec<u8>)> = vec![
        ("m.safetensors", tensors(&[f32s("w", 8, &trained(64, 1))])),
        ("m.gguf", gguf(&[("general.architecture", "llama")], &[], &["a"], 0, &[0x3f; 36], 0)),
        ("m.pkl", calling("os", "system", "id")),
        ("m.pt", zip(&[member("m/data.pkl", &harmless()), member("m/data/0", b"12345678")])),
        (
            "m.pt",
            zip(&[
                member("m/data.pkl", &harmless()),
                member("m/constants.pkl", &harmless()),
                member("m/code/__torch__/net.py", b"class Net(Module):\n  pass\n"),
                member("m/code/other", b"\x00\x01\x02"),
            ]),
        ),
        ("a.npy", npy("|O", &harmless())),
        ("config.json", br#"{"auto_map": {"a": "b.c"}, "rms_norm_eps": 1e-5}"#.to_vec()),
        (
            "tokenizer.json",
            br#"{"added_tokens": [], "model": {"vocab": {"a": 0}, "merges": ["a a"]}}"#.to_vec(),
        ),
        ("t.jinja", b"{% if 'x' in y %}{{ 'a' }}{% endif %}{# c #}".to_vec()),
        ("README.md", "words, \u{200b}\u{200b}\u{200b} and more".as_bytes().to_vec()),
    ];
    for (name, seed) in seeds {
        let mut state = 1_u32;
        let mut next = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % below
        };
        let cut = (0..seed.len().min(200)).map(|length| seed[..length].to_vec());
        let cuts: Vec<Vec<u8>> = cut.collect();
        let changed: Vec<Vec<u8>> = (0..300)
            .map(|_| {
                let mut bytes = seed.clone();
                for _ in 0..3 {
                    let at = next(bytes.len());
                    bytes[at] = next(256) as u8;
                }
                bytes
            })
            .collect();
        for bytes in cuts.into_iter().chain(changed) {
            let report = scanned(&one(name, bytes));
            assert_eq!(report.files.iter().filter(|seen| !seen.path.contains('!')).count(), 1, "{name}");
            for seen in &report.files {
                let listed = report.not_examined.iter().any(|unexamined| unexamined.path == seen.path);
                let told = report.findings.iter().any(|finding| finding.path.starts_with(&seen.path));
                assert!(seen.examined == Examined::Whole || listed || told, "{name}: {seen:?} passed over");
            }
        }
    }
}

/// A place that PyTorch's own programs have hides nothing else: with the constants that make an archive a program, and without.
#[test]
fn what_lies_beside_programs_is_looked_at() {
    let inside = [
        ("m/code/evil.pkl", calling("os", "system", "id"), "SCAN-PKL-001"),
        ("m/code/evil.py", calling("os", "system", "id"), "SCAN-PKL-001"),
        ("m/code/tool", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0".to_vec(), "SCAN-FIL-003"),
        ("m/code/run.sh", b"#!/bin/sh\nid\n".to_vec(), "SCAN-FIL-002"),
    ];
    for (name, bytes, rule) in inside {
        for constants in [true, false] {
            let pickled = harmless();
            let mut members = vec![member("m/data.pkl", &pickled), member(name, &bytes)];
            if constants {
                members.push(member("m/constants.pkl", &pickled));
            }
            let report = scanned(&one("m.pt", zip(&members)));
            let fired: Vec<&str> = report.findings.iter().map(|finding| finding.rule.as_str()).collect();
            assert!(fired.contains(&rule), "{name}, constants {constants}: {fired:?}");
        }
    }
}

#[test]
fn findings_without_number_are_counted_and_not_listed() {
    let values = vec![f32::NAN; 64];
    let names: Vec<&'static str> =
        (0..500).map(|at| &*Box::leak(format!("t{at}").into_boxed_str())).collect();
    let list: Vec<_> = names.iter().map(|name| f32s(name, 8, &values)).collect();
    let report = scanned(&one("m.safetensors", tensors(&list)));
    let listed = report.findings.iter().filter(|finding| finding.rule == "SCAN-VAL-001").count();
    let more: u64 =
        report.more.iter().filter(|more| more.rule == "SCAN-VAL-001").map(|more| more.findings).sum();
    assert_eq!(listed as u64 + more, 500);
    assert!(listed <= 20);
}

#[test]
fn deep_documents_and_long_texts_end() {
    for text in ["[".repeat(100_000), "{%".repeat(100_000), "{{ '".repeat(50_000), "(".repeat(300_000)] {
        for name in ["config.json", "t.jinja", "a.pkl", "README.md"] {
            let report = scanned(&one(name, text.clone().into_bytes()));
            assert_eq!(report.files.len(), 1);
        }
    }
}
