//! A dead letter's key and headers as text, and back: bytes in hexadecimal, so that a replay gives exactly what came.

use transport::{Header, Message};

/// Text that cannot have been written by `headers`.
#[derive(Debug, thiserror::Error)]
#[error("the letter's headers are damaged; it can be shown but not replayed")]
pub struct HeadersError;

#[derive(serde::Serialize, serde::Deserialize)]
struct Stored {
    key: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

/// Key and headers of a message.
pub(crate) fn headers(message: &Message) -> String {
    let header = |header: &Header| (header.name.to_string(), header.value.as_deref().map(hex));
    let stored = Stored { key: message.key.as_deref().map(hex), headers: message.headers.iter().map(header).collect() };
    serde_json::to_string(&stored).unwrap_or_default()
}

/// The key and the headers that [`NewDeadLetter`](store::dead_letter::NewDeadLetter) holds.
pub fn parse(text: &str) -> Result<(Option<Vec<u8>>, Vec<Header>), HeadersError> {
    let stored: Stored = serde_json::from_str(text).map_err(|_| HeadersError)?;
    let header = |(name, value): (String, Option<String>)| {
        let value = value.map(|value| unhex(&value)).transpose()?.map(Into::into);
        Ok(Header { name: name.into(), value })
    };
    let key = stored.key.map(|key| unhex(&key)).transpose()?;
    Ok((key, stored.headers.into_iter().map(header).collect::<Result<_, HeadersError>>()?))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, HeadersError> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(HeadersError) };
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? * 16 + digit(*low)?);
    pairs.iter().map(byte).collect::<Option<_>>().ok_or(HeadersError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_headers_survive_with_every_byte() {
        let message = Message {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: Some(vec![0, 255].into()),
            headers: vec![Header::new("kind", b"register".to_vec()), Header { name: "x".into(), value: None }],
            payload: Vec::new().into(),
        };
        let (key, read) = parse(&headers(&message)).unwrap();
        assert_eq!((key.as_deref(), &read), (message.key.as_deref(), &message.headers));
        assert!(parse("{}").is_err() && parse(r#"{"key":"0","headers":[]}"#).is_err());
    }
}
