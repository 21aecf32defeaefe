//! Integers of every width: operators and methods.

macro_rules! of_width {
    ($module:ident, $t:ident) => {
        mod $module {
            use crate::harness::INTERESTING;
            use metajit::prelude::*;

            #[jit]
            fn wrapping_add(a: i64, b: i64) -> i64 {
                (a as $t).wrapping_add(b as $t) as i64
            }
            #[jit]
            fn wrapping_sub(a: i64, b: i64) -> i64 {
                (a as $t).wrapping_sub(b as $t) as i64
            }
            #[jit]
            fn wrapping_mul(a: i64, b: i64) -> i64 {
                (a as $t).wrapping_mul(b as $t) as i64
            }
            #[jit]
            fn wrapping_neg(a: i64, b: i64) -> i64 {
                ((a as $t).wrapping_neg() as i64) ^ b
            }
            #[jit]
            fn checked_add(a: i64, b: i64) -> i64 {
                match (a as $t).checked_add(b as $t) {
                    Some(sum) => sum as i64,
                    None => 12345,
                }
            }
            #[jit]
            fn checked_sub(a: i64, b: i64) -> i64 {
                let Some(difference) = (a as $t).checked_sub(b as $t) else { return 12345 };
                difference as i64
            }
            #[jit]
            fn checked_mul(a: i64, b: i64) -> i64 {
                if let Some(product) = (a as $t).checked_mul(b as $t) { product as i64 } else { 12345 }
            }
            #[jit]
            fn checked_div(a: i64, b: i64) -> i64 {
                (a as $t).checked_div(b as $t).unwrap_or(77) as i64
            }
            #[jit]
            fn checked_rem(a: i64, b: i64) -> i64 {
                (a as $t).checked_rem(b as $t).unwrap_or(77) as i64
            }
            #[jit]
            fn checked_neg(a: i64, b: i64) -> i64 {
                (a as $t).checked_neg().unwrap_or(b as $t) as i64
            }
            #[jit]
            fn checked_shifts(a: i64, b: i64) -> i64 {
                let (x, by) = (a as $t, b as u32);
                (x.checked_shl(by).unwrap_or(3) as i64) ^ (x.checked_shr(by).unwrap_or(5) as i64)
            }
            #[jit]
            fn overflowing(a: i64, b: i64) -> i64 {
                let (x, y) = (a as $t, b as $t);
                let (sum, carried) = x.overflowing_add(y);
                let (difference, borrowed) = x.overflowing_sub(y);
                let (product, lost) = x.overflowing_mul(y);
                let (negative, turned) = x.overflowing_neg();
                let flags = carried as i64 + 2 * borrowed as i64 + 4 * lost as i64 + 8 * turned as i64;
                (sum as i64).wrapping_add(3i64.wrapping_mul(difference as i64)).wrapping_add(7i64.wrapping_mul(product as i64))
                    .wrapping_add(negative as i64).wrapping_add(flags)
            }
            #[jit]
            fn saturating_add(a: i64, b: i64) -> i64 {
                (a as $t).saturating_add(b as $t) as i64
            }
            #[jit]
            fn saturating_sub(a: i64, b: i64) -> i64 {
                (a as $t).saturating_sub(b as $t) as i64
            }
            #[jit]
            fn saturating_mul(a: i64, b: i64) -> i64 {
                (a as $t).saturating_mul(b as $t) as i64
            }
            #[jit]
            fn wrapping_shifts(a: i64, b: i64) -> i64 {
                let (x, by) = (a as $t, b as u32);
                (x.wrapping_shl(by) as i64).wrapping_mul(3) ^ (x.wrapping_shr(by) as i64)
            }
            #[jit]
            fn shifts(a: i64, b: i64) -> i64 {
                let by = b & (<$t>::BITS as i64 - 1);
                let (left, right) = ((a as $t) << by, (a as $t) >> (by as u8));
                (left as i64).wrapping_mul(5) ^ (right as i64)
            }
            #[jit]
            fn shifts_by_constants(a: i64, b: i64) -> i64 {
                let mut x = a as $t;
                x <<= 3;
                let mut y = b as $t;
                y >>= 5;
                (x as i64) ^ (y as i64) ^ ((x >> 1) as i64) ^ ((y << 1) as i64)
            }
            #[jit]
            fn rotations(a: i64, b: i64) -> i64 {
                let x = a as $t;
                (x.rotate_left(b as u32) as i64) ^ (x.rotate_right(3) as i64).wrapping_mul(3)
            }
            #[jit]
            fn bitwise(a: i64, b: i64) -> i64 {
                let (x, y) = (a as $t, b as $t);
                let mut z = x & !y;
                z |= y & 0x55;
                z ^= x | y;
                z &= !(x ^ 3);
                z as i64
            }
            #[jit]
            fn counts(a: i64, b: i64) -> i64 {
                let (x, y) = (a as $t, b as $t);
                (x.count_ones() + 100 * x.leading_zeros() + 10_000 * x.trailing_zeros() + 1_000_000 * y.count_zeros()) as i64
            }
            #[jit]
            fn comparisons(a: i64, b: i64) -> i64 {
                let (x, y) = (a as $t, b as $t);
                (x < y) as i64 + 2 * (x <= y) as i64 + 4 * (x > y) as i64 + 8 * (x >= y) as i64 + 16 * (x == y) as i64 + 32 * (x != y) as i64
            }
            #[jit]
            fn branches(a: i64, b: i64) -> i64 {
                let (x, y) = (a as $t, b as $t);
                if x < y { 1 } else if x == y { 2 } else if x > 100 { 3 } else { 4 }
            }
            #[jit]
            fn minimum_and_maximum(a: i64, b: i64) -> i64 {
                let (x, y) = (a as $t, b as $t);
                (x.min(y) as i64) ^ (x.max(y) as i64).wrapping_mul(7)
            }
            #[jit]
            fn clamped(a: i64, b: i64) -> i64 {
                ((a as $t).clamp(3, 90) as i64) ^ (b as $t) as i64
            }
            #[jit]
            fn distances(a: i64, b: i64) -> i64 {
                (a as $t).abs_diff(b as $t) as i64
            }
            #[jit]
            fn division(a: i64, b: i64) -> i64 {
                (a as $t / b as $t) as i64
            }
            #[jit]
            fn remainder(a: i64, b: i64) -> i64 {
                (a as $t % b as $t) as i64
            }
            #[jit]
            fn wrapping_division(a: i64, b: i64) -> i64 {
                let (x, y) = (a as $t, b as $t);
                (x.wrapping_div(y) as i64) ^ (x.wrapping_rem(y) as i64).wrapping_mul(3)
            }
            #[jit]
            fn euclidean_division(a: i64, b: i64) -> i64 {
                let (x, y) = (a as $t, b as $t);
                if y == 0 { return 5 }
                (x.wrapping_div_euclid(y) as i64) ^ (x.wrapping_rem_euclid(y) as i64).wrapping_mul(3)
            }
            #[jit]
            fn division_by_constants(a: i64, b: i64) -> i64 {
                let (x, y) = (a as $t, b as $t);
                (x / 7) as i64 + (y % 10) as i64 + (x % 8) as i64 + (y / 4) as i64
            }
            #[jit]
            fn addition(a: i64, b: i64) -> i64 {
                (a as $t + b as $t) as i64
            }
            #[jit]
            fn subtraction(a: i64, b: i64) -> i64 {
                (a as $t - b as $t) as i64
            }
            #[jit]
            fn multiplication(a: i64, b: i64) -> i64 {
                (a as $t * b as $t) as i64
            }
            #[jit]
            fn compound(a: i64, b: i64) -> i64 {
                let mut x = a as $t;
                x += 1;
                x -= b as $t;
                x *= 2;
                x /= 3;
                x %= 50;
                x as i64
            }
            #[jit]
            fn bounds(a: i64, b: i64) -> i64 {
                let x = a as $t;
                if x == $t::MAX { 1 } else if x == <$t>::MIN { 2 } else { b ^ ($t::BITS as i64) }
            }
            #[jit]
            fn powers(a: i64, b: i64) -> i64 {
                (a as $t).wrapping_pow((b & 7) as u32) as i64
            }
            #[jit]
            fn swapped(a: i64, b: i64) -> i64 {
                ((a as $t).swap_bytes() as i64) ^ b
            }
            #[jit]
            fn zero_test(a: i64, b: i64) -> i64 {
                if a as $t == 0 { b } else { (b as $t != 0) as i64 }
            }

            suite! { compiled_code_agrees(INTERESTING) {
                0 => wrapping_add, 1 => wrapping_sub, 2 => wrapping_mul, 3 => wrapping_neg, 4 => checked_add, 5 => checked_sub,
                6 => checked_mul, 7 => checked_div, 8 => checked_rem, 9 => checked_neg, 10 => checked_shifts, 11 => overflowing,
                12 => saturating_add, 13 => saturating_sub, 14 => saturating_mul, 15 => wrapping_shifts, 16 => shifts,
                17 => shifts_by_constants, 18 => rotations, 19 => bitwise, 20 => counts, 21 => comparisons, 22 => branches,
                23 => minimum_and_maximum, 24 => clamped, 25 => distances, 26 => division, 27 => remainder,
                28 => wrapping_division, 29 => euclidean_division, 30 => division_by_constants, 31 => addition,
                32 => subtraction, 33 => multiplication, 34 => compound, 35 => bounds, 36 => powers, 37 => swapped, 38 => zero_test,
            } }
        }
    };
}
of_width!(of_8_bits, i8);
of_width!(of_16_bits, i16);
of_width!(of_32_bits, i32);
of_width!(of_64_bits, i64);
of_width!(of_pointer_size, isize);
of_width!(of_8_bits_unsigned, u8);
of_width!(of_16_bits_unsigned, u16);
of_width!(of_32_bits_unsigned, u32);
of_width!(of_64_bits_unsigned, u64);
of_width!(of_pointer_size_unsigned, usize);

