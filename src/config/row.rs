//! What is known about an option without looking at a file.

/// What is known about an option without looking at a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name in a file.
    pub name: &'static str,
    /// Further names, which count where it stands under none of those before.
    pub aliases: &'static [&'static str],
    /// What kind of text it holds.
    pub kind: &'static str,
    /// The text that stands in when it is missing.
    pub default: Option<&'static str>,
    /// The option whose value stands in when it is missing.
    pub follows: Option<&'static str>,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
    /// Its place in `getAllConfigInfo`, and what it is called there. Only what 4.3.0 shows is shown there.
    pub listed: Option<(usize, &'static str)>,
    /// Whether what is made of it is shown and compared, as the processes of a `numprocs` are, and not the option itself.
    pub makes: bool,
    /// Whether a running process can take it over without being touched.
    pub policy: bool,
}

impl Row {
    /// A row that is neither listed nor anything else out of the common.
    pub(super) const fn new(name: &'static str, kind: &'static str, doc: &'static str) -> Row {
        let (aliases, default, follows, listed): (&[&str], _, _, _) = (&[], None, None, None);
        Row { name, aliases, kind, default, follows, doc: doc.trim_ascii(), listed, makes: false, policy: false }
    }

    pub(super) const fn default(self, text: &'static str) -> Row {
        Row { default: Some(text), ..self }
    }

    pub(super) const fn follows(self, option: &'static str) -> Row {
        Row { follows: Some(option), ..self }
    }

    /// Has a place in `getAllConfigInfo`, under its own name.
    pub(super) const fn listed(self, place: usize) -> Row {
        Row { listed: Some((place, self.name)), ..self }
    }

    /// The same under another name.
    pub(super) const fn listed_as(self, place: usize, name: &'static str) -> Row {
        Row { listed: Some((place, name)), ..self }
    }

    /// Its place is that many further on.
    pub(super) const fn moved(self, places: usize) -> Row {
        match self.listed {
            Some((place, name)) => Row { listed: Some((place + places, name)), ..self },
            None => self,
        }
    }

    /// Is called otherwise than its field, whose name is a word of the language.
    pub(super) const fn named(self, name: &'static str) -> Row {
        Row { name, ..self }
    }

    pub(super) const fn makes(self) -> Row {
        Row { makes: true, ..self }
    }

    pub(super) const fn policy(self) -> Row {
        Row { policy: true, ..self }
    }

    /// Whether it is an option's name.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}
