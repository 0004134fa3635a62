"""A stand-in of Cloud Storage, in reading order.

- `storage`: the server, and what tests do with it directly
- `json_api`: the routes of the JSON API; made of `object_api`, `upload_api` and `resources`
- `link_api`: signed links, as the XML API answers them
- `delivery`: how an object's bytes leave, by either API
- `state`: what all of them share
- `store`: buckets and objects; `files`: where their bytes live
- `objects`: what an object is, and what a request demands of it [pure]
- `uploads`: resumable sessions
- `links`: signed links, made and judged
- `fields`: partial answers [pure]
"""
