//! Ingest keys: what they look like, how they are stored and compared. The key is shown once; stored is its SHA-256.
//!
//! A key is `eb_`, 12 digits by which it is found, `_`, and 64 digits of 256 random bits, all hexadecimal.

use crate::letter::hex;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Random bytes that a key is made of.
pub const RANDOM_BYTES: usize = 38;

const PREFIX_DIGITS: usize = 12;
const LENGTH: usize = 3 + PREFIX_DIGITS + 1 + 64;

/// A key that was just made.
pub struct NewKey {
    /// The key: to be shown once.
    pub text: String,
    /// By what it is found.
    pub prefix: String,
    /// What is stored of it.
    pub hash: Vec<u8>,
}

/// Makes a key of random bytes, which must come from the system's own source.
pub fn make(random: &[u8; RANDOM_BYTES]) -> NewKey {
    let digits = hex(random);
    let (prefix, secret) = digits.split_at(PREFIX_DIGITS);
    let text = format!("eb_{prefix}_{secret}");
    NewKey { prefix: prefix.to_owned(), hash: hash(&text), text }
}

/// By what a key is found; none for what is no key.
pub(crate) fn prefix(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("eb_").filter(|_| text.len() == LENGTH && text.is_ascii())?;
    rest.split_once('_').map(|(prefix, _)| prefix).filter(|prefix| prefix.len() == PREFIX_DIGITS)
}

/// Whether it is the key whose hash is stored, in a time that tells nothing.
pub(crate) fn is_of(text: &str, stored: &[u8]) -> bool {
    hash(text).ct_eq(stored).into()
}

fn hash(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_prefix_and_known_by_its_hash() {
        let key = make(&[7; RANDOM_BYTES]);
        assert_eq!(prefix(&key.text), Some(key.prefix.as_str()));
        assert!(is_of(&key.text, &key.hash));
        assert!(!is_of(&key.text.replace("07", "08"), &key.hash));
        for text in ["", "eb_", "eb_1_2", &key.text[1..], &format!("{}0", key.text)] {
            assert_eq!(prefix(text), None, "{text}");
        }
    }
}
