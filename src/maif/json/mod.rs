//! JSON as Python reads and writes it, which is part of the format (section 6).
//!
//! General-purpose libraries cannot hold what occurs here: lone surrogates, NaN, integers of any
//! length, and two members of one name. Reading never recurses deeper than [`MAX_DEPTH`].

mod read;
mod write;

pub use read::parse;
use write::render;

/// Python's own recursion limit allows about a thousand levels.
pub const MAX_DEPTH: usize = 1000;

/// Text as Unicode code points, lone surrogates included. Orders by code point, as Python does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(Vec<u32>);

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.chars().map(u32::from).collect())
    }
}

impl Text {
    /// As a string; lone surrogates become U+FFFD.
    pub fn to_lossy(&self) -> String {
        self.0
            .iter()
            .map(|c| char::from_u32(*c).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    }

    /// Whether it is exactly this.
    pub fn is(&self, text: &str) -> bool {
        self.0.iter().copied().eq(text.chars().map(u32::from))
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.to_lossy())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    /// Decimal digits with an optional minus, without leading zeros.
    Int(String),
    Float(f64),
    Text(Text),
    Array(Vec<Self>),
    /// In the order read; a name may occur twice.
    Object(Vec<(Text, Self)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(number.to_string())
    }
}

impl Value {
    /// An object in the given order.
    pub fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Object(
            members
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }

    /// The value of the last member of this name, as Python takes it.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .rev()
                .find(|(key, _)| key.is(name))
                .map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&Text> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Int(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// `json.dumps(value, sort_keys=…)`.
    pub fn render(&self, sorted: bool) -> String {
        let mut out = String::new();
        render(self, sorted, &mut out);
        out
    }
}

/// What is wrong with a text, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {at}")]
pub struct JsonError {
    pub problem: &'static str,
    pub at: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_python_writes_them() {
        for (number, text) in [
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e-7, "1e-07"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (-0.0, "-0.0"),
            (3.0, "3.0"),
            (123_456.789, "123456.789"),
            (1.5e300, "1.5e+300"),
        ] {
            assert_eq!(Value::Float(number).render(false), text);
        }
    }

    #[test]
    fn what_python_reads_is_read_and_rendered_as_python_does() {
        for (input, output) in [
            (
                r#"{"b":1,"a":[1.0,true,null]}"#,
                r#"{"a": [1.0, true, null], "b": 1}"#,
            ),
            (
                r#""\u00E9\/\ud83d\ude00\ud800""#,
                r#""\u00e9/\ud83d\ude00\ud800""#,
            ),
            (
                "[NaN, Infinity, -Infinity, -0, -0.0, 1E5]",
                "[NaN, Infinity, -Infinity, 0, -0.0, 100000.0]",
            ),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
            ("\"\u{7f}é\u{1f600}\"", r#""\u007f\u00e9\ud83d\ude00""#),
        ] {
            assert_eq!(
                parse(input.as_bytes()).unwrap().render(true),
                output,
                "{input}"
            );
        }
        for bad in [
            "",
            "01",
            "[1,]",
            "{\"a\" 1}",
            "\"\u{1}\"",
            "\"\\x\"",
            "1 2",
            "nul",
            "-",
            "1.",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
        assert!(parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn keys_sort_by_code_point_not_by_utf16() {
        let value = parse("{\"\u{1f600}\":1,\"\u{ff61}\":2}".as_bytes()).unwrap();
        assert_eq!(value.render(true), r#"{"\uff61": 2, "\ud83d\ude00": 1}"#);
    }
}
