from datetime import UTC, datetime, timedelta, timezone

import pytest

from qmodel.api.timestamps import rfc3339


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2))])
def test_times_are_written_in_one_way(zone: timezone) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    assert rfc3339(moment.astimezone(zone)) == "2026-01-02T03:04:05Z"
