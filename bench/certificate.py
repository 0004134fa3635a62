"""A certificate for one run of the bench, trusted only there."""

import sys
from pathlib import Path

import trustme


def write(folder: Path) -> None:
    """Write the authority's certificate to `authority.pem`, and the server's with its key to `server.pem`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    server = authority.issue_cert("127.0.0.1", "localhost")
    server.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
