use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use sha2::{Digest as _, Sha512};
use statement::key::{Assertion, RelyingParty};
use statement::{Bytes, Digest, Name, Scheme, json};

use super::*;
use crate::review::tests::{key, refused, unsigned, verified};
use crate::review::{Pending, Reviewed, Signing, begin, countersign, review};
use crate::secret::FileScheme;

#[test]
fn what_waits_may_move_between_threads() {
    fn moves<T: Send + 'static>() {}
    moves::<Pending>();
    moves::<Signing>();
    moves::<Reviewed>();
}

/// A device that goes wrong in one way.
#[derive(Debug)]
struct Device {
    public: PublicKey,
    fault: Fault,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    WrongSignature,
    Locked,
    NeverDone,
}

impl Device {
    fn new(fault: Fault) -> Self {
        Self { public: key(FileScheme::Ed25519).public_key().clone(), fault }
    }
}

impl Signer for Device {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn start(&self, _: &Message) -> Result<Progress, DeviceFailure> {
        match self.fault {
            Fault::WrongSignature => Ok(Progress::Signed(vec![1; 64])),
            Fault::Locked => Err("the token is locked".into()),
            Fault::NeverDone => Ok(Progress::Awaiting(Box::new(Endless))),
        }
    }
}

#[derive(Debug)]
struct Endless;

impl Round for Endless {
    fn requests(&self) -> &[Parcel] {
        &[]
    }

    fn answer(self: Box<Self>, _: &[Parcel]) -> Result<Progress, DeviceFailure> {
        Ok(Progress::Awaiting(self))
    }
}

#[test]
fn devices_that_go_wrong() {
    for (fault, code) in [
        (Fault::WrongSignature, "CS-SGN-042"),
        (Fault::Locked, "CS-SGN-045"),
        (Fault::NeverDone, "CS-SGN-043"),
    ] {
        let mut envelope = unsigned();
        refused(countersign(&Device::new(fault), review(&unsigned()).unwrap(), &mut envelope), code);
        assert_eq!(envelope, unsigned());
        // Logs and witnesses drive signers too.
        refused(sign_at_once(&Device::new(fault), &Message::new(b"DSSEv1 ".to_vec())), code);
    }
    let mut signing = begin(&Device::new(Fault::NeverDone), review(&unsigned()).unwrap());
    let mut answered = 0;
    let error = loop {
        match signing {
            Ok(Signing::Awaiting(pending)) => signing = pending.answer(&[]),
            Ok(Signing::Done(_)) => panic!("it never signs"),
            Err(error) => break error,
        }
        answered += 1;
    };
    assert_eq!((error.code(), answered), ("CS-SGN-044", crate::signer::ROUNDS_MAX + 1));
}

#[test]
fn a_device_that_fails_in_a_round_is_named() {
    #[derive(Debug)]
    struct Broken(PublicKey);
    impl Signer for Broken {
        fn public_key(&self) -> &PublicKey {
            &self.0
        }

        fn start(&self, _: &Message) -> Result<Progress, DeviceFailure> {
            Ok(Progress::Awaiting(Box::new(Pulled)))
        }
    }
    #[derive(Debug)]
    struct Pulled;
    impl Round for Pulled {
        fn requests(&self) -> &[Parcel] {
            &[]
        }

        fn answer(self: Box<Self>, _: &[Parcel]) -> Result<Progress, DeviceFailure> {
            Err("the token was pulled out".into())
        }
    }
    let broken = Broken(key(FileScheme::Ed25519).public_key().clone());
    let Ok(Signing::Awaiting(pending)) = begin(&broken, review(&unsigned()).unwrap()) else {
        panic!("waits")
    };
    let error = pending.answer(&[]).map(drop).unwrap_err();
    assert_eq!(error.code(), "CS-SGN-045");
    assert!(error.to_string().contains(&broken.0.id().to_string()), "{error}");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "the token was pulled out");
}

