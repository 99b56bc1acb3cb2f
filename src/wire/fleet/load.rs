//! How much a host has to do, as it is told to who looks: a point of twelve bytes.

use super::codec::{Malformed, Reader};

/// Bytes of a point.
pub const POINT_BYTES: usize = 12;

/// Bits of a rate that are kept; the rest of the sixteen says how often they are doubled.
const MANTISSA_BITS: u32 = 11;

/// How much a host has to do, over the time since the point before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Tenths of a second of the host's own clock. It begins anew after thirteen years.
    pub at: u32,
    /// Processors at work, in hundredths of a percent of all of them.
    pub processors: u16,
    /// Memory in use, in hundredths of a percent.
    pub memory: u16,
    /// Kilobits a second over the network, to within a thousandth.
    pub received: u64,
    /// The same the other way.
    pub sent: u64,
}

impl Load {
    /// The point as it is sent.
    pub fn bytes(&self) -> [u8; POINT_BYTES] {
        let mut out = [0; POINT_BYTES];
        out[..4].copy_from_slice(&self.at.to_be_bytes());
        for (place, number) in
            out[4..].chunks_exact_mut(2).zip([self.processors, self.memory, packed(self.received), packed(self.sent)])
        {
            place.copy_from_slice(&number.to_be_bytes());
        }
        out
    }

    /// Reads what [`Load::bytes`] has made; what newer ones have more is passed over.
    pub fn read(bytes: &[u8]) -> Result<Load, Malformed> {
        let mut input = Reader::new(bytes);
        let mut word = || Ok(u16::from_be_bytes([input.byte()?, input.byte()?]));
        let at = [word()?, word()?];
        let (processors, memory, received, sent) = (word()?, word()?, word()?, word()?);
        let at = u32::from(at[0]) << 16 | u32::from(at[1]);
        Ok(Load { at, processors, memory, received: unpacked(received), sent: unpacked(sent) })
    }
}

fn packed(number: u64) -> u16 {
    let doubled = (u64::BITS - number.leading_zeros()).saturating_sub(MANTISSA_BITS);
    // Beyond what five bits can say there is no network.
    match u16::try_from(doubled) {
        Ok(doubled @ 0..32) => doubled << MANTISSA_BITS | (number >> doubled) as u16,
        _ => u16::MAX,
    }
}

fn unpacked(number: u16) -> u64 {
    u64::from(number & ((1 << MANTISSA_BITS) - 1)) << (number >> MANTISSA_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_come_back() {
        let load = Load { at: 0x0102_0304, processors: 10_000, memory: 5_025, received: 2_047, sent: 1 << 40 };
        let bytes = load.bytes();
        assert_eq!((bytes.len(), Load::read(&bytes)), (POINT_BYTES, Ok(load)));
        for short in 0..bytes.len() {
            assert_eq!(Load::read(&bytes[..short]), Err(Malformed), "cut at {short}");
        }
        assert_eq!(Load::read(&[&bytes[..], &[7]].concat()), Ok(load), "one that says more");
    }

    #[test]
    fn rates_are_right_to_within_a_thousandth() {
        for number in [0, 1, 2_047, 2_048, 2_049, 123_456, 10_000_000, 400_000_000_000, (2_047 << 31) + 1] {
            let back = unpacked(packed(number));
            assert!(back <= number && number - back <= number / 1_000, "{number} {back}");
        }
        assert_eq!(unpacked(packed(u64::MAX)), 2_047 << 31, "the most that there is");
    }
}