macro_rules! signed_only {
    ($module:ident, $t:ident) => {
        mod $module {
            use crate::harness::INTERESTING;
            use metajit::prelude::*;

            #[jit]
            fn absolute(a: i64, b: i64) -> i64 {
                (a as $t).wrapping_abs() as i64 ^ b
            }
            #[jit]
            fn absolute_or_panic(a: i64, b: i64) -> i64 {
                (a as $t).abs() as i64 ^ b
            }
            #[jit]
            fn unsigned_absolute(a: i64, b: i64) -> i64 {
                (a as $t).unsigned_abs() as i64 ^ b
            }
            #[jit]
            fn signs(a: i64, b: i64) -> i64 {
                let (x, y) = (a as $t, b as $t);
                x.signum() as i64 + 10 * y.is_negative() as i64 + 20 * y.is_positive() as i64
            }
            #[jit]
            fn negation(a: i64, b: i64) -> i64 {
                -(a as $t) as i64 ^ b
            }
            #[jit]
            fn negative_literals(a: i64, b: i64) -> i64 {
                let x = a as $t;
                if x == -1 { -2 } else if x < -100 { -(b as $t).wrapping_add(-3).min(0).max(-5) as i64 } else { 0 }
            }

            suite! { compiled_code_agrees(INTERESTING) {
                0 => absolute, 1 => absolute_or_panic, 2 => unsigned_absolute, 3 => signs, 4 => negation, 5 => negative_literals,
            } }
        }
    };
}
signed_only!(signed_8_bits, i8);
signed_only!(signed_16_bits, i16);
signed_only!(signed_32_bits, i32);
signed_only!(signed_64_bits, i64);
signed_only!(signed_pointer_size, isize);

