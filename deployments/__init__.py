"""How the flows are run: schedules, automations, pools, containers."""
