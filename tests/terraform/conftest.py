import pytest

from tests.terraform.terraform_cli import set_shared_folder


@pytest.fixture(scope="session", autouse=True)
def _shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> None:
    """Each worker of pytest-xdist has a folder of its own; their common parent is the shared one."""
    own = tmp_path_factory.getbasetemp()
    set_shared_folder(own if worker_id == "master" else own.parent)
