//! Who begins a fleet, and who gives one up for another.
//!
//! Instances whose files are blank found a fleet once most voters are there and all of them are blank; who comes first in the
//! order of preference does. Whoever is blank while others are not waits until it is made a voter by who leads there.
//! Several may have been founded, where the network fell apart in the beginning or where files were lost. Then those of the
//! smaller part give theirs up, and come to the other as who they were not before, with files that are blank.

use std::time::Duration;

use super::{NodeId, is_most};

/// Time for which nothing else may be found before a fleet is given up: longer than any election takes.
pub const FORGET_TIME: Duration = Duration::from_secs(10);

/// What an instance that is to vote says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Who it is.
    pub id: NodeId,
    /// The fleet that it belongs to; 0 while it is blank.
    pub fleet: u64,
    /// It has a Master.
    pub is_led: bool,
}

/// What follows from what all say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Wait,
    /// This one founds a fleet with these.
    Found(Vec<NodeId>),
    /// This one forgets its fleet, for another.
    Forget,
}

/// What an instance knows besides that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// How many are to vote.
    pub count: usize,
    /// Somebody that is there has a Master, whether it votes or not.
    pub is_led: bool,
    /// In its own fleet nobody can ever be elected any more.
    pub is_lost: bool,
}

/// What is to be done by an instance. `voters` are those that are to vote and are there, the preferred one first.
/// [`Step::Forget`] is to have been said for [`FORGET_TIME`] without a pause.
pub fn step(own: Said, voters: &[Said], known: Known) -> Step {
    let size = |fleet: u64| voters.iter().filter(|said| said.fleet == fleet).count();
    if own.fleet == 0 {
        let is_first = voters.first().is_some_and(|said| said.id == own.id);
        let are_enough = size(0) == voters.len() && is_most(voters.len(), known.count);
        let may_found = !known.is_led && is_first && are_enough;
        return if may_found { Step::Found(voters.iter().map(|said| said.id).collect()) } else { Step::Wait };
    }
    let leads = |fleet: u64| voters.iter().any(|said| said.fleet == fleet && said.is_led);
    if own.is_led || leads(own.fleet) {
        return Step::Wait;
    }
    // A larger part is the better one; of equals the one that is led, then the smaller number.
    let worth = |fleet: u64| (size(fleet), leads(fleet), u64::MAX - fleet);
    let is_better = |said: &Said| said.fleet != 0 && worth(said.fleet) > worth(own.fleet);
    if known.is_lost || voters.iter().any(is_better) { Step::Forget } else { Step::Wait }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_founds_and_who_forgets() {
        let blank = |id| Said { id, fleet: 0, is_led: false };
        let of = |id, fleet| Said { id, fleet, is_led: false };
        let led = |id, fleet| Said { id, fleet, is_led: true };
        let found = |ids: &[NodeId]| Step::Found(ids.to_vec());
        let rows = [
            (blank(1), vec![blank(1), blank(2), blank(3)], 3, found(&[1, 2, 3])),
            (blank(2), vec![blank(1), blank(2), blank(3)], 3, Step::Wait),
            (blank(2), vec![blank(2), blank(3)], 3, found(&[2, 3])),
            (blank(2), vec![blank(2), blank(3)], 4, Step::Wait),
            (blank(2), vec![blank(2)], 3, Step::Wait),
            (blank(1), vec![blank(1), blank(2), of(3, 9)], 3, Step::Wait),
            (of(1, 9), vec![of(1, 9), of(2, 9), blank(3)], 3, Step::Wait),
            (of(1, 9), vec![of(1, 9), of(2, 8), blank(3)], 3, Step::Forget),
            (of(2, 8), vec![of(1, 9), of(2, 8), blank(3)], 3, Step::Wait),
            (of(2, 8), vec![of(1, 9), of(2, 8), of(3, 9)], 3, Step::Forget),
            (of(1, 9), vec![of(1, 9), of(2, 8), of(3, 9)], 3, Step::Wait),
            (of(2, 8), vec![led(1, 9), of(2, 8)], 3, Step::Forget),
            (led(1, 9), vec![led(1, 9), of(2, 8)], 3, Step::Wait),
            (led(1, 9), vec![led(1, 9), of(2, 8), of(3, 8)], 3, Step::Wait),
            (of(1, 9), vec![of(1, 9), led(2, 9), of(3, 8)], 3, Step::Wait),
            (blank(4), vec![blank(1), blank(2), blank(3)], 3, Step::Wait),
            (of(4, 9), vec![blank(1), blank(2), blank(3)], 3, Step::Wait),
            (of(4, 9), vec![of(1, 8), of(2, 8), blank(3)], 3, Step::Forget),
        ];
        for (own, voters, count, expected) in rows {
            let known = Known { count, is_led: voters.iter().any(|said| said.is_led), is_lost: false };
            assert_eq!(step(own, &voters, known), expected, "{own:?} {voters:?} of {count}");
        }
        // Where somebody is led who does not vote there is a fleet already.
        let all = [blank(1), blank(2), blank(3)];
        assert_eq!(step(blank(1), &all, Known { count: 3, is_led: true, is_lost: false }), Step::Wait);
        // Nobody waits for what cannot be.
        let lost = Known { count: 3, is_led: false, is_lost: true };
        assert_eq!(
            (step(of(1, 9), &[of(1, 9)], lost), step(led(1, 9), &[led(1, 9)], lost)),
            (Step::Forget, Step::Wait)
        );
    }
}
