//! Sending one message to one receiver: e-mail, webhook, folder. Takes a message and its id, gives success or why not.
//! Sends once: when to try again is the deliverer's.

mod email;
mod folder;
mod smtp;
mod webhook;

use crate::message::{TemplateError, Told};
use attendance::Timestamp;
use policy::receivers::{Kind, Receiver, SecretFrom};
use service::egress::Egress;
use service::trust::Authorities;
use std::time::Duration;

/// Why a message did not arrive, or is not known to have.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// It may arrive later.
    #[error("{text}")]
    Later {
        /// What went wrong.
        text: String,
        /// How long the receiver asks us to wait.
        after: Option<Duration>,
    },
    /// The receiver is no more.
    #[error("{0}")]
    Never(String),
}

impl SendError {
    pub(crate) fn later(text: impl std::fmt::Display) -> Self {
        Self::Later { text: text.to_string(), after: None }
    }
}

impl From<TemplateError> for SendError {
    fn from(error: TemplateError) -> Self {
        Self::later(error)
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing<'a> {
    /// The same at every attempt.
    pub(crate) id: &'a str,
    pub(crate) message: &'a Told,
    /// When this attempt is made.
    pub(crate) at: Timestamp,
    /// The longest that it may take.
    pub(crate) timeout: Duration,
}

/// Sends it, within its time.
pub(crate) async fn send(egress: &Egress, receiver: &Receiver, outgoing: Outgoing<'_>) -> Result<(), SendError> {
    let sending = async {
        let authorities = authorities(receiver).await?;
        match &receiver.kind {
            Kind::Email { .. } => email::send(&authorities, receiver, outgoing).await,
            Kind::Webhook { .. } => webhook::send(egress, &authorities, &receiver.kind, outgoing).await,
            Kind::Folder { path } => folder::send(path, outgoing).await,
        }
    };
    // Around all of it: the mail library's own limit covers the connecting only, and a server can fall silent later.
    let timed_out = |_| SendError::later(format!("no answer within {:?}; it may have arrived", outgoing.timeout));
    tokio::time::timeout(outgoing.timeout, sending).await.map_err(timed_out)?
}

/// Reads the certificates anew at every attempt too.
async fn authorities(receiver: &Receiver) -> Result<Authorities, SendError> {
    let (Kind::Email { ca_file: Some(path), .. } | Kind::Webhook { ca_file: Some(path), .. }) = &receiver.kind else {
        return Ok(Authorities::none());
    };
    let (name, shown) = (&receiver.name, path.display());
    let pem = tokio::fs::read(path).await.map_err(|error| {
        SendError::later(format!(
            "receiver {name}: the ca_file {shown} cannot be read: {error}; put it there or correct the path"
        ))
    })?;
    Authorities::of_pem(&pem)
        .map_err(|error| SendError::later(format!("receiver {name}: the ca_file {shown} is of no use: {error}")))
}

/// Reads a secret anew at every attempt, so that a rotated one is taken up without a restart.
async fn secret(from: &SecretFrom) -> Result<String, SendError> {
    match from {
        SecretFrom::File(path) => match tokio::fs::read_to_string(path).await {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) => {
                Err(SendError::later(format!("the secret's file {} cannot be read: {error}", path.display())))
            }
        },
        SecretFrom::Environment(name) => std::env::var(name)
            .map_err(|_| SendError::later(format!("the environment has no variable {name} with the secret"))),
    }
}
