"""Time series: observations and gaps, forecasts, remaining life, alarms, and the recording that is bundled."""
