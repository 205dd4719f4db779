//! One conversation with a mail server: takes how to reach it, an envelope and a message; gives success once the server has
//! answered for the message, with the addresses that it refused.
//!
//! The mail library's own sending is not used for two reasons. It gives a message up where a single address is refused, so
//! that one colleague who left would silence a team. And it waits for the end of the conversation after the server has taken
//! the message, so that a server slow to say goodbye would be sent it again.

use super::SendError;
use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use policy::receivers::MailSecurity;
use service::trust::{self, Authorities};
use std::time::Duration;

/// A mail server and how it is spoken to.
pub(super) struct Server<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) security: MailSecurity,
    pub(super) credentials: Option<Credentials>,
    /// Whose certificates are trusted beside those of the public authorities.
    pub(super) authorities: &'a Authorities,
    /// The longest that connecting may take.
    pub(super) timeout: Duration,
}

/// Hands a message over for every address that the server takes; gives those that it refuses for good. An address that it
/// refuses for now stops all: tried again, the others would get the message again and again.
pub(super) async fn hand_over(server: Server<'_>, to: &Envelope, mail: &[u8]) -> Result<Vec<String>, SendError> {
    let said = |error: Error| server.said(&error);
    let mut connection = server.connect().await?;
    let mut parameters = Vec::new();
    if !to.from().into_iter().chain(to.to()).all(|address| AsRef::<str>::as_ref(address).is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let text = format!("mail server {}: it takes no address beyond ASCII; correct the policy", server.host);
            return Err(SendError::later(text));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    connection.command(Mail::new(to.from().cloned(), parameters)).await.map_err(said)?;
    let mut refused = Vec::new();
    for address in to.to() {
        match connection.command(Rcpt::new(address.clone(), Vec::new())).await {
            Ok(_) => {}
            Err(error) if error.is_permanent() => refused.push(format!("{address}: {error}")),
            Err(error) => return Err(SendError::later(format!("mail server {}: {address}: {error}", server.host))),
        }
    }
    if refused.len() == to.to().len() {
        return Err(SendError::later(format!("mail server {}: {}", server.host, refused.join("; "))));
    }
    connection.command(Data).await.map_err(said)?;
    connection.message(mail).await.map_err(|error| match error.status() {
        Some(_) => said(error),
        None => SendError::later(format!(
            "mail server {}: no answer to the message ({error}); it may have arrived",
            server.host
        )),
    })?;
    tokio::select! {
        biased;
        _ = connection.quit() => {}
        // Said, not waited for: the message is the server's by now, whatever becomes of the connection.
        () = std::future::ready(()) => {}
    }
    Ok(refused)
}

impl Server<'_> {
    /// Connects, as secretly as asked for, and logs in.
    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let said = |error: Error| self.said(&error);
        let hello = ClientId::default();
        let place = (self.host, self.port);
        let tls = match self.security {
            MailSecurity::Tls => Some(self.tls().map_err(said)?),
            MailSecurity::StartTls | MailSecurity::None => None,
        };
        let connected = AsyncSmtpConnection::connect_tokio1(place, Some(self.timeout), &hello, tls, None).await;
        let mut connection = connected.map_err(said)?;
        if self.security == MailSecurity::StartTls {
            if !connection.can_starttls() {
                let host = self.host;
                let text = format!("mail server {host}: it offers no STARTTLS; nothing was sent in clear text");
                return Err(SendError::later(text));
            }
            connection.starttls(self.tls().map_err(said)?, &hello).await.map_err(said)?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await.map_err(said)?;
        }
        Ok(connection)
    }

    fn tls(&self) -> Result<TlsParameters, Error> {
        let mut builder = TlsParameters::builder(self.host.to_owned());
        for certificate in self.authorities.certificates() {
            builder = builder.add_root_certificate(Certificate::from_der(certificate.to_vec())?);
        }
        builder.build()
    }

    /// What went wrong, in the server's words where it said some.
    fn said(&self, error: &Error) -> SendError {
        let what = trust::refusal(error).unwrap_or_else(|| error.to_string());
        SendError::later(format!("mail server {}: {what}", self.host))
    }
}
