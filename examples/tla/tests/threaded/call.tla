# CALL: the callee is not inlined. Known as it is, it is called by its cell: the interpreter until it has code, then the code. Its frame
# is made here, for the caller alone has it. What it throws is passed on (the second result word is the value, the first says which it
# is), or caught.
# run 7 => 51
# run 0 => -2
# run 5 => 72
fn main 1 3
    push 0
    store 1
    push 100
    store 2
again:
    load 0
    call attempt
    store 1
    load 2
    push 1
    sub
    dup
    store 2
    jump_if again
    load 1
    return
fn divided 1 1
    push 360
    load 0
    div
    return
fn attempt 1 1
from:
    load 0
    call divided
    return
to:
handler:
    return
    try from to handler
--- divided max_handler_ops=0
shape Frame { immutable depth: i64, slots: [value] }
portal interpret(greens 3, reds int, virtualizable 0: Frame)
callee tla::binary(3) -> 2 any

code interpret {
b0(v0: int):
    enter b3
b1(v1: int):
    v2 = load_item v1.Frame.slots[0]
    v3 = call tla::binary(8, 721, v2)
    v4 = result_word 1
    finish v3, v4
b2():
    finish 1, v4
b3(v5: int):
    v6 = len v5.Frame.slots
    v7 = ule 3, v6
    guard_true v7 -> x1  ; live v5
    guard_count 0 -> x2  ; live v5
    jump b1(v5)
exit x0 -> b2:
exit x1:
    slots v5
    merge interpret(0, 1, @0) reds(s0)
exit x2:
    slots v5
    merge interpret(0, 1, @0) reds(s0)
}
--- attempt max_handler_ops=0
shape Frame { immutable depth: i64, slots: [value] }
portal interpret(greens 3, reds int, virtualizable 0: Frame)
callee tla::interpret(2) -> 2 portal

code interpret {
b0(v0: int):
    enter b5
b1(v1: int):
    v2 = load_item v1.Frame.slots[0]
    v3 = load v1.Frame.depth
    v4 = add v3, 1
    v5 = lt 150, v4
    guard_true v5 -> x0  ; bridge b2
    jump b4(-7)
b2():
    v6 = new Frame(len 3, fill 0)
    store v6.Frame.depth, v4
    store_item v6.Frame.slots[0], v2
    v7 = call tla::interpret(@0, v6)
    v8 = result_word 1
    v9 = ne v7, 0
    guard_false v9 -> x1  ; bridge b3
    finish 0, v8
b3():
    jump b4(v8)
b4(v10: int):
    finish 0, v10
b5(v11: int):
    v12 = len v11.Frame.slots
    v13 = ule 2, v12
    guard_true v13 -> x2  ; live v11
    guard_count 0 -> x3  ; live v11
    jump b1(v11)
exit x0 -> b2:
exit x1 -> b3:
exit x2:
    slots v11
    merge interpret(0, 1, @1) reds(s0)
exit x3:
    slots v11
    merge interpret(0, 1, @1) reds(s0)
}