/// A passkey, as the console will ask one: one round, to the browser and back.
#[derive(Debug)]
struct Passkey(PublicKey);

#[derive(Debug)]
struct AskBrowser([Parcel; 1]);

impl Signer for Passkey {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn start(&self, message: &Message) -> Result<Progress, DeviceFailure> {
        let challenge = Digest::of(message.as_bytes());
        let ask = Parcel { party: browser(), bytes: challenge.as_bytes().to_vec() };
        Ok(Progress::Awaiting(Box::new(AskBrowser([ask]))))
    }
}

impl Round for AskBrowser {
    fn requests(&self) -> &[Parcel] {
        &self.0
    }

    fn answer(self: Box<Self>, answers: &[Parcel]) -> Result<Progress, DeviceFailure> {
        let [answer] = answers else { panic!("one browser answers") };
        Ok(Progress::Signed(answer.bytes.clone()))
    }
}

fn browser() -> Name {
    "browser".parse().unwrap()
}

/// What the browser and the authenticator make of a challenge.
fn assertion(held: &ed25519_dalek::SigningKey, site: &RelyingParty, challenge: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(challenge);
    let client = format!(r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"{}"}}"#, site.origin);
    let mut data = Digest::of(site.id.as_bytes()).as_bytes().to_vec();
    data.extend_from_slice(&[0x05, 0, 0, 0, 1]);
    let mut message = data.clone();
    message.extend_from_slice(Digest::of(client.as_bytes()).as_bytes());
    let signature = ed25519_dalek::Signer::sign(held, &message).to_bytes().to_vec();
    json::to_canonical(&Assertion {
        authenticator_data: Bytes::new(data),
        client_data: Bytes::new(client.into_bytes()),
        signature: Bytes::new(signature),
    })
    .unwrap()
}

#[test]
fn a_passkey_fits_the_seam() {
    let site = RelyingParty { id: "example.com".to_owned(), origin: "https://example.com".to_owned() };
    let held = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
    let passkey = Passkey(PublicKey {
        public: Bytes::new(held.verifying_key().as_bytes().to_vec()),
        scheme: Scheme::WebauthnEd25519(site.clone()),
    });
    let mut envelope = unsigned();
    let Ok(Signing::Awaiting(pending)) = begin(&passkey, review(&envelope).unwrap()) else { panic!("waits") };
    // The challenge is the statement id.
    assert_eq!(pending.requests()[0].bytes, envelope.id().digest().as_bytes());
    let bytes = assertion(&held, &site, &pending.requests()[0].bytes);
    let Ok(Signing::Done(signed)) = pending.answer(&[Parcel { party: browser(), bytes }]) else {
        panic!("done")
    };
    signed.attach(&mut envelope).unwrap();
    verified(&envelope, &[passkey.public_key()]);

    let Ok(Signing::Awaiting(pending)) = begin(&passkey, review(&unsigned()).unwrap()) else {
        panic!("waits")
    };
    let bytes = assertion(&held, &site, &[0; 32]);
    refused(pending.answer(&[Parcel { party: browser(), bytes }]), "CS-SGN-042");
}

/// Two holders of additive shares of one Ed25519 key: commitments in the first round, shares in the second.
/// Enough to show that the seam carries such a protocol; not one to be used, since its nonces are not bound.
#[derive(Debug)]
struct Shared(PublicKey);

#[derive(Debug)]
struct Commitments {
    public: PublicKey,
    message: Vec<u8>,
    requests: Vec<Parcel>,
}

#[derive(Debug)]
struct Shares {
    nonce: EdwardsPoint,
    requests: Vec<Parcel>,
}

struct Holder {
    share: Scalar,
    nonce: Scalar,
}

fn holders() -> [(Name, Holder); 2] {
    [("first", 5_u64, 11_u64), ("second", 1_000_003, 77_777)].map(|(name, share, nonce)| {
        (name.parse().unwrap(), Holder { share: Scalar::from(share), nonce: Scalar::from(nonce) })
    })
}

