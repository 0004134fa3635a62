-- Decisions are counted by the file (total), never by its rows. Bots count as they do in the file; a decision
-- whose consent is neither 0 nor 1 is in decisions alone. No decisions, no rate.
SELECT
  complete.start_date,
  complete.day,
  complete.settings_id,
  complete.dps_id,
  SUM(complete.total) AS decisions,
  SUM(IF(complete.consent = 1, complete.total, 0)) AS opt_ins,
  SUM(IF(complete.consent = 0, complete.total, 0)) AS opt_outs,
  SAFE_DIVIDE(SUM(IF(complete.consent = 1, complete.total, 0)), SUM(complete.total)) AS opt_in_rate
FROM `${complete}` AS complete
GROUP BY complete.start_date, complete.day, complete.settings_id, complete.dps_id
