//! Logs: takes the settings of the section `log`; gives lines on standard error, JSON or text, through `tracing`.
//!
//! A message reads alone; values are fields with dotted names (`register.id`), in JSON at the top level. No name, UPN or
//! body of a message is ever a field.

use crate::config::{Format, Log};
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("log.level {0:?} is no filter of log lines; write error, warn, info, debug or trace")]
    Filter(String),
    /// Somebody logs already.
    #[error("logging was begun before in this process; begin it once, in main")]
    Twice,
}

/// Begins logging for the whole process, to standard error. Once, in `main`.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    init_to(log, std::io::stderr)
}

/// Begins logging for the whole process, to another place.
pub fn init_to<W>(log: &Log, writer: W) -> Result<(), TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let subscriber = subscriber(log, writer)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::Twice)
}

/// What [`init`] makes, with another target for the lines.
pub fn subscriber<W>(log: &Log, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let text = log.level.to_string();
    let filter = EnvFilter::builder().parse(&text).map_err(|_| TelemetryError::Filter(text))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match log.format {
        Format::Json => Box::new(lines.json().flatten_event(true).with_span_list(false).finish()),
        Format::Text => Box::new(lines.with_ansi(false).finish()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Settings, Sources};
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: &str, level: &str) -> String {
        let environment = [("EARLYBELL__LOG__FORMAT", format), ("EARLYBELL__LOG__LEVEL", level)];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.into())).into();
        let settings = Settings::load(&Sources { file: None, environment }).unwrap();
        let lines = Lines::default();
        let target = lines.clone();
        let subscriber = subscriber(&settings.log, move || target.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(register.id = "r-1", register.marks = 31, "register accepted");
            tracing::debug!("a detail");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_has_its_fields_at_the_top_by_their_dotted_names() {
        let text = logged("json", "info");
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "register accepted");
        assert_eq!((&line["register.id"], &line["register.marks"]), (&"r-1".into(), &31.into()));
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn text_lines_are_plain_and_the_filter_decides_which() {
        let text = logged("text", "warn,service=debug");
        assert!(text.contains("register accepted") && text.contains("register.id=\"r-1\""), "{text}");
        assert!(text.contains("a detail") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(logged("text", "error"), "");
    }
}
