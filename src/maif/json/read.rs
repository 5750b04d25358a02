//! `json.loads`.

use super::{JsonError, MAX_DEPTH, Text, Value};

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
