//! The types of single settings: text in, a value that is right or what is wrong with it out. Durations and sizes
//! carry their unit in the text.

use jiff::SignedDuration;
use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The type of a setting.
pub(super) trait Setting: Sized {
    /// It may also come from a file, and is never shown.
    const SECRET: bool = false;

    /// Reads it; the error says what is wrong with the value and how to write it.
    fn parse(text: &str) -> Result<Self, String>;

    /// As [`parse`](Self::parse) would read it, secrets hidden.
    fn show(&self) -> String;
}

/// A number of bytes, 1 or more. Written with its unit: `512 KiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// Greatest unit first: what is shown is the greatest that divides.
    const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as lengths in memory count them; what does not fit is as good as without limit.
    pub fn as_len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, bytes) =
            Self::UNITS.into_iter().find(|(_, bytes)| self.0.is_multiple_of(*bytes)).unwrap_or(("B", 1));
        write!(f, "{} {unit}", self.0 / bytes)
    }
}

impl Setting for Size {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no size; write it as 512 KiB, in B, KiB, MiB or GiB");
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = text.strip_prefix(digits).unwrap_or_default().trim();
        let (_, bytes) = Self::UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        let size = number.checked_mul(bytes).ok_or_else(wrong)?;
        if size == 0 { Err(format!("{text:?} is nothing; write a size of 1 B or more")) } else { Ok(Self(size)) }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no duration; write it with its unit: 500ms, 10s, 5m, 24h");
        let signed: SignedDuration = text.parse().map_err(|_| wrong())?;
        let duration = Self::try_from(signed).map_err(|_| wrong())?;
        if duration.is_zero() {
            return Err(format!("{text:?} is no time at all; write 1ms or more"));
        }
        Ok(duration)
    }

    fn show(&self) -> String {
        SignedDuration::try_from(*self).map_or_else(|_| format!("{self:?}"), |signed| format!("{signed:#}"))
    }
}

impl Setting for String {
    fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() { Err("is empty; write a text".to_owned()) } else { Ok(text.to_owned()) }
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Setting for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        String::parse(text).map_err(|_| "is empty; write a path".to_owned()).map(Self::from)
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

/// Empty text is a setting that is not set.
impl<T: Setting> Setting for Option<T> {
    const SECRET: bool = T::SECRET;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }

    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }
}

macro_rules! from_str {
    ($($type:ty: $how:literal;)+) => {
        $(impl Setting for $type {
            fn parse(text: &str) -> Result<Self, String> {
                Self::from_str(text).map_err(|_| format!("{text:?} is not allowed; write {}", $how))
            }

            fn show(&self) -> String {
                self.to_string()
            }
        })+
    };
}

from_str! {
    u32: "a whole number";
    NonZeroU16: "a whole number from 1 to 65,535, without the comma";
    NonZeroU32: "a whole number from 1 to 4,294,967,295, without commas";
    SocketAddr: "an address with its port, as 127.0.0.1:9101 or [::]:9101";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_unit() {
        assert_eq!(Duration::parse("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(Duration::parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(Duration::parse("1h 30m"), Ok(Duration::from_mins(90)));
        for text in ["10", "", "soon", "0s", "-1s", "1s ago", "10 s s"] {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_carry_their_unit() {
        assert_eq!(Size::parse("512 KiB"), Ok(Size(512 * 1024)));
        assert_eq!(Size::parse("4MiB"), Ok(Size(4 << 20)));
        assert_eq!(Size::parse("7 B"), Ok(Size(7)));
        for text in ["512", "512 KB", "", "KiB", "0 B", "1.5 MiB", "-1 B", "99999999999999 GiB"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_as_the_same_value() {
        for text in ["512 KiB", "1 GiB", "1025 B"] {
            let size = Size::parse(text).unwrap();
            assert_eq!(size.show(), text);
        }
        for text in ["10s", "500ms", "24h", "1h 30m"] {
            let duration = Duration::parse(text).unwrap();
            assert_eq!(Duration::parse(&duration.show()), Ok(duration), "{}", duration.show());
        }
    }
}
