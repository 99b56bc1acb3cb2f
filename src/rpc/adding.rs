//! Programs that calls add. What many processes take is found out in pieces, each in a turn of its own; then they are added
//! as a whole, or not at all.

use std::rc::Rc;

use super::claims::{Claim, ClaimId};
use super::{Answer, Context, Done};
use crate::config::{CallProgram, Process};
use crate::daemon::change::{Addition, Change};
use crate::fault::{Code, Fault};
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// Processes that are made before the turn's time is looked at, and what that costs.
const PIECE: usize = 64;
const PIECE_US: u32 = 200;

/// A program to be added.
pub(super) struct New<'a> {
    pub group: &'a str,
    /// Priority of the group, should it have to be made.
    pub create: Option<i64>,
    pub program: &'a str,
    /// What this instance of the program is called, where each is a program by itself.
    pub instance: Option<String>,
    pub options: Vec<(String, String)>,
}

/// A program whose processes are being made.
pub struct Adding {
    /// Its processes are still missing.
    addition: Addition,
    /// They; `None` once they are all there.
    drawn: Option<CallProgram>,
    /// What nobody else may add meanwhile, if it takes more than this turn.
    claim: Option<ClaimId>,
    is_begun: bool,
    /// Says that it is its turn, as long as it is there.
    turn: Option<Rc<()>>,
    answer: fn(Vec<String>) -> Value,
}

impl Adding {
    /// A program to be added; what is answered follows from the names of its processes.
    pub(super) fn new(
        context: &mut Context<'_>,
        new: New<'_>,
        answer: fn(Vec<String>) -> Value,
    ) -> Result<Adding, Fault> {
        let New { group, create, program, instance, mut options } = new;
        // As a file would give them: blanks around names are no part of them.
        let program = program.trim();
        context.extensions.claims.check(group, Some(instance.as_deref().unwrap_or(program)))?;
        for (_, value) in options.iter_mut().filter(|(name, _)| name == "process_name") {
            *value = value.trim().to_string();
        }
        let drawn = context.daemon.begin_program(group, program, &options, context.host).map_err(wrong)?;
        let addition = Addition {
            group: group.to_string(),
            create,
            program: program.to_string(),
            instance,
            options,
            processes: vec![],
        };
        Ok(Adding { addition, drawn: Some(drawn), claim: None, is_begun: false, turn: None, answer })
    }

    /// Goes on as far as the turn has time; whatever it answers, its claim has ended then.
    pub fn advance(&mut self, context: &mut Context<'_>) -> Option<Done> {
        let done = self.proceed(context);
        if done.is_some() {
            self.give_up(context);
        }
        done
    }

    /// Its claim has ended.
    pub fn give_up(&mut self, context: &mut Context<'_>) {
        if let Some(claim) = self.claim.take() {
            context.extensions.claims.give_up(claim);
        }
    }

    fn proceed(&mut self, context: &mut Context<'_>) -> Option<Done> {
        match self.draw(context) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(fault) => return Some(Err(fault)),
        }
        if let Some(drawn) = self.drawn.take()
            && let Err(fault) = self.make(drawn.into_processes(), context)
        {
            return Some(Err(fault));
        }
        self.turn = None;
        let group = context.daemon.roster.group_named(&self.addition.group);
        if group.is_some_and(|group| context.daemon.grows(group)) {
            context.daemon.take_begun();
            return None;
        }
        let names = self.addition.processes.iter().map(|process| process.name.clone()).collect();
        let answer = Answer::Value((self.answer)(names));
        Some(Ok(answer))
    }

    /// Makes the processes, the first piece of them in any case; says whether that are all.
    fn draw(&mut self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let Some(drawn) = &mut self.drawn else { return Ok(true) };
        while !self.is_begun || !context.budget.is_spent() {
            // Of those that take more than a piece one is made at a time: each may take as much memory as all clients
            // together should.
            if self.is_begun && self.turn.is_none() {
                if context.extensions.adding.strong_count() > 0 {
                    break;
                }
                let turn = Rc::new(());
                context.extensions.adding = Rc::downgrade(&turn);
                self.turn = Some(turn);
            }
            self.is_begun = true;
            if !context.daemon.expand_program(drawn, PIECE, context.host).map_err(wrong)? {
                return Ok(true);
            }
            context.budget.spend(PIECE_US);
        }
        self.claim(context).map(|()| false)
    }

    /// Whoever adds the same in the meantime is refused.
    fn claim(&mut self, context: &mut Context<'_>) -> Result<(), Fault> {
        if self.claim.is_none() {
            let Addition { group, program, instance, .. } = &self.addition;
            let program = Some(instance.as_ref().unwrap_or(program).clone());
            let claim = Claim { group: group.clone(), program };
            self.claim = Some(context.extensions.claims.lay(vec![claim], context.method)?);
        }
        Ok(())
    }

    fn make(&mut self, mut processes: Vec<Rc<Process>>, context: &mut Context<'_>) -> Result<(), Fault> {
        // The option was looked at before names were put in, and `group:process` must lead to it.
        if let Some(process) = processes.iter().find(|process| process.name.contains(['/', ':'])) {
            let text =
                format!("process_name stands for {}, which no process may be called", pyrepr::text(&process.name));
            return Err(Code::IncorrectParameters.with(text));
        }
        if let Some(instance) = &self.addition.instance {
            for process in &mut processes {
                Rc::make_mut(&mut Rc::make_mut(process).program).name.clone_from(instance);
            }
        }
        self.addition.processes = processes;
        let change = Change::AddProgram(self.addition.clone());
        let origin = context.origin();
        context.daemon.apply(&change, &origin, context.now, context.host)
    }
}

fn wrong(text: String) -> Fault {
    Code::IncorrectParameters.with(text)
}
