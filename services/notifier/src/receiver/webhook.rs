//! A webhook as Standard Webhooks 1.0.0 have it: JSON, signed by HMAC-SHA256 over `id.timestamp.body`. The id is the same
//! at every attempt, the timestamp and with it the signature are not.
//!
//! Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.

use super::{Outgoing, SendError, secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use policy::receivers::{Kind, Reach, Transport};
use service::egress::{self, Egress, Post};
use service::trust::Authorities;
use sha2::Sha256;

pub(super) async fn send(
    egress: &Egress,
    authorities: &Authorities,
    kind: &Kind,
    outgoing: Outgoing<'_>,
) -> Result<(), SendError> {
    let Kind::Webhook { url, secret: from, transport, reach, .. } = kind else {
        return Err(SendError::later("this receiver is no webhook"));
    };
    let key = key(&secret(from).await?)?;
    let body = body(outgoing)?;
    let seconds = outgoing.at.micros().div_euclid(1_000_000).to_string();
    let signature = sign(&key, outgoing.id, &seconds, &body)?;
    let post = Post {
        url,
        reach: match reach {
            Reach::Public => egress::Reach::Public,
            Reach::Private => egress::Reach::Any,
        },
        scheme: match transport {
            Transport::Https => egress::Scheme::HttpsOnly,
            Transport::Insecure => egress::Scheme::HttpToo,
        },
        authorities,
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("user-agent", "earlybell".to_owned()),
            ("webhook-id", outgoing.id.to_owned()),
            ("webhook-timestamp", seconds),
            ("webhook-signature", signature),
        ],
        body: body.into_bytes(),
    };
    let answer = egress.post(post).await.map_err(SendError::later)?;
    match answer.status {
        200..=299 => Ok(()),
        410 => Err(SendError::Never("the receiver answers 410: it is gone for good".to_owned())),
        status => {
            let text = format!("the receiver answers {status}");
            Err(SendError::Later { text, after: answer.retry_after })
        }
    }
}

fn body(outgoing: Outgoing<'_>) -> Result<String, SendError> {
    let message = outgoing.message;
    let value = serde_json::json!({ "type": message.kind(), "timestamp": message.said_at(), "data": message });
    serde_json::to_string(&value).map_err(SendError::later)
}

/// The bytes of a key written as `whsec_` and base64.
fn key(text: &str) -> Result<Vec<u8>, SendError> {
    let wrong = || SendError::later("the webhook's secret is no whsec_ and base64 of 24 to 64 bytes; correct it");
    let bytes = STANDARD.decode(text.strip_prefix("whsec_").ok_or_else(wrong)?).map_err(|_| wrong())?;
    if (24..=64).contains(&bytes.len()) { Ok(bytes) } else { Err(wrong()) }
}

fn sign(key: &[u8], id: &str, seconds: &str, body: &str) -> Result<String, SendError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(SendError::later)?;
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specifications_example() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        let signature = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body).unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_key_of_another_form_is_refused_without_showing_it() {
        for text in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_%"] {
            let refused = key(text).unwrap_err().to_string();
            assert!(text.is_empty() || !refused.contains(text), "{refused}");
        }
    }
}
