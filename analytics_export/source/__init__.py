"""Usercentrics' side: the API key, the listing of a period, and the bytes behind each signed link."""
