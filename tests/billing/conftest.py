"""The shipped books."""

import pytest
from tests.billing.town import shipped

from bijlighar.tariffs.model import Books


@pytest.fixture(scope="session")
def books() -> Books:
    return shipped()
