"""File names that a link may have; the object's name is exactly the same."""

ODD_NAMES = [
    "a b.csv", "a+b.csv", "a b+c&d=e.csv", "100%.csv", "%41.csv", "ü日本.csv", "Größe 名前.csv", "a?b#c&d=e.csv",
    "'quoted\".csv", "~a.csv", "~(1)[2]*.csv", "_a.csv", "_tmp", ".hidden", "...", "no-extension", "x" * 900,
]  # fmt: skip
