//! A language whose programs are numbers, so that there are as many hot loops as one wants. The hexadecimal digits of a program,
//! least first, are the body of a loop over three variables; 0 ends the body.

use metajit::prelude::*;

/// Runs a program whose loop goes round `i` times.
#[jit_driver(greens = [program, at], reds = [i, a, b])]
pub fn run(program: u64, i: i64) -> i64 {
    let at: u32 = 0;
    let a: i64 = 1;
    let b: i64 = 0;
    loop {
        jit_merge_point!();
        let digit = if at < 16 { (program >> (at * 4)) & 15 } else { 0 };
        at += 1;
        let skips = match digit {
            0 => {
                i -= 1;
                if i <= 0 {
                    return a ^ b;
                }
                at = 0;
                can_enter_jit!();
                false
            }
            1 => {
                a = a.wrapping_add(i);
                false
            }
            2 => {
                b ^= a;
                false
            }
            3 => {
                a = a.wrapping_mul(3);
                false
            }
            4 => {
                b = b.wrapping_add(a >> 3);
                false
            }
            5 => {
                let before = a;
                a = b.wrapping_add(i);
                b = before;
                false
            }
            6 => {
                a = a.wrapping_sub(b);
                false
            }
            7 => {
                b = b.wrapping_add(1);
                false
            }
            8 => a & 1 == 0,
            9 => i & 3 == 0,
            10 => b < 0,
            11 => i & 7 == 5,
            12 => a < b,
            13 => (a ^ i) & 6 == 0,
            14 => b & 4 == 0,
            _ => {
                a ^= i << 2;
                false
            }
        };
        if skips {
            at += 1;
        }
    }
}

/// The same by other means.
pub(crate) fn expected(program: u64, rounds: i64) -> i64 {
    let digits: Vec<u64> = (0..17).map(|at| if at < 16 { program >> (4 * at) & 15 } else { 0 }).collect();
    let (mut a, mut b) = (1i64, 0i64);
    for i in (1..=rounds).rev() {
        let mut at = 0;
        // A digit that skips over the end of the body goes on behind it.
        while at <= 16 && digits[at.min(16)] != 0 {
            let mut skips = false;
            match digits[at] {
                1 => a = a.wrapping_add(i),
                2 => b ^= a,
                3 => a = a.wrapping_mul(3),
                4 => b = b.wrapping_add(a >> 3),
                5 => (a, b) = (b.wrapping_add(i), a),
                6 => a = a.wrapping_sub(b),
                7 => b = b.wrapping_add(1),
                15 => a ^= i << 2,
                8 => skips = a % 2 == 0,
                9 => skips = i % 4 == 0,
                10 => skips = b.is_negative(),
                11 => skips = i % 8 == 5,
                12 => skips = a < b,
                13 => skips = (a ^ i) & 6 == 0,
                _ => skips = b & 4 == 0,
            }
            at += 1 + usize::from(skips);
        }
    }
    a ^ b
}

/// A program of digits that are all there up to `length`, chosen by `seed`.
pub(crate) fn program(seed: u64, length: u32) -> u64 {
    let mut random = metajit::testing::Random::new(seed);
    (0..length.min(16)).fold(0, |program, at| program | (1 + random.next() % 15) << (4 * at))
}
