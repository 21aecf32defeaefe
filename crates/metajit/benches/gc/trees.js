// Binary trees: `trees.js DEPTH` prints how many nodes were counted.
"use strict";

class Pair {
    constructor(head, tail) {
        this.head = head;
        this.tail = tail;
    }
}

function build(depth) {
    if (depth < 1) return new Pair(null, null);
    return new Pair(build(depth - 1), build(depth - 1));
}

function count(pair) {
    if (pair.head === null) return 1;
    return 1 + count(pair.head) + count(pair.tail);
}

function many(number, depth) {
    let total = 0;
    while (number > 0) {
        total += count(build(depth));
        number -= 1;
    }
    return total;
}

const depth = Number(process.argv[2]);
const lasting = build(depth);
const total = many(2 ** (depth - 2), 4) + many(2 ** (depth - 8), 10) + many(4, depth);
console.log(String(total + count(lasting)));
