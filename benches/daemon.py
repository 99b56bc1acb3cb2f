"""A daemon under test, from exec to exit, and the least of a daemon beside it, which is driven the same way."""
import contextlib
import http.client
import os
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import time
import xmlrpc.client

from system import (BEGINS, ENDS, LAUNCHED, RUNS, Board, Failed, children, clock_ns, cpu_s, files_max, kill_descendants,
                    run_tool)

PATIENCE = 180
# Marks of one measurement: ten thousand programs, their restarts, and room.
PLACES = 40_000
# More than any daemon here asks for, so that what it asks for counts.
FILES = files_max()

# Descriptors that a daemon has of its own, generously.
OWN_FILES = 200

HEAD = """[supervisord]
logfile=%(folder)s/daemon.log
pidfile=%(folder)s/daemon.pid
childlogdir=%(folder)s
nodaemon=true
minfds=%(minfds)d
%(user)s
[unix_http_server]
file=%(folder)s/socket
%(inet)s
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""
TWIDDLER = """[rpcinterface:twiddler]
supervisor.rpcinterface_factory = supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface
"""


def section(name, command, count=1, **options):
    """A [program:x]; unless said otherwise it counts as RUNNING at once and is left alone when it ends."""
    rows = {'command': command, 'startsecs': 0, 'autorestart': 'false'}
    if count > 1:
        rows.update(numprocs=count, process_name='%(program_name)s_%(process_num)05d')
    rows.update(options)
    return '[program:%s]\n%s' % (name, ''.join('%s=%s\n' % row for row in rows.items()))


def request(method, params=()):
    """The bytes of a call over HTTP."""
    body = xmlrpc.client.dumps(tuple(params), method).encode()
    head = 'POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n'
    return (head % len(body)).encode() + body


class Subject:
    """One process, launched so that the time just before execve is known, with a board for the marks of its programs."""

    def __init__(self, run):
        self.run, self.folder = run, run.folder
        self.board = Board(os.path.join(run.folder, 'board'), PLACES)
        self.process = None

    def launch(self, *command, environment=None):
        with open(os.path.join(self.folder, 'output'), 'wb') as output:
            self.process = subprocess.Popen(
                [self.run.tools, 'launch', self.board.path, str(FILES), *command], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True, cwd=self.folder,
                env={**os.environ, **(environment or {})})
        self.launched_ns = self.board.take(1, LAUNCHED, 20, 'launch')[0][0]
        return self

    @property
    def pid(self):
        return self.process.pid

    def cpu(self):
        return cpu_s(self.pid)

    def log(self, index=0):
        """Where the output of a program is logged."""
        return os.path.join(self.folder, '%d.out' % index)

    def tail(self):
        with contextlib.suppress(OSError), open(os.path.join(self.folder, 'output'), errors='replace') as file:
            return file.read()[-500:].strip()

    def await_marks(self, count, tag=RUNS, seconds=PATIENCE):
        """Marks (ns, pid) of that many programs; by default, that they run."""
        return self.board.take(count, tag, seconds, {RUNS: 'programs up', BEGINS: 'begun', ENDS: 'done'}[tag], self.look)

    def look(self):
        """Fails if it is gone."""
        if self.process is not None and self.process.poll() is not None:
            raise Failed('ended with %d: %s' % (self.process.returncode, self.tail()))

    def release(self, marks):
        """Lets the programs that left these marks begin."""
        for _, pid in marks:
            os.kill(pid, signal.SIGUSR1)

    def stop(self, seconds=PATIENCE):
        """SIGTERM; milliseconds until the process is gone."""
        begun = clock_ns()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed('still there %d s after SIGTERM' % seconds)
        return (clock_ns() - begun) / 1e6


class Server(Subject):
    """A subject that answers calls, on a unix socket and, if asked to, over TCP."""

    def __init__(self, run, tcp=False):
        super().__init__(run)
        self.socket = os.path.join(self.folder, 'socket')
        self.port = free_port() if tcp else None

    def address(self, tcp=False):
        return 'tcp:%d' % self.port if tcp else 'unix:' + self.socket

    def await_ready(self, seconds=60):
        """The nanosecond of the first answer."""
        path = self._file('request', request('supervisor.getState'))
        try:
            return run_tool(self.run.tools, 'first', self.address(), path, seconds=seconds)['ns']
        except subprocess.TimeoutExpired:
            raise Failed('no answer after %d s: %s' % (seconds, self.tail()))

    def load(self, method, connections, seconds, tcp=False):
        """Rates of a call that is repeated; adds what it cost the server: cpu_us."""
        path = self._file('request', request(method))
        before = self.cpu()
        rates = run_tool(self.run.tools, 'load', self.address(tcp), connections, seconds, path)
        return self._checked(method, rates, before)

    def calls(self, calls):
        """Calls (method, parameters), one after another on one connection."""
        whole = [request(*call) for call in calls]
        path = self._file('requests', b''.join(struct.pack('=I', len(one)) + one for one in whole))
        before = self.cpu()
        rates = run_tool(self.run.tools, 'calls', self.address(), path)
        return self._checked(calls[0][0], rates, before)

    def _checked(self, what, rates, cpu_before):
        if rates['faults'] or rates['errors']:
            raise Failed('%s: %d faults, %d errors: %s' % (what, rates['faults'], rates['errors'], rates['fault']))
        rates['cpu_us'] = (self.cpu() - cpu_before) * 1e6 / max(1, rates['answered'])
        return rates

    def _file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, 'wb') as file:
            file.write(content)
        return path


class Canned(Server):
    """The C program that gives one answer to everything: a body of that many bytes."""

    def start(self, body, tcp=False):
        return self.launch(self.run.limit, 'answer', self.address(tcp), str(body))


class Daemon(Server):
    """supervisord, ours or the original's: anything that takes -n -c FILE."""

    def __init__(self, run, sections, programs=1, tcp=False, files_each=5):
        """`files_each`: descriptors that a program takes; without more options three pipes and two logs."""
        super().__init__(run, tcp)
        # And what the daemon has of its own.
        self.minfds = min(FILES, max(1024, files_each * programs + OWN_FILES))
        self.file = os.path.join(self.folder, 'conf')
        self.write(sections)

    def write(self, sections):
        """The file anew; nothing reads it unless asked to."""
        with open(self.file, 'w') as file:
            file.write(HEAD % {
                'folder': self.folder, 'minfds': self.minfds, 'user': 'user=root' if os.geteuid() == 0 else '',
                'inet': '[inet_http_server]\nport=127.0.0.1:%d' % self.port if self.port else ''} + sections)

    def start(self, *before, environment=None):
        """Runs it, under the command `before` if there is one."""
        return self.launch(*before, *shlex.split(self.run.command), '-n', '-c', self.file, environment=environment)

    def await_running(self, count, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while True:
            states = [info['statename'] for info in self.call('supervisor.getAllProcessInfo')]
            if states.count('RUNNING') >= count:
                return
            if time.monotonic() > end:
                raise Failed('%d of %d RUNNING after %d s' % (states.count('RUNNING'), count, seconds))
            time.sleep(0.1)

    def call(self, method, *params):
        connection = http.client.HTTPConnection('localhost')
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.settimeout(PATIENCE)
            connection.sock.connect(self.socket)
            connection.request('POST', '/RPC2', xmlrpc.client.dumps(params, method), {'Content-Type': 'text/xml'})
            return xmlrpc.client.loads(connection.getresponse().read())[0][0]
        finally:
            connection.close()


class Least(Subject):
    """The C program that starts and restarts COUNT times a command, and nothing else."""

    def __init__(self, run, command, count):
        super().__init__(run)
        self._command = [run.limit, 'supervise', str(count), self.folder, *shlex.split(command)]

    def start(self):
        return self.launch(*self._command)

    def await_ready(self, seconds=60):
        """It answers nobody."""

    def await_running(self, count, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while len(children(self.pid)) < count:
            if time.monotonic() > end:
                raise Failed('%d of %d children' % (len(children(self.pid)), count))
            time.sleep(0.01)


class Run:
    """One measurement of one target; `command` None is the limit. `put` takes the figures."""

    def __init__(self, base, command, quick, name='run'):
        self.tools, self.limit = os.path.join(base, 'tools'), os.path.join(base, 'limit')
        self.folder = os.path.join(base, name)
        os.mkdir(self.folder)
        self.command, self.quick = command, quick
        self.figures = {}

    def put(self, row, value, unit, more=False):
        """A figure; `more` of it is better, or less."""
        self.figures[row] = (value, unit, more)

    def tool(self, words):
        """A command line of tools.c for a configuration, with `@` for the board."""
        return '%s %s' % (self.tools, words.replace('@', os.path.join(self.folder, 'board')))

    def programs(self, words, count=1, **options):
        """`count` times a program of tools.c under the target, each with its logs. The limit knows no options."""
        if self.command is None:
            return Least(self, self.tool(words), count).start()
        log = os.path.join(self.folder, '%(process_num)d')
        options = {'stdout_logfile': log + '.out', 'stderr_logfile': log + '.err', **options}
        return Daemon(self, section('p', self.tool(words), count, **options), count).start()

    def close(self):
        kill_descendants()
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]
