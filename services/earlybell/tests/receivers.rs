//! Receivers by their real protocols, through the real notifier: mail servers and webhooks, with TLS, that behave well or
//! badly. Whatever one does, it is told in words, tried again with the same id, and delays nobody else.
#![expect(dead_code, reason = "the harness serves other tests too")]

mod harness;
mod hook;
mod mail;
#[path = "harness/notifying.rs"]
mod notifying;

use harness::{Installation, Process};
use hook::Hook;
use hook::certificates::Authority;
use mail::{Login, Mail, MailServer, Mood, Tls};
use notifying::{SENTENCE, change, produce, upn};
use proto::v1;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use store::person::{self, PersonRow};

const PASSWORD: &str = "Schl\u{fc}ssel 7";
const PLAIN: Login = ("PLAIN", "bell", PASSWORD);

/// The notifier, with everything that it logs in the file `log`.
fn logged(installation: &Installation) -> Process {
    let log = File::create(installation.folder.path().join("log")).unwrap();
    let mut command = installation.earlybell(&["notifier"]);
    command.env("EARLYBELL__LOG__LEVEL", "trace").stderr(log);
    Process::spawn(&mut command)
}

fn log(installation: &Installation) -> String {
    fs::read_to_string(installation.folder.path().join("log")).unwrap()
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}

/// Beside a receiver's lines: name and password of the mail server.
const LOGIN: &str = "username = \"bell\"\nsecret_file = \"password\"\n";
const OWN_CA: &str = "ca_file = \"ca.pem\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_email_arrives_whole_in_the_clear_by_starttls_and_by_tls() {
    let authority = Authority::new("County");
    let server = || authority.server("127.0.0.1");
    let plain = MailServer::start(Tls::Never, None, Mood::Sound).await;
    let start = MailServer::start(Tls::Asked(server()), Some(PLAIN), Mood::Sound).await;
    let at_once = MailServer::start(Tls::AtOnce(server()), Some(("LOGIN", "bell", PASSWORD)), Mood::Sound).await;
    let secret = format!("{LOGIN}{OWN_CA}");
    let receivers = [
        ("plain", plain.receiver("none", "")),
        ("start", start.receiver("starttls", &secret)),
        ("at-once", at_once.receiver("tls", &secret)),
    ];
    let (installation, _) = Installation::notifying(&receivers).await;
    let folder = installation.folder.path();
    write(folder, "password", PASSWORD);
    write(folder, "ca.pem", &authority.pem);
    let school = "Ysgol Ll\u{177}n a\u{2019}r Sant Zo\u{eb}";
    let schools = fs::read_to_string(folder.join("schools.csv")).unwrap().replace("School 900001", school);
    write(folder, "schools.csv", &schools);
    installation.run(&["apply", folder.to_str().unwrap(), "--yes", "--by", "test"]);
    named(&installation, 0, "Zebedee", "Quillfeather").await;

    let process = logged(&installation);
    let sentence = format!("{SENTENCE} \u{2014} 17,5\u{202f}% \u{2026}\n.\nA line of a dot.");
    produce(&installation.producer(), 0, vec![v1::AlertChange { sentence: sentence.clone(), ..change(0, 1) }]).await;
    installation.delivered(&["plain", "start", "at-once"]).await;
    let mut ids = BTreeSet::new();
    for (server, secret) in [(&plain, false), (&start, true), (&at_once, true)] {
        let [mail] = &server.mails()[..] else { panic!("one message: {:?}", server.mails()) };
        assert_eq!((mail.secret, mail.logged_in), (secret, secret));
        whole(mail, school, &sentence);
        assert!(ids.insert(mail.header("Message-ID")), "a delivery to each receiver has an id of its own");
    }
    let stored: BTreeSet<String> =
        ids_of(&installation).await.iter().map(|id| format!("<{id}@dorset.example>")).collect();
    assert_eq!(ids, stored, "the Message-ID is the message's id");
    let clear = start.heard_in_clear();
    assert_eq!(clear, ["EHLO", "STARTTLS"], "nothing more before TLS");
    process.terminate();
    silent(&log(&installation));
}

