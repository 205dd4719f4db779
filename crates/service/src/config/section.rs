//! What a section of the settings is: a struct whose fields are the keys, whose doc comments are their meaning and
//! whose defaults stand beside them. Takes values from the [`Reader`]; gives the section, or leaves its mistakes there.

use super::reader::Reader;
use super::value::Setting;

/// A key of a section.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What it means: the field's doc comment.
    pub(super) meaning: &'static [&'static str],
    /// As it would stand in the file; empty: not set.
    pub(super) default: &'static str,
    /// It may also come from the file that `<name>_file` names.
    pub(super) secret: bool,
}

/// A section of which only the keys matter.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: &'static str,
    meaning: &'static [&'static str],
    pub(super) keys: &'static [Key],
}

impl Known {
    pub(super) const fn of<S: Section>() -> Self {
        Self { name: S::NAME, meaning: S::MEANING, keys: S::KEYS }
    }

    /// The names that may be set.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.keys.iter().flat_map(|key| {
            let twin = key.secret.then(|| twin(key.name));
            std::iter::once(key.name.to_owned()).chain(twin)
        })
    }

    /// The section as a sample file shows it.
    pub(super) fn example(&self) -> String {
        let comment = |lines: &[&str]| lines.iter().flat_map(|line| ["#", line, "\n"]).collect::<String>();
        let mut text = format!("{}[{}]\n", comment(self.meaning), self.name);
        for key in self.keys {
            text += &format!("\n{}# {} = {:?}\n", comment(key.meaning), key.name, key.default);
            if key.secret {
                text += &format!("# {} = \"\" # a file that holds it\n", twin(key.name));
            }
        }
        text
    }
}

/// The name under which a secret's file is given.
pub(super) fn twin(key: &str) -> String {
    format!("{key}_file")
}

/// Whether the values of a section fit each other. Mistakes go to the reader, under the key to change.
pub(super) trait Check {
    fn check(&self, _reader: &mut Reader) {}
}

/// A section of the settings; made by [`section!`].
pub(super) trait Section: Check + Sized {
    const NAME: &'static str;
    const MEANING: &'static [&'static str];
    const KEYS: &'static [Key];

    /// Takes all keys, so that every mistake is found, not only the first.
    fn take(reader: &mut Reader) -> Option<Self>;

    /// Each key with its value as text, secrets hidden.
    fn values(&self) -> Vec<(&'static str, String)>;
}

/// Takes a section and checks it, if it is whole.
pub(super) fn read<S: Section>(reader: &mut Reader) -> Option<S> {
    let section = S::take(reader)?;
    section.check(reader);
    Some(section)
}

/// The section as TOML, each value with its place.
pub(super) fn shown<S: Section>(section: &S, reader: &Reader) -> String {
    let lines = section.values().into_iter().map(|(key, value)| {
        let place = reader.place(S::NAME, key);
        format!("{key} = {value:?} # {place}\n")
    });
    std::iter::once(format!("[{}]\n", S::NAME)).chain(lines).collect()
}

/// As [`Setting::show`], for the macro.
pub(super) fn show<T: Setting>(value: &T) -> String {
    value.show()
}

macro_rules! section {
    (
        $(#[doc = $meaning:literal])+
        $name:ident in $section:literal {
            $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $default:literal;)+
        }
    ) => {
        $(#[doc = $meaning])+
        #[derive(Clone, Debug)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl crate::config::section::Section for $name {
            const NAME: &'static str = $section;
            const MEANING: &'static [&'static str] = &[$($meaning),+];
            const KEYS: &'static [crate::config::section::Key] = &[$(crate::config::section::Key {
                name: stringify!($field),
                meaning: &[$($doc),+],
                default: $default,
                secret: <$type as crate::config::value::Setting>::SECRET,
            }),+];

            fn take(reader: &mut crate::config::reader::Reader) -> Option<Self> {
                $(let $field = reader.take::<$type>($section, stringify!($field));)+
                Some(Self { $($field: $field?),+ })
            }

            fn values(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($field), crate::config::section::show(&self.$field))),+]
            }
        }
    };
}

/// A closed choice, written as one of a few words.
macro_rules! choice {
    (
        $(#[doc = $meaning:literal])+
        $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+ }
    ) => {
        $(#[doc = $meaning])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $name {
            /// As it is written in settings.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl crate::config::value::Setting for $name {
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!("{text:?} is none of the choices; write one of {}", [$($text),+].join(", "))),
                }
            }

            fn show(&self) -> String {
                self.text().to_owned()
            }
        }
    };
}

pub(super) use {choice, section};
