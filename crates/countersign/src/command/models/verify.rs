//! `countersign verify`: whether a model's files are those that an OpenSSF Model Signing bundle signs.

use std::path::Path;
use std::time::SystemTime;

use merkle::VerifierKey;
use seal::oms::bundle::BUNDLE_BYTES_MAX;
use seal::oms::inclusion::{self, Logged};
use seal::oms::key::PEM_BYTES_MAX;
use seal::oms::{Bundle, Certificate, PublicKey, Signer, Trust, Verified};
use serde_json::json;

use super::folder::Model;
use crate::cli::VerifyArgs;
use crate::command::Setting;
use crate::failure::{Done, Failure};
use crate::home::read_bounded;
use crate::text::{date, line};

/// Checks the signature, then that the files are those that were signed, all of them and no others.
pub(crate) fn verify(setting: &Setting, args: &VerifyArgs) -> Done {
    let bytes = read_bounded(&args.signature, BUNDLE_BYTES_MAX)?;
    let bundle = Bundle::parse(&bytes)?;
    let logged = args.inclusion.as_deref().map(|proof| included(args, proof, &bundle)).transpose()?;
    let verified = checked(args, bundle, logged.as_ref())?;
    let manifest = verified.manifest();
    let model = Model::walk(&args.path, &args.signature, manifest.serialization().symlinks)?;
    let jobs = manifest.plan(&model.found, &args.ignore)?;
    let hashed_bytes: u64 = jobs.iter().map(|job| job.bytes).sum();
    let hashed = model.hash(manifest.serialization().hash, jobs)?;
    manifest.compare(&hashed)?;
    let left_out: Vec<&str> = model
        .found
        .iter()
        .filter(|file| manifest.resources().iter().all(|resource| resource.path != file.path))
        .map(|file| file.path.as_str())
        .collect();
    let names = manifest.names()?;
    setting.print(
        &json!({
            "verified": true,
            "bytes": hashed_bytes,
            "key": verified.key().hint(),
            "left_out": left_out,
            "log": logged.as_ref().map(|logged| json!({
                "index": logged.index, "seen": logged.seen, "witnesses": logged.witnesses,
            })),
            "model": manifest.model(),
            "names": names,
            "names_signed": manifest.binds_names(),
            "resources": manifest.resources().len(),
            "unchecked": verified.unchecked(),
            "unknown": manifest.unknown(),
        }),
        &told(&verified, logged.as_ref(), &left_out, &names.to_string()),
    );
    Ok(())
}

/// The signature against the key or the roots that were given.
fn checked(args: &VerifyArgs, bundle: Bundle, logged: Option<&Logged>) -> Done<Verified> {
    if let Some(path) = &args.public_key {
        let key = PublicKey::from_pem(&read_bounded(path, PEM_BYTES_MAX)?)?;
        return Ok(bundle.verify(&Trust::Key(&key))?);
    }
    let Some(path) = &args.certificate_chain else {
        return Err(Failure::usage("give `--public-key` or `--certificate-chain`"));
    };
    let roots = Certificate::all_from_pem(&read_bounded(path, PEM_BYTES_MAX)?)?;
    let at = match (args.at, logged) {
        (Some(at), _) => at,
        (None, Some(logged)) => logged.seen,
        (None, None) => now()?,
    };
    Ok(bundle.verify(&Trust::Roots { roots: &roots, at })?)
}

fn now() -> Done<i64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_secs());
    since
        .ok()
        .and_then(|seconds| i64::try_from(seconds).ok())
        .ok_or_else(|| Failure::outside("the clock stands before 1970", "set the clock, or give `--at`"))
}

fn included(args: &VerifyArgs, proof: &Path, bundle: &Bundle) -> Done<Logged> {
    let key = |text: &str| VerifierKey::parse(text.as_bytes());
    let log = key(args.log.as_deref().unwrap_or_default())?;
    let witnesses = args.witness.iter().map(|text| key(text)).collect::<Result<Vec<_>, _>>()?;
    let proof = read_bounded(proof, merkle::proof::MAX_PROOF_FILE)?;
    Ok(inclusion::check(&proof, bundle.digest(), &log, witnesses)?)
}

fn told(verified: &Verified, logged: Option<&Logged>, left_out: &[&str], names: &str) -> String {
    let manifest = verified.manifest();
    let mut text = String::new();
    let count = manifest.resources().len();
    let algorithm = manifest.serialization().algorithm();
    line(&mut text, &format!("verified: `{}`, {count} digests ({algorithm})", manifest.model()));
    line(
        &mut text,
        &format!("  signed by: {}, key {}", verified.key().curve().name(), verified.key().hint()),
    );
    line(&mut text, &format!("  names and digests: sha256:{names}"));
    if !manifest.binds_names() {
        line(
            &mut text,
            "  the subject's digest leaves out the files' names; they stand in the signed list alone",
        );
    }
    let seconds = |at: i64| date(u64::try_from(at).unwrap_or(0).saturating_mul(1000));
    match (verified.signer(), logged) {
        (_, Some(logged)) => {
            let seen = seconds(logged.seen);
            line(
                &mut text,
                &format!("  in the log at {}, seen by {seen}: {}", logged.index, logged.witnesses.join(", ")),
            );
        }
        (Signer::Key, None) => line(&mut text, "  when: nothing shows it (no log inclusion was given)"),
        (Signer::Certificate { validity }, None) => {
            line(&mut text, &format!("  certificate: {} to {}", seconds(validity.0), seconds(validity.1)));
        }
    }
    if !left_out.is_empty() {
        line(&mut text, &format!("  there and not signed: {}", left_out.join(", ")));
    }
    for unchecked in verified.unchecked() {
        line(&mut text, &format!("  not looked at: `{unchecked}`"));
    }
    text
}
