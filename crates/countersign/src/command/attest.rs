//! `countersign attest`: evidence of the host, asked for and verified.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use attest::tpm::Tpm;
use attest::{Sources, Tcti, TpmSource};
use evidence::{Attestation, Claims, Expected, Facts, Gpu, Hex, Host, Intel, Policy, Snp, inputs_digest};
use serde_json::{Value, json};
use statement::kind::Tier;
use statement::{Bytes, Digest};

use super::Setting;
use crate::cli::{AttestCommand, AttestKeyArgs, AttestQuoteArgs, AttestVerifyArgs, RawKind};
use crate::failure::{Done, Failure};
use crate::outfile::{OutFile, Readers};
use crate::text::line;

/// Largest file that is read here, in bytes.
const FILE_BYTES_MAX: usize = 1 << 21;

pub(super) fn attest(setting: &Setting, command: &AttestCommand) -> Done {
    match command {
        AttestCommand::Quote(args) => quote(setting, args),
        AttestCommand::Verify(args) => verify(setting, args),
        AttestCommand::Key(args) => key(setting, args),
    }
}

fn key(setting: &Setting, args: &AttestKeyArgs) -> Done {
    let source = source(args)?.unwrap_or_else(|| TpmSource::new(Tcti::kernel()));
    let mut tpm = Tpm::open(&source.tcti)?;
    let simulated = tpm.is_simulated()?;
    let key = match source.key {
        Some(handle) => tpm.persistent_key(handle)?,
        None => tpm.attestation_key()?,
    };
    let name = key.name();
    tpm.let_go(key)?;
    let (label, list) =
        if simulated { ("  (simulated TPM)", "tpm2.simulated_keys") } else { ("", "tpm2.keys") };
    let text = format!(
        "{name}{label}\nEnrol it in an attestation policy under `{list}`. What was checked before says whose TPM it is.\n"
    );
    setting.print(&json!({ "key": name, "simulated": simulated }), &text);
    Ok(())
}

fn quote(setting: &Setting, args: &AttestQuoteArgs) -> Done {
    let inputs = if let Some(inputs) = &args.inputs {
        digest("--inputs", inputs)?
    } else {
        let all = args.input.iter().map(|input| digest("--input", input));
        inputs_digest(&all.collect::<Done<_>>()?)
    };
    let claims = Claims {
        inputs,
        nonce: hex("--nonce", &args.nonce)?,
        trace_root: digest("--trace-root", &args.trace_root)?,
        worker: digest("--worker-digest", &args.worker_digest)?,
    };
    let mut sources = sources(&args.key)?;
    if let Some(tpm) = sources.tpm.as_mut().filter(|_| !args.pcr.is_empty()) {
        tpm.registers.clone_from(&args.pcr);
    }
    let mut attestation = sources.attest(&claims)?;
    if let Some(path) = &args.certificates {
        let chain = certificates(path)?;
        for host in &mut attestation.hosts {
            if let Host::Tpm2(tpm) = host {
                tpm.certificates.clone_from(&chain);
            }
        }
    }
    let bytes = attestation.to_bytes()?;
    let Some(out) = &args.out else {
        crate::text::print(&format!("{}\n", String::from_utf8_lossy(&bytes)));
        return Ok(());
    };
    OutFile::put(out, Readers::Everybody, &bytes)?;
    let kinds: Vec<&str> = attestation.hosts.iter().map(|host| host.kind().title()).collect();
    let simulated = attestation.hosts.iter().any(|host| matches!(host, Host::Tpm2(tpm) if tpm.simulated));
    let mut text = String::new();
    if kinds.is_empty() {
        line(&mut text, "This host can say nothing about itself: the attestation holds the claims alone.");
    } else {
        line(&mut text, &format!("Evidence of: {}", kinds.join(", ")));
    }
    if simulated {
        line(&mut text, "The TPM is SIMULATED: its quote proves nothing about hardware.");
    }
    line(&mut text, &format!("Written to `{}`.", out.display()));
    let value = json!({
        "binding": claims.binding()?,
        "digest": Digest::of(&bytes),
        "file": out.display().to_string(),
        "hosts": attestation.hosts.iter().map(Host::kind).collect::<Vec<_>>(),
        "simulated": simulated,
    });
    setting.print(&value, &text);
    Ok(())
}

