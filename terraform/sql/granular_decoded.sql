-- The codes of the raw data with the names that Usercentrics documents for them. No code is no name.
SELECT
  complete.*,
  CASE complete.consent
    WHEN 0 THEN 'Opt-out'
    WHEN 1 THEN 'Opt-in'
    ELSE CONCAT('unknown code ', CAST(complete.consent AS STRING))
  END AS consent_name,
  CASE complete.action
    WHEN 0 THEN 'Accept All'
    WHEN 1 THEN 'Deny All'
    WHEN 2 THEN 'Essential change'
    WHEN 3 THEN 'Initial page load'
    WHEN 4 THEN 'Bot, first CCPA visit or non-EU region'
    WHEN 5 THEN 'Session restored (deprecated)'
    WHEN 6 THEN 'TCF string change'
    WHEN 7 THEN 'Granular Accept or Granular Deny'
    WHEN 8 THEN 'Mobile session restore'
    ELSE CONCAT('unknown code ', CAST(complete.action AS STRING))
  END AS action_name,
  CASE complete.action
    WHEN 0 THEN 'onAcceptAllServices'
    WHEN 1 THEN 'onDenyAllServices'
    WHEN 2 THEN 'onEssentialChange'
    WHEN 3 THEN 'onInitialPageLoad'
    WHEN 4 THEN 'onNonEURegion'
    WHEN 5 THEN 'onSessionRestored'
    WHEN 6 THEN 'onTcfStringChange'
    WHEN 7 THEN 'onUpdateServices'
    WHEN 8 THEN 'onMobileSessionRestore'
  END AS action_event
FROM `${complete}` AS complete
