//! One run of supervisorctl: what was asked for, the exit status, what is printed, and the person it may ask.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use super::client::{Batch, Call, Client};
use super::error::Error;
use super::input::Input;
use super::options::Options;
use super::printable;
#[cfg(feature = "fleet")]
use super::transport::Server;
use crate::fault::Code;
use crate::sys::terminal::{Interrupts, NoEcho, wait_readable};
use crate::wire::value::Value;

/// The version of the interface that this program speaks (S-11).
const API_VERSION: &str = "3.0";
/// What came of the connection check (S-10 to S-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    Passed,
    /// Not; it has been said why, and the exit status is set.
    Failed,
}

/// The state of a run.
pub struct Session {
    /// What was asked for; `open` and a login change it.
    pub options: Options,
    /// The exit status so far.
    pub status: i32,
    /// Whether `status` may use colours.
    pub colours: bool,
    /// Whether a person is reading: lines that scripts take to the byte may then say what to do next.
    pub is_on_terminal: bool,
    /// Whether standard error is that person's too, who then gets hints there.
    pub gives_hints: bool,
    pub input: Input,
    out: Box<dyn Write>,
    client: Client,
    /// For what is asked while answers of a batch are under way on the other's connection.
    aside: Client,
    interrupts: Option<Interrupts>,
    /// The instance that is visited, and what lines begin with meanwhile.
    visited: Option<(String, String)>,
}

/// The server that a session comes back to after a visit.
#[cfg(feature = "fleet")]
pub struct Home {
    url: String,
    clients: Option<(Client, Client)>,
}

impl Session {
    /// A session that prints to `out`.
    pub fn new(options: Options, input: Input, out: Box<dyn Write>) -> Session {
        Session {
            options,
            status: 0,
            colours: false,
            is_on_terminal: false,
            gives_hints: false,
            input,
            out,
            client: Client::default(),
            aside: Client::default(),
            interrupts: None,
            visited: None,
        }
    }

    /// Prints a line, and never more: what a daemon says may hold anything.
    pub fn print(&mut self, line: &str) {
        self.print_bare(&format!("{}{line}", self.mark()));
    }

    /// The same without a mark whose it is, for what others parse.
    pub fn print_bare(&mut self, line: &str) {
        self.write(printable::line(line).as_bytes());
        self.write(b"\n");
    }

    /// What lines begin with while an instance is visited.
    pub fn mark(&self) -> &str {
        self.visited.as_ref().map_or("", |(_, mark)| mark)
    }

    /// The instance that is visited.
    pub fn visited(&self) -> Option<&str> {
        self.visited.as_ref().map(|(name, _)| name.as_str())
    }

    /// Goes to an instance for a while, at another URL if it has one.
    #[cfg(feature = "fleet")]
    pub fn visit(&mut self, name: &str, url: Option<&String>, mark: String) -> Home {
        self.visited = Some((name.to_string(), mark));
        let home = self.options.server.url.clone();
        let clients = url.map(|url| {
            self.options.server.url.clone_from(url);
            (std::mem::take(&mut self.client), std::mem::take(&mut self.aside))
        });
        Home { url: home, clients }
    }

    /// Comes back from an instance to the daemon of the session.
    #[cfg(feature = "fleet")]
    pub fn return_to(&mut self, home: Home) {
        self.visited = None;
        self.options.server.url = home.url;
        if let Some((client, aside)) = home.clients {
            (self.client, self.aside) = (client, aside);
        }
    }

    /// Prints a text of several lines, and the end of the last.
    pub fn print_text(&mut self, text: &str) {
        self.write(printable::text(text).as_bytes());
        self.write(b"\n");
    }

    /// Prints what is wrong, and makes the run a failed one.
    pub fn complain(&mut self, line: &str) -> Result<(), Error> {
        self.print(line);
        self.status = 1;
        Ok(())
    }

