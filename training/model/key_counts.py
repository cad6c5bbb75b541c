"""Counting keys: interpolated n-grams without any frame, the bar that every learner on film has to pass.

    counts = KeyCounts.fit(training_streams, order=4)
    counts.losses(keys_T)                      nats of every key, by the counts of the training film alone
    counts.losses(keys_T, window=65_536)       the stream's own last 65,536 keys are counted as well

An n-gram of order m is a key with the m keys before it, its context. Each order interpolates with the order below it,
and order 0 with the uniform distribution. Two smoothings:

    witten_bell   p(k) = (c(k) + d p'(k)) / (t + d)
    kneser_ney    p(k) = (max(c(k) - D, 0) + D d p'(k)) / t; every order but the highest counts not how often k
                  followed its context, but after how many different keys in front of that context it did

c is the count of the key after its context, t the sum of c over all keys, d the number of keys with c > 0, p' the
order below, D the discount (Witten and Bell 1991; Kneser and Ney 1995, interpolated as by Chen and Goodman 1999).

With a window of W, the n-grams that lie wholly within the last W keys of the stream count as if they were training
film. The window slides by one key a step, exactly, and no step is looped over: an n-gram that ends at step j is in the
window of the steps i with j < i <= j + W - m, an interval. So a count at step i is the number of intervals that hold
i, which is the number of starts before i less the number of ends before i: two binary searches in sorted arrays. The
number of distinct n-grams is the same with every interval cut off where its n-gram occurs again.

The first keys of a stream have NUL keys in front of them. Dimensions: T steps of a stream, G distinct n-grams,
C contexts, J intervals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from schema.actions import VOCABULARY

Keys = npt.NDArray[Any]
Codes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Smoothing = Literal["kneser_ney", "witten_bell"]

HIGHEST_ORDER = 7  # with its key, an n-gram is eight keys at most: one uint64
DISCOUNT = 0.8  # of .5 to .95 the best on the pinned corpus's validation film, or within .01 nats of it
_BYTE = np.uint64(8)


class Level(NamedTuple):
    """What the training film counts at one order. Codes ascend, so that the n-grams of a context lie together."""

    gram_G: Codes
    count_G: Numbers
    context_C: Codes
    first_C: Numbers  # the first n-gram of a context
    total_C: Numbers  # the sum of its n-grams' counts
    types_C: Numbers  # the number of its n-grams


class Counted(NamedTuple):
    """Counts at every step: of its key after its context, of the context, of the different keys after the context."""

    count_T: Numbers
    total_T: Numbers
    types_T: Numbers


class KeyCounts:
    """Counts of n-grams up to an order, of the training film and, at every step, of the stream's own last keys."""

    def __init__(self, grams: Sequence[tuple[Codes, Numbers]], smoothing: Smoothing, discount: float) -> None:
        self.order, self.smoothing, self.discount = len(grams) - 1, smoothing, discount
        self._grams = grams
        self._levels = [
            _level(gram_G, self._continuations(m) if self._longer(m) else count_G)
            for m, (gram_G, count_G) in enumerate(grams)
        ]

    @classmethod
    def fit(
        cls,
        streams: Iterable[Keys],
        order: int = 4,
        smoothing: Smoothing = "kneser_ney",
        discount: float = DISCOUNT,
    ) -> KeyCounts:
        """Count the keys of some streams. `order` is 0 to 7."""
        assert 0 <= order <= HIGHEST_ORDER, order
        kept = [np.asarray(keys_T) for keys_T in streams]
        grams = []
        for m in range(order + 1):
            codes = [gram_codes(keys_T, m) for keys_T in kept] or [np.empty(0, np.uint64)]
            gram_G, count_G = np.unique(np.concatenate(codes), return_counts=True)
            grams.append((gram_G, count_G.astype(np.int64)))
        return cls(grams, smoothing, discount)

    def up_to(self, order: int) -> KeyCounts:
        """The same counts without the orders above `order`."""
        return KeyCounts(self._grams[: order + 1], self.smoothing, self.discount)

    def losses(self, keys_T: Keys, window: int = 0) -> Floats:
        """Nats of every key of a stream, [T]. With a `window`, the stream's own last `window` keys count too."""
        losses_T: Floats = self.losses_at(keys_T, (window,))[0]
        return losses_T

    def losses_at(self, keys_T: Keys, windows: Sequence[int]) -> Floats:
        """`losses` for several windows, [windows, T]."""
        stream = _Stream(keys_T, self.order)
        return -np.log(np.stack([self._probabilities(stream, window) for window in windows]))

    def distribution(self, past_T: Keys, window: int = 0) -> Floats:
        """The probability of each of the 256 keys after the keys of a stream so far."""
        p_V = np.full(VOCABULARY, 1 / VOCABULARY)
        for m in range(self.order + 1):
            count_V = self._counts_after(past_T, m, window)
            p_V = self._interpolate(count_V, count_V.sum(), (count_V > 0).sum(), p_V)
        return p_V

    def _longer(self, m: int) -> int:
        """How many keys more than order `m` has are looked at: 1 where continuations are counted."""
        return int(self.smoothing == "kneser_ney" and m < self.order)

    def _continuations(self, m: int) -> Numbers:
        """In how many n-grams of order `m` + 1 each n-gram of order `m` ends."""
        ending_G = self._grams[m + 1][0] & np.uint64((1 << 8 * (m + 1)) - 1)
        _, count_G = np.unique(ending_G, return_counts=True)  # every n-gram ends a longer one
        return np.asarray(count_G, np.int64)

    def _interpolate(self, count: Any, total: Any, types: Any, below: Floats) -> Floats:
        """This order's probability from its counts and the probability of the order below."""
        if self.smoothing == "witten_bell":
            mixed = (count + types * below) / np.maximum(total + types, 1)
        else:
            mixed = (np.maximum(count - self.discount, 0) + self.discount * types * below) / np.maximum(total, 1)
        return np.asarray(np.where(total > 0, mixed, below), np.float64)

    def _probabilities(self, stream: _Stream, window: int) -> Floats:
        p_T = np.full(stream.steps, 1 / VOCABULARY)
        for m in range(self.order + 1):
            p_T = self._interpolate(*self._counted(stream, m, window), p_T)
        return p_T

    def _counted(self, stream: _Stream, m: int, window: int) -> Counted:
        """What is counted at order `m` at every step of a stream."""
        level, grams = self._levels[m], stream.grams[m]
        place_U = np.searchsorted(level.context_C, grams.context_U)
        count_T = _found(level.gram_G, grams.code_U, level.count_G)[grams.id_T]
        total_T = _found(level.context_C, grams.context_U, level.total_C, place_U)[grams.id_T]
        types_T = _found(level.context_C, grams.context_U, level.types_C, place_U)[grams.id_T]
        longer = self._longer(m)
        reach = window - m - longer  # steps for which an n-gram stays wholly within the window
        if reach < 1:
            return Counted(count_T, total_T, types_T)
        first = stream.first_seen(m, reach, self._grams[m][0])
        counted = stream.first_seen(m + 1, reach, self._grams[m + 1][0]) if longer else stream.all_seen(reach)
        return Counted(
            count_T + counted.holding(grams.id_T),
            total_T + counted.holding(grams.context_T),
            types_T + first.holding(grams.context_T),
        )

    def _counts_after(self, past_T: Keys, m: int, window: int) -> Floats:
        """The count of every key after the last `m` keys of the past, [256]."""
        level, longer = self._levels[m], self._longer(m)
        padded = np.concatenate([np.zeros(HIGHEST_ORDER + 1, np.uint64), past_T.astype(np.uint64)])
        context = gram_codes(padded, m - 1)[-1] if m else np.uint64(0)
        counts_V = np.zeros(VOCABULARY)
        place = int(np.searchsorted(level.context_C, context))
        if place < len(level.context_C) and level.context_C[place] == context:
            own = slice(level.first_C[place], level.first_C[place] + level.types_C[place])
            counts_V[(level.gram_G[own] & np.uint64(0xFF)).astype(np.int64)] = level.count_G[own]
        start = max(len(past_T) - window + m + longer, 0)  # of the n-grams in the window, the first one's step
        code_J = gram_codes(padded, m + longer)[HIGHEST_ORDER + 1 + start :]
        if longer:
            code_J = np.setdiff1d(code_J, self._grams[m + 1][0])  # distinct, and not in the training film
            code_J &= np.uint64((1 << 8 * (m + 1)) - 1)
        key_J = code_J[code_J >> _BYTE == context] & np.uint64(0xFF)
        return counts_V + np.bincount(key_J.astype(np.int64), minlength=VOCABULARY)


