//! The main file and what it includes, as one document (C-9, C-40 to C-50).

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use crate::wire::ini::{self, Document, OddKind};

use super::datatypes::Unexpanded;
use super::env::Env;
use super::error::ConfigError;
use super::glob;
use super::options::IncludeOptions;
use super::paths;
use super::reader::{Reader, Scope};
use super::search;

/// What the warning about a section of two files ends with.
pub(super) const TAKEN_AS_ONE: &str = "both are taken as one";

/// The main file: its name in messages, and how to find it wherever the daemon is now.
#[derive(Clone, Debug)]
pub struct MainFile {
    /// As it was given or found.
    pub name: String,
    /// The same path, made absolute.
    pub path: String,
    /// Its directory, `%(here)s` (C-9).
    pub here: String,
}

impl MainFile {
    /// A file, seen from `cwd`.
    pub fn new(name: &str, cwd: &str) -> MainFile {
        MainFile {
            name: name.to_string(),
            path: paths::join(cwd, name),
            here: paths::absolute(cwd, paths::dirname(name)),
        }
    }
}

/// Everything the files say, and what is to be logged about their reading.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub document: Document,
    /// Messages for the log, INFO.
    pub infos: Vec<String>,
    /// Messages for the log, WARN.
    pub warnings: Vec<String>,
}

impl Sources {
    /// Reads the main file alone, as supervisorctl does (C-40).
    pub fn read_main(main: &MainFile, env: &dyn Env) -> Result<Sources, ConfigError> {
        let mut sources = Sources::default();
        if !env.exists(&main.path) {
            return Err(search::missing(&main.name));
        }
        let unreadable = |error: io::Error| match error.kind() {
            ErrorKind::Unsupported => search::not_regular(&main.name),
            _ => search::unreadable(&main.name),
        };
        let bytes = env.read_file(&main.path).map_err(unreadable)?;
        sources.merge(&bytes, &main.name)?;
        Ok(sources)
    }

    /// Reads the main file and all that it includes, except the file of changes at run time, which `dynamic_conf` finds
    /// in a document. It may be included for Supervisor's sake; here it is laid over the others, and is none of them.
    pub fn read(
        main: &MainFile,
        env: &dyn Env,
        variables: &BTreeMap<String, String>,
        dynamic_conf: &dyn Fn(&Document) -> Option<String>,
    ) -> Result<Sources, ConfigError> {
        let mut sources = Sources::read_main(main, env)?;
        if sources.document.section("include").is_none() {
            return Ok(sources);
        }
        // Only now: without [include] the text `%(here)s` is left to the expansion of each option (C-49).
        sources.document.expand_here(&main.here);
        let mut found = Vec::new();
        for pattern in sources.patterns(main, env, variables)? {
            found.extend(sources.find(&paths::join(&main.here, &pattern), env));
        }
        // Nobody waits for a pipe that stands in the place of that file.
        let own = dynamic_conf(&sources.document);
        let is_own = |own: &Option<String>, path: &str| own.as_ref().is_some_and(|own| env.is_same_file(own, path));
        // Passing over what has stood for programs until now would remove them.
        let read = |path: String| match env.read_file(&path) {
            Err(error) if error.kind() == ErrorKind::Unsupported => Err(search::not_regular(&path)),
            read => Ok((read.ok(), path)),
        };
        let found: Vec<_> =
            found.into_iter().filter(|path| !is_own(&own, path)).map(read).collect::<Result<_, ConfigError>>()?;
        let own = sources.own_by_included(&found, env, dynamic_conf).or(own);
        for (bytes, path) in found {
            if !is_own(&own, &path) {
                sources.include(bytes.as_deref(), &path, env)?;
            }
        }
        sources.name_sections_of_two_files();
        Ok(sources)
    }

    /// The file of changes at run time, if an included file names it. That may come after it has been included itself,
    /// torn perhaps, so that there must be no error here.
    fn own_by_included(
        &self,
        found: &[(Option<Vec<u8>>, String)],
        env: &dyn Env,
        dynamic_conf: &dyn Fn(&Document) -> Option<String>,
    ) -> Option<String> {
        const NAME: &[u8] = b"dynamic_conf";
        let names_it = |bytes: &Vec<u8>| bytes.windows(NAME.len()).any(|window| window == NAME);
        let mut naming = found.iter().filter(|(bytes, _)| bytes.as_ref().is_some_and(names_it)).peekable();
        naming.peek()?;
        let mut scratch = Sources { document: self.document.clone(), ..Sources::default() };
        for (bytes, path) in naming {
            let _ = scratch.include(bytes.as_deref(), path, env);
        }
        dynamic_conf(&scratch.document)
    }

    /// A copied file whose section was not renamed takes that of the other over, without a word in the original.
    fn name_sections_of_two_files(&mut self) {
        for odd in self.document.oddities.iter().filter(|odd| odd.key.is_empty() && odd.section.contains(':')) {
            if let OddKind::Again { file, line } = &odd.kind
                && *file != odd.file
            {
                let (section, again, at) = (&odd.section, &odd.file, odd.line);
                self.warnings.push(format!(
                    "[{section}] is in \"{file}\", line {line}, and in \"{again}\", line {at}: {TAKEN_AS_ONE}"
                ));
            }
        }
    }

    /// Merges one more file.
    pub fn merge(&mut self, bytes: &[u8], file: &str) -> Result<(), ConfigError> {
        let undecodable = |message| ConfigError::new(message).at(file, ini::undecodable_line(bytes));
        let text = ini::decode(bytes).map_err(undecodable)?;
        // Some editors begin a file with the mark of byte order, which the original takes for text (C-11).
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        self.document.read(text, file).map_err(|error| ConfigError::new(error.to_string()))
    }

    /// The words of `[include] files` (C-41, C-42).
    fn patterns(
        &self,
        main: &MainFile,
        env: &dyn Env,
        variables: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, ConfigError> {
        let Some(section) = self.document.section("include") else { return Ok(Vec::new()) };
        let hostname = env.hostname();
        let scope = Scope {
            here: Some(&main.here),
            host_node_name: Some(&hostname),
            variables: Some(variables),
            ..Scope::default()
        };
        let reader = Reader { document: &self.document, section, scope, env, stand_in: None };
        let Some(Unexpanded(files)) = IncludeOptions::read(&reader)?.files else {
            return Err(reader.error("files", ".ini file has [include] section, but no files setting"));
        };
        let files = scope.expand(&files, || "include.files".to_string()).map_err(|e| reader.locate(e, "files"))?;
        Ok(files.split_whitespace().map(str::to_string).collect())
    }

    /// The files that match, in the order of their paths (C-44).
    fn find(&mut self, pattern: &str, env: &dyn Env) -> Vec<String> {
        let mut found = glob::glob(env, pattern);
        if found.is_empty() {
            self.warnings.push(format!("No file matches via include \"{pattern}\""));
        }
        crate::sort::ascending(&mut found);
        found
    }

    /// Merges an included file. One that could not be opened is passed over (C-47).
    fn include(&mut self, bytes: Option<&[u8]>, path: &str, env: &dyn Env) -> Result<(), ConfigError> {
        self.infos.push(format!("Included extra file \"{path}\" during parsing"));
        if let Some(bytes) = bytes {
            self.merge(bytes, path)?;
            self.document.expand_here(&paths::absolute(&env.cwd(), paths::dirname(path)));
        }
        Ok(())
    }
}
