"""Test processes run gRPC servers and other threads, so forking is forbidden (conftest.py enforces it)."""

from __future__ import annotations

import multiprocessing
import os

import pytest


def test_a_test_process_cannot_fork() -> None:
    with pytest.raises(RuntimeError, match="tests must not fork"):
        os.fork()


def test_multiprocessing_cannot_fork_either() -> None:
    process = multiprocessing.get_context("fork").Process(target=os.getpid)
    with pytest.raises(RuntimeError, match="tests must not fork"):
        process.start()
