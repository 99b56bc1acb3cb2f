//! A world in which everything is written down and nothing takes time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Wall;
use crate::wire::value::Value;

use super::letter::Letter;
use super::url::Url;
use super::world::{Answer, CallError, GetError, Memory, World};

/// Answers from lists; what is asked of it is in `story`.
#[derive(Default)]
pub struct Fake {
    /// `say TEXT`, `call METHOD args`, `shell COMMAND <input`, `get TARGET`, `pause 10s`, `submit TEXT`.
    pub story: Vec<String>,
    /// (name, group, pid, state) of `supervisor.getAllProcessInfo`; with `None` the call fails.
    pub processes: Option<Vec<(&'static str, &'static str, i64, i64)>>,
    /// Methods that answer with this fault.
    pub faults: Vec<(&'static str, i64, &'static str)>,
    /// What GET brings, one after another.
    pub answers: VecDeque<Result<Answer, GetError>>,
    /// The processes of the system.
    pub memory: Vec<Memory>,
    /// What the next submissions bring; success when there is none left.
    pub submissions: VecDeque<Result<(), String>>,
    /// What a shell command prints.
    pub printed: &'static str,
}

impl World for Fake {
    fn say(&mut self, text: &str) {
        self.story.push(format!("say {text}"));
    }

    fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        let params: Vec<&str> = params.iter().filter_map(Value::as_str).collect();
        if method == "supervisor.getAllProcessInfo" {
            let Some(processes) = &self.processes else { return Err(CallError::Other("no answer".into())) };
            return Ok(Value::Array(processes.iter().map(info).collect()));
        }
        self.story.push(format!("call {method} {}", params.join(" ")));
        if let Some((_, code, text)) = self.faults.iter().find(|(name, ..)| *name == method) {
            return Err(CallError::Fault { code: *code, text: text.to_string() });
        }
        match method {
            "supervisor.getProcessInfo" => {
                Ok(Value::Struct(vec![("now".into(), Value::Int(1000)), ("start".into(), Value::Int(400))]))
            }
            _ => Ok(Value::Bool(true)),
        }
    }

    fn now(&mut self) -> Wall {
        Wall(1_795_252_507_042_000_000)
    }

    fn pause(&mut self, span: Duration) {
        self.story.push(format!("pause {span:?}"));
    }

    fn shell(&mut self, command: &str, input: &str) -> String {
        self.story.push(format!("shell {command} <{input}"));
        self.printed.to_string()
    }

    fn get(&mut self, url: &Url, timeout: Duration) -> Result<Answer, GetError> {
        self.story.push(format!("get {} {} {} {timeout:?}", url.host, url.port, url.target));
        self.answers.pop_front().expect("a GET request too many")
    }

    fn submit(&mut self, letter: &Letter<'_>) -> Result<(), String> {
        self.story.push(format!("submit to {} at {}: {}", letter.to.join("+"), letter.server.host, letter.text));
        self.submissions.pop_front().unwrap_or(Ok(()))
    }

    fn memory(&mut self, pid: Option<i64>) -> Vec<Memory> {
        self.memory.iter().filter(|one| pid.is_none_or(|pid| one.pid == pid)).copied().collect()
    }
}

fn info((name, group, pid, state): &(&'static str, &'static str, i64, i64)) -> Value {
    Value::Struct(vec![
        ("name".into(), Value::from(*name)),
        ("group".into(), Value::from(*group)),
        ("pid".into(), Value::Int(*pid)),
        ("state".into(), Value::Int(*state)),
    ])
}

/// A command line's words.
pub fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_string).collect()
}