fn verify(setting: &Setting, args: &AttestVerifyArgs) -> Done {
    let file = read(&args.file)?;
    let policy = match &args.policy {
        Some(path) => Policy::parse(&read(path)?)?,
        None => Policy::none_required(),
    };
    let at = match args.at {
        Some(at) => at,
        None => now()?,
    };
    let (claims, hosts) = if let Some((kind, data)) = args.raw.zip(args.data.as_ref()) {
        (None, vec![raw(args, kind, &file, &hex("--data", data)?, &policy, at)?])
    } else {
        let mut attestation = Attestation::parse(&file)?;
        complete(args, &mut attestation.hosts)?;
        let expected = Expected {
            nonce: args.nonce.as_deref().map(|nonce| hex("--nonce", nonce)).transpose()?,
            worker: args
                .worker_digest
                .as_deref()
                .map(|worker| digest("--worker-digest", worker))
                .transpose()?,
            inputs: None,
            trace_root: args.trace_root.as_deref().map(|root| digest("--trace-root", root)).transpose()?,
            tier: args.tier.as_deref().map(tier).transpose()?,
        };
        let verified = evidence::verify(&attestation, &expected, &policy, at)?;
        (Some(verified.claims().clone()), verified.hosts().to_vec())
    };
    let value = json!({ "at": at, "claims": claims, "hosts": hosts, "nonce_compared": args.nonce.is_some() });
    setting.print(&value, &shown(args, claims.as_ref(), &hosts, at));
    Ok(())
}

fn shown(args: &AttestVerifyArgs, claims: Option<&Claims>, hosts: &[Facts], at: i64) -> String {
    let mut text = String::new();
    line(&mut text, &format!("`{}` holds, judged at {at} (Unix seconds).", args.file.display()));
    if let Some(claims) = claims {
        line(&mut text, &format!("Worker      {}", claims.worker));
        line(&mut text, &format!("Inputs      {}", claims.inputs));
        line(&mut text, &format!("Trace root  {}", claims.trace_root));
        let compared = if args.nonce.is_some() { "as asked for" } else { "not compared: give --nonce" };
        line(&mut text, &format!("Nonce       {}  ({compared})", claims.nonce));
        if args.policy.is_none() {
            line(&mut text, "No policy was given: no host evidence is required of any tier.");
        }
        if hosts.is_empty() {
            line(&mut text, "No host evidence: nothing shows where it ran.");
        }
    }
    for facts in hosts {
        line(&mut text, "");
        let label = if facts.simulated { "  SIMULATED, proves nothing about hardware" } else { "" };
        line(&mut text, &format!("{}: {}{label}", facts.kind, facts.status));
        if !facts.measured {
            line(&mut text, "  measurements were not compared: the policy lists none");
        }
        if !facts.advisories.is_empty() {
            line(&mut text, &format!("  advisories: {}", facts.advisories.join(", ")));
        }
        for (name, value) in &facts.shown {
            line(&mut text, &format!("  {name:<17} {value}"));
        }
    }
    text
}

