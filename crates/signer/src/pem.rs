//! Public keys for other tools: SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7) in PEM (RFC 7468, section 13).

use statement::{Bytes, PublicKey, Scheme};

use crate::error::SignerError;

/// `SEQUENCE { SEQUENCE { OID 1.3.101.112 } BIT STRING }`, up to the 32 key bytes (RFC 8410, section 4).
const ED25519_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// `SEQUENCE { SEQUENCE { OID ecPublicKey, OID prime256v1 } BIT STRING }`, up to the 65 bytes of the point
/// (RFC 5480, section 2).
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The public key in PEM, `-----BEGIN PUBLIC KEY-----`. A passkey's is that of the key inside it.
pub fn public_pem(key: &PublicKey) -> Result<String, SignerError> {
    key.check().map_err(|_| SignerError::PublicKey { key: key.id() })?;
    let mut der = match key.scheme {
        Scheme::Ed25519 | Scheme::WebauthnEd25519(_) => ED25519_HEAD.to_vec(),
        Scheme::EcdsaP256Sha256 | Scheme::WebauthnEs256(_) => P256_HEAD.to_vec(),
    };
    der.extend_from_slice(key.public.as_slice());
    let text = Bytes::new(der).to_base64();
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    for (place, character) in text.chars().enumerate() {
        if place > 0 && place.is_multiple_of(64) {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str("\n-----END PUBLIC KEY-----\n");
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_8410() {
        // Section 10.1.
        let public = Bytes::from_base64("Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=").unwrap();
        let expected = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
            -----END PUBLIC KEY-----\n";
        assert_eq!(public_pem(&PublicKey { public, scheme: Scheme::Ed25519 }).unwrap(), expected);
    }

    #[test]
    fn bytes_that_are_no_key_are_refused() {
        for (bytes, scheme) in [
            (vec![0; 32], Scheme::Ed25519),
            (vec![4; 65], Scheme::EcdsaP256Sha256),
            (vec![], Scheme::Ed25519),
        ] {
            let error = public_pem(&PublicKey { public: Bytes::new(bytes), scheme }).unwrap_err();
            assert_eq!(error.code(), "CS-SGN-047");
        }
    }
}
