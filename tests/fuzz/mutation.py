"""How one input becomes another: the small changes that break parsers."""

import random

OCTETS_MAX = 4096

#: What parsers look for: tags, lengths at their edges, heads of messages.
_WORDS = (
    "00 01 02 09 0a 0c 0d 0f 10 11 12 13 14 15 16 17 18 19 1a 1b 7e 7f 80 ff 81ff 82ffff 83ffffff 84ffffffff"
    " 8440000000 8401000000 8180 0101 0201 02820100 090c 0906 0000 ffffffff 7fffffff 80000000 e6e600 e6e700"
    " c001c1 c002c1 c003c1 c004c1 c101c1 c102c1 c103c1 c104c1 c105c1 c301c1 c302c1 c303c1 c304c1 c305c1 c306c1"
    " c401c1 c402c1 c403c1 c501c1 c502c1 c503c1 c504c1 c505c1 c701c1 c702c1 c703c1 c704c1 d80101 0e060006 0f c2"
    " e0 db08 dc08 dd 21 28 c8 cc d0 d4 30 20 10 31 5f1f0400 be10040e a109060760857405080101 8a0207808b"
    " 0000010000ff 0000280000ff 0001000100200000 00010020000100 13 1300 130112 010000 07e8 8000 fe b6"
)
WORDS = tuple(bytes.fromhex(word) for word in _WORDS.split())


def _flip(octets: bytearray, at: int, _other: bytes, randomness: random.Random) -> None:
    if at < len(octets):
        octets[at] ^= 1 << randomness.randrange(8)


def _replace(octets: bytearray, at: int, _other: bytes, randomness: random.Random) -> None:
    if at < len(octets):
        octets[at] = randomness.randrange(256)


def _nudge(octets: bytearray, at: int, _other: bytes, randomness: random.Random) -> None:
    if at < len(octets):
        octets[at] = (octets[at] + randomness.choice((-1, 1, 16, -16))) & 0xFF


def _delete(octets: bytearray, at: int, _other: bytes, randomness: random.Random) -> None:
    del octets[at : at + randomness.randrange(1, 9)]


def _insert_word(octets: bytearray, at: int, _other: bytes, randomness: random.Random) -> None:
    octets[at:at] = randomness.choice(WORDS)


def _write_word(octets: bytearray, at: int, _other: bytes, randomness: random.Random) -> None:
    word = randomness.choice(WORDS)
    octets[at : at + len(word)] = word


def _repeat(octets: bytearray, at: int, _other: bytes, randomness: random.Random) -> None:
    octets[at:at] = octets[at : at + randomness.randrange(1, 33)] * randomness.choice((1, 1, 2, 8))


def _cut(octets: bytearray, at: int, _other: bytes, _randomness: random.Random) -> None:
    del octets[at:]


def _cross(octets: bytearray, at: int, other: bytes, randomness: random.Random) -> None:
    octets[at:] = other[randomness.randrange(len(other) + 1) :]


def _borrow(octets: bytearray, at: int, other: bytes, randomness: random.Random) -> None:
    start = randomness.randrange(len(other) + 1)
    octets[at:at] = other[start : start + randomness.randrange(1, 65)]


def _insert_noise(octets: bytearray, at: int, _other: bytes, randomness: random.Random) -> None:
    octets[at:at] = randomness.randbytes(randomness.randrange(1, 9))


CHANGES = (
    *(_flip, _replace, _nudge, _delete, _insert_word, _write_word),
    *(_repeat, _cut, _cross, _borrow, _insert_noise),
)


def mutate(data: bytes, other: bytes, randomness: random.Random) -> bytes:
    """Return a changed `data`, which may borrow from `other`."""
    octets = bytearray(data)
    for _ in range(1 << randomness.randrange(4) if randomness.random() < 0.5 else 1):
        change = CHANGES[randomness.randrange(len(CHANGES))]
        change(octets, randomness.randrange(len(octets) + 1), other, randomness)
    return bytes(octets[:OCTETS_MAX])
