//! A daemon over a system made of tables, for the tests of calls.

use std::time::Duration;

use super::budget::Budget;
#[cfg(feature = "fleet")]
use super::fleet::publish::{Message, messages};
use super::{Answer, Context, Deferred, Done, Extensions, Outcome, Registry, call};
use crate::clock::Now;
use crate::daemon::Daemon;
pub use crate::daemon::testing::Tables;
use crate::daemon::testing::{NOW, assert_survives, groups};
use crate::model::event::Serials;
use crate::wire::value::Value;
use crate::wire::xmlrpc::{RESPONSE_BEGIN, RESPONSE_END, decode_response};

/// A daemon, its system and its clock.
pub struct World {
    pub host: Tables,
    pub daemon: Daemon,
    pub registry: Registry,
    pub extensions: Extensions,
    pub now: Now,
}

const INTERFACES: &str = "[rpcinterface:supervisor]\n\
    supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
    [rpcinterface:twiddler]\n\
    supervisor.rpcinterface_factory=supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface\n\
    [rpcinterface:loader]\nsupervisor.rpcinterface_factory=supervisor_loader.rpcinterface:make_loader_rpcinterface\n\
    [rpcinterface:grace]\nsupervisor.rpcinterface_factory=supervisor_grace.rpcinterface:make_grace_rpcinterface\n\
    [rpcinterface:cache]\nsupervisor.rpcinterface_factory=supervisor_cache.rpcinterface:make_cache_rpcinterface\n";

/// `[stheno]` where calls may change things, and changes are kept.
pub const KEPT: &str = "[stheno]\nmutation=true\ndynamic_conf=/tmp/dyn.conf\n";

/// The path in [`KEPT`].
pub const PATH: &str = "/tmp/dyn.conf";

fn whole(text: &str) -> String {
    format!("[supervisord]\n{INTERFACES}{text}")
}

impl World {
    /// A daemon with all interfaces and this configuration.
    pub fn new(text: &str) -> World {
        World::with_files(text, &[])
    }

    /// The same, and these files are there.
    pub fn with_files(text: &str, files: &[(&str, &str)]) -> World {
        let (host, config) = Tables::new(&whole(text), files);
        let mut world = World {
            registry: Registry::new(&config),
            extensions: Extensions::default(),
            daemon: Daemon::new(config, host.loader.clone(), Serials::default()),
            host,
            now: NOW,
        };
        world.daemon.begin(world.now, &mut world.host).unwrap();
        world.turn();
        world
    }

    /// Writes another configuration, which nobody has read yet.
    pub fn write(&mut self, text: &str) {
        self.host.env.write("F", whole(text));
    }

    /// As after `kill -9` and a new start.
    pub fn restart(&mut self) {
        self.host.children.clear();
        self.host.dying.clear();
        self.host.open_logs = 0;
        self.host.loader.restart(&self.host.env);
        let config = self.host.loader.load(&self.host.env).unwrap();
        self.registry = Registry::new(&config);
        self.extensions = Extensions::default();
        self.daemon = Daemon::new(config, self.host.loader.clone(), Serials::default());
        self.daemon.begin(self.now, &mut self.host).unwrap();
        self.turn();
    }

    /// Lets time pass, and a turn of the loop after it.
    pub fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono.after(time);
        self.turn();
    }

    /// One turn: exits, then deadlines.
    pub fn turn(&mut self) {
        self.host.turn(&mut self.daemon, self.now);
    }

    fn in_context<R>(&mut self, method: &str, work: impl FnOnce(&mut Context<'_>) -> R) -> R {
        let World { host, daemon, registry, extensions, now } = self;
        let budget = &mut Budget::default();
        work(&mut Context { daemon, host, now: *now, registry, extensions, client: "uid 0", method, budget })
    }

    /// Makes a call up to its first wait.
    pub fn begin(&mut self, method: &str, params: &[Value]) -> Result<Outcome, String> {
        self.in_context(method, |context| call(context, method, params).map_err(|fault| fault.to_string()))
    }

    /// Asks a call that waits.
    pub fn poll(&mut self, deferred: &mut Deferred, method: &str) -> Option<Result<Value, String>> {
        self.in_context(method, |context| deferred.poll(context)).map(finish)
    }

    /// What has been published since the last look.
    #[cfg(feature = "fleet")]
    pub fn published(&mut self) -> Vec<Message> {
        self.in_context("", |context| messages(context).0)
    }

    /// Asks it no more.
    pub fn give_up(&mut self, mut deferred: Deferred, method: &str) {
        self.in_context(method, |context| deferred.give_up(context));
    }

    /// Makes a call and lets a few seconds pass until it is answered.
    pub fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, String> {
        let mut deferred = match self.begin(method, params)? {
            Outcome::Now(answer) => return finish(Ok(answer)),
            Outcome::Deferred(deferred) => deferred,
        };
        for _ in 0..100 {
            self.pass(Duration::from_secs(2));
            if let Some(done) = self.poll(&mut deferred, method) {
                return done;
            }
        }
        panic!("{method} is never answered");
    }

    /// A call that must succeed.
    pub fn ok(&mut self, method: &str, params: &[Value]) -> Value {
        let answer = self.call(method, params);
        self.turn();
        answer.unwrap_or_else(|fault| panic!("{method}{params:?}: {fault}"))
    }

    /// Active groups: name, priority, processes.
    pub fn groups(&self) -> Vec<String> {
        groups(&self.daemon)
    }

    /// Whether a fresh start would yield exactly what is active.
    pub fn assert_survives(&mut self, what: &str) {
        assert_survives(&self.daemon, &mut self.host, what);
    }
}

fn finish(done: Done) -> Result<Value, String> {
    match done {
        Ok(Answer::Value(value)) => Ok(value),
        Ok(Answer::Xml(xml)) => {
            let whole = [RESPONSE_BEGIN.as_bytes(), &xml, RESPONSE_END.as_bytes()].concat();
            decode_response(&whole).expect("XML-RPC").map_err(|(_, text)| text)
        }
        Ok(Answer::Log(_) | Answer::CutCharacter) => Ok(Value::Nil),
        Err(fault) => Err(fault.to_string()),
    }
}

/// A struct of strings.
pub fn options(pairs: &[(&'static str, &str)]) -> Value {
    Value::Struct(pairs.iter().map(|(name, text)| ((*name).into(), Value::from(text.to_string()))).collect())
}

macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::wire::value::Value::from($value)),*] };
}
pub(super) use params;
