//! A daemon made of a closure, for tests: it listens on a socket of its own and answers as it is told.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::input::Input;
use super::interpreter::run_line;
use super::options::Options;
use super::session::Session;
use crate::wire::value::Value;
use crate::wire::xmlrpc::{self, Call};

/// How long the daemon waits for requests that do not come, before it hangs up and the test fails.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is answered to a call.
pub enum Reply {
    Value(Value),
    Fault(i32, &'static str),
    /// An HTTP status without a body.
    Status(u16),
    /// The result, then the end of the connection.
    Last(Value),
    /// The end of the connection.
    HangUp,
    /// Nothing, for so long that whoever waits has given up.
    Silence,
    /// The result, after a while.
    Late(Duration, Value),
}

/// A daemon that is listening.
pub struct Fake {
    path: PathBuf,
    /// The methods called and their parameters, as `method(a, b)`, and `connect` for each connection.
    pub seen: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Starts a daemon. On its first connection it reads `together` calls before it answers the first of them, once the
    /// first is a start; a client that does not pipeline would wait for ever, and is hung up on. With 1, no call
    /// may come before the one before it is answered.
    pub fn start(together: usize, reply: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Fake {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ctl-fake-{}-{number}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("a socket");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        thread::spawn(move || {
            let reply = Arc::new(reply);
            for (at, stream) in listener.incoming().flatten().enumerate() {
                log.lock().expect("no panic").push("connect".to_string());
                let (reply, log) = (Arc::clone(&reply), Arc::clone(&log));
                thread::spawn(move || serve(stream, if at == 0 { together } else { 1 }, &*reply, &log));
            }
        });
        Fake { path, seen }
    }

    /// Runs one command against it: what it printed, and the exit status.
    pub fn run(&self, line: &str) -> (String, i32) {
        let (mut session, out) = self.session();
        run_line(&mut session, line).expect("no Ctrl-C");
        (out.text(), session.status)
    }

    /// A session with it, and what it prints.
    pub fn session(&self) -> (Session, Printed) {
        let url = format!("unix://{}", self.path.display());
        let args = ["-s".to_string(), url, "x".to_string()];
        let options = super::options::read("ctl", &args, &crate::config::fake::Fake::new()).expect("options");
        let out = Printed::default();
        (Session::new(Options { words: Vec::new(), ..options }, Input::new(None), Box::new(out.clone())), out)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What a session has printed.
#[derive(Clone, Default)]
pub struct Printed(Rc<RefCell<Vec<u8>>>);

impl Printed {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }
}

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn serve(mut stream: UnixStream, together: usize, reply: &dyn Fn(&Call) -> Reply, log: &Mutex<Vec<String>>) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut buffer = Vec::new();
    loop {
        let Some(first) = next_call(&mut stream, &mut buffer) else { return };
        let mut calls = vec![first];
        while calls[0].method == "supervisor.startProcess" && calls.len() < together {
            let Some(call) = next_call(&mut stream, &mut buffer) else { return };
            calls.push(call);
        }
        if together == 1 {
            assert!(buffer.is_empty(), "a second call came before the first was answered");
        }
        for call in &calls {
            let params: Vec<String> = call.params.iter().map(crate::wire::pyrepr::value).collect();
            log.lock().expect("no panic").push(format!("{}({})", call.method, params.join(", ")));
            let mut body = Vec::new();
            let mut status = 200;
            let reply = reply(call);
            match &reply {
                Reply::Value(value) | Reply::Last(value) => xmlrpc::write_response(&mut body, value),
                Reply::Fault(code, text) => xmlrpc::write_fault(&mut body, *code, text),
                Reply::Status(code) => status = *code,
                Reply::HangUp => return,
                Reply::Silence => return thread::sleep(PATIENCE),
                Reply::Late(time, value) => {
                    thread::sleep(*time);
                    xmlrpc::write_response(&mut body, value);
                }
            }
            let head = format!("HTTP/1.1 {status} Word\r\nContent-Length: {}\r\n\r\n", body.len());
            let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            if sent.is_err() || matches!(reply, Reply::Last(_)) {
                return;
            }
        }
    }
}

fn next_call(stream: &mut UnixStream, buffer: &mut Vec<u8>) -> Option<Call> {
    loop {
        let text = String::from_utf8_lossy(buffer).into_owned();
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let length: usize = head.split("Content-Length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
            if rest.len() >= length {
                let start = head.len() + 4;
                let call = xmlrpc::decode_call(&buffer[start..start + length]).ok();
                buffer.drain(..start + length);
                return call;
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk) {
            Ok(count) if count > 0 => buffer.extend_from_slice(&chunk[..count]),
            _ => return None,
        }
    }
}
