# JUMP_IF as in the ICOOOLPS paper's figure 4a: both sides are gone through, the way not taken being remembered meanwhile. Where the sides
# meet again, there is a label, and the code goes on once: what they have left on the operand stack is in the frame there.
# run 30 => 30
# run 2 => 4
fn main 1 3
    push 0
    store 1
    push 200
    store 2
again:
    load 0
    push 10
    call lower
    load 1
    add
    store 1
    load 2
    push 1
    sub
    dup
    store 2
    jump_if again
    load 0
    push 10
    call lower
    load 0
    push 3
    call lower
    mul
    return
fn lower 2 2
    load 0
    load 1
    lt
    jump_if first
    load 1
    jump both
first:
    load 0
both:
    push 1
    add
    push 1
    sub
    return
--- lower max_handler_ops=0
shape Frame { immutable depth: i64, slots: [value] }
portal interpret(greens 3, reds int, virtualizable 0: Frame)
callee tla::binary(3) -> 2 any

code interpret {
b0(v0: int):
    enter b9
b1(v1: int):
    v2 = load_item v1.Frame.slots[0]
    v3 = load_item v1.Frame.slots[1]
    v4 = call tla::binary(11, v2, v3)
    v5 = result_word 1
    v6 = ne v4, 0
    guard_false v6 -> x0  ; bridge b2
    v7 = ne v5, 1
    guard_true v7 -> x1  ; bridge b3
    v8 = ne v5, 0
    v9 = eq v8, 1
    guard_true v9 -> x2  ; bridge b4
    store_item v1.Frame.slots[2], v2
    jump b6(v1)
b2():
    finish 1, v5
b3():
    jump b5()
b4():
    jump b5()
b5():
    store_item v1.Frame.slots[2], v3
    jump b6(v1)
b6(v10: int):
    v11 = load_item v10.Frame.slots[2]
    v12 = call tla::binary(5, v11, 3)
    v13 = result_word 1
    v14 = ne v12, 0
    guard_false v14 -> x3  ; bridge b7
    v15 = call tla::binary(6, v13, 3)
    v16 = result_word 1
    finish v15, v16
b7():
    finish 1, v13
b8():
    finish 1, v16
b9(v17: int):
    v18 = len v17.Frame.slots
    v19 = ule 4, v18
    guard_true v19 -> x5  ; live v17
    guard_count 0 -> x6  ; live v17
    jump b1(v17)
exit x0 -> b2:
exit x1 -> b3:
exit x2 -> b4:
exit x3 -> b7:
exit x4 -> b8:
exit x5:
    slots v17
    merge interpret(0, 2, @0) reds(s0)
exit x6:
    slots v17
    merge interpret(0, 2, @0) reds(s0)
}
