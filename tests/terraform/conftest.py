import pytest

from tests.terraform.terraform_cli import kept_in


@pytest.fixture(scope="session", autouse=True)
def _kept(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> None:
    """The workers of pytest-xdist have folders side by side."""
    own = tmp_path_factory.getbasetemp()
    kept_in(own if worker_id == "master" else own.parent)
