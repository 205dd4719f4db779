//! Registers and rosters as JSON: one object or an array. Takes bytes, gives texts: what they mean is checked afterwards, so
//! that a value of the wrong kind refuses its mark and not the document. Nesting is bounded by the format and by `serde_json`.

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// A value of one field: text, or what else stood there as text; `null` is empty, a list has `;` between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loose(pub(crate) String);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor).map(Self)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_unit<E: Error>(self) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<String, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            texts.push(text);
        }
        Ok(texts.join(";"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok("{…}".to_owned())
    }
}

/// A register as it was sent.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with school_urn, date, session and marks")]
pub(crate) struct JsonRegister {
    #[serde(default)]
    pub(crate) school_urn: Loose,
    #[serde(default)]
    pub(crate) date: Loose,
    #[serde(default)]
    pub(crate) session: Loose,
    #[serde(default)]
    pub(crate) revised_at: Option<Loose>,
    #[serde(default)]
    pub(crate) marks: Vec<JsonMark>,
}

/// A mark as it was sent.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JsonMark {
    #[serde(default)]
    pub(crate) upn: Loose,
    #[serde(default)]
    pub(crate) code: Loose,
    #[serde(default)]
    pub(crate) minutes_late: Option<Loose>,
}

/// Entries of a roster, by the names of their fields.
pub(crate) type JsonEntry = BTreeMap<String, Loose>;

/// One object or an array of them.
pub(crate) fn one_or_many<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<Vec<T>, serde_json::Error> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'[') {
        serde_json::from_slice(bytes)
    } else {
        serde_json::from_slice(bytes).map(|one| vec![one])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_many_are_read_and_odd_values_are_texts() {
        let mark = r#"{"upn": 5, "code": ["a"], "minutes_late": null}"#;
        let one = format!(r#"{{"school_urn": 900001, "date": "2025-09-03", "session": {{}}, "marks": [{mark}]}}"#);
        let read = one_or_many::<JsonRegister>(one.as_bytes()).unwrap().remove(0);
        assert_eq!((read.school_urn.0.as_str(), read.session.0.as_str()), ("900001", "{…}"));
        assert_eq!((read.marks[0].upn.0.as_str(), read.marks[0].code.0.as_str()), ("5", "a"));
        assert_eq!(one_or_many::<JsonRegister>(format!(" [{one},{one}]").as_bytes()).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_register_is_an_error_and_deep_nesting_no_overflow() {
        for text in ["", "{", "5", "[5]", r#"{"marcs": []}"#] {
            assert!(one_or_many::<JsonRegister>(text.as_bytes()).is_err(), "{text}");
        }
        let deep = format!(r#"{{"session": {}"#, "[".repeat(100_000));
        assert!(one_or_many::<JsonRegister>(deep.as_bytes()).is_err());
    }
}
