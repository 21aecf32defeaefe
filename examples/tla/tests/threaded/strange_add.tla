# The ECOOP paper's example: a method with a branch and two returns, called from a loop. Its figure shows the trace through both sides, cut
# at the returns, the pieces, and the tree that they are stitched to; the tree is what comes out here at once. As in the figure, nothing
# is left of decoding and dispatch. With max_handler_ops=0 it is calls of handlers in a row, as the figure has it; else what handlers do for
# small integers is done on the spot.
# run 100 => 9890
fn main 1 2
    push 0
    store 1
again:
    load 1
    load 0
    load 0
    call strange_add
    add
    store 1
    load 0
    push 1
    sub
    dup
    store 0
    jump_if again
    load 1
    return
fn strange_add 2 2
    load 0
    push 42
    rem
    push 0
    eq
    jump_if l1
    load 0
    load 1
    add
    return
l1:
    load 1
    push 42
    sub
    return
--- strange_add max_handler_ops=0
shape Frame { immutable depth: i64, slots: [value] }
portal interpret(greens 3, reds int, virtualizable 0: Frame)
callee tla::binary(3) -> 2 any

code interpret {
b0(v0: int):
    enter b9
b1(v1: int):
    v2 = load_item v1.Frame.slots[0]
    v3 = call tla::binary(9, v2, 85)
    v4 = result_word 1
    v5 = ne v3, 0
    guard_false v5 -> x0  ; bridge b2
    v6 = call tla::binary(12, v4, 1)
    v7 = result_word 1
    v8 = ne v6, 0
    guard_false v8 -> x1  ; bridge b3
    v9 = ne v7, 1
    guard_true v9 -> x2  ; bridge b4
    v10 = ne v7, 0
    v11 = eq v10, 1
    guard_true v11 -> x3  ; bridge b5
    v12 = load_item v1.Frame.slots[1]
    v13 = call tla::binary(6, v12, 85)
    v14 = result_word 1
    finish v13, v14
b2():
    finish 1, v4
b3():
    finish 1, v7
b4():
    jump b6()
b5():
    jump b6()
b6():
    v15 = load_item v1.Frame.slots[1]
    v16 = call tla::binary(5, v2, v15)
    v17 = result_word 1
    finish v16, v17
b7():
    finish 1, v17
b8():
    finish 1, v14
b9(v18: int):
    v19 = len v18.Frame.slots
    v20 = ule 4, v19
    guard_true v20 -> x6  ; live v18
    guard_count 0 -> x7  ; live v18
    jump b1(v18)
exit x0 -> b2:
exit x1 -> b3:
exit x2 -> b4:
exit x3 -> b5:
exit x4 -> b7:
exit x5 -> b8:
exit x6:
    slots v18
    merge interpret(0, 2, @0) reds(s0)
exit x7:
    slots v18
    merge interpret(0, 2, @0) reds(s0)
}
--- strange_add
shape Frame { immutable depth: i64, slots: [value] }
portal interpret(greens 3, reds int, virtualizable 0: Frame)
callee tla::binary(3) -> 2 any

code interpret {
b0(v0: int):
    enter b17
b1(v1: int):
    v2 = load_item v1.Frame.slots[0]
    v3 = and v2, 1
    v4 = eq v3, 1
    guard_true v4 -> x0  ; bridge b2
    v5 = shr v2, 1
    v6 = rem v5, 42
    v7 = shl v6, 1
    v8 = or v7, 1
    jump b4(v8)
b2():
    v9 = call tla::binary(9, v2, 85)
    v10 = result_word 1
    v11 = ne v9, 0
    guard_false v11 -> x1  ; bridge b3
    jump b4(v10)
b3():
    finish 1, v10
b4(v12: int):
    v13 = eq v12, 1
    guard_true v13 -> x2  ; bridge b5
    v14 = and v12, 1
    v15 = eq v14, 1
    guard_true v15 -> x3  ; bridge b5
    jump b7(3)
b5():
    v16 = call tla::binary(12, v12, 1)
    v17 = result_word 1
    v18 = ne v16, 0
    guard_false v18 -> x4  ; bridge b6
    jump b7(v17)
b6():
    finish 1, v17
b7(v19: int):
    v20 = ne v19, 1
    guard_true v20 -> x5  ; bridge b8
    v21 = ne v19, 0
    v22 = eq v21, 1
    guard_true v22 -> x6  ; bridge b9
    v23 = load_item v1.Frame.slots[1]
    v24 = and v23, 1
    v25 = eq v24, 1
    guard_true v25 -> x11  ; bridge b14
    v26 = sub_ovf v23, 84
    guard_false v26 -> x12  ; bridge b14
    v27 = sub v23, 84
    jump b16(v27)
b8():
    jump b10()
b9():
    jump b10()
b10():
    v28 = load_item v1.Frame.slots[1]
    v29 = and v2, 1
    v30 = eq v29, 1
    guard_true v30 -> x7  ; bridge b11
    v31 = and v28, 1
    v32 = eq v31, 1
    guard_true v32 -> x8  ; bridge b11
    v33 = sub v28, 1
    v34 = add_ovf v2, v33
    guard_false v34 -> x9  ; bridge b11
    v35 = add v2, v33
    jump b13(v35)
b11():
    v36 = call tla::binary(5, v2, v28)
    v37 = result_word 1
    v38 = ne v36, 0
    guard_false v38 -> x10  ; bridge b12
    jump b13(v37)
b12():
    finish 1, v37
b13(v39: int):
    finish 0, v39
b14():
    v40 = call tla::binary(6, v23, 85)
    v41 = result_word 1
    v42 = ne v40, 0
    guard_false v42 -> x13  ; bridge b15
    jump b16(v41)
b15():
    finish 1, v41
b16(v43: int):
    finish 0, v43
b17(v44: int):
    v45 = len v44.Frame.slots
    v46 = ule 4, v45
    guard_true v46 -> x14  ; live v44
    guard_count 0 -> x15  ; live v44
    jump b1(v44)
exit x0 -> b2:
exit x1 -> b3:
exit x2 -> b5:
exit x3 -> b5:
exit x4 -> b6:
exit x5 -> b8:
exit x6 -> b9:
exit x7 -> b11:
exit x8 -> b11:
exit x9 -> b11:
exit x10 -> b12:
exit x11 -> b14:
exit x12 -> b14:
exit x13 -> b15:
exit x14:
    slots v44
    merge interpret(0, 2, @0) reds(s0)
exit x15:
    slots v44
    merge interpret(0, 2, @0) reds(s0)
}
