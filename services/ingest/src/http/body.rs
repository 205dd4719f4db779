//! A request's body: its type, then its bytes within the limits, before and after unpacking.

use crate::http::problem::Problem;
use crate::parse::gzip;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use std::io::{Cursor, Read};
use std::time::Duration;
use tokio::time::Instant;

/// A sender that sends nothing for so long is listening.
const PAUSE: Duration = Duration::from_millis(500);

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
}

/// The limits of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes as sent.
    pub(crate) packed: usize,
    /// Bytes once unpacked.
    pub(crate) unpacked: usize,
}

/// The format that the headers tell.
pub(crate) fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    let refused = |what: &str| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, what);
    let encoding = headers.get(header::CONTENT_ENCODING).map_or(Ok("identity"), |value| value.to_str());
    match encoding.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "identity" | "gzip" | "x-gzip" => {}
        _ => return Err(refused("the Content-Encoding must be gzip, or left out")),
    }
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => Ok(Format::Json),
        "text/csv" => Ok(Format::Csv),
        _ => Err(refused("the Content-Type must be application/json or text/csv")),
    }
}

/// The bytes as sent, before `deadline`.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: &mut Body,
    most: usize,
    deadline: Instant,
) -> Result<Vec<u8>, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let too_large = || {
        let what = format!("the body has more than {most} bytes; send fewer registers at once");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, what)
    };
    if announced.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > most)) {
        return Err(too_large());
    }
    let collected = tokio::time::timeout_at(deadline, Limited::new(body, most).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes().to_vec()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::bad_request("the body ended early; send it again")),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body came too slowly; send it again")),
    }
}

/// Reads on what was refused and throws it away, up to so many bytes: a sender that listens only once it has sent everything
/// would find its connection broken instead of the answer. One that pauses listens, and one that asked whether to go on has
/// not begun.
pub(crate) async fn drain(headers: &HeaderMap, body: &mut Body, most: usize, deadline: Instant) {
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let mut left = most;
    while left > 0 {
        let until = deadline.min(Instant::now() + PAUSE);
        let Ok(Some(Ok(frame))) = tokio::time::timeout_at(until, body.frame()).await else { return };
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
    }
}

/// The bytes that are meant, unpacked where they are gzip.
pub(crate) fn unpack(bytes: Vec<u8>, most: usize) -> Result<Vec<u8>, Problem> {
    if bytes.is_empty() {
        return Err(Problem::bad_request("the body is empty"));
    }
    if !bytes.starts_with(&[0x1F, 0x8B]) {
        return Ok(bytes);
    }
    let broken = |error: std::io::Error| Problem::bad_request(format!("the body is broken gzip: {error}"));
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    let mut unpacked = Vec::new();
    let mut reader = gzip::plain(Cursor::new(bytes)).map_err(broken)?.take(limit.saturating_add(1));
    reader.read_to_end(&mut unpacked).map_err(broken)?;
    if unpacked.len() > most {
        let what = format!("the body has more than {most} bytes when it is unpacked; send fewer registers at once");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, what));
    }
    if unpacked.is_empty() { Err(Problem::bad_request("the body is empty")) } else { Ok(unpacked) }
}

/// When a request must have been answered.
pub(crate) fn deadline(after: Duration) -> Instant {
    Instant::now() + after
}
