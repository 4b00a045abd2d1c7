"""Drivers that are killed for real: processes that share the JVM of the tests' session, ended by SIGKILL.

A driver counts its events: each call that changes a file or a directory, made by Hadoop, by pyarrow or by
Python itself. It kills itself right before the event of a given number, so that every state that a dying
driver can leave on the disk is reached once, and always the same way. Drivers of the engine "local" have no
JVM.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
from pathlib import Path

import pyarrow.fs as pafs

_HADOOP = {"rename", "delete", "mkdirs", "create", "createNewFile"}
_PYARROW = ("create_dir", "open_output_stream", "move", "delete_file", "delete_dir", "copy_file")
_PYTHON = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree"}
_USERS = ("sparksig.jobs.file_systems", "sparksig.jobs.files", "sparksig.jobs.direct_engine")
"""The modules that have a file system of pyarrow by ``file_system``."""

NEW_STATE = "(new state)"

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "tests.faults.drivers",
        "tests.spark.models",  # with the imports of the models of the tests
        "pyspark.sql",
        "pyarrow.parquet",
        "sparksig.jobs.local_engine",
        "sparksig.jobs.direct_engine",
    ]
)


def describe_state(home):
    """Return the names of all files and directories in a directory, without their random parts."""
    names = (str(path.relative_to(home)) for path in Path(home).rglob("*"))
    return tuple(sorted(re.sub(r"[0-9a-f]{8}[0-9a-f-]*", "*", name) for name in names))


class Events:
    """The events of a driver, appended to a file, which a SIGKILL does not remove.

    The file has a line for each event. Events before which the directory has a new state are marked.
    """

    def __init__(self, log, home, last):
        self.log, self.home, self.last, self.count = log, str(home), last, 0
        self.states = set()

    def note(self, name, place):
        """Note an event that is about to happen; kill this process instead, if it is the last."""
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1
        state = describe_state(self.home)
        mark = "" if state in self.states else f" {NEW_STATE}"
        self.states.add(state)
        with open(self.log, "a") as log:
            log.write(f"{name} {place}{mark}\n")

    def listen(self):
        """Hook into the three ways in which files are changed."""
        import importlib

        import py4j.java_gateway

        call, find = (
            py4j.java_gateway.JavaMember.__call__,
            importlib.import_module(_USERS[0]).find_file_system,
        )

        def call_java(member, *args):
            if member.name in _HADOOP:
                self.note(member.name, args[0].toString())
            return call(member, *args)

        def find_file_system(*args):
            files, place = find(*args)
            return _FileSystem.noting(self) if isinstance(files, pafs.LocalFileSystem) else files, place

        py4j.java_gateway.JavaMember.__call__ = call_java
        for name in _USERS:
            importlib.import_module(name).find_file_system = find_file_system
        sys.addaudithook(self._hear_python)

    def _hear_python(self, name, args):
        if name in _PYTHON and str(args[0]).startswith(self.home):
            self.note(name, args[0])


class _FileSystem(pafs.LocalFileSystem):
    """A file system of pyarrow whose changes are events; in other processes it is a plain one."""

    @classmethod
    def noting(cls, events):
        files = cls()
        files.events = events
        return files


def _override(name):
    method = getattr(pafs.LocalFileSystem, name)

    def call(self, place, *args, **named):
        self.events.note(name, place)
        return method(self, place, *args, **named)

    setattr(_FileSystem, name, call)


for _name in _PYARROW:
    _override(_name)


def _connect(address):
    """Connect to the JVM of the tests, whose console stays as it is: a killed driver could not restore it."""
    from sparksig.spark import quiet

    quiet._replace_appenders = lambda jvm: ()
    os.environ["PYSPARK_GATEWAY_PORT"], os.environ["PYSPARK_GATEWAY_SECRET"] = address
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway

    gateway = launch_gateway()
    context = gateway.jvm.org.apache.spark.SparkContext.getOrCreate()
    java = gateway.jvm.org.apache.spark.api.java.JavaSparkContext.fromSparkContext(context)
    SparkContext(gateway=gateway, jsc=java, conf=SparkConf(_jconf=context.getConf()))


def _drive(address, configuration, log, home, last):
    """Run the job, and exit with its exit code."""
    from sparksig.jobs import ScoreConfig, score
    from sparksig.jobs.exit_codes import exit_code

    if address is not None:
        _connect(address)
    Events(log, home, last).listen()
    try:
        score(ScoreConfig.model_validate(configuration))
    except Exception as error:
        os._exit(exit_code(error))
    os._exit(0)  # the session is the tests'


def start_driver(spark, config, home, last=None, log=None):
    """Start a score job in a separate driver, and return its process; see :func:`run_driver`."""
    address = None
    if spark is not None:
        gateway = spark.sparkContext._gateway
        address = (str(gateway.java_parameters.port), gateway.java_parameters.auth_token)
    log = log or Path(f"{home}.events")
    log.write_text("")
    configuration = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    driver = _SERVER.Process(target=_drive, args=(address, configuration, str(log), str(home), last))
    driver.start()
    return driver


def run_driver(spark, config, home, last=None):
    """Run a score job in a separate driver.

    Args:
        spark: the session of the tests; None for the engine "local".
        config: the configuration of the job.
        home: the directory with everything that the job reads and writes.
        last: the number of the event before which the driver is killed; None for none.

    Returns:
        The exit status, and the events that have happened.
    """
    driver = start_driver(spark, config, home, last)
    wait_for(driver)
    return driver.exitcode, Path(f"{home}.events").read_text().splitlines()


def wait_for(*drivers):
    """Wait until drivers have ended; kill those that take too long."""
    for driver in drivers:
        driver.join(120)
        if driver.is_alive():
            driver.kill()
            driver.join()