/// Sender, all recipients, texts; no pupil.
fn whole(mail: &Mail, school: &str, sentence: &str) {
    assert_eq!(mail.from, "bell@dorset.example");
    assert_eq!(mail.to, ["ann@north.example", "bob@north.example"]);
    assert_eq!(mail.header("From"), "bell@dorset.example");
    assert_eq!(mail.header("To"), "ann@north.example, bob@north.example");
    assert!(mailparse::dateparse(&mail.header("Date")).is_ok(), "{mail:?}");
    let (subject, text) = (mail.header("Subject"), mail.text());
    assert!(subject.starts_with("New alert: case ") && subject.contains(school), "{subject}");
    assert!(text.contains(sentence) && text.contains(&format!("School: {school}")), "{text}");
    assert!(text.contains("Locality: North") && text.contains("https://e.example/"), "{text}");
    let all = format!("{}{subject}{text}", String::from_utf8_lossy(&mail.bytes));
    for word in [&*upn(0).text(), &upn(0).number().to_string(), "Zebedee", "Quillfeather"] {
        assert!(!all.contains(word), "{word} in {all}");
    }
}

/// Neither the password, as it is or as it is sent, nor a pupil.
fn silent(log: &str) {
    use base64::Engine;
    let packed = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    assert!(log.contains("service starts"));
    let words = [PASSWORD.to_owned(), packed(PASSWORD), packed(&format!("\0bell\0{PASSWORD}")), upn(0).text()];
    for word in words {
        assert!(!log.contains(&word), "{word} is logged");
    }
}

/// A mail server with a receiver of its own, and what is said of the first attempt; nothing where that succeeds.
struct Case {
    name: &'static str,
    server: MailServer,
    policy: String,
    told: &'static str,
}

async fn case(name: &'static str, how: (Tls, Mood), policy: (&str, &str), told: &'static str) -> Case {
    let login = policy.1.contains("username").then_some(PLAIN);
    let server = MailServer::start(how.0, login, how.1).await;
    let policy = server.receiver(policy.0, policy.1);
    Case { name, server, policy, told }
}

/// Servers that are not to be trusted, or not with these settings.
async fn untrusted(county: &Authority) -> Vec<Case> {
    let tls = |authority: &Authority| Tls::Asked(authority.server("127.0.0.1"));
    let elsewhere = Tls::AtOnce(county.server("mail.elsewhere.example"));
    let stranger = tls(&Authority::new("Stranger"));
    let (sound, login) = (Mood::Sound, format!("{LOGIN}{OWN_CA}"));
    vec![
        case("clear", (Tls::Never, sound), ("starttls", LOGIN), "it offers no STARTTLS; nothing was sent").await,
        case("not-tls", (Tls::Never, sound), ("tls", LOGIN), "it does not speak TLS on that port").await,
        case("stranger", (stranger, sound), ("starttls", &login), "an authority that is not trusted here").await,
        case("public", (tls(county), sound), ("starttls", LOGIN), "name that authority's certificate").await,
        case("elsewhere", (elsewhere, sound), ("tls", &login), "is for mail.elsewhere.example; correct").await,
    ]
}