/// Evidence by itself, and what it must be bound to.
fn raw(
    args: &AttestVerifyArgs,
    kind: RawKind,
    file: &[u8],
    data: &Hex,
    policy: &Policy,
    at: i64,
) -> Done<Facts> {
    let bytes = Bytes::new(file.to_vec());
    let mut hosts = vec![match kind {
        RawKind::Tdx => Host::Tdx(Intel { collateral: None, quote: bytes }),
        RawKind::Sgx => Host::Sgx(Intel { collateral: None, quote: bytes }),
        RawKind::SevSnp => Host::SevSnp(Snp { certificates: Vec::new(), report: bytes }),
        RawKind::NvidiaGpu => Host::NvidiaGpu(Gpu { certificates: Vec::new(), report: bytes }),
    }];
    complete(args, &mut hosts)?;
    let Some(host) = hosts.first() else { return Err(Failure::usage("there is nothing to verify")) };
    let facts = evidence::host(host, policy, at)?;
    if facts.data != data.as_slice() {
        return Err(evidence::Error::Binding {
            kind: facts.kind,
            wanted: data.to_string(),
            found: Hex::new(facts.data).to_string(),
        }
        .into());
    }
    Ok(facts)
}

/// Adds collateral and certificates that were given apart, where the evidence has none.
fn complete(args: &AttestVerifyArgs, hosts: &mut [Host]) -> Done {
    let collateral = args.collateral.as_deref().map(read).transpose()?.map(Bytes::new);
    let chain = args.certificates.as_deref().map(certificates).transpose()?.unwrap_or_default();
    for host in hosts {
        match host {
            Host::Tdx(intel) | Host::Sgx(intel) => {
                if intel.collateral.is_none() {
                    intel.collateral.clone_from(&collateral);
                }
            }
            Host::Tpm2(evidence::Tpm { certificates, .. })
            | Host::SevSnp(Snp { certificates, .. })
            | Host::NvidiaGpu(Gpu { certificates, .. }) => {
                if certificates.is_empty() {
                    certificates.clone_from(&chain);
                }
            }
        }
    }
    Ok(())
}

/// What this host has that can vouch for it, with the TPM that is named in place of the one that is found.
pub(crate) fn sources(args: &AttestKeyArgs) -> Done<Sources> {
    let mut sources = Sources::detect();
    if let Some(tpm) = source(args)? {
        sources.tpm = Some(tpm);
    }
    Ok(sources)
}

fn source(args: &AttestKeyArgs) -> Done<Option<TpmSource>> {
    let key = match args.tpm_key.as_deref() {
        None => None,
        Some(text) => {
            let digits = text.trim_start_matches("0x");
            let handle = u32::from_str_radix(digits, 16).ok().filter(|handle| handle >> 24 == 0x81);
            let refuse = || {
                Failure::usage(format!(
                    "`--tpm-key {text}` is no persistent handle, 0x81000000 to 0x81ffffff"
                ))
            };
            Some(handle.ok_or_else(refuse)?)
        }
    };
    let tcti = match args.tpm.as_deref() {
        Some(text) => Some(text.parse::<Tcti>()?),
        None => key.map(|_| Tcti::kernel()),
    };
    Ok(tcti.map(|tcti| TpmSource { key, ..TpmSource::new(tcti) }))
}

fn certificates(path: &Path) -> Done<Vec<Bytes>> {
    let blocks = evidence::certificates_from_pem(&read(path)?);
    let blocks =
        blocks.ok_or_else(|| Failure::not_a("PEM file with certificates", path, "none can be read"))?;
    Ok(blocks.into_iter().map(Bytes::new).collect())
}

fn read(path: &Path) -> Done<Vec<u8>> {
    crate::home::read_bounded(path, FILE_BYTES_MAX)
}

fn digest(option: &str, text: &str) -> Done<Digest> {
    text.parse().map_err(|error| Failure::usage(format!("`{option} {text}`: {error}")))
}

fn hex(option: &str, text: &str) -> Done<Hex> {
    text.parse().map_err(|error| Failure::usage(format!("`{option} {text}`: {error}")))
}

fn tier(text: &str) -> Done<Tier> {
    serde_json::from_value(Value::from(text))
        .map_err(|_| Failure::usage(format!("`--tier {text}`: it is minimal, low, medium or high")))
}

fn now() -> Done<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let seconds = since.and_then(|since| i64::try_from(since.as_secs()).ok());
    seconds.ok_or_else(|| Failure::outside("the clock is before 1970", "set the clock, or give `--at`"))
}
