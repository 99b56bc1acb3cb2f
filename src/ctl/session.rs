//! One run of supervisorctl: what was asked for, the connection, the exit status, what is printed.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use super::commands::{self, Flow};
use super::error::Error;
use super::input::Input;
use super::options::Options;
use super::transport::Connection;
use crate::fault::Code;
use crate::sys::terminal::{Interrupts, NoEcho};
use crate::wire::value::Value;
use crate::wire::xmlrpc;

/// The version of the interface that this program speaks (S-11).
const API_VERSION: &str = "3.0";
/// Requests under way at once: enough that nothing is ever waited for twice, few enough that neither side's socket
/// buffer fills up while the other is not reading.
const PIPELINE_MAX: usize = 64;
/// How long a health check waits for an answer: a daemon that takes longer is not healthy.
const CHECK_WAIT: Duration = Duration::from_secs(5);

/// A call, encoded.
pub struct Call(Vec<u8>);

impl Call {
    /// Encodes it.
    pub fn new(method: &str, params: &[Value]) -> Call {
        Call(xmlrpc::encode_call(method, params))
    }
}

/// Calls whose answers are wanted in order.
pub struct Batch {
    calls: Vec<Call>,
    /// How many have been answered, and how many are written to the present connection.
    answered: usize,
    sent: usize,
    /// Whether more than one may be under way.
    together: bool,
}

/// What came of the connection check (S-10 to S-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Fine.
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
    /// Standard input.
    pub input: Input,
    out: Box<dyn Write>,
    connection: Option<Connection>,
    /// Whether this server answers pipelined calls that it has to wait for; `None` as long as nobody asked.
    pipelines: Option<bool>,
    interrupts: Option<Interrupts>,
    waits_at_most: Option<Duration>,
}

impl Session {
    /// A session that prints to `out`.
    pub fn new(options: Options, input: Input, out: Box<dyn Write>) -> Session {
        Session {
            options,
            status: 0,
            colours: false,
            is_on_terminal: false,
            input,
            out,
            connection: None,
            pipelines: None,
            interrupts: None,
            waits_at_most: None,
        }
    }

    /// Prints a line.
    pub fn print(&mut self, line: &str) {
        self.write(line.as_bytes());
        self.write(b"\n");
    }

