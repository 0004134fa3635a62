-- Rates as Usercentrics' own dashboards define them, over both layers of the banner and apps. Events are counted
-- by the file (number), never by its rows. Bots are left out. No displays or no interactions, no rate.
WITH events AS (
  SELECT
    complete.start_date,
    complete.day,
    complete.settings_id,
    complete.number,
    UPPER(${event_name}) AS event_name
  FROM `${complete}` AS complete
  WHERE COALESCE(LOWER(CAST(complete.browser AS STRING)), '') != 'bot'
),

counts AS (
  SELECT
    events.start_date,
    events.day,
    events.settings_id,
    SUM(IF(events.event_name = 'CMP_SHOWN', events.number, 0)) AS displays,
    SUM(IF(events.event_name IN ('ACCEPT_ALL', 'ACCEPT_ALL_L1', 'ACCEPT_ALL_L2'), events.number, 0)) AS accepts,
    SUM(IF(events.event_name IN ('DENY_ALL', 'DENY_ALL_L1', 'DENY_ALL_L2'), events.number, 0)) AS denies,
    SUM(IF(events.event_name IN ('SAVE', 'SAVE_L1', 'SAVE_L2'), events.number, 0)) AS saves
  FROM events
  GROUP BY events.start_date, events.day, events.settings_id
)

SELECT
  counts.start_date,
  counts.day,
  counts.settings_id,
  counts.displays,
  counts.accepts + counts.denies + counts.saves AS interactions,
  counts.displays - (counts.accepts + counts.denies + counts.saves) AS ignores,
  counts.accepts,
  counts.denies,
  counts.saves,
  SAFE_DIVIDE(counts.accepts + counts.denies + counts.saves, counts.displays) AS interaction_rate,
  SAFE_DIVIDE(counts.accepts, counts.accepts + counts.denies + counts.saves) AS accept_rate,
  SAFE_DIVIDE(counts.denies, counts.accepts + counts.denies + counts.saves) AS deny_rate,
  SAFE_DIVIDE(counts.saves, counts.accepts + counts.denies + counts.saves) AS save_rate
FROM counts
