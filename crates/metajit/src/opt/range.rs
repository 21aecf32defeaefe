//! What is known of a word: a signed interval, an unsigned interval, and known bits.
//!
//! **Problem.** The tests a dynamic language runs on every value (is it an integer? does the sum overflow?) are arithmetic
//! on boxed words. Most of them follow from tests done before.
//!
//! **Approach.** Three small domains that tighten each other. The unsigned interval sees the bands of NaN-boxed words
//! (integers, then doubles, at increasing offsets), the signed one sees counters and overflow, the bits see tags and
//! alignment. [`transfer`] computes what is known of a result; [`Range::meet`] adds a fact; [`Range::join`] keeps what
//! holds on two paths; [`Range::widened`] gives up precision in a few steps, so that loops settle.
//!
//! **Invariants.** A range is never empty: a contradiction means that the path is never taken, and whoever meets one keeps the
//! old fact.
//!
//! **Rejected.** One interval on the circle of words: elegant, but its joins and comparisons have cases that nobody gets
//! right at first sight.

use crate::ir::{Op, fold};

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    /// Least value, signed.
    pub(super) smin: i64,
    /// Greatest value, signed.
    pub(super) smax: i64,
    /// Least value, unsigned.
    pub(super) umin: u64,
    /// Greatest value, unsigned.
    pub(super) umax: u64,
    /// Bits known to be 0.
    pub(super) zeros: u64,
    /// Bits known to be 1.
    pub(super) ones: u64,
}

/// Patterns of floats that are not NaN. (Those of NaNs without a sign are among them, which does no harm.)
pub(super) const NUMBERS: Range = Range { umax: 0xfff0 << 48, ..Range::FULL };

/// Patterns of floats that are not NaN or the NaN that arithmetic makes, of either sign.
pub(super) const DEFAULT_NANS: Range = Range { umax: 0xfff8 << 48, ..Range::FULL };

/// What bounds are widened to: sizes of words and of boxed payloads.
const SIGNED_LANDMARKS: &[i64] = &[
    i64::MIN,
    -(1 << 61),
    -(1 << 60),
    -(1 << 53),
    -(1 << 51),
    -(1 << 50),
    i32::MIN as i64,
    -1,
    0,
    1,
    i32::MAX as i64,
    u32::MAX as i64,
    1 << 47,
    (1 << 50) - 1,
    (1 << 51) - 1,
    1 << 53,
    (1 << 60) - 1,
    (1 << 61) - 1,
    i64::MAX,
];

impl Range {
    /// Nothing known.
    pub(super) const FULL: Range = Range { smin: i64::MIN, smax: i64::MAX, umin: 0, umax: u64::MAX, zeros: 0, ones: 0 };
    /// 0 or 1.
    pub(super) const BOOL: Range = Range { smin: 0, smax: 1, umin: 0, umax: 1, zeros: !1, ones: 0 };

    /// One value.
    pub(super) fn exactly(bits: u64) -> Range {
        Range { smin: bits as i64, smax: bits as i64, umin: bits, umax: bits, zeros: !bits, ones: bits }
    }
    /// A signed interval.
    pub(super) fn signed(smin: i64, smax: i64) -> Range {
        Range { smin, smax, ..Range::FULL }.tightened().unwrap_or(Range::FULL)
    }
    /// An unsigned interval.
    pub(super) fn unsigned(umin: u64, umax: u64) -> Range {
        Range { umin, umax, ..Range::FULL }.tightened().unwrap_or(Range::FULL)
    }
    /// Known bits.
    pub(super) fn bits(zeros: u64, ones: u64) -> Range {
        Range { zeros, ones, ..Range::FULL }.tightened().unwrap_or(Range::FULL)
    }
    /// The value, if there is only one.
    pub(super) fn single(&self) -> Option<u64> {
        (self.umin == self.umax).then_some(self.umin)
    }
    /// Whether it can be this value.
    pub(super) fn contains(&self, bits: u64) -> bool {
        let signed = bits as i64;
        self.umin <= bits
            && bits <= self.umax
            && self.smin <= signed
            && signed <= self.smax
            && bits & self.zeros == 0
            && bits & self.ones == self.ones
    }
    /// Whether everything in `other` is in it.
    pub(super) fn includes(&self, other: &Range) -> bool {
        self.smin <= other.smin
            && self.smax >= other.smax
            && self.umin <= other.umin
            && self.umax >= other.umax
            && self.zeros & !other.zeros == 0
            && self.ones & !other.ones == 0
    }

