//! Sorting, made once for all types: the standard library's is there anew for each, which were 5 % of the executable.
//!
//! What is sorted is a list of places; the things themselves are moved once, at the end.

use std::cmp::Ordering;

/// Sorts ascending; equals stay in their order.
pub fn ascending<T: Ord>(items: &mut [T]) {
    by(items, T::cmp);
}

/// Sorts ascending by a key; equals stay in their order.
pub fn by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    by(items, |one, other| key(one).cmp(&key(other)));
}

/// Sorts by a comparison; equals stay in their order.
pub fn by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let mut order = order(items.len(), &|one, other| compare(&items[one], &items[other]).is_le());
    for start in 0..items.len() {
        // Each round of things that take each other's place.
        let mut at = start;
        loop {
            let from = std::mem::replace(&mut order[at], at);
            if from == start || from == at {
                break;
            }
            items.swap(at, from);
            at = from;
        }
    }
}

/// The places in the order of what stands there, by merging longer and longer runs.
fn order(count: usize, may_stand_before: &dyn Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    if order.windows(2).all(|pair| may_stand_before(pair[0], pair[1])) {
        return order;
    }
    let (mut merged, mut run) = (Vec::with_capacity(count), 1);
    while run < count {
        for pair in order.chunks(2 * run) {
            let (mut left, mut right) = pair.split_at(run.min(pair.len()));
            while let (Some((one, more)), Some((other, others))) = (left.split_first(), right.split_first()) {
                if may_stand_before(*one, *other) {
                    merged.push(*one);
                    left = more;
                } else {
                    merged.push(*other);
                    right = others;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(&mut order, &mut merged);
        merged.clear();
        run *= 2;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_library_does() {
        // Numbers that look random, of which many are equal; all lengths about the edges of runs.
        let mut number = 1u32;
        for length in (0..40).chain([63, 64, 65, 1000]) {
            for kinds in [1, 2, 10, u32::MAX] {
                let mut items: Vec<(u32, usize)> = (0..length)
                    .map(|place| {
                        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        ((number >> 8) % kinds, place)
                    })
                    .collect();
                let mut expected = items.clone();
                expected.sort_by_key(|(number, _)| *number);
                by_key(&mut items, |(number, _)| *number);
                assert_eq!(items, expected, "{length} of {kinds}");
                by(&mut items, |one, other| other.cmp(one));
                ascending(&mut items);
                expected.sort();
                assert_eq!(items, expected, "{length} of {kinds}");
            }
        }
    }
}
