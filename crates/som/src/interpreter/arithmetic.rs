//! Arithmetic on what fits into values. `None` says: send the message.
//!
//! Integers are 51 bits wide, so sums and differences never overflow a machine integer, and one test of the result
//! finds what is too wide. Doubles compare as they do in the library's methods; where those disagree (with NaN), the message is sent.

use super::sends::{MET, SITE, send_after_all};
use crate::objects::{Class, Frame, Method, SString, Unwind};
use crate::primitives::string::same_bytes;
use crate::universe::universe;
use crate::value::{Value, fits, from_double, from_integer};
use metajit::prelude::*;

/// In a site's caches: doubles were met there.
const DOUBLES: u64 = 1;

/// Whether threaded code is to try doubles first, as the interpreter has met some here.
#[jit]
#[inline(always)]
fn expects_doubles(method: Method, site: i64) -> bool {
    we_are_threaded() && seen(method.caches().entries(site * SITE + MET)) == DOUBLES
}

#[jit]
#[inline(always)]
fn note_doubles(method: Method, site: i64) {
    if !we_are_jitted() {
        let caches = method.caches();
        if caches.entries(site * SITE + MET) != DOUBLES {
            caches.set_entries(site * SITE + MET, DOUBLES);
        }
    }
}

/// `+`
#[enable_threaded_code]
#[inline(always)]
pub fn fast_add(method: Method, site: i64, left: Value, right: Value) -> Option<Value> {
    if expects_doubles(method, site) && either(left.is_double()) && right.is_double() {
        return Some(from_double(left.as_double() + right.as_double()));
    }
    if left.is_integer() && right.is_integer() {
        let sum = left.as_integer().wrapping_add(right.as_integer());
        if fits(sum) {
            return Some(from_integer(sum));
        }
        return None;
    }
    if left.is_double() {
        if right.is_double() {
            note_doubles(method, site);
            return Some(from_double(left.as_double() + right.as_double()));
        }
        if right.is_integer() {
            return Some(from_double(left.as_double() + right.as_integer() as f64));
        }
    } else if left.is_integer() && right.is_double() {
        return Some(from_double(left.as_integer() as f64 + right.as_double()));
    }
    None
}

/// `-`
#[enable_threaded_code]
#[inline(always)]
pub fn fast_subtract(method: Method, site: i64, left: Value, right: Value) -> Option<Value> {
    if expects_doubles(method, site) && either(left.is_double()) && right.is_double() {
        return Some(from_double(left.as_double() - right.as_double()));
    }
    if left.is_integer() && right.is_integer() {
        let difference = left.as_integer().wrapping_sub(right.as_integer());
        if fits(difference) {
            return Some(from_integer(difference));
        }
        return None;
    }
    if left.is_double() {
        if right.is_double() {
            note_doubles(method, site);
            return Some(from_double(left.as_double() - right.as_double()));
        }
        if right.is_integer() {
            return Some(from_double(left.as_double() - right.as_integer() as f64));
        }
    } else if left.is_integer() && right.is_double() {
        return Some(from_double(left.as_integer() as f64 - right.as_double()));
    }
    None
}

/// `*`
#[enable_threaded_code]
#[inline(always)]
pub fn fast_multiply(method: Method, site: i64, left: Value, right: Value) -> Option<Value> {
    if expects_doubles(method, site) && either(left.is_double()) && right.is_double() {
        return Some(from_double(left.as_double() * right.as_double()));
    }
    if left.is_integer() && right.is_integer() {
        return match left.as_integer().checked_mul(right.as_integer()) {
            Some(product) => {
                if fits(product) {
                    Some(from_integer(product))
                } else {
                    None
                }
            }
            None => None,
        };
    }
    if left.is_double() {
        if right.is_double() {
            note_doubles(method, site);
            return Some(from_double(left.as_double() * right.as_double()));
        }
        if right.is_integer() {
            return Some(from_double(left.as_double() * right.as_integer() as f64));
        }
    } else if left.is_integer() && right.is_double() {
        return Some(from_double(left.as_integer() as f64 * right.as_double()));
    }
    None
}

/// `+` of two slots: the message, where it is nothing simpler.
#[enable_threaded_code(reads_from = base)]
#[inline(always)]
pub fn add_slots(method: Method, frame: Frame, base: i64, site: i64, literal: i64) -> Result<Value, Unwind> {
    match fast_add(method, site, frame.slots(base), frame.slots(base + 1)) {
        Some(answer) => Ok(answer),
        None => send_after_all(method, frame, base, 1, site, literal),
    }
}

/// `-` of two slots: the message, where it is nothing simpler.
#[enable_threaded_code(reads_from = base)]
#[inline(always)]
pub fn subtract_slots(method: Method, frame: Frame, base: i64, site: i64, literal: i64) -> Result<Value, Unwind> {
    match fast_subtract(method, site, frame.slots(base), frame.slots(base + 1)) {
        Some(answer) => Ok(answer),
        None => send_after_all(method, frame, base, 1, site, literal),
    }
}

/// `*` of two slots: the message, where it is nothing simpler.
#[enable_threaded_code(reads_from = base)]
#[inline(always)]
pub fn multiply_slots(method: Method, frame: Frame, base: i64, site: i64, literal: i64) -> Result<Value, Unwind> {
    match fast_multiply(method, site, frame.slots(base), frame.slots(base + 1)) {
        Some(answer) => Ok(answer),
        None => send_after_all(method, frame, base, 1, site, literal),
    }
}