fn to_parties(bytes: &[u8]) -> Vec<Parcel> {
    holders().map(|(party, _)| Parcel { party, bytes: bytes.to_vec() }).to_vec()
}

fn challenge(nonce: &EdwardsPoint, public: &[u8], message: &[u8]) -> Scalar {
    let hash =
        Sha512::new().chain_update(nonce.compress().as_bytes()).chain_update(public).chain_update(message);
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

impl Signer for Shared {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn start(&self, message: &Message) -> Result<Progress, DeviceFailure> {
        Ok(Progress::Awaiting(Box::new(Commitments {
            public: self.0.clone(),
            message: message.as_bytes().to_vec(),
            requests: to_parties(b"commit"),
        })))
    }
}

impl Round for Commitments {
    fn requests(&self) -> &[Parcel] {
        &self.requests
    }

    fn answer(self: Box<Self>, answers: &[Parcel]) -> Result<Progress, DeviceFailure> {
        let point = |answer: &Parcel| {
            curve25519_dalek::edwards::CompressedEdwardsY::from_slice(&answer.bytes)
                .unwrap()
                .decompress()
                .unwrap()
        };
        let nonce = answers.iter().map(point).sum();
        let challenge = challenge(&nonce, self.public.public.as_slice(), &self.message);
        Ok(Progress::Awaiting(Box::new(Shares { nonce, requests: to_parties(challenge.as_bytes()) })))
    }
}

impl Round for Shares {
    fn requests(&self) -> &[Parcel] {
        &self.requests
    }

    fn answer(self: Box<Self>, answers: &[Parcel]) -> Result<Progress, DeviceFailure> {
        let share = |answer: &Parcel| Scalar::from_bytes_mod_order(answer.bytes.clone().try_into().unwrap());
        let sum: Scalar = answers.iter().map(share).sum();
        let mut signature = self.nonce.compress().as_bytes().to_vec();
        signature.extend_from_slice(sum.as_bytes());
        Ok(Progress::Signed(signature))
    }
}

#[test]
fn a_shared_key_fits_the_seam() {
    let public = EdwardsPoint::mul_base(&holders().iter().map(|(_, holder)| holder.share).sum());
    let shared = Shared(PublicKey {
        public: Bytes::new(public.compress().as_bytes().to_vec()),
        scheme: Scheme::Ed25519,
    });
    // Each holder answers from what it is sent and its own secrets alone.
    let answer = |request: &Parcel| {
        let (_, holder) = holders().into_iter().find(|(party, _)| *party == request.party).unwrap();
        let bytes = if request.bytes == b"commit" {
            EdwardsPoint::mul_base(&holder.nonce).compress().as_bytes().to_vec()
        } else {
            let challenge = Scalar::from_bytes_mod_order(request.bytes.clone().try_into().unwrap());
            (holder.nonce + challenge * holder.share).as_bytes().to_vec()
        };
        Parcel { party: request.party.clone(), bytes }
    };
    let sign = |drop_one: Option<usize>| {
        let mut signing = begin(&shared, review(&unsigned()).unwrap());
        let mut rounds = 0;
        loop {
            match signing {
                Ok(Signing::Awaiting(pending)) => {
                    rounds += 1;
                    let mut answers: Vec<_> = pending.requests().iter().map(answer).collect();
                    if drop_one == Some(rounds) {
                        answers.pop();
                    }
                    signing = pending.answer(&answers);
                }
                done => return (rounds, done),
            }
        }
    };
    let (rounds, done) = sign(None);
    let Ok(Signing::Done(signed)) = done else { panic!("signed") };
    assert_eq!(rounds, 2);
    let mut envelope = unsigned();
    signed.attach(&mut envelope).unwrap();
    verified(&envelope, &[shared.public_key()]);
    // One holder alone does not sign, in whichever round the other is absent.
    refused(sign(Some(1)).1, "CS-SGN-042");
    refused(sign(Some(2)).1, "CS-SGN-042");
}
