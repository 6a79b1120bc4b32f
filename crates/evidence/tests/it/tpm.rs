//! Quotes put together here as a TPM does, signed with keys made here (simulated), and one that a machine of Azure's
//! gave. Quotes of `swtpm` are tested where they are collected.

use std::collections::BTreeSet;

use evidence::fixture::{ATTRIBUTES, Chip};
use evidence::tpm::{Attest, name_digest};
use evidence::{
    Attestation, Claims, Error, Expected, Facts, Hex, Host, HostKind, Pcr, PcrRule, Policy, Status, TierRule,
    Tpm, Verified,
};
use statement::kind::Tier;
use statement::{Bytes, Digest};

use crate::samples::{claims, refused_when_flipped, sample, text};

const AT: i64 = 1_751_328_000;
fn chip() -> Chip {
    Chip::new(&[3; 32]).unwrap()
}

fn check(tpm: &Tpm, policy: &Policy) -> Result<Facts, Error> {
    evidence::host(&Host::Tpm2(tpm.clone()), policy, AT)
}

fn whole(claims: &Claims, tpm: Tpm, expected: &Expected, policy: &Policy) -> Result<Verified, Error> {
    let attestation = Attestation::new(claims.clone(), vec![Host::Tpm2(tpm)]).unwrap();
    // What was written is what is read.
    let bytes = attestation.to_bytes().unwrap();
    assert_eq!(Attestation::parse(&bytes).unwrap(), attestation);
    assert!(Attestation::is_meant(&bytes));
    evidence::verify(&attestation, expected, policy, AT)
}

#[test]
fn a_quote_over_the_claims_is_accepted_and_every_flipped_byte_refused() {
    let chip = chip();
    let claims = claims();
    let tpm = chip.quote(claims.binding().unwrap().as_bytes());
    let policy = chip.policy();
    let verified = whole(&claims, tpm.clone(), &Expected::default(), &policy).unwrap();
    let [facts] = verified.hosts() else { panic!("one host") };
    assert_eq!((facts.status, facts.simulated, facts.measured), (Status::KeyPinned, true, false));
    assert_eq!(facts.shown["reset_count"], "3");
    let expect = |codes: BTreeSet<&str>| assert_eq!(codes, BTreeSet::from(["CS-EVI-010", "CS-EVI-012"]));
    let attest = tpm.attest.as_slice();
    expect(refused_when_flipped(attest, 0..attest.len(), |bytes| {
        check(&Tpm { attest: Bytes::new(bytes), ..tpm.clone() }, &policy).map(drop)
    }));
    let signature = tpm.signature.as_slice();
    expect(refused_when_flipped(signature, 0..signature.len(), |bytes| {
        check(&Tpm { signature: Bytes::new(bytes), ..tpm.clone() }, &policy).map(drop)
    }));
    let public = tpm.public.as_slice();
    let codes = refused_when_flipped(public, 0..public.len(), |bytes| {
        check(&Tpm { public: Bytes::new(bytes), ..tpm.clone() }, &policy).map(drop)
    });
    // A key that is not quite this one is nobody's.
    assert_eq!(codes, BTreeSet::from(["CS-EVI-010", "CS-EVI-012", "CS-EVI-017"]));
    for index in 0..tpm.pcrs.len() {
        let mut twin = tpm.clone();
        twin.pcrs[index].value = Digest::of(b"another");
        assert_eq!(check(&twin, &policy).unwrap_err().code(), "CS-EVI-015");
        twin = tpm.clone();
        twin.pcrs[index].index += 1;
        assert_eq!(check(&twin, &policy).unwrap_err().code(), "CS-EVI-015");
        twin = tpm.clone();
        twin.pcrs.remove(index);
        assert_eq!(check(&twin, &policy).unwrap_err().code(), "CS-EVI-015");
    }
}

