//! The request scripts of a witness in use (litewitness), replayed against the pure decision.

use std::collections::BTreeMap;

use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::{Engine as _, alphabet};
use merkle::{AddCheckpoint, KeyKind, VerifierKey, WatchedLog, WitnessState, decide};

use crate::peers::{files, hex, vectors};

/// A request of the script, the status and the text of the assertion that follow it.
fn exchanges(script: &str) -> Vec<(String, u16, String)> {
    let posts = script.split("\nPOST ").skip(1);
    posts
        .map(|post| {
            let mut parts = post.split("```\n");
            let (_, body, after) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
            let (status, assertion) = after.trim().split_once('\n').unwrap();
            (body.to_owned(), status.strip_prefix("HTTP ").unwrap().parse().unwrap(), assertion.to_owned())
        })
        .collect()
}

/// The logs that the script tells its witness to watch.
fn logs(script: &str) -> BTreeMap<String, WatchedLog> {
    let origin_of = |line: &str| line.split('\'').nth(1).map(str::to_owned);
    let mut logs = BTreeMap::new();
    let mut add = |origin: &str, key: VerifierKey| {
        logs.insert(origin.to_owned(), WatchedLog::new(origin, vec![key]));
    };
    for line in script.lines() {
        if let Some(key) = line.strip_prefix("exec witnessctl add-sigsum-log -key=") {
            let key = hex(key);
            // Sigsum names a log by the SHA-256 of its key.
            let origin = format!("sigsum.org/v1/tree/{}", merkle::Hash::of(&key));
            add(&origin, VerifierKey::new(&origin, KeyKind::Ed25519, &key).unwrap());
        } else if let Some(rest) = line.strip_prefix("exec witnessctl add-key -origin ") {
            let key = rest.rsplit(' ').next().unwrap().parse().unwrap();
            add(&origin_of(rest).unwrap(), key);
        }
    }
    logs
}

/// Go reads base64 with stray bits in its last character; here that is another spelling of the same bytes and
/// is refused before any signature is looked at. The same bytes in their one spelling go on to the decision.
fn in_canonical_base64(body: &str) -> String {
    let lenient = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    let mut lines = Vec::new();
    for line in body.lines() {
        let respelt =
            line.rsplit_once(' ').filter(|_| line.starts_with('\u{2014}')).map(|(before, encoded)| {
                format!("{before} {}", STANDARD.encode(lenient.decode(encoded).unwrap()))
            });
        lines.push(respelt.unwrap_or_else(|| line.to_owned()) + "\n");
    }
    let respelt = lines.concat();
    assert!(respelt == body || AddCheckpoint::parse(body.as_bytes()).unwrap_err().code() == "CS-MRK-021");
    respelt
}

#[test]
fn the_decision_gives_the_statuses_of_the_scripts() {
    let Some(folder) = vectors("the_decision_gives_the_statuses_of_the_scripts", "witness") else { return };
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for path in files(&folder) {
        let script = std::fs::read_to_string(&path).unwrap();
        let logs = logs(&script);
        let mut states: BTreeMap<String, WitnessState> = BTreeMap::new();
        for (body, expected, assertion) in exchanges(&script) {
            // litewitness answers 403 for a log that it does not know, where C2SP tlog-witness says 404.
            let expected = if assertion.contains("unknown log") { 404 } else { expected };
            let body = in_canonical_base64(&body);
            let request = AddCheckpoint::parse(body.as_bytes()).unwrap();
            assert_eq!(request.to_bytes(), body.as_bytes());
            let origin = request.origin().to_owned();
            let status = match decide(states.get(&origin), &request, logs.get(&origin)) {
                Ok(state) => {
                    let log = &logs[&origin];
                    assert_eq!(WitnessState::restore(&state.to_bytes(), log).unwrap(), state);
                    states.insert(origin, state);
                    200
                }
                Err(refusal) => {
                    if let Some(size) = assertion.split("body == \"").nth(1) {
                        let size = size.split("\\n").next().unwrap();
                        assert_eq!(refusal.body(), ("text/x.tlog.size", format!("{size}\n")));
                    }
                    refusal.status()
                }
            };
            assert_eq!(status, expected, "{}:\n{body}", path.display());
            *statuses.entry(status).or_default() += 1;
        }
    }
    println!("{statuses:?}");
    assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [200, 403, 404, 409, 422]);
}
