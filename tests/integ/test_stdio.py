# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a cell has as 0, 1, 2, and the relay of terminals and sockets."""
import errno
import fcntl
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import termios
import threading

import pytest

from conftest import IS_ROOT, SLACK, WALLS, wait_until

# A command that ends at SIGTERM: its deadline, the grace, and the drain.
BOUND = (1 + 5 + 2) * SLACK
DEADLINE = 124
LONG = "".join(f"{i}\n" for i in range(150000))  # 0.99 MB


class Terminal:
    """A terminal and what was written to it; keys are what one types."""

    def __init__(self, read=True):
        self.master, self.slave = pty.openpty()
        self.modes = termios.tcgetattr(self.slave)
        self.flags = fcntl.fcntl(self.slave, fcntl.F_GETFL)
        self.seen = b""
        self.stop, self.wake = os.pipe()
        self.thread = threading.Thread(target=self._read)
        if read:
            self.thread.start()

    def _read(self):
        while True:
            ready = select.select([self.master, self.stop], [], [])[0]
            if self.master not in ready:
                return
            self.seen += os.read(self.master, 65536)

    def keys(self, text):
        os.write(self.master, text)

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def shows(self, text):
        return wait_until(lambda: text in self.seen, 20)

    def end(self):
        """All that was shown; the terminal must be as it was before."""
        if self.thread.is_alive():
            os.write(self.wake, b"x")
            self.thread.join(20)
        assert termios.tcgetattr(self.slave) == self.modes
        assert fcntl.fcntl(self.slave, fcntl.F_GETFL) == self.flags
        return self.seen.decode()

    def close(self):
        if self.thread.is_alive():
            os.write(self.wake, b"x")
            self.thread.join(20)
        for fd in (self.master, self.slave, self.stop, self.wake):
            os.close(fd)


@pytest.fixture
def terminal():
    t = Terminal()
    yield t
    t.close()


@pytest.fixture
def unread():
    t = Terminal(read=False)
    yield t
    t.close()


