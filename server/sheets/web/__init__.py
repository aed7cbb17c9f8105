"""HTTP: routes, authorisation, faults, quotas and the page."""