    /// Whether it says next to nothing.
    pub(super) fn is_vague(&self) -> bool {
        let signed = (self.smax as u64).wrapping_sub(self.smin as u64);
        signed > 1 << 63 && self.umax - self.umin > 1 << 63 && self.zeros | self.ones == 0
    }
    /// The same, with each domain tightened by the others; `None` if nothing is left.
    pub(super) fn tightened(mut self) -> Option<Range> {
        if self == Range::FULL || self == Range::BOOL {
            return Some(self);
        }
        for _ in 0..3 {
            let before = self;
            // Bits bound the unsigned interval, and a common prefix of its ends is known bits.
            self.umin = self.umin.max(self.ones);
            self.umax = self.umax.min(!self.zeros);
            if self.umin > self.umax || self.smin > self.smax || self.zeros & self.ones != 0 {
                return None;
            }
            // Ends that the known low bits exclude move inwards.
            let low = trailing(self.zeros | self.ones) & !(1 << 63);
            if low != 0 {
                let bits = self.ones & low;
                self.umin = self.umin.checked_add(bits.wrapping_sub(self.umin) & low)?;
                self.umax = self.umax.checked_sub(self.umax.wrapping_sub(bits) & low)?;
                self.smin = self.smin.checked_add((bits.wrapping_sub(self.smin as u64) & low) as i64)?;
                self.smax = self.smax.checked_sub(((self.smax as u64).wrapping_sub(bits) & low) as i64)?;
                if self.umin > self.umax || self.smin > self.smax {
                    return None;
                }
            }
            let differ = self.umin ^ self.umax;
            let known = !(u64::MAX.checked_shr(differ.leading_zeros()).unwrap_or(0));
            self.ones |= self.umin & known;
            self.zeros |= !self.umin & known;
            // Where the sign is known, both intervals say the same.
            if self.umax <= i64::MAX as u64 || self.umin > i64::MAX as u64 {
                self.smin = self.smin.max(self.umin as i64);
                self.smax = self.smax.min(self.umax as i64);
            }
            if self.smin >= 0 || self.smax < 0 {
                self.umin = self.umin.max(self.smin as u64);
                self.umax = self.umax.min(self.smax as u64);
            }
            if self == before {
                break;
            }
        }
        (self.umin <= self.umax && self.smin <= self.smax && self.zeros & self.ones == 0).then_some(self)
    }
    /// What is known if both hold; `None` if they contradict.
    pub(super) fn meet(&self, other: &Range) -> Option<Range> {
        let both = Range {
            smin: self.smin.max(other.smin),
            smax: self.smax.min(other.smax),
            umin: self.umin.max(other.umin),
            umax: self.umax.min(other.umax),
            zeros: self.zeros | other.zeros,
            ones: self.ones | other.ones,
        };
        // Mostly one of them says it all, and has been tightened.
        if both == *self || both == *other { Some(both) } else { both.tightened() }
    }
    /// What is known if either holds.
    pub(super) fn join(&self, other: &Range) -> Range {
        Range {
            smin: self.smin.min(other.smin),
            smax: self.smax.max(other.smax),
            umin: self.umin.min(other.umin),
            umax: self.umax.max(other.umax),
            zeros: self.zeros & other.zeros,
            ones: self.ones & other.ones,
        }
    }
    /// A range that includes this one and was chosen from few: bounds that differ from `before`'s move to a landmark, or all
    /// the way.
    pub(super) fn widened(&self, before: &Range, all_the_way: bool) -> Range {
        let mut wide = *self;
        if all_the_way {
            let kept = |same: bool, bound: u64, end: u64| if same { bound } else { end };
            return Range {
                smin: kept(self.smin == before.smin, self.smin as u64, 1 << 63) as i64,
                smax: kept(self.smax == before.smax, self.smax as u64, !(1 << 63)) as i64,
                umin: kept(self.umin == before.umin, self.umin, 0),
                umax: kept(self.umax == before.umax, self.umax, u64::MAX),
                zeros: trailing(self.zeros | self.ones) & self.zeros,
                ones: trailing(self.zeros | self.ones) & self.ones,
            }
            .tightened()
            .unwrap_or(Range::FULL);
        }
        if self.smin < before.smin {
            wide.smin = SIGNED_LANDMARKS.iter().rev().copied().find(|&mark| mark <= self.smin).unwrap_or(i64::MIN);
        }
        if self.smax > before.smax {
            wide.smax = SIGNED_LANDMARKS.iter().copied().find(|&mark| mark >= self.smax).unwrap_or(i64::MAX);
        }
        // Unsigned bounds of boxed words are multiples of 2^48 (less one): bands of the encoding.
        if self.umin < before.umin {
            wide.umin = if self.umin < 1 << 48 { u64::from(self.umin > 0) } else { self.umin & !((1 << 48) - 1) };
        }
        if self.umax > before.umax {
            wide.umax = match u64::try_from(wide.smax) {
                Ok(smax) if self.smax >= 0 && self.umax == self.smax as u64 => smax,
                _ => self.umax | ((1 << 48) - 1),
            };
        }
        if (wide.smin, wide.smax, wide.umin, wide.umax) != (self.smin, self.smax, self.umin, self.umax) {
            // Bits that followed from the old bounds would hold the new ones back; alignment does not.
            let low = trailing(self.zeros | self.ones);
            wide.zeros &= low;
            wide.ones &= low;
        }
        wide.tightened().filter(|wide| wide.includes(self)).unwrap_or(Range::FULL)
    }
}

