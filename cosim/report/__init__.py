"""Tables and pages that people look at."""
