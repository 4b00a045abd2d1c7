"""Drivers that are killed for real: processes that share the JVM of the tests' session, ended by SIGKILL.

A driver counts its events: each call that changes a file or a directory, made by Hadoop, by pyarrow or by
Python itself. It kills itself right before the event of a given number, so that every state that a dying
driver can leave on the disk is reached once, and always the same way.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path

_HADOOP = {"rename", "delete", "mkdirs", "create", "createNewFile"}
_PYARROW = {"create_dir", "open_output_stream", "move", "delete_file", "delete_dir", "copy_file"}
_PYTHON = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree"}

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.faults.drivers", "pyspark.sql", "pyarrow.parquet", "sparksig.jobs"])


class Events:
    """The events of a driver, appended to a file: what has been written before a SIGKILL stays there."""

    def __init__(self, log, home, last):
        self.log, self.home, self.last, self.count = log, str(home), last, 0

    def note(self, name, place):
        """Note an event that is about to happen; kill this process instead, if it is the last."""
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1
        with open(self.log, "a") as log:
            log.write(f"{name} {place}\n")

    def listen(self):
        """Hook into the three ways in which files are changed."""
        import py4j.java_gateway

        import sparksig.jobs.files

        call, find = py4j.java_gateway.JavaMember.__call__, sparksig.jobs.files.file_system

        def call_java(member, *args):
            if member.name in _HADOOP:
                self.note(member.name, args[0].toString())
            return call(member, *args)

        def find_file_system(*args):
            files, place = find(*args)
            return files if files is None else _FileSystem(files, self), place

        py4j.java_gateway.JavaMember.__call__ = call_java
        sparksig.jobs.files.file_system = find_file_system
        sys.addaudithook(self._hear_python)

    def _hear_python(self, name, args):
        if name in _PYTHON and str(args[0]).startswith(self.home):
            self.note(name, args[0])


class _FileSystem:
    """A file system of pyarrow whose changes are events."""

    def __init__(self, files, events):
        self._files, self._events = files, events

    def __getattr__(self, name):
        method = getattr(self._files, name)
        if name not in _PYARROW:
            return method

        def call(place, *args, **named):
            self._events.note(name, place)
            return method(place, *args, **named)

        return call


def _drive(address, configuration, log, home, last):
    """Connect to the JVM of the tests, and run the job."""
    os.environ["PYSPARK_GATEWAY_PORT"], os.environ["PYSPARK_GATEWAY_SECRET"] = address
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway

    from sparksig.jobs import ScoreConfig, score

    gateway = launch_gateway()
    context = gateway.jvm.org.apache.spark.SparkContext.getOrCreate()
    java = gateway.jvm.org.apache.spark.api.java.JavaSparkContext.fromSparkContext(context)
    SparkContext(gateway=gateway, jsc=java, conf=SparkConf(_jconf=context.getConf()))
    events = Events(log, home, last)
    events.listen()
    score(ScoreConfig.model_validate(configuration))
    os._exit(0)  # the session is the tests'


def run_driver(spark, config, home, last=None):
    """Run a score job in a driver of its own.

    Args:
        spark: the session of the tests.
        config: the configuration of the job.
        home: the directory with everything that the job reads and writes.
        last: the number of the event before which the driver is killed; None for none.

    Returns:
        The exit status, and the events that have happened.
    """
    gateway = spark.sparkContext._gateway
    address = (str(gateway.java_parameters.port), gateway.java_parameters.auth_token)
    log = Path(f"{home}.events")
    log.write_text("")
    configuration = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    driver = _SERVER.Process(target=_drive, args=(address, configuration, str(log), str(home), last))
    driver.start()
    driver.join(120)
    if driver.is_alive():
        driver.kill()
        driver.join()
    return driver.exitcode, log.read_text().splitlines()
