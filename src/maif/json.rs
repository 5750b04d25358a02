//! JSON as Python reads and writes it, which is part of the format (section 6).
//!
//! General-purpose libraries cannot hold what occurs here: lone surrogates, NaN, integers of any
//! length, and two members of one name. Reading never recurses deeper than [`MAX_DEPTH`].

use std::fmt::Write as _;

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

/// `json.loads` of UTF-8 bytes.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError {
        problem: "not UTF-8",
        at: error.valid_up_to(),
    })?;
    let mut reader = Reader {
        bytes: text.as_bytes(),
        text,
        at: 0,
    };
    let value = reader.value(0)?;
    reader.space();
    if reader.at == bytes.len() {
        Ok(value)
    } else {
        Err(reader.error("something after the end"))
    }
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn error(&self, problem: &'static str) -> JsonError {
        JsonError {
            problem,
            at: self.at,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self
            .bytes
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word.as_bytes()));
        if found {
            self.at += word.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') if !self.ahead("-Infinity") => self.number(),
            _ if self.eat("null") => Ok(Value::Null),
            _ if self.eat("true") => Ok(Value::Bool(true)),
            _ if self.eat("false") => Ok(Value::Bool(false)),
            _ if self.eat("NaN") => Ok(Value::Float(f64::NAN)),
            _ if self.eat("Infinity") => Ok(Value::Float(f64::INFINITY)),
            _ if self.eat("-Infinity") => Ok(Value::Float(f64::NEG_INFINITY)),
            _ => Err(self.error("no value")),
        }
    }

    fn ahead(&self, word: &str) -> bool {
        self.bytes
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word.as_bytes()))
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut members = Vec::new();
        self.space();
        if self.eat("}") {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.error("no member name"));
            }
            let name = self.string()?;
            self.space();
            if !self.eat(":") {
                return Err(self.error("no colon"));
            }
            members.push((name, self.value(depth + 1)?));
            self.space();
            if self.eat("}") {
                return Ok(Value::Object(members));
            }
            if !self.eat(",") {
                return Err(self.error("no comma"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.eat("]") {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.eat("]") {
                return Ok(Value::Array(items));
            }
            if !self.eat(",") {
                return Err(self.error("no comma"));
            }
        }
    }

    fn digits(&mut self) -> usize {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - from
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let from = self.at;
        self.eat("-");
        let leading_zero = self.peek() == Some(b'0');
        let digits = self.digits();
        if digits == 0 || (leading_zero && digits > 1) {
            return Err(self.error("not a number"));
        }
        let mut float = false;
        if self.eat(".") {
            float = true;
            if self.digits() == 0 {
                return Err(self.error("not a number"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            float = true;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.error("not a number"));
            }
        }
        let text = self.text.get(from..self.at).unwrap_or_default();
        if float {
            return text
                .parse()
                .map(Value::Float)
                .map_err(|_| self.error("not a number"));
        }
        // Python has one zero.
        Ok(Value::Int(if text == "-0" { "0" } else { text }.to_owned()))
    }

    fn string(&mut self) -> Result<Text, JsonError> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let Some(c) = self
                .text
                .get(self.at..)
                .and_then(|rest| rest.chars().next())
            else {
                return Err(self.error("a string without end"));
            };
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(Text(out));
                }
                '\\' => {
                    self.at += 1;
                    let code = self.escape()?;
                    match out.last().copied() {
                        Some(high @ 0xd800..0xdc00) if (0xdc00..0xe000).contains(&code) => {
                            out.pop();
                            out.push(0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00));
                        }
                        _ => out.push(code),
                    }
                }
                c if u32::from(c) < 0x20 => return Err(self.error("a control character")),
                c => {
                    out.push(u32::from(c));
                    self.at += c.len_utf8();
                }
            }
        }
    }

    fn escape(&mut self) -> Result<u32, JsonError> {
        let kind = self.peek();
        self.at += 1;
        Ok(match kind {
            Some(c @ (b'"' | b'\\' | b'/')) => u32::from(c),
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => 10,
            Some(b'r') => 13,
            Some(b't') => 9,
            Some(b'u') => {
                let digits = self.text.get(self.at..self.at + 4);
                let code = digits
                    .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
                    .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                    .ok_or_else(|| self.error("not an escape"))?;
                self.at += 4;
                code
            }
            _ => return Err(self.error("not an escape")),
        })
    }
}

fn render(value: &Value, sorted: bool, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(digits) => out.push_str(digits),
        Value::Float(number) => render_float(*number, out),
        Value::Text(text) => render_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push_str(", ");
                }
                render(item, sorted, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<&(Text, Value)> = members.iter().collect();
            if sorted {
                members.sort_by(|a, b| a.0.cmp(&b.0));
            }
            out.push('{');
            for (n, (name, value)) in members.into_iter().enumerate() {
                if n > 0 {
                    out.push_str(", ");
                }
                render_text(name, out);
                out.push_str(": ");
                render(value, sorted, out);
            }
            out.push('}');
        }
    }
}

fn render_text(text: &Text, out: &mut String) {
    out.push('"');
    for code in &text.0 {
        match char::from_u32(*code) {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\u{c}') => out.push_str("\\f"),
            Some(c @ ' '..='~') => out.push(c),
            _ => {
                let units = match code.checked_sub(0x10000) {
                    Some(rest) => [Some(0xd800 + (rest >> 10)), Some(0xdc00 + (rest & 0x3ff))],
                    None => [Some(*code), None],
                };
                for unit in units.into_iter().flatten() {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// `repr(float)`: the shortest digits that read back equal, an exponent when the decimal exponent
/// is below -4 or at least 16.
fn render_float(number: f64, out: &mut String) {
    if number.is_nan() {
        out.push_str("NaN");
        return;
    }
    if number.is_infinite() {
        out.push_str(if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        });
        return;
    }
    let shortest = shortest(number);
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
        return;
    }
    if number.is_sign_negative() {
        out.push('-');
    }
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let Ok(places) = usize::try_from(exponent) else {
        out.push_str("0.");
        (exponent..-1).for_each(|_| out.push('0'));
        out.push_str(&digits);
        return;
    };
    let padded = format!("{digits:0<width$}", width = places + 2);
    let (whole, fraction) = padded
        .split_at_checked(places + 1)
        .unwrap_or((&padded, "0"));
    let _ = write!(out, "{whole}.{fraction}");
}

/// The shortest digits that read back equal, with an exponent: `1.25e-7`.
///
/// `{:e}` finds how many digits that takes, but of two candidates that are equally near it takes
/// the upper one where Python takes the even one. Rounding to that many digits breaks ties to even;
/// where it does not read back equal there was no tie.
fn shortest(number: f64) -> String {
    let found = format!("{number:e}");
    let mantissa = found.split('e').next().unwrap_or(&found);
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let rounded = format!("{number:.*e}", digits.saturating_sub(1));
    if rounded.parse() == Ok(number) {
        rounded
    } else {
        found
    }
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
