"""The source: the API key, the listing of a period, and the files behind signed links."""
