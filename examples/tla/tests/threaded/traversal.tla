# The function of the ICOOOLPS paper's figures 1 and 2: a loop that begins with a test (B), whose body (C) ends with a jump backwards (D), and
# what comes after it (E) with the return (F). The jump backwards is not followed but goes to the label that B has; B is also a way in, and
# counts its iterations.
# run 9 => 45
# run 0 => 0
# run 200 => 20100
fn main 1 2
    push 0              # A
    store 1
b:
    load 0              # B
    push 1
    lt
    jump_if e
    load 1              # C
    load 0
    add
    store 1
    load 0
    push 1
    sub
    store 0
    jump b              # D
e:
    load 1              # E
    return              # F
--- main max_handler_ops=0
shape Frame { immutable depth: i64, slots: [value] }
portal interpret(greens 3, reds int, virtualizable 0: Frame)
callee tla::binary(3) -> 2 any

code interpret {
b0(v0: int):
    enter b9, b10
b1(v1: int):
    store_item v1.Frame.slots[1], 1
    jump b2(v1)
b2(v2: int):
    v3 = load_item v2.Frame.slots[0]
    v4 = call tla::binary(11, v3, 3)
    v5 = result_word 1
    v6 = ne v4, 0
    guard_false v6 -> x0  ; bridge b3
    v7 = ne v5, 1
    guard_true v7 -> x1  ; bridge b4
    v8 = ne v5, 0
    v9 = eq v8, 1
    guard_true v9 -> x2  ; bridge b5
    v10 = load_item v2.Frame.slots[1]
    finish 0, v10
b3():
    finish 1, v5
b4():
    jump b6()
b5():
    jump b6()
b6():
    v11 = load_item v2.Frame.slots[1]
    v12 = call tla::binary(5, v11, v3)
    v13 = result_word 1
    v14 = ne v12, 0
    guard_false v14 -> x3  ; bridge b7
    v15 = call tla::binary(6, v3, 3)
    v16 = result_word 1
    v17 = ne v15, 0
    guard_false v17 -> x4  ; bridge b8
    guard_count 0 -> x5  ; live v2 v16 v13
    store_item v2.Frame.slots[0], v16
    store_item v2.Frame.slots[1], v13
    jump b2(v2)
b7():
    finish 1, v13
b8():
    finish 1, v16
b9(v18: int):
    v19 = len v18.Frame.slots
    v20 = ule 4, v19
    guard_true v20 -> x6  ; live v18
    guard_count 1 -> x7  ; live v18
    jump b1(v18)
b10(v21: int):
    v22 = len v21.Frame.slots
    v23 = ule 4, v22
    guard_true v23 -> x8  ; live v21
    jump b2(v21)
exit x0 -> b3:
exit x1 -> b4:
exit x2 -> b5:
exit x3 -> b7:
exit x4 -> b8:
exit x5:
    slots v2, v16, v13
    store s0.Frame.slots[0], s1
    store s0.Frame.slots[1], s2
    merge interpret(4, 2, @0) reds(s0)
exit x6:
    slots v18
    merge interpret(0, 2, @0) reds(s0)
exit x7:
    slots v18
    merge interpret(0, 2, @0) reds(s0)
exit x8:
    slots v21
    merge interpret(4, 2, @0) reds(s0)
}
