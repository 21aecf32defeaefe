//! The bytecode: one 64-bit word per instruction.
//!
//! The low byte is the operation; then come the operands A (8 bits), B (16 bits) and C (32 bits). Wide words cost a little
//! memory and save every instruction its operand decoding: a word is loaded once and taken apart by shifts,
//! and in traced code it is a constant.
//!
//! The depth of the operand stack is a function of the place in the code. No instruction names it; the compiler
//! counts it to know how large a frame must be.
//!
//! Pairs that are frequent have an operation that does both: it replaces the operation of the first and finds the operands of the second in the
//! next word, which stays as it was. So a jump may lead to the second, and nothing moves.

/// Takes an instruction apart.
#[inline(always)]
pub const fn op(word: u64) -> u64 {
    word & 0xFF
}

/// Puts an instruction together.
pub const fn word(op: u64, a: u8, b: u16, c: u32) -> u64 {
    op | (a as u64) << 8 | (b as u64) << 16 | (c as u64) << 32
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        operations!(@define 0u64; $($(#[$doc])* $name,)*);
        /// Names of the operations, for the disassembler.
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
    (@define $number:expr; $(#[$doc:meta])* $name:ident, $($rest:tt)*) => {
        $(#[$doc])*
        pub const $name: u64 = $number;
        operations!(@define $number + 1; $($rest)*);
    };
    (@define $number:expr;) => {};
}

operations! {
    /// Pushes slot B.
    PUSH_LOCAL,
    /// Pushes literal C.
    PUSH_CONST,
    /// Pushes the integer C.
    PUSH_INT,
    /// Pushes the value with bits C: nil, false or true.
    PUSH_SPECIAL,
    /// Pushes field B of the object `self`.
    PUSH_FIELD,
    /// Pushes field B of the class `self`.
    PUSH_CLASS_FIELD,
    /// Pushes variable C of the context A steps out from slot B.
    PUSH_CONTEXT,
    /// Pushes the content of the cell in slot B.
    PUSH_CELL,
    /// Pushes the global in literal C.
    PUSH_GLOBAL,
    /// Pushes a block: code in literal C, context in slot B (0: none), home if A.
    PUSH_BLOCK,
    /// The same with cells: literal in the low half of C, their number in the high half; pops them.
    PUSH_BLOCK_CELLS,
    /// Drops the top.
    POP,
    /// Doubles the top.
    DUP,
    /// Pops into slot B.
    STORE_LOCAL,
    /// Pops into field B of the object `self`.
    STORE_FIELD,
    /// Pops into field B of the class `self`.
    STORE_CLASS_FIELD,
    /// Pops into variable C of the context A steps out from slot B.
    STORE_CONTEXT,
    /// Pops into the cell in slot B.
    STORE_CELL,
    /// Slot B becomes nil.
    NIL_LOCAL,
    /// Slot B becomes a fresh cell.
    NEW_CELL,
    /// Slot B becomes a cell with its content.
    BOX_LOCAL,
    /// The block's cells go to the slots from B on.
    LOAD_CELLS,
    /// Slot B becomes a context with as many variables as the low half of C says, around the one in the slot of the high half (0: none).
    NEW_CONTEXT,
    /// Slot B becomes a fresh home.
    NEW_HOME,
    /// Sends literal C with A arguments, cached at B.
    SEND,
    /// The same to `super`: literal C + 1 is the class where lookup begins.
    SUPER_SEND,
    /// Sends literal C, which is `restart`, cached at B.
    SEND_RESTART,
    /// Returns the top.
    RETURN,
    /// Returns `self`.
    RETURN_SELF,
    /// Returns the top from a method with a home.
    RETURN_HOME,
    /// Returns `self` from a method with a home.
    RETURN_SELF_HOME,
    /// Returns the top from the home of this block.
    RETURN_NON_LOCAL,
    /// Goes on at C.
    JUMP,
    /// Goes back to C.
    JUMP_BACK,
    /// Pops; goes to C if false, on if true, to fallback B with the value otherwise.
    JUMP_IF_FALSE,
    /// Pops; goes to C if true, on if false, to fallback B with the value otherwise.
    JUMP_IF_TRUE,
    /// Pops; goes back to C if true (a `whileTrue:`).
    LOOP_IF_TRUE,
    /// Pops; goes back to C if false (a `whileFalse:`).
    LOOP_IF_FALSE,
    /// Pops; goes to C if nil.
    JUMP_IF_NIL,
    /// Pops; goes to C if not nil.
    JUMP_IF_NOT_NIL,
    /// Goes to C with the value if nil, else pops.
    KEEP_IF_NIL,
    /// Goes to C with the value if not nil, else pops.
    KEEP_IF_NOT_NIL,
    /// Begins a counting loop of kind A, see [`loops`]: pops its operands into the slots from B on; fallback C.
    FOR_INIT,
    /// Goes to C if the loop at slot B is over; A: it counts down.
    FOR_TEST,
    /// Steps the loop at slot B and goes back to C if it is not over; A: it counts down.
    FOR_NEXT,
    /// Pops two, pushes the sum; cached at B, selector in the low half of C (so all arithmetic).
    ADD,
    /// The difference.
    SUB,
    /// The product.
    MUL,
    /// Less.
    LT,
    /// Less or equal.
    LE,
    /// Greater.
    GT,
    /// Greater or equal.
    GE,
    /// Equal.
    EQ,
    /// Not equal (`<>` and `~=`).
    NE,
    /// Identical.
    IDENTICAL,
    /// Adds the integer in the high half of C.
    ADD_INT,
    /// Subtracts the integer in the high half of C.
    SUB_INT,
    /// Less; the next instruction jumps on the result.
    LT_JUMP,
    /// Less or equal, and a jump.
    LE_JUMP,
    /// Greater, and a jump.
    GT_JUMP,
    /// Greater or equal, and a jump.
    GE_JUMP,
    /// Equal, and a jump.
    EQ_JUMP,
    /// Not equal, and a jump.
    NE_JUMP,
    /// Identical, and a jump.
    IDENTICAL_JUMP,
    /// Pushes the element of an array (`at:`).
    AT,
    /// Stores the element of an array (`at:put:`).
    AT_PUT,
    /// Negates a truth (`not`).
    NOT,
    /// PUSH_LOCAL and the PUSH_LOCAL after it.
    LOCAL_LOCAL,
    /// PUSH_FIELD and the PUSH_LOCAL after it.
    FIELD_LOCAL,
    /// PUSH_FIELD and the PUSH_FIELD after it.
    FIELD_FIELD,
    /// PUSH_LOCAL and the PUSH_FIELD after it.
    LOCAL_FIELD,
    /// STORE_LOCAL and the PUSH_LOCAL after it.
    STORE_LOCAL_LOCAL,
    /// PUSH_LOCAL and the SEND after it.
    LOCAL_SEND,
    /// PUSH_FIELD and the SEND after it.
    FIELD_SEND,
    /// SEND and the POP after it.
    SEND_POP,
    /// SEND and the RETURN after it.
    SEND_RETURN,
    /// PUSH_LOCAL and the AT after it.
    LOCAL_AT,
    /// PUSH_LOCAL and the ADD after it.
    LOCAL_ADD,
    /// PUSH_LOCAL and the SUB after it.
    LOCAL_SUB,
    /// PUSH_LOCAL and the MUL after it.
    LOCAL_MUL,
    /// AT_PUT and the POP after it.
    AT_PUT_POP,
    /// POP and the RETURN_SELF after it.
    POP_RETURN_SELF,
    /// POP and the PUSH_LOCAL after it.
    POP_LOCAL,
    /// STORE_FIELD and the RETURN_SELF after it.
    STORE_FIELD_RETURN_SELF,
}

/// Whether an instruction sends a message that is cached at B.
pub const fn has_site(op: u64) -> bool {
    matches!(op, SEND..=SEND_RESTART | ADD..=NOT | SEND_POP | SEND_RETURN | AT_PUT_POP)
}

/// The operation that does two in sequence.
pub const fn fused(first: u64, second: u64) -> Option<u64> {
    Some(match (first, second) {
        (PUSH_LOCAL, PUSH_LOCAL) => LOCAL_LOCAL,
        (PUSH_FIELD, PUSH_LOCAL) => FIELD_LOCAL,
        (PUSH_FIELD, PUSH_FIELD) => FIELD_FIELD,
        (PUSH_LOCAL, PUSH_FIELD) => LOCAL_FIELD,
        (STORE_LOCAL, PUSH_LOCAL) => STORE_LOCAL_LOCAL,
        (PUSH_LOCAL, SEND) => LOCAL_SEND,
        (PUSH_FIELD, SEND) => FIELD_SEND,
        (SEND, POP) => SEND_POP,
        (SEND, RETURN) => SEND_RETURN,
        (PUSH_LOCAL, AT) => LOCAL_AT,
        (PUSH_LOCAL, ADD) => LOCAL_ADD,
        (PUSH_LOCAL, SUB) => LOCAL_SUB,
        (PUSH_LOCAL, MUL) => LOCAL_MUL,
        (AT_PUT, POP) => AT_PUT_POP,
        (POP, RETURN_SELF) => POP_RETURN_SELF,
        (POP, PUSH_LOCAL) => POP_LOCAL,
        (STORE_FIELD, RETURN_SELF) => STORE_FIELD_RETURN_SELF,
        _ => return None,
    })
}

/// Kinds of methods: what a call does. Primitives come after these, see `primitives`.
pub mod kind {
    /// Interprets the code.
    pub const CODE: i64 = 0;
    /// Answers a field of the receiver.
    pub const GETTER: i64 = 1;
    /// Answers a class-side field.
    pub const CLASS_GETTER: i64 = 2;
    /// Stores the argument in a field; answers the receiver.
    pub const SETTER: i64 = 3;
    /// Answers literal 0.
    pub const CONSTANT: i64 = 4;
    /// Answers the receiver.
    pub const SELF: i64 = 5;
    /// Nobody has such a method: sends `doesNotUnderstand:arguments:`.
    pub const NOT_UNDERSTOOD: i64 = 6;
    /// The number of the first primitive.
    pub const FIRST_PRIMITIVE: i64 = 8;
}

/// Counting loops. A loop has four slots: counter, limit, step, and the receiver, which is its value.
pub mod loops {
    /// `to:do:`: operands start, limit.
    pub const TO_DO: u8 = 0;
    /// `downTo:do:`.
    pub const DOWN_TO_DO: u8 = 1;
    /// `to:by:do:`: operands start, limit, step.
    pub const TO_BY_DO: u8 = 2;
    /// `downTo:by:do:`.
    pub const DOWN_TO_BY_DO: u8 = 3;
    /// `timesRepeat:`: operand limit.
    pub const TIMES_REPEAT: u8 = 4;
    /// How many slots a loop takes.
    pub const SLOTS: usize = 4;
}