    /// Prints bytes as they are. A reader that went away is no error of ours.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        self.out.write_all(bytes).is_ok()
    }

    /// Prints a line on standard error.
    pub fn print_error(&mut self, line: &str) {
        self.flush();
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// Makes everything printed visible; `false` if nobody is there to see it.
    pub fn flush(&mut self) -> bool {
        self.out.flush().is_ok()
    }

    /// Runs one line of the shell, or the command of the arguments (S-5, S-6). What goes wrong is printed; the only
    /// error is a Ctrl-C that ended it.
    pub fn run_line(&mut self, line: &str) -> Result<Flow, Error> {
        let line = line.trim();
        let asked;
        let line = match line.strip_prefix('?') {
            Some(topic) => {
                asked = format!("help {topic}");
                asked.trim_end()
            }
            None => line,
        };
        if line.is_empty() {
            return Ok(Flow::Continue);
        }
        let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(line.len());
        let (name, arguments) = (&line[..end], line[end..].trim());
        loop {
            let error = match self.run_command(name, arguments, line) {
                Err(error) => error,
                flow => return flow,
            };
            let error = match error {
                Error::Interrupted => return Err(Error::Interrupted),
                Error::Status { code: 401, .. } => {
                    self.print("Server requires authentication");
                    if !self.options.is_interactive {
                        error
                    } else {
                        match self.login() {
                            Ok(()) => continue,
                            Err(Error::Interrupted) => {
                                self.status = 1;
                                return Err(Error::Interrupted);
                            }
                            Err(error) => error,
                        }
                    }
                }
                error => error,
            };
            self.print(&format!("error: {error}"));
            self.status = 1;
            return Ok(Flow::Continue);
        }
    }

    fn run_command(&mut self, name: &str, arguments: &str, line: &str) -> Result<Flow, Error> {
        match name {
            "help" => return commands::help(self, arguments),
            // What the original's shell makes of the end of input may also be typed.
            "EOF" => return commands::leave(self),
            _ => {}
        }
        let Some(command) = commands::find(name, &self.options.plugins) else {
            self.print(&format!("*** Unknown syntax: {line}"));
            self.status = 1;
            return Ok(Flow::Continue);
        };
        if command.check && self.check()? == Check::Failed {
            return Ok(Flow::Continue);
        }
        (command.run)(self, arguments)
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
                "Sorry, supervisord responded but did not recognize the supervisor namespace. \
                 Enable the section [rpcinterface:supervisor] in its configuration file.",
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
            libc::ECONNREFUSED => Some(format!("{} refused connection", self.options.url)),
            libc::ENOENT => Some(format!("{} no such file", self.options.url)),
            _ => None,
        }
    }

    /// Goes on with another server.
    pub fn use_server(&mut self, url: &str) {
        self.options.url = url.to_string();
        self.connection = None;
        self.pipelines = None;
    }

    /// From now on an answer that takes long is an error.
    pub fn limit_waiting(&mut self) {
        self.waits_at_most = Some(CHECK_WAIT);
        self.connection = None;
    }

    /// Calls a method and waits for its answer.
    pub fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, Error> {
        let calls = vec![Call::new(method, params)];
        self.answer(&mut Batch { calls, answered: 0, sent: 0, together: false })
    }

    /// Prepares calls whose answers are then taken one by one with [`Session::answer`].
    ///
    /// They are pipelined if the server can do it: 4.3.0 takes what follows a call that it has to wait for (a start, a
    /// stop) as part of that call's body, and loses both. `stheno.getVersion` tells the two apart.
    pub fn batch(&mut self, calls: Vec<Call>) -> Result<Batch, Error> {
        let mut together = false;
        if calls.len() > 1 {
            together = match self.pipelines {
                Some(known) => known,
                None => match self.call("stheno.getVersion", &[]) {
                    Ok(_) => true,
                    Err(Error::Fault { .. }) => false,
                    Err(error) => return Err(error),
                },
            };
            self.pipelines = Some(together);
        }
        Ok(Batch { calls, answered: 0, sent: 0, together })
    }

    /// The answer to the next call of a batch.
    ///
    /// A server may close a connection after any answer. What is then not answered goes over a fresh connection, call
    /// by call; a fresh connection that is closed without an answer is an error.
    pub fn answer(&mut self, batch: &mut Batch) -> Result<Value, Error> {
        self.flush();
        loop {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => {
                    batch.sent = batch.answered;
                    self.connect()?
                }
            };
            if batch.sent == batch.answered {
                let width = if batch.together { PIPELINE_MAX } else { 1 };
                let end = batch.calls.len().min(batch.answered + width);
                match connection.send(batch.calls[batch.answered..end].iter().map(|call| call.0.as_slice())) {
                    Err(_) if connection.was_used => continue,
                    sent => sent?,
                }
                batch.sent = end;
            }
            let received = connection.receive(self.interrupts.as_ref().map(Interrupts::fd));
            if matches!(received, Err(Error::Interrupted)) {
                self.forget_interrupt();
            }
            let Some(answer) = received? else {
                if connection.was_used {
                    batch.together = false;
                    continue;
                }
                return Err(Error::Closed(self.options.url.clone()));
            };
            batch.answered += 1;
            if answer.status != 200 {
                return Err(Error::Status { code: answer.status, reason: answer.reason });
            }
            if answer.keep_alive {
                self.connection = Some(connection);
            }
            return match xmlrpc::decode_response(&answer.body) {
                Ok(Ok(value)) => Ok(value),
                Ok(Err((code, text))) => Err(Error::Fault { code, text }),
                Err(error) => Err(Error::BadAnswer(format!("not XML-RPC ({error})"))),
            };
        }
    }

    fn connect(&self) -> Result<Connection, Error> {
        let credentials = self.options.username.as_deref().zip(self.options.password.as_deref());
        let connection = Connection::open(&self.options.url, credentials)?;
        if let Some(time) = self.waits_at_most {
            connection.limit_waiting(time);
        }
        Ok(connection)
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
    fn login(&mut self) -> Result<(), Error> {
        // A Ctrl-C must not leave a terminal behind that does not echo.
        self.catch_interrupts();
        let username = self.ask("Username:")?;
        let password = self.secret("Password:")?;
        self.print("");
        self.options.username = Some(username);
        self.options.password = Some(password);
        self.connection = None;
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