/// The lowest bits, as far as all are set.
fn trailing(bits: u64) -> u64 {
    let ones = bits.trailing_ones();
    u64::MAX.checked_shr(64 - ones).unwrap_or(0)
}

/// The interval `[low, high]` of exact results as words, if it does not wrap around the end of the signed words.
fn wrap_signed(low: i128, high: i128) -> (i64, i64) {
    let window = |value: i128| (value + (1 << 63)) >> 64;
    if window(low) == window(high) { (low as i64, high as i64) } else { (i64::MIN, i64::MAX) }
}

fn wrap_unsigned(low: i128, high: i128) -> (u64, u64) {
    if low >> 64 == high >> 64 { (low as u64, high as u64) } else { (0, u64::MAX) }
}

/// Exact bounds of a signed sum, difference or product.
pub(super) fn exact_signed(op: Op, a: &Range, b: &Range) -> (i128, i128) {
    let (a0, a1, b0, b1) = (a.smin as i128, a.smax as i128, b.smin as i128, b.smax as i128);
    corners(op, a0, a1, b0, b1)
}

fn corners(op: Op, a0: i128, a1: i128, b0: i128, b1: i128) -> (i128, i128) {
    match op {
        Op::Add | Op::AddOvf => (a0 + b0, a1 + b1),
        Op::Sub | Op::SubOvf => (a0 - b1, a1 - b0),
        _ => {
            // Products of unsigned words may exceed even 127 bits; then nothing is known.
            let all = [(a0, b0), (a0, b1), (a1, b0), (a1, b1)].map(|(a, b)| a.checked_mul(b).unwrap_or(i128::MAX));
            let (mut low, mut high) = (all[0], all[0]);
            for product in all {
                low = low.min(product);
                high = high.max(product);
            }
            (low, high)
        }
    }
}

