"""Binary trees: `trees.py DEPTH` prints how many nodes were counted."""

import sys


class Pair:
    __slots__ = ("head", "tail")

    def __init__(self, head, tail):
        self.head = head
        self.tail = tail


def build(depth):
    if depth < 1:
        return Pair(None, None)
    return Pair(build(depth - 1), build(depth - 1))


def count(pair):
    if pair.head is None:
        return 1
    return 1 + count(pair.head) + count(pair.tail)


def many(number, depth):
    total = 0
    while number > 0:
        total += count(build(depth))
        number -= 1
    return total


def main(depth):
    lasting = build(depth)
    total = many(1 << (depth - 2), 4) + many(1 << (depth - 8), 10) + many(4, depth)
    print(total + count(lasting))


main(int(sys.argv[1]))
