//! Errors of the API as `application/problem+json` (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use store::StoreError;

/// Why a request is not answered.
#[derive(Debug)]
pub(crate) enum Problem {
    /// No token.
    NoToken,
    /// A token that is not known, has expired or was revoked: which of these is nobody's business.
    BadToken,
    /// Another locality's cases.
    Forbidden,
    /// Something wrong in the query.
    Query(String),
    /// Another path.
    NotFound,
    /// Another method.
    Method,
    /// The database is away.
    Unavailable,
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a reading could not be answered");
        Self::Unavailable
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, detail) = match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "give a reader's token: Authorization: Bearer …".to_owned()),
            Self::BadToken => (
                StatusCode::UNAUTHORIZED,
                "the token is not known, has expired or was revoked; ask for a new one".into(),
            ),
            Self::Forbidden => (StatusCode::FORBIDDEN, "the token does not open this locality".into()),
            Self::Query(detail) => (StatusCode::BAD_REQUEST, detail),
            Self::NotFound => (StatusCode::NOT_FOUND, "there is nothing here; see /openapi.json".into()),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "cases can only be read: use GET".into()),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "the database is away; try again later".into()),
        };
        let title = status.canonical_reason().unwrap_or("error");
        let body = serde_json::json!({
            "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail,
        });
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}