fn arithmetic(op: Op, a: &Range, b: &Range) -> Range {
    let (low, high) = exact_signed(op, a, b);
    let (smin, smax) = wrap_signed(low, high);
    let (low, high) = corners(op, a.umin.into(), a.umax.into(), b.umin.into(), b.umax.into());
    let (umin, umax) = if high == i128::MAX { (0, u64::MAX) } else { wrap_unsigned(low, high) };
    let known = trailing(a.zeros | a.ones) & trailing(b.zeros | b.ones);
    let low_bits = fold(op, &[a.ones, b.ones]).unwrap_or(0);
    let multiple = match op {
        Op::Mul => {
            u64::MAX.checked_shl(a.zeros.trailing_ones() + b.zeros.trailing_ones()).map_or(u64::MAX, |bits| !bits)
        }
        _ => 0,
    };
    Range { smin, smax, umin, umax, zeros: !low_bits & known | multiple, ones: low_bits & known & !multiple }
}

fn overflow(op: Op, a: &Range, b: &Range) -> Range {
    let (low, high) = exact_signed(op, a, b);
    let fits = |value: i128| i64::try_from(value).is_ok();
    if fits(low) && fits(high) {
        Range::exactly(0)
    } else if low > i64::MAX.into() || high < i64::MIN.into() {
        Range::exactly(1)
    } else {
        Range::BOOL
    }
}

fn shift(op: Op, a: &Range, amount: u64) -> Range {
    let k = (amount & 63) as u32;
    match op {
        Op::Shl => {
            let low = (1u64 << k) - 1;
            let mut range = Range { zeros: a.zeros << k | low, ones: a.ones << k, ..Range::FULL };
            if a.umax.leading_zeros() >= k {
                (range.umin, range.umax) = (a.umin << k, a.umax << k);
            }
            if (a.smin << k) >> k == a.smin && (a.smax << k) >> k == a.smax {
                (range.smin, range.smax) = (a.smin << k, a.smax << k);
            }
            range
        }
        Op::Ushr => Range {
            umin: a.umin >> k,
            umax: a.umax >> k,
            zeros: a.zeros >> k | !(u64::MAX >> k),
            ones: a.ones >> k,
            ..Range::FULL
        },
        _ => Range {
            smin: a.smin >> k,
            smax: a.smax >> k,
            zeros: (a.zeros as i64 >> k) as u64,
            ones: (a.ones as i64 >> k) as u64,
            ..Range::FULL
        },
    }
}

fn extension(signed: bool, width: u32, a: &Range) -> Range {
    let mask = (1u64 << width) - 1;
    if signed {
        let half = 1i64 << (width - 1);
        if a.smin >= -half && a.smax < half {
            return *a;
        }
        Range { zeros: a.zeros & (mask >> 1), ones: a.ones & (mask >> 1), ..Range::signed(-half, half - 1) }
    } else {
        if a.umax <= mask {
            return *a;
        }
        Range { zeros: a.zeros | !mask, ones: a.ones & mask, ..Range::unsigned(0, mask) }
    }
}

/// The width and signedness of an extension.
pub(super) fn extension_of(op: Op) -> Option<(bool, u32)> {
    Some(match op {
        Op::Sext8 => (true, 8),
        Op::Sext16 => (true, 16),
        Op::Sext32 => (true, 32),
        Op::Zext8 => (false, 8),
        Op::Zext16 => (false, 16),
        Op::Zext32 => (false, 32),
        _ => return None,
    })
}

/// Whether a comparison must hold or can't.
fn decide(op: Op, a: &Range, b: &Range) -> Option<bool> {
    let three = |yes: bool, no: bool| {
        if yes {
            Some(true)
        } else if no {
            Some(false)
        } else {
            None
        }
    };
    match op {
        Op::Eq => three(a.single().is_some() && a.single() == b.single(), a.meet(b).is_none()),
        Op::Ne => decide(Op::Eq, a, b).map(|equal| !equal),
        Op::Lt => three(a.smax < b.smin, a.smin >= b.smax),
        Op::Le => three(a.smax <= b.smin, a.smin > b.smax),
        Op::Ult => three(a.umax < b.umin, a.umin >= b.umax),
        _ => three(a.umax <= b.umin, a.umin > b.umax),
    }
}

fn remainder(a: &Range, b: &Range) -> Range {
    let divisor = b.smin.unsigned_abs().max(b.smax.unsigned_abs());
    let most = divisor.saturating_sub(1).min(i64::MAX as u64) as i64;
    let low = if a.smin >= 0 { 0 } else { (-most).max(a.smin) };
    let high = if a.smax <= 0 { 0 } else { most.min(a.smax) };
    Range::signed(low, high)
}

