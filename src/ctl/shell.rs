//! The interactive shell (S-70 to S-74).

use super::command::Flow;
use super::error::Error;
use super::interpreter::run_line;
use super::session::Session;

/// Runs lines until `quit`, the end of the input, or Ctrl-C. On a terminal lines are edited, remembered and
/// completed, unless the feature is off.
pub fn run(session: &mut Session) {
    session.catch_interrupts();
    if let Ok(Flow::Continue) = run_line(session, "status") {
        #[cfg(feature = "line-editing")]
        if is_on_terminal() {
            return super::editor::run(session);
        }
        plain(session);
    } else {
        session.print("");
    }
}

#[cfg(feature = "line-editing")]
fn is_on_terminal() -> bool {
    use std::io::IsTerminal;
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Lines as they come, the prompt before each.
fn plain(session: &mut Session) {
    let prompt = format!("{}> ", session.options.prompt);
    loop {
        let line = match session.ask(&prompt) {
            Ok(line) => line,
            Err(Error::EndOfInput) => "EOF".to_string(),
            Err(_) => return session.print(""),
        };
        match run_line(session, &line) {
            Ok(Flow::Continue) => {}
            Ok(Flow::Leave) => return,
            Err(_) => return session.print(""),
        }
    }
}
