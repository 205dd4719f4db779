//! The layers, merged by the `config` crate, and every mistake found in them. Takes [`Sources`] and the keys that
//! there are; gives values by key; keeps the place of each and the mistakes.

use super::section::{Known, twin};
use super::sources::Sources;
use super::value::Setting;
use super::wrong::{Place, Wrong};
use config::{Config, ConfigError, Environment, File, FileFormat, Map, Source, Value, ValueKind};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const PREFIX: &str = "EARLYBELL";
const SEPARATOR: &str = "__";

/// Reads values and collects mistakes. Holds secrets in plain: no `Debug`.
pub(super) struct Reader {
    tree: Map<String, Value>,
    /// The environment's names as they were written, by key.
    variables: BTreeMap<String, String>,
    /// Where each value comes from, by key.
    places: BTreeMap<String, Place>,
    wrong: Vec<Wrong>,
}

/// A file of which only known keys are left.
#[derive(Clone, Debug)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

impl Reader {
    /// Merges the layers; what no section knows is a mistake.
    pub(super) fn open(sources: &Sources, sections: &[Known]) -> Self {
        let mut reader =
            Self { tree: Map::new(), variables: BTreeMap::new(), places: BTreeMap::new(), wrong: Vec::new() };
        let file = sources.file.as_deref().map(|path| reader.file(path, sections)).unwrap_or_default();
        let environment = reader.environment(sources, sections);
        match merged(sections, Layer(file), environment) {
            Ok(tree) => reader.tree = tree,
            Err(error) => reader.wrong.push(Wrong {
                place: Place::File { file: "the settings".to_owned(), key: String::new() },
                problem: format!("cannot be merged: {error}; look for a setting that is given twice"),
            }),
        }
        reader
    }