mod conversions {
    use crate::harness::INTERESTING;
    use metajit::prelude::*;

    macro_rules! through {
        ($($name:ident: $($t:ident)*;)*) => { $(
            #[jit]
            fn $name(a: i64, b: i64) -> i64 {
                let x = a $(as $t)*;
                let y = b.wrapping_mul(a) $(as $t)*;
                (x as i64) ^ (y as i64).wrapping_mul(3)
            }
        )* };
    }
    through! {
        i8_u64: i8 u64; u8_i64: u8 i64; i16_u32_i64: i16 u32 i64; u16_i8: u16 i8; i32_u8: i32 u8; u32_i32: u32 i32; i32_u32: i32 u32;
        u64_i8_u16: u64 i8 u16; usize_i32: usize i32; isize_u16: isize u16; i8_u8_i16: i8 u8 i16; i8_u16_u64: i8 u16 u64;
        i32_f64: i32 f64; u64_f64: u64 f64; u8_char: u8 char u32; u8_char_u8: u8 char u8;
    }
    #[jit]
    fn truth(a: i64, b: i64) -> i64 {
        (a < b) as i64 + ((a == b) as u8 as i64) * 2 + (a > b) as usize as i64 * 4
    }
    #[jit]
    fn lossless(a: i64, b: i64) -> i64 {
        let (x, y) = (a as i32, b as u8);
        i64::from(x) ^ i64::from(y) ^ i64::from(u32::from(y)) ^ (u64::from(y) as i64) ^ (i32::from(y < 3) as i64)
    }
    #[jit]
    fn characters(a: i64, b: i64) -> i64 {
        let letter = char::from(a as u8);
        let other = (b as u8) as char;
        if letter == 'a' || letter == '\u{7f}' {
            1
        } else if letter < other {
            letter as i64
        } else {
            (other as u32 as i64) * 2
        }
    }
    #[jit]
    fn checked_characters(a: i64, b: i64) -> i64 {
        match char::from_u32((a ^ b) as u32) {
            Some('\0') => 1,
            Some(c) => c as i64,
            None => -1,
        }
    }
    suite! { compiled_code_agrees(INTERESTING) {
        0 => i8_u64, 1 => u8_i64, 2 => i16_u32_i64, 3 => u16_i8, 4 => i32_u8, 5 => u32_i32, 6 => i32_u32, 7 => u64_i8_u16, 8 => usize_i32,
        9 => isize_u16, 10 => i8_u8_i16, 11 => i8_u16_u64, 12 => i32_f64, 13 => u64_f64, 14 => u8_char, 15 => u8_char_u8, 16 => truth,
        17 => lossless, 18 => characters, 19 => checked_characters,
    } }
}
