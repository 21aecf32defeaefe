//! The table of operations. Everything that depends on the set of operations derives from it.

use crate::word::Type::{self, Float, Int};

/// What executing an operation can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Class {
    /// Stands for a value given from outside.
    Input,
    /// Computes its result from its operands alone; may be merged, moved and dropped.
    Pure,
    /// Reads memory that may change.
    Load,
    /// Reads memory that never changes while the object lives.
    ImmutableLoad,
    /// Writes memory.
    Store,
    /// Makes an object.
    Alloc,
    /// Runs other code.
    Call,
    /// Leaves the trace when its condition does not hold.
    Guard,
    /// Says something about the trace and does nothing.
    Mark,
}

/// What the table says of an operation.
#[derive(Debug)]
pub struct OpInfo {
    /// How it is spelled in text.
    pub name: &'static str,
    /// The types of its fixed operands.
    pub operands: &'static [Type],
    /// The type of its result, if it has one that the table knows (`None` for `load` and `load_item`: their field says it).
    pub result: Option<Type>,
    /// What executing it can do.
    pub class: Class,
    /// What it means, in one sentence.
    pub meaning: &'static str,
}

macro_rules! ops {
    ($($name:ident $text:literal ($($operand:ident),*) $(-> $result:ident)? , $class:ident, $meaning:literal;)*) => {
        /// An operation of the trace IR.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        pub enum Op { $(#[doc = $meaning] $name),* }
        impl Op {
            /// All operations, in the order of the table.
            pub const ALL: &'static [Op] = &[$(Op::$name),*];
            /// The row of the table.
            pub const fn info(self) -> &'static OpInfo {
                const INFO: &[OpInfo] = &[$(OpInfo {
                    name: $text, operands: &[$($operand),*], result: ops!(@result $($result)?),
                    class: Class::$class, meaning: $meaning,
                }),*];
                &INFO[self as usize]
            }
        }
    };
    (@result) => { None };
    (@result $result:ident) => { Some($result) };
}

