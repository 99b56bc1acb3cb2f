//! What one instance wants of another, and what it is told of it.

use super::codec::{Malformed, Reader, push_flags, push_short_text, push_varint};

/// What one instance wants of another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Wish {
    Start {
        group: String,
        name: String,
        arguments: String,
    },
    Stop {
        group: String,
        name: String,
    },
    /// Everything is to be stopped, and all are to end.
    Shutdown,
    /// The same, and all begin anew.
    Restart,
}

/// A wish with the number that its answer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The number of the command, which the one that asks does not use again in its run.
    pub number: u64,
    /// What the other instance is to do.
    pub wish: Wish,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The number of the command.
    pub number: u64,
    /// Why it is not done; `None` if it is under way.
    pub problem: Option<String>,
}

impl Command {
    /// The number first, so that what follows can be answered even if it is not known.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        push_varint(&mut out, self.number);
        let (tag, texts): (u8, Vec<&str>) = match &self.wish {
            Wish::Start { group, name, arguments } => (1, vec![group, name, arguments]),
            Wish::Stop { group, name } => (2, vec![group, name]),
            Wish::Shutdown => (3, Vec::new()),
            Wish::Restart => (4, Vec::new()),
        };
        out.push(tag);
        texts.into_iter().for_each(|one| push_short_text(&mut out, one));
        out
    }

    /// Reads one. A wish that is not known here is `Ok(Err(number))`: it is answered as not done.
    pub fn read(bytes: &[u8]) -> Result<Result<Command, u64>, Malformed> {
        let mut input = Reader::new(bytes);
        let number = input.number()?;
        let wish = match input.byte()? {
            1 => Wish::Start { group: input.short_text()?, name: input.short_text()?, arguments: input.short_text()? },
            2 => Wish::Stop { group: input.short_text()?, name: input.short_text()? },
            3 => Wish::Shutdown,
            4 => Wish::Restart,
            _ => return Ok(Err(number)),
        };
        Ok(Ok(Command { number, wish }))
    }
}

impl Answer {
    /// The number first, so that what follows can be answered even if it is not known.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        push_varint(&mut out, self.number);
        push_flags(&mut out, [self.problem.is_some()]);
        push_short_text(&mut out, self.problem.as_deref().unwrap_or_default());
        out
    }

    /// An answer from all of its bytes; what newer ones have more is passed over.
    pub fn read(bytes: &[u8]) -> Result<Answer, Malformed> {
        let mut input = Reader::new(bytes);
        let number = input.number()?;
        let [has_problem] = input.flags()?;
        let problem = input.short_text()?;
        Ok(Answer { number, problem: has_problem.then_some(problem) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_answers_come_back() {
        let (group, name) = ("app".to_string(), "web".to_string());
        let wishes = [
            Wish::Start { group: group.clone(), name: name.clone(), arguments: "-v".to_string() },
            Wish::Stop { group, name },
            Wish::Shutdown,
            Wish::Restart,
        ];
        for (number, wish) in (300..).zip(wishes) {
            let command = Command { number, wish };
            let bytes = command.write();
            assert_eq!(Command::read(&bytes), Ok(Ok(command)));
            for end in 0..bytes.len() {
                assert_eq!(Command::read(&bytes[..end]), Err(Malformed), "{number} cut at {end}");
            }
        }
        assert_eq!(Command::read(&[7, 200]), Ok(Err(7)), "one that is not known here");
        for problem in [None, Some(String::new()), Some("no such program".to_string())] {
            let answer = Answer { number: 9, problem };
            let bytes = answer.write();
            assert_eq!(Answer::read(&bytes), Ok(answer.clone()));
            (0..bytes.len())
                .for_each(|end| assert_eq!(Answer::read(&bytes[..end]), Err(Malformed), "{answer:?} {end}"));
        }
    }
}
