//! Calls and their answers: over one connection as long as it holds, several at once where the server can do that.

use std::time::Duration;

use super::error::Error;
use super::transport::{Connection, Server};
use crate::sys::terminal::Interrupts;
use crate::wire::value::Value;
use crate::wire::xmlrpc;

/// Requests under way at once: enough that nothing is ever waited for twice, few enough that neither side's socket
/// buffer fills up while the other is not reading.
const PIPELINE_MAX: usize = 64;
/// How long a health check waits for an answer: a daemon that takes longer is not healthy.
const CHECK_WAIT: Duration = Duration::from_secs(5);
/// After this long without a byte the server is asked whether it is there at all. Calls that wait for a process may be
/// silent for much longer; a daemon that is well answers others meanwhile.
const SILENCE: Duration = Duration::from_secs(20);
/// How long it may take to say that it is there.
const SIGN_WAIT: Duration = Duration::from_secs(10);

/// The body of a call, encoded once for however many attempts.
pub struct Call(Vec<u8>);

impl Call {
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

impl Batch {
    pub fn one(call: Call) -> Batch {
        Batch { calls: vec![call], answered: 0, sent: 0, together: false }
    }
}

/// What is known of a server between two calls.
pub struct Client {
    connection: Option<Connection>,
    /// Whether this server answers pipelined calls that it has to wait for; `None` as long as nobody asked.
    pipelines: Option<bool>,
    patience: Patience,
}

/// How long a silent server is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long a server may send nothing before it is given up.
    pub silence: Duration,
    /// For a sign of life on another connection; `None` gives up without asking for one.
    pub sign: Option<Duration>,
}

impl Default for Client {
    fn default() -> Client {
        Client { connection: None, pipelines: None, patience: Patience { silence: SILENCE, sign: Some(SIGN_WAIT) } }
    }
}

impl Client {
    /// From now on an answer that takes long is an error.
    pub fn limit_waiting(&mut self) {
        self.be_patient(Patience { silence: CHECK_WAIT, sign: None });
    }

    /// From now on a silent server is waited for so long.
    pub fn be_patient(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// The next call goes over a connection of its own.
    pub fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Calls a method and waits for its answer.
    #[cfg(any(feature = "applets", test))]
    pub fn call(&mut self, server: &Server, method: &str, params: &[Value]) -> Result<Value, Error> {
        self.answer(server, &mut Batch::one(Call::new(method, params)), None)
    }

    /// Prepares calls whose answers are then taken one by one with [`Client::answer`].
    ///
    /// They are pipelined if the server can do it: 4.3.0 takes what follows a call that it has to wait for (a start, a
    /// stop) as part of that call's body, and loses both. `stheno.getVersion` tells the two apart.
    pub fn batch(
        &mut self,
        server: &Server,
        calls: Vec<Call>,
        interrupts: Option<&Interrupts>,
    ) -> Result<Batch, Error> {
        let mut together = false;
        if calls.len() > 1 {
            together = match self.pipelines {
                Some(known) => known,
                None => match self.answer(server, &mut Batch::one(Call::new("stheno.getVersion", &[])), interrupts) {
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
    pub fn answer(
        &mut self,
        server: &Server,
        batch: &mut Batch,
        interrupts: Option<&Interrupts>,
    ) -> Result<Value, Error> {
        loop {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => {
                    batch.sent = batch.answered;
                    Connection::open(server)?
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
            let patience = self.patience;
            let silence = &mut || sign_of_life(server, patience.sign);
            let received = connection.receive(interrupts.map(Interrupts::fd), patience.silence, silence);
            if matches!(received, Err(Error::Interrupted)) {
                // It must not end the next wait too.
                interrupts.map(Interrupts::take);
            }
            let Some(answer) = received? else {
                if connection.was_used {
                    batch.together = false;
                    continue;
                }
                return Err(Error::Closed(server.url.clone()));
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
}

/// Asks a server that is silent for anything at all, on a connection of its own. Fails if there is nothing. A connection
/// that is refused or closed is an answer: whoever closes it is there, and if it is not, the first connection ends too.
fn sign_of_life(server: &Server, wait: Option<Duration>) -> Result<(), Error> {
    let silent = || Error::Silent(server.url.clone());
    let wait = wait.ok_or_else(silent)?;
    let Ok(mut connection) = Connection::open(server) else { return Ok(()) };
    let question = Call::new("supervisor.getVersion", &[]);
    if connection.send(std::iter::once(question.0.as_slice())).is_err() {
        return Ok(());
    }
    match connection.receive(None, wait, &mut || Err(silent())) {
        Err(error @ Error::Silent(_)) => Err(error),
        _ => Ok(()),
    }
}
