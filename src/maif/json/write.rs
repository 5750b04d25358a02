//! `json.dumps`.

use std::fmt::Write as _;

use super::{Text, Value};

pub(super) fn render(value: &Value, sorted: bool, out: &mut String) {
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
