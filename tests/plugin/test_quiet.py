"""Looking at rasters without a trace: GDAL's own setting, which holds for the whole process, comes back."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Thread

import pytest
from osgeo import gdal

from debris_qgis.results.quiet import PAM, no_side_files


@pytest.fixture(params=[None, "YES"])
def setting(request):
    before = gdal.GetConfigOption(PAM)
    gdal.SetConfigOption(PAM, request.param)
    yield request.param
    gdal.SetConfigOption(PAM, before)


def test_the_first_to_go_does_not_turn_it_on_for_the_second_and_the_last_puts_it_back(setting):
    """As a task in the background and the main thread do: whoever came first goes first."""
    first, second = ExitStack(), ExitStack()
    first.enter_context(no_side_files())
    second.enter_context(no_side_files())
    first.close()
    assert gdal.GetConfigOption(PAM) == "NO"
    second.close()
    assert gdal.GetConfigOption(PAM) == setting


def test_it_comes_back_after_an_error(setting):
    with pytest.raises(ValueError, match="stop"), no_side_files():
        raise ValueError("stop")
    assert gdal.GetConfigOption(PAM) == setting


def test_many_threads_leave_it_as_it_was(setting):
    def use():
        for _ in range(200):
            with no_side_files():
                pass

    threads = [Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gdal.GetConfigOption(PAM) == setting
