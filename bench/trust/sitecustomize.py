"""Makes Python programs trust the bench's certificate: on their PYTHONPATH, this runs before anything else.

requests takes its authorities from certifi unless its environment is trusted, and the function's sessions do not trust
it. So the production code needs no switch for the bench.
"""

import os

import certifi

certifi.where = lambda: os.environ["BENCH_AUTHORITY"]
