-- The events by name, as Usercentrics' banner calls them. Where the file holds the name instead of the number,
-- it passes through; no event is no name.
SELECT
  complete.*,
  ${event_name} AS event_name
FROM `${complete}` AS complete
