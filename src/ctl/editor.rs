//! The shell on a terminal: lines that can be edited, a history, completion.

use std::cell::RefCell;
use std::fs;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::{History, MemHistory, SearchDirection};
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::command::Flow;
use super::complete::{Known, complete};
use super::interpreter::run_line;
use super::session::Session;

/// Lines of history kept.
const HISTORY_LINES_MAX: usize = 1000;

/// Runs lines until the shell is left.
pub fn run(session: &mut Session) {
    let prompt = format!("{}> ", session.options.prompt);
    let history_file = session.options.history_file.clone();
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(HISTORY_LINES_MAX)
        .map(|builder| builder.build())
        .unwrap_or_default();
    let history = MemHistory::with_config(&config);
    let Ok(mut editor) = Editor::with_history(config, history) else { return };
    editor.set_helper(Some(Shell { state: RefCell::new((session, Known::default())) }));
    if let Some(path) = &history_file {
        read_history(editor.history_mut(), path);
    }
    loop {
        with_session(&mut editor, Session::flush);
        if let Some(shell) = editor.helper_mut() {
            shell.state.get_mut().1 = Known::default();
        }
        let line = editor.readline(&prompt);
        let line = match line {
            Ok(line) => line,
            Err(ReadlineError::Eof) => "EOF".to_string(),
            Err(_) => {
                with_session(&mut editor, |session| session.print(""));
                break;
            }
        };
        if line != "EOF" {
            let _ = editor.add_history_entry(&line);
        }
        let flow = with_session(&mut editor, |session| {
            let flow = run_line(session, &line);
            if flow.is_err() {
                session.print("");
            }
            flow
        });
        if !matches!(flow, Some(Ok(Flow::Continue))) {
            break;
        }
    }
    if let Some(path) = &history_file {
        write_history(editor.history(), path);
    }
}

fn with_session<T>(editor: &mut Editor<Shell<'_>, MemHistory>, act: impl FnOnce(&mut Session) -> T) -> Option<T> {
    editor.helper_mut().map(|shell| act(shell.state.get_mut().0))
}

/// One line each, as readline writes it. A file that cannot be read is no history.
fn read_history(history: &mut MemHistory, path: &str) {
    for line in fs::read_to_string(path).unwrap_or_default().lines() {
        let _ = history.add(line);
    }
}

fn write_history(history: &MemHistory, path: &str) {
    let mut text = String::new();
    for at in 0..history.len() {
        if let Ok(Some(entry)) = history.get(at, SearchDirection::Forward) {
            text.push_str(&entry.entry);
            text.push('\n');
        }
    }
    let _ = fs::write(path, text);
}

/// Completion needs the session, which the editor keeps between lines.
struct Shell<'a> {
    state: RefCell<(&'a mut Session, Known)>,
}

impl Completer for Shell<'_> {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let mut state = self.state.borrow_mut();
        let (session, known) = &mut *state;
        Ok(complete(session, known, &line[..at]))
    }
}

impl Hinter for Shell<'_> {
    type Hint = String;
}
impl Highlighter for Shell<'_> {}
impl Validator for Shell<'_> {}
impl Helper for Shell<'_> {}
