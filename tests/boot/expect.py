"""A process with a console, for tests: wait for words, type lines, see how it ends."""

import os
import re
import signal
import subprocess
import threading
import time


# Limits are for a machine that does nothing else; a loaded one may take this many times as long. What comes ends the
# waiting at once, so that only a test that fails takes the longer for it.
PATIENCE = float(os.environ.get("PATIENCE", "4"))


class Failed(Exception):
    """What was expected did not happen."""


class Process:
    """Runs `command`; its standard output is the console, its standard error is kept apart."""

    def __init__(self, command, cwd, env, reading=True):
        self.command = command
        self.started = time.monotonic()
        self.console = b""
        self.errors = b""
        self._at = 0  # up to here the console has been expected
        self._ended = 0
        self._changed = threading.Condition()
        self._reading = threading.Event()
        if reading:
            self._reading.set()
        # --pdeathsig: nothing of ours is left even if we are killed.
        self.popen = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(self.popen.stdout, "console"), daemon=True),
            threading.Thread(target=self._read, args=(self.popen.stderr, "errors"), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream, name):
        while True:
            if name == "console":
                self._reading.wait()
            data = os.read(stream.fileno(), 65536)
            with self._changed:
                setattr(self, name, getattr(self, name) + data)
                self._ended += not data
                self._changed.notify_all()
            if not data:
                return

    def hold_reading(self):
        """Like a reader that does not read: what it was already reading may still come in."""
        self._reading.clear()

    def go_on_reading(self):
        self._reading.set()

    def expect(self, pattern, limit=180):
        """Waits for the regular expression behind what was expected before; returns the match. See PATIENCE."""
        regex = re.compile(pattern.encode() if isinstance(pattern, str) else pattern)
        began = time.monotonic()
        until, closer = began + PATIENCE * limit, began + 1
        with self._changed:
            while True:
                ended, now = self._ended == 2, time.monotonic()
                match = regex.search(self.console, self._at)
                if match:
                    self._at = match.end()
                    return match
                if ended or now >= min(until, closer):
                    match, closer = self.look_closer(regex), now + 1
                    if match:
                        return match
                if ended:
                    raise Failed(f"ended without /{pattern}/")
                if now >= until:
                    raise Failed(f"no /{pattern}/ within {PATIENCE * limit:.0f} s")
                self._changed.wait(min(until, closer) - now)

    def expect_each(self, *patterns, limit=180):
        """Waits for all of them behind what was expected before, in any order: what several guests say has none."""
        begin = furthest = self._at
        for pattern in patterns:
            self._at = begin
            self.expect(pattern, limit)
            furthest = max(furthest, self._at)
        self._at = furthest

    def look_closer(self, _regex):
        """For kinds of consoles where what is expected may be there in another form; looked at once a second."""
        return None

    def says(self, pattern):
        """Whether the whole console has the regular expression."""
        return re.search(pattern.encode(), self.console) is not None

    def send(self, text):
        self.popen.stdin.write(text.encode())
        self.popen.stdin.flush()

    def line(self, text):
        self.send(text + "\n")

    def signal(self, number):
        self.popen.send_signal(number)

    def running(self):
        return self.popen.poll() is None

    def status(self, limit=180):
        """The exit status, when all its output has been read."""
        try:
            status = self.popen.wait(PATIENCE * limit)
        except subprocess.TimeoutExpired:
            raise Failed(f"did not end within {PATIENCE * limit:.0f} s") from None
        for reader in self._readers:
            reader.join(10)
        return status

    def ends(self, status=0, limit=180):
        got = self.status(limit)
        if got != status:
            raise Failed(f"ended with status {got}, not {status}")

    def destroy(self):
        """Ends it whatever happens, and waits for it."""
        self._reading.set()
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            try:
                if stream is not self.popen.stdin:
                    for reader in self._readers:
                        reader.join(10)
                stream.close()
            except OSError:
                pass

    def text(self):
        return self.console.decode(errors="replace").replace("\r", "")