/// `<`
#[enable_threaded_code]
#[inline(always)]
pub fn fast_less(method: Method, site: i64, left: Value, right: Value) -> Option<bool> {
    if expects_doubles(method, site) && either(left.is_double()) && right.is_double() {
        return Some(left.as_double() < right.as_double());
    }
    if left.is_integer() && right.is_integer() {
        // The encoding of integers is in order.
        return Some(left.bits() < right.bits());
    }
    if left.is_double() && right.is_double() {
        note_doubles(method, site);
        return Some(left.as_double() < right.as_double());
    }
    None
}

/// `<=`
#[enable_threaded_code]
#[inline(always)]
pub fn fast_less_or_equal(method: Method, site: i64, left: Value, right: Value) -> Option<bool> {
    if expects_doubles(method, site) && either(left.is_double()) && right.is_double() {
        return Some(left.as_double() <= right.as_double());
    }
    if left.is_integer() && right.is_integer() {
        return Some(left.bits() <= right.bits());
    }
    if left.is_double() && right.is_double() {
        note_doubles(method, site);
        return Some(left.as_double() <= right.as_double());
    }
    None
}

/// `>`
#[enable_threaded_code]
#[inline(always)]
pub fn fast_greater(method: Method, site: i64, left: Value, right: Value) -> Option<bool> {
    if expects_doubles(method, site) && either(left.is_double()) && right.is_double() {
        return greater_double(left, right);
    }
    if left.is_integer() && right.is_integer() {
        return Some(left.bits() > right.bits());
    }
    if left.is_double() && right.is_double() {
        note_doubles(method, site);
        return greater_double(left, right);
    }
    None
}

/// `>` of doubles. With NaN, the message is sent.
#[jit]
#[inline(always)]
fn greater_double(left: Value, right: Value) -> Option<bool> {
    if either(left.as_double() > right.as_double()) {
        return Some(true);
    }
    if left.as_double() <= right.as_double() {
        return Some(false);
    }
    None
}

/// `>=`
#[enable_threaded_code]
#[inline(always)]
pub fn fast_greater_or_equal(method: Method, site: i64, left: Value, right: Value) -> Option<bool> {
    if expects_doubles(method, site) && either(left.is_double()) && right.is_double() {
        return greater_or_equal_double(left, right);
    }
    if left.is_integer() && right.is_integer() {
        return Some(left.bits() >= right.bits());
    }
    if left.is_double() && right.is_double() {
        note_doubles(method, site);
        return greater_or_equal_double(left, right);
    }
    None
}

/// `>=` of doubles. With NaN, the message is sent.
#[jit]
#[inline(always)]
fn greater_or_equal_double(left: Value, right: Value) -> Option<bool> {
    if either(left.as_double() >= right.as_double()) {
        return Some(true);
    }
    if left.as_double() < right.as_double() {
        return Some(false);
    }
    None
}

/// `=`
#[enable_threaded_code]
#[inline(always)]
pub fn fast_equal(method: Method, site: i64, left: Value, right: Value) -> Option<bool> {
    if expects_doubles(method, site) && either(left.is_double()) && right.is_double() {
        return Some(left.as_double() == right.as_double());
    }
    if left.is_integer() && right.is_integer() {
        return Some(left == right);
    }
    if left.is_double() && right.is_double() {
        note_doubles(method, site);
        return Some(left.as_double() == right.as_double());
    }
    if left.is_object() && right.is_object() {
        return equal_strings(left, right);
    }
    None
}

/// `=` of strings and symbols, which `String` understands by its primitive.
#[enable_threaded_code]
#[inline(never)]
fn equal_strings(left: Value, right: Value) -> Option<bool> {
    if !is_string(left.as_object().class()) || !is_string(right.as_object().class()) {
        return None;
    }
    if left == right {
        return Some(true);
    }
    // SAFETY: instances of these classes are strings.
    let (left, right) = unsafe { (SString::from_bits(left.bits()), SString::from_bits(right.bits())) };
    if left.hash() != right.hash() || left.bytes_len() != right.bytes_len() {
        return Some(false);
    }
    Some(same_bytes(left, right))
}

#[jit]
#[inline(always)]
fn is_string(class: Class) -> bool {
    class == universe().string_class() || class == universe().symbol_class()
}

/// `<>` and `~=`, which differ for doubles.
#[enable_threaded_code]
#[inline(always)]
pub fn fast_not_equal(left: Value, right: Value) -> Option<bool> {
    if left.is_integer() && right.is_integer() {
        return Some(left != right);
    }
    None
}

/// `==`: integers are identical when they are equal, whatever their size.
#[enable_threaded_code]
#[inline(always)]
pub fn fast_identical(left: Value, right: Value) -> Option<bool> {
    if left.is_object() {
        if universe().identity_overridden() {
            return None;
        }
        if left == right {
            return Some(true);
        }
        if left.as_object().class() == universe().integer_class() {
            return None;
        }
        return Some(false);
    }
    if left.is_integer() {
        if right.is_integer() {
            return Some(left == right);
        }
        return None;
    }
    if universe().identity_overridden() {
        return None;
    }
    Some(left == right)
}