    /// A value of its type, or `None` and a mistake more.
    pub(super) fn take<T: Setting>(&mut self, section: &str, key: &str) -> Option<T> {
        let text = if T::SECRET { self.secret(section, key)? } else { self.text(section, key)?.0 };
        match T::parse(&text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.refuse(section, key, &problem);
                None
            }
        }
    }

    /// A mistake in a value that was read.
    pub(super) fn refuse(&mut self, section: &str, key: &str, problem: &str) {
        let place = self.place(section, key);
        self.wrong.push(Wrong { place, problem: problem.to_owned() });
    }

    /// Where a value comes from.
    pub(super) fn place(&self, section: &str, key: &str) -> Place {
        let path = format!("{section}.{key}");
        self.places.get(&path).cloned().unwrap_or(Place::Default(path))
    }

    pub(super) fn wrong(&self) -> &[Wrong] {
        &self.wrong
    }

    pub(super) fn into_wrong(self) -> Vec<Wrong> {
        self.wrong
    }

    /// The text of a value and its place, noted for [`place`](Self::place).
    fn text(&mut self, section: &str, key: &str) -> Option<(String, Place)> {
        let path = format!("{section}.{key}");
        let value = self.value(section, key)?;
        let place = match (value.origin(), self.variables.get(&path)) {
            (None, _) => Place::Default(path.clone()),
            (Some(_), Some(variable)) => Place::Variable(variable.clone()),
            (Some(file), None) => Place::File { file: file.to_owned(), key: path.clone() },
        };
        self.places.insert(path, place.clone());
        if let Ok(text) = value.into_string() {
            return Some((text, place));
        }
        self.refuse(section, key, "is a list or a table; write one value");
        None
    }

    fn value(&self, section: &str, key: &str) -> Option<Value> {
        match &self.tree.get(section)?.kind {
            ValueKind::Table(table) => table.get(key).cloned(),
            _ => None,
        }
    }

    /// The text of a secret: its own or that of its file, whichever was given in the stronger layer.
    fn secret(&mut self, section: &str, key: &str) -> Option<String> {
        let by_file = twin(key);
        let (own, place) = self.text(section, key)?;
        let (file, place_of_file) = self.text(section, &by_file)?;
        let own_given = place.layer() > 0 && !own.is_empty();
        if file.is_empty() || (own_given && place.layer() > place_of_file.layer()) {
            return Some(own);
        }
        if own_given && place.layer() == place_of_file.layer() {
            self.refuse(section, key, &format!("is given, and so is {place_of_file}; keep one of them"));
            return None;
        }
        self.places.insert(format!("{section}.{key}"), place_of_file);
        match std::fs::read_to_string(&file) {
            Ok(text) if text.trim_end().is_empty() => {
                self.refuse(section, key, &format!("{file} is empty; write the secret into it"));
                None
            }
            Ok(text) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) => {
                self.refuse(section, key, &format!("{file} cannot be read: {error}; name a readable file"));
                None
            }
        }
    }

    /// The known values of the file.
    fn file(&mut self, path: &Path, sections: &[Known]) -> Map<String, Value> {
        let file = path.display().to_string();
        let mut refuse = |key: String, problem: String| {
            self.wrong.push(Wrong { place: Place::File { file: file.clone(), key }, problem });
        };
        let tables = match tables(path) {
            Ok(tables) => tables,
            Err(problem) => {
                refuse(String::new(), problem);
                return Map::new();
            }
        };
        let mut kept = Map::new();
        for (name, value) in tables {
            let Some(section) = sections.iter().find(|section| section.name == name) else {
                refuse(name, format!("no such section; there are {}", section_names(sections)));
                continue;
            };
            let ValueKind::Table(table) = value.kind else {
                refuse(name, format!("is no section; write [{}] and its settings below", section.name));
                continue;
            };
            let mut values: Map<String, Value> = Map::new();
            for (key, value) in sorted(table) {
                if section.names().any(|known| known == key) {
                    values.insert(key, Value::new(Some(&file), value.kind));
                } else {
                    refuse(format!("{name}.{key}"), no_such(section));
                }
            }
            kept.insert(name, Value::new(Some(&file), ValueKind::Table(values)));
        }
        kept
    }

    /// The known variables, as the `config` crate takes them.
    fn environment(&mut self, sources: &Sources, sections: &[Known]) -> Environment {
        let mut kept: HashMap<String, String> = HashMap::new();
        for (name, value) in &sources.environment {
            let Some(path) = name.to_ascii_uppercase().strip_prefix(PREFIX).and_then(path_of) else { continue };
            let mut refuse = |problem: String| self.wrong.push(Wrong { place: Place::Variable(name.clone()), problem });
            let (section, key) = path.split_once('.').unwrap_or((&path, ""));
            let Some(section) = sections.iter().find(|known| known.name == section) else {
                refuse(format!("no such section; there are {}", section_names(sections)));
                continue;
            };
            if !section.names().any(|known| known == key) {
                refuse(no_such(section));
                continue;
            }
            let Some(text) = value.to_str() else {
                refuse("is no text in UTF-8; write it anew".to_owned());
                continue;
            };
            if self.variables.insert(path.clone(), name.clone()).is_some() {
                refuse("is given twice, in capital and in small letters; keep one".to_owned());
            }
            kept.insert(name.clone(), text.to_owned());
        }
        Environment::with_prefix(PREFIX).separator(SEPARATOR).source(Some(kept))
    }
}

/// `__KAFKA__BROKERS` as `kafka.brokers`.
fn path_of(rest: &str) -> Option<String> {
    rest.strip_prefix(SEPARATOR).map(|rest| rest.to_ascii_lowercase().replace(SEPARATOR, "."))
}

fn merged(sections: &[Known], file: Layer, environment: Environment) -> Result<Map<String, Value>, ConfigError> {
    let mut builder = Config::builder();
    for section in sections {
        for key in section.keys {
            builder = builder.set_default(format!("{}.{}", section.name, key.name), key.default)?;
            if key.secret {
                builder = builder.set_default(format!("{}.{}", section.name, twin(key.name)), "")?;
            }
        }
    }
    builder.add_source(file).add_source(environment).build()?.collect()
}

/// The file's top level.
fn tables(path: &Path) -> Result<BTreeMap<String, Value>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot be read: {error}; name a readable file, or none"))?;
    let read = File::from_str(&text, FileFormat::Toml).collect();
    // Further lines of the message quote the file, and that line may hold a secret.
    let tree = read.map_err(|error| {
        let message = error.to_string();
        format!("is no TOML: {}; mend it there", message.lines().next().unwrap_or_default())
    })?;
    Ok(sorted(tree))
}

/// Mistakes come in the same order every time.
fn sorted(map: Map<String, Value>) -> BTreeMap<String, Value> {
    map.into_iter().collect()
}

fn section_names(sections: &[Known]) -> String {
    sections.iter().map(|section| section.name).collect::<Vec<_>>().join(", ")
}

fn no_such(section: &Known) -> String {
    format!("no such setting; {} has {}", section.name, section.names().collect::<Vec<_>>().join(", "))
}