    /// Prints bytes as they are. A reader that went away is no error of ours.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        self.out.write_all(bytes).is_ok()
    }

    /// Prints a line on standard error.
    pub fn print_error(&mut self, line: &str) {
        self.flush();
        let _ = writeln!(io::stderr(), "{}", printable::line(line));
    }

    /// Tells a person what may help on.
    pub fn hint(&mut self, text: &str) {
        if self.gives_hints {
            self.print_error(&format!("hint: {text}"));
        }
    }

    /// Makes everything printed visible; `false` if nobody is there to see it.
    pub fn flush(&mut self) -> bool {
        self.out.flush().is_ok()
    }

    /// Asks the daemon for its API version (S-10 to S-12).
    pub fn check(&mut self) -> Result<Check, Error> {
        let error = match self.call("supervisor.getVersion", &[]) {
            Ok(version) if version.as_str() == Some(API_VERSION) => return Ok(Check::Passed),
            Ok(version) => {
                let theirs = version.as_str().unwrap_or("unknown");
                self.print(&format!(
                    "Sorry, this supervisorctl speaks API version {API_VERSION}, but the remote version is {theirs}."
                ));
                self.status = 5;
                return Ok(Check::Failed);
            }
            Err(error) => error,
        };
        if error.is(Code::UnknownMethod) {
            self.print(
                "Sorry, supervisord responded but did not recognize the supervisor namespace commands that \
                 supervisorctl uses to control it.  Please check that the [rpcinterface:supervisor] section is \
                 enabled in the configuration file (see sample.conf).",
            );
            self.status = 3;
            return Ok(Check::Failed);
        }
        match self.connection_trouble(&error) {
            Some(trouble) => {
                let advice =
                    if self.is_on_terminal { "; is supervisord running, and is this its serverurl?" } else { "" };
                self.print(&format!("{trouble}{advice}"));
                self.status = if error.errno() == Some(libc::ENOENT) { 7 } else { 4 };
                Ok(Check::Failed)
            }
            None => Err(error),
        }
    }

    /// The words for a server that is not there; `None` for any other error.
    pub fn connection_trouble(&self, error: &Error) -> Option<String> {
        match error.errno()? {
            libc::ECONNREFUSED => Some(format!("{} refused connection", self.options.server.url)),
            libc::ENOENT => Some(format!("{} no such file", self.options.server.url)),
            _ => None,
        }
    }

    /// Goes on with another server.
    pub fn use_server(&mut self, url: &str) {
        self.options.server.url = url.to_string();
        self.client = Client::default();
        self.aside = Client::default();
    }

    /// From now on an answer that takes long is an error.
    pub fn limit_waiting(&mut self) {
        self.client.limit_waiting();
    }

    /// Calls a method and waits for its answer.
    pub fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, Error> {
        self.answer(&mut Batch::one(Call::new(method, params)))
    }

    /// Prepares calls whose answers are then taken one by one with [`Session::answer`].
    pub fn batch(&mut self, calls: Vec<Call>) -> Result<Batch, Error> {
        self.flush();
        self.client.batch(&self.options.server, calls, self.interrupts.as_ref())
    }

    /// The answer to the next call of a batch. What has been printed is visible meanwhile.
    pub fn answer(&mut self, batch: &mut Batch) -> Result<Value, Error> {
        self.flush();
        self.client.answer(&self.options.server, batch, self.interrupts.as_ref())
    }

    /// Calls a method while answers of a batch may be under way.
    pub fn call_aside(&mut self, method: &str, params: &[Value]) -> Result<Value, Error> {
        self.flush();
        let mut batch = Batch::one(Call::new(method, params));
        self.aside.answer(&self.options.server, &mut batch, self.interrupts.as_ref())
    }

    /// Calls a method of another server, as the same user.
    #[cfg(feature = "fleet")]
    pub fn call_at(&mut self, url: &str, method: &str, params: &[Value]) -> Result<Value, Error> {
        self.flush();
        let server = Server { url: url.to_string(), ..self.options.server.clone() };
        Client::default().answer(&server, &mut Batch::one(Call::new(method, params)), self.interrupts.as_ref())
    }

    pub fn pause(&mut self, time: Duration) -> Result<(), Error> {
        self.flush();
        let Some(interrupts) = &self.interrupts else {
            std::thread::sleep(time);
            return Ok(());
        };
        // A wait that ends too soon is looked at again by whoever pauses.
        let _ = wait_readable(&[interrupts.fd()], Some(time));
        if interrupts.take() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// How long a silent server is waited for.
    #[cfg(test)]
    pub fn be_patient(&mut self, patience: super::client::Patience) {
        self.client.be_patient(patience);
    }

    /// Takes Ctrl-C over for the rest of the session: it no longer ends the program but the wait it comes in.
    pub fn catch_interrupts(&mut self) {
        if self.interrupts.is_none() {
            // Without a pipe Ctrl-C ends the program, which is what it is for.
            self.interrupts = Interrupts::install().ok();
        }
    }

    /// What Ctrl-C makes readable, once it is caught.
    pub fn interrupts(&self) -> Option<&Interrupts> {
        self.interrupts.as_ref()
    }

    /// Prints a question and reads the answer's line.
    pub fn ask(&mut self, question: &str) -> Result<String, Error> {
        self.write(question.as_bytes());
        self.flush();
        let line = self.input.line(self.interrupts.as_ref().map(Interrupts::fd));
        self.line_or_end(line)
    }

    /// What came of reading a line.
    fn line_or_end(&self, line: io::Result<Option<String>>) -> Result<String, Error> {
        match line {
            Ok(Some(line)) => Ok(line),
            Ok(None) => Err(Error::EndOfInput),
            Err(_) => {
                self.forget_interrupt();
                Err(Error::Interrupted)
            }
        }
    }

    /// A Ctrl-C that has ended a wait must not end the next one too.
    fn forget_interrupt(&self) {
        self.interrupts.as_ref().map(Interrupts::take);
    }

    /// Asks for user name and password (S-14).
    pub fn login(&mut self) -> Result<(), Error> {
        // A Ctrl-C must not leave a terminal behind that does not echo.
        self.catch_interrupts();
        let username = self.ask("Username:")?;
        let password = self.secret("Password:")?;
        self.print("");
        self.options.server.username = Some(username);
        self.options.server.password = Some(password);
        self.client.hang_up();
        self.aside.hang_up();
        Ok(())
    }

    /// A line that is not echoed: from the terminal, whatever standard input is; without a terminal from standard
    /// input, with a warning.
    fn secret(&mut self, question: &str) -> Result<String, Error> {
        self.flush();
        let Ok(mut terminal) = File::options().read(true).write(true).open("/dev/tty") else {
            let _ = write!(io::stderr(), "Warning: Password input may be echoed.\n{question}");
            let line = self.input.line(self.interrupts.as_ref().map(Interrupts::fd));
            let _ = io::stderr().write_all(b"\n");
            return self.line_or_end(line);
        };
        let _ = terminal.write_all(question.as_bytes());
        let mut input = Input::new(terminal.try_clone().ok());
        let line = {
            let _silent = NoEcho::on(terminal.as_fd());
            input.line(self.interrupts.as_ref().map(Interrupts::fd))
        };
        let _ = terminal.write_all(b"\n");
        self.line_or_end(line)
    }
}
