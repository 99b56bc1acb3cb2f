"""REST, looked at by what others have written: the document by a validator of OpenAPI, the paths by schemathesis, and the answers
beside those of Supvisors' own Flask application, which asks the same daemon over XML-RPC.

    rest.py SUPERVISORD

Two daemons that know each other, one with a password and one without, for the Flask application has none to give. What is not
there is skipped, with a line.
"""
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

USER = ("u", "a password")
# What ends the daemon is tried last, by hand.
ENDS = ["/supervisor/shutdown", "/supervisor/restart", "/supvisors/restart", "/supvisors/shutdown"]
# A fault is 400, as with Flask, and says nothing of the form of the request.
CHECKS = '[checks]\npositive_data_acceptance.expected-statuses = ["2xx", "400", "404"]\n'
# The second run asks for what there is.
REAL = {
    "path.name": "app:a", "path.namespec": "app:a", "path.application": "app", "path.program": "a", "path.identifier": "n1",
    "path.strategy": "CONFIG", "path.signal": "SIGURG", "path.offset": 0, "path.length": 100, "path.numprocs": 1,
    "path.level": "info", "path.period": 5.0, "path.regex": "a", "path.type": "t", "path.data": "d", "path.chars": "c",
}
# Values that are others a moment later, or on another clock.
MOVING = {"now", "now_monotonic", "last_event_mtime", "event_mtime", "uptime", "description", "local_mtime", "remote_mtime",
          "local_sequence_counter", "remote_sequence_counter", "process_failure"}
