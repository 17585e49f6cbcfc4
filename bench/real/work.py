"""A mixture of what Python programs do: objects, text, JSON, regular expressions, numbers."""

import collections
import heapq
import json
import re
import sys

SCALE = float(sys.argv[1])


class Node:
    __slots__ = ("key", "left", "right")

    def __init__(self, key):
        self.key, self.left, self.right = key, None, None

    def insert(self, key):
        node = self
        while True:
            side = "left" if key < node.key else "right"
            below = getattr(node, side)
            if below is None:
                setattr(node, side, Node(key))
                return
            node = below


def depth(node):
    return 0 if node is None else 1 + max(depth(node.left), depth(node.right))


def numbers(count, seed=1):
    for _ in range(count):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        yield seed >> 33


def rounds(count):
    return max(1, int(count * SCALE))


root = Node(2**30)
for number in numbers(rounds(4000)):
    root.insert(number)
print("depth", depth(root))

text = " ".join(f"w{number % 997}" for number in numbers(rounds(12000), 2))
print("common", collections.Counter(text.split()).most_common(5))
print("matched", len(re.findall(r"\bw(\d)\d*\1\b", text)), len(re.sub(r"w(\d+)", lambda m: m[1][::-1], text)))

records = [{"id": i, "value": number / 7, "tags": [str(number % 5), "x" * (number % 9)]}
           for i, number in enumerate(numbers(rounds(1500), 3))]
back = json.loads(json.dumps(records, indent=1))
print("json", back == records, sum(record["value"] for record in back))

heap = []
for number in numbers(rounds(5000), 4):
    heapq.heappush(heap, (number, str(number)))
print("heap", [heapq.heappop(heap)[1] for _ in range(5)])

sieve = bytearray([1]) * rounds(60000)
for i in range(2, int(len(sieve) ** 0.5) + 1):
    if sieve[i]:
        for k in range(i * i, len(sieve), i):
            sieve[k] = 0
print("primes", sum(sieve) - 2)
print("digits", sum(map(int, str(3 ** rounds(6000)))))
x = y = 0.0
for i in range(rounds(20000)):
    x, y = x * x - y * y + 0.355, 2 * x * y + 0.355
    if x * x + y * y > 4:
        x = y = 0.0
print("point", repr(x), repr(y))
