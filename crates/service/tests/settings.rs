//! Settings from their layers: which layer wins, what is refused, and that every mistake is told at once.

use service::config::{Settings, SettingsError, Sources};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A folder for a test's files.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn load(file: Option<PathBuf>, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    Settings::load(&Sources { file, environment })
}

/// The mistakes, a line each; the folder of the files is left out.
fn mistakes(result: Result<Settings, SettingsError>) -> Vec<String> {
    let error = result.expect_err("the settings should be refused");
    assert_eq!(error.to_string().lines().count(), error.wrong().len() + 1, "{error}");
    let line = |wrong: &service::config::Wrong| {
        let text = wrong.to_string();
        text.find("earlybell.toml").map_or(text.clone(), |at| text[at..].to_owned())
    };
    error.wrong().iter().map(line).collect()
}

fn assert_tells(mistakes: &[String], place: &str, what: &str) {
    let told = mistakes.iter().any(|line| line.starts_with(&format!("{place}: ")) && line.contains(what));
    assert!(told, "{place} with {what:?} is not in {mistakes:#?}");
}

#[test]
fn without_any_layer_the_defaults_hold_and_fit_each_other() {
    let settings = load(None, &[]).unwrap();
    assert_eq!(settings.kafka.brokers.to_string(), "localhost:9092");
    assert_eq!((settings.kafka.replication.get(), settings.kafka.min_insync.get()), (3, 2));
    assert_eq!(settings.rules.checkpoint_every, Duration::from_secs(2));
    assert_eq!(settings.rules.tick, Duration::from_millis(200));
    let ports = [settings.admin.ingest, settings.admin.rules, settings.admin.notifier].map(|address| address.port());
    assert_eq!(ports, [9101, 9102, 9103]);
}

#[test]
fn the_file_goes_over_the_defaults_and_the_environment_over_the_file() {
    let files = Files::new();
    let file =
        files.write("earlybell.toml", "[rules]\nchunk = 100\ntick = \"50ms\"\n[kafka]\nbrokers = \"a:1, b:2\"\n");
    let settings = load(Some(file), &[("EARLYBELL__RULES__CHUNK", "7"), ("PATH", "/bin")]).unwrap();
    assert_eq!(settings.rules.chunk.get(), 7);
    assert_eq!(settings.rules.tick, Duration::from_millis(50));
    assert_eq!(settings.rules.max_held.get(), 10, "a default beside settings of the same section");
    assert_eq!(settings.kafka.brokers.to_string(), "a:1,b:2");
}

#[test]
fn every_mistake_is_told_at_once_with_its_place_and_remedy() {
    let files = Files::new();
    let text =
        "colour = 1\n[kafka]\nbroker = \"a:1\"\nmin_insync = 4\n[rules]\nchunk = 0\ntick = 200\n[cases]\nx = 1\n";
    let environment = [
        ("EARLYBELL__KAFKA__BROKERS", "nowhere"),
        ("EARLYBELL__RULES__CHUNKS", "5"),
        ("EARLYBELL__NOTHING__AT_ALL", "5"),
        ("EARLYBELL__CONSUMER__BATCH_BYTES", "5 MB"),
        ("EARLYBELL__LOG__FORMAT", "xml"),
        ("EARLYBELL__ADMIN", "127.0.0.1:1"),
    ];
    let told = mistakes(load(Some(files.write("earlybell.toml", text)), &environment));
    assert_tells(&told, "earlybell.toml:colour", "no such section; there are kafka, database");
    assert_tells(&told, "earlybell.toml:cases", "no such section");
    assert_tells(&told, "earlybell.toml:kafka.broker", "no such setting; kafka has brokers");
    assert_tells(&told, "earlybell.toml:rules.chunk", "write a whole number from 1");
    assert_tells(&told, "earlybell.toml:rules.tick", "write it with its unit");
    assert_tells(&told, "EARLYBELL__KAFKA__BROKERS", "\"nowhere\" is no broker; write host:port");
    assert_tells(&told, "EARLYBELL__RULES__CHUNKS", "no such setting; rules has checkpoint_every");
    assert_tells(&told, "EARLYBELL__NOTHING__AT_ALL", "no such section");
    assert_tells(&told, "EARLYBELL__CONSUMER__BATCH_BYTES", "write it as 512 KiB");
    assert_tells(&told, "EARLYBELL__LOG__FORMAT", "write one of json, text");
    assert_tells(&told, "EARLYBELL__ADMIN", "no such setting");
    assert_eq!(told.len(), 11, "{told:#?}");
}