#[test]
fn a_quote_about_another_run_is_refused() {
    let chip = chip();
    let good = claims();
    let policy = chip.policy();
    let tpm = chip.quote(good.binding().unwrap().as_bytes());
    let others = [
        Claims { worker: Digest::of(b"other"), ..good.clone() },
        Claims { inputs: Digest::of(b"other"), ..good.clone() },
        Claims { trace_root: Digest::of(b"other"), ..good.clone() },
        Claims { nonce: Hex::new(b"another nonce".to_vec()), ..good.clone() },
    ];
    for other in &others {
        let refused = whole(other, tpm.clone(), &Expected::default(), &policy).unwrap_err();
        assert_eq!(refused.code(), "CS-EVI-011");
        let expected = Expected {
            nonce: Some(good.nonce.clone()),
            worker: Some(good.worker),
            inputs: Some(good.inputs),
            trace_root: Some(good.trace_root),
            tier: None,
        };
        whole(&good, tpm.clone(), &expected, &policy).unwrap();
        let own = chip.quote(other.binding().unwrap().as_bytes());
        let refused = whole(other, own, &expected, &policy).unwrap_err();
        assert!(matches!(refused.code(), "CS-EVI-030" | "CS-EVI-031"), "{refused}");
    }
    for nonce in [vec![0; 7], vec![0; 65]] {
        let claims = Claims { nonce: Hex::new(nonce), ..good.clone() };
        assert_eq!(claims.binding().unwrap_err().code(), "CS-EVI-003");
    }
}

#[test]
fn whose_key_it_is_decides() {
    let chip = chip();
    let tpm = chip.quote(b"12345678");
    let mut policy = Policy::none_required();
    policy.allow_simulated = true;
    let refused = check(&tpm, &policy).unwrap_err();
    assert!(matches!(refused, Error::NotAllowed { status: Status::KeyUnknown, .. }), "{refused}");
    policy.allow_statuses = BTreeSet::from([Status::KeyUnknown]);
    assert_eq!(check(&tpm, &policy).unwrap().status, Status::KeyUnknown);
    assert_eq!(check(&tpm, &Chip::new(&[4; 32]).unwrap().policy()).unwrap_err().code(), "CS-EVI-017");
}

#[test]
fn a_simulated_chip_counts_only_where_the_policy_says_so() {
    let chip = chip();
    let mut policy = chip.policy();
    policy.allow_simulated = false;
    // Nobody signs what the file says of it: the policy's word counts.
    let mut unlabelled = chip.quote(b"12345678");
    unlabelled.simulated = false;
    for quote in [chip.quote(b"12345678"), unlabelled.clone()] {
        assert_eq!(check(&quote, &policy).unwrap_err().code(), "CS-EVI-019");
    }
    assert!(check(&unlabelled, &chip.policy()).unwrap().simulated);
}

#[test]
fn a_key_that_could_sign_anything_is_refused() {
    let mut chip = chip();
    // Without each needed attribute, and with decryption beside signing.
    for attributes in
        [18, 16, 5, 4, 1].map(|bit| ATTRIBUTES & !(1 << bit)).into_iter().chain([ATTRIBUTES | 1 << 17])
    {
        chip.attributes = attributes;
        let policy = chip.policy();
        assert_eq!(
            check(&chip.quote(b"12345678"), &policy).unwrap_err().code(),
            "CS-EVI-013",
            "{attributes:x}"
        );
    }
}

#[test]
fn registers_have_listed_values() {
    let chip = chip();
    let tpm = chip.quote(b"12345678");
    let mut policy = chip.policy();
    let rule = |index, value: &[u8]| PcrRule { index, values: BTreeSet::from([Digest::of(value)]) };
    policy.tpm2.pcrs = vec![rule(7, b"secure boot"), rule(0, b"firmware")];
    assert!(check(&tpm, &policy).unwrap().measured);
    for bad in [rule(7, b"other"), rule(8, b"not quoted")] {
        policy.tpm2.pcrs = vec![bad];
        assert_eq!(check(&tpm, &policy).unwrap_err().code(), "CS-EVI-018");
    }
}

