"""Random files, edits and keys, ugly on purpose: everything that a row of a terminal can be made of."""

import random
from typing import NamedTuple

from pipeline.script.edit import Untypable
from pipeline.script.typists import Typist, typist
from pipeline.terminal.terminal import Terminal
from pipeline.text.clusters import is_drawable
from pipeline.text.quoting import operands, quote
from schema.config import ReplayConfig
from schema.editors import Editor
from schema.errors import UnsupportedKeyError
from schema.geometry import Geometry
from schema.widths import CLASS, COMPOSING, SHELL_SAFE

_WORDS = [
    "if",
    "return",
    "x",
    "naïve",
    "value,",
    "(a, b)",
    "--",
    "the",
    "= 0;",
    "'q'",
    '"dq"',
    "a\\b",
    "~",
    "<xx>",
    "^A",
]
_WIDE = "漢字仮名交じり文한국어😀🎉，。Ａ"
_LATIN = "éüñßøÅ¿ ­"
_ODD = "\u200b\u200e\ufeff\u2028\u0085\u009b\u00ad\u3000\u200d\U000e0001\ue000\uffff\U0010ffff"
_CARRIERS = " \xa0eeao1#'\u0440\u0634\u05d0\u0e01\u0915❤☀漢😀é"
_COMPOSING = "\u0301\u0302\u0e34\u05b0\u064b\ufe0f\u20d0"
_MARKS = [chr(point) for point in range(0x110000) if CLASS[point] == COMPOSING]


class Case(NamedTuple):
    """One file edited in one run of an editor: `keys` from the shell's prompt back to it."""

    path: bytes
    old: bytes | None
    new: bytes | None  # what the file then holds; None when the keys are random
    keys: bytes