fn quotient(a: &Range, b: &Range) -> Range {
    match b.single().map(|bits| bits as i64) {
        Some(divisor) if divisor > 0 => Range::signed(a.smin / divisor, a.smax / divisor),
        _ if a.smin >= 0 && b.smin > 0 => Range::signed(0, a.smax / b.smin),
        _ => Range::FULL,
    }
}

fn bitwise(op: Op, a: &Range, b: &Range) -> Range {
    // Between numbers of so many bits and a sign there are only such numbers.
    let bits = |value: i64| 64 - (value ^ value >> 63).leading_zeros();
    let width = [a.smin, a.smax, b.smin, b.smax].map(bits).into_iter().max().unwrap_or(63);
    let (smin, smax) = match width {
        63.. => (i64::MIN, i64::MAX),
        width => (-(1 << width), (1 << width) - 1),
    };
    let range = match op {
        Op::And => Range { zeros: a.zeros | b.zeros, ones: a.ones & b.ones, umax: a.umax.min(b.umax), ..Range::FULL },
        Op::Or => Range { zeros: a.zeros & b.zeros, ones: a.ones | b.ones, umin: a.umin.max(b.umin), ..Range::FULL },
        _ => Range {
            zeros: a.zeros & b.zeros | a.ones & b.ones,
            ones: a.zeros & b.ones | a.ones & b.zeros,
            ..Range::FULL
        },
    };
    Range { smin, smax, ..range }
}

/// What is known of the result of a pure operation (or of a load that never changes).
pub(super) fn transfer(op: Op, args: &[Range; 2]) -> Range {
    let [a, b] = args;
    let range = match op {
        Op::Add | Op::Sub | Op::Mul => arithmetic(op, a, b),
        Op::AddOvf | Op::SubOvf | Op::MulOvf => overflow(op, a, b),
        Op::UmulOvf => match a.umax.checked_mul(b.umax) {
            Some(_) => Range::exactly(0),
            None => Range::BOOL,
        },
        Op::And | Op::Or | Op::Xor => bitwise(op, a, b),
        Op::Shl | Op::Shr | Op::Ushr => match b.single() {
            Some(amount) => shift(op, a, amount),
            None if op == Op::Ushr => Range::unsigned(0, a.umax),
            None if op == Op::Shr => Range::signed(a.smin.min(0), a.smax.max(-1)),
            None => Range::FULL,
        },
        Op::Clz | Op::Ctz | Op::Popcnt => Range::unsigned(0, 64),
        Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Ult | Op::Ule => match decide(op, a, b) {
            Some(holds) => Range::exactly(holds.into()),
            None => Range::BOOL,
        },
        Op::Feq | Op::Fne | Op::Flt | Op::Fle => Range::BOOL,
        Op::Rem => remainder(a, b),
        Op::Div => quotient(a, b),
        Op::Urem => Range::unsigned(0, b.umax.saturating_sub(1).min(a.umax)),
        Op::Udiv => Range::unsigned(a.umin / b.umax.max(1), a.umax / b.umin.max(1)),
        Op::FloatBits | Op::BitsFloat => *a,
        Op::IntToFloat | Op::UintToFloat => NUMBERS,
        Op::Len => Range::unsigned(0, 1 << 47),
        Op::Stopped => Range::unsigned(0, 1),
        Op::ShapeOf => Range::unsigned(0, u32::MAX.into()),
        _ => match extension_of(op) {
            Some((signed, width)) => extension(signed, width, a),
            None => Range::FULL,
        },
    };
    range.tightened().unwrap_or(Range::FULL)
}

