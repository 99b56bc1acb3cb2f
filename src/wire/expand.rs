//! Expansion of `%(name)s` in the style of Python's % operator with a mapping (C-60 to C-64).
//!
//! All of Python's syntax is accepted, since files use it: `%(process_num)02d`, `%(program_name)-8s`, `%(numprocs)x`. Who
//! may use which names is the caller's business: [`Names`]. What comes out is not expanded again.

use super::pyrepr;

mod number;

/// Widths and precisions up to this are obeyed: a path or an argument is never wider, and a value must not be able to ask
/// for gigabytes of blanks.
const WIDTH_MAX: usize = 4096;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Var<'a> {
    /// Text: everything but numbers, `ENV_*` among it.
    Text(&'a str),
    /// A number, as `process_num` and `numprocs` are.
    Int(i64),
}

/// The names available to a value.
pub trait Names {
    /// What the name stands for.
    fn get(&self, name: &str) -> Option<Var<'_>>;
    /// All names, in any order, for the message about an unknown one.
    fn all(&self) -> Vec<String>;
}

/// Why a value cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpandError {
    /// It contains a name that is not available.
    Unknown {
        /// The name between the parentheses.
        name: String,
    },
    /// It is not a format string.
    Malformed {
        /// Why, in Python's words.
        reason: String,
    },
}

impl ExpandError {
    /// The whole message (C-61, C-62). `place` is `section.option`, or the bare option where that is the custom.
    pub fn message(&self, value: &str, place: &str, names: &dyn Names) -> String {
        let (value, place) = (pyrepr::text(value), pyrepr::text(place));
        match self {
            ExpandError::Unknown { name } => {
                let mut all = names.all();
                crate::sort::ascending(&mut all);
                let (name, all) = (pyrepr::text(name), all.join(", "));
                format!(
                    "Format string {value} for {place} contains names ({name}) which cannot be expanded. \
                     Available names: {all}"
                )
            }
            ExpandError::Malformed { reason } => {
                format!("Format string {value} for {place} is badly formatted: {reason}")
            }
        }
    }
}

/// The text with all names replaced.
pub fn expand(text: &str, names: &dyn Names) -> Result<String, ExpandError> {
    let Some(first) = text.find('%') else {
        return Ok(text.to_string());
    };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut cursor = Cursor { text, at: first };
    let mut argument = Argument::Mapping;
    while let Some(c) = cursor.next() {
        if c == '%' {
            conversion(&mut cursor, &mut argument, names, &mut out)?;
        } else {
            out.push(c);
        }
    }
    Ok(out)
}

/// Where the reading stands, in bytes.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// What the next conversion without a name would be given.
#[derive(Clone, Copy)]
enum Argument<'a> {
    /// No name yet: Python hands out the mapping itself.
    Mapping,
    /// The value of the last name.
    Var(Var<'a>),
    /// Each argument is good for one conversion.
    Used,
}

/// What stands between the percent sign and the conversion character.
#[derive(Clone, Copy, Debug, Default)]
struct Spec {
    left: bool,
    plus: bool,
    blank: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }
}

/// Reads one conversion, the percent sign behind it, and appends its text. The order in which things are looked at is that
/// of the original, because it decides which of two errors is reported.
fn conversion<'n>(
    cursor: &mut Cursor<'n>,
    argument: &mut Argument<'n>,
    names: &'n dyn Names,
    out: &mut String,
) -> Result<(), ExpandError> {
    if cursor.take('%') {
        out.push('%');
        return Ok(());
    }
    if cursor.take('(') {
        let name = name(cursor)?;
        let var = names.get(name).or_else(|| with_default(name, names));
        *argument = Argument::Var(var.ok_or_else(|| ExpandError::Unknown { name: name.to_string() })?);
    }
    let spec = spec(cursor, argument)?;
    // A length, which means nothing in Python.
    if matches!(cursor.peek(), Some('h' | 'l' | 'L')) {
        cursor.next();
    }
    let at = cursor.at;
    let kind = cursor.next().ok_or_else(|| malformed("incomplete format"))?;
    let argument = std::mem::replace(argument, Argument::Used);
    if matches!(argument, Argument::Used) {
        return Err(malformed(NOT_ENOUGH));
    }
    match kind {
        's' | 'r' | 'a' => push_text(out, argument, kind, &spec),
        'c' => push_char(out, argument, &spec),
        'd' | 'i' | 'u' | 'o' | 'x' | 'X' => match argument {
            Argument::Var(Var::Int(value)) => {
                number::push_integer(out, value, kind, &spec);
                Ok(())
            }
            _ => {
                let wanted = if matches!(kind, 'd' | 'i' | 'u') { "a real number" } else { "an integer" };
                Err(malformed(format!("%{kind} format: {wanted} is required, not {}", type_name(argument))))
            }
        },
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => match argument {
            Argument::Var(Var::Int(value)) => {
                number::push_float(out, value as f64, kind, &spec);
                Ok(())
            }
            _ => Err(malformed(format!("must be real number, not {}", type_name(argument)))),
        },
        _ => {
            let shown = if matches!(kind, '\x1f'..='~') { kind } else { '?' };
            let (code, index) = (u32::from(kind), cursor.text[..at].chars().count());
            Err(malformed(format!("unsupported format character '{shown}' (0x{code:x}) at index {index}")))
        }
    }
}

