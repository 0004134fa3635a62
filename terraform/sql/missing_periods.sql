-- Periods that should be there and are not: the calendar from the first day that is expected (`since` in the
-- variable exports, else the first exported one) to the last (`until`, else today), for each aggregation and
-- frequency that has either, less the manifests. A period counts from 08:00 UTC on the day after its last, when
-- Usercentrics makes it available. UTC is named wherever it matters: a reader's time zone may be another.
WITH expected AS (
%{ for position, key in sort(keys(expected)) ~}
%{ if position > 0 ~}
  UNION ALL
%{ endif ~}
  SELECT
    '${expected[key].aggregation}' AS aggregation,
    '${expected[key].frequency}' AS frequency,
    CAST(${expected[key].since == null ? "NULL" : "'${expected[key].since}'"} AS DATE) AS since,
    CAST(${expected[key].until == null ? "NULL" : "'${expected[key].until}'"} AS DATE) AS until
%{ endfor ~}
),

exported AS (
  SELECT
    exports.aggregation,
    exports.frequency,
    MIN(exports.start_date) AS since
  FROM `${exports}` AS exports
  GROUP BY exports.aggregation, exports.frequency
),

spans AS (
  SELECT
    COALESCE(expected.aggregation, exported.aggregation) AS aggregation,
    COALESCE(expected.frequency, exported.frequency) AS frequency,
    COALESCE(expected.since, exported.since) AS since,
    LEAST(COALESCE(expected.until, CURRENT_DATE('UTC')), CURRENT_DATE('UTC')) AS until
  FROM expected
  FULL OUTER JOIN exported
    ON exported.aggregation = expected.aggregation
    AND exported.frequency = expected.frequency
),

starts AS (
  SELECT DISTINCT
    spans.aggregation,
    spans.frequency,
    CASE spans.frequency
      WHEN 'daily' THEN day
      WHEN 'weekly' THEN DATE_TRUNC(day, WEEK(MONDAY))
      WHEN 'monthly' THEN DATE_TRUNC(day, MONTH)
    END AS start_date
  FROM spans
  CROSS JOIN UNNEST(GENERATE_DATE_ARRAY(spans.since, spans.until)) AS day
),

calendar AS (
  SELECT
    starts.aggregation,
    starts.frequency,
    starts.start_date,
    CASE starts.frequency
      WHEN 'daily' THEN starts.start_date
      WHEN 'weekly' THEN DATE_ADD(starts.start_date, INTERVAL 6 DAY)
      WHEN 'monthly' THEN LAST_DAY(starts.start_date, MONTH)
    END AS end_date
  FROM starts
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
  AND TIMESTAMP_ADD(TIMESTAMP(DATE_ADD(calendar.end_date, INTERVAL 1 DAY), 'UTC'), INTERVAL 8 HOUR) <= CURRENT_TIMESTAMP()
