//! What mutations that wait have laid claim to: until they are through, no other call may change it, or one of the two
//! would be answered and lost.

use crate::fault::{Code, Fault};

/// A group, or one program of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub group: String,
    /// `None` is all of it.
    pub program: Option<String>,
}

/// The number of one call's claims, by which it gives them up; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimId(u64);

/// The claims of all calls.
#[derive(Debug, Default)]
pub struct Claims {
    laid: Vec<Laid>,
    next: u64,
}

/// The claims of one call.
#[derive(Debug)]
struct Laid {
    id: ClaimId,
    claims: Vec<Claim>,
    method: String,
}

impl Claims {
    /// Lays claim to all of these, or to nothing; they last until [`Claims::give_up`]. Faults: FAILED, as
    /// [`Claims::check`].
    pub fn lay(&mut self, claims: Vec<Claim>, method: &str) -> Result<ClaimId, Fault> {
        claims.iter().try_for_each(|claim| self.check(&claim.group, claim.program.as_deref()))?;
        let id = ClaimId(self.next);
        self.next += 1;
        self.laid.push(Laid { id, claims, method: method.to_string() });
        Ok(id)
    }

    /// Ends the claims of one call; nothing happens if they have ended before.
    pub fn give_up(&mut self, id: ClaimId) {
        self.laid.retain(|laid| laid.id != id);
    }

    /// Whether a group, or one program of it, may be changed now. Faults: FAILED while another call changes it.
    pub fn check(&self, group: &str, program: Option<&str>) -> Result<(), Fault> {
        let meets = |claim: &Claim| {
            claim.group == group
                && (program.is_none() || claim.program.is_none() || claim.program.as_deref() == program)
        };
        for laid in &self.laid {
            if let Some(claim) = laid.claims.iter().find(|claim| meets(claim)) {
                let what = match &claim.program {
                    Some(program) => format!("program {program} of group {group}"),
                    None => format!("group {group}"),
                };
                let text = format!("{what} is being changed by {}, which is not done yet", laid.method);
                return Err(Code::Failed.with(text));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_meets_whom() {
        let claim =
            |group: &str, program: Option<&str>| Claim { group: group.into(), program: program.map(Into::into) };
        let mut claims = Claims::default();
        let held = claims.lay(vec![claim("g", None), claim("h", Some("p"))], "m").unwrap();
        let rows = [
            (("g", None), false),
            (("g", Some("p")), false),
            (("h", None), false),
            (("h", Some("p")), false),
            (("h", Some("q")), true),
            (("i", None), true),
        ];
        for ((group, program), is_free) in rows {
            assert_eq!(claims.check(group, program).is_ok(), is_free, "{group} {program:?}");
        }
        let refused = claims.lay(vec![claim("i", None), claim("g", Some("q"))], "other").unwrap_err();
        assert_eq!(refused.to_string(), "FAILED: group g is being changed by m, which is not done yet");
        assert_eq!(
            claims.check("i", None).map_err(|fault| fault.to_string()),
            Ok(()),
            "nothing is kept of what was refused"
        );
        claims.give_up(held);
        assert!(rows.iter().all(|((group, program), _)| claims.check(group, *program).is_ok()));
    }
}
