# RET as in the ICOOOLPS paper's figure 4c: at a return with ways left, the next is gone through. Returns of the same form are one
# block, to which each brings its value.
# run 1 => 10
# run 2 => 20
# run 3 => 2
fn main 1 2
    push 100
    store 1
again:
    load 0
    call choose
    pop
    load 1
    push 1
    sub
    dup
    store 1
    jump_if again
    load 0
    call choose
    return
fn choose 1 1
    load 0
    push 1
    eq
    jump_if one
    load 0
    push 2
    eq
    jump_if two
    load 0
    push 1
    sub
    return
one:
    push 10
    return
two:
    push 20
    return
--- choose max_handler_ops=0
shape Frame { immutable depth: i64, slots: [value] }
portal interpret(greens 3, reds int, virtualizable 0: Frame)
callee tla::binary(3) -> 2 any

code interpret {
b0(v0: int):
    enter b11
b1(v1: int):
    v2 = load_item v1.Frame.slots[0]
    v3 = call tla::binary(12, v2, 3)
    v4 = result_word 1
    v5 = ne v3, 0
    guard_false v5 -> x0  ; bridge b2
    v6 = ne v4, 1
    guard_true v6 -> x1  ; bridge b3
    v7 = ne v4, 0
    v8 = eq v7, 1
    guard_true v8 -> x2  ; bridge b4
    finish 0, 21
b2():
    finish 1, v4
b3():
    jump b5()
b4():
    jump b5()
b5():
    v9 = call tla::binary(12, v2, 5)
    v10 = result_word 1
    v11 = ne v9, 0
    guard_false v11 -> x3  ; bridge b6
    v12 = ne v10, 1
    guard_true v12 -> x4  ; bridge b7
    v13 = ne v10, 0
    v14 = eq v13, 1
    guard_true v14 -> x5  ; bridge b8
    finish 0, 41
b6():
    finish 1, v10
b7():
    jump b9()
b8():
    jump b9()
b9():
    v15 = call tla::binary(6, v2, 3)
    v16 = result_word 1
    finish v15, v16
b10():
    finish 1, v16
b11(v17: int):
    v18 = len v17.Frame.slots
    v19 = ule 3, v18
    guard_true v19 -> x7  ; live v17
    guard_count 0 -> x8  ; live v17
    jump b1(v17)
exit x0 -> b2:
exit x1 -> b3:
exit x2 -> b4:
exit x3 -> b6:
exit x4 -> b7:
exit x5 -> b8:
exit x6 -> b10:
exit x7:
    slots v17
    merge interpret(0, 1, @0) reds(s0)
exit x8:
    slots v17
    merge interpret(0, 1, @0) reds(s0)
}
