//! A secret among the settings: nothing that prints or serialises settings shows it, and memory is wiped when it goes.

use super::value::Setting;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use std::fmt;

/// What is shown instead.
const HIDDEN: &str = "[redacted]";

/// A password, key or address that contains one. Its setting has a twin `<name>_file`: a file that holds it.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Keeps `text` secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The secret itself: for handing on to the client that needs it, not for keeping or printing.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Setting for Secret {
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Err("is empty; give the secret or a file that holds it".to_owned())
        } else {
            Ok(Self::new(text))
        }
    }

    fn show(&self) -> String {
        HIDDEN.to_owned()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_prints_a_secret_shows_it() {
        let secret = Secret::new("hunter2");
        let shown = [format!("{secret:?}"), secret.to_string(), serde_json::to_string(&secret).unwrap(), secret.show()];
        for text in shown {
            assert!(text.contains(HIDDEN) && !text.contains("hunter2"), "{text}");
        }
        assert_eq!(secret.expose(), "hunter2");
    }
}