/// What is known of the first operand of a pure operation, given what is known of its result and of its other operand.
pub(super) fn back_to_first(op: Op, result: &Range, other: &Range) -> Range {
    let shifted = |f: &dyn Fn(u32) -> Range| other.single().map_or(Range::FULL, |amount| f((amount & 63) as u32));
    match op {
        Op::FloatBits | Op::BitsFloat => *result,
        Op::Add => transfer(Op::Sub, &[*result, *other]),
        Op::Sub => transfer(Op::Add, &[*result, *other]),
        Op::Xor => transfer(Op::Xor, &[*result, *other]),
        Op::And => Range::bits(result.zeros & other.ones, result.ones),
        Op::Or => Range::bits(result.zeros, result.ones & other.zeros),
        Op::Shl => shifted(&|k| Range::bits(result.zeros >> k & u64::MAX >> k, result.ones >> k)),
        Op::Ushr => shifted(&|k| {
            if result.umax.leading_zeros() < k {
                return Range::FULL;
            }
            Range::unsigned(result.umin << k, result.umax << k | ((1u64 << k) - 1))
        }),
        Op::Shr => shifted(&|k| {
            if (result.smin << k) >> k != result.smin || (result.smax << k) >> k != result.smax {
                return Range::FULL;
            }
            Range::signed(result.smin << k, result.smax << k | ((1u64 << k) - 1) as i64)
        }),
        _ => match extension_of(op) {
            Some((_, width)) => {
                let mask = (1u64 << width) - 1;
                Range::bits(result.zeros & mask, result.ones & mask)
            }
            None => Range::FULL,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boxed_integer_unboxes_to_its_payload() {
        let boxed = Range::unsigned(7 << 48, (15 << 48) - 1);
        let payload = transfer(Op::Add, &[boxed, Range::exactly((11u64 << 48).wrapping_neg())]);
        assert_eq!((payload.smin, payload.smax), (-(1 << 50), (1 << 50) - 1));
        let tested = transfer(Op::Add, &[payload, Range::exactly(1 << 50)]);
        assert_eq!(transfer(Op::Ult, &[tested, Range::exactly(1 << 51)]).single(), Some(1));
        let tag =
            back_to_first(Op::Add, &Range::unsigned(0, (1 << 51) - 1), &Range::exactly((7u64 << 48).wrapping_neg()));
        assert_eq!(tag, boxed);
    }

    #[test]
    fn every_domain_is_sound_on_samples() {
        let samples: Vec<u64> =
            [0u64, 1, 2, 3, 7, 8, 63, 64, 255, 256, 1 << 31, 1 << 32, 1 << 50, 1 << 51, 11 << 48, 1 << 62]
                .iter()
                .flat_map(|&bits| [bits, bits.wrapping_neg(), !bits, bits ^ (1 << 63)])
                .collect();
        let cover = |a: u64, b: u64| Range::exactly(a).join(&Range::exactly(b)).tightened().unwrap();
        for &op in Op::ALL {
            let info = op.info();
            let float = |ty: &crate::word::Type| *ty == crate::word::Type::Float;
            if info.class != crate::ir::Class::Pure || op == Op::ResultWord || info.operands.iter().any(float) {
                continue;
            }
            for window in samples.windows(2) {
                for &b in &samples {
                    let args = [cover(window[0], window[1]), cover(b, samples[b as usize % samples.len()])];
                    let range = transfer(op, &args);
                    for &a in window {
                        for b in [b, samples[b as usize % samples.len()]] {
                            let Some(result) = fold(op, &[a, b][..info.operands.len()]) else {
                                continue;
                            };
                            assert!(
                                range.contains(result),
                                "{op:?} {a:#x} {b:#x} = {result:#x} not in {range:x?} of {args:x?}"
                            );
                            let narrowed =
                                args[0].meet(&back_to_first(op, &Range::exactly(result), &Range::exactly(b)));
                            assert!(narrowed.is_some_and(|range| range.contains(a)), "{op:?} {a:#x} {b:#x} backwards");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn widening_settles() {
        let mut range = Range::exactly(0);
        for step in 0..12 {
            let next = range.join(&transfer(Op::Add, &[range, Range::exactly(1)]));
            if range.includes(&next) {
                assert!(step < 12);
                return;
            }
            range = next.widened(&range, step > 3);
            assert!(range.includes(&next));
        }
        panic!("does not settle: {range:?}");
    }
}
