//! Numbers in decimal, without the detour through `fmt`: a large answer has thousands of them.

/// Appends a number in decimal.
pub fn push_decimal(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_display_does() {
        for number in [0, 1, -1, 9, 10, -10, 1_234_567_890, i64::MAX, i64::MIN] {
            let mut out = b"n=".to_vec();
            push_decimal(&mut out, number);
            assert_eq!(String::from_utf8_lossy(&out), format!("n={number}"));
        }
    }
}
