//! The security section, and the public key that everything else is verified with.

use std::{fmt, str::FromStr};

use ed25519_dalek::{Signature, StreamVerifier, VerifyingKey};

use super::{Class, Problems, Signer};
use crate::maif::json::{self, Value};

/// An Ed25519 key that is not of small order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// The text is not a usable public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPublicKey {
    #[error("a public key is 64 lower-case hexadecimal digits")]
    NotHex,
    #[error("the public key is no point of the curve")]
    NoPoint,
    #[error("the public key is of small order: its signatures prove nothing")]
    Weak,
}

impl FromStr for PublicKey {
    type Err = BadPublicKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        if text.bytes().any(|b| b.is_ascii_uppercase())
            || hex::decode_to_slice(text, &mut bytes).is_err()
        {
            return Err(BadPublicKey::NotHex);
        }
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| BadPublicKey::NoPoint)?;
        if key.is_weak() {
            return Err(BadPublicKey::Weak);
        }
        Ok(Self(key))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PublicKey {
    /// Begins to verify a message that comes in pieces. `None`: the signature can fit nothing,
    /// because its S is not canonical or its R is of small order (streaming does not refuse that
    /// by itself).
    pub fn stream(&self, signature: &[u8; 64]) -> Option<StreamVerifier> {
        let signature = Signature::from_bytes(signature);
        let r = VerifyingKey::from_bytes(signature.r_bytes()).ok()?;
        if r.is_weak() {
            return None;
        }
        self.0.verify_stream(&signature).ok()
    }

    /// Verifies a message given in parts.
    pub fn verifies(&self, message: &[&[u8]], signature: &[u8; 64]) -> bool {
        self.stream(signature).is_some_and(|mut stream| {
            for part in message {
                stream.update(part);
            }
            stream.finalize_and_verify().is_ok()
        })
    }
}

const MEMBERS: [&str; 6] = [
    "signer_id",
    "signer_did",
    "public_key",
    "key_algorithm",
    "signature_algorithm",
    "signed_at",
];

/// Reads the section. `None`: it gives no usable key, which has been reported.
pub fn read(
    bytes: &[u8],
    signer: &mut Option<Signer>,
    problems: &mut Problems,
) -> Option<PublicKey> {
    let mut fail = |message: String| problems.report(Class::BadSecurity, message);
    let value = match json::parse(bytes) {
        Ok(value @ Value::Object(_)) => value,
        Ok(_) => {
            fail("the security section is not an object".to_owned());
            return None;
        }
        Err(error) => {
            fail(format!("the security section is not JSON: {error}"));
            return None;
        }
    };
    if let Value::Object(members) = &value {
        for name in MEMBERS {
            let count = members.iter().filter(|(key, _)| key.is(name)).count();
            if count != 1 {
                fail(format!("the security section has {count} members {name}"));
            }
        }
        if members.len() > MEMBERS.len() {
            fail("the security section has more members than the format knows".to_owned());
        }
    }
    let text = |name| {
        value
            .get(name)
            .and_then(Value::as_text)
            .map(json::Text::to_lossy)
    };
    for name in ["key_algorithm", "signature_algorithm"] {
        if let Some(algorithm) = text(name).filter(|algorithm| algorithm != "Ed25519") {
            fail(format!("{name} is {algorithm:?}, not Ed25519"));
        }
    }
    let public_key = text("public_key").unwrap_or_default();
    *signer = Some(Signer {
        id: text("signer_id").unwrap_or_default(),
        did: text("signer_did").unwrap_or_default(),
        public_key: public_key.clone(),
        signed_at: value.get("signed_at").and_then(Value::as_u64),
    });
    if value.get("signed_at").is_some_and(|v| v.as_u64().is_none()) {
        fail("signed_at is not a time".to_owned());
    }
    public_key
        .parse()
        .map_err(|error: BadPublicKey| fail(error.to_string()))
        .ok()
}