#[test]
fn a_tier_may_require_a_kind_of_host() {
    let chip = chip();
    let claims = claims();
    let mut policy = chip.policy();
    let expected = |tier| Expected { tier: Some(tier), ..Expected::default() };
    let none = Attestation::new(claims.clone(), Vec::new()).unwrap();
    for tier in Tier::ALL {
        // By default nothing is required, and the answer shows no host.
        assert!(evidence::verify(&none, &expected(tier), &policy, AT).unwrap().hosts().is_empty());
    }
    policy.tiers = vec![
        TierRule { tier: Tier::High, hosts: BTreeSet::from([HostKind::Tdx, HostKind::SevSnp]) },
        TierRule { tier: Tier::Medium, hosts: BTreeSet::from([HostKind::Tpm2]) },
    ];
    assert_eq!(
        evidence::verify(&none, &expected(Tier::Medium), &policy, AT).unwrap_err().code(),
        "CS-EVI-032"
    );
    let tpm = || chip.quote(claims.binding().unwrap().as_bytes());
    whole(&claims, tpm(), &expected(Tier::Medium), &policy).unwrap();
    whole(&claims, tpm(), &expected(Tier::Low), &policy).unwrap();
    assert_eq!(whole(&claims, tpm(), &expected(Tier::High), &policy).unwrap_err().code(), "CS-EVI-032");
}

#[test]
fn a_quote_of_a_machine_of_azures_is_accepted_with_the_key_it_published() {
    let Some(bytes) = sample("az-cvm-vtpm", "quote.bin") else { return };
    let Some(pem) = sample("az-cvm-vtpm", "akpub.pem") else { return };
    // Each part after its length as eight bytes, little-endian; the registers without one each.
    let mut rest = bytes.as_slice();
    let number = |rest: &mut &[u8]| {
        let (length, after) = rest.split_at(8);
        *rest = after;
        usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap()
    };
    let length = number(&mut rest);
    let (signature, after) = rest.split_at(length);
    rest = after;
    let length = number(&mut rest);
    let (attest, after) = rest.split_at(length);
    rest = after;
    assert_eq!(number(&mut rest), 24);
    let pcrs = (0..24)
        .zip(rest.chunks(32))
        .map(|(index, value)| Pcr { index, value: Digest::from_bytes(value.try_into().unwrap()) });
    assert!(text(&pem).contains("PUBLIC KEY"));
    let spki = x509::blocks(&pem, "PUBLIC KEY").unwrap().remove(0);
    let Some(x509::Key::Rsa { modulus, .. }) = x509::Key::from_spki(&spki) else { panic!("an RSA key") };
    // The package has the key and not its public area, which is put together here: RSASSA with SHA-256, 2048 bits.
    let mut public = [0x0001_u16, 0x000b].map(u16::to_be_bytes).concat();
    public.extend(ATTRIBUTES.to_be_bytes());
    public.extend([0_u16, 0x0010, 0x0014, 0x000b, 2048].map(u16::to_be_bytes).concat());
    public.extend(0_u32.to_be_bytes());
    public.extend(256_u16.to_be_bytes());
    public.extend(modulus);
    let mut signed = [0x0014_u16, 0x000b, 256].map(u16::to_be_bytes).concat();
    signed.extend_from_slice(signature);
    let tpm = Tpm {
        attest: Bytes::new(attest.to_vec()),
        certificates: Vec::new(),
        pcrs: pcrs.collect(),
        public: Bytes::new(public.clone()),
        signature: Bytes::new(signed.clone()),
        simulated: false,
    };
    let mut policy = Policy::none_required();
    policy.tpm2.keys = BTreeSet::from([name_digest(&public)]);
    assert_eq!(check(&tpm, &policy).unwrap().data, b"challenge");
    refused_when_flipped(attest, 0..attest.len(), |bytes| {
        check(&Tpm { attest: Bytes::new(bytes), ..tpm.clone() }, &policy).map(drop)
    });
    refused_when_flipped(&signed, 0..signed.len(), |bytes| {
        check(&Tpm { signature: Bytes::new(bytes), ..tpm.clone() }, &policy).map(drop)
    });
}

#[test]
fn structures_are_bounded() {
    let pcrs = [Pcr { index: 0, value: Digest::of(b"x") }];
    let good = Chip::attest(b"12345678", &pcrs);
    Attest::parse(&good).unwrap();
    for length in 0..good.len() {
        assert_eq!(Attest::parse(&good[..length]).unwrap_err().code(), "CS-EVI-010");
    }
    assert_eq!(Attest::parse(&[good.as_slice(), &[0]].concat()).unwrap_err().code(), "CS-EVI-010");
    assert_eq!(Attest::parse(&Chip::attest(&[1; 67], &pcrs)).unwrap_err().code(), "CS-EVI-010");
}
