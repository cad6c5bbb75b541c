"""A real bash in a pseudo-terminal, and in it a real vim, nano and git: keys in, screens out, never a sleep.

When is a screen finished? After each key, three things hold, in this order:

1. the program in the foreground has read the key (its /proc/PID/io `rchar` grew since it was last seen waiting);
2. it waits for the next one: /proc/PID/syscall is a select, with no timeout or one of a second or more; nano's is a
   read of the terminal, which it looks at with a poll first where it would not wait;
3. all that was written has arrived: a private sequence, written to the slave's side after 2, comes out of the master;
4. it has not run since 2: /proc/PID/status counts as many context switches as then.

A process that is looked at moves on between two looks. Vim, say, sleeps for a moment inside a select without waiting
when the kernel is still handing over the last key, and by the time its timeout is read from its stack something else
lies there. Hence 4, and the count is read on both sides of every look. Nothing depends on how long anything takes, so
that a loaded machine shows the same film.
"""

import os
import platform
import select
import shutil
import struct
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import ptyprocess

from benchmarks.oracle.decode import Decoder
from schema.geometry import Geometry
from schema.screen import Screen

HERE = Path(__file__).resolve().parent
MARK = b"\x1b]777;film\x07"
TIMEOUT = 60.0  # seconds without an answer before the programs are called dead
REST = 0.2  # seconds without output after which a screen is taken to be finished
# pselect6 and read, by number
_WAIT, _READ = {"x86_64": (b"270", b"0"), "aarch64": (b"72", b"63")}.get(platform.machine(), (b"270", b"0"))
EDITORS = ("vim", "nano")
INSTALL = "install it (Debian: apt-get install {}) and run again"


class OracleError(RuntimeError):
    """The real programs could not be started, or stopped answering."""


def find_editor(editor: str = "vim") -> str:
    """The path of a real editor. Raises OracleError when there is none."""
    found = shutil.which(editor)
    if not found:
        raise OracleError(f"{editor} is not on PATH; {INSTALL.format(editor)}")
    return found


def _prepare_child() -> None:
    """Called before bash starts, which gives every program the terminal as it found it.

    vim 9.2 leaves flow control as it finds it, and ^S after ^V would stop the terminal.
    """
    os.umask(0o022)
    modes = termios.tcgetattr(0)
    modes[0] &= ~termios.IXON
    termios.tcsetattr(0, termios.TCSANOW, modes)


def shell_environment(bin_folder: Path, home: Path) -> dict[str, str]:
    """What bash starts with: nothing of the host's but the folders of its programs."""
    return {
        "PATH": f"{bin_folder}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "HOME": str(home),
        "TERM": "linux",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PS1": "$ ",
        "HISTFILE": "",
        "MAILCHECK": "",
        "INPUTRC": str(HERE / "film.inputrc"),
    }


def write_wrappers(bin_folder: Path) -> None:
    """Make `vim` and `nano` on PATH the real ones under film.vim and film.nanorc, as far as they are installed."""
    bin_folder.mkdir(parents=True, exist_ok=True)
    settings = {"vim": f"-u '{HERE / 'film.vim'}' -i NONE -N -n -b", "nano": f"--rcfile='{HERE / 'film.nanorc'}'"}
    for editor in EDITORS:
        if real := shutil.which(editor):
            wrapper = bin_folder / editor
            wrapper.write_text(f"#!/bin/sh\nexec '{real}' {settings[editor]} \"$@\"\n")
            wrapper.chmod(0o755)


