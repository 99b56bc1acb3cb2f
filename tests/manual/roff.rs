//! What man pages are written in.

/// A page that grows.
pub struct Page(String);

impl Page {
    /// A page of the manual: `NAME(section)`, and what it is.
    pub fn new(name: &str, section: u8, about: &str) -> Page {
        let version = env!("CARGO_PKG_VERSION");
        let mut page = Page(String::new());
        page.line(".\\\" Made by `make docs` of the rows in the source; what is edited here is lost.");
        page.line(&format!(".TH {} {section} \"\" \"Stheno {version}\" \"Process control\"", name.to_uppercase()));
        page.line(".SH NAME");
        page.line(&format!("{} \\- {}", text(name), text(about)));
        page
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// Begins a section.
    pub fn section(&mut self, name: &str) -> &mut Page {
        self.line(&format!(".SH {}", text(&name.to_uppercase())));
        self
    }

    /// A paragraph.
    pub fn paragraph(&mut self, words: &str) -> &mut Page {
        self.line(".PP");
        self.line(&text(words));
        self
    }

    /// A term and what it means.
    pub fn term(&mut self, term: &str, words: &str) -> &mut Page {
        self.line(".TP");
        self.line(&format!(".B {}", text(term)));
        self.line(&text(words));
        self
    }

    /// A term, and lines that stay as they are.
    pub fn term_with_lines(&mut self, term: &str, lines: &str) -> &mut Page {
        self.line(".TP");
        self.line(&format!(".B {}", text(term)));
        self.as_it_is(lines)
    }

    /// Lines that stay as they are.
    pub fn as_it_is(&mut self, lines: &str) -> &mut Page {
        self.line(".nf");
        for line in lines.lines() {
            self.line(&text(&untabbed(line)));
        }
        self.line(".fi");
        self
    }

    /// The whole page.
    pub fn end(self) -> String {
        self.0
    }
}

/// Text in which nothing is an instruction.
fn text(words: &str) -> String {
    let words = words.replace('\\', "\\e").replace('-', "\\-");
    match words.starts_with(['.', '\'']) {
        true => format!("\\&{words}"),
        false => words,
    }
}

/// Tabs as blanks up to the next eighth column, as a terminal shows them.
fn untabbed(line: &str) -> String {
    let mut plain = String::new();
    for part in line.split_inclusive('\t') {
        plain.push_str(part.trim_end_matches('\t'));
        if part.ends_with('\t') {
            plain.push(' ');
            while !plain.chars().count().is_multiple_of(8) {
                plain.push(' ');
            }
        }
    }
    plain
}
