//! `countersign sign`: an OpenSSF Model Signing bundle over a model's files.

use std::path::Path;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, KeyPair as _,
};
use seal::oms::bundle::BUNDLE_BYTES_MAX;
use seal::oms::manifest::SHARD_BYTES;
use seal::oms::plan::resources;
use seal::oms::{Bundle, HashType, Manifest, Method, PublicKey, Serialization, Symlinks, Unsigned};
use serde_json::json;
use signer::{FileKey, KEY_FILE_BYTES_MAX, KeyFile, Signer as _};
use statement::Bytes;
use statement::kind::Assurance;
use zeroize::Zeroizing;

use super::folder::Model;
use crate::cli::{SignArgs, SignHash, SignMethod};
use crate::command::Setting;
use crate::failure::{Done, Failure};
use crate::home::read_bounded;
use crate::keys::Keys;
use crate::outfile::{OutFile, Readers};

/// What `model_signing` leaves out as well.
const GIT: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

/// Hashes, signs, writes the bundle.
pub(crate) fn sign(setting: &Setting, args: &SignArgs) -> Done {
    let key = Key::open(setting, &args.key)?;
    let symlinks = if args.allow_symlinks { Symlinks::Followed } else { Symlinks::Refused };
    let model = Model::walk(&args.path, &args.out, symlinks)?;
    let is_file = model.found.iter().any(|file| file.path == ".");
    let mut ignored = args.ignore.clone();
    if !args.with_git && !is_file {
        ignored.extend(GIT.iter().map(|&path| path.to_owned()));
    }
    for path in &args.ignore {
        let is_there = |found: &str| {
            found
                .strip_prefix(path.trim_end_matches('/'))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !model.found.iter().any(|file| is_there(&file.path)) {
            return Err(Failure::usage(format!(
                "`--ignore {path}` names nothing in the model: paths are those within its folder"
            )));
        }
    }
    if !is_file && let Some(own) = inside(&args.path, &args.out) {
        over_a_signature_only(&args.out)?;
        // So that other verifiers leave it out as well.
        ignored.push(own);
    }
    ignored.sort();
    ignored.dedup();
    let serialization = Serialization {
        method: match args.method {
            SignMethod::Files => Method::Files,
            SignMethod::Shards => Method::Shards { bytes: SHARD_BYTES },
        },
        hash: match args.hash {
            SignHash::Sha256 => HashType::Sha256,
            SignHash::Blake2b => HashType::Blake2b,
            SignHash::Blake3 => HashType::Blake3,
        },
        symlinks,
        ignored,
    };
    let jobs = serialization.plan(&model.found)?;
    let bytes: u64 = jobs.iter().map(|job| job.bytes).sum();
    let hashed = model.hash(serialization.hash, jobs)?;
    let manifest = Manifest::new(&model.name, serialization, resources(hashed))?;
    let unsigned = Unsigned::of(&manifest)?;
    let public = key.public()?;
    let signature = key.sign(&unsigned)?;
    let bundle = unsigned.finish(&public, &signature)?;
    OutFile::put(&args.out, Readers::Everybody, &bundle)?;
    let names = manifest.names()?;
    let count = manifest.resources().len();
    setting.print(
        &json!({
            "bundle": args.out,
            "bytes": bytes,
            "hash": manifest.serialization().hash.name(),
            "key": public.hint(),
            "model": manifest.model(),
            "names": names,
            "resources": count,
            "subject": manifest.subject_digest(),
        }),
        &format!(
            "signed `{}`: {count} digests over {bytes} bytes ({}), {}\n  names and digests: sha256:{names}\n  key: {}\n  bundle: {}\n",
            manifest.model(),
            manifest.serialization().algorithm(),
            public.curve().name(),
            public.hint(),
            args.out.display(),
        ),
    );
    Ok(())
}

/// Refuses to put the bundle over a file of the model that is no bundle.
fn over_a_signature_only(out: &Path) -> Done {
    use std::io::Read as _;
    let Ok(there) = std::fs::File::open(out) else { return Ok(()) };
    let mut bytes = Vec::new();
    let most = BUNDLE_BYTES_MAX as u64 + 1;
    there.take(most).read_to_end(&mut bytes).map_err(|error| Failure::file(out, &error))?;
    if bytes.is_empty() || Bundle::parse(&bytes).is_ok() {
        return Ok(());
    }
    let message = format!("`{}` is a file of the model, and no signature", out.display());
    Err(Failure::new("CS-CLI-090", message, "name another file; nothing was written over it"))
}

/// The path of the bundle in the model's folder, where it is written there.
fn inside(model: &Path, out: &Path) -> Option<String> {
    let root = model.canonicalize().ok()?;
    let folder = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let place = folder.canonicalize().ok()?.join(out.file_name()?);
    place.strip_prefix(&root).ok()?.to_str().map(str::to_owned)
}

/// A key that can sign models.
enum Key {
    Sealed(Box<FileKey>),
    Pem(EcdsaKeyPair),
}

impl Key {
    fn open(setting: &Setting, path: &Path) -> Done<Self> {
        let bytes = Zeroizing::new(read_bounded(path, KEY_FILE_BYTES_MAX.max(64 << 10))?);
        if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
            return Self::of_pem(&bytes, path);
        }
        let file = KeyFile::read(path)?;
        let key = if file.assurance() == Assurance::Unsealed {
            file.open_unsealed()?
        } else {
            let keys = Keys::new(&setting.home, setting.passphrase.clone());
            file.open_sealed(&keys.passphrase(&format!("Passphrase for key `{}`: ", path.display()))?)?
        };
        Ok(Self::Sealed(Box::new(key)))
    }

    /// PKCS#8 or SEC1, not encrypted.
    fn of_pem(bytes: &[u8], path: &Path) -> Done<Self> {
        let refused = |why: &str| Failure::not_a("key that can sign models", path, why);
        let text = std::str::from_utf8(bytes).map_err(|_| refused("it is not text"))?;
        let mut lines = text.lines().map(str::trim).skip_while(|line| {
            *line != "-----BEGIN PRIVATE KEY-----" && *line != "-----BEGIN EC PRIVATE KEY-----"
        });
        let label = lines.next().ok_or_else(|| refused("it is no unencrypted private key in PEM"))?;
        let mut lines = lines.peekable();
        // RFC 1421: the headers of a key that OpenSSL encrypted stand before the bytes.
        if lines.peek().is_some_and(|line| line.starts_with("Proc-Type:")) {
            return Err(refused(
                "it is encrypted; give it without a passphrase, or a key of `countersign key`",
            ));
        }
        let body = Zeroizing::new(lines.take_while(|line| !line.starts_with("-----END")).collect::<String>());
        let der = Bytes::from_base64(&body).map_err(|_| refused("it is not base64"))?;
        let der = Zeroizing::new(der.into_vec());
        let curves = [
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            &ECDSA_P384_SHA384_ASN1_SIGNING,
            &ECDSA_P521_SHA512_ASN1_SIGNING,
        ];
        for curve in curves {
            let pair = if label.contains("EC") {
                EcdsaKeyPair::from_private_key_der(curve, &der)
            } else {
                EcdsaKeyPair::from_pkcs8(curve, &der)
            };
            if let Ok(pair) = pair {
                return Ok(Self::Pem(pair));
            }
        }
        Err(refused("it is not an ECDSA key on P-256, P-384 or P-521"))
    }

    fn public(&self) -> Done<PublicKey> {
        match self {
            Self::Sealed(key) => Ok(PublicKey::from_pem(signer::public_pem(key.public_key())?.as_bytes())?),
            Self::Pem(pair) => {
                let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).map_err(|_| {
                    Failure::outside("the key's public half cannot be written", "use another key")
                })?;
                Ok(PublicKey::from_spki(spki.as_ref())?)
            }
        }
    }

    fn sign(&self, unsigned: &Unsigned) -> Done<Vec<u8>> {
        match self {
            Self::Sealed(key) => Ok(signer::sign_model(key.as_ref(), unsigned)?),
            Self::Pem(pair) => {
                let signature = pair.sign(&SystemRandom::new(), &unsigned.message());
                let signature =
                    signature.map_err(|_| Failure::outside("the key does not sign", "use another key"))?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}
