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

impl Batch {
    /// One call.
    pub fn one(call: Call) -> Batch {
        Batch { calls: vec![call], answered: 0, sent: 0, together: false }
    }
}

/// What is known of a server between two calls.
#[derive(Default)]
pub struct Client {
    connection: Option<Connection>,
    /// Whether this server answers pipelined calls that it has to wait for; `None` as long as nobody asked.
    pipelines: Option<bool>,
    waits_at_most: Option<Duration>,
}

impl Client {
    /// From now on an answer that takes long is an error.
    pub fn limit_waiting(&mut self) {
        self.waits_at_most = Some(CHECK_WAIT);
        self.hang_up();
    }

    /// The next call goes over a connection of its own.
    pub fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Calls a method and waits for its answer.
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
                    self.connect(server)?
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
            let received = connection.receive(interrupts.map(Interrupts::fd));
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

    fn connect(&self, server: &Server) -> Result<Connection, Error> {
        let connection = Connection::open(server)?;
        if let Some(time) = self.waits_at_most {
            connection.limit_waiting(time);
        }
        Ok(connection)
    }
}