#[test]
fn settings_that_do_not_fit_each_other_are_refused_by_the_one_to_change() {
    let told = mistakes(load(
        None,
        &[
            ("EARLYBELL__CONSUMER__STALL", "10s"),
            ("EARLYBELL__CONSUMER__BUDGET_BYTES", "1 MiB"),
            ("EARLYBELL__KAFKA__MIN_INSYNC", "4"),
            ("EARLYBELL__RULES__BACKLOG_CHECKPOINT_EVERY", "1s"),
            ("EARLYBELL__RULES__TICK", "3s"),
            ("EARLYBELL__INGEST__REQUEST_TIMEOUT", "10s"),
            ("EARLYBELL__INGEST__MAX_UNPACKED", "1 MiB"),
            ("EARLYBELL__NOTIFIER__ATTEMPT_TIMEOUT", "24h"),
            ("EARLYBELL__DATABASE__ACQUIRE_TIMEOUT", "10s"),
            ("EARLYBELL__KAFKA__DELIVERY_TIMEOUT", "10s"),
        ],
    ));
    assert_tells(&told, "EARLYBELL__CONSUMER__STALL", "longer than consumer.session_timeout");
    assert_tells(&told, "EARLYBELL__CONSUMER__BUDGET_BYTES", "smaller than consumer.batch_bytes");
    assert_tells(&told, "EARLYBELL__KAFKA__MIN_INSYNC", "more than kafka.replication");
    assert_tells(&told, "EARLYBELL__RULES__BACKLOG_CHECKPOINT_EVERY", "shorter than rules.checkpoint_every");
    assert_tells(&told, "EARLYBELL__RULES__TICK", "longer than rules.checkpoint_every");
    assert_tells(&told, "EARLYBELL__INGEST__REQUEST_TIMEOUT", "longer than kafka.delivery_timeout");
    assert_tells(&told, "EARLYBELL__KAFKA__DELIVERY_TIMEOUT", "shorter than the 9s");
    assert_tells(&told, "EARLYBELL__INGEST__MAX_UNPACKED", "smaller than ingest.max_body");
    assert_tells(&told, "default of notifier.give_up_after", "longer than notifier.attempt_timeout");
    assert_tells(&told, "EARLYBELL__DATABASE__ACQUIRE_TIMEOUT", "shorter than consumer.stall");
    assert_eq!(told.len(), 10, "{told:#?}");
}

#[test]
fn a_secret_may_come_from_a_file_of_its_own() {
    let files = Files::new();
    let secret = files.write("url", "postgres://bell:s3cret@db/earlybell\n");
    let settings = load(None, &[("EARLYBELL__DATABASE__URL_FILE", secret.to_str().unwrap())]).unwrap();
    assert_eq!(
        settings.database.url.expose(),
        "postgres://bell:s3cret@db/earlybell",
        "without the file's last newline"
    );
}

#[test]
fn a_secret_of_a_stronger_layer_goes_over_the_file_of_a_weaker() {
    let files = Files::new();
    let secret = files.write("url", "postgres://weak");
    let file = files.write("earlybell.toml", &format!("[database]\nurl_file = {:?}\n", secret.to_str().unwrap()));
    let settings = load(Some(file), &[("EARLYBELL__DATABASE__URL", "postgres://strong")]).unwrap();
    assert_eq!(settings.database.url.expose(), "postgres://strong");
    let file = files.write("earlybell.toml", "[database]\nurl = \"postgres://inline\"\n");
    let settings = load(Some(file), &[("EARLYBELL__DATABASE__URL_FILE", secret.to_str().unwrap())]).unwrap();
    assert_eq!(settings.database.url.expose(), "postgres://weak");
}