/// `ENV_X:-text`: as in a shell, the text stands in for a variable that is not there or is empty (K-7). The original knows
/// no such name.
fn with_default<'n>(name: &'n str, names: &'n dyn Names) -> Option<Var<'n>> {
    let (name, text) = name.split_once(":-").filter(|(name, _)| name.starts_with("ENV_"))?;
    let is_something = |var: &Var| !matches!(var, Var::Text(""));
    names.get(name).filter(is_something).or(Some(Var::Text(text)))
}

const NOT_ENOUGH: &str = "not enough arguments for format string";

/// The name up to the matching bracket: brackets nest.
fn name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, ExpandError> {
    let start = cursor.at;
    let mut depth = 1;
    while let Some(c) = cursor.next() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok(&cursor.text[start..cursor.at - 1]);
        }
    }
    Err(malformed("incomplete format key"))
}

fn spec(cursor: &mut Cursor<'_>, argument: &mut Argument<'_>) -> Result<Spec, ExpandError> {
    let mut spec = Spec::default();
    loop {
        match cursor.peek() {
            Some('-') => spec.left = true,
            Some('+') => spec.plus = true,
            Some(' ') => spec.blank = true,
            Some('#') => spec.alternate = true,
            Some('0') => spec.zero = true,
            _ => break,
        }
        cursor.next();
    }
    if cursor.take('*') {
        star(argument)?;
    } else {
        spec.width = digits(cursor, "width too big")?;
    }
    if cursor.take('.') {
        if cursor.take('*') {
            star(argument)?;
        } else {
            spec.precision = Some(digits(cursor, "precision too big")?);
        }
    }
    Ok(spec)
}

/// A width or precision that is to come from the argument. That uses it up, and with one name to a conversion nothing is
/// left to convert: so this ends in an error in any case, and only which one is decided here.
fn star(argument: &mut Argument<'_>) -> Result<(), ExpandError> {
    match std::mem::replace(argument, Argument::Used) {
        Argument::Var(Var::Int(_)) => Ok(()),
        Argument::Used => Err(malformed(NOT_ENOUGH)),
        Argument::Var(Var::Text(_)) | Argument::Mapping => Err(malformed("* wants int")),
    }
}

/// A number; none is 0.
fn digits(cursor: &mut Cursor<'_>, too_big: &str) -> Result<usize, ExpandError> {
    let mut value = Some(0usize);
    while let Some(digit) = cursor.peek().and_then(|c| c.to_digit(10)) {
        value = value.and_then(|value| value.checked_mul(10)?.checked_add(digit as usize));
        cursor.next();
    }
    value.filter(|&value| value <= WIDTH_MAX).ok_or_else(|| malformed(too_big))
}

fn push_text(out: &mut String, argument: Argument<'_>, kind: char, spec: &Spec) -> Result<(), ExpandError> {
    let owned;
    let text = match argument {
        Argument::Var(Var::Text(text)) if kind == 's' => text,
        Argument::Var(var) => {
            owned = match var {
                Var::Int(value) => value.to_string(),
                Var::Text(text) if kind == 'r' => pyrepr::text(text),
                Var::Text(text) => pyrepr::ascii(text),
            };
            &owned
        }
        // Python would put a dump of all names here, secrets of the environment included (C-64).
        Argument::Mapping | Argument::Used => return Err(malformed(NOT_ENOUGH)),
    };
    let end = spec.precision.and_then(|chars| text.char_indices().nth(chars));
    let text = end.map_or(text, |(end, _)| &text[..end]);
    push_padded(out, text, spec);
    Ok(())
}

