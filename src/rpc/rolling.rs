//! A rolling restart (O-7): some at a time, the next when those are RUNNING; it ends with the first that does not get there.

use std::time::Duration;

use super::claims::{Claim, ClaimId};
use super::entry::ProcessRef;
use super::waits::{is_down, is_up};
use super::{Answer, Context, Done};
use crate::clock::Mono;
use crate::fault::{Code, Fault};
use crate::id::ProcId;
use crate::state::SupervisorState;
use crate::wire::value::Value;

/// A rolling restart under way.
pub struct Rolling {
    claim: Option<ClaimId>,
    /// All that are to be restarted.
    processes: Vec<ProcId>,
    /// Those that have not had their turn.
    left: std::vec::IntoIter<ProcId>,
    at_a_time: usize,
    timeout: Option<Duration>,
    /// Those under way, and until when each has to be there.
    current: Vec<(ProcId, Stage, Option<Mono>)>,
    has_failed: bool,
    results: Vec<Value>,
}

/// How far the restart of a process has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Stopping,
    Starting,
}

impl Rolling {
    /// One of which nothing has happened yet; so many at a time as the least of the programs allows unless it is said.
    ///
    /// Faults: FAILED while another call changes one of the groups.
    pub fn new(
        processes: Vec<ProcId>,
        at_a_time: Option<usize>,
        timeout: Option<Duration>,
        context: &mut Context<'_>,
    ) -> Result<Rolling, Fault> {
        let roster = &context.daemon.roster;
        let allowed =
            |id: &ProcId| roster.process(*id).map(|process| process.config.program.rolling_max_unavailable.0 as usize);
        let least = processes.iter().filter_map(allowed).min().unwrap_or(1);
        let mut groups: Vec<&str> = processes.iter().filter_map(|id| Some(roster.group_of(*id)?.name())).collect();
        crate::sort::ascending(&mut groups);
        groups.dedup();
        let claims = groups.into_iter().map(|group| Claim { group: group.to_string(), program: None }).collect();
        let claim = context.extensions.claims.lay(claims, context.method)?;
        context.daemon.expect_back(processes.iter().copied());
        Ok(Rolling {
            claim: Some(claim),
            left: processes.clone().into_iter(),
            processes,
            at_a_time: at_a_time.unwrap_or(least).max(1),
            timeout,
            current: Vec::new(),
            has_failed: false,
            results: Vec::new(),
        })
    }

    /// When to look although no process changed.
    pub fn deadline(&self) -> Option<Mono> {
        self.current.iter().filter_map(|(.., until)| *until).min()
    }

    /// Goes on as far as it can.
    pub fn advance(&mut self, context: &mut Context<'_>) -> Option<Done> {
        let done = self.proceed(context);
        if done.is_some() {
            self.give_up(context);
        }
        done
    }

    /// Its claims have ended, and it starts nothing any more.
    pub fn give_up(&mut self, context: &mut Context<'_>) {
        if let Some(claim) = self.claim.take() {
            context.extensions.claims.give_up(claim);
            self.processes.iter().for_each(|id| context.daemon.is_back(*id));
        }
    }

    fn proceed(&mut self, context: &mut Context<'_>) -> Option<Done> {
        if context.daemon.state() != SupervisorState::Running {
            return Some(Err(Code::ShutdownState.bare()));
        }
        loop {
            for (id, stage, until) in std::mem::take(&mut self.current) {
                if stage == Stage::Stopping && !context.daemon.is_expected_back(id) {
                    // Somebody has stopped it meanwhile, and that holds; the others are no worse for it.
                    self.note(context, id, Err(Code::Failed.with("not restarted")));
                    continue;
                }
                match step(context, id, stage, until) {
                    Ok(Some(stage)) => self.current.push((id, stage, until)),
                    Ok(None) => self.note(context, id, Ok(())),
                    Err(fault) => {
                        self.has_failed = true;
                        self.note(context, id, Err(fault));
                    }
                }
            }
            if self.has_failed {
                if !self.current.is_empty() {
                    return None;
                }
                for id in std::mem::take(&mut self.left) {
                    self.note(context, id, Err(Code::Failed.with("not restarted")));
                }
            }
            let room = self.at_a_time.saturating_sub(self.current.len());
            let until = self.timeout.map(|timeout| context.now.mono.after(timeout));
            let next: Vec<ProcId> = self.left.by_ref().take(room).collect();
            if next.is_empty() {
                let is_over = self.current.is_empty();
                return is_over.then(|| Ok(Answer::Value(Value::Array(std::mem::take(&mut self.results)))));
            }
            self.current.extend(next.into_iter().map(|id| (id, Stage::Stopping, until)));
        }
    }

    fn note(&mut self, context: &Context<'_>, id: ProcId, result: Result<(), Fault>) {
        if let Some((group, process)) = context.daemon.roster.member(id) {
            self.results.push(ProcessRef::new(group.name(), &process.config.name).outcome(result));
        }
    }
}

/// Where a process stands next; `None` once it is up again.
fn step(context: &mut Context<'_>, id: ProcId, stage: Stage, until: Option<Mono>) -> Result<Option<Stage>, Fault> {
    let is_late = until.is_some_and(|until| until <= context.now.mono);
    let state = context.daemon.roster.process(id).map(|process| process.machine.state());
    let next = match stage {
        Stage::Stopping => {
            if state.is_some_and(|state| state.is_running()) {
                // A signal that cannot be delivered makes it UNKNOWN, which cannot be started.
                let _ = context.daemon.stop_process(id, context.now, context.host);
            }
            if is_down(context.daemon, id) {
                context.daemon.is_back(id);
                context.daemon.start_process(id, context.now, context.host);
                context.daemon.transition(id, context.now, context.host);
                Stage::Starting
            } else {
                Stage::Stopping
            }
        }
        Stage::Starting => Stage::Starting,
    };
    let name = || context.daemon.roster.process(id).map_or(String::new(), |process| process.config.name.clone());
    let up = if next == Stage::Starting { is_up(context.daemon, id) } else { None };
    match up {
        None if is_late => Err(Code::AbnormalTermination.with(name())),
        None => Ok(Some(next)),
        Some(Ok(())) => Ok(None),
        Some(Err(_)) if is_retried(context, id) && !is_late => Ok(Some(next)),
        Some(Err(code)) => Err(code.with(name())),
    }
}

/// Whether a start that has failed is tried again: it may still get there.
fn is_retried(context: &Context<'_>, id: ProcId) -> bool {
    let process = context.daemon.roster.process(id);
    process.is_some_and(|process| process.machine.state() == crate::state::ProcessState::Backoff)
}