class Maker:
    """Makes cases in vim from a random number generator; `flavours` are kinds of text to draw from.

    `typist` says how a file is opened, edited and left.
    """

    EDITOR: Editor = "vim"

    FLAVOURS = ("plain", "code", "tabs", "wide", "latin", "control", "odd", "invalid", "long", "blank", "any")

    def __init__(self, rng: random.Random, geometry: Geometry, *, composing: bool = False) -> None:
        self.rng = rng
        self.geometry = geometry
        self.typist = self.choose_typist()
        self.flavours = self.FLAVOURS + ("composing",) * (8 * composing)

    def choose_typist(self) -> Typist:
        """Who types this case."""
        return typist(ReplayConfig(editor=self.EDITOR))

    # -- text

    def piece(self, flavour: str) -> bytes:
        """A few characters of one kind."""
        rng = self.rng
        if flavour == "tabs":
            return rng.choice([b"\t", b"\t\t", b" \t", b"  ", b"word", b"x"])
        if flavour == "wide":
            return "".join(rng.choices(_WIDE, k=rng.randint(1, 4))).encode() + rng.choice([b"", b"a", b" "])
        if flavour == "latin":
            return rng.choice(_LATIN).encode()
        if flavour == "control":
            controls = [c for c in range(0x20) if c != 0x0A] + [0x7F]
            return bytes([rng.choice(controls)]) + rng.choice([b"", b"a", b"\t"])
        if flavour == "odd":
            return rng.choice(_ODD).encode() + rng.choice([b"", b"b"])
        if flavour == "invalid":
            return rng.choice([b"\xe9", b"\xff", b"\xe6\xbc", b"caf\xe9 ", b"\x80", b"\xf0\x9f\x98"])
        if flavour == "composing":
            any_mark = rng.random() < 0.3
            marks = "".join(rng.choices(_MARKS if any_mark else _COMPOSING, k=rng.choice([1, 1, 1, 2, 3])))
            carrier = rng.choice(_CARRIERS) if rng.random() < 0.8 else chr(rng.randrange(0x21, 0x3100))
            if not is_drawable(carrier + marks):
                carrier = "x"
            return (carrier + marks).encode() + rng.choice([b"", b"", b"a", b" "])
        if flavour == "any":
            point = rng.choice((0x300, 0x3000, 0x10000, 0x20000, 0x110000))
            character = chr(rng.randrange(0x20, point))
            if 0xD800 <= ord(character) < 0xE000 or CLASS[ord(character)] == COMPOSING:
                return b"?"
            return character.encode()
        if flavour == "blank":
            return rng.choice([b" ", b"  ", b"        "])
        return rng.choice(_WORDS).encode() + rng.choice([b" ", b" ", b""])

    def line(self, flavour: str) -> bytes:
        """One line of mostly one kind."""
        rng = self.rng
        shape = rng.random()
        if shape < 0.12:
            return b""
        size = rng.randint(1, 8)
        if flavour == "long":
            size = rng.choice([30, 60, 120])
        elif shape < 0.2:
            size = rng.choice([20, 40])
        indent = rng.choice([b"", b"", b"    ", b"\t", b"\t\t", b"  "])
        kinds = [flavour, flavour, flavour, "plain", rng.choice(self.flavours)]
        line = indent + b"".join(self.piece(rng.choice(kinds)) for _ in range(size))
        if rng.random() < 0.1:  # to the very edge of the screen
            edge = self.geometry.cols * rng.choice([1, 2]) + rng.randint(-2, 2)
            line = line[:edge] if rng.random() < 0.5 else line + b"." * max(0, edge - len(line))
        return line + rng.choice([b"", b"", b"", b"", b" ", b"\t", b"   "])

    def content(self) -> bytes:
        """A whole file."""
        rng = self.rng
        flavour = rng.choice(self.flavours)
        count = rng.choice([0, 1, 1, 2, 3, 5, 8, 13, 30, 60, 150, self.geometry.rows - 2])
        ending = rng.choice([b"\n"] * 6 + [b"\r\n"])
        lines = [self.line(flavour if rng.random() < 0.8 else "code") for _ in range(count)]
        text = ending.join(lines)
        return text + ending if text and rng.random() < 0.85 else text

    def changed(self, old: bytes) -> bytes:
        """The file after a few edits."""
        rng = self.rng
        if rng.random() < 0.06:
            return self.content()
        lines = old.split(b"\n")
        flavour = rng.choice(self.flavours)
        for _ in range(rng.choice([1, 1, 2, 3, 6])):
            at = rng.randrange(len(lines))
            span = rng.choice([1, 1, 1, 2, 3, 7, 30])
            kind = rng.random()
            if kind < 0.2:
                del lines[at : at + span]
            elif kind < 0.45:
                lines[at:at] = [self.line(flavour) for _ in range(span)]
            elif kind < 0.55:
                lines[at : at + span] = [self.line(flavour) for _ in range(rng.choice([1, 2, 5]))]
            else:
                line = lines[at]
                a = rng.randint(0, len(line))
                b = min(len(line), a + rng.choice([0, 0, 1, 2, 5, 40]))
                lines[at] = line[:a] + rng.choice([b"", self.piece(flavour), self.piece("plain")]) + line[b:]
            lines = lines or [b""]
        if rng.random() < 0.1:
            lines = lines[:-1] if lines[-1] == b"" else [*lines, b""]
        return b"\n".join(lines)

    def path(self) -> bytes:
        """A file name, now and then one that needs quotes or does not fit the screen."""
        rng = self.rng
        name = rng.choice(["a.txt", "b.c", "README", "notes.md"])
        if rng.random() < 0.25:
            cols = self.geometry.cols
            odd = ["it's", "a b", "漢字", "é", "-x", "+1", "$v", "w" * (cols - 20), "漢" * (cols // 2)]
            odd += ["n" * rng.randint(cols - 34, cols + 10), "q" * rng.randint(1, 200), "t\tb", "\x07", "\u200b", "!"]
            name = "".join(rng.choices(odd, k=rng.choice([1, 1, 2])))
            while len(name.encode()) > 250:
                name = name[1:]
        return (name or "z").encode() + (b"\xff" if rng.random() < 0.02 else b"")

    # -- keys

    def case(self) -> Case:
        """An edit written by pipeline.script.edit, or random keys."""
        rng = self.rng
        while True:
            path = self.path()
            old = None if rng.random() < 0.1 else self.content()
            start, leave = self.typist.program + b" " + operands([path]) + b"\r", self.typist.save_and_leave
            if rng.random() < 0.5:
                new = self.changed(old or b"") if rng.random() < 0.9 else self.content()
                try:
                    return Case(path, old, new, start + self.typist.edit(old, new) + leave)
                except Untypable:
                    continue
            try:
                self.typist.edit(old, old or b"")
                return Case(path, old, None, self.random_keys(start, old) + leave)
            except (Untypable, UnsupportedKeyError):
                continue

    def random_keys(self, start: bytes, old: bytes | None) -> bytes:
        """Random commands that the model draws (one that it refuses is left out)."""
        keys = start
        terminal = Terminal(self.geometry)
        terminal.play(keys, [old])
        for _ in range(self.rng.choice([1, 3, 8, 20, 40])):
            command = self.command()
            try:
                terminal.play(command, [])
                keys += command
            except UnsupportedKeyError:
                terminal = Terminal(self.geometry)
                terminal.play(keys, [old])
        return keys

    def command(self) -> bytes:
        """One command, with what it puts in."""
        rng = self.rng
        count = rng.choice([0, 0, 1, 2, 3, 5, 9, 10, 20, 24, 40, 100, 160])
        number = b"%d" % count if count else b""
        kind = rng.random()
        if kind < 0.5:
            motion = rng.choice([b"G", b"|", b"G", b"|", b"0", b"\r", b"-", b"l"])
            return motion if motion in (b"0",) else number + motion if motion in b"G|l" else motion * rng.randint(1, 4)
        if kind < 0.65:
            few = rng.choice([b"", b"", b"2", b"3", b"12"])
            return rng.choice([few + b"x", b"D", few + b"dd", b"J", b"x", few + b"J"])
        if kind < 0.7:
            few = rng.choice([b"", b"2", b"f", b"ct", b"dt"])
            target = rng.choice(b"abex ,(=.").to_bytes(1, "big")
            return (
                b"f" + target if few in (b"", b"2", b"f") else few + target + (self.text() + b"\x1b") * (few == b"ct")
            )
        if kind < 0.75:
            few = rng.choice([b"w", b"w", b"2w", b"3w", b"dw", b"cw"])
            return few + (self.text() + b"\x1b") * (few == b"cw")
        if kind < 0.78:
            return rng.choice([b":set nobin noeol\r", b":set nobin eol\r", b":w\r"])
        few = rng.choice([b"", b"2", b"3", b"7", b"23"])
        change = rng.choice([b"c" + few + b"l", few + b"cc", b"C"])
        start = rng.choice([b"i", b"I", b"a", b"A", b"o", b"O", b"A", b"o", b"i", change])
        return start + self.text() + b"\x1b"

    def text(self) -> bytes:
        """Insert-mode keys."""
        rng = self.rng
        flavour = rng.choice([f for f in self.flavours if f != "invalid"])
        out = b""
        for _ in range(rng.choice([0, 1, 2, 5, 12, 40])):
            for byte in self.piece(flavour if rng.random() < 0.7 else "code"):
                if byte < 0x20 or byte == 0x7F:
                    out += b"\x16" * (byte != 9 or rng.random() < 0.5) + bytes([byte])
                elif byte in b"\xff":
                    continue
                else:
                    out += bytes([byte])
            if rng.random() < 0.12:
                out += rng.choice([b"\r", b"\r\r", b"\r\t", b"\x08"])
        return out

    def shell_line(self) -> bytes:
        """A command that prints nothing, of any length."""
        rng = self.rng
        room = self.geometry.cols * rng.choice([1, 1, 2, 3]) + rng.randint(-4, 4) - 4
        kind = rng.random()
        safe = [c for c in _WIDE + _LATIN if SHELL_SAFE[ord(c)]]
        words: list[str] = []
        size = 0
        while size < room * rng.random() or not words:
            word = rng.choice(_WORDS) if kind < 0.5 else "".join(rng.choices(safe, k=rng.randint(1, 9)))
            words.append(word)
            size += len(word) + 1
        text = " ".join(words).encode()
        if rng.random() < 0.3:
            text = b"y" * room
        return b": " + quote(text) + b"\r"