ops! {
    Param "param" () -> Int, Input, "An integer word given at the entry of a tree or as a block parameter.";
    FParam "fparam" () -> Float, Input, "A float given at the entry of a tree or as a block parameter.";

    Add "add" (Int, Int) -> Int, Pure, "Wrapping sum.";
    Sub "sub" (Int, Int) -> Int, Pure, "Wrapping difference.";
    Mul "mul" (Int, Int) -> Int, Pure, "Wrapping product.";
    Div "div" (Int, Int) -> Int, Pure, "Signed quotient, truncated; the divisor is not 0, nor -1 with the least dividend.";
    Rem "rem" (Int, Int) -> Int, Pure, "Signed remainder, with the dividend's sign; the divisor as for `div`.";
    Udiv "udiv" (Int, Int) -> Int, Pure, "Unsigned quotient; the divisor is not 0.";
    Urem "urem" (Int, Int) -> Int, Pure, "Unsigned remainder; the divisor is not 0.";
    And "and" (Int, Int) -> Int, Pure, "Bitwise and.";
    Or "or" (Int, Int) -> Int, Pure, "Bitwise or.";
    Xor "xor" (Int, Int) -> Int, Pure, "Bitwise exclusive or.";
    Shl "shl" (Int, Int) -> Int, Pure, "Left shift; the amount is taken modulo 64.";
    Shr "shr" (Int, Int) -> Int, Pure, "Arithmetic right shift; the amount is taken modulo 64.";
    Ushr "ushr" (Int, Int) -> Int, Pure, "Logical right shift; the amount is taken modulo 64.";
    Rotl "rotl" (Int, Int) -> Int, Pure, "Rotation to the left; the amount is taken modulo 64.";
    Clz "clz" (Int) -> Int, Pure, "Number of leading zero bits, 64 for zero.";
    Ctz "ctz" (Int) -> Int, Pure, "Number of trailing zero bits, 64 for zero.";
    Popcnt "popcnt" (Int) -> Int, Pure, "Number of one bits.";
    Sext8 "sext8" (Int) -> Int, Pure, "The low 8 bits, sign-extended.";
    Sext16 "sext16" (Int) -> Int, Pure, "The low 16 bits, sign-extended.";
    Sext32 "sext32" (Int) -> Int, Pure, "The low 32 bits, sign-extended.";
    Zext8 "zext8" (Int) -> Int, Pure, "The low 8 bits, zero-extended.";
    Zext16 "zext16" (Int) -> Int, Pure, "The low 16 bits, zero-extended.";
    Zext32 "zext32" (Int) -> Int, Pure, "The low 32 bits, zero-extended.";
    AddOvf "add_ovf" (Int, Int) -> Int, Pure, "1 if the sum overflows 64 bits signed, else 0.";
    SubOvf "sub_ovf" (Int, Int) -> Int, Pure, "1 if the difference overflows 64 bits signed, else 0.";
    MulOvf "mul_ovf" (Int, Int) -> Int, Pure, "1 if the product overflows 64 bits signed, else 0.";
    UmulOvf "umul_ovf" (Int, Int) -> Int, Pure, "1 if the product overflows 64 bits unsigned, else 0.";
    Eq "eq" (Int, Int) -> Int, Pure, "1 if equal, else 0.";
    Ne "ne" (Int, Int) -> Int, Pure, "1 if different, else 0.";
    Lt "lt" (Int, Int) -> Int, Pure, "1 if less, signed, else 0.";
    Le "le" (Int, Int) -> Int, Pure, "1 if less or equal, signed, else 0.";
    Ult "ult" (Int, Int) -> Int, Pure, "1 if less, unsigned, else 0.";
    Ule "ule" (Int, Int) -> Int, Pure, "1 if less or equal, unsigned, else 0.";

    Fadd "fadd" (Float, Float) -> Float, Pure, "Float sum.";
    Fsub "fsub" (Float, Float) -> Float, Pure, "Float difference.";
    Fmul "fmul" (Float, Float) -> Float, Pure, "Float product.";
    Fdiv "fdiv" (Float, Float) -> Float, Pure, "Float quotient.";
    Fneg "fneg" (Float) -> Float, Pure, "Float with its sign bit flipped.";
    Fabs "fabs" (Float) -> Float, Pure, "Float with its sign bit cleared.";
    Fsqrt "fsqrt" (Float) -> Float, Pure, "Square root.";
    Ffloor "ffloor" (Float) -> Float, Pure, "Rounded towards minus infinity.";
    Fceil "fceil" (Float) -> Float, Pure, "Rounded towards plus infinity.";
    Ftrunc "ftrunc" (Float) -> Float, Pure, "Rounded towards zero.";
    Feq "feq" (Float, Float) -> Int, Pure, "1 if equal and ordered, else 0.";
    Fne "fne" (Float, Float) -> Int, Pure, "1 if different or unordered, else 0.";
    Flt "flt" (Float, Float) -> Int, Pure, "1 if less and ordered, else 0.";
    Fle "fle" (Float, Float) -> Int, Pure, "1 if less or equal and ordered, else 0.";
    FloatBits "float_bits" (Float) -> Int, Pure, "The IEEE pattern of a float.";
    BitsFloat "bits_float" (Int) -> Float, Pure, "The float with this IEEE pattern.";
    IntToFloat "int_to_float" (Int) -> Float, Pure, "The float nearest to a signed integer.";
    UintToFloat "uint_to_float" (Int) -> Float, Pure, "The float nearest to an unsigned integer.";
    FloatToInt "float_to_int" (Float) -> Int, Pure, "Truncated to a signed integer, saturating, 0 for NaN: as Rust's `as`.";
    FloatToUint "float_to_uint" (Float) -> Int, Pure, "Truncated to an unsigned integer, saturating, 0 for NaN.";

    Load "load" (Int), Load, "Reads a scalar field of an object.";
    Store "store" (Int, Int), Store, "Writes a scalar field of an object (the second operand's type is the field's).";
    LoadItem "load_item" (Int, Int), Load, "Reads an item of an object's array; the index is in bounds.";
    StoreItem "store_item" (Int, Int, Int), Store, "Writes an item of an object's array; the index is in bounds.";
    Len "len" (Int) -> Int, ImmutableLoad, "The length of an object's array.";
    ShapeOf "shape_of" (Int) -> Int, ImmutableLoad, "The shape number in an object's header.";
    Stopped "stopped" () -> Int, Load, "1 if the thread has been asked to stop, else 0; whoever asks may be another thread.";
    New "new" (Int, Int) -> Int, Alloc, "Makes an object with so many array items, all of them the second operand; other fields are 0.";

    Call "call" () -> Int, Call, "Calls native code; the result is the first word it returns.";
    ResultWord "result_word" () -> Int, Pure, "Another word that the call just before returned; stands directly after it.";

    GuardTrue "guard_true" (Int), Guard, "Goes on if the operand is not 0.";
    GuardFalse "guard_false" (Int), Guard, "Goes on if the operand is 0.";
    GuardValue "guard_value" (Int, Int), Guard, "Goes on if the first operand equals the second, a constant.";
    GuardCount "guard_count" (Int), Guard, "Counts down the context's counter with this number, a constant; goes on if it has not got to 0.";
    GuardValid "guard_valid" (), Guard, "Goes on if the code has not been invalidated.";

    Merge "merge" (), Mark, "A merge point was passed; names its log node (trees only).";
}
