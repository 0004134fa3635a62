"""Makes Python programs trust the bench's certificate: Python imports this module at its start, from PYTHONPATH.

requests takes the authorities from certifi, unless its session trusts the environment, and the function's sessions do
not. So the production code needs no switch for the bench.
"""

import os

import certifi

certifi.where = lambda: os.environ["BENCH_AUTHORITY"]