fn push_char(out: &mut String, argument: Argument<'_>, spec: &Spec) -> Result<(), ExpandError> {
    let c = match argument {
        Argument::Var(Var::Int(value)) => {
            // The surrogates are characters to Python, but no file name or argument can hold them.
            let c = u32::try_from(value).ok().and_then(char::from_u32);
            c.ok_or_else(|| malformed("%c arg not in range(0x110000)"))?
        }
        Argument::Var(Var::Text(text)) => {
            let mut chars = text.chars();
            let c = chars.next().filter(|_| chars.next().is_none());
            c.ok_or_else(|| malformed("%c requires int or char"))?
        }
        Argument::Mapping | Argument::Used => return Err(malformed("%c requires int or char")),
    };
    push_padded(out, c.encode_utf8(&mut [0; 4]), spec);
    Ok(())
}

/// Appends text, filled up with blanks to the width.
fn push_padded(out: &mut String, text: &str, spec: &Spec) {
    let fill = spec.width.saturating_sub(text.chars().count());
    let (before, after) = if spec.left { (0, fill) } else { (fill, 0) };
    out.extend(std::iter::repeat_n(' ', before));
    out.push_str(text);
    out.extend(std::iter::repeat_n(' ', after));
}

fn type_name(argument: Argument<'_>) -> &'static str {
    match argument {
        Argument::Var(Var::Text(_)) => "str",
        Argument::Var(Var::Int(_)) => "int",
        Argument::Mapping | Argument::Used => "dict",
    }
}

fn malformed(reason: impl Into<String>) -> ExpandError {
    ExpandError::Malformed { reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sample;

    impl Names for Sample {
        fn get(&self, name: &str) -> Option<Var<'_>> {
            match name {
                "a" => Some(Var::Text("text")),
                "e" => Some(Var::Text("")),
                "q" => Some(Var::Text("it's é")),
                "p" => Some(Var::Text("%(a)s %")),
                "n" => Some(Var::Int(7)),
                "m" => Some(Var::Int(-3)),
                "c" => Some(Var::Int(65)),
                "(b)" => Some(Var::Text("nested")),
                "ENV_X" => Some(Var::Text("x")),
                "ENV_EMPTY" => Some(Var::Text("")),
                _ => None,
            }
        }

        fn all(&self) -> Vec<String> {
            ["n", "a", "ENV_X"].map(String::from).to_vec()
        }
    }

    #[test]
    fn values() {
        let rows: &[(&str, &str)] = &[
            ("", ""),
            ("no names", "no names"),
            ("100%%", "100%"),
            ("%%(a)s", "%(a)s"),
            ("<%(a)s|%(n)d>", "<text|7>"),
            ("%(e)s", ""),
            ("%(p)s", "%(a)s %"),
            ("é%(a)sé", "étexté"),
            ("%((b))s", "nested"),
            ("%(n)s %(n)i %(n)u", "7 7 7"),
            ("%(n)02d", "07"),
            ("%(n)+d|%(n) d|%(m)+d", "+7| 7|-3"),
            ("%(n)05.3d|%(m)05.3d|%(m).3d", "00007|-0003|-003"),
            ("%(n)- 5d|%(n)0-5d|", " 7   |7    |"),
            ("%(n)#x %(n)#X %(n)#o %(m)#x", "0x7 0X7 0o7 -0x3"),
            ("%(n)#08x|%(m)#8.4x|%(n)-#8x|", "0x000007| -0x0003|0x7     |"),
            ("%(a)-8s|%(a)8s|%(a)08s|%(a)2s", "text    |    text|    text|text"),
            ("%(a).2s|%(a)5.1s|%(a).s", "te|    t|"),
            ("%(q)r %(q)a %(q)7.3s|", "\"it's é\" \"it's \\xe9\"     it'|"),
            ("%(n)r%(n)a", "77"),
            ("%(c)c%(c)3c|%(c)-3c|%(c)03c", "A  A|A  |  A"),
            ("%(n)f %(n).0f %(n)#.0f %(n)5.1f|", "7.000000 7 7.   7.0|"),
            ("%(n)e %(m)E %(n).0e %(c).1e", "7.000000e+00 -3.000000E+00 7e+00 6.5e+01"),
            ("%(n)g %(c).1g %(c)#.1g %(n)#g %(m)G", "7 6e+01 6.e+01 7.00000 -3"),
            ("%(m)+010.2f|%(m)-010.2f|", "-000003.00|-3.00     |"),
            ("%(n)hd %(n)ld %(a)Ls", "7 7 text"),
        ];
        for (input, expected) in rows {
            assert_eq!(expand(input, &Sample).as_deref(), Ok(*expected), "{input:?}");
        }
    }

    #[test]
    fn malformed_values() {
        let rows: &[(&str, &str)] = &[
            ("%", "incomplete format"),
            ("50%", "incomplete format"),
            ("%%%", "incomplete format"),
            ("%(a)", "incomplete format"),
            ("%(n)5.", "incomplete format"),
            ("%(n)l", "incomplete format"),
            ("%(", "incomplete format key"),
            ("%(a", "incomplete format key"),
            ("%((a)", "incomplete format key"),
            ("%(a)q", "unsupported format character 'q' (0x71) at index 4"),
            ("0123456789%q", "unsupported format character 'q' (0x71) at index 11"),
            ("éé%é", "unsupported format character '?' (0xe9) at index 3"),
            ("%\n", "unsupported format character '?' (0xa) at index 1"),
            ("%(a)%", "unsupported format character '%' (0x25) at index 4"),
            ("%5%", "unsupported format character '%' (0x25) at index 2"),
            ("%(n)lld", "unsupported format character 'l' (0x6c) at index 5"),
            ("%d", "%d format: a real number is required, not dict"),
            ("100% done", "%d format: a real number is required, not dict"),
            ("%(a)d", "%d format: a real number is required, not str"),
            ("%(a)i", "%i format: a real number is required, not str"),
            ("%(a)x", "%x format: an integer is required, not str"),
            ("%f", "must be real number, not dict"),
            ("%(a)g", "must be real number, not str"),
            ("%(a)c", "%c requires int or char"),
            ("%(e)c", "%c requires int or char"),
            ("%c", "%c requires int or char"),
            ("%(m)c", "%c arg not in range(0x110000)"),
            ("%s", "not enough arguments for format string"),
            ("%r", "not enough arguments for format string"),
            ("%(a)s %s", "not enough arguments for format string"),
            ("%(a)s %q", "not enough arguments for format string"),
            ("%(n)*d", "not enough arguments for format string"),
            ("%(n).*d", "not enough arguments for format string"),
            ("%(a)*d", "* wants int"),
            ("%*d", "* wants int"),
            ("%(n)99999999999999999999999d", "width too big"),
            ("%(n)4097d", "width too big"),
            ("%(n).4097f", "precision too big"),
        ];
        for (input, reason) in rows {
            assert_eq!(expand(input, &Sample), Err(malformed(*reason)), "{input:?}");
        }
        assert_eq!(expand("%(n)4096d", &Sample).map(|text| text.len()), Ok(4096));
    }

    #[test]
    fn defaults_of_variables() {
        let rows = [
            ("%(ENV_X:-no)s", "x"),
            ("%(ENV_Y:-some text)s!", "some text!"),
            ("%(ENV_Y:-)s", ""),
            ("%(ENV_EMPTY:-no)s", "no"),
            ("%(ENV_Y:-a(b):-c)-9s|", "a(b):-c  |"),
            ("%(ENV_Y:-50% %(x)s %%)s", "50% %(x)s %%"),
        ];
        for (input, expected) in rows {
            assert_eq!(expand(input, &Sample).as_deref(), Ok(expected), "{input:?}");
        }
        for (input, name) in [("%(a:-b)s", "a:-b"), ("%(zz:-b)s", "zz:-b"), ("%(ENV_Y:b)s", "ENV_Y:b")] {
            assert_eq!(expand(input, &Sample), Err(ExpandError::Unknown { name: name.into() }), "{input:?}");
        }
        assert!(expand("%(ENV_Y:-1)d", &Sample).is_err());
    }

    #[test]
    fn unknown_names() {
        for (input, name) in [("%(zz)s", "zz"), ("%()s", ""), ("%(zz)", "zz"), ("%(a)s %(A)s", "A"), ("%(zz)%", "zz")] {
            assert_eq!(expand(input, &Sample), Err(ExpandError::Unknown { name: name.into() }), "{input:?}");
        }
    }

    #[test]
    fn messages() {
        let message = |value: &str, place: &str| expand(value, &Sample).unwrap_err().message(value, place, &Sample);
        assert_eq!(
            message("%(nope)s", "program:a.command"),
            "Format string '%(nope)s' for 'program:a.command' contains names ('nope') which cannot be expanded. \
             Available names: ENV_X, a, n"
        );
        assert_eq!(
            message("it's 5%", "environment"),
            "Format string \"it's 5%\" for 'environment' is badly formatted: incomplete format"
        );
    }
}
