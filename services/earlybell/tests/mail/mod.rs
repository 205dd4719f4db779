//! A mail server for tests: speaks SMTP, with TLS and logins, behaves well or badly as told, keeps what it took and what it
//! heard.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// When TLS begins.
#[derive(Clone)]
pub(crate) enum Tls {
    Never,
    /// By STARTTLS.
    Asked(TlsAcceptor),
    AtOnce(TlsAcceptor),
}

/// How the server behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Sound,
    /// Accepts the connection and says nothing.
    Mute,
    /// Falls silent when the message is to come.
    MuteInData,
    /// Takes the message, then cuts the connection without an answer.
    CutAfterData,
    /// Takes and answers the message, but never says goodbye.
    DeafToQuit,
    /// Answers to every address for now with this.
    Refuses(&'static str),
    /// Answers to the address that begins with this with that.
    RefusesOne(&'static str, &'static str),
}

/// A way to log in: mechanism, name, password.
pub(crate) type Login = (&'static str, &'static str, &'static str);

/// A message that the server took.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) bytes: Vec<u8>,
    /// Whether it came through TLS.
    pub(crate) secret: bool,
    /// Whether the sender had logged in.
    pub(crate) logged_in: bool,
}

impl Mail {
    pub(crate) fn header(&self, name: &str) -> String {
        use mailparse::MailHeaderMap;
        mailparse::parse_mail(&self.bytes).unwrap().headers.get_first_value(name).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        mailparse::parse_mail(&self.bytes).unwrap().get_body().unwrap().replace("\r\n", "\n")
    }
}

#[derive(Default)]
struct Kept {
    mails: Vec<Mail>,
    heard: Vec<String>,
    open: usize,
}

pub(crate) struct MailServer {
    pub(crate) address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    mood: Arc<Mutex<Mood>>,
    _serving: JoinSet<()>,
}

/// What a conversation knows of its server.
#[derive(Clone)]
struct House {
    tls: Tls,
    login: Option<Login>,
    kept: Arc<Mutex<Kept>>,
    mood: Arc<Mutex<Mood>>,
}

impl MailServer {
    pub(crate) async fn start(tls: Tls, login: Option<Login>, mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (kept, mood) = (Arc::<Mutex<Kept>>::default(), Arc::new(Mutex::new(mood)));
        let house = House { tls, login, kept: Arc::clone(&kept), mood: Arc::clone(&mood) };
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut conversations = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                house.kept.lock().unwrap().open += 1;
                conversations.spawn(house.clone().welcome(stream));
            }
        });
        Self { address, kept, mood, _serving: serving }
    }

    /// From now on it behaves like this.
    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.kept.lock().unwrap().mails.clone()
    }

    /// Every command in the clear, by its first word.
    pub(crate) fn heard_in_clear(&self) -> Vec<String> {
        self.kept.lock().unwrap().heard.clone()
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.kept.lock().unwrap().open
    }

    /// A policy's receiver at this server; `more` are further lines.
    pub(crate) fn receiver(&self, security: &str, more: &str) -> String {
        let (host, port) = (self.address.ip(), self.address.port());
        format!(
            "kind = \"email\"\nhost = \"{host}\"\nport = {port}\nsecurity = {security:?}\n\
             from = \"bell@dorset.example\"\nto = [\"ann@north.example\", \"bob@north.example\"]\n{more}"
        )
    }
}

