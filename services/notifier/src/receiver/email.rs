//! E-mail by SMTP. One connection a message: what a time-out drops is dropped whole. The Message-ID is the message's own
//! id, so that a mailbox can tell a repetition.

use super::smtp::{self, Server};
use super::{Outgoing, SendError, secret};
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use policy::receivers::{Kind, Receiver};
use service::trust::Authorities;
use std::time::{Duration, UNIX_EPOCH};

pub(super) async fn send(
    authorities: &Authorities,
    receiver: &Receiver,
    outgoing: Outgoing<'_>,
) -> Result<(), SendError> {
    let Kind::Email { host, port, security, login, .. } = &receiver.kind else {
        return Err(SendError::later("this receiver takes no e-mail"));
    };
    let mail = compose(&receiver.kind, outgoing)?;
    let credentials = match login {
        Some((name, from)) => Some(Credentials::new(name.clone(), secret(from).await?)),
        None => None,
    };
    let server = Server { host, port: *port, security: *security, credentials, authorities, timeout: outgoing.timeout };
    let refused = smtp::hand_over(server, mail.envelope(), &mail.formatted()).await?;
    if !refused.is_empty() {
        tracing::error!(
            receiver.name = receiver.name,
            message.id = outgoing.id,
            refused = refused.join("; "),
            "the mail server refuses addresses for good; the others got the message: correct the policy"
        );
    }
    Ok(())
}

fn compose(kind: &Kind, outgoing: Outgoing<'_>) -> Result<lettre::Message, SendError> {
    let Kind::Email { from, to, .. } = kind else {
        return Err(SendError::later("this receiver takes no e-mail"));
    };
    let mailbox = |address: &str| {
        let parsed = address.parse::<Mailbox>();
        parsed.map_err(|error| SendError::later(format!("{address:?} is no e-mail address: {error}")))
    };
    let from = mailbox(from)?;
    let domain = from.email.domain().to_owned();
    let micros = u64::try_from(outgoing.at.micros()).unwrap_or(0);
    let mut builder = lettre::Message::builder()
        .from(from)
        .message_id(Some(format!("<{}@{domain}>", outgoing.id)))
        .date(UNIX_EPOCH + Duration::from_micros(micros))
        .subject(outgoing.message.subject()?)
        .header(ContentType::TEXT_PLAIN);
    for address in to {
        builder = builder.to(mailbox(address)?);
    }
    builder.body(outgoing.message.text()?).map_err(SendError::later)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Told, sample};
    use attendance::Timestamp;
    use attendance::alert::Change;
    use policy::receivers::MailSecurity;

    #[test]
    fn every_attempt_bears_the_same_message_id() {
        let message = Told::Case(sample(Change::Raised));
        let kind = Kind::Email {
            host: "localhost".into(),
            port: 25,
            security: MailSecurity::None,
            from: "early@dorset.example".into(),
            to: vec!["a@example.org".into(), "b@example.org".into()],
            login: None,
            ca_file: None,
        };
        for at in [0, 1_000_000_000_000_000] {
            let timeout = Duration::from_secs(1);
            let at = Timestamp::from_micros(at);
            let mail = compose(&kind, Outgoing { id: "one-id", message: &message, at, timeout }).unwrap();
            let text = String::from_utf8(mail.formatted()).unwrap();
            assert!(text.contains("Message-ID: <one-id@dorset.example>"), "{text}");
            assert!(text.contains("Subject: New alert: case 7KQM2XRT"), "{text}");
            assert_eq!(mail.envelope().to().len(), 2);
        }
    }
}