class Oracle:
    """One terminal with a bash in `folder`. Use as a context manager.

    `env` overrides variables; `support` is a folder of the oracle's own (wrapper, home), made if missing.
    `decode=False` drains the output without looking at it: `screen` then raises.
    """

    def __init__(
        self,
        geometry: Geometry,
        folder: Path,
        support: Path,
        env: Mapping[str, str] | None = None,
        *,
        decode: bool = True,
    ) -> None:
        self.geometry = geometry
        home = support / "home"
        home.mkdir(parents=True, exist_ok=True)
        write_wrappers(support / "bin")
        environment = shell_environment(support / "bin", home)
        environment.update(env or {})
        environment["PATH"] = f"{support / 'bin'}:{environment['PATH']}"
        self.decoder = Decoder(geometry) if decode else None
        self.received = 0  # bytes of output
        self.editor = ""  # the last one that had the keyboard
        self.late = 0  # times that a program ran on after it seemed to wait; its screen was then waited for again
        self._process = ptyprocess.PtyProcess.spawn(
            ["bash", "--norc", "--noprofile"],
            cwd=os.fspath(folder),
            env=environment,
            dimensions=tuple(geometry),
            preexec_fn=_prepare_child,
        )
        self._master: int = self._process.fd
        self._shell: int = self._process.pid
        tty = os.readlink(f"/proc/{self._shell}/fd/0")
        self._slave = os.open(tty, os.O_RDWR | os.O_NOCTTY)
        self._files: dict[int, tuple[int, int, int]] = {}  # process -> its io, syscall and status files
        self._foreground = self._shell
        self._read_before = -1
        self._switches = b""  # of the foreground when it was last seen waiting
        self._settle()

    def __enter__(self) -> "Oracle":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the shell and what runs in it."""
        for files in self._files.values():
            for file in files:
                os.close(file)
        self._files.clear()
        if self._slave >= 0:
            os.close(self._slave)
            self._slave = -1
        self._process.close(force=True)

    # -- keys and screens

    @property
    def in_editor(self) -> bool:
        """Whether an editor has the keyboard."""
        return bool(self._foreground != self._shell)

    def screen(self) -> Screen:
        """The screen as it is now."""
        if self.decoder is None:
            raise OracleError("this oracle only drains output; start it with decode=True")
        return self.decoder.screen()

    def at_rest(self) -> Screen:
        """The screen once nothing has come for REST seconds: asked before a difference is believed.

        On a machine with many more programs than cores, vim was once in 390,000 frames taken to wait for a key in the
        middle of drawing a row.
        """
        received = self.received
        while select.select([self._master], [], [], REST)[0]:
            self._receive(os.read(self._master, 65536))
        self.late += self.received > received
        return self.screen()

    def send(self, key: int) -> None:
        """Press one key (a byte) and wait until the screen is finished."""
        self._write(bytes((key,)))
        self._settle()

    def film(self, keys: bytes) -> Iterator[Screen]:
        """The screen before each key, which is then pressed; the screen after the last is `screen()`."""
        for key in keys:
            yield self.screen()
            self.send(key)

    def run(self, keys: bytes) -> None:
        """Press keys without looking at every screen: it is finished only at each Enter and at the end."""
        at = 0
        while at < len(keys):
            if keys[at] == 0x0D:
                self.send(0x0D)
                at += 1
                continue
            stop = keys.find(b"\r", at, at + 512)
            part = keys[at : stop if stop >= 0 else at + 512]
            self._write(part)
            self._settle()
            at += len(part)

    # -- waiting

    def _write(self, keys: bytes) -> None:
        self._read_before = self._read_count(self._foreground) + len(keys) - 1
        sent = os.write(self._master, keys)
        assert sent == len(keys)

    def _proc(self, process: int) -> tuple[int, int, int]:
        """The io, syscall and status files of a process, kept open. Raises OSError when it is gone."""
        files = self._files.get(process)
        if files is None:
            io, syscall, status = (os.open(f"/proc/{process}/{n}", os.O_RDONLY) for n in ("io", "syscall", "status"))
            files = self._files[process] = (io, syscall, status)
        return files

    def _forget(self, process: int) -> None:
        for file in self._files.pop(process, ()):
            os.close(file)

    def _read_count(self, process: int) -> int:
        """Bytes that the process has read so far."""
        text = os.pread(self._proc(process)[0], 64, 0)
        return int(text[7 : text.index(b"\n")])

    def _switch_count(self, process: int) -> bytes:
        """How often the process was switched out, by itself or by others: two equal answers, and it has not run."""
        text = os.pread(self._proc(process)[2], 8192, 0)
        return text[text.index(b"voluntary_ctxt_switches") :]

    def _waits(self, process: int) -> bool:
        """Whether it waits for input, and not just looks whether there is some."""
        words = os.pread(self._proc(process)[1], 256, 0).split()
        reads = bytes(words[0]) == _READ and words[1] == b"0x0" and process != self._shell
        if bytes(words[0]) != _WAIT and not reads:
            return False
        switches = self._switch_count(process)
        if os.pread(self._proc(process)[1], 256, 0).split() != words:
            return False
        timeout = 0 if reads else int(words[5], 16)
        if timeout:
            with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
                memory.seek(timeout)
                seconds = struct.unpack("q", memory.read(8))[0]
            if seconds < 1 or self._switch_count(process) != switches:
                return False
        self._switches = switches
        return True

    def _finished(self) -> bool:
        """Whether the program in the foreground has read the last key and waits for another."""
        group = os.tcgetpgrp(self._master)
        try:
            if group == self._foreground:
                return self._read_count(group) > self._read_before and self._waits(group)
            if group == self._shell:  # the editor has ended
                if self._waits(group):
                    self._forget(self._foreground)
                    self._foreground, self._read_before = group, -1
                    return True
                return False
            with open(f"/proc/{group}/comm") as comm:
                name = comm.read()
            echo = termios.tcgetattr(self._master)[3] & termios.ECHO
            if name.startswith(EDITORS) and not echo and self._waits(group):
                self.editor = name.strip()
                self._foreground, self._read_before = group, -1
                return True
        except (OSError, ValueError, IndexError):
            # The process ended between two looks at it; the next look sees its parent.
            self._forget(group)
        return False

    def _settle(self) -> None:
        """Receive output until the screen is finished. Raises OracleError after TIMEOUT without an answer."""
        deadline = time.monotonic() + TIMEOUT
        looks = 0
        while not self._finished():
            if select.select([self._master], [], [], 0.0005 if looks else 0.002)[0]:
                self._receive(os.read(self._master, 65536))
            looks += 1
            if looks % 1000 == 0 and time.monotonic() > deadline:
                raise OracleError(f"no answer for {TIMEOUT:.0f} s; the programs died or wait for something")
        while not self._drained():
            self.late += 1

    def _drained(self) -> bool:
        """Receive all that was written so far; False when the program has run since it was seen waiting."""
        switches = self._switches
        os.write(self._slave, MARK)
        data = b""
        while MARK not in data:
            if not select.select([self._master], [], [], TIMEOUT)[0]:
                raise OracleError(f"the terminal lost its own mark: {data[-200:]!r} came last")
            data += os.read(self._master, 65536)
        before, _, after = data.partition(MARK)
        self._receive(before + after)
        return not after and self._finished() and self._switches == switches

    def _receive(self, data: bytes) -> None:
        self.received += len(data)
        if self.decoder is not None and data:
            try:
                self.decoder.feed(data)
            except ValueError as error:
                raise OracleError(
                    f"the terminal shows what no film does: {error}; last came {data[-200:]!r}"
                ) from error
