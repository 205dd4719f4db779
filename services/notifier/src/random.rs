//! Randomness, injected: bytes in, a case's reference out.

use std::sync::Arc;

/// Fills a slice with bytes that nobody can foresee.
pub type Random = Arc<dyn Fn(&mut [u8]) -> Result<(), String> + Send + Sync>;

/// No vowels and nothing that looks like another: references are read out on the telephone, and make no words.
const ALPHABET: &[u8] = b"23456789BCDFGHJKMNPQRSTVWXZ";
const LENGTH: usize = 8;

/// The operating system's randomness.
pub fn of_system() -> Random {
    Arc::new(|bytes| getrandom::fill(bytes).map_err(|error| error.to_string()))
}

/// A new reference of a case: eight characters.
pub(crate) fn reference(random: &Random) -> Result<String, String> {
    let mut reference = String::with_capacity(LENGTH);
    let even = 256 - 256 % ALPHABET.len();
    while reference.len() < LENGTH {
        let mut bytes = [0_u8; LENGTH];
        random(&mut bytes)?;
        // Bytes beyond the last whole round of the alphabet would make its first characters more frequent.
        let fair = bytes.into_iter().map(usize::from).filter(|byte| *byte < even);
        let characters = fair.filter_map(|byte| ALPHABET.get(byte % ALPHABET.len()));
        reference.extend(characters.map(|byte| char::from(*byte)).take(LENGTH - reference.len()));
    }
    Ok(reference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn references_are_eight_characters_of_the_alphabet_and_differ() {
        let random = of_system();
        let references: BTreeSet<String> = (0..200).map(|_| reference(&random).unwrap()).collect();
        assert_eq!(references.len(), 200);
        assert!(references.iter().all(|text| text.len() == 8 && text.bytes().all(|byte| ALPHABET.contains(&byte))));
    }

    #[test]
    fn without_randomness_there_is_no_reference() {
        let none: Random = Arc::new(|_| Err("none".into()));
        assert!(reference(&none).is_err());
    }
}
