"""The destination's side: object names, what a period holds, uploads, manifests."""
