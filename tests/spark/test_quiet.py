"""Stack traces of the JVM are not printed while a query fails, whichever logger has them."""

from __future__ import annotations

import threading

import pytest

from sparksig.spark import quiet
from sparksig.spark.quiet import mute_stack_traces

TRACES = {
    "stack trace": "Lost task\norg.x.Y: no\n\tat org.x.Y$.z(Y.scala:1)\n\t... 17 more\n\nDriver stacktrace:",
    "killed task": "Lost task 1.0 in stage 2.0 (TID 3) (host executor driver): TaskKilled (Stage cancelled)",
    "aborted stage": "Task 1 in stage 2.0 failed 4 times; aborting job",
    "traceback": 'Error in task\nTraceback (most recent call last):\n  File "a.py", line 1, in f\n',
}


@pytest.fixture
def console(spark):
    """The console as a new session has it; a command in this process mutes it until the process ends."""
    users = quiet._CONSOLE._users
    for _ in range(users):
        quiet._CONSOLE.unmute()
    yield
    for _ in range(users):
        quiet._CONSOLE.mute(spark)


@pytest.fixture
def show(spark, console):
    """A function that returns the output of the console appender for a message and an exception."""
    jvm = spark._jvm
    core = jvm.org.apache.logging.log4j.core

    def call(message, exception=None):
        event = core.impl.Log4jLogEvent.newBuilder().setLoggerName("org.apache.spark.TaskContextImpl")
        event = event.setLevel(jvm.org.apache.logging.log4j.Level.ERROR).setThrown(exception)
        event = event.setMessage(jvm.org.apache.logging.log4j.message.SimpleMessage(message)).build()
        root = jvm.org.apache.logging.log4j.LogManager.getContext(False).getConfiguration().getRootLogger()
        (appender,) = root.getAppenders().values()
        return appender.getLayout().toSerializable(event)

    return call


@pytest.mark.parametrize("text", TRACES.values(), ids=TRACES)
def test_event_with_a_trace_is_not_printed(spark, show, text):
    assert text in show(text)
    with mute_stack_traces(spark):
        assert show(text) == ""
    assert text in show(text)


def test_event_with_an_exception_is_not_printed(spark, show):
    exception = spark._jvm.java.lang.IllegalStateException("Block broadcast_4 does not exist")
    assert "\tat " in show("Error in TaskCompletionListener", exception)
    with mute_stack_traces(spark):
        assert show("Error in TaskCompletionListener", exception) == ""


@pytest.mark.parametrize("text", ["Lost executor 1 on host: Container killed by YARN", "two\nlines"])
def test_event_without_a_trace_is_printed(spark, show, text):
    with mute_stack_traces(spark):
        assert text in show(text)


def test_queries_in_several_threads_mute_and_unmute_once(spark, show):
    entered, left = threading.Event(), threading.Event()

    def outlast():
        with mute_stack_traces(spark):
            entered.set()
            left.wait(60)

    with mute_stack_traces(spark):
        thread = threading.Thread(target=outlast)
        thread.start()
        assert entered.wait(60)
    assert show(TRACES["stack trace"]) == ""
    left.set()
    thread.join(60)
    assert TRACES["stack trace"] in show(TRACES["stack trace"])


def test_failure_is_raised_after_the_killed_tasks_have_ended(spark):
    tracker = spark.sparkContext._jsc.sc().statusTracker()
    slow_or_failing = spark.range(0, 2, 1, 2).selectExpr(
        "if(id = 0, raise_error('no'), aggregate(sequence(id, id + 999999), 0L, (sum, x) -> sum + x)) as x"
    )
    with pytest.raises(Exception, match="no"), mute_stack_traces(spark):
        slow_or_failing.collect()
    assert sum(executor.numRunningTasks() for executor in tracker.getExecutorInfos()) == 0
