-- Rows of the periods that are wholly in the bucket: a manifest is written after a period's last file,
-- so a half-copied period has none. A filter on start_date reaches the files and reads no others.
SELECT files.*
FROM `${files}` AS files
WHERE files.start_date IN (
  SELECT exports.start_date
  FROM `${exports}` AS exports
  WHERE exports.aggregation = '${aggregation}'
    AND exports.frequency = '${frequency}'
)