#[test]
fn a_secret_given_twice_or_in_a_file_that_is_missing_or_empty_is_refused() {
    let files = Files::new();
    let (url, twin) = ("EARLYBELL__DATABASE__URL", "EARLYBELL__DATABASE__URL_FILE");
    let told = mistakes(load(None, &[(url, "postgres://a"), (twin, "/nowhere/url")]));
    assert_tells(&told, url, "is given, and so is EARLYBELL__DATABASE__URL_FILE; keep one");
    let told = mistakes(load(None, &[(twin, "/nowhere/url")]));
    assert_tells(&told, twin, "/nowhere/url cannot be read");
    let empty = files.write("empty", "\n");
    let told = mistakes(load(None, &[(twin, empty.to_str().unwrap())]));
    assert_tells(&told, twin, "is empty; write the secret into it");
}

#[test]
fn no_secret_is_shown_by_anything_that_shows_settings() {
    let environment = [
        ("EARLYBELL__KAFKA__SECURITY", "sasl_ssl"),
        ("EARLYBELL__KAFKA__SASL_USERNAME", "bell"),
        ("EARLYBELL__KAFKA__SASL_PASSWORD", "hunter2"),
        ("EARLYBELL__DATABASE__URL", "postgres://bell:hunter2@db/earlybell"),
    ];
    let settings = load(None, &environment).unwrap();
    for text in [settings.dump_redacted().to_owned(), format!("{settings:?}")] {
        assert!(text.contains("[redacted]") && text.contains("bell") && !text.contains("hunter2"), "{text}");
    }
    let dump = settings.dump_redacted();
    assert!(dump.contains("sasl_password = \"[redacted]\" # EARLYBELL__KAFKA__SASL_PASSWORD\n"), "{dump}");
    assert!(dump.contains("replication = \"3\" # default of kafka.replication\n"), "{dump}");
    assert_eq!(settings.kafka.security_properties()["sasl.password"], "hunter2");
}

#[test]
fn encrypted_connections_trust_the_file_that_is_given_else_the_systems_authorities() {
    let trusted = |environment: &[(&str, &str)]| {
        let settings = load(None, environment).unwrap();
        settings.kafka.security_properties().get("ssl.ca.location").cloned()
    };
    let ssl = ("EARLYBELL__KAFKA__SECURITY", "ssl");
    assert_eq!(trusted(&[]), None);
    assert_eq!(trusted(&[ssl]).as_deref(), Some("probe"));
    assert_eq!(trusted(&[ssl, ("EARLYBELL__KAFKA__CA_FILE", "/ca.pem")]).as_deref(), Some("/ca.pem"));
}

