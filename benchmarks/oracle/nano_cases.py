"""Random files, edits and keys for nano: the texts of `cases`, nano's keys, every byte that can be typed."""

from benchmarks.oracle.cases import Case, Maker
from pipeline.script import nano
from pipeline.script.typists import Typist, typist
from pipeline.terminal.terminal import Terminal
from schema.config import ReplayConfig
from schema.editors import Editor
from schema.errors import UnsupportedKeyError


class NanoMaker(Maker):
    """Makes cases that the model of nano draws; half of the edits go by arrows alone."""

    EDITOR: Editor = "nano"

    def choose_typist(self) -> Typist:
        """Who types this case."""
        return typist(ReplayConfig(editor="nano", motion=self.rng.choice(["jumps", "arrows"])))

    def case(self) -> Case:
        """A case that is drawn: a content or a name that is not would come by checkout."""
        while True:
            case = super().case()
            try:
                Terminal(self.geometry).play(case.keys, [case.old])
            except UnsupportedKeyError:
                continue
            return case

    def command(self) -> bytes:
        """One move, deletion, text or save."""
        rng = self.rng
        kind = rng.random()
        times = rng.choice([1, 1, 1, 2, 3, 7, 20, self.geometry.rows, self.geometry.cols])
        if kind < 0.45:
            return rng.choice([nano.UP, nano.DOWN, nano.LEFT, nano.RIGHT, nano.DOWN, nano.RIGHT]) * times
        if kind < 0.55:
            return rng.choice([nano.HOME, nano.END, nano.NEXT_WORD, nano.PREVIOUS_WORD, nano.END])
        if kind < 0.63:
            line = rng.choice([0, 1, 2, 5, 9, 24, 60, 151, 99999])
            column = rng.choice(
                [b"", b"", b",1", b",7", b",%d" % self.geometry.cols, b",160", b",%d" % rng.randrange(300)]
            )
            return nano.GO_TO + b"%d" % line + column + nano.ENTER
        if kind < 0.8:
            few = min(times, 9)
            return rng.choice([nano.DELETE, nano.BACKSPACE, nano.CUT_LINE, nano.CHOP_WORD, nano.DELETE]) * few
        if kind < 0.83:
            return nano.SAVE_AND_LEAVE[:1]
        return self.text()

    def text(self) -> bytes:
        """Typed text, of any bytes but a newline's."""
        rng = self.rng
        flavour = rng.choice(self.flavours)
        out = b""
        for _ in range(rng.choice([1, 1, 2, 5, 12, 40])):
            for byte in self.piece(flavour if rng.random() < 0.7 else "code"):
                verbatim = (byte < 0x20 and byte != 9) or byte == 0x7F or (byte == 9 and rng.random() < 0.1)
                out += (nano.VERBATIM if verbatim else b"") + bytes([byte])
            if rng.random() < 0.12:
                out += rng.choice(
                    [nano.ENTER, nano.ENTER * 2, b"\r\t", nano.BACKSPACE, b"\x11\x00", bytes([rng.randrange(128, 256)])]
                )
        return out
