# SPDX-License-Identifier: BSD-2-Clause
"""The hypervisor of make test-debug (CONFIG_DEBUG, CONFIG_UBSAN) does report what it is built to find."""
import os

import pytest

from test_dom0 import panics

pytestmark = pytest.mark.skipif("debug" not in os.environ.get("HYPERVISOR", ""), reason="make test-debug's")


def test_undefined_behaviour(boot):
    log = panics(boot, "U")
    assert "undefined behaviour that CONFIG_UBSAN found" in log
    assert "key_undefined" in log, "no backtrace with the function"
    assert "shifting too far" not in log


def test_assertion(boot):
    log = panics(boot, "A")
    assert "debug.c" in log and "pages" in log
    assert "key_assertion" in log
