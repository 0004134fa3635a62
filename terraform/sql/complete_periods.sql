-- Rows of the complete periods: a manifest is written after a period's last file, so a
-- half-copied period has none. Only files that a manifest names count, so that a copy put beside
-- or below them is not counted twice. The price: each query also reads the manifests and compares one file name
-- a row. Neither saves reading: only a constant for start_date, given by the reader, keeps other files unread.
-- How _FILE_NAME writes blanks, signs and other scripts is not documented, so both sides are compared without
-- these, percent-encoded or not: a file must not be lost for its name.
%{ if delete_after_days != null ~}
-- Files are deleted at an age of ${delete_after_days} days, one by one, while their manifest stays: a period is
-- left out from the moment at which its oldest file may go. A generation is that file's creation time in
-- microseconds. Cloud Storage does so without promising it: if it ever is something smaller, the day after
-- the period's end counts, before which no file of it was made.
%{ endif ~}
SELECT files.*
%{~ if length(casts) > 0 } REPLACE (
%{ for position, name in sort(keys(casts)) ~}
  ${casts[name]} AS ${name}${position + 1 < length(casts) ? "," : ""}
%{ endfor ~}
)
%{~ endif }
FROM `${files}` AS files
WHERE REGEXP_REPLACE(files._FILE_NAME, r'%[0-9A-Fa-f]{2}|[^A-Za-z0-9._~=/-]', '') IN (
  SELECT REGEXP_REPLACE(CONCAT('gs://${bucket}/', object.name), r'%[0-9A-Fa-f]{2}|[^A-Za-z0-9._~=/-]', '')
  FROM `${exports}` AS exports
  CROSS JOIN UNNEST(exports.objects) AS object
  WHERE exports.aggregation = '${aggregation}'
    AND exports.frequency = '${frequency}'
%{ if delete_after_days != null ~}
    AND TIMESTAMP_ADD(
      GREATEST(
        TIMESTAMP(DATE_ADD(exports.end_date, INTERVAL 1 DAY), 'UTC'),
        (
          SELECT COALESCE(MIN(TIMESTAMP_MICROS(SAFE_CAST(oldest.generation AS INT64))), TIMESTAMP_MICROS(0))
          FROM UNNEST(exports.objects) AS oldest
        )
      ),
      INTERVAL ${delete_after_days} DAY
    ) > CURRENT_TIMESTAMP()
%{ endif ~}
)