SAME = [
    ("GET", "/system/listMethods"), ("GET", "/system/methodHelp/supervisor.getState"), ("GET", "/system/methodHelp/nothing"),
    ("GET", "/system/methodSignature/supvisors.get_process_info"), ("GET", "/system/nothing"), ("POST", "/system/listMethods"),
    ("GET", "/supervisor/getAPIVersion"), ("GET", "/supervisor/getSupervisorVersion"), ("GET", "/supervisor/getIdentification"),
    ("GET", "/supervisor/getState"), ("GET", "/supervisor/getPID"), ("GET", "/supervisor/getAllProcessInfo"),
    ("GET", "/supervisor/getAllConfigInfo"), ("GET", "/supervisor/getProcessInfo/app:a"), ("GET", "/supervisor/getProcessInfo/x"),
    ("GET", "/supervisor/readLog/0/80"), ("GET", "/supervisor/readLog/x/0"),
    ("GET", "/supervisor/readProcessStdoutLog/app:a/0/4"), ("GET", "/supervisor/tailProcessStdoutLog/app:a/0/100"),
    ("GET", "/supervisor/readProcessStderrLog/app:a/-5/0"), ("GET", "/supervisor/getVersion"),
    ("POST", "/supervisor/stopProcess/app:a"), ("POST", "/supervisor/stopProcess/app:a"), ("POST", "/supervisor/startProcess/app:a"),
    ("POST", "/supervisor/startProcess/app:a?wait=false"), ("POST", "/supervisor/startProcess/app:a?wait=maybe"),
    ("POST", "/supervisor/signalProcess/app:*/SIGURG"), ("POST", "/supervisor/signalProcess/app:a/NOTHING"),
    ("POST", "/supervisor/sendRemoteCommEvent/type/some%20data"), ("GET", "/supervisor/startProcess/app:a"),
    ("POST", "/supervisor/reloadConfig"), ("POST", "/supervisor/addProcessGroup/app"), ("POST", "/supervisor/clearProcessLogs/app:a"),
    ("GET", "/supvisors/api_version"), ("GET", "/supvisors/supvisors_state"), ("GET", "/supvisors/all_instances_state_modes"),
    ("GET", "/supvisors/instance_state_modes/n2"), ("GET", "/supvisors/master_identifier"), ("GET", "/supvisors/strategies"),
    ("GET", "/supvisors/statistics_status"), ("GET", "/supvisors/network_info/n2"), ("GET", "/supvisors/all_instances_info"),
    ("GET", "/supvisors/instance_info/n1"), ("GET", "/supvisors/instance_info/n9"), ("GET", "/supvisors/all_applications_info"),
    ("GET", "/supvisors/application_info/app"), ("GET", "/supvisors/application_rules/app"), ("GET", "/supvisors/application_info/x"),
    ("GET", "/supvisors/all_process_info"), ("GET", "/supvisors/process_info/app:*"), ("GET", "/supvisors/process_rules/app:a"),
    ("GET", "/supvisors/all_local_process_info"), ("GET", "/supvisors/local_process_info/app:a"),
    ("GET", "/supvisors/all_inner_process_info/n1"), ("GET", "/supvisors/inner_process_info/n1/app:b"), ("GET", "/supvisors/conflicts"),
    ("GET", "/supvisors/get_conflicts"), ("POST", "/supvisors/start_process/CONFIG/app:b"),
    ("POST", "/supvisors/start_process/NONE/app:b"), ("POST", "/supvisors/stop_process/app:b"),
    ("POST", "/supvisors/start_any_process/CONFIG/app:b"), ("POST", "/supvisors/restart_process/LESS_LOADED/app:b?extra_args=1"),
    ("POST", "/supvisors/test_start_process/CONFIG/app:b"), ("POST", "/supvisors/start_application/CONFIG/app"),
    ("POST", "/supvisors/test_start_application/CONFIG/app"), ("POST", "/supvisors/update_numprocs/a/0"),
    ("POST", "/supvisors/update_numprocs/a/2"), ("POST", "/supvisors/update_numprocs/a/x"), ("POST", "/supvisors/disable/b"),
    ("POST", "/supvisors/enable/b"), ("POST", "/supvisors/conciliate/USER"), ("POST", "/supvisors/conciliate/NONE"),
    ("POST", "/supvisors/change_log_level/info"), ("POST", "/supvisors/end_sync"), ("POST", "/supvisors/update_collecting_period/7.5"),
    ("POST", "/supvisors/update_collecting_period/0.5"), ("POST", "/supvisors/disable_host_statistics"),
    ("POST", "/supvisors/enable_host_statistics"), ("POST", "/supvisors/disable_process_statistics"),
    ("POST", "/supvisors/enable_process_statistics"), ("POST", "/supvisors/restart_sequence"), ("GET", "/supvisors/restart"),
    ("DELETE", "/supvisors/restart"),
]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Daemon:
    """An instance of two."""

    def __init__(self, program, ports, at):
        self.folder, self.port = tempfile.TemporaryDirectory(), ports[at]
        self.has_password = at == 0
        names = ",".join(f"<n{at + 1}>127.0.0.1:{port}" for at, port in enumerate(ports))
        password = "username={}\npassword={}\n".format(*USER) if self.has_password else ""
        self.conf = os.path.join(self.folder.name, "s.conf")
        with open(self.conf, "w") as out:
            out.write(
                "[supervisord]\nnodaemon=true\nlogfile=%(here)s/log\npidfile=%(here)s/pid\nchildlogdir=%(here)s\n"
                "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
                f"[inet_http_server]\nport=127.0.0.1:{self.port}\n{password}"
                "[rpcinterface:supvisors]\nsupervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\n"
                f"supvisors_list={names}\n[stheno]\ncluster_secret=known to both of them\n"
                '[program:a]\ncommand=sh -c "echo hello; exec sleep 1000"\nstartsecs=0\n'
                "[program:b]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\n[group:app]\nprograms=a,b\n"
            )
        self.child = subprocess.Popen([program, "-c", self.conf], stdout=subprocess.DEVNULL)

    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def ask(self, verb, path):
        """Status and JSON, if it is JSON, of a request."""
        request = urllib.request.Request(self.url() + path, method=verb)
        if self.has_password:
            manager = urllib.request.HTTPPasswordMgrWithPriorAuth()
            manager.add_password(None, self.url(), *USER, is_authenticated=True)
            opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
        else:
            opener = urllib.request.build_opener()
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def wait_ready(self):
        end = time.time() + 60
        while True:
            assert time.time() < end and self.child.poll() is None, "no start"
            try:
                status, state = self.ask("GET", "/supvisors/supvisors_state")
                if status == 200 and state["fsm_statename"] == "OPERATION" and list(state["instance_states"].values()) == ["RUNNING"] * 2:
                    return
            except OSError:
                pass
            time.sleep(0.1)

    def end(self):
        if self.child.poll() is None:
            self.child.terminate()
        self.child.wait(30)
        self.folder.cleanup()


