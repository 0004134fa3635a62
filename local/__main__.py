"""`python -m local demo`, `python -m local serve` and `python -m local picture`."""

import argparse
import sys
from pathlib import Path

from local.demo import demo
from local.picture import picture
from local.serve import serve

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def main() -> int:
    """Run the command that the command line names. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description="The export job on a laptop, without a cloud.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="run the main job and show its result")
    serving = commands.add_parser("serve", help="keep everything running and print curl lines")
    serving.add_argument("--port", type=int, default=8080, help="the function's port; 0: any free one (default: 8080)")
    serving.add_argument("--rows", type=int, default=1000, help="rows of each file (default: 1000)")
    serving.add_argument("--shards", type=int, default=3, help="files of each report (default: 3)")
    serving.add_argument("--size", type=_size_bytes, default=0, help="minimum size of each file, such as 500M or 2G")
    serving.add_argument("--api-version", choices=["v2", "v1"], default="v2", help="of the export service")
    serving.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="a setting of the function")
    showing = commands.add_parser("picture", help="write a picture of the coverage page")
    showing.add_argument("path", type=Path, help="a PNG file")
    showing.add_argument("--port", type=int, default=8080, help="the function's port, visible in the picture")
    options = parser.parse_args()
    if options.command == "demo":
        return demo()
    if options.command == "picture":
        return picture(options.path, port=options.port)
    settings = dict(setting.partition("=")[::2] for setting in options.env)
    return serve(
        port=options.port,
        rows=options.rows,
        shards=options.shards,
        least_bytes=options.size,
        api_version=options.api_version,
        settings=settings,
    )


def _size_bytes(text: str) -> int:
    unit = _UNITS.get(text[-1:].upper())
    return int(float(text[:-1]) * unit) if unit else int(text)


if __name__ == "__main__":
    sys.exit(main())