#[test]
fn no_mistake_shows_a_secret() {
    let files = Files::new();
    let broken = files.write("earlybell.toml", "[database]\nurl = \"postgres://hunter2\n");
    let by_file = load(Some(broken), &[]).unwrap_err().to_string();
    assert!(by_file.contains("earlybell.toml: is no TOML") && by_file.contains("line 2"), "{by_file}");
    let wrong = [("EARLYBELL__DATABASE__URL", "hunter2"), ("EARLYBELL__KAFKA__SASL_PASSWORD", "hunter2")];
    let by_environment = load(None, &wrong).unwrap_err();
    let sources = Sources { file: None, environment: [("A".to_owned(), "hunter2".into())].into() };
    for text in [by_file, by_environment.to_string(), format!("{by_environment:?}"), format!("{sources:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_password_needs_sasl_and_sasl_a_password() {
    let told = mistakes(load(None, &[("EARLYBELL__KAFKA__SECURITY", "sasl_ssl")]));
    assert_tells(&told, "default of kafka.sasl_username", "is missing");
    assert_tells(&told, "default of kafka.sasl_password", "is missing");
    let told = mistakes(load(None, &[("EARLYBELL__KAFKA__SASL_PASSWORD", "x"), ("EARLYBELL__KAFKA__CA_FILE", "/ca")]));
    assert_tells(&told, "EARLYBELL__KAFKA__SASL_PASSWORD", "needs sasl");
    assert_tells(&told, "EARLYBELL__KAFKA__CA_FILE", "needs ssl");
}

#[test]
fn a_file_that_is_named_but_missing_is_refused() {
    let told = mistakes(load(Some("/nowhere/earlybell.toml".into()), &[]));
    assert_tells(&told, "earlybell.toml", "cannot be read");
}

#[test]
fn a_section_or_a_value_of_the_wrong_shape_is_refused_once() {
    let files = Files::new();
    let file = files.write("earlybell.toml", "kafka = \"a:1\"\n[rules]\nchunk = [1, 2]\n");
    let told = mistakes(load(Some(file), &[("EARLYBELL__KAFKA__REPLICATION", "5")]));
    assert_tells(&told, "earlybell.toml:kafka", "is no section; write [kafka]");
    assert_tells(&told, "earlybell.toml:rules.chunk", "is a list or a table");
    assert_eq!(told.len(), 2, "{told:#?}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let value = std::ffi::OsString::from_vec(vec![0xff, 0xfe]);
    let environment = [("EARLYBELL__KAFKA__BROKERS".to_owned(), value)].into();
    let told = mistakes(Settings::load(&Sources { file: None, environment }));
    assert_tells(&told, "EARLYBELL__KAFKA__BROKERS", "no text in UTF-8");
}

#[test]
fn the_example_file_says_what_the_defaults_are() {
    let files = Files::new();
    let set = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.contains(" = \"") => rest.to_owned(),
        _ => line.to_owned(),
    };
    let example: String = Settings::example().lines().map(|line| set(line) + "\n").collect();
    let by_example = load(Some(files.write("earlybell.toml", &example)), &[]).unwrap();
    let values = |settings: &Settings| {
        let before_place = |line: &str| line.split(" # ").next().unwrap_or_default().to_owned();
        settings.dump_redacted().lines().map(before_place).collect::<Vec<_>>()
    };
    assert_eq!(values(&by_example), values(&load(None, &[]).unwrap()));
    assert!(by_example.dump_redacted().lines().filter(|line| line.contains("earlybell.toml:")).count() > 30);
}

#[test]
fn operators_find_the_example_among_the_deployment_files() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/earlybell.example.toml");
    if std::env::var_os("WRITE_EXAMPLE").is_some() {
        std::fs::write(&path, Settings::example()).unwrap();
    }
    let example = std::fs::read_to_string(&path).unwrap_or_default();
    let remedy = "write it anew: WRITE_EXAMPLE=1 cargo test -p service --test settings";
    assert!(example == Settings::example(), "{} is not what the settings are; {remedy}", path.display());
}

#[test]
fn a_value_without_sense_is_refused() {
    for (name, value, what) in [
        ("EARLYBELL__LOG__LEVEL", "inof", "is no filter of log lines"),
        ("EARLYBELL__LOG__LEVEL", "info,rules=loud", "is no filter of log lines"),
        ("EARLYBELL__CONSUMER__SESSION_TIMEOUT", "6m", "write 2s to 5m"),
        ("EARLYBELL__DATABASE__URL", "mysql://db", "begin it with postgres://"),
        ("EARLYBELL__KAFKA__BROKERS", "a:1,,b:2", "\"\" is no broker"),
        ("EARLYBELL__KAFKA__BROKERS", "a:0", "is no broker"),
        ("EARLYBELL__ADMIN__RULES", "9102", "an address with its port"),
        ("EARLYBELL__DATABASE__POOL_SIZE", "0", "a whole number from 1"),
        ("EARLYBELL__RULES__TICK", "", "no duration"),
    ] {
        assert_tells(&mistakes(load(None, &[(name, value)])), name, what);
    }
}

#[test]
fn a_password_is_never_sent_readable() {
    let environment = [
        ("EARLYBELL__KAFKA__SECURITY", "sasl_plaintext"),
        ("EARLYBELL__KAFKA__SASL_MECHANISM", "plain"),
        ("EARLYBELL__KAFKA__SASL_USERNAME", "bell"),
        ("EARLYBELL__KAFKA__SASL_PASSWORD", "hunter2"),
    ];
    let told = mistakes(load(None, &environment));
    assert_tells(&told, "EARLYBELL__KAFKA__SASL_MECHANISM", "would send the password readable");
}

#[test]
fn a_variable_given_in_capital_and_in_small_letters_is_refused() {
    let told = mistakes(load(None, &[("EARLYBELL__RULES__CHUNK", "1"), ("earlybell__rules__chunk", "2")]));
    assert_tells(&told, "earlybell__rules__chunk", "is given twice");
    assert_eq!(load(None, &[("earlybell__rules__chunk", "2")]).unwrap().rules.chunk.get(), 2);
}
