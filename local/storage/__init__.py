"""A stand-in of Cloud Storage, in reading order.

- `storage`: the server, and what tests do with it directly
- `json_api`: the routes of the JSON API; made of `object_api`, `upload_api` and `resources`
- `link_api`: signed links, as the XML API answers them
- `delivery`: how an object's bytes leave, by either API
- `state`: what all of them share
- `objects`: buckets and objects; bytes in files, everything else in memory
- `uploads`: resumable sessions
- `links`: signed links, made and judged
- `fields`: partial answers [pure]
"""