def validate(daemon):
    from openapi_spec_validator import validate as valid

    for path in ["/openapi.json", "/api/v1/openapi.json"]:
        status, document = daemon.ask("GET", path)
        assert status == 200
        valid(document)
    print(f"validator: {len(document['paths'])} paths, nothing is wrong")


def fuzz(daemon, schemathesis, parameters, *options):
    config = os.path.join(daemon.folder.name, "schemathesis.toml")
    with open(config, "w") as out:
        out.write("[parameters]\n" + "".join(f'"{name}" = {json.dumps(value)}\n' for name, value in parameters.items()) + CHECKS)
    without = [word for path in ENDS for word in ("--exclude-path", path)]
    command = [schemathesis, "--config-file", config, "run", daemon.url() + "/openapi.json", "--url", daemon.url() + "/api/v1",
               "--auth", ":".join(USER), "--seed", "1", "--continue-on-failure", "--warnings", "off", "--no-color",
               *without, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=daemon.folder.name)
    assert daemon.child.poll() is None, "the daemon has ended"
    assert done.returncode == 0, done.stdout
    print("schemathesis:", next(line.strip() for line in done.stdout.splitlines() if "generated" in line))


def at_rest(value):
    """What of an answer is the same a moment later."""
    if isinstance(value, dict):
        return {key: at_rest(one) for key, one in value.items() if key not in MOVING}
    return [at_rest(one) for one in value] if isinstance(value, list) else value


def beside_flask(daemon, application):
    application.config["url"] = daemon.url()
    client, wrong = application.test_client(), []
    for verb, path in SAME:
        answers = []
        # Each begins with the same.
        for _ in range(2):
            daemon.ask("POST", "/supervisor/startProcess/app:a")
            daemon.ask("POST", "/supvisors/stop_process/app:b")
            if not answers:
                theirs = client.open(path, method=verb)
                answers.append((theirs.status_code, at_rest(theirs.get_json(silent=True))))
            else:
                answers.append(daemon.ask(verb, path))
        (status, theirs), (own_status, own) = answers[0], (answers[1][0], at_rest(answers[1][1]))
        # Of what the application itself refuses the words are its own.
        is_same = status == own_status and (theirs == own or (status != 200 and "code" not in own and "message" in own))
        if not is_same and not (status == own_status and moved(theirs, own)):
            wrong.append(f"{verb} {path}\n  Flask {status} {theirs}\n  here  {own_status} {own}")
    assert not wrong, "\n".join(wrong)
    print(f"Flask: {len(SAME)} answers, the same here")


def moved(theirs, own):
    """Whether two answers differ in times and pids of processes alone, for they were begun again."""
    def still(value):
        if isinstance(value, dict):
            return {key: still(one) for key, one in value.items() if key not in ("start", "stop", "pid", "start_monotonic", "stop_monotonic")}
        return [still(one) for one in value] if isinstance(value, list) else value

    return isinstance(own, (dict, list)) and still(theirs) == still(own)


def main():
    try:
        import openapi_spec_validator  # noqa: F401
        import schemathesis  # noqa: F401
    except ImportError as error:
        print(f"SKIPPED: {error}")
        return
    ports = [free_port(), free_port()]
    daemons = [Daemon(sys.argv[1], ports, at) for at in range(2)]
    try:
        for daemon in daemons:
            daemon.wait_ready()
        validate(daemons[0])
        try:
            from supvisors.tools.supvisorsflask import app
        except ImportError as error:
            print(f"SKIPPED: Supvisors' Flask application: {error}")
        else:
            beside_flask(daemons[1], app)
        program = os.path.join(os.path.dirname(sys.executable), "schemathesis")
        fuzz(daemons[0], program, {}, "--phases", "examples,coverage")
        # What is made to be wrong at random may be right on the way: an empty list in a query is not written, a password is set
        # again. That what is wrong is refused the first run has shown, case by case.
        fuzz(daemons[0], program, {}, "--phases", "fuzzing", "--max-examples", "10", "--exclude-checks", "negative_data_rejection")
        fuzz(daemons[0], program, REAL, "--phases", "fuzzing", "--max-examples", "3", "--mode", "positive")
        assert daemons[0].ask("POST", "/supervisor/shutdown") == (200, True)
        daemons[0].child.wait(30)
        print("and it ends when it is told to")
    finally:
        for daemon in daemons:
            daemon.end()


main()
