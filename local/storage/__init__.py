"""A stand-in of Cloud Storage, in reading order.

- `storage`: the server, and its methods for tests
- `json_api`: the routes of the JSON API; their handlers are in `object_api`, `upload_api` and `resources`
- `link_api`: signed links, answered as the XML API does
- `delivery`: sends an object's bytes, for both APIs
- `state`: the state that the handlers share
- `store`: buckets and objects; `files`: where their bytes are stored
- `objects`: an object's metadata, changes and preconditions [pure]
- `uploads`: resumable sessions
- `links`: makes and checks signed links
- `fields`: partial answers [pure]
"""
