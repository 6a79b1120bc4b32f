//! Writes the committed corpus anew: `seed_corpus corpus`. Valid examples, and broken ones that are worth keeping.
//! Inputs that a fuzzer found stand beside them under other names and are left alone.

use std::path::Path;

use countersign_fuzz::{run, targets};
use merkle::tile::{encode_bundle, encode_tile};
use merkle::{Checkpoint, Cosigner as _, Ed25519Cosigner, Ed25519NoteSigner, Frontier, Hash, leaf_hash};
use statement::example::{self, docs, passkey};
use statement::{Digest, Kind, Scheme, stamp};

fn main() {
    let folder = std::env::args().nth(1).expect("usage: seed_corpus FOLDER");
    let folder = Path::new(&folder);
    let mut seeds = Vec::new();
    statements(&mut seeds);
    log(&mut seeds);
    models(&mut seeds);
    containers(&mut seeds);
    tensors(&mut seeds);
    stored(&mut seeds);
    recovery(&mut seeds);
    attestations(&mut seeds);
    decisions(&mut seeds);
    keys(&mut seeds);
    executed(&mut seeds);
    served(&mut seeds);
    importance(&mut seeds);
    for (target, name, bytes) in &seeds {
        // A seed that breaks a promise is a finding, not a seed. Large targets may be left out of the build.
        if targets().any(|known| known == *target) {
            run(target, bytes);
        }
        std::fs::create_dir_all(folder.join(target)).expect("a folder");
        std::fs::write(folder.join(target).join(name), bytes).expect("a file");
    }
    println!("{} files in `{}`", seeds.len(), folder.display());
}

