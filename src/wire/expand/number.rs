//! Numbers as the % operator shows them: sign, prefix, zeros and blanks around the digits.

use super::Spec;

/// Precision of the floating-point conversions if none is given.
const FLOAT_PRECISION: usize = 6;

/// Appends an integer: `d`, `i`, `u`, `o`, `x` or `X`. A precision is a least number of digits.
pub(super) fn push_integer(out: &mut String, value: i64, kind: char, spec: &Spec) {
    let magnitude = value.unsigned_abs();
    let (prefix, digits) = match kind {
        'o' => ("0o", format!("{magnitude:o}")),
        'x' => ("0x", format!("{magnitude:x}")),
        'X' => ("0X", format!("{magnitude:X}")),
        _ => ("", magnitude.to_string()),
    };
    let prefix = if spec.alternate { prefix } else { "" };
    let zeros = spec.precision.unwrap_or(0).saturating_sub(digits.len());
    push(out, value < 0, prefix, &("0".repeat(zeros) + &digits), spec);
}

/// Appends a finite number as `e`, `E`, `f`, `F`, `g` or `G`.
pub(super) fn push_float(out: &mut String, value: f64, kind: char, spec: &Spec) {
    let magnitude = value.abs();
    let precision = spec.precision.unwrap_or(FLOAT_PRECISION);
    let digits = match kind.to_ascii_lowercase() {
        'e' => exponential(magnitude, precision, spec.alternate),
        'f' => fixed(magnitude, precision, spec.alternate),
        _ => general(magnitude, precision.max(1), spec.alternate),
    };
    let digits = if kind.is_ascii_uppercase() { digits.to_ascii_uppercase() } else { digits };
    push(out, value < 0.0, "", &digits, spec);
}

/// Sign, prefix and digits, filled up to the width: by zeros behind the prefix, else by blanks.
fn push(out: &mut String, is_negative: bool, prefix: &str, digits: &str, spec: &Spec) {
    let sign = match (is_negative, spec.plus, spec.blank) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    };
    let fill = spec.width.saturating_sub(sign.len() + prefix.len() + digits.len());
    let (blanks, zeros, after) = match (spec.left, spec.zero) {
        (true, _) => (0, 0, fill),
        (false, true) => (0, fill, 0),
        (false, false) => (fill, 0, 0),
    };
    out.extend(std::iter::repeat_n(' ', blanks));
    out.push_str(sign);
    out.push_str(prefix);
    out.extend(std::iter::repeat_n('0', zeros));
    out.push_str(digits);
    out.extend(std::iter::repeat_n(' ', after));
}

fn fixed(magnitude: f64, precision: usize, keep_point: bool) -> String {
    let mut digits = format!("{magnitude:.precision$}");
    if precision == 0 && keep_point {
        digits.push('.');
    }
    digits
}

/// `1.500000e+03`: at least two digits of exponent, always a sign.
fn exponential(magnitude: f64, precision: usize, keep_point: bool) -> String {
    let text = format!("{magnitude:.precision$e}");
    let (digits, exponent) = split(&text);
    let point = if precision == 0 && keep_point { "." } else { "" };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{point}e{sign}{:02}", exponent.unsigned_abs())
}

/// The shorter of both, with `precision` significant digits; trailing zeros go, unless the alternate form keeps them.
fn general(magnitude: f64, precision: usize, alternate: bool) -> String {
    let decimals = precision - 1;
    let rounded = format!("{magnitude:.decimals$e}");
    let exponent = split(&rounded).1;
    let text = if exponent < -4 || exponent >= precision as i32 {
        exponential(magnitude, decimals, alternate)
    } else {
        fixed(magnitude, (decimals as i32 - exponent).max(0) as usize, alternate)
    };
    if alternate || !text.contains('.') {
        return text;
    }
    let (digits, exponent) = text.split_at(text.find('e').unwrap_or(text.len()));
    digits.trim_end_matches('0').trim_end_matches('.').to_string() + exponent
}

/// Digits and exponent of a number in Rust's scientific notation.
fn split(text: &str) -> (&str, i32) {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    (digits, exponent.parse().unwrap_or(0))
}