def chosen_counts(
    training: Iterable[Keys],
    held_out: Sequence[Keys],
    orders: Iterable[int] = range(1, HIGHEST_ORDER + 1),
    window: int = 0,
) -> KeyCounts:
    """Counts of the order at which held-out streams have the least loss, at a window; the lower one of equals."""
    orders = tuple(orders)
    most = KeyCounts.fit(training, max(orders))

    def loss(order: int) -> float:
        counts = most.up_to(order)
        return float(np.concatenate([counts.losses(keys_T, window) for keys_T in held_out]).mean())

    return most.up_to(min(orders, key=loss))


def gram_codes(keys_T: Keys, order: int) -> Codes:
    """Every step's key with the `order` keys before it as one number, the key in its lowest byte."""
    keys = keys_T.astype(np.uint64)
    codes = keys.copy()
    for back in range(1, min(order, len(keys) - 1) + 1):
        codes[back:] |= keys[:-back] << np.uint64(8 * back)
    return codes


def _level(gram_G: Codes, count_G: Numbers) -> Level:
    context_C, first_C, types_C = np.unique(gram_G >> _BYTE, return_index=True, return_counts=True)
    total_C = np.add.reduceat(count_G, first_C) if len(first_C) else count_G
    return Level(gram_G, count_G, context_C, first_C.astype(np.int64), total_C, types_C.astype(np.int64))


