//! Measures how long verification takes, for each kind of evidence whose sample is there; prints one line of JSON with
//! milliseconds.
//!
//! `verify_speed FOLDER`: the folder of samples that `cargo xtask test` fetches. The TPM's quote is simulated.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use evidence::fixture::Chip;
use evidence::{Gpu, Hex, Host, Intel, Policy, Snp, Status};
use statement::Bytes;

/// Verifications of one kind; the middle one counts.
const TIMES: usize = 200;
/// 1 July 2025, when the collateral of the samples was in force.
const AT: i64 = 1_751_328_000;

fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target/samples".to_owned());
    let folder = Path::new(&folder);
    let mut figures = serde_json::Map::new();
    let chip = Chip::new(&[3; 32]).into_iter();
    let quote = chip.map(|chip| (Host::Tpm2(chip.quote(&[1; 32])), chip.policy())).next();
    let mut lenient = Policy::none_required();
    lenient.allow_statuses = BTreeSet::from([Status::NotCompared, Status::ConfigurationAndSwHardeningNeeded]);
    let with = |host: Option<Host>| host.map(|host| (host, lenient.clone()));
    let intel = |name: &str| {
        let collateral = Some(Bytes::new(read(folder, &format!("dcap-qvl/{name}_collateral.json"))?));
        Some(Intel { collateral, quote: Bytes::new(read(folder, &format!("dcap-qvl/{name}"))?) })
    };
    let kinds = [
        ("tpm2", quote),
        ("tdx", with(intel("tdx_quote").map(Host::Tdx))),
        ("sgx", with(intel("sgx_quote").map(Host::Sgx))),
        ("sev-snp", with(snp(folder).map(Host::SevSnp))),
        ("nvidia-gpu", with(gpu(folder).map(Host::NvidiaGpu))),
    ];
    for (name, case) in kinds {
        if let Some(ms) = case.and_then(|(host, policy)| measure(&host, &policy)) {
            figures.insert(name.to_owned(), ms.into());
        }
    }
    println!("{}", serde_json::Value::Object(figures));
}

/// The median in milliseconds; none where the evidence does not hold.
fn measure(host: &Host, policy: &Policy) -> Option<f64> {
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let begin = Instant::now();
        let held = evidence::host(host, policy, AT);
        times.push(begin.elapsed().as_secs_f64() * 1000.0);
        held.ok()?;
    }
    times.sort_by(f64::total_cmp);
    times.get(TIMES / 2).copied()
}

fn read(folder: &Path, file: &str) -> Option<Vec<u8>> {
    std::fs::read(folder.join(file)).ok()
}

fn certificates(text: &[u8]) -> Option<Vec<Bytes>> {
    Some(evidence::certificates_from_pem(text)?.into_iter().map(Bytes::new).collect())
}

fn hex(text: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(text).ok()?.trim().to_lowercase();
    Some(Bytes::new(text.parse::<Hex>().ok()?.as_slice().to_vec()))
}

fn snp(folder: &Path) -> Option<Snp> {
    let mut chain = vec![Bytes::new(read(folder, "sev/vcek_milan.der")?)];
    chain.extend(certificates(&read(folder, "sev/cert_chain_milan")?)?);
    Some(Snp { certificates: chain, report: hex(&read(folder, "sev/report_milan.hex")?)? })
}

fn gpu(folder: &Path) -> Option<Gpu> {
    let chain = certificates(&read(folder, "nv-local-gpu-verifier/hopperCertChain.txt")?)?;
    Some(Gpu {
        certificates: chain,
        report: hex(&read(folder, "nv-local-gpu-verifier/hopperAttestationReport.txt")?)?,
    })
}