@pytest.fixture
def start(cells):
    """Starts a run; whatever a test did, nothing of it is left."""
    started = []

    def go(cmd, flags=(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
           stderr=subprocess.PIPE, **kw):
        events = cells.events_path()
        p = subprocess.Popen(
            cells.argv(cmd, flags=flags, events=events), stdin=stdin,
            stdout=stdout, stderr=stderr,
            env=cells.environ({"TERM": "dumb"}), **kw)
        p.events_path = events
        started.append(p)
        return p
    yield go
    for p in started:
        p.kill()
        p.wait()
        for f in (p.stdin, p.stdout, p.stderr):
            if f:
                f.close()


def output(p, timeout=60):
    out, err = p.communicate(timeout=timeout * SLACK)
    return p.returncode, out.decode() if out else out, err.decode()


def on(t):
    return {"stdin": t.slave, "stdout": t.slave, "stderr": t.slave,
            "start_new_session": True}


# -- nobody reads: the deadline holds all the same --

def test_the_cell_does_not_read_its_terminal(start):
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as yes:
        p = start(["sleep", "100"], ["-t", "--timeout", "1s"],
                  stdin=yes.stdout, stdout=subprocess.DEVNULL)
        try:
            assert p.wait(BOUND) == DEADLINE
        finally:
            yes.kill()


@pytest.mark.parametrize("flags", [[], ["-t"], ["-it"]])
def test_nobody_reads_the_terminal(start, unread, flags):
    p = start(["yes"], [*flags, "--timeout", "1s"], **on(unread))
    assert p.wait(BOUND) == DEADLINE
    # output may be waiting for ever, but the modes are back
    unread.end()


@pytest.mark.parametrize("flags", [[], ["-t"]])
def terminal_we_may_not_open(cells, unread, flags):
    """As after su: the descriptor is ours, the terminal's name is not."""
    cells.own.chmod(0o777)
    program = shutil.copy(cells.cellos, cells.own / "cellos")
    p = subprocess.Popen(
        [program, "run", *flags, "--timeout", "1s", "--", "yes"],
        env=cells.environ({"HOME": str(cells.own)}), user=65534, group=65534,
        extra_groups=[], cwd="/", **on(unread))
    try:
        assert p.wait(BOUND) == DEADLINE
    finally:
        p.kill()
        p.wait()
    unread.end()


if IS_ROOT:     # only root can start it as somebody else
    test_nobody_reads_a_terminal_we_may_not_open = terminal_we_may_not_open


def test_nobody_reads_the_pipe(start):
    r, w = os.pipe()
    p = start(["yes"], ["-t", "--timeout", "1s"], stdout=w)
    os.close(w)
    assert p.wait(BOUND) == DEADLINE
    assert b"output of the command is lost" in p.stderr.read()
    assert os.read(r, 6) == b"y\r\ny\r\n"
    os.close(r)


@pytest.mark.parametrize("flags", [[], ["-t"]])
def test_nobody_reads_the_socket(start, flags):
    a, b = socket.socketpair()
    with a, b:
        p = start(["yes"], [*flags, "--timeout", "1s"], stdout=a)
        assert p.wait(BOUND) == DEADLINE
        assert not fcntl.fcntl(a, fcntl.F_GETFL) & os.O_NONBLOCK


def test_nobody_reads_what_the_cell_shares_with_us(start):
    """A pipe is passed on; our own last words go into the same one."""
    r, w = os.pipe()
    p = start(["yes"], ["--timeout", "1s"], stdout=w, stderr=w)
    assert p.wait(BOUND) == DEADLINE
    assert not fcntl.fcntl(w, fcntl.F_GETFL) & os.O_NONBLOCK
    os.close(r)
    os.close(w)


def test_a_signal_is_heard_while_nobody_reads(start):
    r, w = os.pipe()
    p = start(["yes"], ["-t"], stdout=w)
    assert wait_until(lambda: select.select([r], [], [], 0)[0], 20)
    p.send_signal(signal.SIGTERM)
    assert p.wait(BOUND) == 128 + signal.SIGTERM
    os.close(r)
    os.close(w)


def test_what_is_not_read_in_time_is_lost_and_said(cells, start):
    r, w = os.pipe()
    os.write(w, b"x" * fcntl.fcntl(w, fcntl.F_GETPIPE_SZ))
    p = start(["sh", "-c", "echo lost; exit 3"], ["-t"], stdout=w)
    os.close(w)
    assert p.wait(BOUND) == 3
    assert p.stderr.read().count(b"output of the command is lost") == 1
    assert cells.verify(p.events_path).rc == 0
    os.close(r)


def test_a_late_reader_loses_nothing(start):
    r, w = os.pipe()
    os.write(w, b"x" * fcntl.fcntl(w, fcntl.F_GETPIPE_SZ))
    p = start(["echo", "word"], ["-t"], stdout=w)
    os.close(w)
    with pytest.raises(subprocess.TimeoutExpired):
        p.wait(0.5)
    with os.fdopen(r, "rb") as f:
        assert f.read().lstrip(b"x") == b"word\r\n"
    assert output(p)[::2] == (0, "")


def test_the_deadline_is_the_commands_not_its_readers(start):
    """Ended in time; what it wrote is waited for past the deadline."""
    r, w = os.pipe()
    os.write(w, b"x" * fcntl.fcntl(w, fcntl.F_GETPIPE_SZ))
    p = start(["echo", "word"], ["-t", "--timeout", "1s"], stdout=w)
    assert p.wait(BOUND) == 0
    os.close(r)
    os.close(w)


# -- sockets --

ESCAPE = """
import ctypes, errno, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
fd, port = int(sys.argv[1]), int(sys.argv[2])
def connect(addr):
    r = libc.connect(fd, addr, len(addr))
    return errno.errorcode[ctypes.get_errno()] if r else "done"
print(connect(bytes(16)),
      connect(struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) +
              bytes([127, 0, 0, 1]) + bytes(8)), file=sys.stderr)
"""


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as s:
        a = socket.create_connection(s.getsockname())
        return a, s.accept()[0]


@pytest.mark.parametrize("fd", [0, 1])
def test_a_socket_of_the_host_is_not_for_the_cell(start, fd):
    a, b = tcp_pair()
    with socket.create_server(("127.0.0.1", 0)) as target, a, b:
        p = start(["python3", "-c", ESCAPE, str(fd),
                   str(target.getsockname()[1])], ["-i"],
                  **{"stdin" if fd == 0 else "stdout": a})
        assert output(p)[::2] == (0, "ENOTSOCK ENOTSOCK\n")
        assert not select.select([target], [], [], 0)[0]


def test_bytes_through_sockets(start):
    (a, b), (c, d) = tcp_pair(), socket.socketpair()
    with a, b, c, d:
        p = start(["cat"], ["-i"], stdin=a, stdout=c)
        a.close()
        c.close()
        got = []
        t = threading.Thread(target=lambda: got.extend(
            iter(lambda: d.recv(65536), b"")))
        t.start()
        b.sendall(LONG.encode())
        b.shutdown(socket.SHUT_WR)
        t.join(60 * SLACK)
        assert b"".join(got).decode() == LONG
        assert output(p)[::2] == (0, "")


def test_standard_error_may_be_a_socket(start):
    a, b = socket.socketpair()
    with a, b:
        p = start(["sh", "-c", "echo word >&2; stat -Lc %F /proc/self/fd/2"],
                  stderr=a)
        assert p.wait(60 * SLACK) == 0
        assert p.stdout.read() == b"fifo\n"
        assert b.recv(100) == b"word\n"


# -- directories --

@pytest.mark.parametrize("flags", [["-i"], ["-t"]])
@pytest.mark.parametrize("fd", [0, 1, 2])
def test_a_directory_is_refused(start, tmp_path, fd, flags):
    d = os.open(tmp_path, os.O_RDONLY)
    p = start(["true"], flags,
              **{["stdin", "stdout", "stderr"][fd]: d})
    assert p.wait(60 * SLACK) == 125
    os.close(d)
    with open(p.events_path, encoding="utf-8") as f:
        text = f.read()
    assert f'"descriptor {fd} is a directory"' in text
    if fd != 2:
        assert (f"exec: descriptor {fd} is a directory".encode()
                in p.stderr.read())


# -- what is passed on --

def kind(start, stdin):
    p = start(["sh", "-c", "cat; stat -Lc %F /proc/self/fd/0"], ["-i"],
              stdin=stdin)
    return output(p)


def test_input_from_a_pipe(start):
    r, w = os.pipe()
    os.write(w, b"in\n")
    os.close(w)
    assert kind(start, r) == (0, "in\nfifo\n", "")
    os.close(r)


def test_input_from_a_file(start, tmp_path):
    (tmp_path / "f").write_text("skipped\nin\n")
    with open(tmp_path / "f", "rb", buffering=0) as f:
        f.seek(8)
        assert kind(start, f) == (0, "in\nregular file\n", "")


def test_input_from_a_device(start):
    assert kind(start, subprocess.DEVNULL) == (
        0, "character special file\n", "")


def test_input_from_a_terminal(start, terminal):
    p = start(["sh", "-c", "test -t 0 || cat"], ["-i"], **on(terminal))
    terminal.keys(b"one\n")
    assert terminal.shows(b"one\r\none\r\n")
    terminal.keys(b"two\n\4")
    assert p.wait(60 * SLACK) == 0
    assert sorted(terminal.end().split()) == ["one", "one", "two", "two"]


def test_without_i_the_terminal_is_not_read(start, terminal):
    terminal.keys(b"not for you\n")
    p = start(["cat"], **on(terminal))
    assert p.wait(60 * SLACK) == 0
    assert terminal.end() == "not for you\r\n"  # its own echo


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors(cells, closed):
    """Each is /dev/null in the cell, and none of ours comes in its place."""
    events = cells.events_path()
    work = cells.tmp / "out"
    work.mkdir()
    argv = cells.argv(
        ["sh", "-c", "cd /proc/$$/fd; seen=$(stat -Lc %t:%T 0 1 2);"
         f" echo $seen >{work}/seen; exit 7"],
        rw=[work], flags=["-i"], events=events)
    r = cells.call(["sh", "-c", f'exec "$@" {closed}', "sh", *argv], events)
    assert r.rc == 7
    assert cells.verify(events).rc == 0
    got = (work / "seen").read_text().split()
    assert len(got) == 3
    for i, sign in enumerate(["<&-", " >&-", "2>&-"]):
        if sign in " " + closed:
            assert (i, got[i]) == (i, "1:3")


# -- a terminal of the cell's own --

@pytest.mark.parametrize("wall", WALLS)
def test_size_and_its_change(start, terminal, wall):
    terminal.resize(33, 77)
    p = start(["sh", "-c", "trap 'stty size; exit 4' WINCH; stty size;"
               " while :; do sleep 0.05; done"], ["-t", *WALLS[wall]],
              **on(terminal))
    assert terminal.shows(b"33 77\r\n")
    terminal.resize(44, 88)
    # a terminal tells its foreground group; here it controls nobody
    p.send_signal(signal.SIGWINCH)
    assert p.wait(60 * SLACK) == 4
    assert terminal.end() == "33 77\r\n44 88\r\n"


@pytest.mark.parametrize("wall", WALLS)
def test_control_c_reaches_the_cell(start, terminal, wall):
    p = start(["sh", "-c", "trap 'exit 42' INT; echo up;"
               " while :; do sleep 0.05; done"], ["-t", *WALLS[wall]],
              **on(terminal))
    assert terminal.shows(b"up")
    terminal.keys(b"\3")
    assert p.wait(60 * SLACK) == 42
    assert terminal.end() == "up\r\n^C"


@pytest.mark.parametrize("wall", WALLS)
def test_all_three_are_a_terminal(start, terminal, wall):
    p = start(["sh", "-c", "test -t 0 && test -t 1 && test -t 2 && exit 9"],
              ["-t", *WALLS[wall]], **on(terminal))
    assert p.wait(60 * SLACK) == 9


@pytest.mark.parametrize("wall", WALLS)
@pytest.mark.parametrize("how", ["deadline", "signal", "no such command"])
def test_modes_come_back(start, terminal, how, wall):
    cmd = {"no such command": ["/no/such"]}.get(
        how, ["sh", "-c", "echo up; sleep 100"])
    p = start(cmd, ["-t", "--timeout", "1s" if how == "deadline" else "60s",
                    *WALLS[wall]], **on(terminal))
    if how == "signal":
        assert terminal.shows(b"up")
        assert termios.tcgetattr(terminal.slave) != terminal.modes
        p.send_signal(signal.SIGTERM)
    assert p.wait(BOUND) == {"deadline": DEADLINE, "signal": 143,
                             "no such command": 127}[how]
    terminal.end()


@pytest.mark.parametrize("text", ["", "word", "line\n", "two\nwords"])
def test_the_end_of_input_is_an_end_of_file(start, text):
    """Even in the middle of a line, where the first ^D only ends the line."""
    p = start(["sh", "-c", "stty -echo; cat; echo end"], ["-t"],
              stdin=subprocess.PIPE)
    p.stdin.write(text.encode())
    p.stdin.close()
    p.stdin = None
    rc, out, err = output(p)
    assert (rc, err) == (0, "")
    assert out.endswith("end\r\n")


@pytest.mark.parametrize("to", ["terminal", "pipe", "file", "socket"])
@pytest.mark.parametrize("flags", [[], ["-t"]])
def test_long_output_arrives_whole(start, terminal, tmp_path, to, flags):
    seq = ["seq", "0", "149999"]
    if to == "terminal":
        p = start(seq, flags, **on(terminal))
        assert p.wait(60 * SLACK) == 0
        assert terminal.shows(b"149999\r\n")
        got = terminal.end().replace("\r\n", "\n")
    elif to == "pipe":
        rc, got, err = output(start(seq, flags))
        assert (rc, err) == (0, "")
    elif to == "file":
        with open(tmp_path / "f", "wb") as f:
            assert start(seq, flags, stdout=f).wait(60 * SLACK) == 0
        got = (tmp_path / "f").read_text()
    else:
        a, b = socket.socketpair()
        with b:
            p = start(seq, flags, stdout=a)
            a.close()
            with b.makefile("rb") as f:
                got = f.read().decode()
            assert p.wait(60 * SLACK) == 0
    if flags and to != "terminal":
        assert got == LONG.replace("\n", "\r\n") or to == "file"
    assert got.replace("\r\n", "\n") == LONG


def test_a_reader_that_goes_away(cells, start):
    p = start(["yes"], ["-t"])
    assert p.stdout.readline() == b"y\r\n"
    p.stdout.close()
    p.stdout = None
    # its terminal hangs up
    assert p.wait(60 * SLACK) == 128 + signal.SIGHUP
    assert cells.verify(p.events_path).rc == 0


def test_a_reader_of_a_socket_that_goes_away(cells, start):
    a, b = socket.socketpair()
    p = start(["yes"], stdout=a)
    a.close()
    assert b.recv(2) == b"y\n"
    b.close()
    assert p.wait(60 * SLACK) == 128 + signal.SIGPIPE
    assert cells.verify(p.events_path).rc == 0