impl House {
    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    async fn welcome(self, stream: TcpStream) {
        if self.mood() == Mood::Mute {
            return std::future::pending().await;
        }
        match &self.tls {
            Tls::AtOnce(acceptor) => {
                if let Ok(stream) = acceptor.clone().accept(stream).await {
                    drop(Conversation::new(self.clone(), stream, true).all(Start::Greet).await);
                }
            }
            Tls::Never => drop(Conversation::new(self.clone(), stream, false).all(Start::Greet).await),
            Tls::Asked(acceptor) => {
                let conversation = Conversation::new(self.clone(), stream, false);
                let Ok(Some(stream)) = conversation.all(Start::Greet).await else { return };
                if let Ok(stream) = acceptor.clone().accept(stream).await {
                    drop(Conversation::new(self.clone(), stream, true).all(Start::Upgraded).await);
                }
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Start {
    Greet,
    Upgraded,
}

struct Conversation<S> {
    house: House,
    stream: BufStream<S>,
    secret: bool,
    logged_in: bool,
    from: String,
    to: Vec<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    fn new(house: House, stream: S, secret: bool) -> Self {
        let stream = BufStream::new(stream);
        Self { house, stream, secret, logged_in: false, from: String::new(), to: Vec::new() }
    }

    async fn say(&mut self, line: &str) -> std::io::Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    async fn hear(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Until the end; gives the stream where TLS is to begin.
    async fn all(mut self, start: Start) -> std::io::Result<Option<S>> {
        if start == Start::Greet {
            self.say("220 mail.example ready").await?;
        }
        loop {
            let line = self.hear().await?;
            let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            if !self.secret {
                self.house.kept.lock().unwrap().heard.push(word.clone());
            }
            match word.as_str() {
                "STARTTLS" if !self.secret => {
                    self.say("220 go ahead").await?;
                    return Ok(Some(self.stream.into_inner()));
                }
                "QUIT" if self.house.mood() == Mood::DeafToQuit => return std::future::pending().await,
                "QUIT" => {
                    self.say("221 bye").await?;
                    return Ok(None);
                }
                "DATA" => self.data().await?,
                _ => self.answer(&word, &line).await?,
            }
        }
    }

    async fn answer(&mut self, word: &str, line: &str) -> std::io::Result<()> {
        match word {
            "EHLO" => {
                let mut offers = vec!["mail.example"];
                if matches!(self.house.tls, Tls::Asked(_)) && !self.secret {
                    offers.push("STARTTLS");
                }
                let auth = self.house.login.map(|(mechanism, ..)| format!("AUTH {mechanism}"));
                offers.extend(auth.as_deref());
                offers.push("8BITMIME");
                for offer in &offers[..offers.len() - 1] {
                    self.say(&format!("250-{offer}")).await?;
                }
                self.say("250 8BITMIME").await
            }
            "AUTH" => self.log_in(line).await,
            "MAIL" if self.house.login.is_some() && !self.logged_in => self.say("530 5.7.0 log in first").await,
            "MAIL" => {
                self.from = address(line);
                self.to.clear();
                self.say("250 ok").await
            }
            "RCPT" => {
                let to = address(line);
                match self.house.mood() {
                    Mood::Refuses(reply) => return self.say(reply).await,
                    Mood::RefusesOne(one, reply) if to.starts_with(one) => return self.say(reply).await,
                    _ => self.to.push(to),
                }
                self.say("250 ok").await
            }
            _ => self.say("500 5.5.1 what?").await,
        }
    }

    async fn log_in(&mut self, line: &str) -> std::io::Result<()> {
        let (mechanism, name, password) = self.house.login.unwrap();
        let given = if mechanism == "PLAIN" {
            line.strip_prefix("AUTH PLAIN ").unwrap_or_default().to_owned()
        } else {
            let mut given = Vec::new();
            for asked in ["Username:", "Password:"] {
                self.say(&format!("334 {}", STANDARD.encode(asked))).await?;
                given.push(self.hear().await?);
            }
            given.join(" ")
        };
        let wanted = match mechanism {
            "PLAIN" => STANDARD.encode(format!("\0{name}\0{password}")),
            _ => format!("{} {}", STANDARD.encode(name), STANDARD.encode(password)),
        };
        self.logged_in = given == wanted;
        self.say(if self.logged_in { "235 welcome" } else { "535 5.7.8 these credentials are not known here" }).await
    }

    async fn data(&mut self) -> std::io::Result<()> {
        if self.to.is_empty() {
            return self.say("503 5.5.1 for whom?").await;
        }
        self.say("354 go ahead").await?;
        if self.house.mood() == Mood::MuteInData {
            return std::future::pending().await;
        }
        let mut bytes = Vec::new();
        loop {
            let line = self.hear().await?;
            if line == "." {
                break;
            }
            bytes.extend_from_slice(line.strip_prefix('.').unwrap_or(&line).as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        let (from, to) = (std::mem::take(&mut self.from), std::mem::take(&mut self.to));
        let mail = Mail { from, to, bytes, secret: self.secret, logged_in: self.logged_in };
        self.house.kept.lock().unwrap().mails.push(mail);
        if self.house.mood() == Mood::CutAfterData {
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        self.say("250 2.0.0 taken").await
    }
}

/// What stands between the angle brackets.
fn address(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map(|(address, _)| address.to_owned()).unwrap_or_default()
}
