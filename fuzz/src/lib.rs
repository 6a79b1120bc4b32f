//! What every parser promises about any bytes: it does not panic, does not hang, and what it takes it writes back
//! as it was.
//!
//! Each target is a plain function over bytes. `fuzz_targets/` hands them to libFuzzer, `tests/corpus.rs` replays
//! the committed corpus through them on every test run.
//!
//! Targets behind the feature `large` need policies' or models' machinery, which takes minutes to build. Their corpora are replayed
//! by the tests of the crates they are about, which are built anyway.

mod attestations;
mod bundles;
mod containers;
mod decisions;
mod examined;
#[cfg(feature = "large")]
mod executed;
#[cfg(feature = "large")]
mod exports;
mod keys;
mod log;
mod models;
mod packed;
#[cfg(feature = "large")]
mod policies;
mod recovery;
mod scans;
mod seals;
mod statements;
mod stored;
mod tensors;
mod traces;

/// What a target does with bytes. It panics where a promise is broken.
type Target = fn(&[u8]);

const TARGETS: &[(&str, Target)] = &[
    ("adapter", models::adapter),
    ("attestation", attestations::attestation),
    ("attestation_policy", attestations::policy),
    ("bundle", bundles::bundle),
    ("calibration_table", examined::table),
    ("certificate", attestations::certificate),
    #[cfg(feature = "large")]
    ("chat_render", executed::chat_render),
    ("chat_template", containers::chat_template),
    ("checkpoint", log::checkpoint),
    ("entry_bundle", log::entry_bundle),
    ("envelope_parse", statements::envelope),
    ("examination_evidence", examined::evidence),
    #[cfg(feature = "large")]
    ("examine_suite", executed::examine_suite),
    #[cfg(feature = "large")]
    ("export_audit", exports::export_audit),
    #[cfg(feature = "large")]
    ("gateway_answer", gateway::promises::answer),
    #[cfg(feature = "large")]
    ("gateway_heads", gateway::promises::heads),
    #[cfg(feature = "large")]
    ("gateway_request", gateway::promises::request),
    ("gguf", tensors::gguf),
    ("gpu_report", attestations::gpu_report),
    ("importance_matrix", packed::importance_matrix),
    ("json_parse", statements::json),
    ("key_file", keys::key_file),
    ("leaf_parse", statements::leaf),
    ("log_proof", log::proof),
    ("log_recovery", recovery::recovery),
    ("npy", tensors::npy),
    ("oms_bundle", seals::bundle),
    ("onnx", tensors::onnx),
    ("packed_model", packed::model),
    ("packed_weights", packed::weights),
    ("peft_config", models::peft_config),
    ("pickle_stream", containers::pickle_stream),
    #[cfg(feature = "large")]
    ("policy_cedar", policies::policy_cedar),
    #[cfg(feature = "large")]
    ("policy_rules", policies::policy_rules),
    ("response_table", decisions::response_table),
    ("rollout_plan", decisions::rollout_plan),
    ("safetensors", models::safetensors),
    ("safetensors_index", models::safetensors_index),
    ("scan_file", scans::file),
    ("scope", models::scope),
    ("scope_settings", models::scope_settings),
    ("seal_file", seals::seal),
    ("sealed_gguf", seals::gguf),
    ("signed_note", log::note),
    ("snp_report", attestations::snp_report),
    ("snp_table", attestations::snp_table),
    ("stage_data", decisions::stage_data),
    ("statement_parse", statements::statement),
    ("tile_path", log::tile_path),
    ("tokenizer_json", containers::tokenizer_json),
    ("torch_checkpoint", containers::torch_checkpoint),
    ("tpm_quote", attestations::tpm_quote),
    ("trace_file", traces::file),
    ("trace_proof", traces::proof),
    ("tree_proof", log::tree_proof),
    ("vault_attachment", stored::attachment),
    ("vault_manifest", stored::manifest),
    ("vault_snapshot", stored::snapshot),
    ("verifier_key", log::verifier_key),
    ("webauthn_assertion", statements::webauthn_assertion),
    ("witness_request", log::witness_request),
    ("zip_archive", containers::zip_archive),
];

/// The names of all targets, sorted.
pub fn targets() -> impl Iterator<Item = &'static str> {
    TARGETS.iter().map(|(name, _)| *name)
}

/// Runs one input through a target.
///
/// # Panics
/// Where the parser breaks a promise, or there is no such target.
pub fn run(target: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, target) = found.unwrap_or_else(|| panic!("no target `{target}`"));
    target(data);
}
