-- Periods that should be there and are not: the calendar since the first exported period, for each
-- aggregation and frequency that has any, less the manifests. A period counts from 08:00 UTC on the day
-- after its last, when Usercentrics makes it available.
WITH spans AS (
  SELECT
    exports.aggregation,
    exports.frequency,
    MIN(exports.start_date) AS first_start_date
  FROM `${exports}` AS exports
  GROUP BY exports.aggregation, exports.frequency
),

calendar AS (
  SELECT
    spans.aggregation,
    spans.frequency,
    start_date,
    CASE spans.frequency
      WHEN 'daily' THEN start_date
      WHEN 'weekly' THEN DATE_ADD(start_date, INTERVAL 6 DAY)
      WHEN 'monthly' THEN LAST_DAY(start_date, MONTH)
    END AS end_date
  FROM spans
  CROSS JOIN UNNEST(GENERATE_DATE_ARRAY(spans.first_start_date, DATE(CURRENT_TIMESTAMP()))) AS start_date
  WHERE spans.frequency = 'daily'
    OR (spans.frequency = 'weekly' AND start_date = DATE_TRUNC(start_date, WEEK(MONDAY)))
    OR (spans.frequency = 'monthly' AND start_date = DATE_TRUNC(start_date, MONTH))
)

SELECT
  calendar.aggregation,
  calendar.frequency,
  calendar.start_date,
  calendar.end_date
FROM calendar
LEFT JOIN `${exports}` AS exports
  ON exports.aggregation = calendar.aggregation
  AND exports.frequency = calendar.frequency
  AND exports.start_date = calendar.start_date
WHERE exports.start_date IS NULL
  AND TIMESTAMP_ADD(TIMESTAMP(DATE_ADD(calendar.end_date, INTERVAL 1 DAY)), INTERVAL 8 HOUR) <= CURRENT_TIMESTAMP()
