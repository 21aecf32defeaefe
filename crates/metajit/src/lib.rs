//! metajit turns an annotated Rust interpreter into a tracing JIT compiler.
//!
//! Begin with the [`guide`]: it says how a project uses metajit, and has a small interpreter for each mark. What an interpreter's source
//! imports is the [`prelude`]; each attribute's page says all that it takes.
//!
//! Modules are declared in the order data flows through them.

extern crate self as metajit;

mod access;
#[cfg(feature = "jit")]
pub mod backend;
#[cfg(feature = "jit")]
pub mod context;
#[cfg(feature = "jit")]
pub mod driver;
pub mod gc;
#[cfg(feature = "jit")]
pub mod ir;
mod maybe;
pub mod object;
#[cfg(feature = "jit")]
pub mod opt;
#[cfg(feature = "jit")]
pub mod record;
#[cfg(feature = "jit")]
mod shallow;
mod stack;
mod stop;
pub mod testing;
#[cfg(feature = "jit")]
pub mod twin;
pub mod word;

pub use maybe::Maybe;
pub use metajit_macros::{
    dont_look_inside, elidable, enable_threaded_code, jit, jit_driver, jit_enum, jit_object, jit_word,
};

/// Marks where one iteration of the interpreter's loop begins: the first statement of the `loop` of a [`jit_driver`] function, which
/// gives it its meaning.
#[macro_export]
macro_rules! jit_merge_point {
    () => {};
}

/// Marks a jump backwards of the interpreted program, in the `loop` of a [`jit_driver`] function: after the greens are set to where it
/// goes. It goes to the merge point; what stands after it is not executed.
#[macro_export]
macro_rules! can_enter_jit {
    () => {};
}

pub mod guide;

mod hints;
#[cfg(feature = "jit")]
#[doc(hidden)]
pub use hints::stop_requested;
pub use hints::{either, promote, seen, we_are_jitted, we_are_threaded};
pub use stack::{set_stack_limit, stack_is_low};
pub use stop::{Stopper, stop_requested, stopper};

/// What an interpreter's source imports.
pub mod prelude {
    pub use crate::word::Word;
    pub use crate::{
        Maybe, can_enter_jit, dont_look_inside, either, elidable, enable_threaded_code, jit, jit_driver, jit_enum,
        jit_merge_point, jit_object, jit_word, promote, seen, stop_requested, we_are_jitted, we_are_threaded,
    };
}

/// What the macros' expansions name; no part of the public API.
#[doc(hidden)]
pub mod rt {
    pub use crate::access::*;
    #[cfg(feature = "jit")]
    pub use crate::context::{Sink, Words};
    pub use crate::gc::alloc;
    pub use crate::object::{Field, Header, Item, Kind, Mutability, Object, Shape};
    pub use crate::stack::stack_is_low;
    pub use crate::word::{Type, Word};
    #[cfg(feature = "jit")]
    pub use crate::{
        driver::{Driver, Entered, counting, enter, finish_call, hot, residual, returned},
        ir::tree::Portal,
        ir::{Arg, Callee, Effect},
        record::{Allocation, Enter, FrameUse, Handler, Meta, no_result},
        twin::{
            AsciiTwin, BoolTwin, CharTwin, DefaultTwin, FailingTwin, Flat, FloatAssociated, FloatTwin, IntTwin, Joined,
            MoreIntTwin, NestedOptionTwin, OptionTwin, Raw, Reader, Receiver, ResultTwin, Retrace, Scrutinee,
            SignedTwin, Traced, Twin, UnsignedTwin,
        },
    };
}