/// Servers that can be mended, by themselves or by a file that is put right.
async fn mendable(county: &Authority) -> Vec<Case> {
    let tls = || Tls::Asked(county.server("127.0.0.1"));
    let login = format!("{LOGIN}{OWN_CA}");
    let (absent, broken) = ("ca_file = \"absent.pem\"\n", "ca_file = \"broken.pem\"\n");
    let greylist = Mood::Refuses("451 4.7.1 greylisted, come back");
    let full = Mood::RefusesOne("bob", "452 4.2.2 mailbox full");
    let clear = |mood| (Tls::Never, mood);
    let none = ("none", "");
    vec![
        case("password", (tls(), Mood::Sound), ("starttls", &login), "(535): 5.7.8 these credentials").await,
        case("absent", (tls(), Mood::Sound), ("starttls", absent), "receiver absent: the ca_file absent.pem cannot")
            .await,
        case("broken", (tls(), Mood::Sound), ("starttls", broken), "receiver broken: the ca_file broken.pem is of no")
            .await,
        case("greylist", clear(greylist), none, "ann@north.example: transient error (451): 4.7.1 greylisted").await,
        case("full", clear(full), none, "bob@north.example: transient error (452): 4.2.2 mailbox full").await,
        case("silent", clear(Mood::Mute), none, "no answer within 1s; it may have arrived").await,
        case("in-data", clear(Mood::MuteInData), none, "no answer within 1s; it may have arrived").await,
        case("cut", clear(Mood::CutAfterData), none, "no answer to the message (response error: ").await,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_trouble_with_a_mail_server_is_told_in_words_and_delays_no_other() {
    let county = Authority::new("County");
    let (untrusted, mendable) = (untrusted(&county).await, mendable(&county).await);
    let none = |mood| (Tls::Never, mood);
    let left = Mood::RefusesOne("bob", "550 5.1.1 bob has left");
    let nobody = Mood::Refuses("550 5.1.1 nobody of that name");
    let others = [
        case("sound", none(Mood::Sound), ("none", ""), "").await,
        case("left", none(left), ("none", ""), "").await,
        case("deaf", none(Mood::DeafToQuit), ("none", ""), "").await,
        case("mute", none(Mood::Mute), ("none", "attempt_timeout = \"10m\"\n"), "").await,
        case("nobody", none(nobody), ("none", "give_up_after = \"2s\"\n"), "").await,
    ];
    let all = untrusted.iter().chain(&mendable).chain(&others);
    let receivers: Vec<_> = all.map(|case| (case.name, case.policy.clone())).collect();
    let (installation, _) = Installation::notifying(&receivers).await;
    let folder = installation.folder.path();
    write(folder, "ca.pem", &county.pem);
    write(folder, "broken.pem", &county.pem.replace('M', "%"));
    write(folder, "password", "wrong, too");
    let mut process = logged(&installation);
    produce(&installation.producer(), 0, vec![change(0, 1)]).await;

    installation.delivered(&["sound", "left", "deaf"]).await;
    for case in untrusted.iter().chain(&mendable) {
        let told = installation.first_error(case.name).await;
        assert!(told.contains(case.told), "{}: {told}", case.name);
        assert!(told.starts_with("mail server 127.0.0.1: ") || !told.contains("server"), "{told}");
    }
    let [_, left, deaf, mute, _] = &others;
    assert_eq!(installation.state("mute").await, Some(("sending".to_owned(), 1)), "it holds up none of the others");
    assert_eq!(mute.server.connections(), 1);
    assert_eq!((left.server.mails().len(), left.server.mails()[0].to.join(" ")), (1, "ann@north.example".to_owned()));
    assert_eq!(deaf.server.mails().len(), 1, "what is answered is not sent again");
    installation.until("SELECT COUNT(*) FROM delivery WHERE receiver = 'nobody' AND state = 'given_up'", 1).await;
    let told = installation.first_error("nobody").await;
    assert!(told.contains("ann@north.example: permanent error (550): 5.1.1 nobody") && told.contains("bob@"), "{told}");

    mend(&installation, &mendable, &county).await;
    for case in &untrusted {
        let clear = case.server.heard_in_clear();
        assert!(
            clear.iter().all(|word| ["EHLO", "STARTTLS", "QUIT"].contains(&&**word)) || case.name == "not-tls",
            "{clear:?}"
        );
        assert_eq!(case.server.mails().len(), 0, "{}: nothing is sent to whom nobody trusts", case.name);
    }
    process.terminate();
    let status = process.ended(std::time::Duration::from_secs(15)).await;
    assert!(status.is_some(), "a receiver that hangs does not hold up the stop");
    let log = log(&installation);
    silent(&log);
    assert!(!log.contains("wrong, too") && log.contains("bob has left"), "an address that is refused is told");
}

/// Puts right what was wrong: without a restart or another policy all of it arrives, to everybody once.
async fn mend(installation: &Installation, cases: &[Case], county: &Authority) {
    let folder = installation.folder.path();
    write(folder, "password", PASSWORD);
    for file in ["absent.pem", "broken.pem"] {
        write(folder, file, &county.pem);
    }
    for case in cases {
        case.server.set(Mood::Sound);
    }
    installation.delivered(&cases.iter().map(|case| case.name).collect::<Vec<_>>()).await;
    for case in cases {
        let mails = case.server.mails();
        let ids: BTreeSet<String> = mails.iter().map(|mail| mail.header("Message-ID")).collect();
        assert_eq!(ids.len(), 1, "{}: a repetition has the same id", case.name);
        assert!(mails.iter().all(|mail| mail.to.len() == 2), "{}: everybody gets it", case.name);
        assert!(mails.len() == 1 || case.name == "cut", "{}: once", case.name);
    }
    let cut = cases.iter().find(|case| case.name == "cut").unwrap();
    assert!(cut.server.mails().len() > 1, "what was not answered is sent again");
}

/// A webhook's lines at this address; `more` are further ones.
fn webhook(host: &str, hook: &Hook, more: &str) -> String {
    let url = format!("https://{host}:{}/hook", hook.address.port());
    format!("kind = \"webhook\"\nurl = {url:?}\nsecret_file = \"secret\"\n{more}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_by_tls_is_trusted_by_its_authority_and_name_only() {
    let county = Authority::new("County");
    let hook = |name: &'static str| Hook::start_with_tls(county.server(name));
    let (by_address, by_name, elsewhere) = (hook("127.0.0.1").await, hook("localhost").await, hook("e.example").await);
    let stranger = Hook::start_with_tls(Authority::new("Stranger").server("127.0.0.1")).await;
    let near = "private_addresses = true\n";
    let (own, absent) = (format!("{near}{OWN_CA}"), format!("{near}ca_file = \"absent.pem\"\n"));
    let address = "127.0.0.1";
    let receivers = [
        ("by-address", webhook(address, &by_address, &own)),
        ("by-name", webhook("localhost", &by_name, &own)),
        ("absent", webhook(address, &by_address, &absent)),
        ("elsewhere", webhook(address, &elsewhere, &own)),
        ("stranger", webhook(address, &stranger, &own)),
        ("public", webhook(address, &by_address, near)),
        ("far", webhook(address, &by_address, OWN_CA)),
    ];
    let (installation, _) = Installation::notifying(&receivers).await;
    let folder = installation.folder.path();
    write(folder, "ca.pem", &county.pem);
    let process = installation.service("notifier", None);
    produce(&installation.producer(), 0, vec![change(0, 1)]).await;
    installation.delivered(&["by-address", "by-name"]).await;
    for (receiver, told) in [
        ("absent", "receiver absent: the ca_file absent.pem cannot be read: "),
        ("elsewhere", "127.0.0.1: its certificate is for e.example; correct the name"),
        ("stranger", "127.0.0.1: its certificate is of an authority that is not trusted here"),
        ("public", "name that authority's certificate as the receiver's ca_file"),
        ("far", "127.0.0.1 is at an address that is not of the internet"),
    ] {
        let found = installation.first_error(receiver).await;
        assert!(found.contains(told), "{receiver}: {found}");
    }
    installation.until("SELECT COUNT(*) FROM delivery WHERE state <> 'delivered' AND attempts > 1", 5).await;
    write(folder, "absent.pem", &county.pem);
    installation.delivered(&["absent"]).await;
    assert_eq!((by_address.got("hook").len(), by_name.got("hook").len()), (2, 1));
    assert!(by_address.got("hook").iter().all(hook::Got::is_signed));
    assert_eq!((elsewhere.got("hook").len(), stranger.got("hook").len()), (0, 0));
    process.terminate();
}

async fn named(installation: &Installation, pupil: u32, given: &str, family: &str) {
    let row = PersonRow {
        upn: i64::try_from(upn(pupil).number()).unwrap(),
        urn: 900_001,
        given_name: Some(given.to_owned()),
        family_name: Some(family.to_owned()),
        birth_date: None,
        revised_at: 1,
    };
    let mut tx = installation.store().await.begin().await.unwrap();
    person::upsert_many(&mut tx, &[row]).await.unwrap();
    tx.commit().await.unwrap();
}

async fn ids_of(installation: &Installation) -> Vec<String> {
    let delivered = store::delivery::list(&installation.store().await, "delivered", 0, 100).await.unwrap();
    delivered.into_iter().map(|row| row.message_id).collect()
}