/// A target, a name, the bytes.
type Seeds = Vec<(&'static str, String, Vec<u8>)>;

fn push(seeds: &mut Seeds, target: &'static str, name: &str, bytes: impl AsRef<[u8]>) {
    seeds.push((target, name.to_owned(), bytes.as_ref().to_vec()));
}

fn statements(seeds: &mut Seeds) {
    for (name, text) in [
        (
            "all",
            r#"{"":[null,true,false,0,-1,9007199254740991],"a":"\u0000\b\t\n\f\r\"\\é😀","b":{"c":[[],{}]}}"#,
        ),
        (
            "numbers",
            "[1e30,4.50,2e-3,0.000000000000000000000000001,-0,-0.0,5e-324,1.7976931348623157e308,333333333.33333329]",
        ),
        ("utf16_order", "{\"\u{fb33}\":1,\"\u{1f600}\":2,\"\u{20ac}\":3,\"\\r\":4}"),
        ("escapes", r#""\u0061\/\ud83d\ude00\u00e9""#),
        ("lone_surrogate", r#""\ud800""#),
        ("low_surrogate", r#""\udc00""#),
        ("repeated", r#"{"a":1,"\u0061":2}"#),
        ("leading_zero", "[01]"),
        ("over_2_53", "9007199254740992"),
        ("huge_number", "1e400"),
        ("largest_double", "[1.7976931348623158e308]"),
        ("trailing", "{} {}"),
        ("deep", &"[".repeat(200)),
        ("depth_limit", &format!("{}{}", "[".repeat(64), "]".repeat(64))),
        ("cut_escape", "\"\\u00"),
    ] {
        push(seeds, "json_parse", name, text);
    }
    push(seeds, "json_parse", "not_utf8", b"\"\xed\xa0\x80\"");
    for kind in Kind::ALL {
        let envelope = example::envelope(*kind).expect("an example");
        push(seeds, "statement_parse", kind.name(), envelope.payload.as_slice());
        if matches!(kind, Kind::Approval | Kind::Retirement | Kind::RollbackOrder) {
            let bytes = envelope.to_bytes().expect("an example");
            push(seeds, "envelope_parse", kind.name(), &bytes);
            push(seeds, "leaf_parse", kind.name(), stamp(&bytes, 1_800_000_000_250));
            push(seeds, "leaf_parse", &format!("{}_leading_zero", kind.name()), stamp_text(&bytes, "01"));
            push(
                seeds,
                "leaf_parse",
                &format!("{}_two_stamps", kind.name()),
                stamp_text(&bytes, "1,\"stamp_ms\":2"),
            );
        }
    }
    let mut several = example::envelope(Kind::Hold).expect("an example");
    for seed in 1..4_u8 {
        let more = example::sign(&example::statement(Kind::Hold), &[seed; 32]).expect("an example");
        several.add(more.signatures[0].clone()).expect("another key");
    }
    push(seeds, "envelope_parse", "several", several.to_bytes().expect("an example"));
    several.signatures.reverse();
    push(seeds, "envelope_parse", "unsorted", several.to_bytes().expect("an example"));
    push(seeds, "envelope_parse", "array", b"[\"\",\"application/vnd.in-toto+json\",[]]");
    let refused = &docs::files().expect("the documents")["vectors/refused.json"];
    let refused: serde_json::Value = serde_json::from_str(refused).expect("JSON");
    for case in refused["cases"].as_array().expect("cases") {
        let name = format!("refused_{}", case["what"].as_str().expect("a name").replace([' ', '^'], "_"));
        match case.get("payload") {
            Some(payload) => push(seeds, "statement_parse", &name, payload.as_str().expect("a payload")),
            None => push(seeds, "envelope_parse", &name, case["envelope"].as_str().expect("an envelope")),
        }
    }
    push(
        seeds,
        "statement_parse",
        "opaque",
        format!(
            "{{\"_type\":\"{}\",\"predicate\":{{\"body\":[null],\"header\":{{\"change\":\"realm\",\"critical\":false,\"kind\":\"weather\",\"realm\":\"example\",\"version\":1}},\"issued_ms\":5}},\"predicateType\":\"urn:countersign:weather:v1\",\"subject\":[]}}",
            statement::STATEMENT_TYPE
        ),
    );
    webauthn(seeds);
}

/// Attestations of a simulated TPM, and structures made by hand.
fn attestations(seeds: &mut Seeds) {
    let chip = evidence::fixture::Chip::new(&[3; 32]).expect("a scalar");
    let digest = Digest::of(b"seed");
    let claims = evidence::Claims {
        inputs: digest,
        nonce: evidence::Hex::new(vec![1; 16]),
        trace_root: digest,
        worker: digest,
    };
    let quote = chip.quote(claims.binding().expect("a nonce of sixteen bytes").as_bytes());
    push(seeds, "tpm_quote", "attest", quote.attest.as_slice());
    push(seeds, "tpm_quote", "signature", quote.signature.as_slice());
    push(seeds, "tpm_quote", "public", quote.public.as_slice());
    let parts = [&quote.attest, &quote.signature, &quote.public].map(|part| {
        let length = u16::try_from(part.as_slice().len()).expect("a short part");
        [&length.to_be_bytes(), part.as_slice()].concat()
    });
    push(seeds, "tpm_quote", "all", parts.concat());
    let hosts = vec![evidence::Host::Tpm2(quote)];
    for (name, hosts) in [("none", Vec::new()), ("tpm2", hosts)] {
        let attestation = evidence::Attestation::new(claims.clone(), hosts).expect("one host");
        push(seeds, "attestation", name, attestation.to_bytes().expect("JSON"));
    }
    for (name, members) in [
        ("least", ""),
        ("revoked", r#","allow_statuses":["revoked"]"#),
        (
            "tiers",
            r#","tiers":[{"hosts":["tdx","sev-snp"],"tier":"high"}],"tpm2":{"pcrs":[{"index":7,"values":[]}]}"#,
        ),
    ] {
        let text = format!(r#"{{"format":"countersign-attestation-policy-1"{members}}}"#);
        push(seeds, "attestation_policy", name, text);
    }
    // A report of the right size and versions with nothing in it; a table with one entry; a report without measurements.
    let mut report = vec![0; evidence::snp::REPORT_BYTES];
    report[0] = 2;
    report[0x34] = 1;
    push(seeds, "snp_report", "zeros", &report);
    report[0] = 9;
    push(seeds, "snp_report", "version", &report);
    let vcek =
        [0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd];
    let table = |offset: u8| [vcek.as_slice(), &[offset, 0, 0, 0, 3, 0, 0, 0], &[0; 24], b"abc"].concat();
    push(seeds, "snp_table", "one", table(48));
    push(seeds, "snp_table", "outside", table(49));
    let request = [&[0x11, 0xe0, 1, 0xff][..], &[7; 32], &[0]].concat();
    let block = [1, 1, 5, 0, 1, 2, 0, 0xab, 0xcd];
    let response = |count: u8| [&[0x11, 0x60, 0, 0, count, 9, 0, 0][..], &block, &[8; 32]].concat();
    let opaque = [8, 0, 3, 0, 4, 0, b'5', b'5', b'0', 0];
    for (name, count) in [("one", 1), ("counted", 2)] {
        let report = [request.as_slice(), &response(count), &opaque, &[9; 96]].concat();
        push(seeds, "gpu_report", name, report);
    }
    push(seeds, "certificate", "sequence", [0x30, 0x03, 0x02, 0x01, 0x02]);
    push(seeds, "certificate", "pem", "-----BEGIN CERTIFICATE-----\nMAMCAQI=\n-----END CERTIFICATE-----\n");
}

/// Plans, stages' data, tables, Cedar: those that are shipped, and some that must be refused.
/// Key files of the first key of RFC 8032, section 7.1, which everybody knows.
fn keys(seeds: &mut Seeds) {
    let sealed = concat!(
        r#"{"check":"Rr91AdCCJi/PEoOczUG3K71OStOo/9rcjyuFW+VBBm4=","format":"countersign-key-v1","#,
        r#""kdf":{"argon2id":{"lanes":2,"memory_kib":8192,"passes":2,"salt":"AAECAwQFBgcICQoLDA0ODw=="}},"#,
        r#""public":"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=","scheme":"ed25519","#,
        r#""sealed":"AAECAwQFBgcICQoL1mlHccQKckSUpSgCkCoFMn27dyeee37f2MlNm8R2cJ2ABbNUnSIt3PLnZX7yQJb0"}"#,
    );
    let open = concat!(
        r#"{"format":"countersign-key-v1","kdf":"none","#,
        r#""public":"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=","scheme":"ed25519","#,
        r#""unsealed":"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="}"#,
    );
    push(seeds, "key_file", "sealed", sealed);
    push(seeds, "key_file", "unsealed", open);
    push(seeds, "key_file", "misfit", open.replace("11qY", "12qY"));
    push(seeds, "key_file", "costly", sealed.replace("8192", "4294967295"));
}

fn decisions(seeds: &mut Seeds) {
    const RULES: &str = include_str!("../../policies/default-rules.json");
    let plan = include_str!("../../policies/rollout.json");
    push(seeds, "rollout_plan", "shipped", plan);
    push(seeds, "rollout_plan", "gateway", include_str!("../../policies/rollout-gateway.json"));
    let small = |measure: &str, expected: &str, more: &str| {
        format!(
            r#"{{"alpha_ppm":10000,"metrics":[{{"expected_ppm":{expected},"measure":{measure},"name":"m"{more},"tolerated_ppm":20000}}],"stages":[{{"contexts":"all","duration_ms":1000,"extension_ms":1000,"margins_ppm":[50000],"reports":[],"share_ppm":250000,"stage":"canary","units_min":1}},{{"contexts":"all","duration_ms":0,"extension_ms":0,"margins_ppm":[5000],"reports":[],"share_ppm":1000000,"stage":"full","units_min":0}}],"version":1}}"#
        )
    };
    let mean = r#"{"mean":{"high":9223372036854775807,"levels":8,"low":-9223372036854775808}}"#;
    for (name, text) in [
        ("rate", small("\"rate\"", "[5000]", "")),
        ("categories", small("\"categories\"", "[900000,100000]", "")),
        ("mean", small(mean, "[100000,200000,200000,100000,100000,100000,100000,100000]", "")),
        (
            "requests",
            small(
                r#"{"mean":{"high":100,"levels":4,"low":0}}"#,
                "[250000,250000,250000,250000]",
                r#","request_margin_milli":5"#,
            ),
        ),
        ("one_level", small(r#"{"mean":{"high":1,"levels":1,"low":1}}"#, "[1000000]", "")),
    ] {
        push(seeds, "rollout_plan", name, &text);
        let parsed = rollout::plan::Plan::parse(text.as_bytes());
        let digest = parsed.map_or(Digest::of(b""), |plan| plan.digest().expect("a digest"));
        let cell = r#"{"arms":{"candidate":[5,9007199254740991],"control":[3,4]}}"#;
        let data = format!(
            r#"{{"from_ms":1000,"plan":"{digest}","rows":[{{"assigned":[8,9],"at_ms":2000,"cells":[{cell}]}},{{"assigned":[0,0],"at_ms":3000,"cells":[{cell}]}}],"stage":0,"to_ms":3000,"version":1}}"#
        );
        push(seeds, "stage_data", name, [text.as_bytes(), &[0], data.as_bytes()].concat());
    }
    let table = include_str!("../../policies/response.json");
    push(seeds, "response_table", "shipped", table);
    push(seeds, "response_table", "nothing_at_once", table.replace("\"lasted_ms\": 0", "\"lasted_ms\": 1"));
    push(seeds, "policy_rules", "shipped", RULES);
    push(seeds, "policy_rules", "laxer", RULES.replace("\"approvals\": 2", "\"approvals\": 1"));
    push(seeds, "policy_cedar", "shipped", include_str!("../../policies/default.cedar"));
    for (name, text) in [
        ("no_id", "permit (principal, action, resource);"),
        ("template", "@id(\"a\")permit (principal == ?principal, action, resource);"),
        (
            "odd",
            "@id(\"a\")@control(\"x\")forbid (principal, action, resource) when { context.now < -9223372036854775808 && [1,{a:2}].contains(principal) };",
        ),
        ("cut", "@id(\"a\")permit (principal, action in [Action::\"approve\""),
    ] {
        push(seeds, "policy_cedar", name, text);
    }
}

/// Suites of questions, and templates that do much.
fn executed(seeds: &mut Seeds) {
    let lines = concat!(
        r#"{"prompt":"How?","expect":"refuse"}"#,
        "\n\n",
        r#"{"id":"a","slice":"s","system":"Be brief.","prompt":"1+1","expect":"exact","answer":"2"}"#,
        "\n",
        r#"{"prompt":"x","expect":"regex","answer":"^(a|b)+$"}"#,
        "\n",
        r#"{"prompt":"x","expect":"choice","choices":[" a"," b"],"answer":" b"}"#,
    );
    push(seeds, "examine_suite", "lines", lines);
    let settings = r#"{"refusals":["no",""],"tokens_max":99999,"framing":"plain"}"#;
    push(seeds, "examine_suite", "settings", [settings.as_bytes(), &[0], lines.as_bytes()].concat());
    push(
        seeds,
        "examine_suite",
        "twice",
        r#"{"id":"a","prompt":"x","expect":"comply"}"#.repeat(2).replace("}{", "}\n{"),
    );
    push(seeds, "examine_suite", "pattern", r#"{"prompt":"x","expect":"regex","answer":"(a{1000}){1000}"}"#);
    for (name, text) in [
        (
            "chat",
            "{% for m in messages -%}{{ '<|' + m['role'] + '|>' ~ m.content | trim }}{%- endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
        ),
        (
            "grows",
            "{% set n = namespace(s='ab') %}{% for i in range(1000) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}",
        ),
        ("deep", "{% macro f(x) %}{{ f(x + 1) }}{% endmacro %}{{ f(0) }}"),
        ("numbers", "{{ 9223372036854775807 + 1 }}{{ 7 // 0 }}{{ -7 % 3 }}{{ 2 ** 100 }}{{ 1e308 * 10 }}"),
        ("slices", "{{ messages[::-1][0].content[1:-1:2] }}{{ 'é🙂'[-1] }}{{ 'abc'[5:] }}{{ [1,2][9] }}"),
        (
            "filters",
            "{{ messages | map(attribute='role') | join(',') | upper | replace('S', 'é') | indent(4) }}{{ {'a': [1, none, true]} | tojson(indent=2) }}",
        ),
        ("date", "{{ strftime_now('%d %b %Y %j %') }}{{ '%5s|%-5d|%x' | format('é', 3, 255) }}"),
    ] {
        push(seeds, "chat_render", name, text);
    }
}

/// What clients and engines send through a gateway.
fn served(seeds: &mut Seeds) {
    for (name, text) in [
        ("chat", r#"{"model":"m","user":"u","messages":[{"role":"system","content":"x"}],"stream":true}"#),
        ("escaped", r#"{"m\u006fdel":"\u006d\"","x":{"model":"n"}}"#),
        ("altering", r#"{"model":"m","chat_template":"x","lora":null}"#),
        ("twice", r#"{"model":"m","model":"n"}"#),
        ("other", r#"{"model":5,"user":[]}"#),
        ("cut", r#"{"model":"m","#),
    ] {
        push(seeds, "gateway_request", name, text);
    }
    for (name, text) in [
        ("plain", r#"{"choices":[{"finish_reason":"stop","message":{"refusal":null}}]}"#),
        (
            "events",
            "data: {\"finish_reason\":null}\n\ndata: {\"finish_reason\" : \"length\"}\n\ndata: [DONE]\n\n",
        ),
        ("error", "data: {\"x\":1}\n\ndata: {\"error\":{\"message\":\"x\"}}\n\n"),
        (
            "blanks",
            "{\"finish_reason\":                                                                 \"stop\"}",
        ),
        ("said", r#"{"content":"{\"finish_reason\":\"length\"","finish_reason":"content_filter"}"#),
    ] {
        push(seeds, "gateway_answer", name, text);
    }
    for (name, text) in [
        ("one", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345GET / HTTP/1.1\r\n\r\n"),
        ("two", "POST / HTTP/1.1\r\ncontent-length: 5\r\nx: y\r\ncOntent-lEngth:5\r\n\r\n12345"),
        ("chunked", "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("huge", "POST / HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\nx"),
    ] {
        push(seeds, "gateway_heads", name, text);
    }
}

/// Importance matrices of both forms.
fn importance(seeds: &mut Seeds) {
    use tensor::gguf::{GgmlType, TensorInfo, write};

    fn info<'a>(name: &'a str, shape: &'a [usize]) -> TensorInfo<'a> {
        TensorInfo { name, kind: GgmlType::F32, shape }
    }

    let older = |count: u8, values: u8| {
        [&[count, 0, 0, 0, 1, 0, 0, 0, b'a', 2, 0, 0, 0, values, 0, 0, 0][..], &[0, 0, 128, 63, 0, 0, 0, 64]]
            .concat()
    };
    push(seeds, "importance_matrix", "older", older(1, 2));
    push(seeds, "importance_matrix", "older_cut", older(2, 2));
    push(seeds, "importance_matrix", "older_long", older(1, 255));
    for (name, counts) in [("gguf", 2), ("gguf_misfit", 3), ("gguf_none", 0)] {
        let bytes = vec![0_u8; counts * 4];
        let (sums, shape) = ([1; 16], [counts]);
        let tensors = [(info("a.in_sum2", &[2, 2]), &sums[..]), (info("a.counts", &shape), &bytes)];
        push(seeds, "importance_matrix", name, write(&[], &tensors).expect("a file"));
    }
}

fn stamp_text(envelope: &[u8], digits: &str) -> Vec<u8> {
    [b"{\"envelope\":", envelope, b",\"stamp_ms\":", digits.as_bytes(), b"}"].concat()
}

fn webauthn(seeds: &mut Seeds) {
    const TARGET: &str = "webauthn_assertion";
    let site = passkey::site();
    for (name, scheme) in
        [("ed25519", Scheme::WebauthnEd25519(site.clone())), ("es256", Scheme::WebauthnEs256(site.clone()))]
    {
        push(seeds, TARGET, name, passkey::sign(&scheme, b"message").expect("an assertion"));
    }
    let client_data = passkey::client_data(&site, &Digest::of(b"message"));
    let parts = |client_data: &str, flags: u8| {
        [client_data.as_bytes(), &[0], &passkey::authenticator_data(&site, flags)].concat()
    };
    push(seeds, TARGET, "parts", parts(&format!(" {client_data}"), 5));
    push(seeds, TARGET, "parts_crossed", parts(&format!(" {}", client_data.replace("false", "true")), 5));
    push(
        seeds,
        TARGET,
        "parts_repeated",
        parts(&format!(" {}", client_data.replacen('{', "{\"type\":\"x\",", 1)), 5),
    );
    push(seeds, TARGET, "parts_not_verified", parts(&format!(" {client_data}"), 1));
    push(seeds, TARGET, "parts_extensions", [parts(&format!(" {client_data}"), 0x85), vec![0xa0]].concat());
}

fn log(seeds: &mut Seeds) {
    let signer = Ed25519NoteSigner::from_seed("example.com/log", &[1; 32]).expect("a key");
    let witness = Ed25519Cosigner::from_seed("witness.example", &[2; 32]).expect("a key");
    let leaves: Vec<Hash> = (0..5_u8).map(|index| leaf_hash(&[index])).collect();
    let mut frontier = Frontier::new();
    let mut roots = Vec::new();
    for leaf in &leaves {
        frontier.push(*leaf);
        roots.push(frontier.root());
    }
    let checkpoint = Checkpoint::new("example.com/log", 5, roots[4]).expect("a checkpoint");
    let signed = checkpoint.sign(&[&signer]).expect("a signature");
    let mut cosigned = signed.clone();
    cosigned
        .add(witness.cosign(&checkpoint.to_text(), 1_800_000_000).expect("a cosignature"))
        .expect("another signer");
    push(seeds, "checkpoint", "text", checkpoint.to_text());
    push(seeds, "checkpoint", "signed", signed.to_bytes());
    push(seeds, "checkpoint", "cosigned", cosigned.to_bytes());
    push(seeds, "checkpoint", "leading_zero", checkpoint.to_text().replace("\n5\n", "\n05\n"));
    push(seeds, "checkpoint", "no_newline", checkpoint.to_text().trim_end());
    push(seeds, "signed_note", "one", signed.to_bytes());
    push(seeds, "signed_note", "two", cosigned.to_bytes());
    push(
        seeds,
        "signed_note",
        "hyphen",
        String::from_utf8(signed.to_bytes()).expect("text").replace('\u{2014}', "-"),
    );
    push(seeds, "signed_note", "unsigned", checkpoint.to_text() + "\n");
    push(seeds, "verifier_key", "ed25519", signer.verifier().to_string());
    push(seeds, "verifier_key", "cosigner", witness.verifier().to_string());
    push(seeds, "verifier_key", "other_id", signer.verifier().to_string().replacen('+', "+0", 1));
    let proof = "VGhpcyBpcyBub3QgYSBwcm9vZiBidXQgMzIgYnl0ZXM=";
    let note = String::from_utf8(signed.to_bytes()).expect("text");
    push(seeds, "witness_request", "first", format!("old 0\n\n{note}"));
    push(seeds, "witness_request", "later", format!("old 3\n{proof}\n{proof}\n\n{note}"));
    push(seeds, "witness_request", "too_long", format!("old 3\n{}\n{note}", format!("{proof}\n").repeat(64)));
    push(seeds, "log_proof", "plain", format!("c2sp.org/tlog-proof@v1\nindex 4\n{proof}\n\n{note}"));
    push(seeds, "log_proof", "extra", format!("c2sp.org/tlog-proof@v1\nextra AAEC\nindex 0\n\n{note}"));
    push(
        seeds,
        "log_proof",
        "bad_base64",
        format!("c2sp.org/tlog-proof@v1\nindex 4\n{}\n\n{note}", proof.replace("M=", "N=")),
    );
    for (name, path) in [
        ("hashes", "tile/0/000"),
        ("partial", "tile/1/x001/x234/067.p/8"),
        ("entries", "tile/entries/000.p/255"),
        ("too_wide", "tile/0/000.p/256"),
        ("leading_zero", "tile/00/000"),
        ("up", "tile/../000"),
    ] {
        push(seeds, "tile_path", name, path);
    }
    let bundle = encode_bundle(&[b"a".as_slice(), b"", b"ccc"]).expect("a bundle");
    push(seeds, "entry_bundle", "three", [b"tile/entries/000.p/3\n".as_slice(), &bundle].concat());
    push(seeds, "entry_bundle", "short", [b"tile/entries/000.p/4\n".as_slice(), &bundle].concat());
    push(seeds, "entry_bundle", "hashes", [b"tile/0/000.p/5\n".as_slice(), &encode_tile(&leaves)].concat());
    let sizes = |first: u64, second: u64, hashes: &[Hash]| {
        [first.to_le_bytes().as_slice(), &second.to_le_bytes(), &encode_tile(hashes)].concat()
    };
    // Leaf 4 of 5 is the right edge: its path is the root of the first four.
    push(seeds, "tree_proof", "inclusion", sizes(4, 5, &[leaves[4], roots[4], roots[3]]));
    push(seeds, "tree_proof", "consistency", sizes(4, 5, &[roots[3], roots[4], leaves[4]]));
    push(seeds, "tree_proof", "same_size", sizes(5, 5, &[roots[4], roots[4]]));
    push(seeds, "tree_proof", "largest", sizes(u64::MAX, u64::MAX, &leaves));
}

fn containers(seeds: &mut Seeds) {
    let nested = include_bytes!("../../crates/tensor/src/torch/fixtures/nested.pt");
    let legacy = include_bytes!("../../crates/tensor/src/torch/fixtures/legacy.pt");
    let packed = include_bytes!("../../crates/tensor/src/torch/fixtures/packed.pt");
    let script = include_bytes!("../../crates/tensor/src/torch/fixtures/script.pt");
    for (name, bytes) in [("nested", &nested[..]), ("legacy", legacy), ("packed", packed), ("script", script)]
    {
        push(seeds, "torch_checkpoint", name, bytes);
    }
    push(seeds, "zip_archive", "packed", packed);
    push(seeds, "zip_archive", "arrays", include_bytes!("../../crates/tensor/src/torch/fixtures/arrays.npz"));
    push(seeds, "zip_archive", "empty", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    push(seeds, "zip_archive", "prepended", [b"#!/bin/sh\n", &packed[..]].concat());
    push(seeds, "zip_archive", "two", [&packed[..], packed].concat());
    for (name, bytes) in [
        ("global", b"cos\nsystem\n(S'id'\ntR.".as_slice()),
        ("stack_global", b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x8c\x02id\x85R."),
        ("inst_obj", b"(S'id'\nios\nsystem\n0(cos\nsystem\nS'id'\no."),
        ("folded", b"coperator\nadd\n\x8c\x01o\x8c\x01s\x86R\x8c\x06system\x93."),
        ("cut", b"cos\nsystem\n(S'id'\ntR"),
        ("several", b"\x80\x02N.\x80\x04]\x94h\x00a.I01\n.trailing"),
        ("build", b"ccollections\nOrderedDict\n)R}K\x01K\x02sbK\x03K\x04s."),
        ("newobj_ex", b"cx\ny\n)}\x92\x8f(K\x01\x90\x91\x82\x01\x97\x98."),
        ("lengths", b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f"),
        ("memo", b"Nr\xff\xff\xff\xff0j\xff\xff\xff\xff."),
    ] {
        push(seeds, "pickle_stream", name, bytes);
    }
    for (name, text) in [
        (
            "chat",
            "{% for m in messages if m.role != 'system' -%}{{ '<|' + m['role'] + '|>' ~ m.content | trim }}{%- else %}{{ raise_exception('x') }}{% endfor %}",
        ),
        (
            "hidden",
            "{% set a = ['__cla', 'ss__']|join %}{{ x[a]['%c%c'|format(95, 95)]|attr('__ssalc__'[::-1]) }}{{ dict(__init__=1)|first }}",
        ),
        (
            "blocks",
            "{% macro m(a, b=1) %}{{ m(a) }}{% endmacro %}{% call(x) m(1, *y, **z) %}{% raw %}{{{% endraw %}{% endcall %}{% filter upper|trim %}{% generation %}{% endgeneration %}{% endfilter %}{% with a = 1, b = 2 %}{% endwith %}{# c -#} ",
        ),
        (
            "numbers",
            "{{ 1_000 ** 0x1f // 2.5e3 % -3 if a is not divisibleby 3 and b not in (1, 2,) else {'k': x[1:2]} }}",
        ),
        (
            "loads",
            "{% include 'a' ~ 'b' ignore missing %}{% from x import y as z with context %}{% extends q %}",
        ),
        ("open", "{{ (["),
    ] {
        push(seeds, "chat_template", name, text);
    }
    for (name, text) in [
        (
            "bpe",
            r#"{"added_tokens":[{"id":3,"content":"<s>","special":true}],"normalizer":{"type":"Sequence","normalizers":[{"type":"Replace","pattern":{"Regex":" +"},"content":" "}]},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b",["a","b"]]}}"#,
        ),
        ("unigram", r#"{"model":{"type":"Unigram","vocab":[["<unk>",0],["a",-1.5]],"byte_fallback":true}}"#),
        (
            "settings",
            r#"{"auto_map":{"AutoTokenizer":["t.T",null]},"chat_template":[{"name":"default","template":"{{ x }}"}],"bos_token":{"content":"<s>"},"added_tokens_decoder":{"5":{"content":"<s>"}}}"#,
        ),
        ("repeated", r#"{"model":{"vocab":{"a":0,"a":0},"merges":[]}}"#),
    ] {
        push(seeds, "tokenizer_json", name, text);
    }
}

/// Files in binary containers: small good ones, and ones that lie in one way.
/// Files whose names and rows are put back as the checkpoint has them.
fn sealed(seeds: &mut Seeds) {
    use tensor::gguf::{GgmlType, TensorInfo, Value, write};

    for (name, heads, kind, bytes) in [
        ("rows", 2, GgmlType::F32, 4 * 32 * 4),
        ("blocks", 1, GgmlType::Q8_0, 4 * 34),
        ("halves", 2, GgmlType::F16, 4 * 32 * 2),
        ("heads_that_do_not_fit", 3, GgmlType::F32, 4 * 32 * 4),
    ] {
        let metadata = [
            ("general.architecture", Value::from("llama")),
            ("llama.attention.head_count", Value::U32(heads)),
        ];
        let data: Vec<u8> = (0..bytes).map(|at| (at % 120) as u8).collect();
        let query = TensorInfo { name: "blk.0.attn_q.weight", kind, shape: &[4, 32] };
        push(seeds, "sealed_gguf", name, write(&metadata, &[(query, &data)]).expect("a file"));
    }
}

/// Blocks and packed words: eight bytes that say what the rest is, and the rest.
fn packed(seeds: &mut Seeds) {
    let rest: Vec<u8> = (0..=255).collect();
    for (name, head) in [
        ("q4_0", [0, 0, 0, 0, 0, 0, 0, 0]),
        ("q6_k", [0, 9, 0, 0, 0, 0, 0, 0]),
        ("gptq", [1, 128, 160, 8, 32, 8, 0, 32]),
        ("gptq_index", [1, 64, 96, 9, 8, 8, 1, 8]),
        ("awq", [2, 64, 96, 0, 16, 8, 0, 8]),
        ("nf4", [3, 128, 255, 0, 0, 0, 0, 0]),
        ("fp4", [3, 255, 255, 1, 0, 0, 0, 1]),
    ] {
        push(seeds, "packed_weights", name, [head.as_slice(), &rest].concat());
    }
}

/// A file of every kind, after the number of its name.
fn scanned(seeds: &mut Seeds, gguf: &[u8]) {
    let tokenizer = br#"{"normalizer": {"type": "Replace", "pattern": {"String": "no"}, "content": "yes"}, "model": {"vocab": {"a": 0, "b": 0}}}"#;
    let files: [(&str, u8, &[u8]); 9] = [
        ("gguf", 1, gguf),
        ("pickle", 2, b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R."),
        ("zip", 4, b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ("numpy", 8, b"\x93NUMPY\x01\0\x10\0{'descr': '|O'} \n"),
        ("config", 10, br#"{"auto_map": {"AutoModel": "other/repo--model.Model"}, "hidden_size": 1e999}"#),
        ("tokenizer", 12, tokenizer),
        (
            "template",
            15,
            b"{{ ''['\\137\\137class\\137\\137'] }}{% for m in messages %}{{ -m|abs }}{% endfor %}",
        ),
        ("graph", 16, b"\x12\x0e\x12\x0c\x0a\x0a\x12\x08ReadFile"),
        ("yaml", 17, b"a: !!python/object/apply:os.system [id]\n"),
    ];
    for (name, number, bytes) in files {
        push(seeds, "scan_file", name, [&[number], bytes].concat());
    }
}

fn tensors(seeds: &mut Seeds) {
    use tensor::gguf::{Array, GgmlType, TensorInfo, Value, ValueType, write};

    let metadata = [
        ("general.architecture", Value::from("llama")),
        ("llama.block_count", Value::U32(1)),
        ("tokenizer.ggml.tokens", Value::Array(Array::of_texts(["<s>", "a"]))),
        ("all.bool", Value::Bool(true)),
        ("all.f64", Value::F64(0.5)),
        (
            "all.nested",
            Value::Array(Array::of(ValueType::Array, &[Value::Array(Array::of_texts([]))]).expect("arrays")),
        ),
    ];
    let info = |name, kind, shape| TensorInfo { name, kind, shape };
    let tensors = [
        (info("blk.0.attn_q.weight", GgmlType::Q4_1, &[2, 32]), [1; 40].as_slice()),
        (info("output_norm.weight", GgmlType::F32, &[2]), &[0; 8]),
        (info("empty", GgmlType::BF16, &[0, 4]), &[]),
    ];
    let file = write(&metadata, &tensors).expect("a file");
    push(seeds, "gguf", "small", &file);
    push(seeds, "gguf", "cut", &file[..file.len() - 40]);
    push(seeds, "gguf", "vocabulary", write(&metadata, &[]).expect("a file"));
    sealed(seeds);
    packed(seeds);
    scanned(seeds, &file);
    let announced = |tensors: u64, pairs: u64| {
        [b"GGUF\x03\0\0\0".as_slice(), &tensors.to_le_bytes(), &pairs.to_le_bytes()].concat()
    };
    push(seeds, "gguf", "announces_much", announced(1_000_000, 60_000));
    push(seeds, "gguf", "announces_all", announced(u64::MAX, u64::MAX));
    let key = [&1_u64.to_le_bytes(), b"k".as_slice()].concat();
    let nested = [9_u32, 9, 1, 0, 9, 1, 0, 9, 1, 0, 9, 1, 0, 9, 1, 0].map(u32::to_le_bytes).concat();
    push(seeds, "gguf", "nested", [announced(0, 1), key.clone(), nested].concat());
    let huge_text = [8_u32.to_le_bytes().as_slice(), &u64::MAX.to_le_bytes()].concat();
    push(seeds, "gguf", "huge_text", [announced(0, 1), key, huge_text].concat());

    let npy = |header: &str, data: &[u8]| {
        let length = u16::try_from(header.len()).expect("short").to_le_bytes();
        [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), data].concat()
    };
    for (name, header, data) in [
        ("f4", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }", [0; 8].as_slice()),
        ("big", "{'descr': '>i2', 'fortran_order': True, 'shape': (3,), }\n", &[0, 1, 2, 3, 4, 5]),
        ("scalar", "{\"descr\":\"|b1\",\"fortran_order\":False,\"shape\":()}", &[1]),
        ("objects", "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"\x80\x04."),
        ("fields", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", &[0; 4]),
        ("code", "{'descr': __import__('os'), 'fortran_order': False, 'shape': ()}", &[]),
        ("overflow", "{'descr': '<c16', 'fortran_order': False, 'shape': (18446744073709551615, 2)}", &[]),
    ] {
        push(seeds, "npy", name, npy(header, data));
    }

    // `y = x · w`, a field at a time: (number, bytes).
    let message = |fields: &[(u8, &[u8])]| -> Vec<u8> {
        let field = |(number, bytes): &(u8, &[u8])| {
            let length = u8::try_from(bytes.len()).ok().filter(|length| *length < 128).expect("short");
            [[number << 3 | 2, length].as_slice(), bytes].concat()
        };
        fields.iter().flat_map(field).collect()
    };
    let node = message(&[(1, b"x"), (1, b"w"), (2, b"y"), (4, b"MatMul")]);
    let shape = message(&[(1, &[0x12, 1, b'n']), (1, &[0x08, 2])]);
    let tensor_type = [[0x08, 1].as_slice(), &message(&[(2, &shape)])].concat();
    let input = message(&[(1, b"x"), (2, &message(&[(1, &tensor_type)]))]);
    let output = message(&[(1, b"y")]);
    let model = |weights: &[u8], node: &[u8]| {
        let graph = message(&[(1, node), (2, b"g"), (5, weights), (11, &input), (12, &output)]);
        [[0x08, 8].as_slice(), &message(&[(7, &graph), (8, &[0x10, 17])])].concat()
    };
    let tensor =
        |rest: &[u8]| [[0x08, 2, 0x08, 1, 0x10, 1].as_slice(), &message(&[(8, b"w")]), rest].concat();
    push(seeds, "onnx", "raw", model(&tensor(&message(&[(9, &[0; 8])])), &node));
    push(seeds, "onnx", "typed", model(&tensor(&message(&[(4, &[0; 8])])), &node));
    let external = message(&[(13, &message(&[(1, b"location"), (2, b"w.bin")]))]);
    push(seeds, "onnx", "external", model(&tensor(&[external.as_slice(), &[0x70, 1]].concat()), &node));
    let elsewhere = message(&[(13, &message(&[(1, b"location"), (2, b"../w.bin")]))]);
    push(seeds, "onnx", "elsewhere", model(&tensor(&[elsewhere.as_slice(), &[0x70, 1]].concat()), &node));
    let inner = message(&[(1, &message(&[(1, b"x"), (2, b"z"), (4, b"Relu")])), (2, b"then")]);
    let branch = [message(&[(1, b"then_branch"), (6, &inner)]).as_slice(), &[0xa0, 1, 5]].concat();
    let conditional = message(&[(1, b"x"), (2, b"y"), (4, b"If"), (5, &branch)]);
    push(seeds, "onnx", "nested", model(&tensor(&message(&[(9, &[0; 8])])), &conditional));
    push(seeds, "onnx", "long_number", [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]);
}

fn models(seeds: &mut Seeds) {
    let config = tensor::sample::base_and_adapter(1).expect("a sample").config;
    let config = config.as_bytes();
    let header = r#"{"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]},"base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight":{"dtype":"F16","shape":[2,1],"data_offsets":[4,8]}}"#;
    let weights = framed(header, &[0, 0x3c, 0, 0x3c, 0, 0x3c, 0, 0x38]);
    push(seeds, "adapter", "sample", [config, &[0], &weights].concat());
    push(seeds, "adapter", "no_tensors", [config, &[0], &framed("{}", &[])].concat());
    push(seeds, "peft_config", "sample", config);
    push(seeds, "peft_config", "patterns", br#"{"peft_type":"LORA","r":8,"lora_alpha":16,"target_modules":["q_proj","v_proj"],"rank_pattern":{"q_proj":4},"alpha_pattern":{"v_proj":32},"use_rslora":true,"bias":"none"}"#);
    push(
        seeds,
        "peft_config",
        "regex",
        br#"{"peft_type":"LORA","r":8,"lora_alpha":16,"target_modules":".*q_proj"}"#,
    );
    push(seeds, "peft_config", "zero_rank", br#"{"peft_type":"LORA","r":0,"lora_alpha":1e308}"#);
    push(seeds, "peft_config", "repeated", br#"{"peft_type":"LORA","r":8,"r":9,"lora_alpha":16}"#);
    let header = r#"{"a":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}"#;
    push(seeds, "safetensors", "two", framed(header, &[0x3c, 0, 0, 0x7e, 0, 0, 0x80, 0x7f]));
    push(seeds, "safetensors", "gap", framed(&header.replace("[4,8]", "[5,9]"), &[0; 9]));
    push(seeds, "safetensors", "overlap", framed(&header.replace("[4,8]", "[3,7]"), &[0; 7]));
    push(
        seeds,
        "safetensors",
        "overflow",
        framed(&header.replace("[1,2]", "[4294967296,4294967296,4]"), &[0; 8]),
    );
    push(seeds, "safetensors", "metadata", framed(r#"{"__metadata__":{"format":"pt"}}"#, &[]));
    push(seeds, "safetensors", "announces_much", [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat());
    push(seeds, "safetensors_index", "two", br#"{"metadata":{"total_size":8},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}"#);
    push(seeds, "safetensors_index", "up", br#"{"weight_map":{"a":"../model.safetensors"}}"#);
    let scope = serde_json::to_vec(&tensor::scope::Scope::closed()).expect("a scope");
    push(seeds, "scope", "closed", &scope);
    push(seeds, "scope", "empty", b"{}");
    push(seeds, "scope", "list", b"[[]]");
    push(seeds, "scope_settings", "closed", [scope.as_slice(), b"\0{\"a\":1}\0{\"a\":2}"].concat());
    push(seeds, "scope_settings", "prompts", [scope.as_slice(), b"\0# A\nold\n\0# A\nnew\n"].concat());
}

/// A safetensors file of this header and these bytes.
fn framed(header: &str, data: &[u8]) -> Vec<u8> {
    [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes(), data].concat()
}

fn stored(seeds: &mut Seeds) {
    let digest = Digest::of(b"a");
    let manifest = |path: &str| {
        format!(
            "{{\"entries\":[{{\"digest\":\"{digest}\",\"path\":\"{path}\",\"size\":1}}],\"type\":\"countersign/folder/v1\"}}"
        )
    };
    push(seeds, "vault_manifest", "one", manifest("a/b.txt"));
    push(seeds, "vault_manifest", "up", manifest("../b.txt"));
    push(seeds, "vault_manifest", "absolute", manifest("/b.txt"));
    push(seeds, "vault_manifest", "empty", b"{\"entries\":[],\"type\":\"countersign/folder/v1\"}");
    let snapshot = vault::Snapshot {
        kind: vault::SnapshotKind::First,
        state: statement::StateId::from_digest(digest),
        components: std::collections::BTreeMap::new(),
        parents: Vec::new(),
        change: None,
    };
    let bytes = snapshot.to_bytes().expect("a snapshot");
    push(seeds, "vault_snapshot", "first", &bytes);
    push(seeds, "vault_snapshot", "other_type", String::from_utf8(bytes).expect("text").replace("v1", "v2"));
    push(seeds, "vault_attachment", "salted", [b"countersign-attachment-v1".as_slice(), &[7; 64]].concat());
    push(seeds, "vault_attachment", "short", b"countersign-attachment-v1");
}

fn recovery(seeds: &mut Seeds) {
    push(seeds, "log_recovery", "untouched", b"");
    for file in 0..8_u8 {
        push(seeds, "log_recovery", &format!("flip_{file}"), [file, 40, 0x80, 2, 1]);
        push(seeds, "log_recovery", &format!("truncate_{file}"), [file, 64, 0x80, 0, 0]);
    }
    push(seeds, "log_recovery", "doubled_tail", [3, 0, 0x90, 3, 0, 4, 0, 0x90, 3, 0]);
}
