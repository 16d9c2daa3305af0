"""Networks of others read into ours: one module a format, one value for what was read."""
