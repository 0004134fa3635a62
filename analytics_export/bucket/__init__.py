"""The destination: object names, a period's files, uploads, manifests."""