def _found(codes: Codes, asked: Codes, values: Numbers, place: Numbers | None = None) -> Numbers:
    """The value of each code that is asked for, 0 where it is not among the (ascending) codes."""
    if not len(codes):
        return np.zeros(len(asked), np.int64)
    place = np.searchsorted(codes, asked) if place is None else place
    place = np.minimum(place, len(codes) - 1)
    return np.where(codes[place] == asked, values[place], 0)


class _Grams(NamedTuple):
    """The n-grams of one order in a stream. U: distinct ones, ascending."""

    code_U: Codes
    context_U: Codes
    id_T: Numbers  # of the step's n-gram, its place in code_U
    context_T: Numbers  # of its context
    again_T: Numbers  # the step where the same n-gram is next, or one past every interval


class _Intervals(NamedTuple):
    """Occurrences, each of which counts for the steps after its own up to and with its end."""

    step_J: Numbers
    end_J: Numbers

    def holding(self, group_T: Numbers) -> Numbers:
        """How many intervals that began in the step's own group hold it, for every step."""
        steps = len(group_T)
        group_J = group_T[self.step_J] * (steps + 1)
        start_J = np.sort(group_J + self.step_J)
        end_J = np.sort(group_J + np.minimum(self.end_J, steps))
        step_T = group_T * (steps + 1) + np.arange(steps)
        return np.searchsorted(start_J, step_T) - np.searchsorted(end_J, step_T)


class _Stream:
    """A stream's n-grams of every order, numbered."""

    def __init__(self, keys_T: Keys, order: int) -> None:
        self.steps = len(keys_T)
        self.grams = [_number(gram_codes(keys_T, m)) for m in range(order + 1)]

    def all_seen(self, reach: int) -> _Intervals:
        """Every occurrence, for `reach` steps."""
        step_T = np.arange(self.steps)
        return _Intervals(step_T, step_T + reach)

    def first_seen(self, m: int, reach: int, known: Codes) -> _Intervals:
        """Every n-gram of order `m` that is not `known`, once however often it occurs within `reach` steps."""
        grams = self.grams[m]
        new_U = ~np.isin(grams.code_U, known, assume_unique=True)
        step_J = np.flatnonzero(new_U[grams.id_T])
        return _Intervals(step_J, np.minimum(grams.again_T[step_J], step_J + reach))


def _number(code_T: Codes) -> _Grams:
    code_U, id_T = np.unique(code_T, return_inverse=True)
    context_U = code_U >> _BYTE
    number_U = np.cumsum(np.diff(context_U, prepend=context_U[:1]) != 0)
    again_T = np.full(len(code_T), len(code_T))
    by_gram = np.argsort(id_T, kind="stable")
    same = id_T[by_gram][1:] == id_T[by_gram][:-1]
    again_T[by_gram[:-1][same]] = by_gram[1:][same]
    return _Grams(code_U, context_U, id_T, number_U[id_T], again_T)
